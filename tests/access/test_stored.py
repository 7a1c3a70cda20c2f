"""Roles, rules and grants that administrators make, and what they may say."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from plugin_host.access import checks
from plugin_host.access.catalogue import Catalogue
from plugin_host.access.grants import change_grant, forget_objects, give, sweep, take, take_back
from plugin_host.access.members import roles_of, set_roles
from plugin_host.access.roles import as_role, change_role, create_role, delete_role, find_role
from plugin_host.access.rules import add_rule, change_rule, delete_rule, find_rule, said
from plugin_host.access.tables import Grant
from plugin_host.database import Database
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.manifest import Permission, RoleGrant
from plugin_host.sdk.models import PluginBase, object_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

OWNS: dict[str, Any] = {"==": [{"row": "keeper_id"}, {"actor": "id"}]}
CATALOGUE = Catalogue.of(
    [
        Permission(name="zoo.view", title="Open"),
        Permission(name="zoo.animal.view", title="See", scope="object", implies=("zoo.view",)),
        Permission(name="zoo.animal.feed", title="Feed", scope="object", implies=("zoo.animal.view",)),
        Permission(name="zoo.cage.view", title="See", scope="object"),
    ]
)
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


class Base(PluginBase, plugin="zoo"):
    """Tables of these tests."""


class Animal(Base):
    __tablename__ = "zoo_animal"
    __object__ = "zoo.animal"

    id: Mapped[str] = object_id()
    keeper_id: Mapped[str | None]


@pytest.fixture
async def store(database: Database, migrate: Callable[[Database], None]) -> AsyncIterator[Any]:
    """Give a session on an empty store."""
    migrate(database)
    unit = database.unit()
    yield unit.session
    await unit.close()
    await database.close()


async def refused(asking: Any) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await asking
    return caught.value.status, caught.value.code


# -- roles --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_role_is_kept_as_it_was_said(store: Any) -> None:
    grants = (RoleGrant(permission="zoo.animal.feed", where=OWNS), RoleGrant(permission="zoo.view"))
    await create_role(store, "keepers", "Keepers", grants, "1", "They feed.")
    role = as_role(await find_role(store, "keepers"))
    assert (role.name, role.title, role.description, role.grants) == ("keepers", "Keepers", "They feed.", grants)


@pytest.mark.anyio
async def test_a_role_is_there_once(store: Any) -> None:
    await create_role(store, "keepers", "Keepers", (), "1")
    assert await refused(create_role(store, "keepers", "Others", (), "1")) == (409, "role_exists")


@pytest.mark.anyio
async def test_only_what_is_named_is_changed(store: Any) -> None:
    await create_role(store, "keepers", "Keepers", (RoleGrant(permission="zoo.view"),), "1")
    role = await change_role(store, "keepers", "1", title="Guards")
    assert (role.title, len(as_role(role).grants)) == ("Guards", 1)


@pytest.mark.anyio
async def test_a_deleted_role_is_taken_from_everybody(store: Any) -> None:
    await create_role(store, "keepers", "Keepers", (), "1")
    await set_roles(store, "7", ["keepers", "zoo.viewer"], "1")
    await add_rule(store, "role:keepers", "zoo.view", "allow", None, "1")
    await delete_role(store, "keepers", "1")
    assert await roles_of(store, "7") == ("zoo.viewer",)
    assert await refused(find_role(store, "keepers")) == (404, "not_found")


# -- rules --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_rule_is_kept_changed_and_removed(store: Any) -> None:
    rule = await add_rule(store, "user:7", "zoo.animal.feed", "allow", OWNS, "1")
    assert said(rule) == {"subject": "user:7", "permission": "zoo.animal.feed", "effect": "allow", "where": OWNS}
    await change_rule(store, rule.id, "1", subject="group:3", effect="deny", where=None)
    assert said(rule) == {"subject": "group:3", "permission": "zoo.animal.feed", "effect": "deny"}
    await delete_rule(store, rule.id, "1")
    assert await refused(find_rule(store, rule.id)) == (404, "not_found")


@pytest.mark.anyio
async def test_each_change_has_a_revision_of_its_own_and_the_session_knows_it(store: Any) -> None:
    await add_rule(store, "user:7", "zoo.view", "allow", None, "1")
    await add_rule(store, "user:7", "zoo.view", "deny", None, "1")
    assert store.info["plugin_host.bumped"] == {"policy": 3}


# -- grants -------------------------------------------------------------------------------------------------------


async def grants(store: Any) -> list[tuple[str, str, str, str]]:
    rows = await store.scalars(sa.select(Grant).order_by(Grant.subject, Grant.act, Grant.effect, Grant.object))
    return [(grant.subject, grant.permission, grant.effect, grant.object) for grant in rows]


@pytest.mark.anyio
async def test_what_is_given_again_ends_at_the_new_moment(store: Any) -> None:
    first = await give(store, "user:7", "zoo.animal.feed", "lion", "1", until=NOON)
    again = await give(store, "user:7", "zoo.animal.feed", "lion", "2")
    assert (first.id, again.until, again.given_by) == (again.id, None, "2")
    assert await grants(store) == [("user:7", "zoo.animal.feed", "allow", "lion")]


@pytest.mark.anyio
async def test_a_grant_is_changed_and_taken_by_its_id(store: Any) -> None:
    grant = await give(store, "user:7", "zoo.animal.feed", "lion", "1")
    await change_grant(store, grant.id, "1", effect="deny", until=NOON)
    assert await grants(store) == [("user:7", "zoo.animal.feed", "deny", "lion")]
    await give(store, "user:7", "zoo.animal.feed", "lion", "1")
    assert await refused(change_grant(store, grant.id, "1", effect="allow")) == (409, "grant_exists")
    await take(store, grant.id, "1")
    assert await refused(take(store, grant.id, "1")) == (404, "not_found")


@pytest.mark.anyio
async def test_grants_go_with_their_object_and_when_they_have_ended(store: Any) -> None:
    await give(store, "user:7", "zoo.animal.feed", "lion", "1")
    await give(store, "group:3", "zoo.animal.view", "lion", "1", effect="deny")
    await give(store, "user:7", "zoo.animal.feed", "crow", "1", until=NOON)
    await give(store, "user:7", "zoo.animal.feed", "owl", "1", until=NOON + dt.timedelta(seconds=1))
    assert await sweep(store, NOON) == 1
    assert await forget_objects(store, "zoo.animal", ["lion"]) == 2
    assert await grants(store) == [("user:7", "zoo.animal.feed", "allow", "owl")]


@pytest.mark.anyio
async def test_only_the_named_actions_are_taken_back(store: Any) -> None:
    await give(store, "user:7", "zoo.animal.feed", "lion", "1")
    await give(store, "user:7", "zoo.animal.view", "lion", "1")
    assert await take_back(store, "user:7", "zoo.animal", "lion", ["feed", "stroke"], "1") == 1
    assert await grants(store) == [("user:7", "zoo.animal.view", "allow", "lion")]


# -- what may be said ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", ["user:7", "group:3", "role:zoo.keeper", 'user:mallory, "admin"', "user:r.sub"])
def test_subjects(subject: str) -> None:
    assert checks.check_subject(subject) == subject


@pytest.mark.security
@pytest.mark.parametrize(
    "subject",
    ["", "7", "user:", "user:*", "*", "system:system", "anonymous:", "user:a\nb", "user: 7", "role:" + "x" * 10_000],
)
def test_what_is_no_subject(subject: str) -> None:
    with pytest.raises(Problem, match="name somebody"):
        checks.check_subject(subject)


@pytest.mark.security
@pytest.mark.parametrize("object", ["", "*", "x" * 65, "a\nb", " 7"])
def test_what_is_no_object(object: str) -> None:  # noqa: A002 - the contract's word
    with pytest.raises(Problem, match="name one object"):
        checks.check_object(object)


@pytest.mark.parametrize("permission", ["*", "zoo.*", "zoo.animal.*", "zoo.view"])
def test_patterns_are_permissions_where_they_may_be(permission: str) -> None:
    assert checks.check_permission(permission, CATALOGUE, pattern=True) == permission


@pytest.mark.security
@pytest.mark.parametrize("permission", ["zoo.vieww", "other.*", "zoo*", "zoo.view.*", "**", "zoo.", "", "x" * 10_000])
def test_what_is_no_permission(permission: str) -> None:
    with pytest.raises(Problem, match="there is no permission"):
        checks.check_permission(permission, CATALOGUE, pattern=True)


def test_a_grant_on_an_object_needs_object_scope() -> None:
    with pytest.raises(Problem, match="is not asked of single objects"):
        checks.check_permission("zoo.view", CATALOGUE, objects=True)


@pytest.mark.parametrize("permission", ["zoo.animal.feed", "zoo.animal.*"])
def test_a_condition_that_fits_its_model(permission: str) -> None:
    assert checks.check_where(OWNS, permission, CATALOGUE, {"zoo.animal": Animal}) == OWNS


@pytest.mark.parametrize("permission", ["zoo.view", "zoo.*", "*"])
def test_a_condition_is_about_rows_of_one_type(permission: str) -> None:
    with pytest.raises(Problem, match="leave the condition out"):
        checks.check_where(OWNS, permission, CATALOGUE, {"zoo.animal": Animal})


@pytest.mark.parametrize(
    ("where", "permission", "pointer"),
    [
        ({"==": [{"row": "no_such"}, 1]}, "zoo.animal.feed", "/where"),
        ({"==": [{"row": "keeper_id"}, 1]}, "zoo.animal.feed", "/where"),
        ({"and": []}, "zoo.animal.feed", "/where/and"),
        ({"eval": "1"}, "zoo.animal.feed", "/where"),
        (OWNS, "zoo.cage.view", "/where"),
    ],
)
def test_a_condition_that_does_not_fit_names_the_place(where: Any, permission: str, pointer: str) -> None:
    with pytest.raises(Problem) as caught:
        checks.check_where(where, permission, CATALOGUE, {"zoo.animal": Animal})
    assert [error.pointer for error in caught.value.errors] == [pointer]


# -- the catalogue ------------------------------------------------------------------------------------------------


def test_what_gives_a_permission() -> None:
    givers = {giver.permission: giver.conditional for giver in CATALOGUE.givers("zoo.animal.view")}
    assert givers == {
        "zoo.animal.view": "kept",
        "zoo.animal.feed": "kept",
        "zoo.animal.*": "kept",
        "zoo.*": "kept",
        "*": "kept",
    }


def test_what_holds_for_one_row_brings_what_is_of_type_scope() -> None:
    givers = {giver.permission: giver.conditional for giver in CATALOGUE.givers("zoo.view")}
    assert (givers["zoo.animal.feed"], givers["zoo.view"], givers["zoo.*"]) == ("dropped", "nothing", "dropped")


def test_actions_that_bring_another() -> None:
    assert sorted(CATALOGUE.acts("zoo.animal.view")) == ["*", "feed", "view"]
