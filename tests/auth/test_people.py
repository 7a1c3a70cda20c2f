"""People: what they may be called, and how they are found."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from plugin_host.auth.people import Credentials, People, check_names, check_profile, fold
from plugin_host.auth.tables import User
from plugin_host.sdk.context import UserRecord
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.database import Database

pytestmark = pytest.mark.anyio


@settings(max_examples=200)
@given(st.text(max_size=64))
def test_a_folded_name_is_one_that_folds_to_itself(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@settings(max_examples=200)
@given(st.text(max_size=64))
def test_case_and_spelling_make_no_difference(name: str) -> None:
    assert fold(unicodedata.normalize("NFD", name)) == fold(unicodedata.normalize("NFKC", name)) == fold(name)


@settings(max_examples=200)
@given(st.text(min_size=1, max_size=64))
def test_what_names_are_compared_by_fits_its_column(name: str) -> None:
    assert len(fold(unicodedata.normalize("NFKC", name)[:64])) <= 256


@pytest.mark.parametrize("name", ["a", "ann", "Ann Example", "jörg", "王芳", "x" * 64, "ann@example.org"])
def test_a_user_name_may_be_any_visible_text(name: str) -> None:
    assert check_profile(name).username == name


def test_a_user_name_is_kept_in_its_normal_form() -> None:
    assert check_profile("\N{FULLWIDTH LATIN CAPITAL LETTER A}nn").username == "Ann"


@pytest.mark.parametrize(
    "name", ["", " ann", "ann ", "x" * 65, "a\nb", "a\x00b", "a\u200bb", "a\u202eb", "\udcff", "\u2028x", "\ue000"]
)
def test_a_user_name_that_hides_something_is_refused(name: str) -> None:
    with pytest.raises(Problem) as caught:
        check_profile(name)
    assert (caught.value.status, [error.pointer for error in caught.value.errors]) == (422, ["/username"])


def test_without_a_display_name_it_is_the_user_name() -> None:
    assert check_profile("ann").display == "ann"


def test_names_are_kept_without_the_spaces_around_them() -> None:
    assert check_profile("ann", " Ann Example ", " ann@example.org ")[1:] == ("Ann Example", "ann@example.org")


def test_an_empty_mail_address_is_none() -> None:
    assert check_names("Ann", "") == ("Ann", None)


@pytest.mark.parametrize(
    "mail", ["ann", "@example.org", "ann@", "a b@example.org", "ann@e\x00.org", f"{'x' * 250}@e.org"]
)
def test_what_is_no_mail_address_is_refused(mail: str) -> None:
    with pytest.raises(Problem) as caught:
        check_names("Ann", mail)
    assert [error.pointer for error in caught.value.errors] == ["/email"]


@pytest.mark.parametrize("display", ["", "  ", "x" * 201, "a\nb"])
def test_what_cannot_be_shown_is_no_display_name(display: str) -> None:
    with pytest.raises(Problem) as caught:
        check_names(display, None)
    assert [error.pointer for error in caught.value.errors] == ["/display"]


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(Problem) as caught:
        check_profile("", "", "nobody")
    assert [error.pointer for error in caught.value.errors] == ["/username", "/display", "/email"]


async def test_a_name_is_taken_in_any_case(database: Database, add_user: Callable[..., Any]) -> None:
    await add_user(database, "Ann")
    with pytest.raises(Problem) as caught:
        await add_user(database, "aNN")
    assert (caught.value.status, caught.value.code) == (409, "username_taken")


async def test_signing_in_looks_people_up_in_any_case(
    database: Database, people: People, add_user: Callable[..., Any]
) -> None:
    user = await add_user(database, "Ann", "hash")
    assert await people.credentials("ANN") == Credentials(user.id, "hash", active=True)


async def test_a_disabled_account_says_so(database: Database, people: People, add_user: Callable[..., Any]) -> None:
    user = await add_user(database, status="disabled")
    assert await people.credentials("ann") == Credentials(user.id, None, active=False)


@pytest.mark.parametrize("name", ["bob", "", "x" * 1025])
async def test_nobody_has_no_credentials(people: People, name: str) -> None:
    assert await people.credentials(name) is None


async def test_looking_up_credentials_leaves_the_database_to_others(
    database: Database, people: People, add_user: Callable[..., Any]
) -> None:
    await people.credentials("ann")
    await add_user(database)


@pytest.mark.parametrize("known", [("disabled", "old"), ("active", "new")], ids=["disabled", "new password"])
async def test_who_changed_since_the_look_up_is_not_signed_in(
    database: Database,
    people: People,
    add_user: Callable[..., Any],
    change: Callable[..., Any],
    known: tuple[str, str],
) -> None:
    status, hashed = known
    user = await add_user(database, password_hash=hashed, status=status)
    looked_up = Credentials(user.id, "old", active=True)
    assert await change(database, lambda db: people.lock(db, looked_up)) is None


async def test_who_was_deleted_since_the_look_up_is_not_signed_in(
    database: Database, people: People, change: Callable[..., Any]
) -> None:
    assert await change(database, lambda db: people.lock(db, Credentials("gone", None, active=True))) is None


async def test_who_did_not_change_is_signed_in(
    database: Database, people: People, add_user: Callable[..., Any], change: Callable[..., Any]
) -> None:
    user = await add_user(database, password_hash="hash")
    locked = await change(database, lambda db: people.lock(db, Credentials(user.id, "hash", active=True)))
    assert locked.id == user.id


async def test_plugins_get_the_users_that_exist(
    database: Database, people: People, add_user: Callable[..., Any]
) -> None:
    ann = await add_user(database, "ann", display="Ann Example")
    gone = await add_user(database, "bob", status="disabled")
    assert await people.get([ann.id, gone.id, "nobody"]) == {
        ann.id: UserRecord(ann.id, "ann", "Ann Example"),
        gone.id: UserRecord(gone.id, "bob", "bob"),
    }


async def test_plugins_may_ask_for_more_ids_than_one_statement_takes(
    database: Database, people: People, add_user: Callable[..., Any]
) -> None:
    ann = await add_user(database)
    assert list(await people.get([f"id{number}" for number in range(1200)] + [ann.id])) == [ann.id]


async def test_of_no_ids_there_are_no_users(people: People) -> None:
    assert await people.get([]) == {}


async def test_search_looks_into_both_names_and_leaves_out_the_disabled(
    database: Database, people: People, add_user: Callable[..., Any]
) -> None:
    await add_user(database, "ann", display="Ann Example")
    await add_user(database, "exa", display="Somebody")
    await add_user(database, "example", status="disabled")
    await add_user(database, "other")
    assert [record.username for record in await people.search("EXA")] == ["ann", "exa"]


async def test_search_takes_wild_cards_as_letters(
    database: Database, people: People, add_user: Callable[..., Any]
) -> None:
    await add_user(database, "ann")
    assert await people.search("%") == []


@pytest.mark.parametrize(("limit", "found"), [(1, 1), (-1, 0), (20, 2)])
async def test_search_gives_no_more_than_asked_for(
    database: Database, people: People, add_user: Callable[..., Any], limit: int, found: int
) -> None:
    await add_user(database, "ann")
    await add_user(database, "anna")
    assert len(await people.search("ann", limit)) == found


async def test_everybody_can_be_listed(
    database: Database, people: People, add_user: Callable[..., Any], change: Callable[..., Any]
) -> None:
    await add_user(database, "ann")
    rows = await change(database, lambda db: db.scalars(people.statement()))
    assert [row.username for row in rows] == ["ann"]


async def test_deleting_takes_the_sessions_along(
    database: Database,
    people: People,
    add_user: Callable[..., Any],
    sign_in: Callable[..., Any],
    change: Callable[..., Any],
) -> None:
    user = await add_user(database)
    await sign_in(database, user.id)

    async def remove(db: Any) -> None:
        await people.delete(db, await db.get_one(User, user.id))

    before = await database.revision()
    await change(database, remove)
    assert await people.credentials("ann") is None
    assert (await database.revision()).auth == before.auth + 1


@pytest.mark.parametrize(
    "act",
    [lambda p, db, u: p.rename(db, u, "Ann E.", None), lambda p, db, u: p.set_status(db, u, "disabled")],
    ids=["rename", "set_status"],
)
async def test_what_actors_carry_voids_the_caches(
    database: Database,
    people: People,
    add_user: Callable[..., Any],
    change: Callable[..., Any],
    act: Callable[..., Any],
) -> None:
    user = await add_user(database)

    async def work(db: Any) -> None:
        await act(people, db, await db.get_one(User, user.id))

    before = await database.revision()
    await change(database, work)
    assert (await database.revision()).auth == before.auth + 1


async def test_a_new_password_is_kept(
    database: Database, people: People, add_user: Callable[..., Any], change: Callable[..., Any]
) -> None:
    user = await add_user(database, password_hash="old")

    async def work(db: Any) -> None:
        await people.set_password(db, await db.get_one(User, user.id), "new")

    await change(database, work)
    known = await people.credentials("ann")
    assert known is not None
    assert known.password_hash == "new"
