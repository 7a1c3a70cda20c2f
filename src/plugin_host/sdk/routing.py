"""Routes: Litestar's own decorators with `permission=` typed. Undeclared routes are refused at load."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import litestar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler

Fn = TypeVar("Fn", bound="Callable[..., Any]")


class RouteOptions(TypedDict, total=False):
    """What may be said of a route besides path and permission: Litestar's own words."""

    deprecated: bool
    description: str
    include_in_schema: bool
    media_type: str
    name: str
    opt: dict[str, Any]
    raises: Sequence[type[Exception]]
    request_max_body_size: int | None
    status_code: int
    summary: str
    sync_to_thread: bool
    tags: Sequence[str]


def get(
    path: str = "/", *, permission: str | None = None, operation_id: str | None = None, **options: Unpack[RouteOptions]
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """Declare a route that reads; it runs without a write transaction.

    `permission` is a permission of this plugin or of one it requires, `"signed-in"`, or `"public"` (which
    must also stand in permissions.json). `path` is relative to `/api/<id>`. The operation's name is the
    function's, unless `operation_id` says otherwise.
    """
    return _route(litestar.get, path, permission, operation_id, options)


def post(
    path: str = "/", *, permission: str | None = None, operation_id: str | None = None, **options: Unpack[RouteOptions]
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """Declare a route that creates or acts; answers 201 unless `status_code` says otherwise. See `get`."""
    return _route(litestar.post, path, permission, operation_id, options)


def put(
    path: str = "/", *, permission: str | None = None, operation_id: str | None = None, **options: Unpack[RouteOptions]
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """Declare a route that replaces. See `get`."""
    return _route(litestar.put, path, permission, operation_id, options)


def patch(
    path: str = "/", *, permission: str | None = None, operation_id: str | None = None, **options: Unpack[RouteOptions]
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """Declare a route that changes some fields. See `get`."""
    return _route(litestar.patch, path, permission, operation_id, options)


def delete(
    path: str = "/", *, permission: str | None = None, operation_id: str | None = None, **options: Unpack[RouteOptions]
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """Declare a route that deletes; answers 204. See `get`."""
    return _route(litestar.delete, path, permission, operation_id, options)


def websocket(
    path: str = "/", *, permission: str | None = None, opt: dict[str, Any] | None = None
) -> Callable[[Callable[..., Any]], WebsocketRouteHandler]:
    """Declare a WebSocket; a handshake that may not be is answered 401 or 403. See `get`."""
    said = {} if permission is None else {"permission": permission}
    return litestar.websocket(path, opt={**(opt or {}), **said})


def _route(
    kind: Callable[..., Callable[[Any], Any]],
    path: str,
    permission: str | None,
    operation_id: str | None,
    options: RouteOptions,
) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    given: dict[str, Any] = dict(options)
    opt = dict(given.pop("opt", {}))
    if permission is not None:
        opt["permission"] = permission

    def decorate(fn: Callable[..., Any]) -> HTTPRouteHandler:
        # A function that is not async may block: it goes to a thread, never onto the event loop.
        thread = {} if inspect.iscoroutinefunction(fn) else {"sync_to_thread": True}
        made: HTTPRouteHandler = kind(path, operation_id=operation_id or fn.__name__, opt=opt, **{**thread, **given})(
            fn
        )
        return made

    return decorate
