"""Try what waits on a copy, or show it as SQL: the database that is served is not touched."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from plugin_host.database import Database
from plugin_host.migrations import places as several
from plugin_host.migrations.applying import Outcome, change_offline
from plugin_host.migrations.backup import copy
from plugin_host.migrations.places import Place
from plugin_host.migrations.planning import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from plugin_host.core.planner import Planner


class Statements(msgspec.Struct, frozen=True, kw_only=True):
    """One revision as SQL, or the reason why it cannot be shown without a database."""

    plugin: str
    revision: str
    sql: str | None
    problem: str | None = None


async def rehearse(
    planner: Planner, plugin: str | None, into: str | None, progress: Callable[[str], None] | None
) -> Outcome:
    """Apply what waits to a copy. `into` is the empty PostgreSQL database for it; copies of SQLite go again.

    Raises `MigrationError` where no copy can be made.
    """
    plan = await planner.plan()
    there = planner.tables.places(plan, plan.active)
    return await asyncio.to_thread(_rehearse, there, plugin, into, progress or _silent)


async def statements(planner: Planner, plugin: str | None) -> tuple[Statements, ...]:
    """Give what waits as SQL of the database, revision by revision. Runs the revisions, but on no database."""
    pending = await planner.tables.pending(await planner.plan(), plugin)
    dialect = planner.database.dialect
    return tuple([await asyncio.to_thread(_sql, step, dialect) for step in pending.steps])


def _rehearse(there: Sequence[Place], plugin: str | None, into: str | None, tell: Callable[[str], None]) -> Outcome:
    chosen = several.concerned(there, plugin)
    with tempfile.TemporaryDirectory(prefix="plugin-host-rehearsal-") as folder:
        copies = [
            Place(_copied(place.database, Path(folder) / f"{number}.db", into, tell), place.sources)
            for number, place in enumerate(chosen)
        ]
        return several.upgrade(copies, plugin=plugin, progress=tell, backups=False)


def _copied(database: Database, file: Path, into: str | None, tell: Callable[[str], None]) -> Database:
    if database.path is not None:
        tell(f"copying {database.path} …")
        if database.exists():
            copy(Path(database.path), file)
        else:
            file.touch()
        return Database(f"sqlite:///{file}")
    if into is None:
        raise MigrationError(
            "a rehearsal on PostgreSQL needs an empty database to copy into: --into postgresql://user@host/name"
        )
    return _restored(database, into, tell)


def _restored(database: Database, into: str, tell: Callable[[str], None]) -> Database:
    """Copy a PostgreSQL database into an empty one, by PostgreSQL's own tools."""
    tools = [shutil.which(name) for name in ("pg_dump", "psql")]
    if None in tools:
        raise MigrationError("pg_dump and psql are needed for a rehearsal on PostgreSQL: install its client tools")
    target = Database(into, schema=database.schema)
    if make_url(into).database == database.url.database and make_url(into).host == database.url.host:
        raise MigrationError(f"{target.url.render_as_string()} is the database itself: name another, which is empty")
    with target.migration_engine() as engine, engine.connect() as connection:
        if sa.inspect(connection).get_table_names():
            raise MigrationError(f"{target.url.render_as_string()} is not empty: name one in which nothing is lost")
    tell(f"copying {database.url.database} into {target.url.database} …")
    dump, load = (str(tool) for tool in tools)
    schema = ["--schema", database.schema] if database.schema else []
    with tempfile.TemporaryFile() as kept:
        _call(
            [dump, "--no-owner", "--no-privileges", *schema, "--dbname", _plain(database.url)],
            database.url,
            stdout=kept,
        )
        kept.seek(0)
        words = [load, "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", _plain(target.url)]
        # The schema `public` is in every database already.
        _call(words, target.url, stdin=kept, stdout=subprocess.DEVNULL)
    return target


def _plain(url: sa.URL) -> str:
    """Spell an address as PostgreSQL's tools take it; the password goes another way, since everybody sees arguments."""
    return url.set(drivername="postgresql", password=None).render_as_string()


def _call(words: list[str], url: sa.URL, **streams: Any) -> None:
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    done = subprocess.run(words, check=False, env=environment, stderr=subprocess.PIPE, text=True, **streams)  # noqa: S603 - tools that were looked up
    if done.returncode:
        raise MigrationError(f"{Path(words[0]).name} failed: {done.stderr.strip().splitlines()[-1:] or ['?']}")


def _sql(step: Any, dialect: str) -> Statements:
    buffer = io.StringIO()
    try:
        change_offline(step, dialect, buffer)
    except Exception as error:  # noqa: BLE001 - whatever a plugin's code raises
        problem = f"{step.revision} cannot be shown without a database ({_first(error)}): rehearse it instead"
        return Statements(plugin=step.plugin, revision=step.revision, sql=None, problem=problem)
    return Statements(plugin=step.plugin, revision=step.revision, sql=buffer.getvalue().strip())


def _first(error: Exception) -> str:
    return next(iter(_lines(error)), type(error).__name__)


def _lines(error: Exception) -> Iterator[str]:
    yield from (line for line in str(error).splitlines() if line)


def _silent(_line: str) -> None:
    pass
