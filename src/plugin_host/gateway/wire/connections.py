"""Which connections are open, how many from where, and which of them take too long.

One look a second at all of them costs less than a timer for each request, and is as exact as anybody needs.
"""

from __future__ import annotations

import ipaddress
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

LOOK_EVERY: Final = 1.0
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What one process bears: see the settings of the same names in `[server]`; seconds and bytes."""

    header_bytes: int = 65_536
    header_count: int = 100
    header_timeout: float = 20.0
    body_timeout: float = 30.0
    connections: int = 10_000
    connections_per_address: int = 1000


class Connection(ABC):
    """An open connection, as the look-out sees it."""

    address: str = ""

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether nothing is under way in it: no request has come whole that waits for an answer."""

    @abstractmethod
    def expire(self, now: float) -> None:
        """End it if it has taken too long by `now`, in seconds of the loop's clock."""

    @abstractmethod
    def evict(self) -> None:
        """End it, to make place for another."""


class Connections:
    """The open connections of one process; `trusted` tells which addresses are those of proxies."""

    def __init__(self, limits: WireLimits, trusted: Callable[[str], bool]) -> None:
        self.limits = limits
        self._trusted = trusted
        self._open: dict[Connection, None] = {}  # in the order in which they came
        self._at: dict[str, dict[Connection, None]] = {}
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Take note of a new connection; False if there is no place, not even one that an idle one could leave."""
        limits = self.limits
        here = self._at.setdefault(connection.address, {})
        full = (
            (len(here) >= limits.connections_per_address and not self._trusted(connection.address), here),
            (
                len(self._open) >= limits.connections,
                self._open,
            ),
        )
        for is_full, among in full:
            if is_full and not self._make_place(among):
                if not here:
                    del self._at[connection.address]
                return False
        self.hold(connection)
        return True

    def hold(self, connection: Connection) -> None:
        """Take note of a connection that has a place already."""
        self._open[connection] = None
        self._at.setdefault(connection.address, {})[connection] = None

    def discharge(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.pop(connection, None)
        here = self._at.get(connection.address)
        if here is not None:
            here.pop(connection, None)
            if not here:
                del self._at[connection.address]

    def look_out(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look after them, once."""
        if self._looking is None:
            self._looking = loop.call_later(LOOK_EVERY, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looking = None
        now = loop.time()
        for connection in list(self._open):
            connection.expire(now)
        if self._open:
            self.look_out(loop)

    def _make_place(self, among: Iterable[Connection]) -> bool:
        oldest = next((each for each in among if each.idle), None)
        if oldest is None:
            return False
        self.discharge(oldest)
        oldest.evict()
        return True


def block_of(address: str) -> str:
    """Give what counts as one address: of IPv6 the /64, which is what one household or machine is given."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
