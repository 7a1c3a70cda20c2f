"""Put plugins in the order in which they are started, and say of each place why it is so."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Place(NamedTuple):
    """One plugin in the order, with sentences such as `after contacts: requires it`."""

    plugin: str
    why: tuple[str, ...]


def put_in_order(requires: Mapping[str, Iterable[str]], optional: Mapping[str, Iterable[str]]) -> list[Place]:
    """Order the plugins (the keys): core first, each after what it requires and, where possible, what is optional.

    Ties go by id, so the order depends on nothing else. `requires` must be free of circles; an optional plugin
    that itself needs this one cannot come before it: that is said in `why`.
    """
    before = {plugin: {need for need in needs if need in requires} for plugin, needs in requires.items()}
    why = {plugin: [f"after {need}: requires it" for need in sorted(before[plugin])] for plugin in before}
    for plugin in sorted(optional):
        for wanted in sorted(set(optional[plugin]) - before[plugin]):
            if wanted == plugin or plugin in reachable(before, wanted):
                why[plugin].append(f"not after {wanted}: optional, but {wanted} itself needs {plugin} first")
            else:
                before[plugin].add(wanted)
                why[plugin].append(f"after {wanted}: optional, and there")
    return [Place(plugin, tuple(why[plugin]) or (_alone(plugin),)) for plugin in _sorted(before)]


def reachable(graph: Mapping[str, Collection[str]], start: str) -> set[str]:
    """Give all that can be reached from a plugin by one step or more."""
    seen: set[str] = set()
    todo = [*graph[start]]
    while todo:
        plugin = todo.pop()
        if plugin not in seen:
            seen.add(plugin)
            todo += graph[plugin]
    return seen


def _alone(plugin: str) -> str:
    return "first: everything needs it" if plugin == "core" else "by its id: needs no other plugin"


def _sorted(before: Mapping[str, Collection[str]]) -> list[str]:
    """Take again and again the first plugin, by id, that waits for nobody."""
    waits = {plugin: len(needs) for plugin, needs in before.items()}
    followers: dict[str, list[str]] = {plugin: [] for plugin in before}
    for plugin, needs in before.items():
        for need in needs:
            followers[need].append(plugin)
    ready = [_key(plugin) for plugin, count in waits.items() if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        plugin = heapq.heappop(ready)[1]
        order.append(plugin)
        for follower in followers[plugin]:
            waits[follower] -= 1
            if waits[follower] == 0:
                heapq.heappush(ready, _key(follower))
    return order


def _key(plugin: str) -> tuple[bool, str]:
    return plugin != "core", plugin
