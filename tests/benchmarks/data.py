"""What reads of a database cost; `data.py KIND URL FOLDER` is one side, `run.py --only data` measures.

The host's routes are called by somebody who has signed in, whose permission is checked; bare Litestar has neither.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import litestar
import msgspec
import sqlalchemy as sa
from servers import serve, signed_in
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host import PluginHost, Settings
from plugin_host.sdk import Access, Listing, Page, PluginBase, get, hookimpl, object_id, to

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROWS = 1000
PAGE = 50


class Base(PluginBase, plugin="bench"):
    """The tables of the measured plugin."""


class Person(Base):
    """A row as a plugin has them."""

    __tablename__ = "bench_person"
    __object__ = "bench.person"

    id: Mapped[str] = object_id()
    name: Mapped[str] = mapped_column(sa.String(200), index=True)
    email: Mapped[str | None] = mapped_column(sa.String(254))
    owner_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)


class PersonOut(msgspec.Struct):
    """What the routes answer."""

    id: str
    name: str
    email: str | None


BY_KEY = sa.select(Person.id, Person.name, Person.email).where(Person.id == sa.bindparam("key"))
TABLE = Person.__table__
READ = [{"permission": f"bench.{name}"} for name in ("view", "person.view")]


def key(number: int) -> str:
    """Give the key of a row."""
    return f"row{number:023}"


@get("/unused/{item:int}", permission="bench.view")
async def unused(item: int, db: AsyncSession) -> PersonOut:
    """Take the database and leave it."""
    return PersonOut(key(item), f"person {item}", None)


@get("/none/{item:int}", permission="bench.view")
async def none(item: int) -> PersonOut:
    """Answer without a database."""
    return PersonOut(key(item), f"person {item}", None)


@get("/orm/{item:int}", permission="bench.view")
async def orm(item: int, db: AsyncSession) -> PersonOut:
    """Read a row by its key, as an object."""
    return to(await db.get_one(Person, key(item)), PersonOut)


@get("/core/{item:int}", permission="bench.view")
async def core(item: int, db: AsyncSession) -> PersonOut:
    """Read the columns of a row with a statement that was built once."""
    return PersonOut(*(await db.execute(BY_KEY, {"key": key(item)})).one())


@get("/page/{item:int}", permission="bench.person.view")
async def page(item: int, listing: Listing, access: Access, db: AsyncSession) -> Page[PersonOut]:
    """Read a page of what the caller may see."""
    mine = access.permitted(sa.select(Person), "bench.person.view")
    return await listing.page(db, mine, PersonOut, search=[Person.name], sort=[Person.id, Person.name])


@get("/public-orm/{item:int}", permission="public")
async def public_orm(item: int, db: AsyncSession) -> PersonOut:
    """The same for anybody: what is measured is the database alone."""
    return to(await db.get_one(Person, key(item)), PersonOut)


@get("/public-core/{item:int}", permission="public")
async def public_core(item: int, db: AsyncSession) -> PersonOut:
    """The same for anybody."""
    return PersonOut(*(await db.execute(BY_KEY, {"key": key(item)})).one())


class Plugin:
    """The measured plugin."""

    manifest: ClassVar = {"id": "bench", "name": "Bench", "version": "1.0", "requires": {"core": ">=1.0,<2"}}
    permissions: ClassVar = {
        "permissions": [
            {"name": "bench.view", "title": "See"},
            {"name": "bench.person.view", "title": "See a person", "scope": "object"},
        ],
        "roles": [{"name": "bench.viewer", "title": "Viewer", "grants": READ}],
        "public": [
            {"method": "GET", "path": "/public-orm/{item:int}", "reason": "measured"},
            {"method": "GET", "path": "/public-core/{item:int}", "reason": "measured"},
        ],
    }

    @hookimpl
    def register_routes(self) -> list[Any]:
        """Give the measured routes."""
        return [unused, none, orm, core, page, public_orm, public_core]

    @hookimpl
    async def startup(self, context: Any) -> None:
        """Make the table and fill it."""
        async with context.work() as work:
            await work.db.run_sync(lambda session: fill(session.connection()))


def fill(connection: sa.Connection) -> None:
    """Make the table with its rows."""
    Base.metadata.create_all(connection, tables=[TABLE])  # type: ignore[list-item]
    rows = [{"id": key(n), "name": f"person {n}", "email": f"{n}@example.org"} for n in range(ROWS)]
    connection.execute(sa.insert(Person), rows)


# -- the sides -----------------------------------------------------------------------------------------------


def bare() -> litestar.Litestar:
    """Make the same answers without host and database."""

    @litestar.get("/api/bench/none/{item:int}")
    async def one(item: int) -> PersonOut:
        return PersonOut(key(item), f"person {item}", f"{item}@example.org")

    @litestar.get("/api/bench/page/{item:int}")
    async def many(item: int) -> Page[PersonOut]:
        return Page([PersonOut(key(n), f"person {n}", f"{n}@example.org") for n in range(PAGE)], "next")

    return litestar.Litestar([one, many], openapi_config=None, logging_config=None)


def plain(url: str) -> litestar.Litestar:
    """Make the same reads with plain SQLAlchemy, a session for each request."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"))

    @litestar.get("/api/bench/public-orm/{item:int}")
    async def by_object(item: int) -> PersonOut:
        async with AsyncSession(engine) as db:
            return to(await db.get_one(Person, key(item)), PersonOut)

    @litestar.get("/api/bench/public-core/{item:int}")
    async def by_column(item: int) -> PersonOut:
        async with AsyncSession(engine) as db:
            return PersonOut(*(await db.execute(BY_KEY, {"key": key(item)})).one())

    return litestar.Litestar([by_object, by_column], openapi_config=None, logging_config=None)


async def hosted(url: str, folder: str) -> None:
    """Run the host with a viewer who has signed in."""
    host = PluginHost(Settings(data_dir=folder, database=url), plugins=[Plugin()])
    async with host.lifespan():
        await serve(host.asgi, {"cookie": await signed_in(host)})


async def unhosted(url: str) -> None:
    """Run the plain side on a database that the host has filled."""
    await serve(plain(url), {})


# -- measuring -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def side(kind: str, url: str = "", folder: str = "") -> Iterator[dict[str, Any]]:
    """Run one side in a process of its own."""
    words = [sys.executable, __file__, kind, url, folder]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(process.stdout.readline() if process.stdout else "")
        for _ in range(100):  # it says its port a moment before it listens
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", said["port"])):
                break
            time.sleep(0.05)
        yield said
    finally:
        process.terminate()
        process.wait(20)


def load(said: dict[str, Any], route: str, seconds: float) -> float:
    """Drive one route; gives requests per second. wrk is the lighter client, where it is installed.

    Nobody in particular calls the public routes: who somebody is would be asked of the database too.
    """
    address, cookie = f"http://127.0.0.1:{said['port']}/api/bench/{route}/7", said.get("cookie", "x=y")
    if route.startswith("public"):
        cookie = "x=y"
    if shutil.which("wrk") is not None:
        words = ["wrk", "-t1", "-c16", f"-d{max(1, round(seconds))}s", "-H", f"cookie: {cookie}", address]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        out = done.stdout
        if done.returncode or "Non-2xx" in out:
            raise SystemExit(f"{route}: {out}{done.stderr}")
        return float(out.split("Requests/sec:")[1].split()[0])
    job = {"port": said["port"], "path": f"/api/bench/{route}/7", "connections": 16, "seconds": seconds}
    words = [sys.executable, str(HERE / "load.py"), json.dumps({**job, "headers": [f"cookie: {cookie}"]})]
    result = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    if result["wrong"]:
        raise SystemExit(f"{route}: {result['wrong']} wrong answers")
    return float(result["per_second"])


def compare(
    ours: tuple[dict[str, Any], str], peer: tuple[dict[str, Any], str], seconds: float, rounds: int
) -> tuple[float, float, float]:
    """Drive both in turn; gives the median of the pairs' ratios, and both medians."""
    load(*ours, 0.5), load(*peer, 0.5)
    pairs = [(load(*ours, seconds), load(*peer, seconds)) for _ in range(rounds)]
    return (
        statistics.median(a / b for a, b in pairs),
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
    )


def on_sqlite(seconds: float, rounds: int) -> Iterator[tuple[str, str, str]]:
    """Compare the reads on SQLite with the same answers from bare Litestar without a database."""
    with (
        tempfile.TemporaryDirectory() as folder,
        side("bare") as peer,
        side("hosted", f"sqlite:///{folder}/host.db", folder) as host,
    ):
        for route, what, target in (
            ("core", "a row by its key, Core with a prebuilt statement", "at least 0.35"),
            ("orm", "a row by its key, as an object", "at least 0.2"),
            ("page", f"a page of {PAGE} rows through `permitted` and `Listing`", "at least 0.1"),
        ):
            other = "page" if route == "page" else "none"
            ratio, ours, theirs = compare((host, route), (peer, other), seconds, rounds)
            yield (
                f"{what}, SQLite, beside bare Litestar without a database: {target}",
                f"{ratio:.2f}",
                f"{ours:,.0f} and {theirs:,.0f} requests/s",
            )
        ratio, ours, theirs = compare((host, "unused"), (host, "none"), seconds, rounds)
        yield (
            "a route that takes `db` and does not use it beside one that does not take it: 1",
            f"{ratio:.2f}",
            f"{ours:,.0f} and {theirs:,.0f} requests/s",
        )


def on_postgresql(url: str, seconds: float, rounds: int) -> Iterator[tuple[str, str, str]]:
    """Compare the reads on PostgreSQL with plain SQLAlchemy on the same driver."""
    with tempfile.TemporaryDirectory() as folder, side("hosted", url, folder) as host, side("plain", url) as peer:
        for route, what in (("public-core", "Core with a prebuilt statement"), ("public-orm", "as an object")):
            ratio, ours, theirs = compare((host, route), (peer, route), seconds, rounds)
            yield (
                f"a row by its key, {what}, PostgreSQL, beside plain SQLAlchemy in bare Litestar: at least 0.95",
                f"{ratio:.2f}",
                f"{ours:,.0f} and {theirs:,.0f} requests/s",
            )


def main() -> None:
    """Serve one side until it is stopped."""
    import uvloop

    kind, url, folder = sys.argv[1:]
    if kind == "hosted":
        uvloop.run(hosted(url, folder))
    else:
        uvloop.run(unhosted(url) if kind == "plain" else serve(bare(), {}))


if __name__ == "__main__":
    main()
