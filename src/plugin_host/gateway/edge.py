"""The edge: the outermost layer, around everything the host answers, so that nothing leaves without it.

1. A request gets its id; ids of clients, and headers that only the host or a proxy may set, do not come in. What
   a trusted proxy says of client, scheme and host is put in their place.
2. A request that could be read in two ways is refused, and so is a Host that is not allowed, the same at every path.
3. HEAD runs as GET, and its body is dropped.
4. Every answer gets the security headers; a plugin may set its own content security policy and caching. So does a
   handshake that is refused.
5. What escapes from below becomes a 500 with nothing but the id, and a line in the log.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from plugin_host.gateway.guard import STATUS
from plugin_host.gateway.problems import REQUEST_ID, is_away, note_away, send_problem, to_problem
from plugin_host.gateway.wire.connections import block_of
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from plugin_host.gateway.proxies import Proxies
    from plugin_host.gateway.rates import Rates

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
_FORCED_ON_FRAMES: Final = _FORCED - {b"cross-origin-resource-policy"}
_TOUCHED: Final = _FORCED | {name for name, _ in (*_DEFAULTS, _NO_STORE)}
FRAMED: Final = "plugin_host.framed"
"""Set in the scope of an answer that a frame without an origin may load: to browsers such a frame is a stranger."""
# What only the host sets, and what only a trusted proxy may say (it is read by then): a plugin, or an application
# that it brings, must not be able to believe a client's word for it. `Proxy` is a variable of CGI in disguise.
_SPOOFED: Final = (b"x-plugin-host-", b"x-forwarded-", b"x-real-ip", b"x-original-", b"x-rewrite-url", b"forwarded")
_CGI: Final = b"proxy"
_SUSPECT: Final = frozenset({b"x", b"X", b"f", b"F", b"p", b"P"})
# A name, or an IPv6 address in its brackets; a dot at the end and a port may follow.
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.*~!$&'()+,;=%-]+?)\.?(?::[0-9]*)?")
_SECURE: Final = ("https", "wss")
_WITH_HEADERS: Final = frozenset({"http.response.start", "websocket.http.response.start"})
_STARTS: Final = _WITH_HEADERS | {"websocket.accept", "websocket.close"}

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
"""Under these names a machine is reached by itself."""

_CLOSING: Final = {"connection": "close"}
_AMBIGUOUS: Final = Problem(
    400,
    "ambiguous_request",
    "The request has two lengths, or two hosts: where it ends, or whom it is for, could be read in two ways.",
    headers=_CLOSING,
)
_NO_HOST: Final = Problem(400, "bad_host", "The request has no Host header.", headers=_CLOSING)
_BAD_HOST: Final = Problem(400, "bad_host", "This host does not answer to that name.")
_UNWANTED: Final = Problem(403, "forbidden", "The handshake was refused.")
_TOO_LARGE: Final = 413
_CLOSE: Final = (b"connection", b"close")

log = logging.getLogger("plugin_host.gateway")


class Edge:
    """Wraps the dispatcher.

    `allowed_hosts` are host names without a port (`*.example.org` allows those below, `*` any); without them any
    name will do. `https` says that the public address is https, also when a proxy in front speaks plain http to
    this process. `proxies` are those that are believed, `rates` says how often an address
    may ask.
    """

    def __init__(
        self,
        app: Callable[[Any, Any, Any], Awaitable[None]],
        *,
        allowed_hosts: Iterable[str] = (),
        https: bool = False,
        proxies: Proxies | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._app = app
        self._https = https
        self._proxies = proxies if proxies is not None and proxies.any else None
        self._rates = rates if rates is not None and rates.of_addresses else None
        patterns = tuple(host.lower().rstrip(".") for host in allowed_hosts) or ("*",)
        self._choosy = "*" not in patterns
        # The same few Host headers come all day.
        self._allowed = functools.lru_cache(maxsize=256)(functools.partial(_matches, patterns))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: C901 - a closure costs least
        """Answer an HTTP or WebSocket scope; the scope itself is left as it is."""
        scope = self._adopted(scope)
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
            if kind == "websocket.close" and not started and _can_be_refused(scope):
                await send_problem(_UNWANTED, scope, answer)  # the server would refuse it in its own words
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
            self._require_sense(scope)
            if self._rates is not None and not scope["path"].startswith("/health/"):
                await self._rates.count_address(block_of((scope.get("client") or ("", 0))[0]))
            await self._app(scope, receive, answer)
        except Problem as problem:
            await send_problem(problem, scope, answer)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if _is_called_off(error):
                raise
            _note(error, scope)
            if started:
                raise  # the server must cut the connection: half an answer must not look like a whole one
            await send_problem(to_problem(error), scope, answer)

    def _adopted(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Give a scope of our own: with its id, without what clients may not say, and with what proxies say."""
        came = scope["headers"]
        headers = [each for each in came if each[0][:1] not in _SUSPECT or not _is_spoofed(each[0])]
        adopted = {**scope, REQUEST_ID: os.urandom(8).hex(), "headers": headers}
        if self._proxies is not None:
            self._proxies.apply(adopted, came)
        return adopted

    def _headers(self, given: Iterable[_Header], scope: dict[str, Any]) -> list[_Header]:
        https = self._https or scope.get("scheme") in _SECURE
        added = _ADDED[https, scope["path"].startswith("/api/")]
        request_id = (b"x-request-id", scope[REQUEST_ID].encode())
        if scope.get(STATUS) == _TOO_LARGE and scope.get("http_version", "")[:1] == "1":
            given = [*given, _CLOSE]  # the rest of the body is still coming
        said = {header[0].lower() for header in given}
        if said.isdisjoint(_TOUCHED):
            return [*given, *added, request_id]
        # Below /api a plugin has the scope in its hands; a frame's files are sent by the host.
        forced = _FORCED_ON_FRAMES if scope.get(FRAMED) and not scope["path"].startswith("/api/") else _FORCED
        kept = [header for header in given if header[0].lower() not in forced]
        return [*kept, *(header for header in added if header[0] in forced or header[0] not in said), request_id]

    def _require_sense(self, scope: dict[str, Any]) -> None:
        """Refuse what another server on the way might have read otherwise, and what is meant for another host."""
        names = [name for name, _ in scope["headers"]]
        if b"content-length" in names and (b"transfer-encoding" in names or names.count(b"content-length") > 1):
            raise _AMBIGUOUS
        hosts = names.count(b"host")
        if hosts == 1:
            if self._allowed(scope["headers"][names.index(b"host")][1]):
                return
            raise _BAD_HOST
        if hosts:
            raise _AMBIGUOUS
        if self._choosy or scope.get("http_version", "1.0") != "1.0":
            raise _NO_HOST


def hosts_of(public_url: str | None) -> tuple[str, ...]:
    """Give the host names that go without saying: the one of the public address, and this machine's own.

    Without a public address there are none, and any will do.
    """
    name = urlsplit(public_url or "").hostname
    return (f"[{name}]" if name and ":" in name else name, *LOOPBACK) if name else ()


def _is_called_off(error: BaseException) -> bool:
    """Tell whether the server has cancelled the request; else something below has raised it without being asked."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _note(error: BaseException, scope: dict[str, Any]) -> None:
    if is_away(error):
        note_away(error)
    else:
        log.error("%s failed (request %s)", scope["path"], scope[REQUEST_ID], exc_info=error)


def _can_be_refused(scope: dict[str, Any]) -> bool:
    """Tell whether the server lets a handshake be answered in HTTP."""
    return "websocket.http.response" in (scope.get("extensions") or ())


def _is_spoofed(name: bytes) -> bool:
    """Tell whether a request header is one that clients may not set, in whichever spelling it comes."""
    plain = name.lower().replace(b"_", b"-")
    return plain.startswith(_SPOOFED) or plain == _CGI


def _matches(patterns: tuple[str, ...], header: bytes) -> bool:
    found = _HOST.fullmatch(header.decode("latin-1").lower())
    if found is None:
        return False
    host = found.group(1)
    return "*" in patterns or any(
        host == pattern or (pattern[:2] == "*." and host.endswith(pattern[1:])) for pattern in patterns
    )
