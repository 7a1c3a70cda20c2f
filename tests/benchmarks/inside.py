"""Measurements inside one process, without a network: `inside.py hundred`, `build N`, `enable`, `start FOLDER OFF`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import litestar
from distributions import word
from servers import Item, plugin, signed_in
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host import PluginHost, Settings
from plugin_host.migrations.runner import Runner
from plugin_host.settings import Loader

CALLS = 2000
ROUNDS = 11
SWITCHES = 15


async def call(app: Any, cookie: str) -> None:
    """Send one request as a server would."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise SystemExit(f"status {message['status']}")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/bench/r0/7",
        "raw_path": b"/api/bench/r0/7",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"cookie", cookie.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    await app(scope, receive, send)


async def hundred() -> list[float]:
    """Compare a host with one plugin and one with 100 more, in turn."""
    async with contextlib.AsyncExitStack() as stack:
        sides = []
        for more in (0, 100):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings = Settings(data_dir=folder, database=f"sqlite:///{Path(folder) / 'host.db'}")
            host = PluginHost(settings, plugins=[plugin("bench"), *(plugin(word(n), 10) for n in range(more))])
            await stack.enter_async_context(host.lifespan())
            sides.append((host.asgi, await signed_in(host), []))
        for _ in range(ROUNDS):
            for app, cookie, figures in sides:
                start = time.process_time()
                for number in range(CALLS):
                    await call(app, cookie)
                    if not number % 100:  # the host says of a loop that does nothing else that it is blocked
                        await asyncio.sleep(0)
                figures.append((time.process_time() - start) / CALLS * 1e6)
    return [statistics.median(figures) for _, _, figures in sides]


async def build(count: int) -> list[float]:
    """Start a host with that many plugins of 10 routes; the imports are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=folder, database=f"sqlite:///{Path(folder) / 'host.db'}")
        warm = PluginHost(settings, plugins=[plugin("bench")])
        async with warm.lifespan():
            pass
        host = PluginHost(settings, plugins=[plugin(word(n), 10) for n in range(count)])
        start = time.process_time()
        async with host.lifespan():
            return [time.process_time() - start]


async def enable() -> list[float]:
    """Switch a plugin of 10 routes on in a running host, and build a bare application of them, in turn.

    Gives the medians in milliseconds: the whole, of it what the database took, and the bare application.
    """
    clock = DatabaseClock()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=folder, database=f"sqlite:///{Path(folder) / 'host.db'}")
        host = PluginHost(settings, plugins=[plugin("bench", 10)])
        async with host.lifespan():
            rounds = []
            for _ in range(SWITCHES):
                await host.wish("bench", "disabled")
                clock.seconds = 0.0
                start = time.perf_counter()
                plan = await host.wish("bench", "enabled")
                took = time.perf_counter() - start
                if "bench" not in [entry.id for entry in plan.active]:
                    raise SystemExit("the plugin is not active")
                rounds.append((took * 1000, clock.seconds * 1000, bare(10) * 1000))
    return [statistics.median(figures) for figures in zip(*rounds, strict=True)]


def bare(routes: int) -> float:
    """Build the routes of `servers.plugin` as a bare Litestar application; gives the seconds."""

    def handler(number: int) -> Any:
        async def read(item: int) -> Item:
            return Item(item, f"item {item}")

        async def create(data: Item) -> Item:
            return data

        if number % 3 == 2:
            return litestar.post(f"/api/bench/r{number}")(create)
        return litestar.get(f"/api/bench/r{number}/{{item:int}}")(read)

    start = time.perf_counter()
    litestar.Litestar([handler(number) for number in range(routes)], openapi_config=None, logging_config=None)
    return time.perf_counter() - start


class DatabaseClock:
    """Adds up the time that is spent waiting for the database: in sessions, and looking at the ledger."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in ("execute", "scalar", "scalars", "commit", "rollback", "close"):
            setattr(AsyncSession, name, self._awaited(getattr(AsyncSession, name)))
        for name in ("pending", "state"):
            setattr(Runner, name, self._called(getattr(Runner, name)))

    def _awaited(self, function: Any) -> Any:
        async def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            inner = self.seconds  # `scalars` calls `execute`: what is in it is not counted twice
            try:
                return await function(*arguments, **named)
            finally:
                self.seconds = inner + time.perf_counter() - start

        return timed

    def _called(self, function: Any) -> Any:
        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


async def start(folder: str, disabled: int) -> list[float]:
    """Start a host with the plugins that are installed, so many of them switched off; gives seconds of CPU time.

    The imports of the host itself are not counted. `folder` keeps the database from one call to the next.
    """
    loader = Loader(disabled=tuple(map(word, range(disabled))))
    settings = Settings(data_dir=folder, database=f"sqlite:///{Path(folder) / 'host.db'}", loader=loader)
    begun = time.process_time()
    async with PluginHost(settings).lifespan():
        return [time.process_time() - begun]


def main() -> None:
    """Run the named measurement and print its figures as JSON."""
    what, *rest = sys.argv[1:]
    measured = {
        "hundred": hundred,
        "build": lambda: build(int(rest[0])),
        "enable": enable,
        "start": lambda: start(rest[0], int(rest[1])),
    }
    sys.stdout.write(json.dumps(asyncio.run(measured[what]())))


if __name__ == "__main__":
    main()
