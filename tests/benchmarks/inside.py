"""Measurements inside one process, without a network: `inside.py hundred` and `inside.py build N`."""

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

from servers import plugin, signed_in

from plugin_host import PluginHost, Settings

CALLS = 2000
ROUNDS = 11


def word(number: int) -> str:
    """Give a plugin id that is not taken."""
    return f"other{chr(97 + number // 26)}{chr(97 + number % 26)}"


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
                for _ in range(CALLS):
                    await call(app, cookie)
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


def main() -> None:
    """Run the named measurement and print its figures as JSON."""
    what, *rest = sys.argv[1:]
    figures = asyncio.run(hundred() if what == "hundred" else build(int(rest[0])))
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
