"""Waits: they grow, they end, and nobody is locked out by somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from plugin_host.auth.tables import Attempt
from plugin_host.auth.waits import Bucket, Waits, network, sign_in_buckets
from plugin_host.database import Database
from plugin_host.sdk.errors import Problem

pytestmark = pytest.mark.anyio
BUCKETS = [Bucket("both:x", 5)]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres")
    return found


@pytest.fixture
def waits(store: Database, clock: Any) -> Waits:
    return Waits(store, clock)


async def wait_of(waits: Waits, buckets: list[Bucket] = BUCKETS) -> int:
    """Try once; gives the seconds to wait, 0 if there are none."""
    try:
        await waits.enter(buckets)
    except Problem as problem:
        return int(problem.headers["retry-after"])
    return 0


async def test_who_waits_is_told_so(waits: Waits) -> None:
    for _ in range(5):
        await waits.enter(BUCKETS)
    with pytest.raises(Problem, match="wait 60 seconds") as caught:
        await waits.enter(BUCKETS)
    assert (caught.value.status, caught.value.code) == (429, "too_many_attempts")


async def test_five_are_free_and_then_the_wait_doubles(waits: Waits, clock: Any) -> None:
    assert [await wait_of(waits) for _ in range(6)] == [0, 0, 0, 0, 0, 60]
    seen = []
    for _ in range(6):
        clock.forward(seconds=await wait_of(waits))
        assert await wait_of(waits) == 0
        seen.append(await wait_of(waits))
    assert seen == [120, 240, 480, 900, 900, 900]


async def test_what_is_refused_does_not_make_the_wait_longer(waits: Waits, clock: Any) -> None:
    for _ in range(30):
        await wait_of(waits)
    clock.forward(seconds=61)
    assert await wait_of(waits) == 0


async def test_a_failure_is_forgotten_after_a_while(waits: Waits, clock: Any) -> None:
    for _ in range(5):
        await wait_of(waits)
    clock.forward(seconds=60 + 901)
    assert [await wait_of(waits) for _ in range(5)] == [0] * 5


async def test_of_many_at_once_five_are_free(waits: Waits) -> None:
    waited = await asyncio.gather(*(wait_of(waits) for _ in range(12)))
    assert sorted(waited) == [0] * 5 + [60] * 7


async def test_who_got_it_right_is_forgiven(waits: Waits, store: Database, change: Callable[..., Any]) -> None:
    buckets = sign_in_buckets("ann", "10.0.0.1", None)
    for _ in range(4):
        await wait_of(waits, buckets)
    await change(store, lambda db: waits.forgive(db, buckets))
    assert [await wait_of(waits, buckets) for _ in range(5)] == [0] * 5


async def test_an_address_that_guesses_names_waits_though_one_was_right(
    waits: Waits, store: Database, change: Callable[..., Any]
) -> None:
    for number in range(29):
        await wait_of(waits, sign_in_buckets(f"name {number}", "10.0.0.1", None))
    own = sign_in_buckets("own", "10.0.0.1", None)
    await wait_of(waits, own)
    await change(store, lambda db: waits.forgive(db, own))
    seen = [await wait_of(waits, sign_in_buckets(f"more {number}", "10.0.0.1", None)) for number in range(2)]
    assert seen == [0, 60]


async def test_an_account_that_many_addresses_guess_waits_but_not_where_its_owner_is_known(waits: Waits) -> None:
    for number in range(20):
        await wait_of(waits, sign_in_buckets("ann", f"10.0.0.{number}", None))
    stranger = await wait_of(waits, sign_in_buckets("ann", "10.0.1.1", None))
    owner = await wait_of(waits, sign_in_buckets("ann", "10.0.1.1", "the mark of her browser"))
    assert (stranger, owner) == (60, 0)


async def test_what_is_old_is_deleted(waits: Waits, store: Database, clock: Any, change: Callable[..., Any]) -> None:
    await wait_of(waits)
    clock.forward(hours=25)
    await change(store, waits.forget)
    unit = store.unit(write=False)
    left = (await unit.session.scalars(select(Attempt))).all()
    await unit.close()
    assert left == []


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_what_counts_as_one_address(address: str | None, counted: str) -> None:
    assert network(address) == counted
