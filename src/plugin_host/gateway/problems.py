"""Errors become answers here, once: whatever was raised, people get RFC 9457 and operators get the log."""

from __future__ import annotations

import logging
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError as PoolTimeout,
)

from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.models import to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    Scope = dict[str, Any]
    Send = Callable[[Any], Awaitable[None]]

MEDIA_TYPE: Final = "application/problem+json"
REQUEST_ID: Final = "plugin_host.request_id"
FAILED: Final = "plugin_host.failed"
"""Where an unexpected exception is left, and of a WebSocket every one: Litestar turns them all into 4500."""

_CODES: Final = {
    400: "malformed",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    503: "unavailable",
}
# Said where nobody has said more: a code alone helps a program, a person it does not.
_SENTENCES: Final = {
    400: "The request cannot be understood.",
    401: "Sign in first.",
    403: "You may not do this.",
    404: "There is nothing at this address, or nothing that you may see.",
    405: "This address does not answer to that method; `Allow` names those that it does.",
    409: "This contradicts something that is already there.",
    413: "The request's body is too large.",
    415: "The request's body is of a type that is not read here.",
    422: "Something in the request is not as it must be.",
    429: "Too many requests; try again later.",
    500: "Something went wrong; the log has it under this request's id.",
    503: "This is not available right now.",
}
_MISSING_PARAMETER: Final = re.compile(r"Missing required \w+ parameter '([^']*)'")
_NAMED_FIELD: Final = re.compile(r"field `([^`]*)`")
# SQLSTATE of PostgreSQL for a deadlock and for two transactions that cannot both be: the same call may work next time.
_TRY_AGAIN: Final = frozenset({"40001", "40P01"})
# Classes of SQLSTATE: the connection is lost, or the server is going down; and a database that takes none.
_AWAY: Final = frozenset({"08", "57"})
_NOT_ACCEPTING: Final = "55000"
SAY_EVERY: Final = 10.0
"""Seconds between two lines that say that the database is away."""
_away: Final = [float("-inf")]
_CLOSE_REASON_BYTES: Final = 123
UNWORDED: Final = 4500
"""The code of a close whose exception is in `FAILED`: `word_closes` says what it is."""

log = logging.getLogger("plugin_host.gateway")


def to_problem(exc: BaseException) -> Problem:
    """Word any exception for the caller. What is not meant for callers becomes 500 without a detail."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, ValidationException):
        return _invalid_request(exc)
    if isinstance(exc, HTTPException):
        return _of_status(exc.status_code, exc.detail, exc.headers)
    if isinstance(exc, SerializationException) and isinstance(exc.__cause__, msgspec.DecodeError):
        return Problem(400, "malformed", str(exc))
    if isinstance(exc, msgspec.DecodeError):
        return _undecodable(exc)
    if isinstance(exc, RecursionError) and "deserializing" in str(exc):  # msgspec's own limit
        return Problem(400, "malformed", "The JSON is nested too deep.")
    if isinstance(exc, SQLAlchemyError) and (problem := _of_database(exc)) is not None:
        return problem
    status = getattr(exc, "status_code", None)  # Starlette's and other frameworks' HTTP exceptions
    if isinstance(status, int) and status in HTTPStatus._value2member_map_:
        return _of_status(status, str(getattr(exc, "detail", "")), getattr(exc, "headers", None))
    return Problem(500, "internal_error", "Something went wrong; the log has it under this request's id.")


def encode(problem: Problem, scope: Scope) -> tuple[bytes, dict[str, str]]:
    """Give the body and the headers of the answer, without content type and length."""
    headers = {"cache-control": "no-store", **problem.headers}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("www-authenticate", "Bearer")
    members = problem.body(scope.get(REQUEST_ID, ""))
    members.setdefault("detail", _SENTENCES.get(problem.status, problem.title))
    return msgspec.json.encode(members), headers


async def send_problem(problem: Problem, scope: Scope, send: Send) -> None:
    """Answer with the problem: an HTTP request, or a WebSocket handshake that was not accepted.

    A server that cannot answer a handshake in HTTP closes it with 4000 + status instead.
    """
    kind = "http.response"
    if scope["type"] == "websocket":
        kind = "websocket.http.response"
        if kind not in (scope.get("extensions") or {}):
            await send(_close(problem))
            return
    body, extra = encode(problem, scope)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in extra.items()),
    ]
    await send({"type": f"{kind}.start", "status": problem.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})


def word_closes(scope: Scope, send: Send) -> Send:
    """Wrap the `send` of a WebSocket: an exception closes it with 4000 + status, or refuses the handshake."""
    accepted = closed = False

    async def worded(message: Any) -> None:
        nonlocal accepted, closed
        kind = message["type"]
        if closed:
            return  # what fails after the handler has closed cannot be told any more
        accepted = accepted or kind == "websocket.accept"
        closed = kind == "websocket.close"
        if closed and message.get("code") == UNWORDED and FAILED in scope:
            problem = to_problem(scope[FAILED])
            if not accepted:
                await send_problem(problem, scope, send)
                return
            message = _close(problem)
        await send(message)

    return worded


def log_unexpected(exc: BaseException, problem: Problem, scope: Scope, plugin: str) -> None:
    """Keep what a caller is not told: the exception behind a 500, with the plugin's name and the request's id."""
    if is_away(exc):
        note_away(exc)
    elif problem.status == HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(exc, Problem):
        what = f"{scope.get('method', 'WebSocket')} {scope['path']}"
        log.error("plugin %s failed at %s (request %s)", plugin, what, scope.get(REQUEST_ID, "-"), exc_info=exc)
        scope.setdefault(FAILED, exc)  # whoever counts errors says what failed last
    elif isinstance(exc, IntegrityError | DataError):
        log.warning("plugin %s: the database refused %s (request %s)", plugin, exc.orig, scope.get(REQUEST_ID, "-"))


def _of_status(status: int, detail: str, headers: Mapping[str, str] | None) -> Problem:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem(500, "internal_error", "Something went wrong; the log has it under this request's id.")
    if detail == phrase or detail.startswith("no file or directory match the path"):
        detail = ""  # the second is Litestar's static router, naming the folder on the server
    code = _CODES.get(status) or phrase.lower().replace(" ", "_").replace("-", "_").replace("'", "")
    if status == HTTPStatus.METHOD_NOT_ALLOWED and headers:
        headers = {name: _methods(value) if name.lower() == "allow" else value for name, value in headers.items()}
    return Problem(status, code, detail, headers=headers, title=phrase)


def _of_database(exc: SQLAlchemyError) -> Problem | None:
    """Word what is the caller's fault, or passes; anything else is ours."""
    if isinstance(exc, IntegrityError):
        return Problem(409, "conflict", "This contradicts something that is already there.")
    if isinstance(exc, DataError):
        return Problem(422, "invalid", "A value is too long, too large, or has a NUL character in it.")
    if is_away(exc):
        return Problem(
            503, "database_unavailable", "The database cannot be reached; try again.", headers={"retry-after": "5"}
        )
    if isinstance(exc, PoolTimeout) or (isinstance(exc, OperationalError) and _is_busy(exc)):
        return Problem(503, "busy", "The database is busy; try again.", headers={"retry-after": "1"})
    return None


# What SQLite says of a file that is not there, a disk that is full or broken, and rights that were taken away.
_NO_FILE: Final = ("unable to open database file", "disk is full", "disk I/O error", "readonly database")


def is_away(exc: BaseException) -> bool:
    """Tell whether an exception says that the database cannot be reached: nobody's fault here, and it passes."""
    if not isinstance(exc, OperationalError | InterfaceError):
        return False
    if exc.connection_invalidated:
        return True
    if type(exc.orig).__module__.partition(".")[0] == "psycopg":
        state = getattr(exc.orig, "sqlstate", None)
        return state is None or state[:2] in _AWAY or state == _NOT_ACCEPTING
    return any(words in str(exc.orig) for words in _NO_FILE)


def note_away(exc: BaseException) -> None:
    """Log that the database cannot be reached: a line in a while, not a traceback for each call."""
    now = time.monotonic()
    if now - _away[0] >= SAY_EVERY:
        _away[0] = now
        log.error("the database cannot be reached: %s", str(getattr(exc, "orig", exc)).strip().partition("\n")[0])


def _methods(allow: str) -> str:
    """Leave what Litestar lists besides methods out of `Allow`, and add HEAD, which the edge serves as GET."""
    methods = {word.strip() for word in allow.split(",")} - {"websocket", "asgi", ""}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _invalid_request(exc: ValidationException) -> Problem:
    extra = exc.extra if isinstance(exc.extra, list) else []
    faults = [fault for fault in extra if isinstance(fault, dict) and "message" in fault]
    if any(fault.get("source") == "path" for fault in faults):
        return Problem(404, "not_found")  # a path that does not convert names nothing
    errors = [_field_error(str(fault.get("key", "")), str(fault["message"])) for fault in faults]
    if missing := _MISSING_PARAMETER.match(exc.detail):
        errors = [FieldError(f"/{missing.group(1)}", "is required")]
    detail = _sentence(errors) if errors else exc.detail
    return Problem(422, "invalid", detail, errors=errors)


def _undecodable(exc: msgspec.DecodeError) -> Problem:
    """Tell a caller's mistake from ours: a row that does not fit its output struct is the plugin's fault."""
    if not isinstance(exc, msgspec.ValidationError):
        return Problem(400, "malformed", str(exc))
    last = exc.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is not None and last.tb_frame.f_code is to.__code__:
        return Problem(500, "internal_error", "Something went wrong; the log has it under this request's id.")
    message, _, place = str(exc).partition(" - at `$")
    error = _field_error(place.rstrip("`").removeprefix("."), message)
    return Problem(422, "invalid", _sentence([error]), errors=[error])


def _field_error(key: str, message: str) -> FieldError:
    """Turn `data`, `items[0].name` or `name` into a JSON pointer; a missing or unknown field is part of it."""
    if message == "'data'":  # Litestar's words for a body that is not there
        return FieldError("", "is required, as JSON")
    path = "" if key == "data" else key
    parts = [part for part in re.split(r"[.\[\]]+", path) if part and part != "..."]
    if (named := _NAMED_FIELD.search(message)) is not None:
        parts.append(named.group(1))
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
    return FieldError(pointer, message)


def _sentence(errors: Iterable[FieldError]) -> str:
    return "; ".join(f"{error.pointer[1:] or 'body'}: {error.detail}" for error in errors)


def _is_busy(exc: OperationalError) -> bool:
    return getattr(exc.orig, "sqlstate", None) in _TRY_AGAIN or "locked" in str(exc.orig)


def _close(problem: Problem) -> dict[str, object]:
    reason = (problem.detail or problem.code).encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore")
    return {"type": "websocket.close", "code": 4000 + problem.status, "reason": reason}
