"""The bus of a host: what plugins registered, who is called for what now, and the relays that call them.

One relay and one scheduler for each database that an active plugin is in. What a plugin publishes or enqueues is kept
in its own database, with the change that it is about; the subscriptions stand in each, so that all publishers see them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from plugin_host.core.acting import Acting
from plugin_host.events.bindings import Bound, EventType, bind
from plugin_host.events.doors import Doors
from plugin_host.events.publishing import Origin
from plugin_host.events.relay import Relay
from plugin_host.events.running import Hands, run_delivery
from plugin_host.events.scheduler import Scheduler
from plugin_host.events.subscribing import subscribe
from plugin_host.gateway.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

    from plugin_host.database import Database, Databases
    from plugin_host.events.bindings import Handler
    from plugin_host.events.claiming import Claimed
    from plugin_host.events.running import Outcome
    from plugin_host.plugins.activation import Contributions
    from plugin_host.plugins.consent import Asked
    from plugin_host.plugins.plan import Found
    from plugin_host.sdk.context import Actor, Events, Jobs, Users, Work
    from plugin_host.sdk.delivery import Delivery
    from plugin_host.settings import Settings

log = logging.getLogger("plugin_host")


@dataclasses.dataclass
class _Place:
    """The works at one database."""

    relay: Relay
    scheduler: Scheduler
    stack: contextlib.AsyncExitStack


class Bus:
    """Binds plugins to events and jobs. `open_work` opens a unit of work of a plugin, for an actor and a delivery.

    `admit` gives an actor all that they hold as of now.
    """

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        users: Users | None,
        open_work: Callable[[str, Actor, Delivery], Work],
        admit: Callable[[Actor, str], Awaitable[Actor]],
    ) -> None:
        self.works = settings.events.relay == "serve"
        self.bound: dict[str, Bound] = {}
        self.handlers: dict[str, Handler] = {}
        self._settings = settings
        self._databases = databases
        self._users = users
        self._acting = Acting(databases.default, users, admit)
        self._threads: dict[str, Threads] = {}
        self._places: dict[Database, _Place] = {}
        self._running = False
        self._hands = Hands(
            open_work=open_work,
            actor_of=self._acting.actor_of,
            in_thread=self._in_thread,
            same_database=lambda plugin, place: databases.of(plugin) is place,
        )

    # -- what plugins register --------------------------------------------------------------------------------------

    def bind(self, found: Found, contributions: Contributions) -> Bound:
        """Hold what a plugin registered to the rules, and keep it. Raises `PluginFault`."""
        manifest = found.manifest
        self.bound[found.id] = bind(
            found.id,
            contributions.events,
            contributions.handlers,
            contributions.jobs,
            publishes=manifest.events.publishes if manifest is not None else (),
            requires=manifest.requires if manifest is not None else (),
            optional=manifest.optional if manifest is not None else (),
            known=self._known(),
        )
        return self.bound[found.id]

    def forget(self, plugin: str) -> None:
        """Forget a plugin that stopped."""
        self.bound.pop(plugin, None)
        self._threads.pop(plugin, None)

    def doors(self, work: Work) -> tuple[Events, Jobs]:
        """Give a call its doors to events and jobs."""
        actor = work.actor
        scopes = getattr(actor, "scopes", None)
        foreign = self._users is not None
        origin = Origin(
            self._acting.origin_chain(work),
            roles=actor.roles if foreign else (),
            groups=actor.groups if foreign else (),
            scopes=None if scopes is None else tuple(sorted(scopes)),
        )
        doors = Doors(self.bound.get(work.plugin, Bound(work.plugin)), origin, self._waker(work.plugin))
        return doors, doors

    # -- who is called now ------------------------------------------------------------------------------------------

    async def swap(self, active: Collection[str], consents: Mapping[str, tuple[Asked, Asked]]) -> None:
        """Call the handlers of these plugins from now on: those that they may have, as far as somebody consented."""
        known = self._known()
        self.handlers = {
            each.subscriber: dataclasses.replace(each, owner=known[each.event].struct) if each.event in known else each
            for plugin in active
            for each in self._permitted(plugin, consents, known)
        }
        places = {self._databases.of(plugin) for plugin in active}
        for database in places:
            async with _session(database) as session:
                await subscribe(session, active, self.handlers.values())
        if self._running:
            await self._work_at(places)
            self._serve()

    async def drain(self, plugin: str, limit: float) -> None:
        """Let nothing more of a plugin begin, and wait for what is under way."""
        self.handlers = {name: each for name, each in self.handlers.items() if each.plugin != plugin}
        self._serve()
        for place in list(self._places.values()):
            await place.relay.drain(plugin, limit)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Deliver events and run jobs until the end of the block, if this process is to."""
        try:
            if self.works:
                self._running = True
                await self._work_at({self._databases.of(plugin) for plugin in self.bound})
                self._serve()
            yield
        finally:
            await self.pause()

    async def pause(self) -> None:
        """Deliver nothing by itself any more: what is to be done is done by `relay(…).run_pending()`."""
        self._running = False
        await self._work_at(set())

    def wake(self) -> None:
        """Look now, in every database."""
        for place in list(self._places.values()):
            place.relay.wake()

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Say how many deliveries this process has done, by subscriber and outcome."""
        total: Counter[tuple[str, str]] = Counter()
        for place in self._places.values():
            total.update(place.relay.counts)
        return total

    @property
    def relays(self) -> Mapping[Database, Relay]:
        """The relays that work in this process."""
        return {database: place.relay for database, place in self._places.items()}

    def relay(self, database: Database) -> Relay:
        """Make a relay for a database: to be run on its own, as by tests."""
        events = self._settings.events

        async def run(claimed: Claimed, handler: Handler) -> Outcome:
            return await run_delivery(claimed, handler, self._hands, database)

        relay = Relay(
            database,
            run,
            concurrency=min(events.concurrency, 4) if database.dialect == "sqlite" else events.concurrency,
            ahead=16 if database.dialect == "sqlite" else 0,
            poll=events.poll,
            lease=events.lease,
        )
        relay.serve(self.handlers)
        return relay

    # -- how --------------------------------------------------------------------------------------------------------

    def _known(self) -> dict[str, EventType]:
        return {name: each for bound in self.bound.values() for name, each in bound.events.items()}

    def _permitted(
        self, plugin: str, consents: Mapping[str, tuple[Asked, Asked]], known: Mapping[str, EventType]
    ) -> list[Handler]:
        bound = self.bound.get(plugin)
        if bound is None:
            return []
        granted = consents[plugin][1].subscribes if plugin in consents else ()
        handlers = [
            each
            for each in bound.handlers
            if not each.foreign or (each.event in granted and (each.event not in known or known[each.event].public))
        ]
        return [*handlers, *bound.jobs.values()]

    def _serve(self) -> None:
        for database, place in self._places.items():
            place.relay.serve(self.handlers)
            place.scheduler.serve(
                {
                    name: each
                    for name, each in self.handlers.items()
                    if each.job is not None and self._databases.of(each.plugin) is database
                }
            )

    async def _work_at(self, databases: Collection[Database]) -> None:
        for database in [each for each in self._places if each not in databases]:
            await self._places.pop(database).stack.aclose()
        for database in databases:
            if database not in self._places:
                relay = self.relay(database)
                stack = contextlib.AsyncExitStack()
                scheduler = Scheduler(database, relay.wake)
                await stack.enter_async_context(relay.working(self._settings.server.graceful_timeout))
                await stack.enter_async_context(scheduler.watching())
                self._places[database] = _Place(relay, scheduler, stack)

    def _waker(self, plugin: str) -> Callable[[], None]:
        def wake() -> None:
            place = self._places.get(self._databases.of(plugin))
            if place is not None:
                place.relay.wake()

        return wake

    async def _in_thread(self, plugin: str, call: Callable[[], Any]) -> Any:
        threads = self._threads.setdefault(plugin, Threads(f"{plugin} events", self._settings.limits.threads))
        return await threads.run(call)


@contextlib.asynccontextmanager
async def _session(database: Database) -> AsyncIterator[Any]:
    unit = database.unit()
    try:
        yield unit.session
        await unit.commit()
    finally:
        await unit.close()
