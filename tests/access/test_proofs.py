"""Two promises, held against random policies: plain Casbin would decide the same, and a list has the same rows.

A policy is made from a number, so a failure can be made again. The short versions run with all tests, the long ones
with `nox -s proofs`.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import casbin
import hypothesis
import pytest
import sqlalchemy as sa
from casbin.rbac import default_role_manager
from hypothesis import strategies as st
from sqlalchemy.orm import Mapped, Session, mapped_column

from plugin_host.access import filters
from plugin_host.access.book import Kind, Overview
from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import compile_rules
from plugin_host.access.conditions import compile_predicate
from plugin_host.access.judge import MODEL
from plugin_host.access.policy import Line, Policy
from plugin_host.access.snapshot import Snapshot
from plugin_host.access.tables import Grant
from plugin_host.database import Database
from plugin_host.sdk.conditions import canonical, parse_condition
from plugin_host.sdk.context import Actor
from plugin_host.sdk.manifest import Permission, Role, RoleGrant
from plugin_host.sdk.models import PluginBase

PERMISSIONS = [
    Permission(name="farm.view", title="x"),
    Permission(name="farm.export", title="x", implies=("farm.view",)),
    Permission(name="farm.field.view", title="x", scope="object", implies=("farm.view",)),
    Permission(name="farm.field.edit", title="x", scope="object", implies=("farm.field.view",)),
    Permission(name="farm.field.sell", title="x", scope="object", implies=("farm.field.edit", "farm.barn.view")),
    Permission(name="farm.barn.view", title="x", scope="object"),
    Permission(name="mill.view", title="x"),
]
CATALOGUE = Catalogue.of(PERMISSIONS)
BY_NAME = {permission.name: permission for permission in PERMISSIONS}
PATTERNS = ["*", "farm.*", "farm.field.*", "farm.barn.*", "mill.*"]
CONDITIONS: list[dict[str, Any]] = [
    {"==": [{"row": "owner_id"}, {"actor": "id"}]},
    {"<": [{"row": "size"}, 5]},
    {"in": [{"row": "team"}, {"actor": "groups"}]},
    {"in": [{"row": "team"}, {"actor": "roles"}]},
    {"not": {"is_null": {"row": "team"}}},
    {"and": [{"!=": [{"row": "owner_id"}, "8"]}, {"or": [{"is_null": {"row": "size"}}, {">=": [{"row": "size"}, 5]}]}]},
]
USERS, GROUPS = ["7", "8"], ["g1", "g2"]
ROLES = ["farm.hand", "farm.boss", "staff", "chief", "core.admin"]
IDS = ["1", "2", "3", "4", "5"]
TEAMS = [None, "g1", "g2", "staff", "farm.hand", "Staff"]


class Base(PluginBase, plugin="farm"):
    """Tables of these tests."""


class Field(Base):
    __tablename__ = "farm_field"
    __object__ = "farm.field"

    id: Mapped[str] = mapped_column(sa.String(26), primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(sa.String(64))
    size: Mapped[int | None]
    team: Mapped[str | None] = mapped_column(sa.String(64))


@dataclass
class World:
    """A random policy, as people would say it: plain data, from which both sides are made."""

    plugin_roles: list[Role] = field(default_factory=list)
    rules: list[tuple[str, str, str, Any]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    grants: list[tuple[str, str, str, str]] = field(default_factory=list)
    actor: Any = None

    def snapshot(self) -> Snapshot:
        """Give our side."""
        said: dict[str, tuple[Line, ...]] = {}
        for number, (subject, name, effect, where) in enumerate(self.rules):
            line = Line(name, effect, canonical(where) if where else "", str(number))
            said[subject] = (*said.get(subject, ()), line)
        links: dict[str, frozenset[str]] = {}
        for subject, role in self.links:
            links[subject] = links.get(subject, frozenset()) | {role}
        return Snapshot(
            CATALOGUE,
            compile_rules(CATALOGUE, self.plugin_roles),
            policy=Policy(1, said, {}, links),
            objects={"farm.field": Field},
        )

    def effects(self, permission: str, id_: str, subjects: frozenset[str]) -> frozenset[tuple[str, str]]:
        """Give the grants on an object that bring or deny a permission."""
        typ, _, act = permission.rpartition(".")
        return frozenset(
            (subject, effect)
            for subject, name, effect, of in self.grants
            if subject in subjects and of == id_ and name.rpartition(".")[0] == typ
            if (permission in implied(name) if effect == "allow" else name.rpartition(".")[2] == act)
        )


def make_world(number: int) -> World:
    chance = random.Random(number)  # noqa: S311 - to be made again, not to be secret
    world = World()
    subjects = [
        *(f"user:{user}" for user in USERS),
        *(f"group:{group}" for group in GROUPS),
        *(f"role:{role}" for role in ROLES[:-1]),
    ]
    for name in ("farm.hand", "farm.boss"):
        grants = [
            RoleGrant(permission=permission.name, where=where if permission.scope == "object" else None)
            for permission in chance.sample(PERMISSIONS[:-1], chance.randint(0, 3))
            for where in [chance.choice([None, *CONDITIONS])]
        ]
        world.plugin_roles.append(Role(name=name, title="x", grants=tuple(grants)))
    world.plugin_roles.append(Role(name="core.admin", title="x"))
    for _ in range(chance.randint(0, 7)):
        name = chance.choice([*BY_NAME, *PATTERNS])
        alone = name in ("farm.field.*", "farm.field.view", "farm.field.edit", "farm.field.sell")
        where = chance.choice([None, *CONDITIONS]) if alone else None
        world.rules.append((chance.choice(subjects), name, chance.choice(["allow", "allow", "deny"]), where))
    for _ in range(chance.randint(0, 7)):
        world.links.append((chance.choice(subjects[2:]), f"role:{chance.choice(ROLES[:4])}"))
    if chance.random() < 0.1:
        world.links.append((chance.choice(subjects[2:]), "role:core.admin"))
    for _ in range(chance.randint(0, 6)):
        name = chance.choice(["farm.field.view", "farm.field.edit", "farm.field.sell"])
        world.grants.append(
            (chance.choice(subjects), name, chance.choice(["allow", "allow", "deny"]), chance.choice(IDS))
        )
    world.actor = Actor(
        id=chance.choice(USERS),
        username="x",
        display="X",
        roles=tuple(chance.sample(ROLES[:4], chance.randint(0, 2))),
        groups=tuple(chance.sample(GROUPS, chance.randint(0, 2))),
    )
    return world


def make_row(chance: random.Random, id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "owner_id": chance.choice([None, "7", "8", ""]),
        "size": chance.choice([None, 1, 5, 9]),
        "team": chance.choice(TEAMS),
    }


# -- plain Casbin -------------------------------------------------------------------------------------------------


def implied(name: str) -> set[str]:
    found, todo = set(), [name]
    while todo:
        here = todo.pop()
        if here not in found:
            found.add(here)
            todo += BY_NAME[here].implies
    return found


def meant(name: str) -> list[str]:
    return [each for each in BY_NAME if name in ("*", each) or (name.endswith(".*") and each.startswith(name[:-1]))]


def written_out(world: World) -> list[list[str]]:
    """Write every rule, with all that comes with it, as Casbin has it; nothing is left out for any reason."""
    lines = []
    said = [
        (f"role:{role.name}", grant.permission, "allow", grant.where)
        for role in world.plugin_roles
        for grant in role.grants
    ]
    for subject, name, effect, where in [*said, *world.rules]:
        for one in meant(name):
            for brought in sorted(implied(one)) if effect == "allow" else [one]:
                typ, _, act = brought.rpartition(".")
                cond = canonical(where) if where else ""
                if cond and effect == "allow":
                    if BY_NAME[brought].scope == "type":
                        cond = ""
                    elif typ != one.rpartition(".")[0]:
                        continue
                lines.append([subject, typ, "*", act, cond, effect])
    for subject, name, effect, id_ in world.grants:
        for brought in sorted(implied(name)) if effect == "allow" else [name]:
            typ, _, act = brought.rpartition(".")
            if typ == name.rpartition(".")[0]:
                lines.append([subject, typ, id_, act, "", effect])
    return [*lines, ["role:core.admin", "*", "*", "*", "", "allow"]]


def plain_casbin(world: World, actor: Actor) -> Any:
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    enforcer = casbin.Enforcer(model)
    enforcer.set_role_manager(default_role_manager.RoleManager(8))  # there are not more names than that in a way
    enforcer.add_function("cond", lambda cond, row: row is not None and predicate(cond)(row, actor))
    enforcer.model.model["p"]["p"].policy = written_out(world)
    me = f"user:{world.actor.id}"
    mine = [(me, f"group:{group}") for group in world.actor.groups] + [(me, f"role:{it}") for it in world.actor.roles]
    enforcer.model.model["g"]["g"].policy = [list(link) for link in dict.fromkeys([*mine, *world.links])]
    enforcer.build_role_links()
    return enforcer


def predicate(cond: str) -> Any:
    return compile_predicate(parse_condition(json.loads(cond)))


def compare_with_casbin(number: int) -> int:
    """Decide everything that can be asked in one random world, twice; gives how many decisions that were."""
    world, chance = make_world(number), random.Random(number)  # noqa: S311 - to be made again
    snapshot = world.snapshot()
    actor = snapshot.effective(world.actor)
    enforcer = plain_casbin(world, actor)
    rows = [SimpleNamespace(**make_row(chance, id_)) for id_ in IDS]
    count = 0
    for again in range(2):
        for name, permission in BY_NAME.items():
            typ, _, act = name.rpartition(".")
            if permission.scope == "type":
                # "At least one" is ours: with nothing granted on objects, it is what plain Casbin is asked of none.
                ours = snapshot.holds(actor.subjects, name)
                assert ours == enforcer.enforce(f"user:{actor.id}", typ, "", act, None), (number, name, again)
                count += 1
            elif typ == "farm.field":
                for row in rows:
                    effects = world.effects(name, row.id, actor.subjects)
                    ours = snapshot.judge(actor.subjects, name, row, actor, effects)
                    theirs = enforcer.enforce(f"user:{actor.id}", typ, row.id, act, row)
                    assert ours == theirs, (number, name, row, again)
                    count += 1
    return count


@hypothesis.settings(max_examples=40, database=None, deadline=None)
@hypothesis.given(st.integers(min_value=1_000_000))
def test_plain_casbin_decides_the_same(number: int) -> None:
    assert compare_with_casbin(number) > 0


@pytest.mark.proof
def test_plain_casbin_decides_the_same_in_a_hundred_thousand_decisions() -> None:
    decisions = number = 0
    while decisions < 110_000:
        decisions += compare_with_casbin(number)
        number += 1
    assert decisions >= 100_000


# -- lists ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def session(database: Database, migrate: Any) -> Any:
    """Give a database of fields in every state."""
    migrate(database)
    with database.migration_engine() as engine:
        Field.__table__.create(engine)  # type: ignore[attr-defined]
        chance = random.Random(1)  # noqa: S311 - to be made again
        with Session(engine) as session:
            session.add_all(Field(**make_row(chance, f"{id_}")) for id_ in range(1, 41))
            session.flush()
            yield session
            session.rollback()


def compare_lists(session: Session, fields: list[Field], number: int) -> int:
    """Compare the list of one random world with its decisions row by row; gives how many rows it has."""
    world, chance = make_world(number), random.Random(number)  # noqa: S311 - to be made again
    snapshot = world.snapshot()
    actor = snapshot.effective(world.actor)
    session.execute(sa.delete(Grant))
    now = dt.datetime.now(dt.UTC)
    ended = chance.sample(["41", "42"], 1)  # of objects that are in no list
    rows = {
        (subject, name, effect, id_)
        for subject, name, effect, id_ in [*world.grants, ("user:7", "farm.field.view", "allow", ended[0])]
    }
    session.add_all(
        Grant(subject=subject, typ="farm.field", act=name.rpartition(".")[2], effect=effect, object=id_, given_at=now)
        for subject, name, effect, id_ in rows
    )
    session.flush()
    kinds: dict[tuple[str, str, str, str], int] = {}
    for subject, name, effect, _ in rows:
        if subject in actor.subjects:
            key = subject, "farm.field", name.rpartition(".")[2], effect
            kinds[key] = kinds.get(key, 0) + 1
    many = chance.choice([1, filters.LIGHT + 1])
    overview = Overview([Kind(*key, found * many) for key, found in kinds.items()], float("inf"))
    found = 0
    for name in ("farm.field.view", "farm.field.edit"):
        for known in (overview, None):
            listed = set(
                session.scalars(filters.permitted(sa.select(Field.id).select_from(Field), snapshot, actor, name, known))
            )
            judged = {
                each.id
                for each in fields
                if snapshot.judge(actor.subjects, name, each, actor, world.effects(name, each.id, actor.subjects))
            }
            assert listed == judged, (number, name, known is None)
            found += len(listed)
    session.expunge_all()
    return found


def test_a_list_has_the_rows_of_its_decisions(session: Session) -> None:
    fields = list(session.scalars(sa.select(Field)))
    session.expunge_all()
    assert sum(compare_lists(session, fields, number) for number in range(60)) > 0


@pytest.mark.proof
def test_a_list_has_the_rows_of_its_decisions_in_ten_thousand_policies(session: Session) -> None:
    fields = list(session.scalars(sa.select(Field)))
    session.expunge_all()
    assert sum(compare_lists(session, fields, number) for number in range(10_000)) > 10_000
