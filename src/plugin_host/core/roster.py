"""The roster: the plugins that are activated in this process, and what is remembered of those that failed.

It outlives generations. What runs stays as it is while others come and go; what failed is not tried again at
every change, only when somebody says so or when other files are installed.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from plugin_host import registry
from plugin_host.core.assembly import permissions_of
from plugin_host.core.planner import marks_of, state_of
from plugin_host.plugins import importing
from plugin_host.plugins.activation import with_object
from plugin_host.plugins.consent import Asked, Consent, asked_by
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.assembly import Assembly, Running
    from plugin_host.gateway.gate import Gate
    from plugin_host.plugins.plan import Found, Plan, PlanEntry
    from plugin_host.registry import Record
    from plugin_host.supervision.starts import Starts

log = logging.getLogger("plugin_host")

LEFT_BEHIND: Final = "time_limit"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was imported: as it was found then, and what its files looked like."""

    found: Found
    mark: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a plugin failed, and when it may be tried again: once `retries` or its files are others."""

    reason: Reason
    retries: int
    mark: tuple[object, ...]
    hangs: bool = False


class HostError(Exception):
    """The host cannot start: one sentence that says what to do."""


class Roster:
    """Activates, starts and stops plugins.

    `starts` is the journal of what is being done; `drain` waits for the requests of a plugin that was taken off the
    table.
    """

    def __init__(
        self, assembly: Assembly, gate: Gate, starts: Starts, drain: Callable[[str], Awaitable[object]]
    ) -> None:
        self.running: dict[str, Running] = {}
        self._assembly = assembly
        self._gate = gate
        self._starts = starts
        self._drain = drain
        self._started: set[str] = set()
        self._new: set[str] = set()
        self._loaded: dict[str, Loaded] = {}
        self._failures: dict[str, Failure] = {}
        self._stale: set[str] = set()

    def pin(self, found: Found) -> Found:
        """Put what is in memory in the place of what is installed: other code is loaded by a restart only."""
        loaded = self._loaded.get(found.id)
        if loaded is None or found.candidate.source != loaded.found.candidate.source:
            return found
        if loaded.mark == mark_of(found):
            self._stale.discard(found.id)
            return found
        if found.id not in self.running and found.candidate.source == "folder":
            self._stale.discard(found.id)
            return found  # the host imported it from there, and can do so anew
        self._stale.add(found.id)
        if found.id in self.running:
            return loaded.found
        return msgspec.structs.replace(found, fault=_other_code(found, loaded.found))

    def remember(self, plan: Plan, records: Mapping[str, Record]) -> Plan:
        """Park what failed before and need not be tried again, and say of what is stale that it is."""
        for plugin, failure in list(self._failures.items()):
            entry = plan.entry(plugin)
            if entry is None or entry.state != "active":
                continue
            retries = records[plugin].retries if plugin in records else 0
            if not failure.hangs and (retries != failure.retries or mark_of(plan.found[plugin]) != failure.mark):
                del self._failures[plugin]
                continue
            plan = plan.park(plugin, state_of(failure.reason), failure.reason)
        hanging = {plugin for plugin, failure in self._failures.items() if failure.hangs}
        for plugin in self._stale | hanging:
            plan = plan.change(plugin, restart_needed=True)
        return plan

    def park(self, plan: Plan, plugin: str, reason: Reason, records: Mapping[str, Record]) -> Plan:
        """Park a plugin that failed, and remember it. Raises `HostError` for core."""
        if plugin == "core":
            msg = f"core cannot start: {reason.text} {reason.way_out}"
            raise HostError(msg)
        retries = records[plugin].retries if plugin in records else 0
        hangs = reason.code == LEFT_BEHIND and plugin not in self._loaded
        self._failures[plugin] = Failure(reason, retries, mark_of(plan.found[plugin]), hangs)
        state = state_of(reason)
        log.error("plugin %s is %s: %s %s", plugin, state, reason.text, reason.way_out)
        plan = plan.park(plugin, state, reason)
        return plan.change(plugin, restart_needed=True) if hangs else plan

    def leave_off(self, plan: Plan, records: Mapping[str, Record], *, first: bool) -> Plan:
        """Leave off those of whom the process died when it was started before, and begin the journal if it is `first`.

        See `supervision.starts`.
        """
        marks = marks_of(records, plan)
        for plugin, reason in (self._starts.begin(marks) if first else self._starts.judge(marks)).items():
            log.error("plugin %s is quarantined: %s %s", plugin, reason.text, reason.way_out)
            plan = plan.park(plugin, "quarantined", reason)
        return plan

    async def assemble(self, plan: Plan, records: Mapping[str, Record], core: object) -> Plan:
        """Import and build whatever is to run and does not stand yet; `core` is the object of core's hooks."""
        permissions = permissions_of(plan)
        for entry in plan.active:
            if entry.id in self.running or not _runs(plan, entry):
                continue
            found = plan.found[entry.id]
            source = with_object(found, core) if entry.id == "core" else found
            mark = mark_of(found)
            try:
                with self._starts.step(entry.id, "import"):
                    running = await self._assembly.assemble(entry, source, self._gate, permissions)
            except PluginFault as fault:
                plan = self.park(plan, entry.id, fault.reason, records)
            else:
                self.running[entry.id] = running
                self._loaded[entry.id] = Loaded(found, mark)
        return plan

    async def start(self, plan: Plan, records: Mapping[str, Record], limit: float) -> Plan:
        """Start whatever is not started, each within `limit` seconds; what fails is stopped again."""
        for entry in plan.active:
            if entry.id in self._started or not _runs(plan, entry):
                continue
            try:
                with self._starts.step(entry.id, "start"):
                    await self.running[entry.id].start(limit)
            except PluginFault as fault:
                await self._stop(entry.id)
                plan = self.park(plan, entry.id, fault.reason, records)
            else:
                self._started.add(entry.id)
                self._new.add(entry.id)
        for entry in plan.active:
            plan = plan.change(entry.id, verified="built")
        return plan

    async def retire(self, wanted: Collection[str]) -> None:
        """Stop what runs and is not wanted, those that depend on others first, once their requests are through."""
        leaving = [plugin for plugin in reversed(self.running) if plugin not in wanted]
        await asyncio.gather(*(self._drain(plugin) for plugin in leaving))
        for plugin in leaving:
            await self._stop(plugin)

    def consents(self, plan: Plan, known: Mapping[str, Consent], *, by_default: bool) -> dict[str, tuple[Asked, Asked]]:
        """Say of each active plugin what it asks for, hooks included, and which part of that it is granted."""
        said = {}
        for entry in plan.active:
            running = self.running.get(entry.id)
            if entry.id == "core" or running is None:
                continue
            asked = asked_by(plan.found[entry.id])
            whole = running.asked
            granted = known.get(entry.id, Consent()).granted(asked, whole, by_default=by_default) or Asked()
            said[entry.id] = (whole, granted)
        return said

    def newcomers(self) -> set[str]:
        """Name those that have started since this was last asked."""
        new, self._new = self._new & self._started, set()
        return new

    async def _stop(self, plugin: str) -> None:
        self._started.discard(plugin)
        running = self.running.pop(plugin)
        await running.stop()
        self._assembly.forget(plugin)


def _runs(plan: Plan, entry: PlanEntry) -> bool:
    """Tell whether an entry is still to run: something that it requires may have been parked meanwhile."""
    now = plan.entry(entry.id)
    return now is not None and now.state == "active"


def mark_of(found: Found) -> tuple[object, ...]:
    """Tell other files from the same ones without reading them: by what `stat` says, and what the manifests say.

    Of a wheel `__init__.py` is looked at, since pip writes all files anew; of a folder every Python file.
    """
    folder = found.candidate.folder
    said = (found.version, found.manifest, found.permissions, found.menu)
    if folder is None or found.candidate.source not in {"wheel", "folder"}:
        return said
    return (*said, importing.code_of(folder) if found.candidate.source == "folder" else _stat(folder / "__init__.py"))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _other_code(found: Found, loaded: Found) -> Reason:
    was, now = loaded.version or "another version", found.version or "another one"
    what = f"version {was}, and {now} is installed" if was != now else f"{was} as it was before its files changed"
    return Reason(
        code="version_mismatch",
        text=f"{found.id}: this process has loaded {what}.",
        culprits=(found.id,),
        way_out="Restart the host: other code of a plugin is loaded by a restart only.",
    )


async def record(session: AsyncSession, plan: Plan, consents: Mapping[str, tuple[Asked, Asked]]) -> None:
    """Keep what became of each plugin, and settle the consent to those that run. The caller commits."""
    known = await registry.records(session, lock=True)
    settled = {}
    for plugin, (whole, granted) in consents.items():
        before = known[plugin].consent if plugin in known else None
        consent = Consent() if before is None else msgspec.json.decode(before, type=Consent)
        after = msgspec.json.encode(consent.settled(asked_by(plan.found[plugin]), whole, granted))
        if after != before:
            settled[plugin] = after
    outcomes = {
        entry.id: outcome
        for entry in plan.entries
        if (outcome := registry.Outcome(entry.state, entry.reason, entry.version))
        != (known[entry.id].outcome if entry.id in known else None)
    }
    await registry.record(session, outcomes, settled)
