"""In which order revisions run: core first, then revision by revision, the deepest dependent first.

Plugin by plugin would be wrong: on an empty database all of contacts would run before invoicing, and
`contacts_0003` may drop the column that `invoicing_0002` copies. A revision that says
`needs = {"contacts": "contacts_0002"}` runs as soon as that one is done, before contacts goes on, which is
how the tables grew where it was written. A revision that says nothing about a plugin it requires runs when
that plugin, and all that it requires in turn, is finished.

Pure: nothing here reads a file or a database.
"""

from __future__ import annotations

import graphlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

CORE: Final = "core"


@dataclass(frozen=True)
class Step:
    """One revision that waits, as its file says it: revision `number` of `plugin`.

    `needs` are the numbers of other plugins' revisions that must be applied before, by plugin; `source` is
    the text of the file. One that is not `transactional` runs outside of a transaction on PostgreSQL.
    """

    plugin: str
    number: int
    needs: Mapping[str, int] = field(default_factory=dict)
    path: Path = Path()
    source: str = ""
    phase: Literal["expand", "contract"] | None = None
    transactional: bool = True

    @property
    def revision(self) -> str:
        """The name in the ledger: `contacts_0002`."""
        return revision_id(self.plugin, self.number)


@dataclass(frozen=True)
class Schedule:
    """The steps in their order, and for each plugin that cannot go on, the step that needs something in vain."""

    steps: tuple[Step, ...]
    stuck: Mapping[str, Step]


def revision_id(plugin: str, number: int) -> str:
    """Name a revision: `contacts_0002`."""
    return f"{plugin}_{number:04d}"


def revision_number(revision: str) -> int:
    """Give the number of a revision: 2 of `contacts_0002`."""
    return int(revision.rpartition("_")[2])


def schedule(
    requires: Mapping[str, Collection[str]], heads: Mapping[str, int], waiting: Mapping[str, Sequence[Step]]
) -> Schedule:
    """Put the waiting revisions of all plugins into the order in which they run.

    `requires` names what each plugin requires, without circles; `heads` the number of the last applied
    revision of each plugin in the database, also of those that are not in `requires`; `waiting` the steps of
    each plugin, in the order of their numbers. The answer depends on nothing else, not on the order of keys.
    A plugin whose next revision needs what nothing here leads to is left out with all that require it.
    """
    tree = _Tree(requires)
    done = dict(heads)
    left = {plugin: list(reversed(steps)) for plugin, steps in waiting.items() if steps}
    order = sorted(left, key=lambda plugin: (plugin != CORE, -tree.depth[plugin], plugin))
    steps: list[Step] = []
    while plugin := next((p for p in order if p in left and _is_ready(left[p][-1], tree, done, left)), None):
        step = left[plugin].pop()
        steps.append(step)
        done[plugin] = step.number
        if not left[plugin]:
            del left[plugin]
    stuck = {plugin: left[plugin][-1] for plugin in sorted(left) if _is_in_vain(left[plugin][-1], done, left)}
    out = {*stuck, *dependents(requires, stuck)}
    return Schedule(tuple(step for step in steps if step.plugin not in out), stuck)


def dependents(requires: Mapping[str, Collection[str]], plugins: Collection[str]) -> dict[str, str]:
    """Name all that require one of `plugins`, directly or not, each with one of those that it waits for.

    Every plugin requires core, whether it says so or not.
    """
    below = _Tree(requires).below
    roots = sorted(plugins, key=lambda plugin: (plugin != CORE, plugin))
    found = {plugin: next((root for root in roots if root in below[plugin]), None) for plugin in sorted(requires)}
    return {plugin: root for plugin, root in found.items() if root is not None and plugin not in plugins}


class _Tree:
    """Who stands on whom: `direct`, everything `below`, and the length of the longest way down (`depth`).

    Every plugin stands on core; core, whose manifest says that too, does not stand on itself.
    """

    def __init__(self, requires: Mapping[str, Collection[str]]) -> None:
        self.direct = {
            plugin: frozenset({*others, CORE} & requires.keys() - {plugin}) if plugin != CORE else frozenset[str]()
            for plugin, others in requires.items()
        }
        self.below: dict[str, frozenset[str]] = {}
        self.depth: dict[str, int] = {}
        for plugin in graphlib.TopologicalSorter(self.direct).static_order():
            direct = self.direct[plugin]
            self.below[plugin] = direct.union(*(self.below[other] for other in direct))
            self.depth[plugin] = 1 + max((self.depth[other] for other in direct), default=-1)


def _is_ready(step: Step, tree: _Tree, done: Mapping[str, int], left: Mapping[str, object]) -> bool:
    if any(done.get(other, 0) < number for other, number in step.needs.items()):
        return False
    # What it names is far enough, the rest must be finished; core must be, even where a revision of it is named.
    rest = tree.direct[step.plugin] - (step.needs.keys() - {CORE})
    return not any(other in left or not tree.below[other].isdisjoint(left) for other in rest)


def _is_in_vain(step: Step, done: Mapping[str, int], left: Mapping[str, object]) -> bool:
    """Tell whether the step needs what no waiting revision leads to any more."""
    return any(done.get(other, 0) < number and other not in left for other, number in step.needs.items())
