"""What the tables tell a plan, and bringing them up to date: the migration runner, asked about plans."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import OperationalError

from plugin_host.core.databases import separate_in
from plugin_host.core.nodes import Nodes
from plugin_host.database import DatabaseError
from plugin_host.migrations import places
from plugin_host.migrations.places import Place
from plugin_host.migrations.removal import sizes
from plugin_host.migrations.runner import Outcome, Source
from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from plugin_host.database import Databases
    from plugin_host.migrations.belongings import Size
    from plugin_host.migrations.planning import MigrationPlan, Wait
    from plugin_host.plugins.plan import Plan, PlanEntry
    from plugin_host.settings import Settings

FOLDER: Final = Path(__file__).parent
"""Where core's own manifest is."""


class Tables:
    """The tables of every plugin, in whichever database they are."""

    def __init__(self, settings: Settings, databases: Databases) -> None:
        self._settings = settings
        self._databases = databases
        self._database = databases.default
        self.nodes = Nodes(databases.default)
        self.waits: Mapping[str, Wait] = {}
        self.known: Collection[str] = ()
        """Whoever the registry knows: of these an own database may be there without a package."""

    async def pending(self, plan: Plan, plugin: str | None = None) -> MigrationPlan:
        """Say which revisions would be applied, of one plugin or all. Writes nothing."""
        there = self.places(plan, plan.active)
        return await asyncio.to_thread(places.pending, there, plugin=plugin, running=self.nodes.running)

    async def upgrade(
        self, plan: Plan, plugin: str | None, to: str | None, progress: Callable[[str], None] | None
    ) -> Outcome:
        """Bring the tables of those that may run up to date."""
        there = self.places(plan, plan.active)
        return await asyncio.to_thread(
            places.upgrade, there, plugin=plugin, to=to, progress=progress, running=self.nodes.running
        )

    async def begin(self, progress: Callable[[str], None]) -> None:
        """See that core's own tables are there and up to date, before anything is read from them."""
        self.prepare()
        if self._settings.migrations.on_start == "auto":
            core = [Place(self._database, (core_source(),))]
            await asyncio.to_thread(places.upgrade, core, progress=progress, running=self.nodes.running)

    async def faults(
        self, plan: Plan, progress: Callable[[str], None], running: Collection[str] = ()
    ) -> tuple[Mapping[str, Reason], Collection[str]]:
        """Migrate, or only look where `migrations.on_start` says so.

        Tells who cannot run on the tables there are, and whose tables are there without being asked about.

        New revisions of a plugin whose code is an older one in this process wait for the restart. Of those that
        are `running` here nobody judges anew whether they fit newer tables: that is done where a plugin starts.
        """
        there = self.places(plan, [entry for entry in plan.active if not entry.restart_needed])
        if self._settings.migrations.on_start == "auto":
            outcome = await asyncio.to_thread(places.upgrade, there, progress=progress, running=self.nodes.running)
            self.waits, reasons, orphans = outcome.waits, _reasons_of_waits(outcome.waits), outcome.orphans
            reasons |= outcome.faults
        else:
            pending = await asyncio.to_thread(places.pending, there, running=self.nodes.running)
            self.waits, reasons, orphans = pending.waits, self._reasons(pending), pending.orphans
        reasons |= self._moved(plan, orphans)
        orphans = (*orphans, *await asyncio.to_thread(self._kept, plan))
        stay = ("schema_newer", "migration_pending")
        return {name: each for name, each in reasons.items() if name not in running or each.code not in stay}, orphans

    def places(self, plan: Plan, entries: Iterable[PlanEntry]) -> list[Place]:
        """Say which database holds the tables of whom: the host's first, with core in every one."""
        separate = separate_in(plan)
        self._databases.place(separate)
        sources = [_source(plan, entry) for entry in entries]
        shared = [source for source in sources if source.plugin not in separate]
        places = [Place(self._database, tuple(_without(source, separate) for source in shared))]
        return places + [
            Place(self._databases.of(source.plugin), (core_source(), _without(source, source.requires)), source.plugin)
            for source in sources
            if source.plugin in separate
        ]

    async def tell(self, plan: Plan, state_of: Callable[[Reason], str]) -> Plan:
        """Lay over a plan which revisions wait, whose do not fit, and whose tables are there without a package."""
        pending = await self.pending(plan)
        for plugin, revisions in _revisions(pending).items():
            plan = plan.change(plugin, pending=revisions)
        for plugin, wait in pending.waits.items():
            entry = plan.entry(plugin)
            plan = plan.change(plugin, pending=(*(entry.pending if entry is not None else ()), *wait.revisions))
        for plugin, reason in {**self._reasons(pending), **self._moved(plan, pending.orphans)}.items():
            plan = plan.park(plugin, state_of(reason), reason)  # type: ignore[arg-type] # a state, by its name
        return with_orphans(plan, {*pending.orphans, *await asyncio.to_thread(self._kept, plan)})

    async def sizes(self, plan: Plan) -> dict[str, Size]:
        """Say how much those keep whose package is not there."""
        orphans = [entry.id for entry in plan.entries if entry.state == "orphaned"]
        return await asyncio.to_thread(self._sizes, orphans)

    def _sizes(self, plugins: Collection[str]) -> dict[str, Size]:
        homes = {plugin: self._databases.home(plugin) for plugin in plugins}
        shared = [plugin for plugin, database in homes.items() if database is self._database]
        own = {plugin: database for plugin, database in homes.items() if database is not self._database}
        found = sizes(self._database, shared)
        for plugin, database in own.items():
            found |= sizes(database, [plugin])
        return found

    def _kept(self, plan: Plan) -> list[str]:
        """Name those whose own database is there, and whose package is not."""
        missing = [name for name in self.known if plan.entry(name) is None]
        return [name for name in self._databases.left(missing) if plan.entry(name) is None]

    def _moved(self, plan: Plan, orphans: Collection[str]) -> dict[str, Reason]:
        """Refuse to start with an empty database whoever has tables in another: a manifest moves no rows."""
        moved = {}
        separate = separate_in(plan)
        for plugin in sorted({*orphans} & separate):
            moved[plugin] = _elsewhere(plugin, "the host's database", "a database of its own")
        for plugin in self._databases.left(()):
            entry = plan.entry(plugin)
            if entry is not None and entry.state == "active" and plugin not in separate:
                moved[plugin] = _elsewhere(plugin, "a database of its own", "the host's database")
        return moved

    def prepare(self) -> None:
        """Make the data folder, readable by its owner only, and what the database needs before its tables."""
        path = Path(self._settings.data_dir)
        try:
            if self._database.path is not None:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                Path(self._database.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database.prepare()
        except (OSError, sqlite3.Error, OperationalError) as error:
            told = str(error.orig if isinstance(error, OperationalError) else error).strip().splitlines()[0]
            msg = f"the data folder {path} or the database cannot be used ({told}): check data_dir and database"
            raise DatabaseError(msg) from error

    def _reasons(self, pending: MigrationPlan) -> dict[str, Reason]:
        reasons = {**_reasons_of_waits(pending.waits), **pending.faults}
        if self._settings.migrations.on_start == "check":
            reasons = {**_pending_reasons(pending), **reasons}
        return reasons


def with_orphans(plan: Plan, kept: Collection[str]) -> Plan:
    """Add those of which tables are kept and whose package is not there."""
    for plugin in sorted(kept):
        if plan.entry(plugin) is None:
            reason = Reason(
                code="package_missing",
                text=f"The tables of {plugin} are here, its package is not.",
                culprits=(plugin,),
                way_out="Install the package again to go on where it stood, or run "
                f"plugin-host plugins purge {plugin} to remove what is kept.",
            )
            plan = plan.park(plugin, "orphaned", reason)
    return plan


def _elsewhere(plugin: str, there: str, wanted: str) -> Reason:
    return Reason(
        code="manifest_invalid",
        text=f"The tables of {plugin} are in {there}, and its plugin.json asks for {wanted}.",
        culprits=(plugin,),
        way_out=f"Let data.database of plugin.json stay as it was, or run plugin-host plugins purge {plugin} "
        "--export FILE and begin anew.",
    )


def core_source() -> Source:
    """Say where core's own revisions are."""
    return Source(plugin="core", folder=FOLDER / "migrations", version=_version())


def _without(source: Source, elsewhere: Collection[str]) -> Source:
    """Leave out of what a source requires those that are in other databases: nothing of theirs can be named here."""
    return dataclasses.replace(source, requires=tuple(need for need in source.requires if need not in elsewhere))


def _version() -> str:
    try:
        return metadata.version("plugin-host")
    except metadata.PackageNotFoundError:  # run from a source folder that is not installed
        return ""


def _source(plan: Plan, entry: PlanEntry) -> Source:
    package = plan.found[entry.id].candidate.folder
    revisions = package / "migrations" if package is not None else None
    return Source(
        plugin=entry.id,
        folder=revisions if revisions is not None and revisions.is_dir() else None,
        requires=tuple(need for need in entry.requires if need != "core"),
        version=entry.version or "",
    )


def _revisions(pending: MigrationPlan) -> dict[str, tuple[str, ...]]:
    """Name the revisions that wait, by plugin."""
    waiting: dict[str, tuple[str, ...]] = {}
    for step in pending.steps:
        waiting[step.plugin] = (*waiting.get(step.plugin, ()), step.revision)
    return waiting


def _pending_reasons(pending: MigrationPlan) -> dict[str, Reason]:
    return {
        plugin: Reason(
            code="migration_pending",
            text=f"The tables of {plugin} are not up to date: {', '.join(revisions)} would have to run.",
            culprits=(plugin,),
            way_out="Run plugin-host migrate, then start again.",
        )
        for plugin, revisions in _revisions(pending).items()
    }


def _reasons_of_waits(waits: Mapping[str, Wait]) -> dict[str, Reason]:
    """Say who cannot run before a revision that waits for other processes: it brings more than it takes away."""
    return {
        plugin: Reason(
            code="migration_pending",
            text=f"{wait.text} {plugin} needs what comes after it.",
            culprits=(plugin,),
            way_out="Bring every process of the host to the new version.",
        )
        for plugin, wait in waits.items()
        if wait.needed
    }
