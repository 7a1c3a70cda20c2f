"""One Litestar application for each plugin: built off to the side, and refused before anybody can call it.

Litestar is known here and in the rooms beside; plugins hand over handlers, never an application, so that every
setting that guards the host is the host's.
"""

from __future__ import annotations

import functools
import inspect
import logging
import warnings
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from litestar import Controller, Litestar, Response, Router
from litestar._asgi.utils import is_valid_host
from litestar.exceptions import HTTPException, ImproperlyConfiguredException, WebSocketException
from litestar.handlers import BaseRouteHandler, WebsocketListener
from litestar.routes import HTTPRoute, WebSocketRoute
from litestar.utils.scope.state import ScopeState

from plugin_host.gateway.answers import shorten
from plugin_host.gateway.foreign import Foreign
from plugin_host.gateway.lifespans import Lifespans
from plugin_host.gateway.problems import FAILED, MEDIA_TYPE, encode, log_unexpected, to_problem
from plugin_host.gateway.signatures import PROVIDERS
from plugin_host.gateway.walk import Fault, RouteInfo, RouteRules, Walk, place_of
from plugin_host.sdk.contributions import AsgiApp
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from litestar import Request
    from litestar._asgi.routing_trie.types import RouteTrieNode
    from litestar.routes.base import BaseRoute
    from litestar.types import Scope

    from plugin_host.gateway.gate import Gate

__all__ = ["Built", "RouteInfo", "RouteRules", "build"]

_DECLARE: Final = (
    'Give each route permission="<permission of this plugin or of one it requires>", or "signed-in", or "public" '
    "with an entry under public in permissions.json."
)

log = logging.getLogger("plugin_host.gateway")


@dataclass(frozen=True)
class Built:
    """A plugin's application, and its routes as operators see them."""

    plugin: str
    app: Litestar
    routes: tuple[RouteInfo, ...]
    foreign: tuple[Foreign, ...] = ()

    def running(self, limit: float) -> AbstractAsyncContextManager[None]:
        """Run the lifespan of the application and of every `AsgiApp` in it, all in one task of their own.

        Each start and each stop may take `limit` seconds. Raises `PluginFault` (`startup_failed`,
        `time_limit`) on entry; what fails at the end is logged.
        """
        named = [(each.name, each.lifespan) for each in self.foreign]
        return Lifespans(self.plugin, [("its routes", self.app.lifespan), *named], limit).running()


def build(plugin: str, handlers: Iterable[Any], *, names: RouteRules, gate: Gate, body_limit: int) -> Built:
    """Build the application of one plugin from what its `register_routes` returned.

    `names` says which permissions the routes may name; `body_limit` is in bytes. Raises `PluginFault` with all
    faulty handlers in its text, each with file and line.
    """
    values = list(handlers)
    _refuse_strangers(plugin, values)
    foreign = tuple(Foreign(plugin, value, body_limit) for value in values if isinstance(value, AsgiApp))
    routes = [value for value in values if not isinstance(value, AsgiApp)]
    app = _make(plugin, [*routes, *(each.handler() for each in foreign)], gate, body_limit)
    walk = Walk(names, foreign)
    walk.over(app)
    if walk.faults:
        raise PluginFault(_refusal(plugin, walk.faults))
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            shorten(handler)
    return Built(plugin, app, tuple(walk.routes), foreign)


def _refuse_strangers(plugin: str, values: Sequence[object]) -> None:
    strangers = [value for value in values if not _is_route(value)]
    if strangers:
        raise PluginFault(
            Reason(
                code="hook_invalid",
                text=f"register_routes of {plugin} returns {', '.join(_describe(value) for value in strangers)}.",
                culprits=(plugin,),
                way_out="Return functions decorated with get, post, ..., Controllers, Routers or AsgiApps. "
                "An application of your own goes in as AsgiApp(app, path=..., permission=...).",
            )
        )


def _is_route(value: object) -> bool:
    if inspect.isclass(value):
        return issubclass(value, Controller | WebsocketListener)
    return isinstance(value, BaseRouteHandler | Router | AsgiApp) and not isinstance(value, Litestar)


def _describe(value: object) -> str:
    if inspect.isroutine(value):
        return f"the bare function {value.__name__} ({place_of(value)})"
    return f"{value!r:.80}" if isinstance(value, str | None) else f"an object of {type(value).__qualname__}"


def _make(plugin: str, handlers: Sequence[Any], gate: Gate, body_limit: int) -> Litestar:
    try:
        with warnings.catch_warnings():
            # Handlers name what they want as parameters; that Litestar 3 wants it annotated is our affair.
            warnings.simplefilter("ignore", DeprecationWarning)
            return _Application(plugin, handlers, gate, body_limit)
    except Exception as error:
        way_out = "Correct what register_routes returns."
        if isinstance(error, NameError):
            way_out = "Import what a handler's annotations name at run time, not under TYPE_CHECKING."
        raise PluginFault(
            Reason(
                code="hook_invalid",
                text=f"Litestar cannot build the routes of {plugin}{_where(error)}: {_message(error)}",
                culprits=(plugin,),
                way_out=way_out,
            )
        ) from error


def _where(error: Exception) -> str:
    """Name the handler that Litestar was busy with; its messages often do not."""
    trace = error.__traceback__
    found = ""
    while trace is not None:
        busy_with = trace.tb_frame.f_locals.get("self")
        if isinstance(busy_with, BaseRouteHandler) and hasattr(busy_with, "_fn"):
            found = f" at {place_of(busy_with.fn)} {busy_with.handler_name}"
        trace = trace.tb_next
    return found


def _message(error: Exception) -> str:
    return error.detail if isinstance(error, HTTPException) else f"{type(error).__name__}: {error}"


def _refusal(plugin: str, faults: Sequence[Fault]) -> Reason:
    many = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
    places = dict.fromkeys(fault.place for fault in faults)
    about_permissions = any(fault.code != "hook_invalid" for fault in faults)
    return Reason(
        code=faults[0].code,
        text=f"The routes of {plugin} have {many}: {'; '.join(fault.text for fault in faults)}.",
        culprits=(plugin, *places),
        way_out=_DECLARE if about_permissions else "Correct the routes at these places.",
    )


class _Routes(list[Any]):
    """Routes that know each other by path.

    Litestar derives this map anew from all routes for each route it adds, which makes building quadratic.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_path: defaultdict[str, dict[Any, Any]] = defaultdict(dict)

    def append(self, route: BaseRoute) -> None:
        super().append(route)
        self._note(route)

    def __setitem__(self, index: Any, route: Any) -> None:
        super().__setitem__(index, route)
        self._note(route)

    def _note(self, route: Any) -> None:
        known = self.by_path[route.path]
        pairs: list[tuple[Any, BaseRouteHandler]]
        if isinstance(route, HTTPRoute):
            pairs = [(method, handler) for handler in route.route_handlers for method in handler.http_methods]
        else:
            pairs = [("websocket" if isinstance(route, WebSocketRoute) else "asgi", route.route_handler)]
        for method, handler in pairs:
            other = known.setdefault(method, handler)
            if other is not handler:  # Litestar would drop one of them without a word
                places = " and ".join(sorted((place_of(handler.fn), place_of(other.fn))))
                msg = f"two handlers answer {method} {route.path}: {places}"
                raise ImproperlyConfiguredException(msg)


class _AnyMethod(dict[Any, Any]):
    """The path parameters of an ASGI handler's node, which Litestar keeps under "asgi" but looks up by method."""

    def __missing__(self, key: object) -> Any:
        return self["asgi"]


def _mend_parameters(node: RouteTrieNode) -> None:
    """Let ASGI handlers have path parameters: Litestar 2.25 answers 500 (`KeyError: 'GET'`) for each call of one."""
    if node.is_asgi:
        node.path_parameters = _AnyMethod(node.path_parameters)
    for child in node.children.values():
        _mend_parameters(child)


class _Prefix(Router):
    """The router of one plugin; made for one application, so there is nothing to copy.

    Litestar copies routers deeply, and with them whatever a plugin's handlers are bound to.
    """

    def __init__(self, path: str, handlers: Iterable[Any]) -> None:
        super().__init__(path, route_handlers=[])
        self.routes = _Routes()
        for handler in handlers:
            self.register(handler)

    def __deepcopy__(self, memo: object) -> _Prefix:
        return self

    @property
    def route_handler_method_map(self) -> dict[str, Any]:
        return self.routes.by_path  # type: ignore[attr-defined, no-any-return] # set above


_is_good_host = functools.lru_cache(maxsize=256)(is_valid_host)  # the same few come all day


def _has_good_host(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"host":
            return _is_good_host(value)
    return True


class _Application(Litestar):
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
        self.routes = _Routes()
        self.register(_Prefix(f"/api/{plugin}", handlers))
        _mend_parameters(self.asgi_router.root_route_map_node)

    @property
    def route_handler_method_map(self) -> dict[str, Any]:
        return self.routes.by_path  # type: ignore[attr-defined, no-any-return] # set above

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
