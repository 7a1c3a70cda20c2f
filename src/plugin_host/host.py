"""PluginHost: the six steps on one screen.

discover → read → resolve → migrate → activate → serve. Each is a function from one frozen value to the next,
and a request never touches the first five. A change of mind goes round again: `reconcile` makes what differs
beside what stands, and swaps when it is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import logging
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.exc import SQLAlchemyError

from plugin_host import registry
from plugin_host.core.api.health import FAULTS
from plugin_host.core.assembly import Assembly
from plugin_host.core.background import Background
from plugin_host.core.bus import Bus
from plugin_host.core.databases import host_database
from plugin_host.core.desk import Desk
from plugin_host.core.embedded import without_people
from plugin_host.core.follower import Follower
from plugin_host.core.front import Front
from plugin_host.core.migrating.telling import overview
from plugin_host.core.nodes import GONE
from plugin_host.core.planner import Planner
from plugin_host.core.plugin import Core, CorePlugin
from plugin_host.core.revisions import Revisions
from plugin_host.core.roster import HostError, Roster, record
from plugin_host.core.ruling import Ruling
from plugin_host.core.standing import HostView
from plugin_host.core.standings import Standings
from plugin_host.core.supervisor import Supervisor
from plugin_host.core.tables import with_orphans
from plugin_host.core.wishes import Wishes
from plugin_host.gateway.dispatcher import Dispatcher
from plugin_host.gateway.edge import Edge, hosts_of
from plugin_host.gateway.gate import Gate
from plugin_host.gateway.lifespans import Hosted
from plugin_host.gateway.proxies import Proxies
from plugin_host.gateway.rates import Rates
from plugin_host.plugins import activation
from plugin_host.plugins.services import Offers
from plugin_host.sdk.context import SYSTEM, Actor, Services, Work
from plugin_host.settings import Settings
from plugin_host.supervision.breaker import retry_delay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

    import click
    from sqlalchemy.ext.asyncio import AsyncEngine

    from plugin_host.core.assembly import Running
    from plugin_host.core.migrating.telling import Migrations
    from plugin_host.core.planner import Look
    from plugin_host.core.standing import Standing
    from plugin_host.gateway.guard import Guard
    from plugin_host.migrations.runner import Outcome
    from plugin_host.plugins.consent import Asked
    from plugin_host.plugins.plan import Candidate, Found, Plan
    from plugin_host.sdk.context import Identity, Users
    from plugin_host.sdk.contributions import Health
    from plugin_host.sdk.delivery import Delivery
    from plugin_host.sdk.errors import Reason

__all__ = ["HostError", "PluginHost"]

log = logging.getLogger("plugin_host")


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
        self.database = host_database(self.settings, engine)
        self.users = users
        self.core = Core(self.settings, self.database, users)
        self.planner = Planner(self.settings, self.database, objects=plugins, candidates=candidates, safe=safe)
        self.wishes = Wishes(self.planner)
        self._offers = Offers()
        self._supervisor = Supervisor(self.settings.limits, self._quarantine, self._save)
        self.databases = self.planner.databases
        self._standings = standings = Standings(self._guard, Ruling(self.databases))
        clock = self._supervisor.clock
        self.bus = Bus(self.settings, self.databases, users, self._open_delivery, standings.open_call)
        self._assembly = Assembly(
            self.settings, self.databases, self._offers, standings.access, clock, self.bus, standings.open_call
        )
        self.desk = Desk(self.databases, self.bus.wake)
        self.background = Background(self.settings, self.databases, self.bus.wake)
        self._front = Front(self, self.core, self._supervisor, standings)
        self._revisions = Revisions(self.database, self._supervisor.usages)
        self._rates = Rates(self.settings.limits.rates)
        self._gate = Gate(
            authenticate=self._front.authenticate,
            holds=self._standings.holds,
            open_work=self._assembly.open,
            withheld=self._standings.withheld,
            reach=self._revisions.reach,
            still=functools.partial(self._standings.still, self._assembly.open),
            moved=self._standings.moved,
            separate=lambda: self.databases.separate,
            public_origin="/".join((self.settings.public_url or "").split("/", 3)[:3]) or None,
            count=self._rates.count_call if self._rates.of_calls else None,
        )
        self._dispatcher = Dispatcher()
        self._edge = Edge(
            self._dispatcher,
            allowed_hosts=self.settings.server.hosts or hosts_of(self.settings.public_url),
            https=(self.settings.public_url or "").startswith("https:"),
            proxies=Proxies(self.settings.server.trusted_proxies),
            rates=self._rates,
        )
        self.asgi = Hosted(self._edge, self.lifespan, lambda: self._entered)
        self._roster = Roster(self._assembly, self._gate, self.planner.starts, self._drain)
        self._entered = False
        self._retry_at: dt.datetime | None = None
        self._follower = Follower(self.database, self.reconcile, self._due)
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

    async def wish(self, plugin: str, word: Literal["enabled", "disabled"], actor: Actor = SYSTEM) -> Plan:
        """Keep an operator's wish and follow it, without a restart; other processes follow within two seconds.

        Requests of a plugin that is switched off end where they began, within `server.graceful_timeout`.
        """
        await self.wishes.wish(plugin, word, actor)
        return await self.reconcile()

    async def retry(self, plugin: str, actor: Actor = SYSTEM) -> Plan:
        """Try a plugin again that failed, here and in every other process."""
        await self.wishes.retry(plugin, actor)
        return await self.reconcile()

    async def consent(self, plugin: str, actor: Actor = SYSTEM) -> Plan:
        """Approve of all that a plugin asks for, here and in every other process."""
        await self.wishes.consent(plugin, actor=actor)
        return await self.reconcile()

    async def reconcile(self) -> Plan:
        """Go round: make what differs from what stands, swap, then stop what is no longer wanted."""
        async with self._reconciling:
            if self._standings.now is None:
                await self.planner.tables.begin(log.info)
            await self._follower.note()
            look = await self.planner.look(self._pin)
            plan = self._roster.remember(look.plan, look.records)
            # In safe mode nothing is learned: it is not the plugins' doing that these do not run.
            first = self._standings.now is None and not self.planner.safe
            plan = self._roster.leave_off(plan, look.records, first=first)
            with self.planner.starts.step("", "migrate"):
                faults, kept = await self.planner.tables.faults(plan, log.info, self._roster.running)
            for plugin, reason in faults.items():
                plan = self._roster.park(plan, plugin, reason, look.records)
            plan = with_orphans(plan, kept)
            plan = await self._roster.assemble(plan, look.records, CorePlugin(self.core, self))
            await self._standings.prepare(plan, self._roster.running, self._consents(plan, look))
            plan = await self._roster.start(plan, look.records, self.settings.limits.startup_timeout)
            consents = self._consents(plan, look)
            standing = await self._standings.swap(plan, self._roster.running, consents)
            self._dispatcher.swap(self._front.table(standing))
            self._supervisor.watch({entry.id: plan.found[entry.id].candidate.folder for entry in plan.active})
            await self.bus.swap([entry.id for entry in plan.active], consents)
            self._follower.arrived()
            await self._roster.retire({entry.id for entry in plan.active})
            self._standings.settle()
            await self._record(plan, look, consents)
            self.planner.starts.up()
        for warning in plan.warnings:
            log.warning("%s", warning)
        return plan

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[PluginHost]:
        """Run the host: start on entry, stop in reverse order on exit. Enter it in the outer lifespan."""
        try:
            self._entered = True
            self._check_strict(await self.reconcile())
            await self.core.setup_needed()
            open_still, audit = self._revisions.watching(self._gate.judge), self.core.auditing.running()
            following, watching = self._follower.following(), self._supervisor.watching()
            async with self.bus.working(), following, watching, open_still, audit, self.core.tending():
                yield self
            await self._save(last=True)
        finally:
            self.planner.starts.close()
            self._dispatcher.close()
            await self._roster.retire(set())
            self._standings.now, self._entered = None, False
            await self.core.close()
            await self._rates.close()
            await self.databases.close()

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
        if self._standings.now is None:
            msg = "PluginHost is not running"
            raise RuntimeError(msg)
        return self._standings.now

    @property
    def setup_required(self) -> bool:
        """Whether there was no administrator when somebody last looked."""
        return self.core.setup_required

    @property
    def health_checks(self) -> Sequence[tuple[str, Callable[[], Awaitable[Health]]]]:
        """The health checks of the active plugins, each with its plugin's id."""
        return [(plugin, check) for plugin, each in self._roster.running.items() for check in each.contributions.health]

    @property
    def authenticators(self) -> Sequence[tuple[str, Callable[[Any], Awaitable[Identity | None]]]]:
        """The authenticators of the active plugins, each with its plugin's id."""
        running = self._roster.running.items()
        return [(plugin, each) for plugin, held in running for each in held.contributions.authenticators]

    async def ready(self) -> str:
        """Say `ok`; `starting` until the first generation stands, `behind` while a wish is not followed yet.

        And `unavailable` while the database cannot be reached.
        """
        if not self._dispatcher.open:
            return "starting"
        behind = await self._follower.behind()
        if not self._follower.reachable:
            return "unavailable"
        return "behind" if behind else "ok"

    def account(self, plugin: str) -> dict[str, Any]:
        """Give the account of a plugin in this process: times in milliseconds, see `Supervisor.accounting`."""
        running = self._roster.running.get(plugin)
        return self._supervisor.accounting(plugin, running.relay.timings if running is not None else None)

    async def sizes(self) -> Mapping[str, Any]:
        """Say how much those keep whose package is not there, by plugin: `tables`, `rows`, `bytes`."""
        return await self.planner.tables.sizes(self.standing.generation.plan)

    async def migrations(self) -> Migrations:
        """Say where the tables of each plugin stand, what waits, and whose package is not there."""
        return await overview(self.planner)

    def commands(self, plugin: str) -> Sequence[click.Command]:
        """Give the commands of an active plugin."""
        running = self._roster.running.get(plugin)
        return running.contributions.commands if running is not None else ()

    async def sample_data(self) -> None:
        """Let every active plugin fill its empty tables with made-up data."""
        for running in self._roster.running.values():
            await activation.sample(running.relay, running.context)

    # -- how -----------------------------------------------------------------------------------------

    def _pin(self, found: Found) -> Found:
        """Put what runs in the place of what is installed by now; of core only what this host serves."""
        return self._roster.pin(found if self.users is None else without_people(found))

    def _check_strict(self, plan: Plan) -> None:
        """With `loader.strict` refuse to start while a plugin is parked by a fault of its own."""
        faulty = [entry for entry in plan.entries if entry.state in FAULTS]
        if self.settings.loader.strict and faulty:
            told = "; ".join(f"{entry.id}: {entry.reason.text}" for entry in faulty if entry.reason is not None)
            msg = f"loader.strict is set and not every plugin runs: {told}"
            raise HostError(msg)

    def _guard(self, plugin: str, running: Running, plan: Plan) -> Guard:
        return self._supervisor.guard(plugin, running.built.app, plan.found[plugin].candidate.folder)

    def _consents(self, plan: Plan, look: Look) -> dict[str, tuple[Asked, Asked]]:
        by_default = self.settings.loader.default == "enable"
        return self._roster.consents(plan, look.consents, by_default=by_default)

    def _open_delivery(self, plugin: str, actor: Actor, delivery: Delivery) -> Work:
        return self._assembly.open(plugin, actor, write=True, delivery=delivery)

    async def _drain(self, plugin: str) -> None:
        await self.bus.drain(plugin, self.settings.server.graceful_timeout)
        if not await self._dispatcher.drain(plugin, self.settings.server.graceful_timeout):
            self._supervisor.cut(plugin)

    async def _record(self, plan: Plan, look: Look, consents: Mapping[str, tuple[Asked, Asked]]) -> None:
        """Keep the outcome, so that commands without a running host can tell what only an import shows."""
        async with self._assembly.work("core") as work:
            await record(work.db, plan, consents)
            await self._standings.keep_catalogue(work.db)
            await registry.account(work.db, {plugin: self.account(plugin) for plugin in self._roster.newcomers()})
            await self.planner.tables.nodes.report(work.db, plan, again=False)
        now = dt.datetime.now(dt.UTC)
        held = (each.quarantine.until for each in look.records.values() if each.quarantine is not None)
        looks = [now + GONE] if self.planner.tables.waits else []
        self._retry_at = min((until for until in (*held, *looks) if until > now), default=None)

    def _accounts(self, plan: Plan) -> dict[str, dict[str, Any]]:
        return {entry.id: self.account(entry.id) for entry in plan.active}

    async def _save(self, *, last: bool = False) -> None:
        """Keep the accounts, for commands that ask while no host runs; and say that this process runs, or does not."""
        with contextlib.suppress(SQLAlchemyError):
            async with self._assembly.work("core") as work:
                plan = self.standing.generation.plan
                await registry.account(work.db, self._accounts(plan))
                nodes = self.planner.tables.nodes
                await (nodes.leave(work.db) if last else nodes.report(work.db, plan))

    async def _quarantine(self, plugin: str, reason: Reason) -> None:
        """Keep a plugin off that fails too often, here and in every other process, for a while."""
        if await self.wishes.quarantine(plugin, reason, retry_delay):
            await self.reconcile()

    def _due(self) -> bool:
        """Tell whether a quarantine has ended."""
        return self._retry_at is not None and dt.datetime.now(dt.UTC) >= self._retry_at
