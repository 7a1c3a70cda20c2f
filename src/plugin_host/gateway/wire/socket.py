"""uvicorn's WebSocket protocol, which keeps the place of the connection that it took over.

What is slow is found by its own pings. A handshake that is none is refused as everything else is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.utils import get_remote_addr
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from plugin_host.gateway.wire.connections import Connection, block_of
from plugin_host.gateway.wire.refusals import write
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    import asyncio

    from websockets.http11 import Request

    from plugin_host.gateway.wire.connections import Connections

_SWITCHING: Final = 101


class WireSocket(WebSocketsSansIOProtocol, Connection):
    """One WebSocket. `limited_socket` makes the class that uvicorn is given."""

    _register: Connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the place over."""
        super().connection_made(transport)
        remote = get_remote_addr(self.transport)
        self.address = block_of(remote[0]) if remote is not None else ""
        self._register.hold(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._register.discharge(self)
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Begin the handshake, if it is one."""
        response = self.conn.accept(event)
        if response.status_code == _SWITCHING:
            super().handle_connect(event)
            return
        self.handshake_complete = self.close_sent = True
        kept = {name: value for name, value in response.headers.raw_items() if name.startswith(("Sec-", "Upgrade"))}
        self.transport.write(write(Problem(response.status_code, "bad_handshake", _DETAIL, headers=kept)))
        self.transport.close()

    async def send(self, message: Any) -> None:
        """Send what the application says; an answer in HTTP completes the handshake as well as any."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    @property
    def idle(self) -> bool:
        """Whether it may be closed for another: never, it is meant to stay."""
        return False

    def expire(self, now: float) -> None:
        """Leave it to its pings."""

    def evict(self) -> None:
        """Close it."""
        self.transport.close()


_DETAIL: Final = "This is no WebSocket handshake that is understood here (RFC 6455, version 13)."


def limited_socket(register: Connections) -> type[WireSocket]:
    """Make the protocol class of one server."""

    class LimitedWireSocket(WireSocket):
        _register = register

    return LimitedWireSocket
