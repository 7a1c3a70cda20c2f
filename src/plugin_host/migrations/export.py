"""Writing all rows of a plugin into an archive, as one moment of the database had them.

One file of JSON lines for each table, an object for each row. A value stands as it can be given back to the database:

- PostgreSQL: integers, booleans and NULL as they are in JSON; everything else (text, decimals, moments, bytes, JSON,
  arrays, types of the plugin's own) as PostgreSQL's own text, which a cast to the column's type reads exactly.
- SQLite, where a value and not a column has a type: numbers, text and NULL as they are in JSON, bytes as
  `{"base64": "…"}`, and a number that JSON has not as `{"float": "inf"}`.

Rows are read and written in portions: the size of a table does not matter.
"""

from __future__ import annotations

import base64
import contextlib
import graphlib
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from plugin_host.migrations import ledger
from plugin_host.migrations.belongings import look, quoted, read_links
from plugin_host.migrations.locking import reading

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable, Iterable, Iterator

    from plugin_host.database import Database

PORTION: Final = 10_000  # rows between two lines of progress
_FETCH: Final = 500
_PLAIN: Final = frozenset({"smallint", "integer", "bigint", "boolean"})
# Columns that are computed are left out: they cannot be given back, and need not be.
_SQLITE_COLUMNS: Final = sa.text(
    'SELECT name, type, "notnull" AS required, pk FROM pragma_table_info(:table) ORDER BY cid'
)
_POSTGRESQL_COLUMNS: Final = sa.text(
    """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
           coalesce(array_position(i.indkey::int2[], a.attnum), -1) + 1 AS pk
    FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY a.attnum
    """
)
# So that the texts of PostgreSQL are the same everywhere, and exact.
_POSTGRESQL_SESSION: Final = (
    "SET TRANSACTION READ ONLY",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
)


class Column(NamedTuple):
    """A column: its type as the database writes it; `key` counts the columns of the primary key from 1, 0 for none."""

    name: str
    type: str
    required: bool
    key: int


def export_rows(
    database: Database,
    plugin: str,
    archive: zipfile.ZipFile,
    *,
    along: Callable[[sa.Connection], None],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Write the rows of every table, and `ledger.jsonl`; give the description of what was written, for `export.json`.

    The tables of the description stand in the order in which they can be filled again: those first that others point
    to. `along` is called on the connection, which sees the same moment.
    """
    if database.path is not None and not Path(database.path).exists():
        return {"database": database.dialect, "tables": [], "things": []}
    with _moment(database) as connection:
        belongings = look(connection, plugin)
        tables = []
        for number, name in enumerate(_in_order(connection, [table.name for table in belongings.tables]), 1):
            file = f"tables/{name if re.fullmatch(r'[a-z0-9_]+', name) else number}.jsonl"
            columns = _columns(connection, name)
            rows = write_lines(archive, file, _told(_rows(connection, name, columns), name, progress))
            described = [column._asdict() for column in columns]
            made_by = _sql(connection, name)
            tables.append({"name": name, "file": file, "rows": rows, "columns": described, "sql": made_by})
        write_lines(archive, "ledger.jsonl", _ledger(connection, plugin))
        along(connection)
    things = [{"kind": thing.kind, "name": thing.name, "table": thing.table} for thing in belongings.things]
    return {"database": database.dialect, "tables": tables, "things": things}


def write_lines(archive: zipfile.ZipFile, name: str, rows: Iterable[object]) -> int:
    """Write a file of JSON lines into an archive, and give how many they are."""
    count = 0
    # ASCII: a text of SQLite may hold what is no Unicode, and must not stop the export.
    with archive.open(name, "w", force_zip64=True) as file:
        for row in rows:
            file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
            count += 1
    return count


@contextlib.contextmanager
def _moment(database: Database) -> Iterator[sa.Connection]:
    """Open a connection that sees one moment and keeps nobody from writing."""
    with database.migration_engine() as engine:
        if database.dialect == "sqlite":
            with reading(engine) as connection:
                raw: Any = connection.connection.dbapi_connection
                raw.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
                connection.exec_driver_sql("BEGIN")  # not IMMEDIATE: in WAL mode a reader has its moment all the same
                yield connection
        else:
            isolated = engine.execution_options(isolation_level="REPEATABLE READ")
            with isolated.connect() as connection, connection.begin():
                for statement in _POSTGRESQL_SESSION:
                    connection.exec_driver_sql(statement)
                yield connection


def _in_order(connection: sa.Connection, tables: list[str]) -> list[str]:
    """Put those first that others point to; tables that point at each other in a circle as they are called."""
    points: dict[str, set[str]] = {name: set() for name in tables}
    for child, _, parent in read_links(connection):
        if child in points and parent in points and child != parent:
            points[child].add(parent)
    try:
        return list(graphlib.TopologicalSorter(points).static_order())
    except graphlib.CycleError:
        return tables


def _columns(connection: sa.Connection, table: str) -> list[Column]:
    is_postgresql = connection.dialect.name == "postgresql"
    name = quoted(table) if is_postgresql else table
    rows = connection.execute(_POSTGRESQL_COLUMNS if is_postgresql else _SQLITE_COLUMNS, {"table": name})
    return [Column(row.name, row.type, bool(row.required), row.pk) for row in rows]


def _sql(connection: sa.Connection, table: str) -> str | None:
    """Give the statement that made a table of SQLite; PostgreSQL keeps none."""
    if connection.dialect.name == "postgresql":
        return None
    statement: str | None = connection.scalar(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table"), {"table": table}
    )
    return statement


def _rows(connection: sa.Connection, table: str, columns: list[Column]) -> Iterator[dict[str, Any]]:
    cast = "::text" if connection.dialect.name == "postgresql" else ""
    chosen = ", ".join(quoted(column.name) + ("" if column.type in _PLAIN else cast) for column in columns)
    options = {"no_parameters": True, "stream_results": True, "yield_per": _FETCH}
    statement = f"SELECT {chosen} FROM {quoted(table)}"  # noqa: S608 - quoted
    for row in connection.exec_driver_sql(statement, execution_options=options):
        yield {column.name: _plain(value) for column, value in zip(columns, row, strict=True)}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _told(rows: Iterable[Any], table: str, tell: Callable[[str], None]) -> Iterator[Any]:
    """Tell after each portion how far it is."""
    number = 0
    for number, row in enumerate(rows, 1):
        yield row
        if number % PORTION == 0:
            tell(f"{table}: {number} rows …")
    tell(f"{table}: {number} rows written")


def _ledger(connection: sa.Connection, plugin: str) -> Iterator[dict[str, Any]]:
    if not sa.inspect(connection).has_table(ledger.HISTORY.name):
        return
    history = sa.select(ledger.HISTORY).where(ledger.HISTORY.c.plugin == plugin).order_by(ledger.HISTORY.c.id)
    for row in connection.execute(history).mappings():
        yield {**row, "at": row["at"].isoformat()}
