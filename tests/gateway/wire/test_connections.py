"""Places for connections: the oldest idle one leaves its own, and nobody who is busy loses it."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from plugin_host.gateway.wire.connections import Connection, Connections, WireLimits, block_of


class Line(Connection):
    def __init__(self, address: str = "10.0.0.1", *, idle: bool = True) -> None:
        self.address = address
        self._idle = idle
        self.evicted = False

    @property
    def idle(self) -> bool:
        return self._idle

    def expire(self, now: float) -> None:
        raise AssertionError

    def evict(self) -> None:
        self.evicted = True


def register(connections: int = 100, per_address: int = 2) -> Connections:
    limits = WireLimits(connections=connections, connections_per_address=per_address)
    return Connections(limits, lambda address: address == "10.9.9.9")


def test_the_oldest_idle_connection_of_an_address_makes_place_for_its_next() -> None:
    lines = [Line(idle=False), Line(), Line(), Line("10.0.0.2")]
    kept = register(per_address=3)
    assert all(kept.admit(line) for line in (*lines, Line()))
    assert [line.evicted for line in lines] == [False, True, False, False]


def test_who_comes_when_all_are_busy_is_turned_away_and_forgotten() -> None:
    kept = register()
    assert kept.admit(Line(idle=False))
    assert kept.admit(Line(idle=False))
    assert not kept.admit(Line())
    assert len(kept) == 2
    assert kept.admit(Line("10.0.0.2"))


def test_connections_in_total_have_a_limit_too() -> None:
    kept = register(connections=2)
    first = Line("a")
    assert all(kept.admit(line) for line in (first, Line("b"), Line("c")))
    assert first.evicted
    assert len(kept) == 2


def test_a_trusted_proxy_has_no_limit_of_its_own() -> None:
    kept = register()
    assert all(kept.admit(Line("10.9.9.9", idle=False)) for _ in range(50))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans())))
def test_no_address_ever_has_more_than_its_places(steps: list[tuple[str, bool, bool]]) -> None:
    kept = register(connections=5, per_address=2)
    open_now: list[Line] = []
    for address, idle, leaves in steps:
        line = Line(address, idle=idle)
        if kept.admit(line):
            open_now.append(line)
        if leaves and open_now:
            kept.discharge(open_now.pop(0))
        open_now = [each for each in open_now if not each.evicted]
        assert len(kept) == len(open_now) <= 5
        assert all(sum(each.address == one for each in open_now) <= 2 for one in "abc")


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::7", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:x", "unix:x"),
    ],
)
def test_one_address_is_what_one_household_is_given(address: str, block: str) -> None:
    assert block_of(address) == block
