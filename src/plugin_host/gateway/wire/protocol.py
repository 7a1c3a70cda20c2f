"""uvicorn's HTTP protocol with limits: what a client may send, how slowly, and over how many connections.

An ASGI application is not called before the headers are complete, so that it can do nothing about a client that
never completes them; and the parser keeps a header that does not end in memory without a word.

1. A connection has its place, or an idle one leaves it to it, or it is answered 503.
2. The first line and the headers are counted while they come; more than the limit is 431.
3. Headers have their time, and so has a body, with more of it for whoever sends much. Nothing at all counts as
   headers that do not come. An answer that nobody takes is given up after the same time.
4. Whatever is refused here is refused as a problem, with the headers of every other answer, and ends the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_remote_addr

from plugin_host.gateway.wire.connections import LOOK_EVERY, Connection, block_of
from plugin_host.gateway.wire.refusals import FULL, LATE, MALFORMED, headers_too_large, write

if TYPE_CHECKING:
    import asyncio

    from plugin_host.gateway.wire.connections import Connections
    from plugin_host.sdk.errors import Problem

BYTES_A_SECOND: Final = 1000
"""Whoever sends or takes so much is not slow."""
LEFTOVER: Final = 262_144
"""Bytes of a body that are still taken after its request was answered; then the connection is closed."""

_HEADERS, _BODY, _BETWEEN = range(3)


class _Refused(Exception):
    """Ends the parsing; httptools wraps it."""


class WireProtocol(HttpToolsProtocol, Connection):
    """One connection. `limited` makes the class that uvicorn is given."""

    _register: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = _HEADERS  # a new connection is one whose first headers have not come
        self._since = self._stuck = 0.0
        self._head = self._chunk = self._come = self._unsent = 0
        self._refusal: Problem | None = None
        self._admitted = self._dead = False

    # -- the connection ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give it a place, or turn it away."""
        register = self._register
        remote = get_remote_addr(transport)
        self.address = block_of(remote[0]) if remote is not None else ""
        if not register.admit(self):
            self._dead = True
            self.transport = transport
            transport.write(write(FULL))
            transport.close()
            return
        self._admitted = True
        self._since = self.loop.time()
        register.look_out(self.loop)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give its place back."""
        self._register.discharge(self)
        if self._admitted:
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the client takes less than it is sent."""
        self._unsent = 0
        super().pause_writing()

    @property
    def idle(self) -> bool:
        """Whether it waits for a request, or for the rest of its headers."""
        return self._phase != _BODY and (self.cycle is None or self.cycle.response_complete)

    def evict(self) -> None:
        """Close it without a word: it has asked for nothing."""
        self._dead = True
        self.transport.close()

    def expire(self, now: float) -> None:
        """End it if it is too slow."""
        limits = self._register.limits
        if self.transport.is_closing() or self.flow.write_paused:
            self._expire_reader(now, limits.body_timeout)
        elif self.flow.read_paused:
            self._since += LOOK_EVERY  # it is the application that takes its time
        elif self._phase == _HEADERS:
            if now - self._since > limits.header_timeout:
                self._refuse(LATE) if self._head else self.evict()
        elif self._phase == _BODY and now - self._since > limits.body_timeout + self._come / BYTES_A_SECOND:
            self._refuse(LATE)

    def _expire_reader(self, now: float, patience: float) -> None:
        """End it if nothing has left for too long of what it is sent."""
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent or not self._unsent:
            self._unsent, self._stuck = unsent, now
        elif now - self._stuck > patience:
            self._dead = True
            self.transport.abort()

    # -- what comes over it ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the connection has been given up."""
        if self._dead:
            return
        self._unset_keepalive_if_required()
        if self._phase == _BETWEEN:
            self._phase, self._since, self._head = _HEADERS, self.loop.time(), 0
        self._chunk = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.cycle is not None:  # to what we do not speak: it is answered as if it had not asked
                self.cycle.keep_alive = False
                self._dead = True
        except httptools.HttpParserError:
            self._refuse(self._refusal or MALFORMED)
        else:
            if self._phase == _HEADERS:
                # What the parser keeps of a header that has not ended is only known from here.
                self._head += self._chunk
                if self._head > self._register.limits.header_bytes:
                    self._refuse(self._too_large())

    def on_message_begin(self) -> None:
        """Begin to count; in the first one since the connection stands."""
        super().on_message_begin()
        self._come = 0
        if self._phase != _HEADERS:  # it came together with the one before
            self._phase, self._since, self._head = _HEADERS, self.loop.time(), 0

    def on_headers_complete(self) -> None:
        """Begin the request, if its headers are within the limits."""
        limits = self._register.limits
        headers = self.headers
        at_most = self._head + self._chunk  # with what of the body came along
        if len(headers) > limits.header_count or (at_most > limits.header_bytes and self._size() > limits.header_bytes):
            self._refusal = self._too_large()
            raise _Refused
        if self.url[:1] != b"/" and not self._is_for_us():
            self._refusal = MALFORMED
            raise _Refused
        self._phase, self._since = _BODY, self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count what comes, also when nobody will read it any more."""
        self._come += len(body)
        if self.cycle is not None and self.cycle.response_complete and self._come > LEFTOVER:
            self._dead = True
            self.transport.close()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._phase = _BETWEEN
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection, and its place, to the other protocol."""
        self._register.discharge(self)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Say it as a problem."""
        self._refuse(MALFORMED)

    def _size(self) -> int:
        # Each has a colon, a space and the end of its line.
        return len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])

    def _is_for_us(self) -> bool:
        """Tell whether an address with a host in it names the same one as the Host header; `OPTIONS *` has none."""
        if self.url == b"*":
            return True
        try:
            said = httptools.parse_url(self.url)
        except httptools.HttpParserError:
            return False
        authority = (said.host or b"") + (b":%d" % said.port if said.port else b"")
        return [value for name, value in self.headers if name == b"host"] == [authority]

    def _too_large(self) -> Problem:
        return headers_too_large(self._register.limits.header_bytes, self._register.limits.header_count)

    def _refuse(self, problem: Problem) -> None:
        """Answer and end; an answer that has begun, or is being made for an earlier request, only ends."""
        self._dead = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.more_body or cycle.response_started:
                # Its own request will never be whole: whoever reads it is told that the client is gone.
                cycle.disconnected = True
                cycle.message_event.set()
                if not cycle.response_started and not self.pipeline:
                    self.transport.write(write(problem))
                self.transport.close()
            else:
                cycle.keep_alive = False
            return
        if self._phase != _BODY:  # else it is answered already, and only the rest of its body is missing
            self.transport.write(write(problem))
        self.transport.close()


def limited(register: Connections) -> type[WireProtocol]:
    """Make the protocol class of one server."""

    class LimitedWireProtocol(WireProtocol):
        _register = register

    return LimitedWireProtocol
