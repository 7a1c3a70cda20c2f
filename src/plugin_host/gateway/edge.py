"""The edge: the outermost layer, around everything the host answers, so that nothing leaves without it.

1. A request gets its id; ids of clients, and headers that only the host may set, do not come in.
2. A Host that is not allowed is refused, the same at every path.
3. HEAD runs as GET, and its body is dropped.
4. Every answer gets the security headers; a plugin may set its own content security policy and caching.
5. What escapes from below becomes a 500 with nothing but the id, and a line in the log.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
from typing import TYPE_CHECKING, Any, Final

from plugin_host.gateway.guard import STATUS
from plugin_host.gateway.problems import REQUEST_ID, send_problem, to_problem
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_Header = tuple[bytes, bytes]

# On every answer, whatever a plugin says.
_FIXED: Final[tuple[_Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HSTS: Final[_Header] = (b"strict-transport-security", b"max-age=31536000")
# Unless the answer says otherwise.
_DEFAULTS: Final[tuple[_Header, ...]] = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_NO_STORE: Final[_Header] = (b"cache-control", b"no-store")
# Both together, by (is the public address https, is it an answer of the API).
_ADDED: Final = {
    (https, api): (*_FIXED, *((_HSTS,) if https else ()), *_DEFAULTS, *((_NO_STORE,) if api else ()))
    for https in (True, False)
    for api in (True, False)
}
_FORCED: Final = frozenset({*(name for name, _ in (*_FIXED, _HSTS)), b"x-request-id", b"server"})
_TOUCHED: Final = _FORCED | {name for name, _ in (*_DEFAULTS, _NO_STORE)}
_OURS: Final = b"x-plugin-host-"
_X: Final = (b"x", b"X")
# A name, or an IPv6 address in its brackets; a dot at the end and a port may follow.
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:/@\s\[\]]+?)\.?(?::[0-9]*)?")
_SECURE: Final = ("https", "wss")
_WITH_HEADERS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
_STARTS: Final = _WITH_HEADERS | {"websocket.accept", "websocket.close"}

log = logging.getLogger("plugin_host.gateway")


class Edge:
    """Wraps the dispatcher.

    `allowed_hosts` are host names without a port (`*.example.org` allows those below, `*` any); without them the
    Host header is not looked at. `https` says that the public address is https, also when a proxy in front
    speaks plain http to this process.
    """

    def __init__(
        self,
        app: Callable[[Any, Any, Any], Awaitable[None]],
        *,
        allowed_hosts: Iterable[str] = (),
        https: bool = False,
    ) -> None:
        self._app = app
        self._https = https
        patterns = tuple(host.lower().rstrip(".") for host in allowed_hosts)
        self._check_host = bool(patterns) and "*" not in patterns
        # The same few Host headers come all day.
        self._allowed = functools.lru_cache(maxsize=256)(functools.partial(_matches, patterns))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer an HTTP or WebSocket scope; the scope itself is left as it is."""
        headers = [header for header in scope["headers"] if header[0][:1] not in _X or not _is_ours(header[0])]
        scope = {**scope, REQUEST_ID: os.urandom(8).hex(), "headers": headers}
        is_head = scope.get("method") == "HEAD"
        if is_head:
            scope["method"] = "GET"
        started = False

        async def answer(message: Any) -> None:
            nonlocal started
            kind = message["type"]
            if kind not in _STARTS:
                if not is_head:
                    await send(message)
                return
            started = True
            if kind == "http.response.start":
                scope[STATUS] = message["status"]
            if kind in _WITH_HEADERS:
                message = {**message, "headers": self._headers(message.get("headers", ()), scope)}
            await send(message)
            if is_head:
                # At once: what would stream for ever never comes to its end by itself.
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            self._require_host(headers)
            await self._app(scope, receive, answer)
        except Problem as problem:
            await send_problem(problem, scope, answer)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_called_off():
                raise
            log.exception("%s failed (request %s)", scope["path"], scope[REQUEST_ID])
            if started:
                raise  # the server must cut the connection: half an answer must not look like a whole one
            await send_problem(to_problem(error), scope, answer)

    def _headers(self, given: Iterable[_Header], scope: dict[str, Any]) -> list[_Header]:
        https = self._https or scope.get("scheme") in _SECURE
        added = _ADDED[https, scope["path"].startswith("/api/")]
        request_id = (b"x-request-id", scope[REQUEST_ID].encode())
        said = {header[0].lower() for header in given}
        if said.isdisjoint(_TOUCHED):
            return [*given, *added, request_id]
        kept = [header for header in given if header[0].lower() not in _FORCED]
        return [*kept, *(header for header in added if header[0] in _FORCED or header[0] not in said), request_id]

    def _require_host(self, headers: list[_Header]) -> None:
        if not self._check_host:
            return
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._allowed(hosts[0]):
            raise Problem(400, "bad_host", "This host does not answer to that name.")


def _is_called_off() -> bool:
    """Tell whether the server has cancelled the request; else something below has raised it without being asked."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_ours(name: bytes) -> bool:
    """Tell whether a request header is one that only the host may set, in whichever spelling it comes."""
    return name.lower().replace(b"_", b"-").startswith(_OURS)


def _matches(patterns: tuple[str, ...], header: bytes) -> bool:
    found = _HOST.fullmatch(header.decode("latin-1").lower())
    if found is None:
        return False
    host = found.group(1)
    return any(host == pattern or (pattern[:2] == "*." and host.endswith(pattern[1:])) for pattern in patterns)
