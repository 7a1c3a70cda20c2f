"""Who has which roles, and that the migration makes what the class says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from plugin_host.access.groups import add_members, create_group, delete_group, members_of, rename_group, set_members
from plugin_host.access.members import (
    count_holders,
    forget_user,
    holders,
    memberships_of,
    roles_of,
    roles_of_subject,
    set_roles,
    set_subject_roles,
)
from plugin_host.access.tables import Base, PolicyChange, RoleMember
from plugin_host.database import Database
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.models import METADATA

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

OURS = {mapper.local_table.name for mapper in Base.registry.mappers}  # type: ignore[attr-defined]


@pytest.fixture
async def people(database: Database, migrate: Callable[[Database], None]) -> AsyncIterator[Database]:
    migrate(database)
    yield database
    await database.close()


async def give(database: Database, user_id: str, *roles: str, by: str | None = "1") -> None:
    unit = database.unit()
    try:
        await set_roles(unit.session, user_id, roles, by)
        await unit.commit()
    finally:
        await unit.close()


async def ask(database: Database, question: Callable[[Any], Any]) -> Any:
    unit = database.unit(write=False)
    try:
        return await question(unit.session)
    finally:
        await unit.close()


async def test_somebody_has_no_roles_at_first(people: Database) -> None:
    assert await ask(people, lambda session: roles_of(session, "7")) == ()


async def test_roles_are_given_sorted(people: Database) -> None:
    await give(people, "7", "contacts.viewer", "contacts.editor", "contacts.viewer")
    assert await ask(people, lambda session: roles_of(session, "7")) == ("contacts.editor", "contacts.viewer")


async def test_roles_can_be_asked_of_a_connection(people: Database) -> None:
    await give(people, "7", "contacts.editor")
    async with people.engine.connect() as connection:
        assert await roles_of(connection, "7") == ("contacts.editor",)


async def test_roles_of_others_stay_as_they_are(people: Database) -> None:
    await give(people, "8", "contacts.viewer")
    await give(people, "7", "contacts.editor")
    assert await ask(people, lambda session: roles_of(session, "8")) == ("contacts.viewer",)


async def test_roles_that_are_left_out_are_taken_away(people: Database) -> None:
    await give(people, "7", "contacts.viewer", "contacts.editor")
    await give(people, "7", "contacts.viewer", "core.admin")
    assert await ask(people, lambda session: roles_of(session, "7")) == ("contacts.viewer", "core.admin")


async def test_all_roles_can_be_taken_away(people: Database) -> None:
    await give(people, "7", "contacts.viewer")
    await give(people, "7")
    assert await ask(people, lambda session: roles_of(session, "7")) == ()


async def test_a_role_that_stays_keeps_who_gave_it(people: Database) -> None:
    await give(people, "7", "contacts.viewer", by="1")
    await give(people, "7", "contacts.viewer", "contacts.editor", by="2")
    rows = await ask(people, lambda session: session.scalars(sa.select(RoleMember).order_by(RoleMember.role)))
    assert [(row.role, row.granted_by) for row in rows] == [("contacts.editor", "2"), ("contacts.viewer", "1")]


async def test_who_gave_a_role_may_be_unknown(people: Database) -> None:
    await give(people, "7", "contacts.viewer", by=None)
    (row,) = await ask(people, lambda session: session.scalars(sa.select(RoleMember)))
    assert (row.subject, row.granted_by, row.granted_at.tzinfo is not None) == ("user:7", None, True)


async def test_giving_roles_raises_the_policy_revision(people: Database) -> None:
    before = await people.revision()
    await give(people, "7", "contacts.viewer")
    assert await people.revision() == (before.auth, before.policy + 1, before.wishes)


async def test_what_is_rolled_back_was_never_given(people: Database) -> None:
    before, unit = await people.revision(), people.unit()
    await set_roles(unit.session, "7", ["core.admin"], "1")
    await unit.rollback()
    await unit.close()
    assert (await people.revision(), await ask(people, lambda session: roles_of(session, "7"))) == (before, ())


async def test_two_who_give_at_once_wait_for_each_other(people: Database) -> None:
    await asyncio.gather(*(give(people, "7", "contacts.viewer", by=str(number)) for number in range(4)))
    assert await ask(people, lambda session: roles_of(session, "7")) == ("contacts.viewer",)


async def test_holders_are_counted(people: Database) -> None:
    await give(people, "7", "core.admin")
    await give(people, "8", "core.admin", "contacts.viewer")
    assert await ask(people, lambda session: count_holders(session, "core.admin")) == 2


async def test_a_role_that_nobody_has_has_no_holders(people: Database) -> None:
    assert await ask(people, lambda session: count_holders(session, "core.admin")) == 0


# -- groups, and roles of groups and roles --------------------------------------------------------------------


async def do(database: Database, act: Callable[[Any], Any]) -> Any:
    unit = database.unit()
    try:
        result = await act(unit.session)
        await unit.commit()
    finally:
        await unit.close()
    return result


async def test_groups_come_with_the_roles_of_somebody(people: Database) -> None:
    await give(people, "7", "contacts.viewer")
    group = await do(people, lambda db: create_group(db, " Sales ", "1"))
    await do(people, lambda db: add_members(db, group.id, ["7", "8", "7"], "1"))
    await do(people, lambda db: add_members(db, group.id, ["8"], "1"))
    assert await ask(people, lambda db: memberships_of(db, "7")) == (("contacts.viewer",), (group.id,))
    assert await ask(people, lambda db: members_of(db, group.id)) == ("7", "8")


async def test_holders_come_through_groups_and_roles_and_circles(people: Database) -> None:
    group = await do(people, lambda db: create_group(db, "Sales", "1"))
    await do(people, lambda db: set_members(db, group.id, ["8"], "1"))
    await do(people, lambda db: set_subject_roles(db, f"group:{group.id}", ["staff"], "1"))
    await do(people, lambda db: set_subject_roles(db, "role:staff", ["core.admin"], "1"))
    await do(people, lambda db: set_subject_roles(db, "role:core.admin", ["staff"], "1"))
    await give(people, "7", "staff")
    assert await ask(people, lambda db: holders(db, "core.admin")) == {"7", "8"}


async def test_a_groups_name_is_there_once(people: Database) -> None:
    await do(people, lambda db: create_group(db, "Sales", "1"))
    with pytest.raises(Problem, match="there is a group 'SALES' already"):
        await do(people, lambda db: create_group(db, "SALES", "1"))


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 121, "\0"])
async def test_a_name_that_no_group_can_have(people: Database, name: str) -> None:
    with pytest.raises(Problem, match="printable"):
        await do(people, lambda db: create_group(db, name, "1"))


async def test_a_deleted_group_takes_along_what_it_gave(people: Database) -> None:
    group = await do(people, lambda db: create_group(db, "Sales", "1"))
    await do(people, lambda db: set_members(db, group.id, ["7"], "1"))
    await do(people, lambda db: set_subject_roles(db, f"group:{group.id}", ["core.admin"], "1"))
    await do(people, lambda db: delete_group(db, group.id, "1"))
    assert await ask(people, lambda db: memberships_of(db, "7")) == ((), ())
    assert await ask(people, lambda db: roles_of_subject(db, f"group:{group.id}")) == ()


async def test_a_group_that_is_not_there(people: Database) -> None:
    with pytest.raises(Problem, match="no such group"):
        await do(people, lambda db: rename_group(db, "none", "Sales", "1"))


async def test_a_forgotten_user_has_nothing_left(people: Database) -> None:
    group = await do(people, lambda db: create_group(db, "Sales", "1"))
    await do(people, lambda db: set_members(db, group.id, ["7"], "1"))
    await give(people, "7", "contacts.viewer")
    await do(people, lambda db: forget_user(db, "7", "1"))
    assert await ask(people, lambda db: memberships_of(db, "7")) == ((), ())


async def test_every_change_is_written_down_under_its_revision(people: Database) -> None:
    await give(people, "7", "contacts.viewer")
    await give(people, "7", "contacts.editor")
    rows = await ask(people, lambda db: db.scalars(sa.select(PolicyChange).order_by(PolicyChange.revision)))
    told = {(row.revision, row.kind, row.subject, row.key, row.before, row.after) for row in rows}
    assert told == {
        (2, "member", "user:7", "contacts.viewer", None, '"contacts.viewer"'),
        (3, "member", "user:7", "contacts.viewer", '"contacts.viewer"', None),
        (3, "member", "user:7", "contacts.editor", None, '"contacts.editor"'),
    }


@pytest.mark.security
@pytest.mark.parametrize("name", ["mallory, admin", "it's", '"', "two\nlines", "%", "Sales)", " admin "])
async def test_a_name_is_data(people: Database, name: str) -> None:
    await give(people, name, name)
    assert await ask(people, lambda session: roles_of(session, name)) == (name,)
    assert await ask(people, lambda session: roles_of(session, "mallory")) == ()


async def test_the_migration_makes_what_the_class_says(people: Database) -> None:
    def ours(name: str | None, kind: str, parents: Any) -> bool:
        return (name if kind == "table" else parents.get("table_name")) in OURS or kind == "schema"

    def ours_said(item: Any, _name: str | None, kind: str, _reflected: object, _other: object) -> bool:
        return bool((item if kind == "table" else item.table).name in OURS)

    options = {"compare_type": True, "include_name": ours, "include_object": ours_said}
    with people.migration_engine() as engine, engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
        assert sa.inspect(connection).get_pk_constraint("core_role_member")["name"] == "pk_core_role_member"
