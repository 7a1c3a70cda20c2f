"""The first four steps: discover, read, resolve, migrate. Whatever comes out is a `Plan`.

Nothing here imports a plugin. What only an import can show is laid over a plan from the registry.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from sqlalchemy.exc import OperationalError, ProgrammingError

from plugin_host import registry
from plugin_host.database import DatabaseError
from plugin_host.migrations.runner import Outcome, Runner, Source
from plugin_host.plugins.discovery import discover
from plugin_host.plugins.manifests import read
from plugin_host.plugins.resolver import resolve
from plugin_host.sdk.errors import Problem, Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database
    from plugin_host.migrations.planning import MigrationPlan
    from plugin_host.plugins.plan import Candidate, Plan, PlanEntry, State
    from plugin_host.settings import Settings

T = TypeVar("T")

FOLDER: Final = Path(__file__).parent
"""Where core's own manifest is."""

# What is found out only by running the plugin parks it as quarantined; a fault in what it says, as refused.
_STATES: Final[dict[str, State]] = {
    "import_failed": "quarantined",
    "hook_failed": "quarantined",
    "time_limit": "quarantined",
    "startup_failed": "quarantined",
    "migration_failed": "quarantined",
    "migration_foreign": "quarantined",
    "runtime_errors": "quarantined",
    "migration_pending": "pending",
    "schema_newer": "pending",
    "dependency_inactive": "blocked",
}


def state_of(reason: Reason) -> State:
    """Name the state in which a reason parks a plugin."""
    return _STATES.get(reason.code, "refused")


class Planner:
    """Makes plans for one host.

    `objects` are plugins that an application hands over; `candidates` are looked at without being installed, in
    place of an installed one of that id; `safe` leaves plugins out.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        objects: Sequence[object] = (),
        candidates: Sequence[Candidate] = (),
        safe: bool | Collection[str] = False,
    ) -> None:
        self.settings = settings
        self.database = database
        self._objects = tuple(objects)
        self._candidates = tuple(candidates)
        self._safe = safe

    async def plan(self) -> Plan:
        """Discover, read and resolve, by the operators' wishes. Writes nothing."""
        return await asyncio.to_thread(self._resolve, await self._registry(registry.wishes))

    async def verified(self) -> Plan:
        """Make a plan and lay over it what the last activation found, where the version is the same."""
        plan = await self.plan()
        for plugin, outcome in (await self._registry(registry.outcomes)).items():
            entry = plan.entry(plugin)
            if entry is None or entry.state != "active" or outcome.version != entry.version:
                continue
            if outcome.reason is not None and outcome.state in ("quarantined", "refused"):
                plan = plan.park(plugin, state_of(outcome.reason), outcome.reason)
            plan = plan.built(plugin)
        return await asyncio.to_thread(self._with_orphans, plan)

    async def wish(self, plugin: str, word: Literal["enabled", "disabled"]) -> None:
        """Keep an operator's wish. Raises `Problem` for a plugin that is not there, and for core."""
        entry = (await self.verified()).entry(plugin)
        if entry is None:
            raise Problem(404, "not_found", f"There is no plugin {plugin!r}.")
        if plugin == "core":
            raise Problem(409, "core_stays", "core is the host itself: it cannot be switched off.")
        if entry.reason is not None and entry.reason.code == "disabled_by_settings":
            raise Problem(409, "disabled_by_settings", f"{entry.reason.text} {entry.reason.way_out}")
        unit = self.database.unit()
        try:
            await registry.wish(unit.session, plugin, word)
            await unit.commit()
        finally:
            await unit.close()

    async def pending(self) -> MigrationPlan:
        """Say which revisions `migrate` would apply. Writes nothing."""
        sources = _sources(await self.plan())
        return await asyncio.to_thread(Runner(self.database).pending, sources)

    async def migrate(self, plugin: str | None, to: str | None, progress: Callable[[str], None] | None) -> Outcome:
        """Bring the tables of those that may run up to date."""
        self.prepare()
        sources = _sources(await self.plan())
        runner = Runner(self.database)
        return await asyncio.to_thread(runner.upgrade, sources, plugin=plugin, to=to, progress=progress)

    async def faults(self, progress: Callable[[str], None]) -> Mapping[str, Reason]:
        """Migrate, or only look where `migrations.on_start` says so; tell who cannot run on the tables there are."""
        if self.settings.migrations.on_start == "auto":
            return (await self.migrate(None, None, progress)).faults
        self.prepare()
        pending = await self.pending()
        return {**_pending_reasons(pending), **pending.faults}

    def prepare(self) -> None:
        """Make the data folder, readable by its owner only, and what the database needs before its tables."""
        path = Path(self.settings.data_dir)
        try:
            if self.database.path is not None:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                Path(self.database.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.database.prepare()
        except (OSError, sqlite3.Error, OperationalError) as error:
            told = str(error.orig if isinstance(error, OperationalError) else error).strip().splitlines()[0]
            msg = f"the data folder {path} or the database cannot be used ({told}): check data_dir and database"
            raise DatabaseError(msg) from error

    def _resolve(self, wishes: Mapping[str, str]) -> Plan:
        loader = self.settings.loader
        found = discover(folders=[Path(each) for each in loader.folders], objects=self._objects, core=FOLDER)
        instead = {candidate.id for candidate in self._candidates}
        candidates = [*(each for each in found if each.id not in instead), *self._candidates]
        plan = resolve(
            [read(candidate) for candidate in candidates], disabled=loader.disabled, wishes=wishes, safe=self._safe
        )
        return dataclasses.replace(plan, warnings=(*found.warnings, *plan.warnings))

    def _with_orphans(self, plan: Plan) -> Plan:
        """Add those whose data is there and whose package is not."""
        for plugin in Runner(self.database).state():
            if plan.entry(plugin) is None:
                reason = Reason(
                    code="package_missing",
                    text=f"The tables of {plugin} are here, its package is not.",
                    culprits=(plugin,),
                    way_out="Install the package again to go on where it stood; its data is kept until then.",
                )
                plan = plan.park(plugin, "orphaned", reason)
        return plan

    async def _registry(self, question: Callable[[AsyncSession], Awaitable[dict[str, T]]]) -> dict[str, T]:
        """Ask the registry, which may have no tables yet, or not even a file: asking must not make one."""
        if self.database.path is not None and not Path(self.database.path).exists():
            return {}
        unit = self.database.unit(write=False)
        try:
            return await question(unit.session)
        except (OperationalError, ProgrammingError):
            return {}
        finally:
            await unit.close()


def _sources(plan: Plan) -> list[Source]:
    """Say where the revisions of those that may run are, core's first."""
    return [_source(plan, entry) for entry in plan.active]


def _source(plan: Plan, entry: PlanEntry) -> Source:
    package = plan.found[entry.id].candidate.folder
    revisions = package / "migrations" if package is not None else None
    return Source(
        plugin=entry.id,
        folder=revisions if revisions is not None and revisions.is_dir() else None,
        requires=tuple(need for need in entry.requires if need != "core"),
        version=entry.version or "",
    )


def _pending_reasons(pending: MigrationPlan) -> dict[str, Reason]:
    waiting: dict[str, list[str]] = {}
    for step in pending.steps:
        waiting.setdefault(step.plugin, []).append(step.revision)
    return {
        plugin: Reason(
            code="migration_pending",
            text=f"The tables of {plugin} are not up to date: {', '.join(revisions)} would have to run.",
            culprits=(plugin,),
            way_out="Run plugin-host migrate, then start again.",
        )
        for plugin, revisions in waiting.items()
    }
