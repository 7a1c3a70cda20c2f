"""What knowing who asks costs: `auth.py`, or as rows of run.py. One process, no network, both sides in turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import sqlalchemy as sa
from servers import Item

from plugin_host import PluginHost, Settings
from plugin_host.sdk import get, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = 1500
ROUNDS = 11
SERVED_ROUNDS = 5
AT_ONCE = 200
OK = 200
GUARDED = "/api/bench/r0/7"
HERE = Path(__file__).parent
SECRET = "what the benchmark signs in with"


class Plugin:
    """A plugin with a route for anybody, and one that needs a permission."""

    manifest: ClassVar = {"id": "bench", "name": "bench", "version": "1.0", "requires": {"core": ">=1.0,<2"}}
    permissions: ClassVar = {
        "permissions": [{"name": "bench.view", "title": "See"}],
        "roles": [{"name": "bench.viewer", "title": "Viewer", "grants": [{"permission": "bench.view"}]}],
        "public": [{"method": "GET", "path": "/public/*", "reason": "the other side"}],
    }

    @hookimpl
    def register_routes(self) -> list[Any]:
        @get("/r0/{item:int}", permission="bench.view")
        async def read(item: int) -> Item:
            return Item(item, f"item {item}")

        @get("/public/{item:int}", permission="public")
        async def read_public(item: int) -> Item:
            return Item(item, f"item {item}")

        return [read, read_public]


async def call(app: Any, path: str, header: tuple[bytes, bytes] | None, body: bytes | None = None) -> int:
    """Send one request as a server would; gives the status."""
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body or b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    headers = [(b"host", b"127.0.0.1:8000"), *([] if header is None else [header])]
    if body is not None:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET" if body is None else "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    await app(scope, receive, send)
    return status


def client(host: PluginHost) -> httpx.AsyncClient:
    """Make a browser."""
    headers = {"sec-fetch-site": "same-origin"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(host.asgi), base_url="http://127.0.0.1:8000", headers=headers
    )


async def credentials(host: PluginHost) -> dict[str, tuple[bytes, bytes]]:
    """Sign a viewer in in each way; gives the header to send."""
    await host.core.accounts.add("admin", SECRET, roles=["core.admin"])
    await host.core.accounts.add("viewer", SECRET, roles=["bench.viewer"])
    body = {"username": "viewer", "password": SECRET}
    async with client(host) as browser:
        app = (await browser.post("/api/core/auth/login", json={**body, "client": "app"})).json()
        await browser.post("/api/core/auth/login", json=body)
        personal = (await browser.post("/api/core/auth/tokens", json={"name": "bench"})).json()
        cookie = browser.cookies["ph_session"]
    return {
        "cookie": (b"cookie", f"ph_session={cookie}".encode()),
        "access": (b"authorization", f"Bearer {app['access_token']}".encode()),
        "personal": (b"authorization", f"Bearer {personal['token']}".encode()),
    }


@contextlib.asynccontextmanager
async def running(database: str | None = None) -> Any:
    """Run a host with one plugin."""
    with tempfile.TemporaryDirectory() as folder:
        url = database or f"sqlite:///{Path(folder) / 'host.db'}"
        host = PluginHost(Settings(data_dir=folder, database=url), plugins=[Plugin()])
        async with host.lifespan():
            yield host


async def spent() -> dict[str, float]:
    """Give the CPU of a call in microseconds: the host's route for anybody, and that with each kind of credential."""
    async with running() as host:
        sides: dict[str, tuple[str, tuple[bytes, bytes] | None]] = {"public": ("/api/bench/public/7", None)}
        sides |= {kind: (GUARDED, header) for kind, header in (await credentials(host)).items()}
        figures: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(ROUNDS):
            for side, (path, header) in sides.items():
                start = time.process_time()
                for number in range(CALLS):
                    if await call(host.asgi, path, header) != OK:
                        raise SystemExit(side)
                    if not number % 100:  # the host says of a loop that does nothing else that it is blocked
                        await asyncio.sleep(0)
                figures[side].append((time.process_time() - start) / CALLS * 1e6)
    ratios = {
        kind: statistics.median(ours / theirs for ours, theirs in zip(figures[kind], figures["public"], strict=True))
        for kind in figures
    }
    return {**{f"{kind}_us": statistics.median(values) for kind, values in figures.items()}, **ratios}


def served() -> dict[str, float]:
    """Give the CPU that a served request takes: bare Litestar, and the host's with a session cookie; microseconds."""
    figures: dict[str, list[float]] = {"bare": [], "hosted": []}
    with contextlib.ExitStack() as stack:
        sides = {kind: stack.enter_context(_server(kind)) for kind in figures}
        for number in range(SERVED_ROUNDS + 1):
            for kind, (process, said) in sides.items():
                headers = [f"cookie: {said['cookie']}"] if "cookie" in said else []
                job = {"port": said["port"], "path": GUARDED, "headers": headers, "connections": 16, "seconds": 1.5}
                before = _cpu(process.pid)
                out = subprocess.run(
                    [sys.executable, str(HERE / "load.py"), json.dumps(job)], capture_output=True, text=True, check=True
                )
                if number:  # the first one warms up
                    figures[kind].append((_cpu(process.pid) - before) / json.loads(out.stdout)["answered"] * 1e6)
    pairs = zip(figures["hosted"], figures["bare"], strict=True)
    return {
        **{f"{kind}_us": statistics.median(values) for kind, values in figures.items()},
        "ratio": statistics.median(ours / theirs for ours, theirs in pairs),
    }


@contextlib.contextmanager
def _server(kind: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [sys.executable, str(HERE / "servers.py"), kind, *([""] if kind == "hosted" else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process, json.loads(process.stdout.readline() if process.stdout else "")
    finally:
        process.terminate()
        process.wait(20)


def _cpu(pid: int) -> float:
    """Give the seconds that a process has spent so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def statements(database: str | None) -> dict[str, float]:
    """Count the statements of one warm call with each kind of credential."""
    async with running(database) as host:
        headers = await credentials(host)
        for header in headers.values():
            await call(host.asgi, GUARDED, header)
        await host.core.principals.close()  # that they were used is written beside
        said: list[str] = []
        sa.event.listen(host.database.engine.sync_engine, "before_cursor_execute", lambda *args: said.append(args[2]))
        counted = {}
        for kind, header in headers.items():
            said.clear()
            await call(host.asgi, GUARDED, header)
            counted[kind] = float(len(said))
    return counted


async def crowd() -> dict[str, float]:
    """Let two hundred sign in at once; gives the longest gap of the loop and one hash, in milliseconds."""
    async with running() as host:
        await host.core.accounts.add("admin", SECRET, roles=["core.admin"])
        hashes = []
        for _ in range(5):
            start = time.perf_counter()
            await host.core.passwords.hash(SECRET)
            hashes.append((time.perf_counter() - start) * 1000)
        gaps: list[float] = []

        async def tick() -> None:
            last = time.perf_counter()
            while True:
                await asyncio.sleep(0.0005)
                now = time.perf_counter()
                gaps.append((now - last) * 1000)
                last = now

        async def login(number: int) -> int:
            await asyncio.sleep(number / 10_000)  # as a server would hand them over: one after the other
            body = json.dumps({"username": f"nobody {number}", "password": SECRET}).encode()
            return await call(host.asgi, "/api/core/auth/login", None, body)

        clients = [login(number) for number in range(AT_ONCE)]
        ticking = asyncio.create_task(tick())
        answers = await asyncio.gather(*clients)
        ticking.cancel()
        gaps.sort()
    return {
        "hash_ms": statistics.median(hashes),
        "gap_ms": gaps[-1],
        "gap_p99_ms": gaps[int(len(gaps) * 0.99)],
        "served": float(sum(answer == 401 for answer in answers)),
        "busy": float(sum(answer == 503 for answer in answers)),
    }


async def verifying() -> dict[str, float]:
    """Compare verifying an access token anew and from the cache: microseconds of CPU."""
    async with running() as host:
        tokens = host.core.credentials.access_tokens
        made = [(await tokens.sign("user", f"s{number}")).encode() for number in range(500)]
        rounds = []
        for _ in range(2):
            start = time.process_time()
            for token in made:
                tokens.verify(token)
            rounds.append((time.process_time() - start) / len(made) * 1e6)
    return {"new_us": rounds[0], "cached_us": rounds[1]}


MEASURED = {
    "spent": lambda _: spent(),
    "statements": statements,
    "crowd": lambda _: crowd(),
    "verify": lambda _: verifying(),
}


def measure(what: str, database: str = "") -> dict[str, float]:
    """Run a measurement in a process of its own."""
    command = [sys.executable, __file__, what, *([database] if database else [])]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(out.stdout)
    return found


def rows(postgres: str | None) -> Iterator[tuple[str, str, str]]:
    """Give the rows of the table: what, ratio, figures."""
    whole = served()
    yield (
        "CPU of a served request with a session cookie and a permission beside bare Litestar's (SQLite)",
        f"{whole['ratio']:.2f}",
        f"{whole['hosted_us']:.0f} and {whole['bare_us']:.0f} µs; to be at most 1.25",
    )
    cpu = measure("spent")
    for kind, what in (("cookie", "a session cookie"), ("access", "an access token"), ("personal", "a personal token")):
        yield (
            f"knowing who asks by {what}, and whether they may, beside the host's route for anybody; in process",
            f"{cpu[kind]:.2f}",
            f"{cpu[f'{kind}_us']:.0f} and {cpu['public_us']:.0f} µs of CPU time; to be at most 1.25",
        )
    if postgres is not None:
        counted = measure("statements", postgres)
        most = max(counted.values())
        yield "statements that knowing who asks takes, warm, PostgreSQL", f"{most:.0f}", str(counted)
    gap = measure("crowd")
    yield (
        f"longest gap of the event loop while {AT_ONCE} sign in at once, beside one hash",
        f"{gap['gap_ms'] / gap['hash_ms']:.2f}",
        (
            f"{gap['gap_ms']:.1f} ms (99 %: {gap['gap_p99_ms']:.1f}), a hash {gap['hash_ms']:.0f} ms; "
            f"{gap['served']:.0f} looked at, {gap['busy']:.0f} answered 503; to be at most 0.1"
        ),
    )
    token = measure("verify")
    yield (
        "verifying an access token anew beside from the cache",
        f"{token['new_us'] / token['cached_us']:.0f}",
        f"{token['new_us']:.0f} and {token['cached_us']:.1f} µs",
    )


def main() -> None:
    """Run the named measurement and print its figures as JSON."""
    what, *rest = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(MEASURED[what](rest[0] if rest else None))))


if __name__ == "__main__":
    main()
