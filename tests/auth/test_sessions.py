"""Browser sessions: rows that hold hashes, and cookies that scripts cannot read."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from plugin_host.auth.sessions import Sessions, digest
from plugin_host.auth.tables import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.database import Database

pytestmark = pytest.mark.anyio


async def hashes(database: Database) -> set[str]:
    unit = database.unit(write=False)
    found = set(await unit.session.scalars(select(Session.hash)))
    await unit.close()
    return found


async def test_only_the_hash_of_a_token_is_kept(
    database: Database, add_user: Callable[..., Any], sign_in: Callable[..., Any]
) -> None:
    token = await sign_in(database, (await add_user(database)).id)
    assert await hashes(database) == {digest(token.encode())}


async def test_every_session_has_a_token_of_its_own(
    database: Database, add_user: Callable[..., Any], sign_in: Callable[..., Any]
) -> None:
    user = await add_user(database)
    assert await sign_in(database, user.id) != await sign_in(database, user.id)


async def test_beginning_a_session_voids_no_cache(
    database: Database, add_user: Callable[..., Any], sign_in: Callable[..., Any]
) -> None:
    user = await add_user(database)
    before = await database.revision()
    await sign_in(database, user.id)
    assert await database.revision() == before


async def test_a_new_session_clears_away_those_long_expired(
    database: Database, add_user: Callable[..., Any], sign_in: Callable[..., Any], clock: Any
) -> None:
    user = await add_user(database)
    await sign_in(database, user.id)
    clock.forward(days=14 + 7, seconds=1)
    token = await sign_in(database, user.id)
    assert await hashes(database) == {digest(token.encode())}


async def test_an_expired_session_is_known_for_a_week(
    database: Database, add_user: Callable[..., Any], sign_in: Callable[..., Any], clock: Any
) -> None:
    user = await add_user(database)
    old = await sign_in(database, user.id)
    clock.forward(days=14 + 6)
    await sign_in(database, user.id)
    assert digest(old.encode()) in await hashes(database)


async def test_ending_a_session_leaves_the_others_and_voids_caches(
    database: Database,
    sessions: Sessions,
    add_user: Callable[..., Any],
    sign_in: Callable[..., Any],
    change: Callable[..., Any],
) -> None:
    user = await add_user(database)
    old, kept = await sign_in(database, user.id), await sign_in(database, user.id)

    async def end(db: Any) -> None:
        found = (await db.scalars(select(Session).where(Session.hash == digest(old.encode())))).one()
        await sessions.end(db, found.id)

    before = await database.revision()
    await change(database, end)
    assert await hashes(database) == {digest(kept.encode())}
    assert (await database.revision()).auth == before.auth + 1


async def test_ending_all_leaves_other_people_alone(
    database: Database,
    sessions: Sessions,
    add_user: Callable[..., Any],
    sign_in: Callable[..., Any],
    change: Callable[..., Any],
) -> None:
    ann, bob = await add_user(database, "ann"), await add_user(database, "bob")
    await sign_in(database, ann.id)
    kept = await sign_in(database, bob.id)
    await change(database, lambda db: sessions.end_all(db, ann.id))
    assert await hashes(database) == {digest(kept.encode())}


async def test_ending_all_may_leave_the_one_that_asks(
    database: Database,
    sessions: Sessions,
    add_user: Callable[..., Any],
    sign_in: Callable[..., Any],
    change: Callable[..., Any],
) -> None:
    user = await add_user(database)
    await sign_in(database, user.id)
    mine = await sign_in(database, user.id)

    async def end(db: Any) -> None:
        kept = (await db.scalars(select(Session.id).where(Session.hash == digest(mine.encode())))).one()
        await sessions.end_all(db, user.id, keep=kept)

    await change(database, end)
    assert await hashes(database) == {digest(mine.encode())}


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_on_https_the_cookie_is_bound_to_this_host_alone(scheme: str) -> None:
    cookie = Sessions().set_cookie({"scheme": scheme, "plugin_host.base": "/apps"}, "t")
    assert cookie == "__Host-ph_session=t; Path=/; Secure; HttpOnly; SameSite=Lax"


def test_behind_a_proxy_the_public_address_decides() -> None:
    cookie = Sessions(https=True).set_cookie({"scheme": "http"}, "t")
    assert cookie == "__Host-ph_session=t; Path=/; Secure; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(("base", "path"), [("", "/"), ("/apps", "/apps")])
def test_on_plain_http_the_cookie_is_for_the_host_s_own_paths(base: str, path: str) -> None:
    cookie = Sessions().set_cookie({"scheme": "http", "plugin_host.base": base}, "t")
    assert cookie == f"ph_session=t; Path={path}; HttpOnly; SameSite=Lax"


def test_a_cleared_cookie_is_the_same_one_without_a_life() -> None:
    assert Sessions().clear_cookie({"scheme": "https"}) == (
        "__Host-ph_session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
    )


def test_the_limits_are_half_a_day_idle_and_two_weeks_in_all() -> None:
    assert (Sessions().idle, Sessions().absolute) == (dt.timedelta(hours=12), dt.timedelta(days=14))
