"""Nobody gives what they do not hold: whatever rules there are, who is given something holds no more than both did."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, strategies as st

from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import compile_rules
from plugin_host.access.policy import Line, Policy
from plugin_host.access.snapshot import Snapshot
from plugin_host.core.governing.covering import lacking, rules_of
from plugin_host.sdk.conditions import canonical
from plugin_host.sdk.manifest import Permission, Role, RoleGrant

pytestmark = pytest.mark.security

NAMES: Final = ("shop.view", "shop.create", "shop.item.view", "shop.item.edit", "core.access.manage")
CATALOGUE: Final = Catalogue.of(
    [
        Permission(name="shop.view", title="View"),
        Permission(name="shop.create", title="Create", implies=("shop.view",)),
        Permission(name="shop.item.view", title="See", scope="object"),
        Permission(name="shop.item.edit", title="Edit", scope="object", implies=("shop.item.view",)),
        Permission(name="core.access.manage", title="Manage"),
    ]
)
MINE: Final = canonical({"==": [{"row": "owner_id"}, {"actor": "id"}]})
OPEN: Final = canonical({"==": [{"row": "state"}, "open"]})
ROLES: Final = (
    Role(name="core.admin", title="Administrator"),
    Role(name="shop.editor", title="Editor", grants=(RoleGrant(permission="shop.item.edit"),)),
)
BASE: Final = Snapshot(CATALOGUE, compile_rules(CATALOGUE, ROLES))
SUBJECTS: Final = (
    "user:giver",
    "user:other",
    "role:own",
    "role:given",
    "role:core.admin",
    "role:shop.editor",
    "group:g",
)

lines = st.builds(
    Line,
    permission=st.sampled_from((*NAMES, "*", "shop.*", "shop.item.*")),
    effect=st.sampled_from(["allow", "allow", "deny"]),
    condition=st.sampled_from(["", "", MINE, OPEN]),
)
policies = st.builds(
    Policy,
    st.just(1),
    st.dictionaries(st.sampled_from(SUBJECTS), st.lists(lines, max_size=4).map(tuple), max_size=5),
    st.just({}),
    st.dictionaries(
        st.sampled_from(("role:own", "role:given", "group:g")),
        st.frozensets(st.sampled_from(("role:own", "role:given", "role:shop.editor", "role:core.admin")), max_size=2),
        max_size=2,
    ),
)


def reach(snapshot: Snapshot, subjects: frozenset[str], name: str) -> set[str]:
    """Say for which rows somebody holds it: all, or by condition."""
    if not snapshot.holds(subjects, name):
        return set()
    return {line.cond for line in snapshot.every_line(subjects, name) if line.effect == "allow"}


@given(
    policy=policies, own=st.frozensets(st.sampled_from(("role:own", "role:shop.editor", "role:core.admin", "group:g")))
)
def test_who_is_given_a_role_holds_no_more_than_giver_and_they_did(policy: Policy, own: frozenset[str]) -> None:
    snapshot = BASE.with_policy(policy)
    giver, other = frozenset({"user:giver", *own}), frozenset({"user:other"})
    if lacking(snapshot, giver, rules_of(snapshot, frozenset({"role:given"}))):
        return
    after = other | {"role:given"}
    for name in NAMES:
        gained = reach(snapshot, after, name) - reach(snapshot, other, name)
        mine = reach(snapshot, giver, name)
        assert not gained or "" in mine or gained <= mine, name


@given(policy=policies)
def test_an_administrator_whom_nothing_is_denied_may_give_everything(policy: Policy) -> None:
    rules = {subject: tuple(line for line in said if line.effect == "allow") for subject, said in policy.rules.items()}
    snapshot = BASE.with_policy(Policy(1, rules, {}, policy.links))
    giver = frozenset({"user:giver", "role:core.admin"})
    assert lacking(snapshot, giver, rules_of(snapshot, frozenset(SUBJECTS))) == set()


def test_everything_is_more_than_all_that_there_is() -> None:
    rules = {"user:giver": tuple(Line(permission=name, effect="allow") for name in NAMES)}
    snapshot = BASE.with_policy(Policy(1, rules, {}, {}))
    giver = frozenset({"user:giver"})
    assert lacking(snapshot, giver, rules_of(snapshot, frozenset({"role:shop.editor"}))) == set()
    assert lacking(snapshot, giver, rules_of(snapshot, frozenset({"role:core.admin"}))) == {"*"}
