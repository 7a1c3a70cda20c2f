"""Grants on single objects: what is decided with them, row by row and as a filter."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.access import book as book_module
from plugin_host.access.books import Books
from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import Rule, compile_rules
from plugin_host.access.decisions import Decisions
from plugin_host.access.grants import give, take
from plugin_host.access.members import set_roles, set_subject_roles
from plugin_host.access.policy import NOTHING, Policy, follow_policy, load_policy
from plugin_host.access.roles import change_role, create_role
from plugin_host.access.rules import add_rule, delete_rule
from plugin_host.access.snapshot import Snapshot
from plugin_host.database import Database
from plugin_host.sdk.context import Actor
from plugin_host.sdk.manifest import Permission, Role, RoleGrant
from plugin_host.sdk.models import PluginBase, object_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

OWNS: dict[str, Any] = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
CATALOGUE = Catalogue.of(
    [
        Permission(name="pond.view", title="Open"),
        Permission(name="pond.fish.view", title="See", scope="object", implies=("pond.view",)),
        Permission(name="pond.fish.feed", title="Feed", scope="object", implies=("pond.fish.view",)),
    ]
)
FISHER = Role(name="pond.fisher", title="x", grants=(RoleGrant(permission="pond.fish.view"),))
OWNER = Role(name="pond.owner", title="x", grants=(RoleGrant(permission="pond.fish.view", where=OWNS),))
RULES = compile_rules(CATALOGUE, [FISHER, OWNER])


class Base(PluginBase, plugin="pond"):
    """Tables of these tests."""


class Fish(Base):
    __tablename__ = "pond_fish"
    __object__ = "pond.fish"

    id: Mapped[str] = object_id()
    owner_id: Mapped[str | None] = mapped_column(sa.String(64))


class Pond:
    """A database of fish, and questions to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.books = Books(lambda _plugin: database.engine)
        self.snapshot = Snapshot(CATALOGUE, RULES, objects={"pond.fish": Fish})

    async def do(self, act: Callable[[Any], Any]) -> Any:
        unit = self.database.unit()
        try:
            result = await act(unit.session)
            await unit.commit()
        finally:
            await unit.close()
        return result

    async def follow(self) -> None:
        async with self.database.engine.connect() as connection:
            policy = await follow_policy(connection, self.snapshot.policy)
            await self.books.of("pond").follow(connection, policy.revision)
        self.snapshot = self.snapshot.with_policy(policy)

    async def ask(self, actor: Actor, question: Callable[[Decisions], Any]) -> Any:
        unit = self.database.unit()
        try:
            return await question(self.decisions(actor, unit))
        finally:
            await unit.close()

    def decisions(self, actor: Actor, unit: Any) -> Decisions:
        return Decisions(actor, lambda: self.snapshot, unit, books=self.books, at_home="pond")

    async def can(self, actor: Actor, permission: str, *ids: str) -> list[bool]:
        """Answer row by row, all at once and as a filter: the same each time."""
        await self.follow()
        unit = self.database.unit()
        try:
            access = self.decisions(actor, unit)
            fish = [await unit.session.get(Fish, id_) for id_ in ids]
            many = await access.can_many(permission, fish)
            assert [await access.can(permission, each) for each in fish] == many
            await self.books.overview(self.books.of("pond"), self.snapshot.closure(actor.subjects))
            listed = set(await unit.session.scalars(access.permitted(sa.select(Fish), permission)))
            assert [each in listed for each in fish] == many
            return many
        finally:
            await unit.close()


def ann(*roles: str, groups: tuple[str, ...] = ()) -> Actor:
    return Actor(id="7", username="ann", display="Ann", roles=roles, groups=groups)


@pytest.fixture
async def pond(database: Database, migrate: Callable[[Database], None]) -> AsyncIterator[Pond]:
    migrate(database)
    with database.migration_engine() as engine:
        Fish.__table__.create(engine)  # type: ignore[attr-defined]
    pond = Pond(database)

    async def fill(session: Any) -> None:
        session.add_all(Fish(id=name, owner_id=owner) for name, owner in [("eel", "7"), ("carp", "8"), ("pike", None)])

    await pond.do(fill)
    yield pond
    await database.close()


async def test_nothing_is_asked_of_an_empty_table(pond: Pond) -> None:
    await pond.follow()
    assert pond.books.of("pond").empty
    assert await pond.can(ann("pond.fisher"), "pond.fish.view", "eel", "carp") == [True, True]


async def test_what_is_granted_may_be_done(pond: Pond) -> None:
    await pond.do(lambda db: give(db, "user:7", "pond.fish.feed", "carp", "1"))
    assert await pond.can(ann(), "pond.fish.feed", "eel", "carp") == [False, True]


async def test_what_comes_with_it_may_be_done_too(pond: Pond) -> None:
    await pond.do(lambda db: give(db, "group:3", "pond.fish.feed", "carp", "1"))
    assert await pond.can(ann(groups=("3",)), "pond.fish.view", "carp", "pike") == [True, False]


async def test_a_grant_on_one_object_brings_what_is_of_type_scope(pond: Pond) -> None:
    await pond.do(lambda db: give(db, "user:7", "pond.fish.feed", "carp", "1"))
    await pond.follow()
    await pond.books.overview(pond.books.of("pond"), ann().subjects)
    assert pond.books.holds(pond.snapshot, ann().subjects, "pond.view")
    assert pond.books.holds(pond.snapshot, ann().subjects, "pond.fish.view")
    assert await pond.ask(ann(), lambda it: it.can("pond.view"))


async def test_a_conversation_learns_of_what_is_given_and_taken(pond: Pond) -> None:
    await pond.follow()
    unit = pond.database.unit(write=False)
    access = Decisions(ann(), lambda: pond.snapshot, unit, books=pond.books, at_home="pond", refresh=pond.follow)
    told = [await access.can("pond.view")]
    grant = await pond.do(lambda db: give(db, "user:7", "pond.fish.feed", "carp", "1"))
    access._seen = 0.0  # as after a while
    told.append(await access.can("pond.view"))
    await pond.do(lambda db: take(db, grant.id, "1"))
    access._seen = 0.0
    told.append(await access.can("pond.view"))
    await unit.close()
    assert told == [False, True, False]


async def test_a_denying_grant_beats_the_role(pond: Pond) -> None:
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "carp", "1", effect="deny"))
    assert await pond.can(ann("pond.fisher"), "pond.fish.view", "eel", "carp") == [True, False]


async def test_a_denying_grant_beats_a_grant(pond: Pond) -> None:
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "carp", "1"))
    await pond.do(lambda db: give(db, "group:3", "pond.fish.view", "carp", "1", effect="deny"))
    assert await pond.can(ann(groups=("3",)), "pond.fish.view", "carp") == [False]


async def test_a_denying_rule_beats_a_grant(pond: Pond) -> None:
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "carp", "1"))
    await pond.do(lambda db: add_rule(db, "user:7", "pond.*", "deny", None, "1"))
    assert await pond.can(ann(), "pond.fish.view", "carp") == [False]
    assert not pond.books.holds(pond.snapshot, ann().subjects, "pond.fish.view")


async def test_a_condition_and_a_grant_are_added_up(pond: Pond) -> None:
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "pike", "1"))
    assert await pond.can(ann("pond.owner"), "pond.fish.view", "eel", "carp", "pike") == [True, False, True]


async def test_many_grants_give_the_same_answers(pond: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugin_host.access.filters.LIGHT", 0)
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "pike", "1"))
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "eel", "1", effect="deny"))
    assert await pond.can(ann("pond.owner"), "pond.fish.view", "eel", "carp", "pike") == [False, False, True]


async def test_more_grants_than_are_counted_give_the_same_answers(pond: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "COUNTED", 1)
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "pike", "1"))
    await pond.do(lambda db: give(db, "user:7", "pond.fish.feed", "eel", "1", effect="deny"))
    assert await pond.can(ann(), "pond.fish.view", "eel", "carp", "pike") == [False, False, True]


async def test_a_grant_ends_at_its_moment(pond: Pond) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "pike", "1", until=soon))
    assert await pond.can(ann(), "pond.fish.view", "pike") == [True]
    time.sleep(max(0.0, soon.timestamp() - time.time()) + 0.01)  # noqa: ASYNC251 - nothing else is running
    assert await pond.can(ann(), "pond.fish.view", "pike") == [False]


async def test_what_is_taken_back_is_gone_at_once(pond: Pond) -> None:
    grant = await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "pike", "1"))
    assert await pond.can(ann(), "pond.fish.view", "pike") == [True]
    await pond.do(lambda db: take(db, grant.id, "1"))
    assert await pond.can(ann(), "pond.fish.view", "pike") == [False]


async def test_what_is_given_in_a_call_holds_in_it(pond: Pond) -> None:
    await pond.follow()
    unit = pond.database.unit()
    access = pond.decisions(ann(), unit)
    pike = await unit.session.get(Fish, "pike")
    before = await access.can("pond.fish.view", pike)
    await give(unit.session, "user:7", "pond.fish.view", "pike", "1")
    after = await access.can("pond.fish.view", pike)
    listed = list(await unit.session.scalars(access.permitted(sa.select(Fish), "pond.fish.view")))
    await unit.close()
    assert (before, after, listed) == (False, True, [pike])
    assert await pond.can(ann(), "pond.fish.view", "pike") == [False]  # it was never committed


async def test_nothing_old_is_remembered_as_new(pond: Pond) -> None:
    grant = await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "pike", "1"))
    await pond.follow()
    old = pond.database.unit(write=False)
    await old.session.execute(sa.text("SELECT policy FROM core_revision"))  # on SQLite it looks at this moment now
    await pond.do(lambda db: take(db, grant.id, "1"))
    await pond.follow()
    await pond.books.of("pond").on(old.session, ann().subjects, "pond.fish", ["pike"])
    await old.close()
    assert await pond.can(ann(), "pond.fish.view", "pike") == [False]


# -- rules and roles of administrators --------------------------------------------------------------------------


async def test_a_stored_role_gives_what_it_says(pond: Pond) -> None:
    grants = (RoleGrant(permission="pond.fish.feed", where=OWNS),)
    await pond.do(lambda db: create_role(db, "staff", "Staff", grants, "1"))
    assert await pond.can(ann("staff"), "pond.fish.view", "eel", "carp") == [True, False]
    await pond.do(lambda db: change_role(db, "staff", "1", grants=()))
    assert await pond.can(ann("staff"), "pond.fish.view", "eel") == [False]


async def test_roles_come_through_groups_and_roles(pond: Pond) -> None:
    await pond.do(lambda db: set_subject_roles(db, "group:3", ["staff"], "1"))
    await pond.do(lambda db: set_subject_roles(db, "role:staff", ["pond.fisher"], "1"))
    await pond.do(lambda db: set_subject_roles(db, "role:pond.fisher", ["staff"], "1"))
    assert await pond.can(ann(groups=("3",)), "pond.fish.view", "carp") == [True]
    assert pond.snapshot.effective(ann(groups=("3",))).roles == ("pond.fisher", "staff")
    await pond.do(lambda db: set_subject_roles(db, "group:3", [], "1"))
    assert await pond.can(ann(groups=("3",)), "pond.fish.view", "carp") == [False]


async def test_a_deny_takes_from_the_administrator_too(pond: Pond) -> None:
    pond.snapshot = Snapshot(CATALOGUE, [Rule("role:core.admin", "*", "*", "*")], objects={"pond.fish": Fish})
    rule = await pond.do(lambda db: add_rule(db, "role:core.admin", "pond.fish.feed", "deny", None, "1"))
    assert await pond.can(ann("core.admin"), "pond.fish.feed", "eel") == [False]
    assert await pond.can(ann("core.admin"), "pond.fish.view", "eel") == [True]
    await pond.do(lambda db: delete_rule(db, rule.id, "1"))
    assert await pond.can(ann("core.admin"), "pond.fish.feed", "eel") == [True]


@pytest.mark.parametrize(("effect", "role", "expected"), [("allow", (), [False]), ("deny", ("pond.fisher",), [False])])
async def test_a_condition_whose_column_is_gone_never_allows(
    pond: Pond, effect: Any, role: tuple[str, ...], expected: list[bool]
) -> None:
    gone = {"==": [{"row": "gone"}, "x"]}
    await pond.do(lambda db: add_rule(db, "user:7", "pond.fish.view", effect, gone, "1"))
    assert await pond.can(ann(*role), "pond.fish.view", "eel") == expected


async def test_following_is_the_same_as_loading(pond: Pond) -> None:
    await pond.follow()
    await pond.do(lambda db: create_role(db, "staff", "Staff", (RoleGrant(permission="pond.view"),), "1"))
    rule = await pond.do(lambda db: add_rule(db, "role:staff", "pond.*", "deny", None, "1"))
    await pond.do(lambda db: set_subject_roles(db, "group:3", ["staff"], "1"))
    await pond.follow()
    await pond.do(lambda db: delete_rule(db, rule.id, "1"))
    await pond.do(lambda db: give(db, "user:7", "pond.fish.view", "pike", "1"))
    await pond.follow()
    loaded: Policy = await pond.do(load_policy)
    followed = pond.snapshot.policy
    assert (followed.revision, dict(followed.rules), followed.roles, followed.links) == (
        loaded.revision,
        loaded.rules,
        loaded.roles,
        loaded.links,
    )


async def test_a_role_that_is_taken_from_somebody_with_rules_is_gone(pond: Pond) -> None:
    await pond.follow()
    await pond.do(lambda db: set_roles(db, "7", ["pond.fisher"], "1"))
    await pond.do(lambda db: add_rule(db, "user:7", "pond.view", "allow", None, "1"))
    await pond.follow()
    assert pond.snapshot.policy.links == {}  # those of people come with the person
    await pond.do(lambda db: set_roles(db, "7", [], "1"))
    assert await pond.can(ann(), "pond.fish.view", "carp") == [False]


async def test_rules_are_loaded_in_portions(pond: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugin_host.access.policy.PORTION", 2)
    for number in range(5):
        await pond.do(lambda db, number=number: add_rule(db, f"user:{number}", "pond.view", "allow", None, "1"))
    loaded: Policy = await pond.do(load_policy)
    assert sorted(loaded.rules) == [f"user:{number}" for number in range(5)]
    assert NOTHING.rules == {}
