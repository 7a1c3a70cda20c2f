"""Find out which plugin ends the process while plugins are being activated. Pure: what happened in, who stays off out.

1. One death is an accident; after two in a row the search begins.
2. If both happened in the step of one plugin, the next start is made without that one; if it comes up, that was it.
3. Otherwise, and if that start died as well, the first half of those that had begun is started, then half of what is
   left. Plugins come in the order of activation, each after all that it requires, and whoever is left off is at the
   end of that order: so what was tried is what ran, and "with the first seven it died, with the first six it came
   up" proves the seventh.
4. Whoever is found stays off; everybody else is started; if that dies too, the search goes on for the next one.

What is known of a plugin is void when its `mark` changes: another version, or an operator who says `retry`.
"""

from __future__ import annotations

import itertools
from math import ceil, log2
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Collection

_MANY: Final = 10
"""So many names make a sentence; more are counted."""


class Member(msgspec.Struct, frozen=True):
    """A plugin that is to run, as it was then."""

    id: str
    mark: str


Order: TypeAlias = tuple[Member, ...]
"""Who is to run, in the order of activation."""


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """A start that ended with the process: who had `begun`, and in whose step it was, if in any.

    `when` is in seconds since 1970.
    """

    begun: tuple[str, ...]
    plugin: str = ""
    step: str = ""
    when: float = 0.0


class Culprit(msgspec.Struct, frozen=True):
    """A plugin that was found to end the process; `text` says how that is known."""

    id: str
    mark: str
    text: str


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """How far the search is.

    With the first `up` of `order` the process came up (-1: not even without all of them is that known); with the
    first `died` of them it died (None: not known). `guess` is tried first: everybody but this one. `tail` tells
    whether those behind the first `died`, who cannot have been it, may run meanwhile.
    """

    order: Order
    up: int = -1
    died: int | None = None
    guess: str = ""
    tail: bool = True


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is known. `deaths` are those in a row, since the last start that came up; `last` is for people."""

    round: int = 0
    deaths: tuple[Death, ...] = ()
    search: Search | None = None
    culprits: tuple[Culprit, ...] = ()
    last: Death | None = None


def left_off(state: State, order: Order) -> dict[str, Reason]:
    """Say who of those that are to run is left off by the next start, and why."""
    state = _fit(state, order)
    named = {culprit.id: culprit for culprit in state.culprits}
    held = {member.id: _found(named[member.id]) for member in order if member.id in named}
    if state.search is not None:
        tried = {member.id for member in _tried(state.search)}
        for member in state.search.order:
            if member.id not in tried:
                held[member.id] = _reason(state, state.search, member.id)
    return held


def after_death(state: State, order: Order, death: Death) -> State:
    """Learn from a start of `order` that ended with the process."""
    state = replace(_fit(state, order), last=death)
    search = state.search
    death = replace(death, begun=tuple(each for each in death.begun if any(each == member.id for member in order)))
    if not death.begun and (search is None or _tried(search)):
        return state  # no code of a plugin had run: not a plugin's doing
    if search is None:
        return _again(state, order, death)
    reached = _reached(search.order, death.begun)
    if search.guess:
        search = replace(search, guess="", tail=search.died is None or reached <= search.died)
    elif search.died is None:
        search = replace(search, died=reached or None)
    elif reached > search.died:
        search = replace(search, tail=False)  # somebody behind may be another one: again, without them
    else:
        search = replace(search, died=min(_middle(search), reached))
    if search.died is not None and search.died <= search.up:
        search = replace(search, up=-1)  # it came up with them once, and now it did not
    return _settle(state, search)


def after_up(state: State, order: Order) -> State:
    """Learn from a start of `order` that came up."""
    state = _fit(state, order)
    search = state.search
    if search is None:
        return replace(state, deaths=())
    if search.guess:
        return replace(_name(state, search.guess, search, _by_place(state, search.guess)), deaths=(), search=None)
    if search.died is None:
        return replace(state, deaths=(), search=None)
    return _settle(state, replace(search, up=_middle(search)))


# -- the search ------------------------------------------------------------------------------------------------


def _again(state: State, order: Order, death: Death) -> State:
    """Keep a death; the second in a row begins the search."""
    deaths = (*state.deaths, death)
    named = {culprit.id for culprit in state.culprits}
    running = tuple(member for member in order if member.id not in named)
    reached = [count for each in deaths if (count := _reached(running, each.begun))]
    if len(reached) < 2:  # noqa: PLR2004 - twice in a row is the rule
        return replace(state, deaths=deaths[-1:])
    at = {each.plugin for each in deaths}
    guess = at.pop() if len(at) == 1 else ""
    known = any(member.id == guess for member in running)
    search = Search(order=running, died=min(reached), guess=guess if known else "")
    return replace(state, deaths=deaths, search=search)


def _tried(search: Search) -> Order:
    """Say who runs in the next start."""
    if search.guess:
        return tuple(member for member in search.order if member.id != search.guess)
    if search.died is None:
        return search.order
    first = search.order[: _middle(search)]
    return (*first, *search.order[search.died :]) if search.tail else first


def _middle(search: Search) -> int:
    return (search.up + (search.died or 0)) // 2


def _settle(state: State, search: Search) -> State:
    """Name the one that is left, if one is left."""
    if search.died is None or search.died - search.up > 1:
        return replace(state, search=search)
    if search.died == 0:  # it dies without any of them
        return replace(state, deaths=(), search=None)
    found = search.order[search.died - 1].id
    text = f"The process died while plugins were being activated, with {found} among them, and came up without it."
    state = _name(state, found, search, text)
    rest = tuple(member for member in search.order if member.id != found)
    if search.up == len(rest):  # with all the others it came up already
        return replace(state, deaths=(), search=None)
    return replace(state, search=Search(order=rest, up=search.up))


def _name(state: State, plugin: str, search: Search, text: str) -> State:
    mark = next(member.mark for member in search.order if member.id == plugin)
    return replace(state, culprits=(*state.culprits, Culprit(plugin, mark, text)))


def _reached(order: Order, begun: Collection[str]) -> int:
    """Count the plugins up to the last one that had begun."""
    return max((n for n, member in enumerate(order, start=1) if member.id in begun), default=0)


def _fit(state: State, order: Order) -> State:
    """Hold what is known against who is to run now: what is known of others is kept, of changed ones it is void."""
    marks = {member.id: member.mark for member in order}
    culprits = tuple(each for each in state.culprits if marks.get(each.id, each.mark) == each.mark)
    search = state.search
    if search is not None:
        named = {culprit.id for culprit in culprits}
        running = tuple(member for member in order if member.id not in named)
        if running != search.order:
            search = _moved(search, running)
    return replace(state, culprits=culprits, search=search)


def _moved(search: Search, order: Order) -> Search:
    """Carry a search over to another set of plugins."""
    good = frozenset(search.order[: max(search.up, 0)])
    up = sum(1 for _ in itertools.takewhile(good.__contains__, order)) if search.up >= 0 else -1
    same = search.died is not None and order[: search.died] == search.order[: search.died]
    kept = any(member.id == search.guess for member in set(order) & set(search.order))
    return Search(order=order, up=up, died=search.died if same else None, guess=search.guess if kept else "")


# -- in words --------------------------------------------------------------------------------------------------


def _found(culprit: Culprit) -> Reason:
    return Reason(
        code="startup_failed",
        text=culprit.text,
        culprits=(culprit.id,),
        way_out=f"Correct or upgrade {culprit.id}, then run `plugin-host plugins retry {culprit.id}`.",
    )


def _reason(state: State, search: Search, plugin: str) -> Reason:
    if plugin == search.guess:
        member = next(member for member in search.order if member.id == plugin)
        return _found(Culprit(plugin, member.mark, _by_place(state, plugin)))
    suspects = [member.id for member in search.order[max(search.up, 0) : search.died]]
    names = ", ".join(suspects[:_MANY]) + (f" and {len(suspects) - _MANY} more" if len(suspects) > _MANY else "")
    if plugin in suspects:
        role = f"{plugin} is one of {len(suspects)} that may be at fault ({names}), and is left off for now"
    else:
        role = f"{plugin} is left off until it is known which of {len(suspects)} is at fault ({names})"
    starts = ceil(log2(len(suspects))) + 1
    more = "one more start" if starts == 1 else f"at most {starts} more starts"
    return Reason(
        code="startup_failed",
        text=f"The process died twice while plugins were being activated; {role}.",
        culprits=tuple(suspects),
        way_out=f"Start again: {more} will find it. If you know which one it is, disable that one and start.",
    )


def _by_place(state: State, plugin: str) -> str:
    steps = " and ".join(dict.fromkeys(death.step for death in state.deaths if death.step))
    return f"The process died twice while {plugin} was being activated ({steps})."
