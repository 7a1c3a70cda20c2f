"""The OpenAPI 3.1 document: one part for each plugin, made when it is asked for, and all parts merged.

- An operation is called `<plugin>.<function>`. Where several have one name, each is called
  `<plugin>.<function>_<method>_<path>`, so that none depends on what stands beside it, and the author is warned.
- `x-permission` says what a caller needs: a permission, `signed-in` or `public`.
- WebSockets and whole applications, which OpenAPI has no words for, are a path with `x-websocket` or `x-application`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from litestar.routes import HTTPRoute, WebSocketRoute

from plugin_host.gateway.operations import PROBLEM, Describer
from plugin_host.gateway.walk import RouteInfo, place_of
from plugin_host.sdk.listing import DEFAULT_LIMIT, MAX_LIMIT, MAX_SEARCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from litestar import Litestar

OPENAPI: Final = "3.1.0"

_TYPED: Final = re.compile(r"\{(\w+):\w+\}")
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_NOT_A_WORD: Final = re.compile(r"[^A-Za-z0-9]+")


class DescribeError(Exception):
    """A route cannot be described: one sentence that names its handler."""


@dataclass(frozen=True)
class Part:
    """One plugin's part of the document: its paths, its schemas, and what its author should know."""

    plugin: str
    paths: Mapping[str, Any]
    schemas: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def document(plugin: str, app: Litestar, routes: Iterable[RouteInfo] = ()) -> Part:
    """Describe the routes of one plugin's application, in a few milliseconds; `routes` is what the walk found.

    Runs code of the plugin where its types describe themselves: call it where that may take its time. Raises
    `DescribeError`, which names the handler, and whatever else such code raises.
    """
    describer = Describer(plugin, app)
    paths: dict[str, dict[str, Any]] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            paths.setdefault(route.path_format, {}).update(_http(describer, route))
        elif isinstance(route, WebSocketRoute):
            paths.setdefault(route.path_format, {})["x-websocket"] = describer.socket(route)
    for each in routes:
        if each.method == "*":
            path = _TYPED.sub(r"{\1}", each.path.removesuffix("/*"))
            paths.setdefault(path, {})["x-application"] = {"name": each.handler, "permission": each.permission}
    shown = _one_spelling({path: item for path, item in sorted(paths.items()) if item})
    warnings = tuple(_name(plugin, shown))
    return Part(plugin, *describer.finish(shown), warnings)


def merge(
    parts: Iterable[Part],
    *,
    info: Mapping[str, Any],
    server: str,
    tags: Sequence[Mapping[str, Any]],
    schemes: Mapping[str, Any],
    warnings: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Put parts together. `tags` describe the plugins; one of `schemes` is needed where an operation is not public.

    Nothing can clash: each part's paths, operations and schemas begin with its plugin's id.
    """
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    told = list(warnings)
    for part in parts:
        paths |= {path: _secured(item, schemes) for path, item in part.paths.items()}
        schemas |= part.schemas
        told += [{"plugin": part.plugin, "reason": reason} for reason in part.warnings]
    return {
        "openapi": OPENAPI,
        "info": dict(info),
        "servers": [{"url": server}],
        "tags": list(tags),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": _PARAMETERS,
            "responses": _ANSWERS,
            "securitySchemes": dict(schemes),
        },
        "x-warnings": told,
    }


def _http(describer: Describer, route: HTTPRoute) -> Iterator[tuple[str, dict[str, Any]]]:
    for method, (handler, _model) in sorted(route.route_handler_map.items()):
        if method == "HEAD" or not handler.resolve_include_in_schema():  # the edge makes GET of HEAD
            continue
        try:
            yield method.lower(), describer.operation(route, handler, method)
        except Exception as error:
            name = f"{handler.handler_name} ({method} {route.path}, {place_of(handler.fn)})"
            msg = f"{name} cannot be described: {type(error).__name__}: {error}"
            raise DescribeError(msg[:500]) from error


def _one_spelling(paths: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Let paths that differ in the names of parameters only be one path, as OpenAPI wants it."""
    spelled: dict[str, str] = {}
    made: dict[str, dict[str, Any]] = {}
    for path, item in paths.items():
        first = spelled.setdefault(_PARAMETER.sub("{}", path), path)
        renamed = dict(zip(_PARAMETER.findall(path), _PARAMETER.findall(first), strict=True))
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                if parameter.get("in") == "path":
                    parameter["name"] = renamed[parameter["name"]]
        made.setdefault(first, {}).update(item)
    return made


def _name(plugin: str, paths: Mapping[str, Any]) -> Iterator[str]:
    """Make the name of each operation its own, and tell of names that several have."""
    named: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, item in paths.items():
        for method, operation in item.items():
            if not method.startswith("x-"):
                own = operation["operationId"].removeprefix(f"{plugin}.")
                named.setdefault(own, []).append((path, method, operation))
    taken = {name for name, those in named.items() if len(those) == 1}
    for name, those in named.items():
        for path, method, operation in those:
            wanted = name
            if len(those) > 1:
                below = _NOT_A_WORD.sub("_", path.removeprefix(f"/api/{plugin}")).strip("_")
                wanted = "_".join(filter(None, (name, method, below)))
                while wanted in taken:  # another handler is called so, or another path reads alike
                    wanted += "_"
                taken.add(wanted)
            operation["operationId"] = f"{plugin}.{wanted}"
        if len(those) > 1:
            where = ", ".join(f"{method.upper()} {path}" for path, method, _operation in those)
            yield f"{len(those)} operations are called {name!r} ({where}): give each an operation_id of its own"


def _secured(item: Mapping[str, Any], schemes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        method: operation
        if method.startswith("x-") or not schemes or operation["x-permission"] == "public"
        else {**operation, "security": [{scheme: []} for scheme in schemes]}
        for method, operation in item.items()
    }


# -- what all plugins share ----------------------------------------------------------------------------------

_PROBLEM: Final = {
    "title": "Problem",
    "description": "Why a request failed (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "`urn:plugin-host:problem:` and a stable code: compare this."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "A sentence for people."},
        "instance": {"type": "string", "description": "The request's id: the log has it too."},
        "errors": {
            "type": "array",
            "description": "The fields that are wrong.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "Where in the body, as a JSON pointer."},
                    "detail": {"type": "string", "description": "What is wrong with it."},
                },
            },
        },
    },
}
_ANSWERS: Final = {
    name: {"description": description, "content": PROBLEM}
    for name, description in {
        "NotSignedIn": "Nobody is signed in, or the session has ended.",
        "Forbidden": "A page of another origin sent this.",
        "NotFound": "There is no such thing, or it may not be seen.",
        "Invalid": "A value is missing or wrong: `errors` says which.",
        "Unavailable": "The plugin or the host cannot answer now; `type` says why, `Retry-After` when to try again.",
        "Problem": "Something else went wrong: the body is malformed or too large, there is a conflict, or a fault.",
    }.items()
}
_PARAMETERS: Final = {
    "q": {
        "name": "q",
        "in": "query",
        "description": "Text to be found in the fields that the list searches.",
        "schema": {"type": "string", "maxLength": MAX_SEARCH},
    },
    "sort": {
        "name": "sort",
        "in": "query",
        "description": "The field to sort by, with `-` in front for descending.",
        "schema": {"type": "string"},
    },
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": "`next` of the page before.",
        "schema": {"type": "string"},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "How many items a page has at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    },
    "filters": {
        "name": "filters",
        "in": "query",
        "description": "Any other parameter is the name of a field, and what that field must equal: `?state=draft`.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
