"""The search for the plugin that ends the process, played through with made-up plugins."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, log2

import pytest
from hypothesis import given, strategies as st

from plugin_host.supervision.bisection import Death, Member, Order, State, after_death, after_up, left_off


@dataclass(frozen=True)
class World:
    """Plugins that require earlier ones; `killers` end the process: at once, some steps later, or at the end.

    `killers` holds for each the step in which it begins (`import` or `start`), and after how many more steps it
    strikes; whoever has more to wait than there are steps strikes when all of them are through.
    """

    requires: tuple[tuple[int, ...], ...]
    killers: dict[int, tuple[str, int]] = field(default_factory=dict)

    @property
    def order(self) -> Order:
        return tuple(Member(f"p{n}", "1") for n in range(len(self.requires)))

    def running(self, off: set[str]) -> list[int]:
        """Say who runs when some are left off: not those that require them."""
        on: list[int] = []
        for n, needs in enumerate(self.requires):
            if f"p{n}" not in off and all(need in on for need in needs):
                on.append(n)
        return on

    def start(self, off: set[str]) -> Death | None:
        """Start once; None if it comes up."""
        on = self.running(off)
        begun: list[str] = []
        waiting: list[int] = []
        for step in ("import", "start"):
            for n in on:
                begun += [f"p{n}"] if step == "import" else []
                waiting = [left - 1 for left in waiting]
                if n in self.killers and self.killers[n][0] == step:
                    waiting.append(self.killers[n][1])
                if any(left <= 0 for left in waiting):
                    return Death(begun=tuple(begun), plugin=f"p{n}", step=step)
        return Death(begun=tuple(begun)) if waiting else None


def play(world: World, limit: int = 1000) -> tuple[State, int]:
    """Start again and again until a start comes up and nothing more is looked for; count the starts."""
    state = State()
    for starts in range(1, limit + 1):
        death = world.start(set(left_off(state, world.order)))
        if death is not None:
            state = after_death(state, world.order, death)
        else:
            state = after_up(state, world.order)
            if state.search is None:
                return state, starts
    pytest.fail(f"no end after {limit} starts")


def named(state: State) -> set[str]:
    return {culprit.id for culprit in state.culprits}


@st.composite
def worlds(draw: st.DrawFn, killers: int, delays: st.SearchStrategy[int]) -> World:
    size = draw(st.integers(max(killers, 1), 40))
    requires = tuple(tuple(sorted(draw(st.sets(st.integers(0, n - 1), max_size=3)))) if n else () for n in range(size))
    chosen = draw(st.sets(st.integers(0, size - 1), min_size=killers, max_size=killers))
    steps = st.sampled_from(["import", "start"])
    return World(requires, {n: (draw(steps), draw(delays)) for n in sorted(chosen)})


AT_ONCE_OR_AT_THE_END = st.sampled_from([0, 1000])
ANY_TIME = st.integers(0, 100)


@given(worlds(0, ANY_TIME))
def test_where_nobody_kills_nobody_is_left_off(world: World) -> None:
    state, starts = play(world)
    assert (state, starts) == (State(), 1)


@given(worlds(1, AT_ONCE_OR_AT_THE_END))
def test_one_culprit_is_named_and_nobody_else(world: World) -> None:
    state, starts = play(world)
    assert named(state) == {f"p{n}" for n in world.killers}
    assert set(left_off(state, world.order)) == named(state)
    assert world.start(named(state)) is None
    assert starts <= 2 + 1 + ceil(log2(len(world.requires) + 1)) + 2


@given(worlds(1, ANY_TIME))
def test_one_culprit_that_strikes_during_the_steps_of_others_does_not_run_in_the_end(world: World) -> None:
    state, starts = play(world)
    assert len(named(state)) == 1
    assert world.start(named(state)) is None
    assert starts <= 2 + 1 + ceil(log2(len(world.requires) + 1)) + 2
    # It was named itself, or what it requires: an innocent one is never named while the culprit runs.
    (culprit,) = world.killers
    assert culprit not in world.running(named(state))


@given(st.one_of(worlds(2, ANY_TIME), worlds(3, ANY_TIME), worlds(5, ANY_TIME)))
def test_with_several_culprits_the_host_comes_up_without_any_of_them(world: World) -> None:
    state, starts = play(world)
    on = world.running(named(state))
    assert not {n for n in world.killers if n in on}
    assert starts <= (2 + 1 + ceil(log2(len(world.requires) + 1)) + 2) * len(world.killers)


@given(st.one_of(worlds(2, AT_ONCE_OR_AT_THE_END), worlds(4, AT_ONCE_OR_AT_THE_END)))
def test_of_several_culprits_that_strike_at_once_or_at_the_end_only_these_are_named(world: World) -> None:
    state, _ = play(world)
    assert named(state)
    assert named(state) <= {f"p{n}" for n in world.killers}


@given(worlds(0, ANY_TIME), st.data())
def test_the_search_ends_whatever_happens(world: World, data: st.DataObject) -> None:
    """Also where deaths follow no rule: a machine without memory, or somebody with `kill -9`."""
    state, order = State(), world.order
    for _ in range(60):
        off = left_off(state, order)
        on = [member.id for member in order if member.id not in off]
        begun = on[: data.draw(st.integers(0, len(on)))]
        if data.draw(st.booleans()):
            state = after_up(state, order)
        else:
            at = data.draw(st.sampled_from([*begun, ""]))
            state = after_death(state, order, Death(begun=tuple(begun), plugin=at, step="import" if at else ""))
        assert named(state) <= {member.id for member in order}
    for _ in range(2 * len(order) + 2):
        state = after_up(state, order)
    assert state.search is None


# -- single situations -----------------------------------------------------------------------------------------

THREE = tuple(Member(name, "1.0") for name in ("contacts", "invoicing", "maps"))


def at(plugin: str, step: str = "import") -> Death:
    names = [member.id for member in THREE]
    return Death(begun=tuple(names[: names.index(plugin) + 1]), plugin=plugin, step=step)


def at_the_end() -> Death:
    return Death(begun=tuple(member.id for member in THREE))


def after(*deaths: Death) -> State:
    state = State()
    for death in deaths:
        state = after_death(state, THREE, death)
    return state


def test_one_death_leaves_nobody_off() -> None:
    assert left_off(after(at("invoicing")), THREE) == {}


def test_a_start_that_comes_up_between_two_deaths_makes_them_accidents() -> None:
    state = after_death(after_up(after(at("invoicing")), THREE), THREE, at("invoicing"))
    assert left_off(state, THREE) == {}


def test_two_deaths_in_the_steps_of_one_plugin_name_it_at_once() -> None:
    held = left_off(after(at("invoicing"), at("invoicing", "start")), THREE)
    assert list(held) == ["invoicing"]
    assert held["invoicing"].code == "startup_failed"
    assert held["invoicing"].culprits == ("invoicing",)
    assert held["invoicing"].text == "The process died twice while invoicing was being activated (import and start)."
    assert "plugin-host plugins retry invoicing" in held["invoicing"].way_out


def test_a_suspect_says_who_else_is_one_and_what_to_do() -> None:
    held = left_off(after(at_the_end(), at_the_end()), THREE)
    assert list(held) == ["invoicing", "maps"]
    assert held["maps"].culprits == ("contacts", "invoicing", "maps")
    assert "one of 3 that may be at fault (contacts, invoicing, maps)" in held["maps"].text
    assert "at most 3 more starts" in held["maps"].way_out


def test_deaths_before_any_plugin_had_begun_say_nothing_of_plugins() -> None:
    nothing = Death(begun=())
    assert left_off(after(nothing, nothing, nothing), THREE) == {}


def test_a_death_in_the_step_of_one_that_is_never_left_off_says_nothing_of_plugins() -> None:
    core = Death(begun=("core",), plugin="core", step="import")
    assert left_off(after(core, core, core), THREE) == {}


def test_a_host_that_dies_without_plugins_does_not_blame_one() -> None:
    state = after(at_the_end(), at_the_end())
    while state.search is not None:
        on = [member.id for member in THREE if member.id not in left_off(state, THREE)]
        state = after_death(state, THREE, Death(begun=tuple(on)))
    assert state.culprits == ()
    assert left_off(state, THREE) == {}


def test_a_culprit_stays_off_over_later_starts() -> None:
    state = after_up(after(at("invoicing"), at("invoicing")), THREE)
    for _ in range(3):
        state = after_up(state, THREE)
    assert list(left_off(state, THREE)) == ["invoicing"]


def test_a_culprit_in_another_version_is_tried_again() -> None:
    state = after_up(after(at("invoicing"), at("invoicing")), THREE)
    upgraded = (THREE[0], Member("invoicing", "1.1"), THREE[2])
    assert left_off(state, upgraded) == {}
    assert after_up(state, upgraded).culprits == ()


def test_a_culprit_that_is_not_to_run_is_remembered() -> None:
    state = after_up(after_up(after(at("invoicing"), at("invoicing")), THREE), (THREE[0], THREE[2]))
    assert list(left_off(state, THREE)) == ["invoicing"]


def test_a_suspect_that_is_taken_away_during_the_search_does_not_end_it_wrongly() -> None:
    state = after(at_the_end(), at_the_end())
    fewer = (THREE[0], THREE[1])
    assert left_off(state, fewer) == {}  # maybe it was the one that is gone: all others are tried
    state = after_death(state, fewer, Death(begun=("contacts", "invoicing")))
    assert list(left_off(state, fewer)) == ["contacts", "invoicing"]


def test_many_suspects_are_counted_and_not_all_named() -> None:
    order = tuple(Member(f"p{n}", "1") for n in range(30))
    death = Death(begun=tuple(member.id for member in order))
    state = after_death(after_death(State(), order, death), order, death)
    assert "p9 and 20 more" in left_off(state, order)["p29"].text
