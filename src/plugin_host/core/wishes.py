"""What operators say: wishes, consent, retries. Each is written down with the revision that all processes follow."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from plugin_host import registry
from plugin_host.audit import Entry, record
from plugin_host.core.planner import consent_of
from plugin_host.plugins.consent import asked_by
from plugin_host.sdk.context import SYSTEM
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.planner import Planner
    from plugin_host.plugins.consent import Asked
    from plugin_host.plugins.plan import Found, Plan, PlanEntry
    from plugin_host.sdk.context import Actor
    from plugin_host.sdk.errors import Reason

RETRIED: Final = frozenset({"quarantined", "refused", "blocked", "pending"})
"""States in which a plugin may be tried again."""

CALM: Final = dt.timedelta(hours=1)
"""After so long without a failure the next quarantine is the first one again."""


class Wishes:
    """Writes down what operators say of the plugins that a planner knows."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    async def wish(self, plugin: str, word: Literal["enabled", "disabled"], actor: Actor = SYSTEM) -> None:
        """Keep an operator's wish. Raises `Problem` for a plugin that is not there, and for core."""
        entry = _named(plugin, (await self._planner.look()).plan)  # quicker: what only tables tell is no matter here
        if plugin == "core":
            raise Problem(409, "core_stays", "core is the host itself: it cannot be switched off.")
        if entry.reason is not None and entry.reason.code == "disabled_by_settings":
            raise Problem(409, "disabled_by_settings", f"{entry.reason.text} {entry.reason.way_out}")
        async with self._writing() as session:
            await registry.wish(session, plugin, word)
            await record(session, _entry(word, plugin, actor))

    async def retry(self, plugin: str, actor: Actor = SYSTEM) -> None:
        """Let every process try a plugin again that failed. Raises `Problem` like `wish`, and where nothing failed."""
        entry = await self._entry(plugin)
        if entry.state not in RETRIED:
            raise Problem(409, "nothing_to_retry", f"{plugin} is {entry.state}: there is nothing to try again.")
        async with self._writing() as session:
            await registry.retry(session, plugin)
            await record(session, _entry("retried", plugin, actor))

    async def consent(self, plugin: str, ahead: Found | None = None, actor: Actor = SYSTEM) -> Asked:
        """Approve of all that a plugin asks for: as it is installed, or as `ahead` (a wheel) would. Gives that.

        Raises `Problem` for a plugin that is not there, or whose files cannot be read.
        """
        if ahead is None:
            await self._entry(plugin)
            ahead = (await self._planner.look()).plan.found.get(plugin)
        if ahead is None or ahead.manifest is None or plugin == "core":
            raise Problem(409, "nothing_to_consent", f"{plugin} asks for nothing that could be read.")
        asked = asked_by(ahead)
        async with self._writing() as session:
            known = (await registry.records(session, lock=True)).get(plugin, registry.Record())
            await registry.consent(session, plugin, msgspec.json.encode(consent_of(known).given(asked)))
            version = ahead.manifest.version
            await record(session, _entry("consented", plugin, actor, asked=asked.names, version=version))
        return asked

    async def quarantine(self, plugin: str, reason: Reason, delay: Callable[[int], float]) -> bool:
        """Keep a plugin off for `delay(attempt)` seconds, attempts counted from 1; False if it is kept off already."""
        now = dt.datetime.now(dt.UTC)
        async with self._writing() as session:
            known = (await registry.records(session, lock=True)).get(plugin, registry.Record())
            version, before = known.outcome.version, known.quarantine
            if before is not None and before.holds(now, version):
                return False
            calm = before is None or before.version != version or now - before.until > CALM
            attempts = 1 if before is None or calm else before.attempts + 1
            until = now + dt.timedelta(seconds=delay(attempts))
            said = registry.Quarantine(reason=reason, until=until, attempts=attempts, version=version)
            await registry.quarantine(session, plugin, said)
            why = {"code": reason.code, "text": reason.text, "until": until.isoformat(), "attempts": attempts}
            await record(session, _entry("quarantined", plugin, SYSTEM, **why))
        return True

    async def _entry(self, plugin: str) -> PlanEntry:
        return _named(plugin, await self._planner.verified())

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        unit = self._planner.database.unit()
        try:
            yield unit.session
            await unit.commit()
        finally:
            await unit.close()


def _entry(word: str, plugin: str, actor: Actor, **detail: Any) -> Entry:
    return Entry(action=f"core.plugin.{word}", actor=actor, object=f"plugin:{plugin}", detail=detail)


def _named(plugin: str, plan: Plan) -> PlanEntry:
    entry = plan.entry(plugin)
    if entry is None:
        raise Problem(404, "not_found", f"There is no plugin {plugin!r}.")
    return entry
