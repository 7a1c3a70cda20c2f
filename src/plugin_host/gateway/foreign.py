"""A foreign ASGI application below a plugin's API: on whole path segments, as if a server ran it there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from litestar.handlers import asgi
from litestar.types import Receive, Scope, Send

from plugin_host.gateway.lifespans import Conversation
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.handlers import ASGIRouteHandler

    from plugin_host.sdk.contributions import AsgiApp

BASE: Final = "plugin_host.base"
"""The path that the host itself stands under; the dispatcher takes it off."""
PATH: Final = "plugin_host.path"
"""The path as it was asked for: Litestar cuts a trailing slash, which means something to other frameworks."""

# What Litestar and the host keep in a scope is none of a foreign application's business.
_OURS: Final = ("app", "litestar_app", "route_handler", "path_template")


class Foreign:
    """The handler and the lifespan of one `AsgiApp` of a plugin."""

    def __init__(self, plugin: str, declared: AsgiApp, body_limit: int) -> None:
        self.declared = declared
        self.path = "/" + "/".join(segment for segment in declared.path.split("/") if segment)
        self.prefix = f"/api/{plugin}{self.path}".rstrip("/")
        self.name = str(getattr(declared.app, "__qualname__", type(declared.app).__qualname__))
        self._body_limit = body_limit
        self._state: dict[str, Any] = {}

    def handler(self) -> ASGIRouteHandler:
        """Make the route: never a mount, which would also answer a path that only begins alike."""
        opt = {} if self.declared.permission is None else {"permission": self.declared.permission}

        async def forward(scope: Scope, receive: Receive, send: Send) -> None:
            await self._call(scope, receive, send)  # type: ignore[arg-type] # a typed dict with keys of ours

        return asgi([self.path, f"{self.path.rstrip('/')}/{{rest:path}}"], opt=opt, copy_scope=True)(forward)

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Run the application's start-up and shutdown; one that knows no lifespan is left alone."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        conversation = Conversation(self.declared.app, scope)
        await conversation.start()
        try:
            yield
        finally:
            await conversation.stop()

    async def _call(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        base = scope.get(BASE, "")
        child = {key: value for key, value in scope.items() if key not in _OURS}
        child["root_path"] = base + self.prefix
        # The protocol wants the whole path here, root_path included.
        child["path"] = base + scope.get(PATH, scope["path"])
        child["path_params"] = {}
        child["state"] = dict(self._state)
        await self.declared.app(child, _limited(scope, receive, self._body_limit), send)


def _limited(scope: dict[str, Any], receive: Receive, limit: int) -> Receive:
    """Hold a foreign application to the host's limit of a body; Litestar only holds its own handlers to it."""
    too_large = Problem(413, "too_large", f"The body is larger than {limit} bytes.")
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    seen = 0

    async def counted() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        if seen > limit:
            raise too_large
        return message

    return counted
