"""What answers now; and beside it, while plugins change, what is to answer next and what answered before.

A call keeps the rules that it began with: of a plugin that is being started, or one that is being switched off, they
are in another standing than everybody else's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from plugin_host.access.catalogue import UnknownPermission
from plugin_host.access.decisions import Decisions
from plugin_host.access.orphans import keep_catalogue
from plugin_host.core.standing import Standing, stand
from plugin_host.plugins.generation import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.assembly import Running
    from plugin_host.core.ruling import Ruling
    from plugin_host.database.revision import Revision
    from plugin_host.plugins.consent import Asked
    from plugin_host.plugins.plan import Plan
    from plugin_host.sdk.context import Access, Actor, UnitOfWork, Work

    Consents: TypeAlias = Mapping[str, tuple[Asked, Asked]]


class Standings:
    """Makes what stands. `guard` gives what is put before the application of a plugin, `ruling` what is ruled now."""

    def __init__(self, guard: Callable[[str, Running, Plan], Any], ruling: Ruling) -> None:
        self.now: Standing | None = None
        self._guard = guard
        self._ruling = ruling
        self._catalogued: Mapping[str, Any] = {}
        self._coming: Standing | None = None
        self._leaving: Standing | None = None
        self._number = 0

    async def prepare(self, plan: Plan, running: Mapping[str, Running], consents: Consents) -> None:
        """Make what is to answer next, for those that are being started."""
        await self.refresh()
        self._coming = await self._make(plan, running, consents)

    async def swap(self, plan: Plan, running: Mapping[str, Running], consents: Consents) -> Standing:
        """Let it answer from now on; what answered before is kept until `settle`, for calls that are under way."""
        made = await self._make(plan, running, consents)
        self._leaving, self.now = self.now, made
        return made

    def settle(self) -> None:
        """Forget what answered before."""
        self._coming = self._leaving = None

    # -- whose rights, as of which revision ----------------------------------------------------------------------

    async def at(self, policy: int) -> None:
        """See that the rules are of at least this policy revision: a comparison, unless it is new."""
        if await self._ruling.at(policy):
            self._adopt()

    async def refresh(self) -> None:
        """See that the rules are as new as the database."""
        await self.at((await self._ruling.now()).policy)

    async def admit(self, actor: Actor, plugin: str = "core") -> Actor:
        """Give the actor with all their roles, and learn what they were granted, so that it is known without waiting.

        `plugin` is whose call it is: one with a database of its own has grants there; core asks about all.
        """
        if self.now is None:
            return actor
        actor = self.now.snapshot.effective(actor)
        own = self._ruling.apart.intersection(self.now.generation.apps)
        if plugin != "core":
            own &= {plugin}
        if own:
            await self._ruling.follow_own(own)
        if actor.signed_in:
            await self._ruling.learn(actor.subjects, own)
        return actor

    async def keep_catalogue(self, session: AsyncSession) -> None:
        """Write down what the active plugins declare, if this process has not seen to it already."""
        if self.now is None:
            return
        declared = {plugin: part.permissions for plugin, part in self.now.generation.declared.items()}
        if declared != self._catalogued:
            await keep_catalogue(session, declared)
            self._catalogued = declared

    async def open_call(self, actor: Actor, plugin: str) -> Actor:
        """Do for a call outside a request what is done when a request comes in."""
        if self.now is not None:
            await self.refresh()
        return await self.admit(actor, plugin)

    async def moved(self, was: Revision, plugin: str, unit: UnitOfWork) -> bool:
        """Tell, inside a transaction about to commit, whether a right may be gone since that revision was read."""
        return await self._ruling.moved(was, plugin, unit)

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
        return Decisions(
            work.actor,
            lambda: self._of(plugin).snapshot,
            work.unit,
            within,
            books=self._ruling.books,
            at_home=plugin,
            refresh=self.refresh,
            seen=time.monotonic(),  # whoever opens a call has looked: the gate, or `Assembly.work`
            tell=functools.partial(self._ruling.tell, work),
        )

    async def still(self, open_work: Callable[[str, Actor, bool], Work], work: Work, actor: Actor) -> bool:
        """Tell whether the actor may still do all that a call was allowed to.

        It is asked beside the call, in a transaction of its own: the call's is in the hands of its handler.
        """
        allowed = work.access
        if not isinstance(allowed, Decisions) or not allowed.passed:
            return True
        beside = open_work(work.plugin, actor, False)  # noqa: FBT003 - as the gate calls it
        try:
            again = beside.access
            if not isinstance(again, Decisions):
                return True
            again.passed = list(allowed.passed)
            return await again.recheck(actor)
        finally:
            if beside.unit.opened:
                await beside.unit.close()

    def _adopt(self) -> None:
        self.now, self._coming, self._leaving = map(self._ruled, (self.now, self._coming, self._leaving))

    def _ruled(self, standing: Standing | None) -> Standing | None:
        """Give what stands with the policy of now."""
        if standing is None or standing.snapshot.policy.same(self._ruling.policy):
            return standing
        return dataclasses.replace(standing, snapshot=standing.snapshot.with_policy(self._ruling.policy))

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
        made = await asyncio.to_thread(stand, generation, consents, self._ruling.policy, self._ruling.books, self.now)
        ruled = self._ruled(made)  # it may have moved meanwhile
        return made if ruled is None else ruled
