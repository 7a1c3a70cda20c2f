"""The way in: one Litestar application for each plugin, with a straight way from its path to its handler's gate."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Response
from litestar._asgi.utils import is_valid_host
from litestar.exceptions import HTTPException, WebSocketException
from litestar.utils.scope.state import ScopeState

from plugin_host.gateway.problems import FAILED, MEDIA_TYPE, encode, log_unexpected, to_problem
from plugin_host.gateway.routes import Prefix, mend_parameters
from plugin_host.gateway.signatures import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from litestar import Request
    from litestar.config.app import AppConfig
    from litestar.plugins import PluginProtocol
    from litestar.types import Scope

    from plugin_host.gateway.gate import Gate


class Application(Litestar):
    """The application of one plugin, with all its handlers below `/api/<id>`; `body_limit` is in bytes."""

    def __init__(self, plugin: str, handlers: Sequence[Any], gate: Gate, body_limit: int) -> None:
        super().__init__(
            middleware=[gate],
            dependencies=dict(PROVIDERS),
            exception_handlers={Exception: self._answer, HTTPException: self._answer},
            after_exception=[self._keep],
            request_max_body_size=body_limit,
            openapi_config=None,
            logging_config=None,
            debug=False,
            pdb_on_exception=False,
        )
        self._plugin = plugin
        self._worded: dict[Any, Any] = {}
        # Litestar has its own idea of Starlette's exceptions where Starlette is installed.
        self.exception_handlers.update(dict.fromkeys(self.exception_handlers, self._answer))
        self._whole = False
        self.register(Prefix(f"/api/{plugin}", handlers))
        self._whole = True
        mend_parameters(self.asgi_router.root_route_map_node)

    @property
    def route_handler_method_map(self) -> dict[str, Any]:
        """What answers each path; while routes are made nothing, since the prefix brings each path once, whole."""
        return super().route_handler_method_map if self._whole else {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Route a request straight to its handler's gate.

        Litestar's own entry wraps it into two more layers, which word what goes wrong while routing; they are
        called for that, and for whatever is no HTTP request. What goes wrong in the handler is worded by the
        layer between gate and handler, and the gate words its own refusals.
        """
        if scope["type"] == "http" and _has_good_host(scope["headers"]):
            try:
                app, handler, path, parameters, template = self.asgi_router.handle_routing(
                    path=scope["path"], method=scope["method"]
                )
            except HTTPException:
                pass
            else:
                scope["app"] = scope["litestar_app"] = self
                scope["path"], scope["path_params"], scope["path_template"] = path, parameters, template
                scope["route_handler"] = handler
                worded = self._worded.get(handler)
                if worded is None:  # Litestar puts it together anew for each request
                    worded = self._worded[handler] = handler.resolve_exception_handlers()
                ScopeState.from_scope(scope).exception_handlers = worded
                await app(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Give Litestar's own plugins. It tries for each application anew to import the libraries they are for."""
        return [*plugins, *_default_plugins()]

    @staticmethod
    def _patch_opentelemetry_middleware(config: AppConfig) -> AppConfig:
        """Leave the middleware: the gate alone. Litestar looks among it for OpenTelemetry's, by another import."""
        return config

    def _answer(self, request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
        """Answer an exception of a handler, or one of Litestar's own."""
        scope: dict[str, Any] = request.scope  # type: ignore[assignment] # a typed dict with keys of ours
        problem = to_problem(exc)
        log_unexpected(exc, problem, scope, self._plugin)
        body, headers = encode(problem, scope)
        return Response(body, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)

    async def _keep(self, exc: Exception, scope: Scope) -> None:
        """Keep the exception of a WebSocket for those who word its close code; Litestar forgets it."""
        kept: dict[str, Any] = scope  # type: ignore[assignment] # as above
        if kept["type"] == "websocket":
            kept[FAILED] = exc
            if not isinstance(exc, WebSocketException):  # the other side hanging up is one
                log_unexpected(exc, to_problem(exc), kept, self._plugin)


_is_good_host = functools.lru_cache(maxsize=256)(is_valid_host)  # the same few come all day


def _has_good_host(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"host":
            return _is_good_host(value)
    return True


@functools.cache
def _default_plugins() -> Sequence[PluginProtocol]:
    return tuple(Litestar._get_default_plugins([]))  # noqa: SLF001 - there is no public way to them
