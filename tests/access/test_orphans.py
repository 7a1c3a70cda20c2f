"""What outlives its plugin or its object, what does not, and what is called by another name now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import compile_rules
from plugin_host.access.decisions import Decisions
from plugin_host.access.grants import give
from plugin_host.access.members import set_roles, set_subject_roles
from plugin_host.access.orphans import Rename, keep_catalogue, purge, rename, renames
from plugin_host.access.policy import follow_policy, load_policy
from plugin_host.access.roles import as_role, create_role, find_role
from plugin_host.access.rules import add_rule
from plugin_host.access.snapshot import Snapshot
from plugin_host.access.tables import Grant, KnownPermission, RoleMember, StoredRule
from plugin_host.database import Database
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.manifest import Permission, Role, RoleGrant
from plugin_host.sdk.models import PluginBase, object_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

VIEW = Permission(name="nest.egg.view", title="See", scope="object")
TURN = Permission(name="nest.egg.turn", title="Turn", scope="object", formerly=("nest.egg.roll", "nest.egg.view"))
WEIGH = Permission(name="nest.egg.weigh", title="Weigh", scope="object", reads=("weight",), writes=("weight", "note"))
MEASURE = Permission(name="nest.egg.measure", title="Measure", scope="object", reads=("weight",))


class Base(PluginBase, plugin="nest"):
    """Tables of these tests."""


class Egg(Base):
    __tablename__ = "nest_egg"
    __object__ = "nest.egg"

    id: Mapped[str] = object_id()
    weight: Mapped[int | None]
    note: Mapped[str | None] = mapped_column(sa.String(64))


@pytest.fixture
async def store(database: Database, migrate: Callable[[Database], None]) -> AsyncIterator[Any]:
    migrate(database)
    with database.migration_engine() as engine:
        Egg.__table__.create(engine)  # type: ignore[attr-defined]
    unit = database.unit()
    yield unit.session
    await unit.close()
    await database.close()


async def known(store: Any) -> dict[str, str]:
    return {row.name: row.state for row in await store.scalars(sa.select(KnownPermission))}


async def test_a_permission_is_kept_without_its_plugin_and_revived_with_it(store: Any) -> None:
    await keep_catalogue(store, {"nest": [VIEW], "tree": [Permission(name="tree.view", title="x")]})
    await keep_catalogue(store, {"tree": [Permission(name="tree.view", title="x")]})
    assert await known(store) == {"nest.egg.view": "orphaned", "tree.view": "active"}
    await keep_catalogue(store, {"nest": [VIEW]})
    assert await known(store) == {"nest.egg.view": "active", "tree.view": "orphaned"}


async def test_what_is_orphaned_matches_nothing_and_does_when_it_is_back(store: Any) -> None:
    await add_rule(store, "user:7", "nest.egg.view", "allow", None, "1")
    await add_rule(store, "user:8", "*", "allow", None, "1")
    policy = await load_policy(store)
    gone = Snapshot(Catalogue.of([]), [], policy=policy)
    back = Snapshot(Catalogue.of([VIEW]), [], policy=policy)
    for user in ("user:7", "user:8"):
        assert gone.held(frozenset({user})) == frozenset()
        assert back.held(frozenset({user})) == {"nest.egg.view"}


async def test_a_new_name_keeps_its_grants_only_when_an_operator_agrees(store: Any) -> None:
    await create_role(store, "staff", "x", (RoleGrant(permission="nest.egg.roll"), RoleGrant(permission="nest.x")), "1")
    await add_rule(store, "user:7", "nest.egg.roll", "allow", None, "1")
    await give(store, "user:8", "nest.egg.roll", "e1", "1")
    await give(store, "user:9", "nest.egg.roll", "e1", "1")
    await give(store, "user:9", "nest.egg.turn", "e1", "1")
    snapshot = Snapshot(Catalogue.of([TURN, VIEW]), [], policy=await load_policy(store))
    assert not snapshot.holds(frozenset({"user:7"}), "nest.egg.turn")
    # `nest.egg.view` is declared still: that name is not an earlier one.
    assert await renames(store, [TURN, VIEW]) == [Rename("nest.egg.roll", "nest.egg.turn", 1, 1, 2)]
    await rename(store, "nest.egg.roll", TURN, "1")
    snapshot = snapshot.with_policy(await follow_policy(store, snapshot.policy))
    for subject in ("user:7", "role:staff"):
        assert snapshot.holds(frozenset({subject}), "nest.egg.turn")
    assert [grant.permission for grant in as_role(await find_role(store, "staff")).grants] == [
        "nest.egg.turn",
        "nest.x",
    ]
    grants = await store.scalars(sa.select(Grant).order_by(Grant.subject))
    assert [(grant.subject, grant.act) for grant in grants] == [("user:8", "turn"), ("user:9", "turn")]
    assert await renames(store, [TURN, VIEW]) == []


async def test_nothing_is_renamed_that_does_not_say_so(store: Any) -> None:
    with pytest.raises(Problem, match="does not say that it was called"):
        await rename(store, "nest.egg.other", TURN, "1")


async def test_a_purge_takes_all_that_is_said_of_a_plugin_and_other_processes_know(store: Any) -> None:
    await keep_catalogue(store, {"nest": [VIEW]})
    await set_subject_roles(store, "group:3", ["nest.viewer", "staff"], "1")
    await set_roles(store, "7", ["nest.viewer"], "1")
    for permission in ("nest.egg.view", "nest.*", "nestor.view"):
        await add_rule(store, "user:7", permission, "allow", None, "1")
    await give(store, "user:7", "nest.egg.view", "e1", "1")
    before = await load_policy(store)
    revision = (await store.execute(sa.text("UPDATE core_revision SET policy = policy + 1 RETURNING policy"))).scalar()
    connection = await store.connection()
    await connection.run_sync(lambda sync: purge(sync, "nest", revision, None))
    after = await follow_policy(store, before)
    assert after.links == {"group:3": frozenset({"role:staff"})}
    assert [rule.permission for rule in await store.scalars(sa.select(StoredRule))] == ["nestor.view"]
    assert [row.role for row in await store.scalars(sa.select(RoleMember))] == ["staff"]
    assert (await known(store), (await store.scalars(sa.select(Grant))).all()) == ({}, [])


async def test_grants_go_with_their_row(store: Any) -> None:
    store.add_all([Egg(id="e1"), Egg(id="e2")])
    await store.flush()
    for id_ in ("e1", "e2"):
        await give(store, "user:7", "nest.egg.view", id_, "1")
    await store.delete(await store.get(Egg, "e1"))
    await store.flush()
    assert [grant.object for grant in await store.scalars(sa.select(Grant))] == ["e2"]


@pytest.mark.parametrize(
    ("roles", "read", "write"),
    [
        ((), {"id", "note"}, {"id"}),
        (("nest.measurer",), {"id", "note", "weight"}, {"id"}),
        (("nest.weigher",), {"id", "note", "weight"}, {"id", "note", "weight"}),
    ],
)
async def test_fields_are_guarded_by_the_permissions_that_name_them(
    store: Any, roles: tuple[str, ...], read: set[str], write: set[str]
) -> None:
    catalogue = Catalogue.of([VIEW, WEIGH, MEASURE])
    made = [
        Role(name="nest.weigher", title="x", grants=(RoleGrant(permission="nest.egg.weigh"),)),
        Role(name="nest.measurer", title="x", grants=(RoleGrant(permission="nest.egg.measure"),)),
    ]
    snapshot = Snapshot(catalogue, compile_rules(catalogue, made))
    unit: Any = type("Unit", (), {"session": store, "opened": True})()
    actor = Actor(id="7", username="ann", display="Ann", roles=roles)
    fields = await Decisions(actor, lambda: snapshot, unit).fields(Egg(id="e1"))
    assert (fields.read, fields.write) == (read, write)
