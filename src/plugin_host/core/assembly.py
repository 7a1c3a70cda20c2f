"""Make one plugin ready to answer: import it, hear what it adds, and build its application.

Every step raises `PluginFault` when the plugin is at fault; the host parks it and goes on with the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from plugin_host.core.matching import check_conditions, check_guarded
from plugin_host.core.screen_checks import check_screens
from plugin_host.gateway.application import Built, RouteRules, build
from plugin_host.plugins import activation
from plugin_host.plugins.blame import describe, fault
from plugin_host.plugins.consent import Asked, asked_by
from plugin_host.sdk.context import SYSTEM, Access, Actor, PluginContext, Services, Work
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    import sqlalchemy as sa

    from plugin_host.core.bus import Bus
    from plugin_host.database import Database, Databases, QueryClock
    from plugin_host.events.bindings import Bound
    from plugin_host.gateway.gate import Gate
    from plugin_host.plugins.activation import Contributions, Declared, Relay
    from plugin_host.plugins.plan import Found, Plan, PlanEntry
    from plugin_host.plugins.services import Offers
    from plugin_host.sdk.delivery import Delivery
    from plugin_host.settings import Settings

log = logging.getLogger("plugin_host")


@dataclass(frozen=True)
class Running:
    """One plugin that has been activated, with all that was made for it."""

    relay: Relay
    declared: Declared
    contributions: Contributions
    context: PluginContext[Any]
    built: Built
    asked: Asked
    _opened: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self, limit: float) -> None:
        """Run its lifespans and its `startup`, each within `limit` seconds. Raises `PluginFault`."""
        await self._opened.enter_async_context(self.built.running(limit))
        # Before `startup` is called: one that fails half way is shut down as well.
        self._opened.push_async_callback(activation.stop, self.relay, self.context, limit)
        await activation.start(self.relay, self.context, limit)

    async def stop(self) -> None:
        """Undo what `start` did, in reverse; what fails is logged."""
        try:
            await self._opened.aclose()
        except PluginFault as fault:
            log.error("%s %s", fault.reason.text, fault.reason.way_out)  # noqa: TRY400 - the reason says where


@dataclass(frozen=True)
class _Parts:
    """What every unit of work of a plugin is handed."""

    database: Database
    elsewhere: Callable[[str], sa.Engine | None]
    services: Services
    settings: object
    log: logging.Logger


class Assembly:
    """The bench on which plugins are put together; it keeps what their units of work are handed."""

    def __init__(  # noqa: PLR0913 - what the bench is furnished with
        self,
        settings: Settings,
        databases: Databases,
        offers: Offers,
        access: Callable[[Work], Access],
        clock: Callable[[str], QueryClock],
        bus: Bus,
        admit: Callable[[Actor, str], Awaitable[Actor]] | None = None,
    ) -> None:
        self._bus = bus
        self._settings = settings
        self._databases = databases
        self._offers = offers
        self._access = access
        self._clock = clock
        self._admit = admit
        self._parts: dict[str, _Parts] = {}

    async def assemble(self, entry: PlanEntry, found: Found, gate: Gate, permissions: Permissions) -> Running:
        """Put one plugin together; what it requires stands already.

        Its code runs in a thread of its own, so that it holds up nobody, within `limits.import_timeout` seconds; one
        that hangs is left behind. `permissions` are those of every plugin's files (`permissions_of`).
        Raises `PluginFault`.
        """
        limit = self._settings.limits.import_timeout
        at = _Progress()
        try:
            running = await activation.in_thread(lambda: self._make(entry, found, gate, permissions, at), limit)
            for service in running.contributions.services:
                self._offers.add(entry.id, service)
        except TimeoutError:
            self.forget(entry.id)
            raise PluginFault(_too_slow(entry.id, at.step, limit)) from None
        except PluginFault:
            self.forget(entry.id)
            raise
        except BaseException as error:  # its own classes may raise anything, whoever looks at them
            self.forget(entry.id)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # the host is being stopped
            text = f"{at.step} failed: {describe(error, found.candidate.folder)}."
            raise fault("hook_failed", entry.id, text, _FIX) from error
        return running

    def _make(self, entry: PlanEntry, found: Found, gate: Gate, permissions: Permissions, at: _Progress) -> Running:
        relay = activation.load(found)
        at.step = "calling its hooks"
        declared = activation.declare(relay, found, self._settings.plugins.get(entry.id, {}))
        context = self._context(entry, found, declared)
        contributions = activation.contribute(relay, context)
        bound = self._bus.bind(found, contributions)
        check_conditions(found)
        check_guarded(found)
        at.step = "building its routes"
        built = build(
            entry.id,
            contributions.routes,
            names=_rules(entry, found, declared, permissions),
            gate=gate,
            body_limit=self._settings.limits.body,
        )
        check_screens(entry.id, found, built)
        return Running(relay, declared, contributions, context, built, _asked(found, declared, bound))

    def forget(self, plugin: str) -> None:
        """Take back what a stopped plugin was given and gave."""
        self._bus.forget(plugin)
        self._offers.withdraw(plugin)
        self._parts.pop(plugin, None)

    def open(self, plugin: str, actor: Actor, write: bool, delivery: Delivery | None = None) -> Work:  # noqa: FBT001 - the gate's call, once a request
        """Open the unit of work of one call; nothing reaches the database before it is asked for."""
        parts = self._parts[plugin]
        elsewhere = parts.elsewhere if self._databases.separate else None
        return Work(
            plugin=plugin,
            actor=actor,
            unit=parts.database.unit(write=write, clock=self._clock(plugin), elsewhere=elsewhere),
            access=self._access,
            services=parts.services,
            settings=parts.settings,
            log=parts.log,
            doors=self._bus.doors,
            delivery=delivery,
        )

    @contextlib.asynccontextmanager
    async def work(self, plugin: str, actor: Actor | None = None) -> AsyncIterator[Work]:
        """Run one unit of work outside a request: committed at the end, rolled back on an exception."""
        actor = actor or SYSTEM
        work = self.open(plugin, await self._admit(actor, plugin) if self._admit else actor, write=True)
        try:
            yield work
            await work.unit.commit()
        except BaseException:
            await work.unit.rollback()
            raise
        finally:
            await work.unit.close()

    def _context(self, entry: PlanEntry, found: Found, declared: Declared) -> PluginContext[Any]:
        manifest = found.manifest
        needs = {*manifest.requires, *manifest.optional} if manifest is not None else set()
        parts = _Parts(
            database=self._databases.of(entry.id),
            elsewhere=self._databases.elsewhere(entry.id),
            services=self._offers.seen_by(entry.id, needs),
            settings=declared.settings,
            log=logging.getLogger(f"plugin_host.plugins.{entry.id}"),
        )
        self._parts[entry.id] = parts
        return PluginContext(
            id=entry.id,
            settings=parts.settings,
            services=parts.services,
            log=parts.log,
            open_work=lambda actor: self.work(entry.id, actor),
        )


class _Progress:
    """How far a plugin is that is being put together in its thread."""

    step = "importing it"


def _asked(found: Found, declared: Declared, bound: Bound) -> Asked:
    """Say what a plugin asks for, by its files and its hooks together."""
    permissions = tuple(permission.name for permission in declared.permissions)
    return asked_by(found) | Asked(permissions=permissions, subscribes=bound.foreign)


def _too_slow(plugin: str, step: str, limit: float) -> Reason:
    return Reason(
        code="time_limit",
        text=f"{plugin}: {step} took more than {limit:g} seconds, and was left behind.",
        culprits=(plugin,),
        way_out=f"Correct {plugin}, or raise limits.import_timeout; then restart the host.",
    )


_FIX: Final = "Correct the plugin and restart, or disable it."


@dataclass(frozen=True)
class Permissions:
    """Who declares which permission: scopes by name by plugin, and the owner of each name."""

    scopes: Mapping[str, Mapping[str, str]]
    owners: Mapping[str, str]


def permissions_of(plan: Plan) -> Permissions:
    """Gather the permissions of every plugin in a plan, once for all of them."""
    scopes = {
        plugin: {permission.name: permission.scope for permission in found.permissions.permissions}
        for plugin, found in plan.found.items()
    }
    return Permissions(scopes, {name: plugin for plugin, names in scopes.items() for name in names})


def _rules(entry: PlanEntry, found: Found, declared: Declared, permissions: Permissions) -> RouteRules:
    """Say which permissions the plugin's routes may name, and whose the others are."""
    needed = {*entry.requires, *entry.optional} - {entry.id}
    return RouteRules(
        plugin=entry.id,
        own={permission.name: permission.scope for permission in declared.permissions},
        required={name: scope for plugin in needed for name, scope in permissions.scopes.get(plugin, {}).items()},
        known=permissions.owners,
        public=found.permissions.public,
    )
