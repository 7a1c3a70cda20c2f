"""Permissions, the rules of roles, and the verdicts that are kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import casbin
import hypothesis
import pytest
from casbin.rbac import default_role_manager
from hypothesis import strategies as st

from plugin_host.access import snapshot as module
from plugin_host.access.catalogue import Catalogue, UnknownPermission
from plugin_host.access.compiling import Rule, compile_rules
from plugin_host.access.judge import MODEL, allows
from plugin_host.access.snapshot import Snapshot
from plugin_host.sdk.conditions import canonical, parse_condition
from plugin_host.sdk.context import ANONYMOUS, SYSTEM, Actor
from plugin_host.sdk.manifest import Permission, Role, RoleGrant

OWNS: dict[str, Any] = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
SMALL: dict[str, Any] = {"<": [{"row": "amount"}, 5]}
CATALOGUE = Catalogue.of(
    [
        Permission(name="contacts.view", title="Open"),
        Permission(name="contacts.export", title="Export"),
        Permission(name="contacts.person.view", title="See", scope="object", implies=("contacts.view",)),
        Permission(name="contacts.person.edit", title="Change", scope="object", implies=("contacts.person.view",)),
        Permission(name="contacts.company.view", title="See", scope="object"),
        Permission(
            name="contacts.person.merge",
            title="Merge",
            scope="object",
            implies=("contacts.person.edit", "contacts.company.view"),
        ),
    ]
)


def ann(*roles: str) -> Actor:
    return Actor(id="7", username="ann", display="Ann", roles=roles)


def role(*grants: tuple[str, Any], name: str = "contacts.editor") -> Role:
    return Role(name=name, title="x", grants=tuple(RoleGrant(permission=it, where=where) for it, where in grants))


def rules_of(*grants: tuple[str, Any]) -> set[tuple[str, str, str]]:
    rules = compile_rules(CATALOGUE, [role(*grants)])
    assert {(rule.subject, rule.id, rule.effect, rule.origin) for rule in rules} <= {
        ("role:contacts.editor", "*", "allow", "contacts")
    }
    return {(rule.typ, rule.act, rule.cond) for rule in rules}


def snapshot(*rules: Rule) -> Snapshot:
    return Snapshot(CATALOGUE, rules)


def allow(typ: str = "contacts.person", act: str = "view", cond: Any = None, **said: Any) -> Rule:
    values = {"subject": "role:r", "id": "*", "cond": canonical(cond) if cond else ""}
    return Rule(typ=typ, act=act, **{**values, **said})


def deny(typ: str = "contacts.person", act: str = "view", cond: Any = None, **said: Any) -> Rule:
    return allow(typ, act, cond, effect="deny", **said)


def row(owner_id: str | None = "7", amount: int | None = 1, **said: Any) -> Any:
    return SimpleNamespace(**{"id": "1", "owner_id": owner_id, "amount": amount, **said})


# -- the catalogue --------------------------------------------------------------------------------------------


def test_a_permission_is_a_type_and_an_action() -> None:
    entry = CATALOGUE.entry("contacts.person.edit")
    assert (entry.typ, entry.act, entry.of_objects) == ("contacts.person", "edit", True)


def test_what_is_implied_is_followed_to_its_end() -> None:
    implied = CATALOGUE.entry("contacts.person.edit").implied
    assert implied == ("contacts.person.edit", "contacts.person.view", "contacts.view")


def test_a_circle_of_implications_is_followed_once() -> None:
    circle = Catalogue.of(
        [
            Permission(name="a.x", title="x", implies=("a.y",)),
            Permission(name="a.y", title="y", implies=("a.x",)),
        ]
    )
    assert circle.entry("a.x").implied == ("a.x", "a.y")


def test_a_catalogue_tells_what_is_in_it() -> None:
    assert "contacts.view" in CATALOGUE
    assert "contacts.views" not in CATALOGUE


def test_an_unknown_permission_names_the_nearest() -> None:
    with pytest.raises(UnknownPermission, match=r"no permission 'contacts\.views'; did you mean 'contacts\.view'"):
        CATALOGUE.entry("contacts.views")


def test_an_unknown_permission_with_nothing_near_says_what_to_look_for() -> None:
    with pytest.raises(UnknownPermission, match="is its plugin active"):
        Catalogue.of([]).entry("contacts.view")


def test_an_implied_permission_must_be_there() -> None:
    with pytest.raises(UnknownPermission, match=r"a\.y"):
        Catalogue.of([Permission(name="a.x", title="x", implies=("a.y",))])


@pytest.mark.parametrize("name", ["view", "contacts.*", ".view"])
def test_a_name_that_could_mean_more_is_no_permission(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a permission"):
        Catalogue.of([Permission(name=name, title="x")])


# -- rules ------------------------------------------------------------------------------------------------------


def test_a_grant_brings_what_it_implies() -> None:
    assert rules_of(("contacts.person.edit", None)) == {
        ("contacts.person", "edit", ""),
        ("contacts.person", "view", ""),
        ("contacts", "view", ""),
    }


def test_a_condition_goes_to_its_own_type_and_not_beyond() -> None:
    where = canonical(OWNS)
    assert rules_of(("contacts.person.merge", OWNS)) == {
        ("contacts.person", "merge", where),
        ("contacts.person", "edit", where),
        ("contacts.person", "view", where),
        ("contacts", "view", ""),
    }


def test_a_condition_on_type_scope_has_no_row_and_grants_nothing() -> None:
    assert rules_of(("contacts.view", OWNS)) == set()


def test_the_same_rule_is_kept_once() -> None:
    twice = role(("contacts.view", None), ("contacts.view", None))
    assert len(compile_rules(CATALOGUE, [twice])) == 1


def test_the_administrator_has_one_rule_for_everything() -> None:
    admin = role(("contacts.view", None), name="core.admin")
    assert compile_rules(CATALOGUE, [admin]) == (Rule("role:core.admin", "*", "*", "*", origin="core"),)


def test_a_grant_of_an_unknown_permission_is_an_error() -> None:
    with pytest.raises(UnknownPermission, match=r"contacts\.views"):
        compile_rules(CATALOGUE, [role(("contacts.views", None))])


@pytest.mark.parametrize("wrong", [{"subject": ""}, {"typ": ""}, {"id": ""}, {"act": ""}, {"effect": "Deny"}])
def test_a_rule_that_casbin_would_take_for_something_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a rule names a subject"):
        allow(**wrong)


# -- for at least one object ------------------------------------------------------------------------------------

R = frozenset({"user:7", "role:r"})
HOLDS: dict[str, tuple[list[Rule], bool]] = {
    "no rule": ([], False),
    "a rule of somebody else": ([allow(subject="role:other")], False),
    "a rule": ([allow()], True),
    "a rule of the person alone": ([allow(subject="user:7")], True),
    "everything": ([allow("*", "*")], True),
    "under a condition": ([allow(cond=OWNS)], True),
    "one object": ([allow(id="5")], True),
    "denied": ([allow(), deny()], False),
    "denied under a condition": ([allow(), deny(cond=SMALL)], True),
    "denied for one object": ([allow(), deny(id="5")], True),
    "everything is denied": ([allow(cond=OWNS), deny("*", "*")], False),
    "only denied under a condition": ([deny(cond=SMALL)], False),
}


@pytest.mark.parametrize("case", HOLDS)
def test_with_object_scope_holding_is_for_at_least_one(case: str) -> None:
    rules, expected = HOLDS[case]
    assert snapshot(*rules).holds(R, "contacts.person.view") is expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([allow("contacts", "view")], True),
        ([allow("*", "*", cond=OWNS)], False),
        ([allow("contacts", "view", id="5")], False),
        ([allow("contacts", "view"), deny("*", "*", cond=OWNS)], True),
        ([allow("contacts", "view"), deny("contacts", "*")], False),
    ],
)
def test_with_type_scope_rules_about_rows_say_nothing(rules: list[Rule], expected: bool) -> None:  # noqa: FBT001
    assert snapshot(*rules).holds(R, "contacts.view") is expected


def test_nobody_holds_nothing() -> None:
    assert not snapshot(allow()).holds(ANONYMOUS.subjects, "contacts.person.view")


def test_the_system_holds_what_administrators_do() -> None:
    rules = compile_rules(CATALOGUE, [role(name="core.admin")])
    assert Snapshot(CATALOGUE, rules).held(SYSTEM.subjects) == set(CATALOGUE)


def test_held_names_what_is_held() -> None:
    assert snapshot(allow(act="*"), deny(act="merge")).held(R) == {"contacts.person.view", "contacts.person.edit"}


@pytest.mark.parametrize("ask", ["holds", "lines"])
def test_asking_for_an_unknown_permission_is_an_error_and_no_answer(ask: str) -> None:
    with pytest.raises(UnknownPermission, match=r"contacts\.person\.views"):
        getattr(snapshot(allow("*", "*")), ask)(R, "contacts.person.views")


def test_the_administrator_too_gets_an_error_for_an_unknown_permission_of_an_object() -> None:
    with pytest.raises(UnknownPermission):
        snapshot(allow("*", "*")).judge(R, "contacts.person.views", row(), ann())


# -- for one row ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], [False, False, False]),
        ([allow()], [True, True, True]),
        ([allow(cond=OWNS)], [True, False, False]),
        ([allow(cond=OWNS), allow(cond=SMALL)], [True, True, False]),
        ([allow(), deny(cond=SMALL)], [False, False, True]),
        ([allow(), deny(cond=OWNS)], [False, True, True]),
        ([allow(id="2")], [False, True, False]),
        ([allow(), deny(id="2")], [True, False, True]),
        ([allow(id="2", cond=OWNS)], [False, False, False]),
        ([allow(cond=OWNS), allow(), deny()], [False, False, False]),
    ],
)
def test_a_row_is_judged_by_its_conditions_and_its_id(rules: list[Rule], expected: list[bool]) -> None:
    rows = [row("7", 1, id="1"), row("8", 2, id="2"), row(None, None, id="3")]
    judging = snapshot(*rules)
    assert [judging.judge(R, "contacts.person.view", it, ann()) for it in rows] == expected


def test_a_row_without_an_id_is_no_object_that_a_rule_names() -> None:
    assert not snapshot(allow(id="None")).judge(R, "contacts.person.view", row(id=None), ann())


def test_a_condition_that_cannot_be_asked_is_an_error_and_no_answer() -> None:
    with pytest.raises(AttributeError, match="owner_id"):
        snapshot(allow(cond=OWNS)).judge(R, "contacts.person.view", object(), ann())


def test_a_condition_is_not_asked_where_another_rule_allows_all() -> None:
    assert snapshot(allow(cond=OWNS), allow()).judge(R, "contacts.person.view", object(), ann())


def test_lines_are_the_rules_that_can_match() -> None:
    rules = [allow(), deny(cond=OWNS), allow(act="edit"), allow("*", "*"), allow(subject="role:other")]
    assert set(snapshot(*rules).lines(R, "contacts.person.view")) == {rules[0], rules[1], rules[3]}


def test_a_condition_can_be_had_as_a_tree() -> None:
    rule = allow(cond=OWNS)
    assert snapshot(rule).condition(rule.cond) == parse_condition(OWNS)


# -- verdicts are kept ------------------------------------------------------------------------------------------


class Counted:
    """Judges as Casbin does, and counts; or fails as a broken one would."""

    def __init__(self, *, failing: int = 0) -> None:
        self.asked = 0
        self.failing = failing

    def __call__(self, *question: Any) -> bool:
        self.asked += 1
        if self.asked <= self.failing:
            raise RuntimeError("the judge is out")
        return allows(*question)


def test_casbin_is_asked_once_for_people_with_the_same_roles() -> None:
    judge = Counted()
    judging = Snapshot(CATALOGUE, [allow()], judge)
    for number in range(5):
        assert judging.holds(frozenset({f"user:{number}", "role:r", "role:unknown"}), "contacts.person.view")
    assert judge.asked == 1


def test_casbin_is_asked_once_for_each_combination_of_conditions() -> None:
    judge = Counted()
    judging = Snapshot(CATALOGUE, [allow(cond=OWNS), deny(cond=SMALL)], judge)
    rows = [row(owner, amount, id=str(number)) for number in range(5) for owner in ("7", "8") for amount in (1, 9)]
    for it in rows:
        judging.judge(R, "contacts.person.view", it, ann())
    assert judge.asked == 4


def test_casbin_is_not_asked_where_no_rule_can_match() -> None:
    judge = Counted()
    judging = Snapshot(CATALOGUE, [allow(subject="role:other")], judge)
    assert not judging.holds(R, "contacts.person.view")
    assert not judging.judge(R, "contacts.person.view", row(), ann())
    assert judge.asked == 0


@pytest.mark.security
@pytest.mark.parametrize("ask", ["holds", "judge"])
def test_when_casbin_fails_nobody_may_and_nothing_is_remembered(ask: str) -> None:
    judging = Snapshot(CATALOGUE, [allow(cond=OWNS)], Counted(failing=1))
    question = (R, "contacts.person.view", row(), ann())[: 2 if ask == "holds" else 4]
    with pytest.raises(RuntimeError, match="the judge is out"):
        getattr(judging, ask)(*question)
    assert getattr(judging, ask)(*question) is True


@pytest.mark.security
def test_names_that_are_made_up_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    rules = [allow(id=str(number)) for number in range(100)]
    judging = snapshot(*rules, *(allow(subject=f"user:{number}") for number in range(100)))
    for number in range(100):
        judging.holds(frozenset({f"user:{number}"}), "contacts.person.view")
        judging.judge(R, "contacts.person.view", row(id=str(number)), ann())
    kept = [
        judging._held,
        judging._held_by_roles,
        judging._slices,
        *(part.verdicts for part in judging._slices.values()),
    ]
    assert max(map(len, kept)) <= 10


# -- the same as Casbin with all the rules --------------------------------------------------------------------

SUBJECTS = ["user:7", "role:a", "role:b, role:a", "group:1"]
RULE = st.builds(
    Rule,
    subject=st.sampled_from(SUBJECTS),
    typ=st.sampled_from(["contacts.person", "contacts", "contacts.company", "*"]),
    id=st.sampled_from(["*", "*", "*", "1", "2"]),
    act=st.sampled_from(["view", "edit", "export", "*"]),
    cond=st.sampled_from(["", "", canonical(OWNS), canonical(SMALL)]),
    effect=st.sampled_from(["allow", "allow", "deny"]),
)
ROWS = [row(owner, amount, id=name) for owner in ("7", None) for amount in (1, 9, None) for name in ("1", "2", "3")]


def plain_casbin(rules: list[Rule], roles: list[str], true: dict[str, Any]) -> casbin.Enforcer:
    """Give Casbin as it is meant to be used: every rule, its own role manager, a function for conditions."""
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    enforcer = casbin.Enforcer(model)
    enforcer.set_role_manager(default_role_manager.RoleManager(10))
    enforcer.add_function("cond", lambda cond, asked: asked is not None and true[cond](asked))
    # An empty policy would be judged on empty strings.
    model["p"]["p"].policy = [rule.line for rule in rules] or [("nobody", "-", "-", "-", "", "deny")]
    model["g"]["g"].policy = [["user:7", name] for name in roles]
    enforcer.build_role_links()
    return enforcer


TRUE = {canonical(OWNS): lambda asked: asked.owner_id == "7", canonical(SMALL): lambda asked: (asked.amount or 9) < 5}


@hypothesis.settings(max_examples=100)
@hypothesis.given(st.lists(RULE, max_size=8), st.sets(st.sampled_from(SUBJECTS[1:])))
def test_a_row_is_judged_as_casbin_would_with_all_the_rules(rules: list[Rule], roles: set[str]) -> None:
    reference, judging = plain_casbin(rules, sorted(roles), TRUE), snapshot(*rules)
    subjects = frozenset({"user:7", *roles})
    for permission in ("contacts.person.view", "contacts.person.edit", "contacts.company.view"):
        typ, _, act = permission.rpartition(".")
        for it in ROWS:
            expected = reference.enforce("user:7", typ, it.id, act, it)
            assert judging.judge(subjects, permission, it, ann()) is expected


@hypothesis.settings(max_examples=100)
@hypothesis.given(st.lists(RULE, max_size=8), st.sets(st.sampled_from(SUBJECTS[1:])))
def test_type_scope_is_judged_as_casbin_would_with_all_the_rules(rules: list[Rule], roles: set[str]) -> None:
    reference, judging = plain_casbin(rules, sorted(roles), TRUE), snapshot(*rules)
    for act in ("view", "export"):
        expected = reference.enforce("user:7", "contacts", "*", act, None)
        assert judging.holds(frozenset({"user:7", *roles}), f"contacts.{act}") is expected


@hypothesis.settings(max_examples=100)
@hypothesis.given(st.lists(RULE, max_size=8), st.sets(st.sampled_from(SUBJECTS[1:])))
def test_whoever_may_with_some_row_holds_the_permission(rules: list[Rule], roles: set[str]) -> None:
    judging, subjects = snapshot(*rules), frozenset({"user:7", *roles})
    may = any(judging.judge(subjects, "contacts.person.view", it, ann()) for it in ROWS)
    assert judging.holds(subjects, "contacts.person.view") or not may
