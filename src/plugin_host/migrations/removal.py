"""Removing what a plugin keeps in the database: shown first, then dropped whole or not at all.

Everything here works from the database alone, since the package may be gone. One transaction, under the lock that
migrations take, drops the tables and whatever hangs on them and takes the plugin out of the ledger: a process that
is killed in the middle leaves everything as it was.
"""

from __future__ import annotations

import datetime as dt
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from plugin_host.migrations import ledger
from plugin_host.migrations.belongings import Belongings, Size, look, measured, quoted, size_of
from plugin_host.migrations.locking import Patience, is_table_locked, one_process, reading, writing
from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.schedule import CORE
from plugin_host.sdk.manifest import ID_PATTERN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from plugin_host.database import Database

_DEADLOCK: Final = "40P01"  # PostgreSQL: the lock of a table that a key of the plugin points to came in another order
# Views before what they read; what is left of the rest in the order in which nothing is used any more.
_ORDER: Final = ("materialized view", "view", "table", "foreign table", "sequence", "function", "type")


@dataclass(frozen=True)
class Removal:
    """What removing a plugin would take away: `revisions` are those in the ledger, in the order in which they ran.

    `obstacles` are sentences that say what must be out of the way first, and how; with any of them `remove` refuses.
    """

    plugin: str
    revisions: tuple[str, ...]
    belongings: Belongings
    obstacles: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing of the plugin in the database."""
        return not (self.revisions or self.belongings.tables or self.belongings.things)


def preview(database: Database, plugin: str) -> Removal:
    """Say what `remove` would take away, and how much that is. Writes nothing, and makes no SQLite file."""
    _check_id(plugin)
    if not _exists(database):
        return Removal(plugin, (), Belongings(), ())
    with database.migration_engine() as engine, reading(engine) as connection:
        removal = _removal(connection, plugin)
        return Removal(plugin, removal.revisions, measured(connection, removal.belongings), removal.obstacles)


def sizes(database: Database, plugins: Collection[str]) -> dict[str, Size]:
    """Say how much each of these plugins keeps in the database: reads all their tables once."""
    if not plugins or not _exists(database):
        return {}
    with database.migration_engine() as engine, reading(engine) as connection:
        return {plugin: size_of(measured(connection, look(connection, plugin))) for plugin in sorted(plugins)}


def was_removed(connection: sa.Connection, plugin: str) -> bool:
    """Tell whether the history says that a plugin of this id was removed from this database."""
    if not sa.inspect(connection).has_table(ledger.HISTORY.name):
        return False
    purges = sa.select(ledger.HISTORY.c.id).where(ledger.HISTORY.c.plugin == plugin, ledger.HISTORY.c.op == "purge")
    return connection.execute(purges.limit(1)).first() is not None


def remove(
    database: Database,
    plugin: str,
    *,
    along: Callable[[sa.Connection], None] | None = None,
    actor: str = "",
    progress: Callable[[str], None] | None = None,
    patience: Patience | None = None,
) -> Removal:
    """Drop all that is the plugin's in the database, and give what that was, without its rows being counted.

    `along` is called in the same transaction, before anything is dropped: what it writes stays or goes with the
    tables, and what it raises stops everything. `actor` is kept in the history; `progress` is called with a line for
    each thing. Raises `MigrationError` where something is in the way, or the database refuses; nothing is gone then.
    """
    _check_id(plugin)
    patience = patience or Patience()
    with database.migration_engine() as engine, one_process(engine, patience):
        for attempt in range(1, patience.tries + 1):
            try:
                with writing(engine, patience) as connection:
                    return _remove(connection, plugin, along, actor, progress or _silent)
            except DBAPIError as error:
                if not (is_table_locked(error) or getattr(error.orig, "sqlstate", None) == _DEADLOCK):
                    raise MigrationError(_told(plugin, error)) from error
                time.sleep(patience.table * attempt / 10)
    raise MigrationError(
        f"the tables of {plugin} are in use: end whoever keeps them locked, and try again; nothing was removed"
    )


def _remove(
    connection: sa.Connection,
    plugin: str,
    along: Callable[[sa.Connection], None] | None,
    actor: str,
    tell: Callable[[str], None],
) -> Removal:
    started = time.perf_counter()
    ledger.create_ledger(connection)  # asking for what is not there would end a transaction of PostgreSQL
    if connection.dialect.name == "postgresql":
        # From here on nobody can make a foreign key or a view that would need these tables.
        for table in look(connection, plugin).tables:
            _run(connection, f"LOCK TABLE {quoted(table.name)} IN ACCESS EXCLUSIVE MODE")
    removal = _removal(connection, plugin)
    if removal.obstacles:
        raise MigrationError(f"{plugin} cannot be removed: {' '.join(removal.obstacles)}")
    if along is not None:
        along(connection)
    _drop(connection, removal, tell)
    _check_rows(connection, removal)
    if not removal.empty:
        _forget(connection, removal, actor, round((time.perf_counter() - started) * 1000))
    return removal


def _removal(connection: sa.Connection, plugin: str) -> Removal:
    belongings = look(connection, plugin)
    return Removal(plugin, _revisions(connection, plugin), belongings, _obstacles(plugin, belongings))


def _check_id(plugin: str) -> None:
    """Refuse core, and what is no whole id: all that is found by it is dropped."""
    if plugin == CORE:
        raise MigrationError("core is the host itself; to remove everything, drop the database")
    if re.search(ID_PATTERN, plugin) is None:
        raise MigrationError(f"{plugin!r} is no id of a plugin; plugin-host plugins list names those there are")


def _revisions(connection: sa.Connection, plugin: str) -> tuple[str, ...]:
    head = ledger.read_heads(connection).get(plugin)
    if head is None:
        return ()
    return tuple(ledger.read_applied(connection, plugin)) or (head.revision,)


def _obstacles(plugin: str, belongings: Belongings) -> tuple[str, ...]:
    found = [
        f"{link.table} ({', '.join(link.columns)}){f' of {link.owner}' if link.owner else ''}"
        f" has a foreign key to {link.parent}: "
        + (f"purge {link.owner} first." if link.owner else "drop the key first, it is no plugin's.")
        for link in belongings.inbound
    ]
    found += [f"{use} uses tables of {plugin}: drop it first, or purge the plugin it is of." for use in belongings.uses]
    return tuple(found)


def _drop(connection: sa.Connection, removal: Removal, tell: Callable[[str], None]) -> None:
    things = [(each.kind, each.name) for each in removal.belongings.things if not each.table]
    tables = [("table", each.name) for each in removal.belongings.tables]
    # Nothing of others hangs on these, that was looked at: CASCADE takes the plugin's own circles only. On SQLite,
    # where foreign keys are off, there are no circles. IF EXISTS: much goes along with what was dropped before.
    cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
    for kind, name in sorted([*things, *tables], key=lambda each: (_ORDER.index(each[0]), each[1])):
        tell(f"{removal.plugin}: dropping {kind} {name} …")
        # A function is named with its arguments, and quoted by the database.
        word, what = ("ROUTINE", name) if kind == "function" else (kind.upper(), quoted(name))
        _run(connection, f"DROP {word} IF EXISTS {what}{cascade}")


def _check_rows(connection: sa.Connection, removal: Removal) -> None:
    """Refuse to leave rows that point to what was dropped; on SQLite nothing else looks."""
    if connection.dialect.name != "sqlite":
        return
    gone = {each.name for each in removal.belongings.tables}
    left = {row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check") if row[2] in gone}
    if left:
        raise MigrationError(f"rows of {', '.join(sorted(left))} point to {removal.plugin}; nothing was removed")


def _forget(connection: sa.Connection, removal: Removal, actor: str, ms: int) -> None:
    """Take the plugin out of the ledger; that it was removed stays in the history, and by whom."""
    connection.execute(ledger.HEAD.delete().where(ledger.HEAD.c.plugin == removal.plugin))
    connection.execute(ledger.HISTORY.delete().where(ledger.HISTORY.c.plugin == removal.plugin))
    connection.execute(
        ledger.HISTORY.insert().values(
            plugin=removal.plugin,
            revision=removal.revisions[-1] if removal.revisions else "",
            op="purge",
            state="ok",
            checksum="",
            version="",
            ms=ms,
            at=dt.datetime.now(dt.UTC),
            node=platform.node(),
            actor=actor,
        )
    )


def _exists(database: Database) -> bool:
    return database.path is None or Path(database.path).exists()


def _run(connection: sa.Connection, statement: str) -> None:
    """Run a statement as it stands: a name may hold a percent sign, which drivers take for a parameter."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _told(plugin: str, error: DBAPIError) -> str:
    said = str(error.orig).strip().partition("\n")[0]
    return f"the database did not let {plugin} be removed ({said}); nothing was removed"


def _silent(_line: str) -> None:
    pass
