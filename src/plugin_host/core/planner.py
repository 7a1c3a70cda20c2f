"""The first four steps: discover, read, resolve, migrate. Whatever comes out is a `Plan`.

Nothing here imports a plugin. What only an import can show is laid over a plan from the registry.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy.exc import OperationalError, ProgrammingError

from plugin_host import registry
from plugin_host.core.databases import all_databases
from plugin_host.core.tables import FOLDER, Tables
from plugin_host.plugins.consent import Asked, Consent, asked_by, required
from plugin_host.plugins.discovery import discover
from plugin_host.plugins.manifests import read
from plugin_host.plugins.preflight import takes_the_place
from plugin_host.plugins.resolver import resolve
from plugin_host.supervision.starts import Starts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database
    from plugin_host.migrations.planning import MigrationPlan
    from plugin_host.migrations.runner import Outcome
    from plugin_host.plugins.plan import Candidate, Found, Plan, State
    from plugin_host.registry import Record
    from plugin_host.sdk.errors import Reason
    from plugin_host.settings import Settings

T = TypeVar("T")

# What is found out only by running the plugin parks it as quarantined; a fault in what it says, as refused.
_STATES: Final[dict[str, State]] = {
    "import_failed": "quarantined",
    "hook_failed": "quarantined",
    "time_limit": "quarantined",
    "startup_failed": "quarantined",
    "migration_failed": "quarantined",
    "migration_foreign": "quarantined",
    "migration_edited": "quarantined",
    "migration_heads": "quarantined",
    "migration_missing": "quarantined",
    "migration_dirty": "quarantined",
    "migration_unrecorded": "pending",
    "runtime_errors": "quarantined",
    "migration_pending": "pending",
    "schema_newer": "pending",
    "dependency_inactive": "blocked",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A plan, and what the registry said when it was made; `consents` by plugin."""

    plan: Plan
    records: Mapping[str, Record]
    consents: Mapping[str, Consent]


def _as_found(found: Found) -> Found:
    return found


def _of_one_id(new: Candidate, old: Candidate) -> bool:
    return new.id == old.id


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
        replaces: Callable[[Candidate, Candidate], bool] = _of_one_id,
    ) -> None:
        self.settings = settings
        self.database = database
        self.databases = all_databases(settings, database)
        self.objects = tuple(objects)
        self._candidates = tuple(candidates)
        self._replaces = replaces
        self.safe = safe
        self.tables = Tables(settings, self.databases)
        self.starts = Starts(Path(settings.data_dir) / "starting.json")

    def trying(self, candidates: Sequence[Candidate]) -> Planner:
        """Give a planner that sees these as if they were installed; what pip would replace is gone."""
        return Planner(
            self.settings,
            self.database,
            objects=self.objects,
            candidates=candidates,
            safe=self.safe,
            replaces=takes_the_place,
        )

    async def plan(self) -> Plan:
        """Discover, read and resolve, by what operators wish for and consent to. Writes nothing."""
        return (await self.look()).plan

    async def look(self, pin: Callable[[Found], Found] = _as_found) -> Look:
        """Make a plan, and give what it was made of.

        `pin` may put what runs in the place of what is installed by now: see `Roster.pin`.
        """
        records = await self._ask(registry.records)
        self.tables.known = records.keys()
        wishes = {plugin: record.wish for plugin, record in records.items() if record.wish is not None}
        plan = await asyncio.to_thread(self._resolve, wishes, pin)
        consents = {plugin: consent_of(record) for plugin, record in records.items()}
        by_default = self.settings.loader.default == "enable"
        now = dt.datetime.now(dt.UTC)
        for entry in plan.active:
            if entry.id == "core":
                continue
            asked = asked_by(plan.found[entry.id])
            known = consents.get(entry.id, Consent())
            granted = known.granted(asked, by_default=by_default)
            approved = known.approved or Asked()
            plan = plan.change(
                entry.id,
                added=(asked - approved).permissions,
                removed=(approved - asked).permissions,
                awaiting=(asked - (granted or Asked())).names,
            )
            held = records[entry.id].quarantine if entry.id in records else None
            if granted is None:
                plan = plan.park(entry.id, "consent", required(entry.id, asked))
            elif held is not None and held.holds(now, entry.version):
                plan = plan.park(entry.id, "quarantined", held.reason)
        return Look(plan, records, consents)

    async def verified(self) -> Plan:
        """Say what starting now would do, with what only tables and the last activation can tell.

        An outcome is laid over the plan where the version is the same.
        """
        look = await self.look()
        plan = look.plan
        left_off = self.starts.judge(marks_of(look.records, plan))
        tried = {candidate.id for candidate in self._candidates}  # what became of the installed one says nothing of it
        for plugin, record in look.records.items():
            entry, outcome = plan.entry(plugin), record.outcome
            if entry is None or entry.state != "active" or plugin in tried:
                continue
            if outcome.version != entry.version:
                plan = plan.change(plugin, restart_needed=outcome.state == "active")
                continue
            if outcome.reason is not None and outcome.state in ("quarantined", "refused"):
                plan = plan.park(plugin, state_of(outcome.reason), outcome.reason)
            waits = look.consents[plugin].awaiting.names
            plan = plan.change(plugin, verified="built", awaiting=tuple(dict.fromkeys((*entry.awaiting, *waits))))
        for plugin, reason in left_off.items():
            plan = plan.park(plugin, "quarantined", reason)
        return await self.tables.tell(plan, state_of)

    async def accounts(self) -> dict[str, dict[str, Any]]:
        """Give what each plugin took, as the process said that wrote last."""
        return await self._ask(registry.accounts)

    async def pending(self) -> MigrationPlan:
        """Say which revisions `migrate` would apply. Writes nothing."""
        return await self.tables.pending(await self.plan())

    async def migrate(self, plugin: str | None, to: str | None, progress: Callable[[str], None] | None) -> Outcome:
        """Bring the tables of those that may run up to date."""
        self.tables.prepare()
        return await self.tables.upgrade(await self.plan(), plugin, to, progress)

    def _resolve(self, wishes: Mapping[str, str], pin: Callable[[Found], Found]) -> Plan:
        loader = self.settings.loader
        found = discover(
            core=FOLDER,
            folders=[Path(each) for each in loader.folders],
            objects=self.objects,
            remotes={plugin: remote.url for plugin, remote in self.settings.remote.items()},
        )
        stay = (each for each in found if not any(self._replaces(new, each) for new in self._candidates))
        candidates = [*stay, *self._candidates]
        read_all = [pin(read(candidate)) for candidate in candidates]
        plan = resolve(read_all, disabled=loader.disabled, wishes=wishes, safe=self.safe)
        return dataclasses.replace(plan, warnings=(*found.warnings, *plan.warnings))

    async def _ask(self, question: Callable[[AsyncSession], Awaitable[dict[str, T]]]) -> dict[str, T]:
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


def marks_of(records: Mapping[str, Record], plan: Plan) -> dict[str, str]:
    """Give those that are to run with a text that changes with the version, and whenever somebody says retry."""
    retries = {plugin: record.retries for plugin, record in records.items()}
    return {entry.id: f"{entry.version} {retries.get(entry.id, 0)}" for entry in plan.active if entry.id != "core"}


def consent_of(record: Record) -> Consent:
    """Read what a record says of the consent."""
    return Consent() if record.consent is None else msgspec.json.decode(record.consent, type=Consent)
