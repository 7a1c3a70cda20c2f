"""The key ring: rotation with overlap, in step over processes, and nothing readable in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plugin_host.auth.access_tokens import AccessTokens
from plugin_host.auth.keys import KeyRing
from plugin_host.auth.vault import SealError, Vault
from plugin_host.database import Database

pytestmark = pytest.mark.anyio
SECRET = "a key of tests, long enough for them"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres")
    return found


@pytest.fixture
def make(store: Database, clock: Any) -> Callable[..., AccessTokens]:
    """Make what stands in a process of its own."""

    def one(secret: str = SECRET, **said: Any) -> AccessTokens:
        ring = KeyRing(store, Vault(secret, Path()), clock=clock, **said)
        return AccessTokens(ring, issuer="here", clock=clock)

    return one


async def good(tokens: AccessTokens, token: str) -> bool:
    await tokens.ring.follow()
    return tokens.verify(token.encode()) is not None


async def kids(tokens: AccessTokens) -> list[str]:
    return [key["kid"] for key in await tokens.ring.published()]


async def test_processes_that_start_at_once_make_one_key(make: Callable[..., AccessTokens]) -> None:
    processes = [make() for _ in range(4)]
    keys = await asyncio.gather(*(each.ring.signing() for each in processes))
    assert len({key.kid for key in keys}) == 1
    assert len(await kids(processes[0])) == 1


async def test_a_new_key_signs_at_once_the_old_one_verifies_on(make: Callable[..., AccessTokens], clock: Any) -> None:
    here, there = make(), make()
    old = await here.sign("ann", "s")
    await there.ring.rotate()
    new = await here.sign("ann", "s")
    assert old.split(".")[0] != new.split(".")[0]
    assert [await good(each, token) for each in (here, there) for token in (old, new)] == [True] * 4
    clock.forward(seconds=600 + 3600)
    assert (await good(there, old), await good(there, new)) == (False, True)


async def test_old_keys_may_be_withdrawn(make: Callable[..., AccessTokens]) -> None:
    here, there = make(), make()
    old = await here.sign("ann", "s")
    assert await good(there, old)
    await here.ring.rotate(revoke=True)
    assert (await good(there, old), len(await kids(there))) == (False, 1)


async def test_by_schedule_the_next_key_is_published_a_day_before_it_signs(
    make: Callable[..., AccessTokens], clock: Any
) -> None:
    here, there = make(), make()
    first = (await here.ring.signing()).kid
    await here.ring.tend()
    assert await kids(here) == [first]
    clock.forward(days=89, minutes=1)
    await asyncio.gather(here.ring.tend(), there.ring.tend())
    published = await kids(there)
    assert (len(published), (await there.ring.signing()).kid) == (2, first)
    token = await there.sign("ann", "s")
    clock.forward(days=1)
    assert (await here.ring.signing()).kid in set(published) - {first}
    assert await good(here, token)
    clock.forward(hours=2)
    await here.ring.tend()
    assert len(await kids(there)) == 1


async def test_another_secret_key_verifies_and_signs_with_its_own(make: Callable[..., AccessTokens]) -> None:
    here, stranger = make(), make("another key of tests, long enough too")
    ours = await here.sign("ann", "s")
    theirs = await stranger.sign("ann", "s")
    assert [await good(each, token) for each in (here, stranger) for token in (ours, theirs)] == [True] * 4
    assert (await here.sign("ann", "s")).split(".")[0] == ours.split(".")[0]


async def test_another_algorithm_gets_a_key_of_its_own(make: Callable[..., AccessTokens]) -> None:
    here, other = make(), make(algorithm="ES256")
    old, new = await here.sign("ann", "s"), await other.sign("ann", "s")
    assert (await good(other, old), await good(here, new)) == (True, True)


async def test_private_keys_are_sealed(make: Callable[..., AccessTokens], store: Database) -> None:
    await make().ring.signing()
    async with store.engine.connect() as connection:
        (kept,) = (await connection.execute(sa.text("SELECT private FROM core_signing_key"))).scalars()
    assert "PRIVATE" not in kept
    with pytest.raises(SealError, match="another secret key"):
        Vault("another key of tests, long enough too", Path()).open("signing-key", kept)


# -- the vault -------------------------------------------------------------------------------------------


def test_a_key_is_made_in_the_data_folder_for_the_owner_alone(tmp_path: Path) -> None:
    sealed = Vault(None, tmp_path / "data").seal("x", b"seed")
    assert Vault(None, tmp_path / "data").open("x", sealed) == b"seed"
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_what_is_sealed_for_one_purpose_opens_for_no_other() -> None:
    vault = Vault(SECRET, Path())
    sealed = vault.seal("totp", b"seed")
    with pytest.raises(SealError):
        vault.open("signing-key", sealed)
    with pytest.raises(SealError):
        vault.open("totp", sealed[:-4] + "AAAA")
    with pytest.raises(SealError):
        vault.open("totp", "no base64 at all")


def test_two_that_make_the_key_at_once_have_the_same(tmp_path: Path) -> None:
    from plugin_host.auth.vault import _make

    first = Vault(None, tmp_path)
    sealed = first.seal("x", b"seed")
    _make(tmp_path / "secret.key")
    assert Vault(None, tmp_path).open("x", sealed) == b"seed"
