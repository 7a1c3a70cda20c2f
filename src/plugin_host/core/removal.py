"""Purging a plugin: everything that is kept of it, shown first, exported if wished, then removed for good.

1. Look: its tables, who has its roles, its files, what is in the way. Nothing is written.
2. Let every running host let go of it: one that still serves it would fail on missing tables.
3. Remove tables, ledger, grants and its row in the register in one transaction, then its files. Whoever is stopped
   in between calls again, and what is left goes.

The package may be gone: nothing here imports the plugin.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy import delete, func, select, update

from plugin_host import registry
from plugin_host.access import orphans
from plugin_host.access.tables import RoleMember
from plugin_host.audit.entries import Entry, insertion
from plugin_host.core.export import roles_of, write_export
from plugin_host.core.files import Files, look_at, remove_folder
from plugin_host.database import bump
from plugin_host.migrations import removal
from plugin_host.migrations.belongings import Link, Size, Table, Thing, size_of
from plugin_host.migrations.locking import reading
from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.runner import Runner
from plugin_host.registry import Plugin
from plugin_host.sdk.context import SYSTEM
from plugin_host.sdk.errors import Problem, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from plugin_host.core.planner import Planner
    from plugin_host.plugins.plan import Plan

FOLLOWED: Final = 2.0
"""Seconds within which every process of a host follows a wish."""

PATIENCE: Final = 4.0
"""Seconds after which no host can be running that has not said that it let go."""


class Dependent(msgspec.Struct, frozen=True):
    """A plugin that requires the one to be purged."""

    id: str
    state: str


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of one plugin, as `plugins purge --json` shows it.

    `state` and `reason` are those of the plan, null where the plugin is not in it. `grants` counts who has each of
    its roles. `settings` names what stays in the settings: they are the operator's. `obstacles` are sentences: with
    any of them a purge is refused. `purged` tells whether it was done.
    """

    plugin: str
    state: str | None
    reason: Reason | None
    version: str | None
    size: Size
    tables: tuple[Table, ...]
    things: tuple[Thing, ...]
    revisions: tuple[str, ...]
    inbound: tuple[Link, ...]
    outbound: tuple[Link, ...]
    grants: dict[str, int]
    registered: bool
    files: Files
    settings: tuple[str, ...]
    dependents: tuple[Dependent, ...]
    obstacles: tuple[str, ...]
    installed: bool
    purged: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to purge: the register's row of an installed plugin is not data of it."""
        kept = self.tables or self.things or self.revisions or self.grants or Path(self.files.folder).is_dir()
        return not kept and (self.installed or not self.registered)


class Purger:
    """Purges plugins of one host; `patience` is how long a running host may take to let go, in seconds."""

    def __init__(self, planner: Planner, *, patience: float = PATIENCE) -> None:
        self._planner = planner
        self._database = planner.database
        self._databases = planner.databases
        self._patience = patience

    async def preview(self, plugin: str) -> Purge:
        """Say what a purge would remove, and what is in the way. Writes nothing.

        Raises `Problem` where nothing was ever known of such a plugin, `MigrationError` for core and for no id.
        """
        found = await asyncio.to_thread(removal.preview, self._database, plugin)
        plan = await self._planner.verified()
        home = await asyncio.to_thread(self._databases.home, plugin)
        if home is not self._database:
            found = await asyncio.to_thread(removal.preview, home, plugin)
        entry = plan.entry(plugin)
        grants, registered, known = await asyncio.to_thread(self._kept, plugin)
        dependents = await asyncio.to_thread(self._dependents, plan, plugin)
        purge = Purge(
            plugin=plugin,
            state=entry.state if entry is not None else None,
            reason=entry.reason if entry is not None else None,
            version=entry.version if entry is not None else None,
            size=size_of(found.belongings),
            tables=found.belongings.tables,
            things=found.belongings.things,
            revisions=found.revisions,
            inbound=found.belongings.inbound,
            outbound=found.belongings.outbound,
            grants=grants,
            registered=registered,
            files=look_at(self._folder(plugin)),
            settings=self._settings(plugin),
            dependents=dependents,
            obstacles=(*_obstacles(plan, plugin, dependents), *found.obstacles),
            installed=plugin in plan.found,
        )
        # By its name alone, what is not known as a plugin is not taken for one: tables may be an application's own.
        ours = purge.revisions or grants or registered or known or entry is not None or purge.files.count
        if not ours:
            raise Problem(404, "not_found", f"there is no plugin {plugin!r}, and nothing is kept of one")
        return purge

    async def export(self, plugin: str, file: Path, progress: Callable[[str], None] | None = None) -> None:
        """Write all that a purge would remove into a new zip file that only its owner may read.

        The file is there once it is whole. Raises `Problem` where it cannot be written, or is there already.
        """
        await self._export(await self.preview(plugin), file, progress or _silent)

    async def purge(
        self,
        plugin: str,
        *,
        export: Path | None = None,
        actor: str = "",
        progress: Callable[[str], None] | None = None,
    ) -> Purge:
        """Remove everything that is kept of a plugin, and give what that was; with `export` it is written there before.

        What is still installed stays off until somebody enables it: it then starts from nothing. `actor` is kept in
        the history. Raises as `preview` and `export`, and `Problem` where something is in the way; nothing is removed
        then.
        """
        tell = progress or _silent
        await self._planner.migrate("core", None, None)
        purge = await self.preview(plugin)
        if purge.obstacles:
            raise Problem(409, "purge_refused", " ".join(purge.obstacles))
        if purge.empty:
            return purge
        await self._let_go(purge, tell)
        if export is not None:
            await self._export(purge, export, tell)

        kept = {"version": purge.version, "tables": [table.name for table in purge.tables], "grants": purge.grants}
        who = msgspec.structs.replace(SYSTEM, username=actor or SYSTEM.username)
        entry = Entry(action="core.plugin.purged", actor=who, object=f"plugin:{plugin}", detail=kept)

        def along(connection: sa.Connection) -> None:
            _forget(connection, plugin, installed=purge.installed)
            connection.execute(insertion(entry))

        home = await asyncio.to_thread(self._databases.home, plugin)
        await asyncio.to_thread(removal.remove, self._database, plugin, along=along, actor=actor, progress=tell)
        if home is not self._database:
            tell(f"{plugin}: removing its own database …")
            await asyncio.to_thread(removal.remove, home, plugin, actor=actor, progress=tell)
            await self._databases.close(plugin)
            await asyncio.to_thread(self._databases.drop, plugin)
        await asyncio.to_thread(remove_folder, self._folder(plugin), plugin, tell)
        return msgspec.structs.replace(purge, purged=True)

    async def _export(self, purge: Purge, file: Path, tell: Callable[[str], None]) -> None:
        about = {"plugin": purge.plugin, "version": purge.version, "settings": purge.settings}
        folder = self._folder(purge.plugin)
        home = await asyncio.to_thread(self._databases.home, purge.plugin)
        await asyncio.to_thread(
            write_export, home, purge.plugin, file, host=self._database, folder=folder, about=about, progress=tell
        )

    async def _let_go(self, purge: Purge, tell: Callable[[str], None]) -> None:
        """Have every running host stop serving the plugin, and wait until they have had the time to.

        No host says whether it runs: one that does follows the wish in time and writes down what became of it.
        """
        unit = self._database.unit()
        try:
            if purge.installed:
                await registry.wish(unit.session, purge.plugin, "disabled")
            else:
                await bump(unit.session, "wishes")
            await unit.commit()
        finally:
            await unit.close()
        started = time.monotonic()
        if await self._state(purge.plugin) != "active":
            return
        tell(f"{purge.plugin}: waiting for running hosts to let go of it …")
        while (waited := time.monotonic() - started) < self._patience:
            await asyncio.sleep(min(0.2, self._patience))
            if waited >= FOLLOWED and await self._state(purge.plugin) != "active":
                return

    async def _state(self, plugin: str) -> str | None:
        unit = self._database.unit(write=False)
        try:
            state: str | None = await unit.session.scalar(select(Plugin.state).where(Plugin.id == plugin))
        finally:
            await unit.close()
        return state

    def _kept(self, plugin: str) -> tuple[dict[str, int], bool, bool]:
        """Count who has which role of the plugin, and tell whether it is registered and whether it once was purged."""
        path = self._database.path
        if path is not None and not Path(path).exists():
            return {}, False, False
        with self._database.migration_engine() as engine, reading(engine) as connection:
            known = removal.was_removed(connection, plugin)
            if not sa.inspect(connection).has_table(Plugin.__tablename__):
                return {}, False, known
            held = select(RoleMember.role, func.count()).where(roles_of(plugin)).group_by(RoleMember.role)
            grants = dict(connection.execute(held.order_by(RoleMember.role)).all())
            row = connection.execute(select(Plugin.id).where(Plugin.id == plugin)).first()
        return grants, row is not None, known

    def _dependents(self, plan: Plan, plugin: str) -> tuple[Dependent, ...]:
        """Name those that require the plugin; of those whose package is gone the ledger tells."""
        requires: dict[str, Collection[str]] = {
            name: head.requires for name, head in Runner(self._database).state().items() if name not in plan.found
        }
        requires |= {entry.id: entry.requires for entry in plan.entries if entry.id in plan.found}
        names = sorted(name for name, needs in requires.items() if plugin in needs)
        states = {entry.id: entry.state for entry in plan.entries}
        return tuple(Dependent(name, states.get(name, "orphaned")) for name in names)

    def _folder(self, plugin: str) -> Path:
        return Path(self._planner.settings.data_dir) / "files" / plugin

    def _settings(self, plugin: str) -> tuple[str, ...]:
        settings = self._planner.settings
        named = [f"plugins.{plugin}.{key}" for key in settings.plugins.get(plugin, {})]
        return (*named, *(["loader.disabled"] if plugin in settings.loader.disabled else []))


def _obstacles(plan: Plan, plugin: str, dependents: tuple[Dependent, ...]) -> tuple[str, ...]:
    entry = plan.entry(plugin)
    found = []
    if entry is not None and entry.state == "active":
        found.append(
            f"{plugin} is active, and would fail without its tables: run `plugin-host plugins disable {plugin}` first."
        )
    active = ", ".join(each.id for each in dependents if each.state == "active")
    if active:
        found.append(f"{active} requires {plugin}: disable or uninstall it first.")
    return tuple(found)


def _forget(connection: sa.Connection, plugin: str, *, installed: bool) -> None:
    """Take the plugin out of the roles of people and out of the register, and have every process look again.

    Of one that is still installed the row stays, with the wish that keeps it off. Raises `MigrationError` if somebody
    enabled it meanwhile.
    """
    # First, as everybody does who changes one of these: its lock makes them wait in line.
    connection.execute(sa.text("UPDATE core_revision SET policy = policy + 1, wishes = wishes + 1 WHERE id = 1"))
    if connection.scalar(select(Plugin.wish).where(Plugin.id == plugin)) == "enabled" and installed:
        raise MigrationError(f"{plugin} was enabled meanwhile; nothing was removed")
    orphans.purge(connection, plugin, connection.execute(_POLICY).scalar_one(), None)
    if installed:
        kept = {"consent": None, "quarantine": None, "account": None, "retries": 0}
        connection.execute(update(Plugin).where(Plugin.id == plugin).values(kept))
    else:
        connection.execute(delete(Plugin).where(Plugin.id == plugin))


_POLICY: Final = sa.text("SELECT policy FROM core_revision WHERE id = 1")


def _silent(_line: str) -> None:
    pass
