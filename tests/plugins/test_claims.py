"""Who may go by an id. Whoever owns it by right keeps it; an imitation is parked, with both places."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from plugin_host.plugins.lookalikes import skeleton
from plugin_host.plugins.plan import Plan, PlanEntry
from plugin_host.plugins.resolver import resolve

from .building import found

CYRILLIC = "\u0441\u043entacts"
GREEK = "c\u03bfntacts"


def entry(plan: Plan, plugin: str) -> PlanEntry:
    one = plan.entry(plugin)
    assert one is not None
    return one


def states(plan: Plan) -> dict[str, str]:
    return {one.id: one.state for one in plan.entries}


# -- two rightful owners: nobody can tell which, so none of them runs ----------------------------------------------


def test_a_wheel_and_a_folder_of_one_id_are_both_refused() -> None:
    plan = resolve([found("contacts"), found("contacts", source="folder", place="/plugins/contacts")])
    (one,) = plan.entries
    assert (one.state, one.place) == ("refused", "/plugins/contacts and host-contacts 1.0")
    assert one.reason is not None
    assert (one.reason.code, one.reason.culprits) == ("duplicate_id", ("/plugins/contacts", "host-contacts 1.0"))


def test_two_distributions_of_one_id_are_both_refused() -> None:
    plan = resolve([found("contacts", place="host-contacts 1.0"), found("contacts", place="contacts-ng 3.1")])
    reason = plan.entries[0].reason
    assert reason is not None
    assert reason.text == (
        "The id 'contacts' is claimed by contacts-ng 3.1 and by host-contacts 1.0: "
        "none of them runs, since nobody can tell which."
    )


def test_what_requires_a_doubtful_one_is_blocked() -> None:
    plan = resolve([found("contacts", place="a"), found("contacts", place="b"), found("mail", {"contacts": ""})])
    assert states(plan) == {"contacts": "refused", "mail": "blocked"}


def test_of_two_that_are_spelled_with_digits_nobody_can_tell_which() -> None:
    assert states(resolve([found("a01"), found("ao1")])) == {"a01": "refused", "ao1": "refused"}


def test_of_two_that_are_no_ids_nobody_can_tell_which() -> None:
    assert states(resolve([found("Contacts"), found("CONTACTS")])) == {"Contacts": "refused", "CONTACTS": "refused"}


# -- an owner and an imitation: the owner runs ---------------------------------------------------------------------

IMITATIONS = {
    "case": "Contacts",
    "cyrillic": CYRILLIC,
    "cyrillic capital": "\u0421ontacts",
    "greek": GREEK,
    "full width": "\uff43ontacts",
    "mathematical": "\U0001d41contacts",
    "accent": "cont\u00e1cts",
    "zero width": "con\u200dtacts",
    "digit": "c0ntacts",
    "small capital": "\u1d04ontacts",
}


@pytest.mark.security
@pytest.mark.parametrize("claim", IMITATIONS.values(), ids=IMITATIONS)
def test_an_imitation_is_refused_and_the_owner_runs(claim: str) -> None:
    plan = resolve([found("contacts"), found(claim, place="host-evil 1.0"), found("mail", {"contacts": ">=1"})])
    shown = f"{claim}@host-{claim}"
    assert states(plan) == {"contacts": "active", "mail": "active", shown: "refused"}
    reason = entry(plan, shown).reason
    assert reason is not None
    assert (reason.code, reason.culprits) == ("duplicate_id", ("host-evil 1.0", "host-contacts 1.0"))


@pytest.mark.security
def test_an_imitation_is_told_in_letters_that_can_be_told_apart() -> None:
    plan = resolve([found("contacts"), found(CYRILLIC, place="host-evil 1.0")])
    reason = entry(plan, f"{CYRILLIC}@host-{CYRILLIC}").reason
    assert reason is not None
    assert reason.text == (
        r"host-evil 1.0 claims the id '\u0441\u043entacts', which reads like 'contacts' of host-contacts 1.0."
    )


@pytest.mark.security
def test_an_imitation_of_a_disabled_plugin_does_not_take_its_place() -> None:
    plan = resolve([found("contacts"), found(GREEK), found("mail", {"contacts": ""})], disabled=["contacts"])
    assert states(plan) == {"contacts": "disabled", f"{GREEK}@host-{GREEK}": "refused", "mail": "blocked"}


@pytest.mark.security
def test_an_imitation_does_not_settle_who_of_two_owners_it_is() -> None:
    plan = resolve([found("contacts", place="a"), found("contacts", place="b"), found(GREEK, place="c")])
    assert states(plan) == {"contacts": "refused", f"{GREEK}@host-{GREEK}": "refused"}
    reason = entry(plan, f"{GREEK}@host-{GREEK}").reason
    assert reason is not None
    assert reason.culprits == ("c", "a", "b")


@pytest.mark.security
def test_two_imitations_of_one_distribution_are_told_apart() -> None:
    plan = resolve([found("contacts"), found("Contacts", place="a"), found("Contacts", place="b")])
    assert [*states(plan)] == ["contacts", "Contacts@host-Contacts", "Contacts@host-Contacts-2"]


@pytest.mark.security
def test_nobody_reads_like_core() -> None:
    core = found("core", source="core", place="plugin-host")
    assert states(resolve([core, found("c0re")])) == {"core": "active", "c0re@host-c0re": "refused"}


def test_an_id_with_a_digit_is_as_good_as_any() -> None:
    assert states(resolve([found("web1"), found("web2"), found("o365")])) == dict.fromkeys(
        ["o365", "web1", "web2"], "active"
    )


@pytest.mark.parametrize(("one", "other"), [("corn", "com"), ("modern", "modem"), ("vv", "ww"), ("tail", "tall")])
def test_words_that_are_merely_alike_get_along(one: str, other: str) -> None:
    assert set(states(resolve([found(one), found(other)])).values()) == {"active"}


@given(st.from_regex(r"[a-z][a-z0-9]{1,30}", fullmatch=True))
def test_a_skeleton_is_a_plain_word(word: str) -> None:
    assert skeleton(skeleton(word)) == skeleton(word)
    assert skeleton(word.upper()) == skeleton(word)


@given(st.lists(st.sampled_from(["contacts", *IMITATIONS.values(), "core", "C0re", "mail"]), max_size=6), st.data())
def test_everybody_is_in_the_plan_whoever_comes_first(ids: list[str], data: Any) -> None:
    them = [found(plugin, place=f"place {n}") for n, plugin in enumerate(ids)]
    core = found("core", source="core", place="plugin-host")
    plan = resolve([*them, core])
    assert plan.entries == resolve([core, *data.draw(st.permutations(them))]).entries
    assert "core" in {one.id for one in plan.active}
    for n in range(len(ids)):
        assert any(f"place {n}" in one.place for one in plan.entries)
