"""Passwords: hashed with argon2id, in few threads, with a short queue."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
from argon2 import extract_parameters

from plugin_host.auth.passwords import Passwords
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
GOOD = "four plain words here"


class Held(Passwords):
    """Hashes nothing before it is let go, and counts what it was asked to verify."""

    def __init__(self, *, queue: int) -> None:
        super().__init__(time_cost=1, memory_kib=64, threads=1, queue=queue)
        self.go = threading.Event()
        self.begun = 0

    def matches(self, known: str | None, password: bytes) -> bool:
        self.begun += 1
        self.go.wait(20)
        return super().matches(known, password)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held(queue=2)
    yield held
    held.go.set()
    held.close()


async def test_the_right_password_is_recognised(passwords: Passwords) -> None:
    assert await passwords.verify(await passwords.hash(GOOD), GOOD)


async def test_a_wrong_password_is_not(passwords: Passwords) -> None:
    assert not await passwords.verify(await passwords.hash(GOOD), GOOD + "!")


async def test_without_a_hash_no_password_is_right(passwords: Passwords) -> None:
    assert not await passwords.verify(None, GOOD)


async def test_the_hash_for_nobody_costs_what_a_real_one_costs(passwords: Passwords) -> None:
    assert extract_parameters(passwords._dummy) == extract_parameters(await passwords.hash(GOOD))


@pytest.mark.parametrize("damaged", ["$argon2id$broken", "no hash at all"])
async def test_a_damaged_hash_is_a_wrong_password_for_the_same_work(held: Held, damaged: str) -> None:
    held.go.set()
    assert not await held.verify(damaged, GOOD)
    assert held.begun == 2  # the damaged one, which costs nothing, and nobody's


@pytest.mark.parametrize("password", ["a\x00b" * 6, " " * 64, "\N{GRINNING FACE}" * 200, " padded on both ends "])
async def test_a_password_is_neither_trimmed_nor_cut(passwords: Passwords, password: str) -> None:
    hashed = await passwords.hash(password)
    assert await passwords.verify(hashed, password)
    assert not await passwords.verify(hashed, password[:-1])


async def test_bytes_that_are_no_text_can_be_a_password(passwords: Passwords) -> None:
    assert await passwords.verify(await passwords.hash("\udcff" * 12), "\udcff" * 12)


async def test_a_password_that_is_too_long_is_refused_before_hashing(held: Held) -> None:
    with pytest.raises(Problem) as caught:
        await held.verify(None, "x" * 1025)
    assert (caught.value.status, caught.value.errors[0].pointer, held.begun) == (422, "/password", 0)


async def test_the_default_cost_is_the_approved_one() -> None:
    passwords = Passwords()
    hashed = await passwords.hash(GOOD)
    passwords.close()
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_hash_of_other_costs_is_to_be_made_anew(passwords: Passwords) -> None:
    hashed = await passwords.hash(GOOD)
    stronger = Passwords(time_cost=2, memory_kib=64, threads=1)
    stronger.close()
    assert (passwords.needs_rehash(hashed), stronger.needs_rehash(hashed)) == (False, True)


async def test_who_comes_after_the_queue_is_told_to_come_again(held: Held) -> None:
    waiting = [asyncio.create_task(held.verify(None, GOOD)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as caught:
        await held.verify(None, GOOD)
    held.go.set()
    await asyncio.gather(*waiting)
    assert (caught.value.status, caught.value.code, caught.value.headers) == (503, "busy", {"retry-after": "1"})


async def test_a_place_in_the_queue_is_free_again_when_its_request_goes_away(held: Held) -> None:
    waiting = [asyncio.create_task(held.verify(None, GOOD)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[2].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting[2]
    later = asyncio.create_task(held.verify(None, GOOD))
    await asyncio.sleep(0)
    held.go.set()
    assert await asyncio.gather(*waiting[:2], later) == [False, False, False]


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("x" * 11, "too_short"),
        ("x" * 1025, "too_long"),
        ("jonathan.smith", "known_word"),
        ("Jonathan.Smith1!", "known_word"),
        ("plugin-host2026", "known_word"),
        ("PluginHostPluginHost", "known_word"),
    ],
)
def test_a_weak_password_is_refused_by_the_name_of_the_rule(password: str, rule: str) -> None:
    with pytest.raises(Problem) as caught:
        Passwords.check_strength(password, "jonathan.smith")
    assert (caught.value.status, caught.value.code) == (422, "weak_password")
    assert caught.value.errors[0].pointer == "/password"
    assert caught.value.errors[0].detail.startswith(f"{rule}: ")


def test_a_short_user_name_repeated_is_no_password() -> None:
    with pytest.raises(Problem, match="known_word"):
        Passwords.check_strength("bobbobbobbob", "Bob")


def refused(password: str) -> bool:
    try:
        Passwords.check_strength(password, "Bob")
    except Problem:
        return True
    return False


@pytest.mark.parametrize("password", ["x" * 12, " " * 64, "y" * 1024, "bob likes 7 trees", "Jonathan.Smith has 3 cats"])
def test_length_is_all_that_a_password_needs(password: str) -> None:
    assert refused(password) is False
    assert refused(password[:11]) is True
