"""The bridges: a host inside another application, below a prefix, with its lifespan.

Each function gives an ASGI application to be served in place of the outer one:

    application = plugin_host.embed.starlette(app, host, "/apps")

A path below the prefix, by whole segments, goes to the host with `root_path` set; everything else goes to the outer
application untouched. The switch stands outside the application, because what frameworks mount never has its
lifespan run, and mounts of some compare the beginnings of texts. The outer application starts first and stops last,
so the host may use what it sets up.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

from plugin_host.gateway.lifespans import Conversation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plugin_host.host import PluginHost

    Application = Callable[[Any, Any, Any], Awaitable[None]]

__all__ = ["django", "fastapi", "litestar", "quart", "starlette"]

_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def litestar(app: Application, host: PluginHost, prefix: str) -> Application:
    """Put the host below `prefix` (`"/apps"`) of a Litestar application. Raises `ValueError` for no such path."""
    return _Bridge(app, host, prefix)


def starlette(app: Application, host: PluginHost, prefix: str) -> Application:
    """Put the host below `prefix` of a Starlette application. See `litestar`."""
    return _Bridge(app, host, prefix)


def fastapi(app: Application, host: PluginHost, prefix: str) -> Application:
    """Put the host below `prefix` of a FastAPI application. See `litestar`."""
    return _Bridge(app, host, prefix)


def quart(app: Application, host: PluginHost, prefix: str) -> Application:
    """Put the host below `prefix` of a Quart application. See `litestar`."""
    return _Bridge(app, host, prefix)


def django(app: Application, host: PluginHost, prefix: str) -> Application:
    """Put the host below `prefix` of Django's `get_asgi_application()`, which knows no lifespan. See `litestar`."""
    return _Bridge(app, host, prefix, has_lifespan=False)


class _Bridge:
    """The path switch, and the two lifespans as one."""

    def __init__(self, app: Application, host: PluginHost, prefix: str, *, has_lifespan: bool = True) -> None:
        if not _PREFIX.fullmatch(prefix):
            msg = f'prefix {prefix!r} is no path to put a host under: begin with a slash and end without: "/apps"'
            raise ValueError(msg)
        self._app = app
        self._host = host
        self._prefix = prefix
        self._has_lifespan = has_lifespan

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        root = (scope.get("root_path") or "").rstrip("/")
        path: str = scope["path"]
        inner = path[len(root) :] if path.startswith(f"{root}/") else path
        if inner == self._prefix or inner.startswith(f"{self._prefix}/"):
            # The protocol wants the whole path beside root_path; some servers leave the root out of it.
            below = {**scope, "root_path": root + self._prefix, "path": root + inner}
            await self._host.asgi(below, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer the lifespan protocol for both: the outer application outside, the host inside."""
        await receive()
        step = "startup"
        try:
            async with contextlib.AsyncExitStack() as running:
                if self._has_lifespan:
                    outer = Conversation(self._app, scope)
                    await outer.start()
                    running.push_async_callback(outer.stop)
                await running.enter_async_context(self._host.lifespan())
                await send({"type": "lifespan.startup.complete"})
                await receive()
                step = "shutdown"
        except Exception as error:
            await send({"type": f"lifespan.{step}.failed", "message": str(error) or repr(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})
