"""The first administrator: one code, once."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from plugin_host.auth.setup import Setup
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.database import Database

pytestmark = pytest.mark.anyio


class Holders:
    """Counts those who have a role, and how often it was asked."""

    def __init__(self) -> None:
        self.number = 0
        self.asked = 0

    async def count(self, _session: object, role: str) -> int:
        assert role == "core.admin"
        self.asked += 1
        return self.number


@pytest.fixture
def holders() -> Holders:
    return Holders()


@pytest.fixture
def printed() -> list[str]:
    return []


@pytest.fixture
def setup(database: Database, holders: Holders, printed: list[str]) -> Setup:
    return Setup(database, count_holders=holders.count, announce=printed.append)


async def fault(work: Any) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value.status, caught.value.code


async def test_it_is_needed_while_nobody_is_an_administrator(
    database: Database, setup: Setup, change: Callable[..., Any]
) -> None:
    assert await change(database, setup.needed)


async def test_once_done_it_is_never_asked_again(
    database: Database, setup: Setup, holders: Holders, change: Callable[..., Any]
) -> None:
    holders.number = 1
    assert [await change(database, setup.needed) for _ in range(3)] == [False, False, False]
    assert holders.asked == 1


async def test_a_code_is_two_times_four_readable_characters(setup: Setup) -> None:
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", await setup.code())


async def test_the_code_opens(setup: Setup) -> None:
    await setup.check(await setup.code())


async def test_the_code_may_be_typed_as_it_is_read(setup: Setup) -> None:
    code = await setup.code()
    await setup.check(f" {code.replace('-', ' ').replace('0', 'o').replace('1', 'l').lower()} ")


@pytest.mark.parametrize("wrong", ["", "AAAA-AAAA-AAAA", "\udcff", "ß"])
async def test_a_wrong_code_does_not(setup: Setup, wrong: str) -> None:
    await setup.code()
    assert await fault(setup.check(wrong)) == (403, "wrong_code")


async def test_before_there_is_a_code_none_opens(setup: Setup, printed: list[str]) -> None:
    assert await fault(setup.check("AAAA-AAAA")) == (403, "wrong_code")
    assert printed == []


async def test_a_new_code_voids_the_old(setup: Setup) -> None:
    old = await setup.code()
    await setup.code()
    assert await fault(setup.check(old)) == (403, "wrong_code")


async def test_four_wrong_codes_are_forgiven(setup: Setup, printed: list[str]) -> None:
    code = await setup.code()
    for _ in range(4):
        await fault(setup.check("wrong"))
    await setup.check(code)
    assert printed == []


async def test_the_fifth_wrong_code_voids_the_old_and_prints_a_new_one(setup: Setup, printed: list[str]) -> None:
    old = await setup.code()
    for _ in range(5):
        await fault(setup.check("wrong"))
    assert await fault(setup.check(old)) == (403, "wrong_code")
    (new,) = printed
    await setup.check(new)


async def test_of_many_wrong_codes_at_once_every_fifth_prints_a_new_one(setup: Setup, printed: list[str]) -> None:
    await setup.code()
    await asyncio.gather(*(fault(setup.check("wrong")) for _ in range(12)))
    assert len(printed) == 2


async def test_checking_spends_nothing(setup: Setup) -> None:
    code = await setup.code()
    await setup.check(code)
    await setup.check(code)


async def test_a_code_is_spent_once(database: Database, setup: Setup, change: Callable[..., Any]) -> None:
    code = await setup.code()
    await change(database, lambda db: setup.redeem(db, code))
    assert await fault(change(database, lambda db: setup.redeem(db, code))) == (404, "not_found")


async def test_a_code_is_not_spent_when_the_work_fails(
    database: Database, setup: Setup, change: Callable[..., Any]
) -> None:
    code = await setup.code()

    async def fail(db: Any) -> None:
        await setup.redeem(db, code)
        raise LookupError

    with pytest.raises(LookupError):
        await change(database, fail)
    await setup.check(code)


async def test_with_an_administrator_no_code_opens(setup: Setup, holders: Holders) -> None:
    code = await setup.code()
    holders.number = 1
    assert await fault(setup.check(code)) == (404, "not_found")


async def test_of_two_who_spend_it_at_once_one_is_first(
    postgres: Database, holders: Holders, printed: list[str], change: Callable[..., Any]
) -> None:
    setup = Setup(postgres, count_holders=holders.count, announce=printed.append)
    code = await setup.code()

    async def slowly(db: Any) -> None:
        await setup.redeem(db, code)
        await asyncio.sleep(0.05)

    results = await asyncio.gather(*(change(postgres, slowly) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "Problem"]
