"""What a revision may read and write, row by row: its own tables, and what it says that it needs.

The catalogue shows who changed a table, but not who read it, nor who changed its rows. SQLite asks us about every
statement before it runs (the authorizer), and what is not allowed is denied. PostgreSQL counts, for every table, what
the transaction has read and written (`pg_stat_xact_user_tables`, which needs no rights): what it counts and should
not be there rolls the revision back.

A revision may read tables of another plugin that it names in `needs`: only then has that plugin the columns that are
read here. Rows of others are never changed: their plugin does that, through its services.

PostgreSQL looks into the tables at both ends of a foreign key by itself. There, reading the parent of an own table is
not told from that, nor is changing the children of an own table.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import sqlalchemy as sa

from plugin_host.migrations.belongings import owner_of, read_links
from plugin_host.migrations.schedule import CORE
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from plugin_host.migrations.schedule import Step

_BATCH: Final = "_alembic_tmp_"  # alembic copies a table under this name, and gives it the old one then
_LOOKS: Final = frozenset(
    "table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check "
    "database_list collation_list compile_options quick_check integrity_check".split()
)
_ASKED: Final = frozenset({"foreign_keys", "user_version", "schema_version", "encoding"})  # without a value
_SETS: Final = frozenset({"legacy_alter_table"})  # a batch change of a table that a view reads needs it
# The action, and which of its two words is the table.
_CHANGES: Final = {
    sqlite3.SQLITE_CREATE_TABLE: 0,
    sqlite3.SQLITE_DROP_TABLE: 0,
    sqlite3.SQLITE_CREATE_VIEW: 0,
    sqlite3.SQLITE_DROP_VIEW: 0,
    sqlite3.SQLITE_CREATE_VTABLE: 0,
    sqlite3.SQLITE_DROP_VTABLE: 0,
    sqlite3.SQLITE_CREATE_INDEX: 1,
    sqlite3.SQLITE_DROP_INDEX: 1,
    sqlite3.SQLITE_CREATE_TRIGGER: 1,
    sqlite3.SQLITE_DROP_TRIGGER: 1,
    sqlite3.SQLITE_ALTER_TABLE: 1,
    sqlite3.SQLITE_INSERT: 0,
    sqlite3.SQLITE_UPDATE: 0,
    sqlite3.SQLITE_DELETE: 0,
}
_COUNTS: Final = sa.text(
    """
    SELECT CASE WHEN schemaname = current_schema() THEN '' ELSE schemaname || '.' END || relname AS name,
           n_tup_ins + n_tup_upd + n_tup_del AS changed,
           coalesce(seq_scan, 0) + coalesce(idx_scan, 0) AS looked
    FROM pg_stat_xact_user_tables
    WHERE schemaname NOT LIKE 'pg~_%' ESCAPE '~'
    """
)


class Counts(NamedTuple):
    """How often a table's rows were changed, and how often somebody looked into it."""

    changed: int
    looked: int


@contextlib.contextmanager
def guarded(connection: sa.Connection, step: Step) -> Iterator[Callable[[], None]]:
    """Hold what a revision does inside to the rows that are its plugin's. Raises `PluginFault`.

    What was denied is told also when the revision catches the error. The function that is given tells what could
    only be counted: call it when the catalogue has been looked at, which names changes better. Core is the host
    itself, and is not held.
    """
    if step.plugin == CORE:
        yield _nothing
    elif connection.dialect.name == "postgresql":
        before = _counts(connection)
        yield lambda: _judge(connection, step, before)
    else:
        raw: Any = connection.connection.dbapi_connection
        authorizer = _Authorizer(step)
        raw.set_authorizer(authorizer)
        try:
            yield _nothing
        except Exception as error:
            authorizer.tell(error)
            raise
        finally:
            raw.set_authorizer(None)
        authorizer.tell(None)


def _nothing() -> None:
    pass


class _Authorizer:
    """Answers SQLite, statement by statement, and keeps what was denied."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._own = (f"{step.plugin}_", f"{_BATCH}{step.plugin}_", "sqlite_")
        self._readable = (*self._own, *(f"{other}_" for other in step.needs))
        self._reads: set[str] = set()
        self._changes: set[str] = set()
        self._words: set[str] = set()

    def __call__(self, action: int, one: str | None, two: str | None, database: str | None, inside: str | None) -> int:
        """Answer whether the action is allowed; `inside` names the view or trigger that asks."""
        if database == "temp":
            return sqlite3.SQLITE_OK
        if action in _CHANGES:
            table = (one, two)[_CHANGES[action]] or ""
            return self._deny(self._changes, table) if not table.startswith(self._own) else sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            table = one or ""
            return self._deny(self._reads, table) if not table.startswith(self._readable) else sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA:
            word = (one or "").lower()
            allowed = word in _LOOKS or word in _SETS or (word in _ASKED and two is None)
            return sqlite3.SQLITE_OK if allowed else self._deny(self._words, f"PRAGMA {word}")
        if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
            return self._deny(self._words, "ATTACH" if action == sqlite3.SQLITE_ATTACH else "DETACH")
        if action == sqlite3.SQLITE_TRANSACTION:
            return self._deny(self._words, one or "COMMIT")
        return sqlite3.SQLITE_OK

    def tell(self, error: BaseException | None) -> None:
        """Raise what was denied, if anything was."""
        if self._changes:
            raise changed(self._step, self._changes) from error
        if self._reads:
            raise looked(self._step, self._reads) from error
        if self._words:
            words = " and ".join(sorted(self._words))
            text = f"says {words}, which is the host's to say: a revision runs in a transaction of the host"
            raise _fault("migration_failed", self._step, text, f"Take {words} out of the revision.") from error

    @staticmethod
    def _deny(kept: set[str], what: str) -> int:
        kept.add(what)
        return sqlite3.SQLITE_DENY


def changed(step: Step, tables: set[str]) -> PluginFault:
    """Word that a revision changes what is not its plugin's."""
    text = f"changes {', '.join(sorted(tables))}: what belongs to {step.plugin} begins with '{step.plugin}_'"
    way_out = "Change only tables of the plugin itself; ask the other plugin for what is needed there."
    return _fault("migration_foreign", step, text, way_out, *map(owner_of, tables))


def looked(step: Step, tables: set[str]) -> PluginFault:
    """Word that a revision reads what it does not say that it needs."""
    owners = sorted({owner_of(table) for table in tables} - {""})
    text = f"reads {', '.join(sorted(tables))}, and does not say that it needs {' and '.join(owners) or 'them'}"
    needs = ", ".join(f'"{owner}": "{owner}_0001"' for owner in owners)
    way_out = (
        f"Name the revision whose columns are read: needs = {{{needs}}}; or ask the other plugin at run time."
        if owners
        else "Ask whoever owns them at run time."
    )
    return _fault("migration_foreign", step, text, way_out, *owners)


def _counts(connection: sa.Connection) -> dict[str, Counts]:
    return {row.name: Counts(row.changed, row.looked) for row in connection.execute(_COUNTS)}


def _judge(connection: sa.Connection, step: Step, before: Mapping[str, Counts]) -> None:
    """Hold what PostgreSQL has counted since to what the plugin may do."""
    own = f"{step.plugin}_"
    links = read_links(connection)
    parents = {parent for child, _, parent in links if child.startswith(own)}
    children = {child for child, _, parent in links if parent.startswith(own)}
    readable = (own, *(f"{other}_" for other in step.needs))
    nothing = Counts(0, 0)
    changes: set[str] = set()
    reads: set[str] = set()
    for name, now in _counts(connection).items():
        then = before.get(name, nothing)
        if name.startswith(own) or name in children:
            continue
        if now.changed > then.changed:
            changes.add(name)
        elif now.looked > then.looked and not name.startswith(readable) and name not in parents:
            reads.add(name)
    if changes:
        raise changed(step, changes)
    if reads:
        raise looked(step, reads)


def _fault(
    code: Literal["migration_failed", "migration_foreign"], step: Step, text: str, way_out: str, *others: str
) -> PluginFault:
    return PluginFault(
        Reason(
            code=code,
            text=f"{step.revision} ({step.path}) {text}. It was rolled back.",
            culprits=(step.plugin, *sorted({other for other in others if other} - {step.plugin})),
            way_out=way_out,
        )
    )
