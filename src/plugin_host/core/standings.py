"""What answers now; and beside it, while plugins change, what is to answer next and what answered before.

A call keeps the rules that it began with: of a plugin that is being started, or one that is being switched off, they
are in another standing than everybody else's.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any, TypeAlias

from plugin_host.access.catalogue import UnknownPermission
from plugin_host.access.decisions import Decisions
from plugin_host.core.standing import Standing, stand
from plugin_host.plugins.generation import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from plugin_host.core.assembly import Running
    from plugin_host.plugins.consent import Asked
    from plugin_host.plugins.plan import Plan
    from plugin_host.sdk.context import Access, Actor, Work

    Consents: TypeAlias = Mapping[str, tuple[Asked, Asked]]


class Standings:
    """Makes what stands. `guard` gives what is put before the application of a plugin."""

    def __init__(self, guard: Callable[[str, Running, Plan], Any]) -> None:
        self.now: Standing | None = None
        self._guard = guard
        self._coming: Standing | None = None
        self._leaving: Standing | None = None
        self._number = 0

    async def prepare(self, plan: Plan, running: Mapping[str, Running], consents: Consents) -> None:
        """Make what is to answer next, for those that are being started."""
        self._coming = await self._make(plan, running, consents)

    async def swap(self, plan: Plan, running: Mapping[str, Running], consents: Consents) -> Standing:
        """Let it answer from now on; what answered before is kept until `settle`, for calls that are under way."""
        made = await self._make(plan, running, consents)
        self._leaving, self.now = self.now, made
        return made

    def settle(self) -> None:
        """Forget what answered before."""
        self._coming = self._leaving = None

    def holds(self, actor: Actor, permission: str) -> bool:
        """Say whether the actor holds it, on some object at least: a look-up when asked before."""
        if self.now is None:
            return False
        try:
            return self.now.may(actor, permission)
        except UnknownPermission:
            # A request may have been let in a moment before its plugin was switched off.
            if self._leaving is None:
                raise
            return self._leaving.may(actor, permission)

    def access(self, work: Work) -> Access:
        """Give the decisions of one call."""
        plugin = work.plugin
        standing = self._of(plugin)
        within = None if plugin == "core" else standing.reach.get(plugin, frozenset())
        scopes = work.actor.scopes
        if scopes is not None:  # of the person's rights, those that the credential carries
            limit = standing.within(scopes)
            within = limit if within is None else within & limit
        return Decisions(work.actor, standing.snapshot, work.unit, within)

    def withheld(self, plugin: str) -> Collection[str]:
        """Give the public routes of a plugin that nobody has consented to."""
        return self._of(plugin).withheld.get(plugin, ())

    def _of(self, plugin: str) -> Standing:
        """Give the standing that a plugin's calls belong to."""
        if self.now is not None and plugin in self.now.generation.apps:
            return self.now
        known = [each for each in (self._coming, self._leaving, self.now) if each is not None]
        if not known:
            msg = "PluginHost is not running"
            raise RuntimeError(msg)
        return next((each for each in known if plugin in each.generation.apps), known[-1])

    async def _make(self, plan: Plan, running: Mapping[str, Running], consents: Consents) -> Standing:
        self._number += 1
        active = {entry.id: running[entry.id] for entry in plan.active}
        for plugin, (asked, granted) in consents.items():
            plan = plan.change(plugin, awaiting=(asked - granted).names)
        generation = Generation(
            number=self._number,
            plan=plan,
            apps={plugin: self._guard(plugin, each, plan) for plugin, each in active.items()},
            declared={plugin: each.declared for plugin, each in active.items()},
            routes={plugin: each.built.routes for plugin, each in active.items()},
            timings={plugin: each.relay.timings for plugin, each in active.items()},
        )
        if self._coming is not None and self._coming.generation.apps == generation.apps:
            return dataclasses.replace(self._coming, generation=generation)
        # In a thread: it reads files, and until it is made the old one answers.
        return await asyncio.to_thread(stand, generation, consents, self.now)
