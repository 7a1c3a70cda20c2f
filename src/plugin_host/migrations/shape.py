"""What the tables of a plugin look like, and how two of them differ, in words that an operator understands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Shape = dict[str, dict[str, str]]
"""By table: what is in it (`column name`, `index ix_a`, `key fk_a`), and how that is."""


def shape_of(connection: sa.Connection, plugin: str) -> Shape:
    """Read the tables that begin with the plugin's prefix."""
    inspector = sa.inspect(connection)
    names = [name for name in inspector.get_table_names() if name.startswith(f"{plugin}_")]
    return {name: dict(_parts(inspector, connection.dialect, name)) for name in sorted(names)}


def differences(wanted: Mapping[str, Mapping[str, str]], found: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Say what is missing, what is too much, and what is another way; nothing where both are the same."""
    told = []
    for table in sorted({*wanted, *found}):
        if table not in found:
            told.append(f"the table {table} is missing")
        elif table not in wanted:
            told.append(f"the table {table} is made by no revision")
        else:
            told += _within(table, wanted[table], found[table])
    return tuple(told)


def lost(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Name the tables and columns that are gone afterwards, and their rows with them."""
    told = []
    for table, parts in sorted(before.items()):
        if table not in after:
            told.append(f"table {table}")
        else:
            told += [f"{part} of {table}" for part in parts if part.startswith("column ") and part not in after[table]]
    return tuple(told)


def _within(table: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for part in sorted({*wanted, *found}):
        if part not in found:
            yield f"{table}: {part} is missing"
        elif part not in wanted:
            yield f"{table}: {part} is made by no revision"
        elif wanted[part] != found[part]:
            yield f"{table}: {part} is {found[part]}, not {wanted[part]}"


def _parts(inspector: sa.Inspector, dialect: sa.Dialect, table: str) -> Iterator[tuple[str, str]]:
    for column in inspector.get_columns(table):
        required = "" if column["nullable"] else " not null"
        yield f"column {column['name']}", f"{_type(column['type'], dialect)}{required}"
    key = inspector.get_pk_constraint(table)
    if key["constrained_columns"]:
        yield "primary key", _list(key["constrained_columns"])
    for index in inspector.get_indexes(table):
        if not index.get("duplicates_constraint"):
            words = [each or "an expression" for each in index["column_names"]]
            yield f"index {index['name']}", f"{'unique ' if index['unique'] else ''}{_list(words)}"
    for unique in inspector.get_unique_constraints(table):
        yield f"unique {unique['name'] or _list(unique['column_names'])}", _list(unique["column_names"])
    for link in inspector.get_foreign_keys(table):
        name = link["name"] or _list(link["constrained_columns"])
        rule = link.get("options", {}).get("ondelete") or "no rule"
        target = f"{link['referred_table']} {_list(link['referred_columns'])}"
        yield f"foreign key {name}", f"{_list(link['constrained_columns'])} to {target}, {rule}"


def _type(kind: Any, dialect: sa.Dialect) -> str:
    try:
        return str(kind.compile(dialect=dialect)).lower()
    except sa.exc.SQLAlchemyError:
        return str(kind).lower()


def _list(names: Any) -> str:
    return f"({', '.join(str(name) for name in names)})"
