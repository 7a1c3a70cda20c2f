"""Several databases, each with the plugins that are in it and a ledger of its own: what is done for all of them.

The database of the host comes first: what others have is of no use without core's.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from sqlalchemy.exc import DBAPIError

from plugin_host.database import DatabaseError
from plugin_host.migrations.planning import MigrationError, MigrationPlan
from plugin_host.migrations.runner import Outcome, Runner
from plugin_host.migrations.schedule import CORE
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plugin_host.database import Database
    from plugin_host.migrations.revisions import Source

T = TypeVar("T", MigrationPlan, Outcome)

Running: TypeAlias = "Callable[[str], Mapping[str, str]] | None"
"""Which versions of a plugin run in other processes, by what people call these; see `Runner`."""


@dataclass(frozen=True)
class Place:
    """A database and the plugins in it, core among them; `requires` of each names plugins of the same place only."""

    database: Database
    sources: tuple[Source, ...]
    owner: str | None = None
    """The plugin whose own database it is; what is wrong with it is that plugin's fault, and nobody else's."""

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins that are here, core left out: it is everywhere."""
        return frozenset(source.plugin for source in self.sources) - {CORE}


def pending(places: Sequence[Place], *, plugin: str | None = None, running: Running = None) -> MigrationPlan:
    """Say what `upgrade` would do in all of them. Writes nothing."""
    plans = [
        _alone(place, partial(Runner(place.database, running=running).pending, place.sources, plugin=plugin), _no_plan)
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
        _alone(place, partial(_upgrade, place, plugin, to, progress, running, backups), _no_outcome)
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


def _upgrade(
    place: Place,
    plugin: str | None,
    to: str | None,
    progress: Callable[[str], None] | None,
    running: Running,
    backups: bool,  # noqa: FBT001
) -> Outcome:
    if place.owner is not None:
        if place.database.path is not None:
            Path(place.database.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.database.prepare()
        progress = partial(_told_of, place.owner, progress) if progress is not None else None
    runner = Runner(place.database, running=running, backups=backups)
    return runner.upgrade(place.sources, plugin=plugin, to=to, progress=progress)


def _told_of(owner: str, progress: Callable[[str], None], line: str) -> None:
    progress(f"{owner}'s database: {line}")


def _no_plan(faults: Mapping[str, Reason]) -> MigrationPlan:
    return MigrationPlan((), faults, ())


def _no_outcome(faults: Mapping[str, Reason]) -> Outcome:
    return Outcome((), faults, ())


def _alone(place: Place, run: Callable[[], T], failed: Callable[[Mapping[str, Reason]], T]) -> T:
    """Run something in a place; in a plugin's own database, whatever is wrong with it is a fault of that plugin."""
    owner = place.owner
    if owner is None:
        return run()
    try:
        done = run()
    except (DatabaseError, DBAPIError, OSError, sqlite3.Error, PluginFault) as error:
        told = next(iter(str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()), "")
        text = f"The database of {owner} cannot be used: {told.rstrip('.') or type(error).__name__}."
        way_out = f"Correct what it says, or name another place in [databases.{owner}]; then restart the host."
        return failed({owner: Reason(code="migration_failed", text=text, culprits=(owner,), way_out=way_out)})
    if CORE in done.faults:
        faults = {name: reason for name, reason in done.faults.items() if name != CORE}
        text = f"The database of {owner}: {done.faults[CORE].text}"
        faults[owner] = dataclasses.replace(done.faults[CORE], text=text, culprits=(owner,))
        done = dataclasses.replace(done, faults=faults)
    return done
