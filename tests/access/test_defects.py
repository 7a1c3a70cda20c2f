"""What we have seen Casbin's own stores, enforcers and role managers do, and this engine must not.

Each was reproduced with pycasbin; the name of the test says what is right.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import Rule
from plugin_host.access.grants import give, take
from plugin_host.access.judge import allows
from plugin_host.access.members import set_roles, set_subject_roles
from plugin_host.access.policy import NOTHING, Line, Policy, follow_policy, load_policy
from plugin_host.access.roles import create_role
from plugin_host.access.rules import add_rule, delete_rule
from plugin_host.access.snapshot import KEPT, Snapshot
from plugin_host.access.tables import Grant, RoleMember, StoredRule
from plugin_host.database import Database
from plugin_host.sdk.manifest import Permission, RoleGrant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.security

CATALOGUE = Catalogue.of(
    [Permission(name="den.view", title="x"), Permission(name="den.fox.view", title="x", scope="object")]
)
ODD = ["mallory, admin", "Sales)", '"quoted"', "it's", "two\nlines", " admin ", "*", "r.sub", "p, x", "a" * 100]


def snapshot(policy: Policy = NOTHING, *rules: Rule) -> Snapshot:
    return Snapshot(CATALOGUE, rules, policy=policy)


def says(*lines: tuple[str, str, str]) -> dict[str, tuple[Line, ...]]:
    said: dict[str, tuple[Line, ...]] = {}
    for subject, name, effect in lines:
        said[subject] = (*said.get(subject, ()), Line(name, effect))
    return said


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/den.db"


@pytest.fixture
async def store(database: Database, migrate: Callable[[Database], None]) -> AsyncIterator[Any]:
    migrate(database)
    unit = database.unit()
    yield unit.session
    await unit.close()
    await database.close()


@pytest.mark.anyio
@pytest.mark.parametrize("name", ODD)
async def test_1_a_name_is_kept_and_read_back_as_it_is(store: Any, name: str) -> None:
    await create_role(store, name, name, (RoleGrant(permission="den.view"),), "1")
    await set_subject_roles(store, f"group:{name}", [name], "1")
    policy = await load_policy(store)
    mine, others = frozenset({f"group:{name}"}), frozenset({"group:mallory", "group:admin", "group:Sales", "group:*"})
    assert snapshot(policy).holds(mine, "den.view")
    assert not snapshot(policy).holds(others - mine, "den.view")


@pytest.mark.anyio
async def test_2_exactly_what_is_named_is_removed(store: Any) -> None:
    rules = [
        await add_rule(store, subject, name, effect, None, "1")  # type: ignore[arg-type]
        for subject in ("user:a", "user:b")
        for name, effect in (("den.view", "allow"), ("den.fox.view", "deny"))
    ]
    await delete_rule(store, rules[0].id, "1")
    await delete_rule(store, rules[3].id, "1")
    left = {(rule.subject, rule.permission) for rule in await store.scalars(sa.select(StoredRule))}
    assert left == {("user:a", "den.fox.view"), ("user:b", "den.view")}
    assert set((await load_policy(store)).rules) == {"user:a", "user:b"}


@pytest.mark.anyio
async def test_3_what_the_store_did_not_keep_is_not_in_memory_either(database: Database, migrate: Any) -> None:
    migrate(database)
    unit = database.unit()
    await add_rule(unit.session, "user:a", "den.view", "allow", None, "1")
    await unit.rollback()
    async with database.engine.connect() as connection:
        policy = await follow_policy(connection, NOTHING)
    await unit.close()
    await database.close()
    assert not snapshot(policy).holds(frozenset({"user:a"}), "den.view")


@pytest.mark.anyio
async def test_4_a_reload_that_began_before_a_revocation_does_not_bring_the_right_back(
    database: Database, migrate: Any
) -> None:
    from types import SimpleNamespace

    from plugin_host.core.ruling import Ruling

    migrate(database)
    unit = database.unit()
    rule = await add_rule(unit.session, "user:a", "den.view", "allow", None, "1")
    await unit.commit()
    everywhere: Any = SimpleNamespace(default=database, of=lambda _plugin: database, separate=frozenset())
    ruling = Ruling(everywhere)
    reading = asyncio.create_task(ruling.at(2))
    await asyncio.sleep(0)
    await delete_rule(unit.session, rule.id, "1")
    await unit.commit()
    await asyncio.gather(reading, ruling.at(3))
    await unit.close()
    await database.close()
    assert ruling.policy.revision == 3
    assert not snapshot(ruling.policy).holds(frozenset({"user:a"}), "den.view")


def test_5_while_a_new_policy_is_read_the_old_one_answers() -> None:
    old = snapshot(Policy(1, says(("user:a", "den.view", "allow")), {}, {}))
    new = old.with_policy(Policy(2, {}, {}, {}))
    assert (old.holds(frozenset({"user:a"}), "den.view"), new.holds(frozenset({"user:a"}), "den.view")) == (True, False)


@pytest.mark.parametrize("subjects", [frozenset({""}), frozenset({"user:"}), frozenset({"*"})])
def test_6_no_rules_allow_nothing(subjects: frozenset[str]) -> None:
    assert not snapshot().holds(subjects, "den.view")
    with pytest.raises(ValueError, match="no rules"):
        allows([], subjects, ("", "", ""), frozenset())


def test_7_a_deny_for_everything_is_heard_however_the_question_is_asked() -> None:
    policy = Policy(1, says(("user:a", "den.view", "allow"), ("user:a", "*", "deny")), {}, {})
    assert not snapshot(policy).holds(frozenset({"user:a"}), "den.view")


def test_8_threads_do_not_answer_each_other() -> None:
    policy = Policy(1, says(*((f"user:{n}", "den.view", "allow" if n % 2 else "deny") for n in range(20))), {}, {})
    asked, wrong = snapshot(policy), []

    def ask(start: int) -> None:
        wrong.extend(
            number
            for number in range(start, start + 200)
            if asked.holds(frozenset({f"user:{number % 20}"}), "den.view") != bool(number % 20 % 2)
        )

    threads = [threading.Thread(target=ask, args=(number * 7,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_9_roles_are_followed_to_the_end_of_ten_thousand_and_round_in_circles() -> None:
    links = {f"role:r{number}": frozenset({f"role:r{number + 1}", "role:r0"}) for number in range(10_000)}
    policy = Policy(1, says(("role:r10000", "den.view", "allow")), {}, links)
    assert snapshot(policy).holds(frozenset({"role:r0"}), "den.view")
    assert not snapshot(policy).holds(frozenset({"role:other"}), "den.view")


def test_10_who_is_asked_about_is_not_remembered_without_end() -> None:
    policy = Policy(1, says(("role:x", "den.view", "allow")), {}, {"group:g": frozenset({"role:x"})})
    asked = snapshot(policy)
    for number in range(KEPT * 2 + 10):
        asked.holds(frozenset({f"user:ghost{number}"}), "den.view")
    assert max(len(kept) for kept in (asked._held, asked._closures, asked._slices, asked._held_by_roles)) <= KEPT


def test_11_a_rule_with_a_broken_condition_breaks_no_other_question() -> None:
    said = {"user:a": (Line("den.fox.view", "allow", "no json"), Line("den.view", "allow"))}
    asked = snapshot(Policy(1, said, {}, {}))
    assert asked.holds(frozenset({"user:a"}), "den.view")
    assert not asked.holds(frozenset({"user:a"}), "den.fox.view")


@pytest.mark.anyio
async def test_12_the_same_thing_is_kept_once(store: Any) -> None:
    for _ in range(2):
        await set_roles(store, "a", ["x", "x"], "1")
        grant = await give(store, "user:a", "den.fox.view", "1", "1")
    assert len((await store.scalars(sa.select(RoleMember))).all()) == 1
    await take(store, grant.id, "1")
    assert (await store.scalars(sa.select(Grant))).all() == []


def test_13_a_rule_about_what_nobody_declares_matches_nothing() -> None:
    policy = Policy(1, says(("user:a", "den.veiw", "allow"), ("user:a", "gone.*", "allow")), {}, {})
    assert snapshot(policy).held(frozenset({"user:a"})) == frozenset()
