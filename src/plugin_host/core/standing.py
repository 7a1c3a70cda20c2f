"""What stands now: the generation that answers, and all that people may see of it, in one frozen value.

The host makes a new one whenever plugins come or go and swaps it in one assignment; core's handlers and
the gate read it through `HostView`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import compile_rules
from plugin_host.access.snapshot import Snapshot
from plugin_host.core.placing import menu_of, scan, screens_of, slots_of
from plugin_host.sdk.context import SYSTEM
from plugin_host.sdk.models import PluginBase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from plugin_host.access.books import Books
    from plugin_host.access.policy import Policy
    from plugin_host.core.background import Background
    from plugin_host.core.bus import Bus
    from plugin_host.core.desk import Desk
    from plugin_host.core.migrating.telling import Migrations
    from plugin_host.database import Database, Databases
    from plugin_host.menu import PlacedItem
    from plugin_host.plugins.consent import Asked
    from plugin_host.plugins.generation import Generation
    from plugin_host.plugins.plan import Plan
    from plugin_host.sdk.context import Actor, Identity, Users, Work
    from plugin_host.sdk.contributions import Health
    from plugin_host.settings import Settings
    from plugin_host.shell.assets import Assets
    from plugin_host.shell.screens import PlacedScreen, PlacedSlot

MAX_SCOPES: Final = 1000
"""How many sets of scopes are remembered."""


@dataclass(frozen=True)
class Standing:
    """A generation with its rules, menu, screens, UI files and object classes.

    `reach` are the permissions that a plugin may use on somebody's behalf: its own, and those that it asks for and
    was granted. `withheld` are public routes that nobody has consented to, as `GET /hello`.
    """

    generation: Generation
    snapshot: Snapshot
    menu: tuple[PlacedItem, ...]
    screens: tuple[PlacedScreen, ...]
    slots: tuple[PlacedSlot, ...]
    assets: Mapping[str, Assets]
    objects: Mapping[str, type[PluginBase]]
    reach: Mapping[str, frozenset[str]]
    withheld: Mapping[str, tuple[str, ...]]
    books: Books
    _scopes: dict[frozenset[str], frozenset[str]] = field(default_factory=dict)

    def may(self, actor: Actor, permission: str) -> bool:
        """Tell whether the actor holds it, on some object at least; `signed-in` and `public` are words."""
        if permission == "public":
            return True
        if permission == "signed-in":
            return actor.signed_in
        if actor.scopes is not None and permission not in self.within(actor.scopes):
            return False
        return self.books.holds(self.snapshot, actor.subjects, permission)

    def within(self, scopes: frozenset[str]) -> frozenset[str]:
        """Give the permissions that a credential of these scopes may use at most: with all that comes with each."""
        known = self._scopes.get(scopes)
        if known is None:
            if len(self._scopes) >= MAX_SCOPES:
                self._scopes.clear()
            known = self._scopes[scopes] = _reach(self.snapshot.catalogue, scopes)
        return known

    def held(self, actor: Actor) -> list[str]:
        """Name the permissions that the actor holds, on some object at least."""
        return sorted(name for name in self.snapshot.catalogue if self.may(actor, name)) if actor.signed_in else []

    def may_load(self, actor: Actor, plugin: str) -> bool:
        """Tell whether the actor may load a plugin's UI files: whoever may see one of its screens or slots."""
        shown: tuple[PlacedScreen | PlacedSlot, ...] = (*self.screens, *self.slots)
        return any(part.plugin == plugin and self.may(actor, part.permission) for part in shown)

    def framed(self, plugin: str, path: str) -> bool:
        """Tell whether a file belongs to a sandboxed frame: such files are code, not data, and open to anybody."""
        shown: tuple[PlacedScreen | PlacedSlot, ...] = (*self.screens, *self.slots)
        frames = (part for part in shown if part.kind == "iframe" and part.plugin == plugin)
        return any(path.startswith(part.options["folder"]) for part in frames)

    def public_files(self, plugin: str) -> bool:
        """Tell whether anybody may load the plugin's UI files, so that shared caches may keep them."""
        return any(screen.plugin == plugin and screen.permission == "public" for screen in self.screens)


class HostView(ABC):
    """What core's handlers may ask of the host they run in."""

    settings: Settings
    database: Database
    databases: Databases
    users: Users | None
    desk: Desk
    bus: Bus
    background: Background

    @property
    @abstractmethod
    def standing(self) -> Standing:
        """What stands now."""

    @property
    @abstractmethod
    def health_checks(self) -> Sequence[tuple[str, Callable[[], Awaitable[Health]]]]:
        """The health checks of the active plugins, each with its plugin's id."""

    @property
    @abstractmethod
    def authenticators(self) -> Sequence[tuple[str, Callable[[Any], Awaitable[Identity | None]]]]:
        """The authenticators of the active plugins, each with its plugin's id."""

    @abstractmethod
    async def ready(self) -> str:
        """Say `ok` once every wished plugin is active or parked with its reason, else `starting` or `behind`."""

    @property
    @abstractmethod
    def setup_required(self) -> bool:
        """Whether there was no administrator when somebody last looked."""

    @abstractmethod
    def work(self, who: Actor | Any = None, *, plugin: str = "core") -> AbstractAsyncContextManager[Work]:
        """Open a unit of work outside a route, of a plugin and on its database."""

    @abstractmethod
    def account(self, plugin: str) -> dict[str, Any]:
        """Give the account of a plugin in this process: see `Supervisor.accounting`."""

    @abstractmethod
    async def sizes(self) -> Mapping[str, Any]:
        """Say how much those keep whose package is not there, by plugin."""

    @abstractmethod
    async def migrations(self) -> Migrations:
        """Say where the tables of each plugin stand, what waits, and whose package is not there."""

    @abstractmethod
    async def wish(self, plugin: str, word: Literal["enabled", "disabled"], actor: Actor = SYSTEM) -> Plan:
        """Keep an operator's wish and follow it; gives the plan that stands then."""

    @abstractmethod
    async def retry(self, plugin: str, actor: Actor = SYSTEM) -> Plan:
        """Try a plugin again that failed; gives the plan that stands then."""

    @abstractmethod
    async def consent(self, plugin: str, actor: Actor = SYSTEM) -> Plan:
        """Approve of all that a plugin asks for; gives the plan that stands then."""

    @abstractmethod
    async def plan(self) -> Plan:
        """Say what starting now would do."""


def stand(
    generation: Generation,
    consents: Mapping[str, tuple[Asked, Asked]],
    policy: Policy,
    books: Books,
    before: Standing | None = None,
) -> Standing:
    """Put a generation's rules, menu, screens, UI files and classes together.

    `consents` says of each plugin what it asks for, and which part of that it was granted; `policy` is what
    administrators say, `books` know of grants. `before` is what stood until now: its UI files are kept of plugins
    that run on.
    """
    declared = generation.declared
    catalogue = Catalogue.of(permission for part in declared.values() for permission in part.permissions)
    found = generation.plan.found
    read = {plugin: _kept(plugin, generation, before) or scan(plugin, found[plugin]) for plugin in declared}
    scanned = {plugin: files for plugin, files in read.items() if files is not None}
    withheld = {name for asked, granted in consents.values() for name in (asked - granted).permissions}
    objects = objects_of(declared)
    roles = [role for plugin in declared for role in found[plugin].permissions.roles]
    return Standing(
        generation=generation,
        snapshot=Snapshot(
            catalogue,
            compile_rules(catalogue, roles),
            withheld=withheld,
            policy=policy,
            objects=objects,
            inactive={
                permission.name
                for plugin, each in found.items()
                if plugin not in declared
                for permission in each.permissions.permissions
            },
        ),
        menu=tuple(menu_of(declared, found)),
        screens=tuple(screen for plugin in declared for screen in screens_of(plugin, found[plugin], scanned)),
        slots=tuple(slot for plugin in declared for slot in slots_of(plugin, found[plugin], scanned)),
        assets=scanned,
        objects=objects,
        books=books,
        reach={
            plugin: _reach(catalogue, [*(each.name for each in declared[plugin].permissions), *granted.asks])
            for plugin, (_asked, granted) in consents.items()
        },
        withheld={
            plugin: public for plugin, (asked, granted) in consents.items() if (public := (asked - granted).public)
        },
    )


def _reach(catalogue: Catalogue, names: Iterable[str]) -> frozenset[str]:
    """Give permissions with all that comes with them; of plugins that are not active there are none."""
    return frozenset(implied for name in names if name in catalogue for implied in catalogue.entry(name).implied)


def _kept(plugin: str, generation: Generation, before: Standing | None) -> Assets | None:
    """Give the UI files that were read when the plugin was activated, if it has not been activated anew."""
    if before is None or before.generation.declared.get(plugin) is not generation.declared[plugin]:
        return None
    return before.assets.get(plugin)


def objects_of(plugins: Collection[str]) -> dict[str, type[PluginBase]]:
    """Find the class of each object scope: `__object__` of the models of these plugins, which are imported."""
    classes: dict[str, type[PluginBase]] = {}
    todo: list[type[PluginBase]] = list(PluginBase.__subclasses__())
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        kind = cls.__dict__.get("__object__")
        if kind is not None and cls.__plugin__ in plugins and hasattr(cls, "__table__"):
            classes[kind] = cls
    return classes
