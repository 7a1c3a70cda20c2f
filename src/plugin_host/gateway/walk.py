"""The walk over a plugin's finished routes: each handler says what it needs, or the plugin is refused as a whole.

All faulty handlers are found before anything is raised, each with its file and line.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute, WebSocketRoute

from plugin_host.gateway.gate import NEED, Need
from plugin_host.gateway.options import Options
from plugin_host.gateway.signatures import attach, misused_names, reads_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from litestar import Litestar
    from litestar._kwargs import KwargsModel
    from litestar.handlers import BaseRouteHandler
    from litestar.routes import ASGIRoute

    from plugin_host.gateway.foreign import Foreign
    from plugin_host.sdk.errors import ReasonCode
    from plugin_host.sdk.manifest import PublicRoute

WORDS: Final = ("signed-in", "public")

# Keys by which middleware is told to leave a handler alone, and the host's own.
_RESERVED_OPT: Final = ("exclude_", "skip_", "plugin_host")
_PARAMETER: Final = re.compile(r"\{[^}]*\}")
# Lower case and unescaped, so that one address has one spelling; parameters may hold anything.
_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[a-z0-9._~-]+|\{[A-Za-z_][A-Za-z0-9_]*:[a-z]+\}")


_NOTHING_YET: Final = Need("", ())


@dataclass(frozen=True, slots=True)
class RouteRules:
    """Which permissions the routes of a plugin may name.

    `own` and `required` give the scope (`type` or `object`) of the permissions of the plugin and of those that
    it requires, `known` the owner of every permission there is, `public` what permissions.json lists.
    """

    plugin: str
    own: Mapping[str, str]
    required: Mapping[str, str]
    known: Mapping[str, str]
    public: tuple[PublicRoute, ...] = ()


class RouteInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One route as operators see it: `handler` is the function's name, `place` its file and line.

    `operation` is what the author calls it instead, for OpenAPI and declared screens.
    """

    method: str
    path: str
    permission: str
    handler: str
    place: str
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with one handler."""

    code: ReasonCode
    place: str
    text: str


class Walk:
    """Walks over the routes of one plugin's application; `routes` and `faults` are what it found."""

    def __init__(self, rules: RouteRules, foreign: Iterable[Foreign]) -> None:
        self.routes: list[RouteInfo] = []
        self.faults: list[Fault] = []
        self._rules = rules
        self._answers: dict[tuple[str, str], str] = {}
        self._prefix = f"/api/{rules.plugin}"
        self._foreign = {path: each for each in foreign for path in (each.prefix, f"{each.prefix}/{{rest:path}}")}

    def over(self, app: Litestar) -> None:
        """Look at every handler of every route, and leave what each needs in its `opt`."""
        for route in app.routes:
            if isinstance(route, HTTPRoute):
                self._http(route)
            elif isinstance(route, WebSocketRoute):
                self._one("WS", route.path, route.route_handler, route.handler_parameter_model)
            else:
                self._asgi(route)

    def _http(self, route: HTTPRoute) -> None:
        options: list[Options] = []
        permissions: dict[str, None] = {}
        for handler in route.route_handlers:
            if isinstance(handler, Options):  # nobody's, so it has no permission of its own
                options.append(handler)
                continue
            for method in sorted(handler.http_methods):
                need = self._one(method, route.path, handler, route.route_handler_map[method][1])
                permissions |= dict.fromkeys(need.permissions if need is not None else ())
        for handler in options:
            handler.opt[NEED] = Need(self._rules.plugin, tuple(permissions))

    def _asgi(self, route: ASGIRoute) -> None:
        handler = route.route_handler
        if handler.copy_scope is None:
            handler.copy_scope = True  # what Litestar 3 does; until then it warns at every request
        foreign = self._foreign.get(route.path)
        if foreign is None:
            self._one("*", route.path, handler, None)
        elif route.path == foreign.prefix:
            self._one("*", route.path, handler, None, foreign)
        else:
            handler.opt[NEED] = self._need(handler, None, "*", f"{foreign.prefix}/*".removeprefix(self._prefix))

    def _one(
        self,
        method: str,
        path: str,
        handler: BaseRouteHandler,
        model: KwargsModel | None,
        foreign: Foreign | None = None,
    ) -> Need | None:
        place = f"AsgiApp({foreign.name})" if foreign is not None else place_of(handler.fn)
        name = foreign.name if foreign is not None else handler.handler_name
        shown = path if foreign is None else f"{path}/*"
        below = shown.removeprefix(self._prefix) or "/"
        label = f"{place} {name} ({method} {below})"
        found = [
            *self._shape(handler, path.removeprefix(self._prefix), foreign),
            *self._permission(handler, method, below),
            *self._unasked(handler, foreign),
            *self._twice(f"{place} {name}", method, below),
        ]
        self.faults += [Fault(code, place, f"{label} {text}") for code, text in found]
        if found:
            return None
        need = self._need(handler, model, method, below)
        handler.opt[NEED] = need
        if model is not None:
            attach(model)
        if method != "HEAD":  # the edge makes it GET
            said = getattr(handler, "operation_id", None)
            operation = said if isinstance(said, str) else ""
            self.routes.append(RouteInfo(method, shown, need.permissions[0], name, place, operation))
        return need

    def _need(self, handler: BaseRouteHandler, model: KwargsModel | None, method: str, below: str) -> Need:
        permission = str(handler.opt.get("permission"))
        scope = self._rules.own.get(permission) or self._rules.required.get(permission)
        json = model is not None and isinstance(handler, HTTPRouteHandler) and reads_json(model)
        public: tuple[str, ...] = ()
        if permission == "public":
            listed = (entry for entry in self._rules.public if _lists(entry, method, below))
            before = handler.opt.get(NEED, _NOTHING_YET).public  # of its other methods and paths
            public = tuple(dict.fromkeys((*before, *(f"{each.method} /{each.path.strip('/')}" for each in listed))))
        return Need(self._rules.plugin, (permission,), decides=scope == "object", json=json, public=public)

    def _shape(self, handler: BaseRouteHandler, path: str, foreign: Foreign | None) -> Iterable[tuple[ReasonCode, str]]:
        """Say what the host cannot let a handler do, whoever may call it."""
        for segment in path.strip("/").split("/"):
            if segment and (not _SEGMENT.fullmatch(segment) or (foreign is not None and "{" in segment)):
                yield "hook_invalid", f"has {segment!r} in its path: use lower-case letters, digits and . _ ~ -"
        for key, value in handler.opt.items():
            # A handler of two paths comes by twice, the second time with what was left here the first time.
            if key.startswith(_RESERVED_OPT) and not isinstance(value, Need):
                yield "hook_invalid", f"sets opt[{key!r}], which would weaken the host: leave it out"
        for text in misused_names(handler):
            yield "hook_invalid", text
        if isinstance(handler, ASGIRouteHandler) and handler.is_mount:
            text = "is a mount, which would also answer paths that only begin alike: use"
            yield "hook_invalid", f"{text} AsgiApp(app, path=..., permission=...)"
        if isinstance(handler, HTTPRouteHandler):
            if handler.cache and handler.cache_key_builder is None:
                text = "has cache= without cache_key_builder: one person would get another's answer"
                yield "hook_invalid", text
            if handler.resolve_request_max_body_size() is None:
                yield "hook_invalid", "lifts the limit of the body: give request_max_body_size a number of bytes"

    def _twice(self, label: str, method: str, below: str) -> Iterable[tuple[ReasonCode, str]]:
        """Find what answers the same addresses: Litestar lets the later one win if only parameters are named apart."""
        first = self._answers.setdefault((method, _PARAMETER.sub("{}", below)), label)
        if first != label:
            yield "hook_invalid", f"answers the same addresses as {first}: only one of them would ever be called"

    def _permission(self, handler: BaseRouteHandler, method: str, below: str) -> Iterable[tuple[ReasonCode, str]]:
        rules = self._rules
        permission = handler.opt.get("permission")
        if not isinstance(permission, str) or not permission:
            near = difflib.get_close_matches("permission", handler.opt, n=1, cutoff=0.8) if permission is None else []
            yield "permission_undeclared", "declares no permission" + (f" (but {near[0]!r}?)" if near else "")
        elif permission == "public":
            if not any(_lists(entry, method, below) for entry in rules.public):
                yield "public_unlisted", "is public, but permissions.json does not list it under public"
        elif permission in WORDS or permission in rules.own or permission in rules.required:
            return
        elif (owner := rules.known.get(permission)) is not None:
            text = f"needs {permission!r} of {owner!r}, which {rules.plugin!r} does not require in plugin.json"
            yield "permission_foreign", text
        else:
            near = difflib.get_close_matches(permission, (*rules.own, *rules.required, *WORDS), n=1)
            yield (
                "permission_unknown",
                f"needs {permission!r}, which nobody declares" + (f"; did you mean {near[0]!r}?" if near else ""),
            )

    def _unasked(self, handler: BaseRouteHandler, foreign: Foreign | None) -> Iterable[tuple[ReasonCode, str]]:
        """Find what could never ask for a decision about an object, so that each of its answers would be undone."""
        permission = str(handler.opt.get("permission"))
        if foreign is not None and "object" in (self._rules.own.get(permission), self._rules.required.get(permission)):
            text = f"needs {permission!r}, which is asked of an object, but a foreign application cannot ask"
            yield "hook_invalid", f"{text}: name a permission of type scope"


def place_of(fn: Callable[..., Any]) -> str:
    """Give file and line of the function an author wrote, behind whatever it was wrapped in."""
    found: Any = fn
    while (inner := _inside(found)) is not None:
        found = inner
    code = getattr(found, "__code__", None)
    # An object with `__call__`, or something written in C, has no line: its module must do.
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else type(found).__module__


def _inside(fn: Any) -> Any:
    if inspect.ismethod(fn):
        return fn.__func__
    if isinstance(fn, functools.partial):
        return fn.func
    # What functools.wraps leaves, and what Litestar wraps a function that goes to a thread in.
    wrapped = getattr(fn, "__wrapped__", None)
    return wrapped if wrapped is not None or inspect.isfunction(fn) else getattr(fn, "func", None)


def _lists(entry: PublicRoute, method: str, below: str) -> bool:
    if entry.method not in ("*", "GET" if method == "HEAD" else method):
        return False
    path = f"/{entry.path.strip('/')}"
    if path.endswith("/*"):
        base = path.removesuffix("/*")
        return below == (base or "/") or below.startswith(f"{base}/")
    return below == path
