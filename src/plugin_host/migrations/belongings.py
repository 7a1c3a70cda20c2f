"""What belongs to a plugin in the database, told from the database alone: its package may be gone.

Tables, views, sequences, functions and types are a plugin's by their name, which begins with `<id>_`; indexes
and triggers are where their table is. No id has a `_`, so nothing of contactsx is ever taken for contacts.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from plugin_host.migrations import ledger

# No LIKE: `_` is a wildcard there, and SQLite's does not tell `Contacts_` from `contacts_`.
_SQLITE_OWN: Final = sa.text(
    "SELECT type AS kind, name, CASE WHEN type IN ('index', 'trigger') THEN tbl_name ELSE '' END AS place"
    " FROM sqlite_master WHERE substr(tbl_name, 1, length(:prefix)) = :prefix AND substr(name, 1, 7) <> 'sqlite_'"
    " ORDER BY 1, 2"
)
_SQLITE_BYTES: Final = sa.text(
    "SELECT coalesce(sum(pgsize), 0) FROM dbstat"
    " WHERE aggregate = TRUE AND name IN (SELECT name FROM sqlite_master WHERE tbl_name = :table)"
)
# The parent as it is called, not as the key spells it: SQLite takes any mixture of cases.
_SQLITE_LINKS: Final = sa.text(
    'SELECT m.name AS child, f.id AS number, f."from" AS field, coalesce(p.name, f."table") AS parent'
    " FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f"
    """ LEFT JOIN sqlite_master p ON p.type = 'table' AND p.name = f."table" COLLATE NOCASE"""
    " WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq"
)
_SQLITE_OTHERS: Final = sa.text(
    "SELECT DISTINCT type, tbl_name FROM sqlite_master"
    " WHERE type IN ('view', 'trigger') AND substr(tbl_name, 1, length(:prefix)) <> :prefix ORDER BY type, tbl_name"
)
_SQLITE_COLUMN: Final = sa.text("SELECT name FROM pragma_table_info(:table) LIMIT 1")
_SQLITE_TOUCHES: Final = (sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)

_POSTGRESQL_OWN: Final = sa.text(
    """
    WITH own AS (
        SELECT oid, relname, relkind FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND starts_with(relname::text, :prefix)
          AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    )
    SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                        WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
           relname AS name, '' AS place
    FROM own
    UNION ALL
    SELECT 'index', i.relname, o.relname FROM pg_index x
    JOIN own o ON o.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
    UNION ALL
    SELECT 'trigger', t.tgname, o.relname FROM pg_trigger t JOIN own o ON o.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 'function', oid::regprocedure::text, '' FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname::text, :prefix)
    UNION ALL
    SELECT 'type', t.typname, '' FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.typnamespace = current_schema()::regnamespace AND starts_with(t.typname::text, :prefix)
      AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
    ORDER BY 1, 2
    """
)
_POSTGRESQL_LINKS: Final = sa.text(
    """
    SELECT CASE WHEN t.relnamespace = current_schema()::regnamespace THEN ''
                ELSE t.relnamespace::regnamespace || '.' END || t.relname AS child, c.oid AS number, a.attname AS field,
           CASE WHEN p.relnamespace = current_schema()::regnamespace THEN ''
                ELSE p.relnamespace::regnamespace || '.' END || p.relname AS parent
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid
    JOIN pg_class p ON p.oid = c.confrelid
    CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
    WHERE c.contype = 'f' AND c.conparentid = 0
    ORDER BY 1, 2, k.place
    """
)
# What a DROP without CASCADE would stop at (`n`), other than foreign keys, with the table, view or function that it
# is part of. Whatever hangs on one of these hangs on something that is not the plugin's: one step is enough.
_POSTGRESQL_OTHERS: Final = sa.text(
    """
    WITH mine(classid, objid) AS (
        SELECT 'pg_class'::regclass, oid FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND starts_with(relname::text, :prefix)
        UNION ALL
        SELECT 'pg_proc'::regclass, oid FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname::text, :prefix)
        UNION ALL
        SELECT 'pg_type'::regclass, oid FROM pg_type
        WHERE typnamespace = current_schema()::regnamespace AND starts_with(ltrim(typname::text, '_'), :prefix)
    ), hanging AS (
        SELECT DISTINCT d.classid, d.objid, d.objsubid FROM pg_depend d
        JOIN mine m ON m.classid = d.refclassid AND m.objid = d.refobjid
        LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
        WHERE d.deptype = 'n' AND c.contype IS DISTINCT FROM 'f'
    ), placed AS (
        SELECT h.*, coalesce(w.ev_class, nullif(c.conrelid, 0), f.adrelid, t.tgrelid, p.polrelid, x.indrelid,
                             CASE WHEN h.classid = 'pg_class'::regclass THEN h.objid END) AS relation
        FROM hanging h
        LEFT JOIN pg_rewrite w ON h.classid = 'pg_rewrite'::regclass AND w.oid = h.objid
        LEFT JOIN pg_constraint c ON h.classid = 'pg_constraint'::regclass AND c.oid = h.objid
        LEFT JOIN pg_attrdef f ON h.classid = 'pg_attrdef'::regclass AND f.oid = h.objid
        LEFT JOIN pg_trigger t ON h.classid = 'pg_trigger'::regclass AND t.oid = h.objid
        LEFT JOIN pg_policy p ON h.classid = 'pg_policy'::regclass AND p.oid = h.objid
        LEFT JOIN pg_index x ON h.classid = 'pg_class'::regclass AND x.indexrelid = h.objid
    )
    SELECT DISTINCT CASE WHEN classid = 'pg_rewrite'::regclass
                         THEN pg_describe_object('pg_class'::regclass, relation, 0)
                         ELSE pg_describe_object(classid, objid, objsubid) END AS description
    FROM placed
    WHERE NOT EXISTS (
        SELECT FROM mine m
        WHERE m.classid = CASE WHEN relation IS NULL THEN placed.classid ELSE 'pg_class'::regclass END
          AND m.objid = coalesce(relation, placed.objid)
    )
    ORDER BY 1
    """
)


@dataclass(frozen=True)
class Table:
    """A table of the plugin; `bytes` on disk with its indexes, None where the database does not tell.

    `recorded` is false for one that was not there after the plugin's last revision: it was made in another way,
    and is the plugin's by its name only.
    """

    name: str
    rows: int
    bytes: int | None
    recorded: bool


@dataclass(frozen=True)
class Thing:
    """What goes with the tables: `index`, `trigger`, `view`, `sequence`, …; `table` where it hangs on one."""

    kind: str
    name: str
    table: str = ""


@dataclass(frozen=True)
class Link:
    """A foreign key from `columns` of `table` to `parent`; `owner` is the other plugin, "" where it is no plugin."""

    table: str
    columns: tuple[str, ...]
    parent: str
    owner: str


@dataclass(frozen=True)
class Belongings:
    """All that is the plugin's in one database.

    `inbound` are foreign keys of others to it, `outbound` those of its own to others; `uses` describes what others
    have that reads, writes or calls something of it: views, triggers, …
    """

    tables: tuple[Table, ...] = ()
    things: tuple[Thing, ...] = ()
    inbound: tuple[Link, ...] = ()
    outbound: tuple[Link, ...] = ()
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Size:
    """How much a plugin keeps: `bytes` is None where the database does not tell."""

    tables: int
    rows: int
    bytes: int | None


def look(connection: sa.Connection, plugin: str) -> Belongings:
    """Read what belongs to a plugin, without counting: rows are 0 and bytes None. See `measured`."""
    prefix = f"{plugin}_"
    is_postgresql = connection.dialect.name == "postgresql"
    rows = connection.execute(_POSTGRESQL_OWN if is_postgresql else _SQLITE_OWN, {"prefix": prefix}).all()
    # Asking for a ledger that is not there would end a transaction of PostgreSQL.
    has_ledger = sa.inspect(connection).has_table(ledger.HEAD.name)
    head = ledger.read_heads(connection).get(plugin) if has_ledger else None
    recorded = head.objects if head is not None else ()
    links = read_links(connection)
    return Belongings(
        tables=tuple(Table(row.name, 0, None, row.name in recorded) for row in rows if row.kind == "table"),
        things=tuple(Thing(row.kind, row.name, row.place) for row in rows if row.kind != "table"),
        inbound=tuple(
            Link(*link, owner_of(link[0]))
            for link in links
            if link[2].startswith(prefix) and not link[0].startswith(prefix)
        ),
        outbound=tuple(
            Link(*link, owner_of(link[2]))
            for link in links
            if link[0].startswith(prefix) and not link[2].startswith(prefix)
        ),
        uses=_postgresql_uses(connection, prefix) if is_postgresql else _sqlite_uses(connection, prefix),
    )


def measured(connection: sa.Connection, belongings: Belongings) -> Belongings:
    """Count the rows and bytes of the tables: reads all of them once."""
    tables = (
        Table(each.name, _rows(connection, each.name), _bytes(connection, each.name), each.recorded)
        for each in belongings.tables
    )
    return replace(belongings, tables=tuple(tables))


def size_of(belongings: Belongings) -> Size:
    """Add up what was measured."""
    told = [each.bytes for each in belongings.tables if each.bytes is not None]
    whole = len(told) == len(belongings.tables)
    return Size(len(belongings.tables), sum(each.rows for each in belongings.tables), sum(told) if whole else None)


def owner_of(name: str) -> str:
    """Name the plugin whose a table is by its name, "" for none; none outside our schema is a plugin's."""
    owner, underscore, _ = name.partition("_")
    return owner if underscore and "." not in name else ""


def quoted(name: str) -> str:
    """Quote a name for a statement that is run as it is: any name, not only one that needs no quoting."""
    return '"' + name.replace('"', '""') + '"'


def _rows(connection: sa.Connection, table: str) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(sa.table(sa.quoted_name(table, quote=True)))) or 0


def _bytes(connection: sa.Connection, table: str) -> int | None:
    if connection.dialect.name == "postgresql":
        size: int | None = connection.scalar(sa.text("SELECT pg_total_relation_size(:name)"), {"name": quoted(table)})
        return size
    try:
        return connection.scalar(_SQLITE_BYTES, {"table": table}) or 0
    except OperationalError:  # SQLite was built without dbstat
        return None


def read_links(connection: sa.Connection) -> list[tuple[str, tuple[str, ...], str]]:
    """Read all foreign keys: the table, its columns, and the table that they mean."""
    rows = connection.execute(_POSTGRESQL_LINKS if connection.dialect.name == "postgresql" else _SQLITE_LINKS)
    keys = groupby(rows, key=lambda row: (row.child, row.number, row.parent))
    return [(child, tuple(row.field for row in fields), parent) for (child, _, parent), fields in keys]


def _postgresql_uses(connection: sa.Connection, prefix: str) -> tuple[str, ...]:
    return tuple(connection.execute(_POSTGRESQL_OTHERS, {"prefix": prefix}).scalars())


def _sqlite_uses(connection: sa.Connection, prefix: str) -> tuple[str, ...]:
    """Let SQLite compile what would run the views and triggers of others, and tell which tables they touch.

    It keeps no list of that, and dropping a table asks nobody: they would fail when they are used next.
    """
    raw: Any = connection.connection.dbapi_connection
    found: set[str] = set()
    others = connection.execute(_SQLITE_OTHERS, {"prefix": prefix}).all()
    statements = [(*other, statement) for other in others for statement in _statements(connection, *other)]

    def touches(action: int, table: str | None, _two: str | None, _database: str | None, source: str | None) -> int:
        if action in _SQLITE_TOUCHES and (table or "").startswith(prefix):
            found.add(f"{kind} {name if kind == 'view' else source or name}")
        return sqlite3.SQLITE_OK

    raw.set_authorizer(touches)
    try:
        for kind, name, statement in statements:  # noqa: B007 - told above, while the statement is compiled
            with contextlib.suppress(sqlite3.Error):  # broken before: that is not ours to say
                raw.execute(f"EXPLAIN {statement}")
    finally:
        raw.set_authorizer(None)
    return tuple(sorted(found))


def _statements(connection: sa.Connection, kind: str, table: str) -> tuple[str, ...]:
    name = quoted(table)
    if kind == "view":
        return (f"SELECT * FROM {name}",)  # noqa: S608 - quoted, as below
    column = quoted(str(connection.scalar(_SQLITE_COLUMN, {"table": table})))
    return (
        f"INSERT INTO {name} DEFAULT VALUES",
        f"UPDATE {name} SET {column} = {column}",  # noqa: S608
        f"DELETE FROM {name}",  # noqa: S608
    )
