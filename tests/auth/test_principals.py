"""From a request to its actor: on SQLite and on PostgreSQL the same."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import select, update

from plugin_host.auth import principals as module
from plugin_host.auth.access_tokens import AccessTokens
from plugin_host.auth.api_tokens import ApiTokens, make_text
from plugin_host.auth.keys import KeyRing
from plugin_host.auth.people import People
from plugin_host.auth.principals import Principals
from plugin_host.auth.sessions import Sessions, digest
from plugin_host.auth.tables import Session, User
from plugin_host.auth.vault import Vault
from plugin_host.database import Database, bump
from plugin_host.sdk.context import ANONYMOUS
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio


def scope(
    token: str | None = None, *, name: str = "ph_session", scheme: str = "http", **headers: str
) -> dict[str, Any]:
    """Make what a server hands over, as far as it matters here."""
    sent = [(b"host", b"localhost"), *((key.encode(), value.encode()) for key, value in headers.items())]
    if token is not None:
        sent.append((b"cookie", f"theme=dark; {name}={token}; x=1".encode()))
    return {"type": "http", "scheme": scheme, "headers": sent}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Database:
    """Each test runs on both databases."""
    found: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres")
    return found


@pytest.fixture
async def make(store: Database, roles: Any, clock: Any) -> AsyncIterator[Callable[..., Principals]]:
    """Make resolvers, each as if it stood in a process of its own."""
    made: list[Principals] = []

    def one(**said: Any) -> Principals:
        made.append(Principals(store, **{"memberships_of": roles.of, "clock": clock, **said}))
        return made[-1]

    yield one
    for principals in made:
        await principals.close()


@pytest.fixture
def principals(make: Callable[..., Principals]) -> Principals:
    return make()


@pytest.fixture
async def user(store: Database, add_user: Callable[..., Any], roles: Any) -> User:
    user: User = await add_user(store, "ann", display="Ann Example")
    roles.by_user[user.id] = ("contacts.editor",)
    return user


@pytest.fixture
async def token(store: Database, user: User, sign_in: Callable[..., Any]) -> str:
    token: str = await sign_in(store, user.id)
    return token


async def row(store: Database, token: str) -> Session:
    unit = store.unit(write=False)
    found = (await unit.session.scalars(select(Session).where(Session.hash == digest(token.encode())))).one()
    await unit.close()
    return found


async def test_a_session_is_its_user(principals: Principals, token: str, user: User) -> None:
    actor = await principals.resolve(scope(token))
    assert (actor.id, actor.username, actor.display, actor.kind) == (user.id, "ann", "Ann Example", "user")
    assert actor.subjects == {f"user:{user.id}", "role:contacts.editor"}


async def test_the_session_s_id_is_told_to_whoever_ends_it(store: Database, principals: Principals, token: str) -> None:
    asked = scope(token)
    await principals.resolve(asked)
    assert asked["plugin_host.session"] == (await row(store, token)).id


async def test_without_a_cookie_nobody_asks(principals: Principals) -> None:
    assert await principals.resolve(scope()) is ANONYMOUS


async def test_a_token_in_the_query_string_is_nothing(principals: Principals, token: str) -> None:
    asked = {**scope(), "query_string": f"ph_session={token}&access_token={token}".encode()}
    assert await principals.resolve(asked) is ANONYMOUS


@pytest.mark.parametrize("cookie", ["theme=dark", "ph_session=", "ph_session=short", "xph_session={token}", "{token}"])
async def test_other_cookies_are_nothing(principals: Principals, token: str, cookie: str) -> None:
    assert await principals.resolve(scope(cookie=cookie.format(token=token))) is ANONYMOUS


async def test_a_token_that_nobody_was_given_is_nothing(principals: Principals) -> None:
    assert await principals.resolve(scope("x" * 43)) is ANONYMOUS


async def test_of_two_cookies_of_the_name_the_first_counts(principals: Principals, token: str, user: User) -> None:
    actor = await principals.resolve(scope(cookie=f"ph_session={token}; ph_session={'x' * 43}"))
    assert actor.id == user.id


async def test_a_cookie_header_more_changes_nothing(principals: Principals, token: str, user: User) -> None:
    asked = scope(token)
    asked["headers"].append((b"cookie", b"ph_session=" + b"x" * 43))
    assert (await principals.resolve(asked)).id == user.id


async def test_on_https_only_the_cookie_bound_to_this_host_counts(
    principals: Principals, token: str, user: User
) -> None:
    plain = await principals.resolve(scope(token, scheme="https"))
    bound = await principals.resolve(scope(token, name="__Host-ph_session", scheme="https"))
    assert (plain, bound.id) == (ANONYMOUS, user.id)


async def test_behind_a_proxy_the_public_address_decides(
    make: Callable[..., Principals], token: str, user: User
) -> None:
    actor = await make(https=True).resolve(scope(token, name="__Host-ph_session"))
    assert actor.id == user.id


async def test_two_credentials_at_once_are_ambiguous(principals: Principals, token: str) -> None:
    with pytest.raises(Problem) as caught:
        await principals.resolve(scope(token, authorization="Bearer abc"))
    assert (caught.value.status, caught.value.code) == (400, "ambiguous_credentials")


async def test_an_authorization_header_alone_is_nobody(principals: Principals) -> None:
    assert await principals.resolve(scope(authorization="Bearer abc")) is ANONYMOUS


async def test_what_did_not_change_is_not_asked_again(principals: Principals, token: str, roles: Any) -> None:
    first = await principals.resolve(scope(token))
    second = await principals.resolve(scope(token))
    assert first is second
    assert len(roles.asked) == 1


async def test_signing_out_holds_at_the_next_request_in_every_process(
    store: Database, make: Callable[..., Principals], sessions: Sessions, token: str, change: Callable[..., Any]
) -> None:
    here, there = make(), make()
    asked = scope(token)
    await here.resolve(asked)
    await there.resolve(scope(token))
    await change(store, lambda db: sessions.end(db, asked["plugin_host.session"]))
    assert [await each.resolve(scope(token)) for each in (here, there)] == [ANONYMOUS, ANONYMOUS]


async def test_disabling_holds_at_the_next_request(
    store: Database, principals: Principals, token: str, user: User, change: Callable[..., Any]
) -> None:
    await principals.resolve(scope(token))

    async def disable(db: Any) -> None:
        people = People(store)
        await people.set_status(db, await db.get(User, user.id), "disabled")

    await change(store, disable)
    assert await principals.resolve(scope(token)) is ANONYMOUS


async def test_a_role_taken_away_is_gone_at_the_next_request(
    store: Database, principals: Principals, token: str, user: User, roles: Any, change: Callable[..., Any]
) -> None:
    await principals.resolve(scope(token))
    roles.by_user[user.id] = ()
    await change(store, lambda db: bump(db, "policy"))
    assert (await principals.resolve(scope(token))).roles == ()


async def test_a_wish_voids_nothing(
    store: Database, principals: Principals, token: str, roles: Any, change: Callable[..., Any]
) -> None:
    await principals.resolve(scope(token))
    await change(store, lambda db: bump(db, "wishes"))
    await principals.resolve(scope(token))
    assert len(roles.asked) == 1


async def test_a_change_during_the_look_up_is_not_cached_over(
    store: Database, make: Callable[..., Principals], token: str, user: User, roles: Any, change: Callable[..., Any]
) -> None:
    async def overtaken(connection: Any, user_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found: tuple[tuple[str, ...], tuple[str, ...]] = await roles.of(connection, user_id)
        if len(roles.asked) == 1:  # another request learns of a change before this one is done
            roles.by_user[user_id] = ()
            await change(store, lambda db: bump(db, "policy"))
            await overtaking.resolve(scope(token))
        return found

    overtaking = make(memberships_of=overtaken)
    before = await overtaking.resolve(scope(token))
    after = await overtaking.resolve(scope(token))
    assert (before.roles, after.roles) == (("contacts.editor",), ())


async def test_a_browser_not_seen_for_too_long_has_to_sign_in_again(
    principals: Principals, token: str, clock: Any
) -> None:
    await principals.resolve(scope(token))
    clock.forward(hours=12)
    asked = scope(token)
    assert await principals.resolve(asked) is ANONYMOUS
    assert asked["plugin_host.session_expired"]
    assert "plugin_host.session" not in asked


async def test_a_browser_in_use_stays_signed_in(principals: Principals, token: str, user: User, clock: Any) -> None:
    for _ in range(5):
        clock.forward(hours=11)
        assert (await principals.resolve(scope(token))).id == user.id


async def test_a_session_ends_in_any_case(principals: Principals, token: str, clock: Any) -> None:
    for _ in range(14 * 4 - 1):
        clock.forward(hours=6)
        await principals.resolve(scope(token))
    clock.forward(hours=6)
    asked = scope(token)
    await principals.resolve(asked)
    assert asked["plugin_host.session_expired"]


async def test_a_browser_in_use_elsewhere_stays_signed_in_here(
    make: Callable[..., Principals], token: str, user: User, clock: Any
) -> None:
    here, there = make(), make()
    await here.resolve(scope(token))
    for _ in range(2):
        clock.forward(hours=8)
        await there.resolve(scope(token))
        await there.close()
    assert (await here.resolve(scope(token))).id == user.id


async def test_use_is_written_after_five_minutes(
    store: Database, principals: Principals, token: str, clock: Any
) -> None:
    begun = (await row(store, token)).last_seen_at
    clock.forward(minutes=4, seconds=59)
    await principals.resolve(scope(token))
    await principals.close()
    early = (await row(store, token)).last_seen_at
    clock.forward(seconds=1)
    await principals.resolve(scope(token))
    await principals.close()
    late = (await row(store, token)).last_seen_at
    assert (early, late) == (begun, begun + dt.timedelta(minutes=5))


async def test_use_is_written_sooner_if_the_idle_time_is_short(
    store: Database, make: Callable[..., Principals], token: str, clock: Any
) -> None:
    principals = make(idle=dt.timedelta(minutes=10))
    clock.forward(minutes=1)
    await principals.resolve(scope(token))
    await principals.close()
    assert (await row(store, token)).last_seen_at.timestamp() == clock.now


async def test_use_is_written_once_for_many_requests(
    store: Database, principals: Principals, token: str, clock: Any
) -> None:
    said: list[str] = []
    sa.event.listen(store.engine.sync_engine, "before_cursor_execute", lambda *args: said.append(args[2][:6]))
    clock.forward(minutes=5)
    for _ in range(3):
        await principals.resolve(scope(token))
    await principals.close()
    assert said.count("UPDATE") == 1


async def test_what_cannot_be_written_fails_no_request(
    store: Database, principals: Principals, token: str, user: User, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await principals.resolve(scope(token))
    async with store.engine.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE core_session RENAME COLUMN last_seen_at TO seen"))
    if store.dialect == "postgresql":  # where every request reads the row, only the writing may fail
        async with store.engine.begin() as connection:
            await connection.execute(sa.text("ALTER TABLE core_session RENAME COLUMN seen TO last_seen_at"))
            await connection.execute(sa.text("ALTER TABLE core_session ADD CHECK (last_seen_at = created_at)"))
    clock.forward(minutes=5)
    assert (await principals.resolve(scope(token))).id == user.id
    await principals.close()
    assert "could not write that session" in caplog.text


async def test_the_cache_forgets_the_oldest(
    store: Database,
    principals: Principals,
    user: User,
    token: str,
    roles: Any,
    sign_in: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CACHED", 1)
    await principals.resolve(scope(token))
    await principals.resolve(scope(await sign_in(store, user.id)))
    await principals.resolve(scope(token))
    assert len(roles.asked) == 3


async def test_a_warm_request_opens_no_connection_on_sqlite(
    database: Database, add_user: Callable[..., Any], sign_in: Callable[..., Any], roles: Any, clock: Any
) -> None:
    token = await sign_in(database, (await add_user(database)).id)
    principals = Principals(database, memberships_of=roles.of, clock=clock)
    await principals.resolve(scope(token))
    opened: list[object] = []
    sa.event.listen(database.engine.sync_engine, "checkout", lambda *args: opened.append(args))
    await principals.resolve(scope(token))
    assert opened == []


async def test_a_warm_request_is_one_statement_on_postgresql(
    postgres: Database, add_user: Callable[..., Any], sign_in: Callable[..., Any], roles: Any, clock: Any
) -> None:
    token = await sign_in(postgres, (await add_user(postgres)).id)
    principals = Principals(postgres, memberships_of=roles.of, clock=clock)
    await principals.resolve(scope(token))
    said: list[str] = []
    sa.event.listen(postgres.engine.sync_engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    await principals.resolve(scope(token))
    assert len(said) == 1


async def test_a_row_changed_by_hand_counts_when_it_is_read_again(
    store: Database, make: Callable[..., Principals], token: str, change: Callable[..., Any], clock: Any
) -> None:
    gone = dt.datetime.fromtimestamp(clock.now, dt.UTC)
    await change(store, lambda db: db.execute(update(Session).values(expires_at=gone)))
    assert await make().resolve(scope(token)) is ANONYMOUS


@pytest.mark.parametrize("kind", ["session", "access", "personal"])
async def test_whatever_is_shown_a_warm_request_is_one_indexed_statement_on_postgresql(
    postgres: Database,
    add_user: Callable[..., Any],
    sign_in: Callable[..., Any],
    change: Callable[..., Any],
    roles: Any,
    clock: Any,
    kind: str,
) -> None:
    user = await add_user(postgres)
    ring = KeyRing(postgres, Vault("a key of tests, long enough for them", Path()), clock=clock)
    tokens, sessions = AccessTokens(ring, issuer="here", clock=clock), Sessions(clock=clock)
    if kind == "session":
        asked = scope(await sign_in(postgres, user.id))
    elif kind == "access":
        begun = await change(postgres, lambda db: sessions.begin(db, user.id, kind="app"))
        asked = scope(authorization=f"Bearer {await tokens.sign(user.id, begun.id)}")
    else:
        life = dt.timedelta(days=1)
        made = await change(
            postgres,
            lambda db: ApiTokens(clock=clock).create(
                db, user.id, kind="personal", name="x", scopes=None, life=life, by=user.id
            ),
        )
        asked = scope(authorization=f"Bearer {made.text}")
    principals = Principals(postgres, memberships_of=roles.of, access_tokens=tokens, clock=clock)
    actors = [await principals.resolve(dict(asked)) for _ in range(2)]
    await principals.close()
    said: list[str] = []
    sa.event.listen(postgres.engine.sync_engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    actors.append(await principals.resolve(dict(asked)))
    assert ([actor.id for actor in actors], len(said)) == ([user.id] * 3, 1)
    assert {actor.credential for actor in actors} == {kind}


async def test_a_token_that_is_mistyped_asks_no_database(database: Database, roles: Any, clock: Any) -> None:
    principals = Principals(database, memberships_of=roles.of, clock=clock)
    said: list[str] = []
    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    wrong = make_text("php_")
    wrong = wrong[:-1] + ("0" if wrong[-1] != "0" else "1")
    asked = scope(authorization=f"Bearer {wrong}")
    assert await principals.resolve(asked) is ANONYMOUS
    assert (said, asked["plugin_host.invalid_token"]) == ([], True)
