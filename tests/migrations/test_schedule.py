"""The order of revisions: pure, deterministic, and right for whatever revisions say they need."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings, strategies as st

from plugin_host.migrations.schedule import Schedule, Step, dependents, revision_id, revision_number, schedule


def line(plugin: str, count: int, **needs_of: dict[str, int]) -> list[Step]:
    """Make the revisions 1 to count; `_2={"contacts": 1}` says what number 2 needs."""
    return [Step(plugin, number, needs_of.get(f"_{number}", {})) for number in range(1, count + 1)]


def order(found: Schedule) -> list[str]:
    return [step.revision for step in found.steps]


def test_revision_is_named_by_plugin_and_number() -> None:
    assert revision_id("contacts", 2) == "contacts_0002"


def test_number_of_a_revision() -> None:
    assert revision_number("contacts_0012") == 12


def test_core_is_first_though_nobody_names_it() -> None:
    found = schedule({"core": (), "a": ()}, {}, {"a": line("a", 1), "core": line("core", 2)})
    assert order(found) == ["core_0001", "core_0002", "a_0001"]


def test_core_does_not_wait_for_itself() -> None:
    assert order(schedule({"core": ("core",)}, {}, {"core": line("core", 2)})) == ["core_0001", "core_0002"]


def test_all_of_core_is_first_though_less_is_needed() -> None:
    waiting = {"a": line("a", 1, _1={"core": 1}), "core": line("core", 2)}
    assert order(schedule({"core": (), "a": ("core",)}, {}, waiting)) == ["core_0001", "core_0002", "a_0001"]


def test_plugins_without_needs_run_one_after_the_other() -> None:
    requires = {"contacts": ("core",), "invoicing": ("contacts",)}
    found = schedule(requires, {}, {"invoicing": line("invoicing", 2), "contacts": line("contacts", 2)})
    assert order(found) == ["contacts_0001", "contacts_0002", "invoicing_0001", "invoicing_0002"]


def test_needs_replay_the_history_of_both() -> None:
    requires = {"contacts": ("core",), "invoicing": ("core", "contacts")}
    waiting = {
        "contacts": line("contacts", 3),
        "invoicing": line("invoicing", 2, _1={"contacts": 1}, _2={"contacts": 2}),
    }
    expected = ["contacts_0001", "invoicing_0001", "contacts_0002", "invoicing_0002", "contacts_0003"]
    assert order(schedule(requires, {}, waiting)) == expected


def test_silent_dependent_waits_for_what_lies_below_a_plugin_without_revisions() -> None:
    requires = {"a": (), "b": ("a",), "c": ("b",)}
    assert order(schedule(requires, {}, {"c": line("c", 1), "a": line("a", 1)})) == ["a_0001", "c_0001"]


def test_need_is_met_by_what_is_in_the_database() -> None:
    requires = {"contacts": (), "invoicing": ("contacts",)}
    waiting = {"invoicing": line("invoicing", 1, _1={"contacts": 2})}
    assert order(schedule(requires, {"contacts": 3}, waiting)) == ["invoicing_0001"]


def test_need_that_nothing_leads_to_holds_the_plugin_and_its_dependents_only() -> None:
    requires = {"contacts": (), "invoicing": ("contacts",), "reporting": ("invoicing",), "notes": ()}
    waiting = {
        "contacts": line("contacts", 1),
        "invoicing": line("invoicing", 2, _1={"contacts": 1}, _2={"contacts": 9}),
        "reporting": line("reporting", 1, _1={"invoicing": 1}),
        "notes": line("notes", 1),
    }
    found = schedule(requires, {}, waiting)
    assert (order(found), found.stuck) == (["contacts_0001", "notes_0001"], {"invoicing": waiting["invoicing"][1]})


def test_dependents_are_found_through_others_each_with_its_root() -> None:
    requires = {"core": (), "a": ("core",), "b": ("a",), "c": ("b",), "d": ("core",)}
    assert dependents(requires, ["a"]) == {"b": "a", "c": "a"}


def test_all_depend_on_core() -> None:
    assert dependents({"core": (), "a": (), "b": ("a",)}, ["core", "a"]) == {"b": "core"}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], dict[str, int], dict[str, list[Step]]]:
    """Plugins without circles, some revisions applied, the others waiting, with needs that can be met."""
    names = ["core", *(f"p{n}" for n in range(draw(st.integers(0, 6))))]
    ends = {name: draw(st.integers(0, 4)) for name in names}
    requires: dict[str, tuple[str, ...]] = {"core": ("core",)}
    heads: dict[str, int] = {}
    waiting: dict[str, list[Step]] = {}
    for index, name in enumerate(names):
        if index:
            requires[name] = (
                "core",
                *sorted(draw(st.sets(st.sampled_from(names[1:index])) if index > 1 else st.just(set()))),
            )
        heads[name] = draw(st.integers(0, ends[name]))
        waiting[name] = [
            Step(
                name,
                number,
                {
                    other: draw(st.integers(1, ends[other]))
                    for other in requires[name]
                    if other != name and ends[other] and draw(st.booleans())
                },
            )
            for number in range(heads[name] + 1, ends[name] + 1)
        ]
    return requires, heads, waiting


@settings(max_examples=150)
@given(worlds(), st.randoms(use_true_random=False))
def test_every_order_keeps_the_rules(
    world: tuple[dict[str, tuple[str, ...]], dict[str, int], dict[str, list[Step]]], chance: random.Random
) -> None:
    requires, heads, waiting = world
    found = schedule(requires, heads, waiting)
    assert not found.stuck
    assert sorted(order(found)) == sorted(step.revision for steps in waiting.values() for step in steps)
    done, finished = dict(heads), {name: heads[name] + len(steps) for name, steps in waiting.items()}
    for step in found.steps:
        assert done[step.plugin] == step.number - 1
        assert all(done[other] >= number for other, number in step.needs.items())
        if step.plugin != "core":
            assert done["core"] == finished["core"]
        silent = {*requires[step.plugin]} - {step.plugin, *step.needs}
        assert all(done[other] == finished[other] for other in silent)
        done[step.plugin] = step.number
    shuffled = list(requires)
    chance.shuffle(shuffled)
    again = schedule({k: requires[k] for k in shuffled}, heads, {k: waiting[k] for k in shuffled})
    assert order(again) == order(found)


@pytest.mark.parametrize("dropped", ["contacts", "invoicing"])
def test_no_revision_of_a_plugin_runs_when_one_of_them_cannot(dropped: str) -> None:
    requires = {"contacts": ("core",), "invoicing": ("contacts",)}
    waiting = {
        "contacts": line("contacts", 2, _2={"core": 7} if dropped == "contacts" else {}),
        "invoicing": line("invoicing", 2, _2={"contacts": 7}),
    }
    assert dropped not in {step.plugin for step in schedule(requires, {}, waiting).steps}
