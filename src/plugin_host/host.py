"""PluginHost: the six steps on one screen.

discover → read → resolve → migrate → activate → serve. Each is a function from one frozen value to the next,
and a request never touches the first five. A change of mind goes round again: `reconcile` makes what differs
beside what stands, and swaps when it is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError

from plugin_host import registry
from plugin_host.access.decisions import Decisions
from plugin_host.core import plugin as core_plugin
from plugin_host.core.assembly import Assembly, Running
from plugin_host.core.front import Front
from plugin_host.core.plugin import Core, CorePlugin
from plugin_host.core.standing import HostView, Standing, stand
from plugin_host.database import Database
from plugin_host.gateway.dispatcher import Dispatcher
from plugin_host.gateway.edge import Edge
from plugin_host.gateway.gate import Gate
from plugin_host.migrations.runner import Outcome as Migrated
from plugin_host.migrations.runner import Runner, Source
from plugin_host.plugins import activation
from plugin_host.plugins.discovery import discover
from plugin_host.plugins.generation import Generation
from plugin_host.plugins.manifests import read
from plugin_host.plugins.resolver import resolve
from plugin_host.plugins.services import Offers
from plugin_host.sdk.context import Access, Actor, Services, Work
from plugin_host.sdk.errors import PluginFault, Reason
from plugin_host.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    import click
    from sqlalchemy.ext.asyncio import AsyncEngine

    from plugin_host.plugins.plan import Plan
    from plugin_host.sdk.identity import Users

log = logging.getLogger("plugin_host")

# What is found out only by running the plugin parks it as quarantined; a fault in what it says, as refused.
_QUARANTINED: Final = frozenset(
    "import_failed hook_failed time_limit startup_failed migration_failed migration_foreign runtime_errors".split()
)
_PENDING: Final = frozenset({"migration_pending", "schema_newer"})


class HostError(Exception):
    """The host cannot start: one sentence that says what to do."""


class PluginHost(HostView):
    """A host for plugins: to be served alone, or embedded in another ASGI application.

    `plugins` are objects to be hosted beside those that are found; `users` is the application's own sign-in;
    `engine` its own SQLAlchemy engine; `safe` starts without plugins (True) or without the named ones.
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
    ) -> None:
        self.settings = settings or Settings()
        self.database = Database(self.settings.database_url, schema=self.settings.schema, engine=engine)
        self.core = Core(self.settings, self.database, users)
        self._objects = tuple(plugins)
        self._safe = safe
        self._offers = Offers()
        self._assembly = Assembly(self.settings, self.database, self._offers, self._access)
        self._running: dict[str, Running] = {}
        self._standing: Standing | None = None
        self._number = 0
        self._reconciling = asyncio.Lock()
        self._dispatcher = Dispatcher()
        self._front = Front(self, self.core)
        self._gate = Gate(
            authenticate=self._front.authenticate, holds=self._front.holds, open_work=self._assembly.open
        )
        self._edge = Edge(self._dispatcher, allowed_hosts=self.settings.server.hosts)

    # -- the six steps -------------------------------------------------------------------------------

    async def plan(self) -> Plan:
        """Discover, read and resolve: say what starting now would do. Imports no plugin, writes nothing."""
        return await asyncio.to_thread(self._resolve, await self._wishes())

    async def migrate(
        self, plugin: str | None = None, to: str | None = None, progress: Callable[[str], None] | None = None
    ) -> Migrated:
        """Bring the tables of core and of every plugin that may run up to date; `plugin` limits it to one."""
        self._prepare()
        sources = _sources(await self.plan())
        return await asyncio.to_thread(Runner(self.database).upgrade, sources, plugin=plugin, to=to, progress=progress)

    async def reconcile(self) -> Plan:
        """Go round: make what differs from what stands, swap, then stop what is no longer wanted."""
        async with self._reconciling:
            plan = await self._migrated()
            plan = await self._assemble(plan)
            self._standing = self._stand(plan)  # before start-up: its units of work ask for decisions
            plan = await self._start(plan)
            self._standing = self._stand(plan)
            self._dispatcher.swap(self._front.table(self._standing, self._running))
            await self._retire({entry.id for entry in plan.active})
            await self._record(plan)
            return plan

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[PluginHost]:
        """Run the host: start on entry, stop in reverse order on exit. Enter it in the outer lifespan."""
        try:
            await self.reconcile()
            await self.core.setup_needed()
            yield self
        finally:
            self._dispatcher.close()
            await self._retire(set())
            self._standing = None
            await self.core.close()
            await self.database.close()

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as an ASGI application. A server that speaks the lifespan protocol runs the host with it."""
        if scope["type"] == "lifespan":
            await _speak_lifespan(self.lifespan(), receive, send)
            return
        if self._standing is None:
            msg = "PluginHost is not running: enter `async with host.lifespan():` in the lifespan of the application"
            raise RuntimeError(msg)
        await self._edge(scope, receive, send)

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

    def _prepare(self) -> None:
        """Make the data folder, readable by its owner only, and what the database needs before its tables."""
        folder = Path(self.settings.data_dir)
        try:
            if self.database.path is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.database.prepare()
        except OSError as error:
            msg = f"the data folder {folder} cannot be used ({error.strerror}): set data_dir to a folder of your own"
            raise HostError(msg) from error

    async def _wishes(self) -> dict[str, str]:
        if self.database.path is not None and not Path(self.database.path).exists():
            return {}  # asking would make the file, and a plan never writes
        unit = self.database.unit(write=False)
        try:
            return await registry.wishes(unit.session)
        except DBAPIError:
            return {}  # no tables yet: nobody can have wished for anything
        finally:
            await unit.close()

    def _resolve(self, wishes: dict[str, str]) -> Plan:
        loader = self.settings.loader
        found = discover(
            folders=[Path(folder) for folder in loader.folders], objects=self._objects, core=core_plugin.FOLDER
        )
        return resolve(
            [read(candidate) for candidate in found], disabled=loader.disabled, wishes=wishes, safe=self._safe
        )

    async def _migrated(self) -> Plan:
        """Migrate, or with `on_start = "check"` only look, and park whoever cannot run on the tables there are."""
        if self.settings.migrations.on_start == "auto":
            faults = (await self.migrate(progress=log.info)).faults
        else:
            self._prepare()
            pending = await asyncio.to_thread(Runner(self.database).pending, _sources(await self.plan()))
            faults = {**_pending_reasons(pending), **pending.faults}
        plan = await self.plan()
        for plugin, reason in faults.items():
            plan = self._park(plan, plugin, reason)
        return plan

    async def _assemble(self, plan: Plan) -> Plan:
        for entry in plan.active:
            if entry.id in self._running or _parked(plan, entry.id):
                continue
            source = plan.found[entry.id]
            if entry.id == "core":
                source = activation.with_object(source, CorePlugin(self.core, self))
            try:
                self._running[entry.id] = self._assembly.assemble(plan, entry, source, self._gate)
            except PluginFault as fault:
                plan = self._park(plan, entry.id, fault.reason)
        return plan

    async def _start(self, plan: Plan) -> Plan:
        limit = self.settings.limits.startup_timeout
        for entry in plan.active:
            if _parked(plan, entry.id):
                continue
            running = self._running[entry.id]
            try:
                await running.start(limit)
            except PluginFault as fault:
                plan = self._park(plan, entry.id, fault.reason)
            else:
                plan = plan.built(entry.id)
        return plan

    def _park(self, plan: Plan, plugin: str, reason: Reason) -> Plan:
        if plugin == "core":
            raise HostError(f"core cannot start: {reason.text} {reason.way_out}")
        state = "quarantined" if reason.code in _QUARANTINED else "pending" if reason.code in _PENDING else "refused"
        log.error("plugin %s is %s: %s %s", plugin, state, reason.text, reason.way_out)
        return plan.park(plugin, state, reason)

    def _stand(self, plan: Plan) -> Standing:
        self._number += 1
        active = {entry.id: self._running[entry.id] for entry in plan.active if entry.id in self._running}
        generation = Generation(
            number=self._number,
            plan=plan,
            apps={plugin: running.built.app for plugin, running in active.items()},
            declared={plugin: running.declared for plugin, running in active.items()},
            routes={plugin: running.built.routes for plugin, running in active.items()},
            timings={plugin: running.relay.timings for plugin, running in active.items()},
        )
        return stand(generation)

    async def _retire(self, wanted: set[str]) -> None:
        """Stop what runs and is not wanted, those that depend on others first."""
        for plugin in [plugin for plugin in reversed(self._running) if plugin not in wanted]:
            await self._dispatcher.drain(plugin, self.settings.server.graceful_timeout)
            await self._running.pop(plugin).stop(self.settings.limits.startup_timeout)
            self._assembly.forget(plugin)

    async def _record(self, plan: Plan) -> None:
        """Keep the outcome, so that commands without a running host can tell what only an import shows."""
        async with self._assembly.work("core") as work:
            outcomes = {entry.id: registry.Outcome(entry.state, entry.reason, entry.version) for entry in plan.entries}
            await registry.record(work.db, outcomes)

    def _access(self, work: Work) -> Access:
        return Decisions(work.actor, self.standing.snapshot, work.unit)
