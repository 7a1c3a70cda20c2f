"""Sharing, and why somebody may or may not; what a change would mean, and what is of no use."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.access.books import Books
from plugin_host.access.catalogue import Catalogue
from plugin_host.access.comparing import compare, diff, report, touched, who_can
from plugin_host.access.compiling import compile_rules
from plugin_host.access.decisions import Decisions
from plugin_host.access.grants import give
from plugin_host.access.groups import create_group, set_members
from plugin_host.access.members import set_roles, set_subject_roles
from plugin_host.access.policy import follow_policy, load_policy
from plugin_host.access.roles import create_role
from plugin_host.access.rules import add_rule
from plugin_host.access.snapshot import Snapshot
from plugin_host.access.tables import Grant
from plugin_host.database import Database
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.manifest import Permission, Role, RoleGrant
from plugin_host.sdk.models import PluginBase, object_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

OWNS: dict[str, Any] = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
CATALOGUE = Catalogue.of(
    [
        Permission(name="barn.view", title="Open"),
        Permission(name="barn.cow.view", title="See", scope="object"),
        Permission(name="barn.cow.milk", title="Milk", scope="object", implies=("barn.cow.view",)),
    ]
)
ROLES = [
    Role(name="barn.milker", title="x", grants=(RoleGrant(permission="barn.cow.milk", where=OWNS),)),
    Role(name="barn.farmer", title="x", grants=(RoleGrant(permission="barn.cow.milk"),)),
]
SOON = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)


class Base(PluginBase, plugin="barn"):
    """Tables of these tests."""


class Cow(Base):
    __tablename__ = "barn_cow"
    __object__ = "barn.cow"

    id: Mapped[str] = object_id()
    owner_id: Mapped[str | None] = mapped_column(sa.String(64))


class Barn:
    """One unit of work on a database of cows, and actors in it."""

    def __init__(self, database: Database) -> None:
        self.unit = database.unit()
        self.db: Any = self.unit.session
        self.books = Books(lambda _plugin: database.engine)
        self.snapshot = Snapshot(
            CATALOGUE, compile_rules(CATALOGUE, ROLES), objects={"barn.cow": Cow}, inactive={"shed.view"}
        )

    async def follow(self) -> None:
        policy = await follow_policy(self.db, self.snapshot.policy)
        self.snapshot = self.snapshot.with_policy(policy)

    async def as_(self, actor: Actor) -> Decisions:
        await self.follow()
        return Decisions(actor, lambda: self.snapshot, self.unit, books=self.books, at_home="barn")

    async def cow(self, name: str = "elsa") -> Cow:
        cow: Cow = await self.db.get(Cow, name)
        return cow


def ann(*roles: str, groups: tuple[str, ...] = ()) -> Actor:
    return Actor(id="7", username="ann", display="Ann", roles=roles, groups=groups)


BOB = Actor(id="8", username="bob", display="Bob")


@pytest.fixture
async def barn(database: Database, migrate: Callable[[Database], None]) -> AsyncIterator[Barn]:
    migrate(database)
    with database.migration_engine() as engine:
        Cow.__table__.create(engine)  # type: ignore[attr-defined]
    barn = Barn(database)
    barn.db.add_all([Cow(id="elsa", owner_id="7"), Cow(id="alma", owner_id="9")])
    await barn.db.flush()
    yield barn
    await barn.unit.close()
    await database.close()


async def refused(asking: Any) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await asking
    return caught.value.status, caught.value.code


# -- sharing ------------------------------------------------------------------------------------------------------


async def test_what_is_shared_may_be_done(barn: Barn) -> None:
    await (await barn.as_(ann("barn.milker"))).share(await barn.cow(), "user:8", ["milk"])
    assert await (await barn.as_(BOB)).can("barn.cow.view", await barn.cow())


async def test_what_is_shared_is_taken_back(barn: Barn) -> None:
    giver = await barn.as_(ann("barn.milker"))
    await giver.share(await barn.cow(), "user:8", ["milk", "barn.cow.view"])
    await giver.unshare(await barn.cow(), "user:8", ["milk"])
    assert [grant.act for grant in await barn.db.scalars(sa.select(Grant))] == ["view"]


@pytest.mark.security
async def test_nobody_shares_what_they_may_not_do(barn: Barn) -> None:
    await give(barn.db, "user:7", "barn.cow.view", "alma", "1")
    giver = await barn.as_(ann())
    assert await refused(giver.share(await barn.cow("alma"), "user:8", ["milk"])) == (403, "forbidden")


@pytest.mark.security
async def test_what_may_not_be_seen_is_not_there_to_be_shared(barn: Barn) -> None:
    giver = await barn.as_(ann("barn.milker"))
    assert await refused(giver.share(await barn.cow("alma"), "user:7", ["view"])) == (404, "not_found")


@pytest.mark.security
async def test_nobody_shares_for_longer_than_they_may_themselves(barn: Barn) -> None:
    await give(barn.db, "user:7", "barn.cow.milk", "alma", "1", until=SOON)
    giver, cow = await barn.as_(ann()), await barn.cow("alma")
    assert await refused(giver.share(cow, "user:8", ["milk"])) == (422, "invalid")
    assert await refused(giver.share(cow, "user:8", ["milk"], SOON + dt.timedelta(seconds=1))) == (422, "invalid")
    await giver.share(cow, "user:8", ["milk"], SOON)
    assert await (await barn.as_(BOB)).can("barn.cow.milk", cow)


@pytest.mark.parametrize(
    ("with_", "actions", "until"),
    [
        ("8", ["view"], None),
        ("user:*", ["view"], None),
        ("user:8", [], None),
        ("user:8", "view", None),
        ("user:8", ["fly"], None),
        ("user:8", ["barn.view"], None),
        ("user:8", ["*"], None),
        ("user:8", ["view"], dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        ("user:8", ["view"], dt.datetime(2099, 1, 1)),  # noqa: DTZ001 - that is the point
    ],
)
async def test_what_cannot_be_shared(barn: Barn, with_: str, actions: Any, until: Any) -> None:
    giver = await barn.as_(ann("barn.farmer"))
    assert await refused(giver.share(await barn.cow(), with_, actions, until)) == (422, "invalid")


async def test_nobody_in_particular_shares_nothing(barn: Barn) -> None:
    assert await refused((await barn.as_(ANONYMOUS)).share(await barn.cow(), "user:8", ["view"])) == (
        401,
        "not_signed_in",
    )


# -- explaining ---------------------------------------------------------------------------------------------------


async def test_allowed_by_a_role_through_a_group(barn: Barn) -> None:
    await set_subject_roles(barn.db, "group:3", ["barn.farmer"], "1")
    told = await (await barn.as_(ann(groups=("3",)))).explain("barn.cow.view", await barn.cow())
    assert (told.allowed, told.reason, told.path) == (True, "allowed", ("user:7", "group:3", "role:barn.farmer"))
    assert [(rule.permission, rule.origin, rule.applies) for rule in told.rules] == [("barn.cow.milk", "barn", True)]


async def test_a_condition_that_is_false_is_shown_with_its_values(barn: Barn) -> None:
    told = await (await barn.as_(ann("barn.milker"))).explain("barn.cow.milk", await barn.cow("alma"))
    assert (told.allowed, told.reason, told.would_allow) == (False, "condition_false", ("barn.farmer",))
    (condition,) = told.conditions
    assert (condition.holds, condition.values) == (False, {"row.owner_id": "9", "actor.id": "7"})


async def test_nothing_allows_it(barn: Barn) -> None:
    told = await (await barn.as_(ann())).explain("barn.cow.milk", await barn.cow())
    assert (told.reason, told.rules, told.would_allow) == ("no_grant", (), ("barn.farmer", "barn.milker"))


async def test_a_deny_is_named(barn: Barn) -> None:
    rule = await add_rule(barn.db, "user:7", "barn.*", "deny", None, "1")
    told = await (await barn.as_(ann("barn.farmer"))).explain("barn.cow.milk", await barn.cow())
    assert (told.reason, told.path, told.would_allow) == ("explicit_deny", ("user:7",), ())
    assert [(each.rule, each.effect) for each in told.rules] == [("", "allow"), (rule.id, "deny")]


async def test_a_grant_on_the_object_is_named(barn: Barn) -> None:
    await give(barn.db, "user:7", "barn.cow.milk", "alma", "1")
    told = await (await barn.as_(ann())).explain("barn.cow.view", await barn.cow("alma"))
    assert (told.allowed, [(rule.permission, rule.object) for rule in told.rules]) == (
        True,
        [("barn.cow.milk", "alma")],
    )


@pytest.mark.parametrize(
    ("permission", "reason"), [("barn.vieww", "unknown_permission"), ("shed.view", "plugin_inactive")]
)
async def test_what_nobody_declares_is_explained_too(barn: Barn, permission: str, reason: str) -> None:
    told = await (await barn.as_(ann("core.admin"))).explain(permission)
    assert (told.allowed, told.reason) == (False, reason)


async def test_without_an_object_any_would_do(barn: Barn) -> None:
    access = await barn.as_(ann("barn.milker"))
    assert [(await access.explain(name)).reason for name in ("barn.cow.milk", "barn.view")] == ["allowed", "no_grant"]


# -- who can, what would change, what has changed, what is of no use ----------------------------------------------


async def test_who_might_do_something(barn: Barn) -> None:
    group = await create_group(barn.db, "Team", "1")
    await set_members(barn.db, group.id, ["11"], "1")
    await set_subject_roles(barn.db, f"group:{group.id}", ["barn.farmer"], "1")
    await set_roles(barn.db, "12", ["barn.milker"], "1")
    await add_rule(barn.db, "user:13", "*", "allow", None, "1")
    await give(barn.db, "user:14", "barn.cow.milk", "elsa", "1")
    await barn.follow()
    assert await who_can(barn.db, barn.snapshot, "barn.cow.view", object="elsa") == {"11", "12", "13", "14"}
    assert await who_can(barn.db, barn.snapshot, "barn.cow.view", object="alma") == {"11", "12", "13"}


async def test_what_a_change_would_mean(barn: Barn) -> None:
    before = barn.snapshot
    await add_rule(barn.db, "user:7", "barn.view", "allow", None, "1")
    await add_rule(barn.db, "role:barn.milker", "barn.cow.milk", "allow", None, "1")
    await add_rule(barn.db, "user:8", "barn.cow.milk", "deny", None, "1")
    after = before.with_policy(await load_policy(barn.db))
    people = [ann("barn.milker"), Actor(id="8", username="b", display="B", roles=("barn.farmer",)), BOB]
    told = [
        (each.subject, each.gains, each.loses, each.widened, each.narrowed) for each in compare(before, after, people)
    ]
    assert told == [
        ("user:7", ("barn.view",), (), ("barn.cow.milk", "barn.cow.view"), ()),
        ("user:8", (), ("barn.cow.milk",), (), ()),
    ]
    assert touched(before.policy, after.policy) == {"user:7", "user:8", "role:barn.milker"}


async def test_what_has_changed_between_two_revisions(barn: Barn) -> None:
    await add_rule(barn.db, "user:7", "barn.view", "allow", None, "1")
    await set_roles(barn.db, "7", ["barn.farmer"], "2")
    told = await diff(barn.db, 1, 3)
    assert [(each.revision, each.kind, each.subject, each.by) for each in told] == [
        (2, "rule", "user:7", "1"),
        (3, "member", "user:7", "2"),
    ]
    assert await diff(barn.db, 3, 3) == []


async def test_what_is_of_no_use(barn: Barn) -> None:
    await create_role(barn.db, "staff", "Staff", (RoleGrant(permission="gone.view"),), "1")
    rules = [
        await add_rule(barn.db, subject, permission, effect, where, "1")  # type: ignore[arg-type]
        for subject, permission, effect, where in [
            ("user:7", "gone.view", "allow", None),
            ("group:nobody", "barn.view", "allow", None),
            ("user:7", "barn.cow.milk", "allow", {"==": [{"row": "gone"}, "x"]}),
            ("user:7", "barn.*", "allow", None),
            ("user:7", "barn.cow.view", "allow", OWNS),
            ("user:8", "barn.view", "allow", None),
            ("user:8", "barn.*", "deny", None),
        ]
    ]
    await give(barn.db, "group:nobody", "barn.cow.milk", "elsa", "1")
    await barn.follow()
    told = {(each.kind, each.id, each.why) for each in await report(barn.db, barn.snapshot, ["7", "8"])}
    assert told == {
        ("role", "staff", "unused"),
        ("role", "staff", "orphaned"),
        ("rule", rules[0].id, "orphaned"),
        ("rule", rules[1].id, "orphaned"),
        ("rule", rules[2].id, "broken"),
        ("rule", rules[4].id, "shadowed"),
        ("rule", rules[5].id, "shadowed"),
        ("grant", "group:nobody barn.cow.milk", "orphaned"),
    }
