"""JSON answers the short way.

Most handlers return a struct, a list or a mapping, to be sent as JSON and nothing else. Litestar makes two response
objects with headers, cookies and background tasks for that, which costs a third of a request; here it is two
messages. Whatever else a handler says or returns goes Litestar's way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response
from litestar.enums import MediaType
from litestar.exceptions import ImproperlyConfiguredException
from litestar.types import Empty

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar.handlers import HTTPRouteHandler

_PLAIN: Final = (dict, list, tuple, msgspec.Struct)
_TYPE: Final = (b"content-type", b"application/json")
_NO_BODY: Final = frozenset({204, 304})


def shorten(handler: HTTPRouteHandler) -> None:
    """Let a handler answer the short way, if all that it declares is a status and that it answers JSON."""
    # Litestar shares this between the copies that it makes of a handler: whoever builds a plugin anew would go through
    # what the last application left, and keep it alive.
    handler._response_handler_mapping = {"default_handler": Empty, "response_type_handler": Empty}  # noqa: SLF001
    litestar_way: Callable[..., Awaitable[Any]] = handler.get_response_handler()
    returned = handler.parsed_fn_signature.return_type
    if returned.is_subclass_of(Response) or not _is_plain(handler):
        return
    status = handler.status_code
    encode = msgspec.json.Encoder(enc_hook=handler.default_serializer).encode

    async def answer(data: Any, **rest: Any) -> Any:
        if not isinstance(data, _PLAIN):
            return await litestar_way(data=data, **rest)
        try:
            return _Json(status, encode(data))
        except (TypeError, msgspec.EncodeError) as error:
            raise ImproperlyConfiguredException("The answer cannot be written as JSON") from error

    # Litestar keeps what it makes at the first request here; there is no other way in.
    handler._response_handler_mapping["default_handler"] = answer  # noqa: SLF001


def _is_plain(handler: HTTPRouteHandler) -> bool:
    layers = handler.ownership_layers
    return (
        handler.media_type == MediaType.JSON
        and handler.status_code not in _NO_BODY
        and handler.resolve_response_class() is Response
        and not handler.background
        and not handler.resolve_response_headers()
        and not handler.resolve_response_cookies()
        and not any(getattr(layer, "after_request", None) for layer in layers)
    )


class _Json:
    """An ASGI application that answers one body of JSON."""

    __slots__ = ("_body", "_status")

    def __init__(self, status: int, body: bytes) -> None:
        self._status = status
        self._body = body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [_TYPE, (b"content-length", b"%d" % len(self._body))]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
