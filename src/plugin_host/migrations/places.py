"""Several databases, each with the plugins that are in it and a ledger of its own: what is done for all of them.

The database of the host comes first: what others have is of no use without core's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from plugin_host.migrations.planning import MigrationError, MigrationPlan
from plugin_host.migrations.runner import Outcome, Runner
from plugin_host.migrations.schedule import CORE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plugin_host.database import Database
    from plugin_host.migrations.revisions import Source

Running: TypeAlias = "Callable[[str], Mapping[str, str]] | None"
"""Which versions of a plugin run in other processes, by what people call these; see `Runner`."""


@dataclass(frozen=True)
class Place:
    """A database and the plugins in it, core among them; `requires` of each names plugins of the same place only."""

    database: Database
    sources: tuple[Source, ...]

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins that are here, core left out: it is everywhere."""
        return frozenset(source.plugin for source in self.sources) - {CORE}


def pending(places: Sequence[Place], *, plugin: str | None = None, running: Running = None) -> MigrationPlan:
    """Say what `upgrade` would do in all of them. Writes nothing."""
    plans = [
        Runner(place.database, running=running).pending(place.sources, plugin=plugin)
        for place in concerned(places, plugin)
    ]
    return MigrationPlan(
        steps=tuple(step for plan in plans for step in plan.steps),
        faults={name: reason for plan in reversed(plans) for name, reason in plan.faults.items()},
        orphans=tuple(sorted({name for plan in plans for name in plan.orphans})),
        held={name: root for plan in plans for name, root in plan.held.items()},
        waits={name: wait for plan in plans for name, wait in plan.waits.items()},
    )


def upgrade(
    places: Sequence[Place],
    *,
    plugin: str | None = None,
    to: str | None = None,
    progress: Callable[[str], None] | None = None,
    running: Running = None,
    backups: bool = True,
) -> Outcome:
    """Apply what waits in all of them; `plugin` limits it to the place of that one. Raises as `Runner.upgrade`."""
    outcomes = [
        Runner(place.database, running=running, backups=backups).upgrade(
            place.sources, plugin=plugin, to=to, progress=progress
        )
        for place in concerned(places, plugin)
    ]
    return Outcome(
        applied=tuple(revision for outcome in outcomes for revision in outcome.applied),
        faults={name: reason for outcome in reversed(outcomes) for name, reason in outcome.faults.items()},
        orphans=tuple(sorted({name for outcome in outcomes for name in outcome.orphans})),
        held={name: root for outcome in outcomes for name, root in outcome.held.items()},
        waits={name: wait for outcome in outcomes for name, wait in outcome.waits.items()},
    )


def concerned(places: Sequence[Place], plugin: str | None) -> Sequence[Place]:
    """Give the place of one plugin, or all; core is in every one."""
    if plugin is None or plugin == CORE:
        return places
    found = [place for place in places if plugin in place.plugins]
    if not found:
        there = sorted({name for place in places for name in place.plugins})
        raise MigrationError(f"there is no plugin {plugin!r} to migrate; there are: {', '.join(there) or 'none'}")
    return found
