"""The two servers that are compared: bare Litestar, and the host with a signed-in person. `servers.py KIND …`."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import litestar
import msgspec
import uvicorn

from plugin_host.sdk import get, hookimpl


class Item(msgspec.Struct):
    """What the measured route answers."""

    id: int
    name: str


def plugin(word: str, routes: int = 1) -> object:
    """Make a plugin object with that many permission-checked routes."""

    def handler(number: int) -> Any:
        async def read(item: int) -> Item:
            return Item(item, f"item {item}")

        async def create(data: Item) -> Item:
            return data

        read.__name__, create.__name__ = f"read_{number}", f"create_{number}"
        if number % 3 == 2:
            return litestar.post(f"/r{number}", permission=f"{word}.view")(create)
        return get(f"/r{number}/{{item:int}}", permission=f"{word}.view")(read)

    class Plugin:
        manifest: ClassVar = {"id": word, "name": word, "version": "1.0", "requires": {"core": ">=1.0,<2"}}
        permissions: ClassVar = {
            "permissions": [{"name": f"{word}.view", "title": "See"}],
            "roles": [{"name": f"{word}.viewer", "title": "Viewer", "grants": [{"permission": f"{word}.view"}]}],
        }

        @hookimpl
        def register_routes(self) -> list[Any]:
            return [handler(number) for number in range(routes)]

    return Plugin()


def bare() -> litestar.Litestar:
    """Make the same route without a host."""

    @litestar.get("/api/bench/r0/{item:int}")
    async def read(item: int) -> Item:
        return Item(item, f"item {item}")

    return litestar.Litestar([read], openapi_config=None, logging_config=None)


async def serve(app: Any, said: dict[str, Any]) -> None:
    """Listen on a free port and print what the load generator needs, as JSON."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        sys.stdout.write(json.dumps({"port": port, **said}) + "\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        await uvicorn.Server(config).serve(sockets=[listening])


async def hosted(database: str | None, others: int) -> None:
    """Run the host with a viewer who has signed in."""
    from plugin_host import PluginHost, Settings

    with tempfile.TemporaryDirectory() as folder:
        url = database or f"sqlite:///{Path(folder) / 'host.db'}"
        settings = Settings(data_dir=folder, database=url)
        plugins = [plugin("bench"), *(plugin(f"other{chr(97 + n // 26)}{chr(97 + n % 26)}", 10) for n in range(others))]
        host = PluginHost(settings, plugins=plugins)
        async with host.lifespan():
            await serve(host.asgi, {"cookie": await signed_in(host)})


async def signed_in(host: Any) -> str:
    """Add an administrator and a viewer, and begin the viewer's session; gives the cookie."""
    await host.core.accounts.add("admin", "admin-password", roles=["core.admin"])
    user = await host.core.accounts.add("viewer", "viewer-password", roles=["bench.viewer"])
    async with host.work() as work:
        token = await host.core.sessions.create(work.db, user["id"])
    return f"ph_session={token}"


def main() -> None:
    """Run one of the servers until it is stopped."""
    kind, *rest = sys.argv[1:]
    import uvloop

    if kind == "bare":
        uvloop.run(serve(bare(), {}))
    else:
        uvloop.run(hosted(rest[0] if rest and rest[0] else None, int(rest[1]) if len(rest) > 1 else 0))


if __name__ == "__main__":
    main()
