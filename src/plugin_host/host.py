"""PluginHost: the six steps on one screen.

discover → read → resolve → migrate → activate → serve. Each is a function from one frozen value to the next,
and a request never touches the first five. A change of mind goes round again: `reconcile` makes what differs
beside what stands, and swaps when it is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Literal

from plugin_host import registry
from plugin_host.access.decisions import Decisions
from plugin_host.core.api.health import FAULTS
from plugin_host.core.assembly import Assembly, Running, permissions_of
from plugin_host.core.follower import Follower
from plugin_host.core.front import Front
from plugin_host.core.planner import Planner, state_of
from plugin_host.core.plugin import Core, CorePlugin
from plugin_host.core.standing import HostView, Standing, stand
from plugin_host.database import Database
from plugin_host.gateway.dispatcher import Dispatcher
from plugin_host.gateway.edge import Edge
from plugin_host.gateway.gate import Gate
from plugin_host.gateway.lifespans import Hosted
from plugin_host.plugins import activation
from plugin_host.plugins.generation import Generation
from plugin_host.plugins.services import Offers
from plugin_host.sdk.context import Access, Actor, Services, Work
from plugin_host.sdk.errors import PluginFault, Reason
from plugin_host.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

    import click
    from sqlalchemy.ext.asyncio import AsyncEngine

    from plugin_host.migrations.runner import Outcome
    from plugin_host.plugins.plan import Candidate, Found, Plan, PlanEntry
    from plugin_host.sdk.context import Users
    from plugin_host.sdk.contributions import Health

log = logging.getLogger("plugin_host")


class HostError(Exception):
    """The host cannot start: one sentence that says what to do."""


class PluginHost(HostView):
    """A host for plugins: to be served alone, or embedded in another ASGI application.

    `plugins` are objects to be hosted beside those that are found; `users` is the application's own sign-in;
    `engine` its own SQLAlchemy engine; `safe` starts without plugins (True) or without the named ones;
    `candidates` are plugins to be looked at without being installed, in place of an installed one of that id.
    Nothing is opened before `lifespan`, `plan` or `migrate` is called.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Sequence[object] = (),
        users: Users | None = None,
        engine: AsyncEngine | None = None,
        safe: bool | Collection[str] = False,
        candidates: Sequence[Candidate] = (),
    ) -> None:
        self.settings = settings or Settings()
        public_url = self.settings.public_url or ""
        self.database = Database(self.settings.database_url, schema=self.settings.schema, engine=engine)
        self.users = users
        self.core = Core(self.settings, self.database, users)
        self.planner = Planner(self.settings, self.database, objects=plugins, candidates=candidates, safe=safe)
        self._offers = Offers()
        self._assembly = Assembly(self.settings, self.database, self._offers, self._access)
        self._front = Front(self, self.core)
        self._gate = Gate(
            authenticate=self._front.authenticate,
            holds=self._front.holds,
            open_work=self._assembly.open,
            public_origin="/".join(public_url.split("/", 3)[:3]) or None,
        )
        self._dispatcher = Dispatcher()
        self._edge = Edge(
            self._dispatcher,
            allowed_hosts=self.settings.server.hosts,
            https=public_url.startswith("https:"),
        )
        self.asgi = Hosted(self._edge, self.lifespan, lambda: self._standing is not None)
        self._running: dict[str, Running] = {}
        self._started: set[str] = set()
        self._standing: Standing | None = None
        self._number = 0
        self._follower = Follower(self.database, self.reconcile)
        self._reconciling = asyncio.Lock()

    # -- the six steps -------------------------------------------------------------------------------

    async def plan(self) -> Plan:
        """Discover, read and resolve: say what starting now would do. Imports no plugin, writes nothing.

        What only an import can show is laid over it as the last activation found it.
        """
        return await self.planner.verified()

    async def migrate(
        self, plugin: str | None = None, to: str | None = None, progress: Callable[[str], None] | None = None
    ) -> Outcome:
        """Bring the tables of core and of every plugin that may run up to date; `plugin` limits it to one."""
        return await self.planner.migrate(plugin, to, progress)

    async def wish(self, plugin: str, word: Literal["enabled", "disabled"]) -> Plan:
        """Keep an operator's wish and follow it, without a restart; other processes follow within two seconds.

        Requests of a plugin that is switched off end where they began, within `server.graceful_timeout`.
        """
        await self.planner.wish(plugin, word)
        return await self.reconcile()

    async def reconcile(self) -> Plan:
        """Go round: make what differs from what stands, swap, then stop what is no longer wanted."""
        async with self._reconciling:
            faults = await self.planner.faults(log.info)
            await self._follower.note()
            plan = await self.planner.plan()
            for plugin, reason in faults.items():
                plan = self._park(plan, plugin, reason)
            plan = self._assemble(plan)
            self._standing = self._stand(plan)  # before start-up: its units of work ask for decisions
            plan = await self._start(plan)
            self._standing = self._stand(plan)
            self._dispatcher.swap(self._front.table(self._standing))
            await self._retire({entry.id for entry in plan.active})
            await self._record(plan)
        for warning in plan.warnings:
            log.warning("%s", warning)
        return plan

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[PluginHost]:
        """Run the host: start on entry, stop in reverse order on exit. Enter it in the outer lifespan."""
        try:
            self._check_strict(await self.reconcile())
            await self.core.setup_needed()
            async with self._follower.following():
                yield self
        finally:
            self._dispatcher.close()
            await self._retire(set())
            self._standing = None
            await self.core.close()
            await self.database.close()

    # -- what an application may ask -----------------------------------------------------------------

    @property
    def services(self) -> Services:
        """The services of every active plugin: `host.services.get(KEY)`."""
        return self._offers.everything()

    @contextlib.asynccontextmanager
    async def work(self, who: Actor | Any = None, *, plugin: str = "core") -> AsyncIterator[Work]:
        """Open a unit of work outside a route, for an actor, for whoever sent a connection, or for the system."""
        actor = who if who is None or isinstance(who, Actor) else await self._front.authenticate(who.scope)
        async with self._assembly.work(plugin, actor) as work:
            yield work

    @property
    def standing(self) -> Standing:
        """What stands now."""
        if self._standing is None:
            msg = "PluginHost is not running"
            raise RuntimeError(msg)
        return self._standing

    @property
    def setup_required(self) -> bool:
        """Whether there was no administrator when somebody last looked."""
        return self.core.setup_required

    @property
    def health_checks(self) -> Sequence[tuple[str, Callable[[], Awaitable[Health]]]]:
        """The health checks of the active plugins, each with its plugin's id."""
        return [(plugin, check) for plugin, each in self._running.items() for check in each.contributions.health]

    @property
    def ready(self) -> bool:
        """Whether the first generation stands."""
        return self._dispatcher.open

    def commands(self, plugin: str) -> Sequence[click.Command]:
        """Give the commands of an active plugin."""
        running = self._running.get(plugin)
        return running.contributions.commands if running is not None else ()

    async def sample_data(self) -> None:
        """Let every active plugin fill its empty tables with made-up data."""
        for running in self._running.values():
            await activation.sample(running.relay, running.context)

    # -- how -----------------------------------------------------------------------------------------

    def _assemble(self, plan: Plan) -> Plan:
        """Import and build whatever is to run and does not stand yet."""
        permissions = permissions_of(plan)
        for entry in plan.active:
            if entry.id in self._running or not _runs(plan, entry):
                continue
            try:
                source = self._source(plan, entry)
                self._running[entry.id] = self._assembly.assemble(entry, source, self._gate, permissions)
            except PluginFault as fault:
                plan = self._park(plan, entry.id, fault.reason)
        return plan

    def _source(self, plan: Plan, entry: PlanEntry) -> Found:
        found = plan.found[entry.id]
        return activation.with_object(found, CorePlugin(self.core, self)) if entry.id == "core" else found

    async def _start(self, plan: Plan) -> Plan:
        for entry in plan.active:
            if entry.id in self._started or not _runs(plan, entry):
                continue
            try:
                await self._running[entry.id].start(self.settings.limits.startup_timeout)
            except PluginFault as fault:
                plan = self._park(plan, entry.id, fault.reason)
            else:
                self._started.add(entry.id)
        for entry in plan.active:
            plan = plan.built(entry.id)
        return plan

    def _park(self, plan: Plan, plugin: str, reason: Reason) -> Plan:
        if plugin == "core":
            msg = f"core cannot start: {reason.text} {reason.way_out}"
            raise HostError(msg)
        state = state_of(reason)
        log.error("plugin %s is %s: %s %s", plugin, state, reason.text, reason.way_out)
        return plan.park(plugin, state, reason)

    def _check_strict(self, plan: Plan) -> None:
        """With `loader.strict` refuse to start while a plugin is parked by a fault of its own."""
        faulty = [entry for entry in plan.entries if entry.state in FAULTS]
        if self.settings.loader.strict and faulty:
            told = "; ".join(f"{entry.id}: {entry.reason.text}" for entry in faulty if entry.reason is not None)
            msg = f"loader.strict is set and not every plugin runs: {told}"
            raise HostError(msg)

    def _stand(self, plan: Plan) -> Standing:
        self._number += 1
        active = {entry.id: self._running[entry.id] for entry in plan.active}
        return stand(
            Generation(
                number=self._number,
                plan=plan,
                apps={plugin: running.built.app for plugin, running in active.items()},
                declared={plugin: running.declared for plugin, running in active.items()},
                routes={plugin: running.built.routes for plugin, running in active.items()},
                timings={plugin: running.relay.timings for plugin, running in active.items()},
            )
        )

    async def _retire(self, wanted: Collection[str]) -> None:
        """Stop what runs and is not wanted, those that depend on others first."""
        for plugin in [plugin for plugin in reversed(self._running) if plugin not in wanted]:
            await self._dispatcher.drain(plugin, self.settings.server.graceful_timeout)
            self._started.discard(plugin)
            await self._running.pop(plugin).stop()
            self._assembly.forget(plugin)

    async def _record(self, plan: Plan) -> None:
        """Keep the outcome, so that commands without a running host can tell what only an import shows."""
        outcomes = {entry.id: registry.Outcome(entry.state, entry.reason, entry.version) for entry in plan.entries}
        async with self._assembly.work("core") as work:
            await registry.record(work.db, outcomes)

    def _access(self, work: Work) -> Access:
        return Decisions(work.actor, self.standing.snapshot, work.unit)


def _runs(plan: Plan, entry: PlanEntry) -> bool:
    """Tell whether an entry is still to run: something that it requires may have been parked meanwhile."""
    now = plan.entry(entry.id)
    return now is not None and now.state == "active"
