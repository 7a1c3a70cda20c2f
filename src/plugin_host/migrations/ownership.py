"""Whose table is whose: a revision changes tables of its own plugin only, on SQLite and PostgreSQL alike.

The catalogue is read before and after, inside the revision's transaction. What differs must begin with the
plugin's prefix, whatever way it was changed: by `op`, by SQL, or through an index, a trigger or a rename.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from plugin_host.migrations.guard import changed
from plugin_host.migrations.schedule import CORE
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from plugin_host.migrations.schedule import Step

_SQLITE: Final = sa.text(
    "SELECT tbl_name, type, name, sql FROM sqlite_master WHERE tbl_name NOT LIKE 'sqlite~_%' ESCAPE '~'"
)
_SQLITE_LINKS: Final = sa.text(
    'SELECT m.name, f."table", f.on_delete FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f'
    " WHERE m.type = 'table'"
)
# Plain columns only: pg_get_indexdef and its like lock the table that they describe, and `look` is also called
# from a second connection while the first holds such locks.
_POSTGRESQL: Final = sa.text(
    r"""
    WITH facts(relation, fact) AS (
        SELECT oid, concat_ws(':', 'rel', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relfilenode)
        FROM pg_class
        UNION ALL
        SELECT attrelid, concat_ws(':', 'att', attnum, attname, atttypid, atttypmod, attnotnull, attidentity,
                                   attgenerated, attcollation, attisdropped)
        FROM pg_attribute WHERE attnum > 0
        UNION ALL
        SELECT adrelid, concat_ws(':', 'def', adnum, adbin::text) FROM pg_attrdef
        UNION ALL
        SELECT c.conrelid, concat_ws(':', 'con', c.conname, c.contype, c.convalidated, c.condeferrable, c.condeferred,
                                     p.relname, c.confdeltype, c.confupdtype, c.conkey, c.confkey, c.conbin::text)
        FROM pg_constraint c LEFT JOIN pg_class p ON p.oid = c.confrelid
        UNION ALL
        SELECT x.indrelid, concat_ws(':', 'idx', i.relname, x.indisunique, x.indkey::text, x.indclass::text,
                                     x.indoption::text, x.indexprs::text, x.indpred::text)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        UNION ALL
        SELECT tgrelid, concat_ws(':', 'trg', tgname, tgtype, tgenabled, tgfoid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT ev_class, concat_ws(':', 'rul', rulename, ev_type, ev_action::text) FROM pg_rewrite
        UNION ALL
        SELECT polrelid, concat_ws(':', 'pol', polname, polcmd, polqual::text, polwithcheck::text) FROM pg_policy
    )
    SELECT CASE WHEN n.nspname = current_schema() THEN '' ELSE n.nspname || '.' END || r.relname AS name,
           r.relkind IN ('r', 'p') AS is_table,
           md5(string_agg(f.fact, E'\n' ORDER BY f.fact)) AS digest
    FROM pg_class r
    JOIN pg_namespace n ON n.oid = r.relnamespace
    JOIN facts f ON f.relation = r.oid
    WHERE r.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND n.nspname NOT LIKE 'pg~_%' ESCAPE '~' AND n.nspname <> 'information_schema'
    GROUP BY n.nspname, r.relname, r.relkind
    """
)
_POSTGRESQL_LINKS: Final = sa.text(
    """
    SELECT t.relname, CASE WHEN p.relnamespace = t.relnamespace THEN '' ELSE p.relnamespace::regnamespace || '.' END
           || p.relname,
           CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE '' END
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid
    JOIN pg_class p ON p.oid = c.confrelid
    WHERE c.contype = 'f' AND t.relnamespace = current_schema()::regnamespace
    """
)
_SURVIVES: Final = ("CASCADE", "SET NULL")


@dataclass(frozen=True)
class Thing:
    """A table, view or sequence with all that hangs on it; equal while nothing about it has changed."""

    is_table: bool
    facts: object


def look(connection: sa.Connection) -> dict[str, Thing]:
    """Read the catalogue: every table, view and sequence by name, in another schema than ours as `schema.name`."""
    if connection.dialect.name == "postgresql":
        return {row.name: Thing(row.is_table, row.digest) for row in connection.execute(_POSTGRESQL)}
    parts: dict[str, set[tuple[str, str, str | None]]] = defaultdict(set)
    for table, kind, name, statement in connection.execute(_SQLITE):
        parts[table].add((kind, name, statement))
    return {table: Thing(any(kind == "table" for kind, *_ in facts), facts) for table, facts in parts.items()}


def foreign_changes(plugin: str, before: Mapping[str, Thing], after: Mapping[str, Thing]) -> set[str]:
    """Name what was added, changed or dropped and is not the plugin's."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name) and _owner(name) != plugin}


def own_tables(plugin: str, catalogue: Mapping[str, Thing]) -> tuple[str, ...]:
    """Name the tables of a plugin."""
    return tuple(sorted(name for name, thing in catalogue.items() if thing.is_table and _owner(name) == plugin))


def check_changes(step: Step, foreign: Collection[str]) -> None:
    """Refuse a revision that changed `foreign`, what is not its plugin's. Raises `PluginFault`."""
    if foreign:
        raise changed(step, set(foreign))


def check_links(
    connection: sa.Connection, step: Step, requires: Collection[str], catalogue: Mapping[str, Thing]
) -> None:
    """Refuse foreign keys that would stand in the way once a plugin is gone. Raises `PluginFault`.

    To tables of another plugin, only of one that is required, and only with ON DELETE SET NULL or CASCADE:
    the key outlives the plugin's package, and must not keep anybody from deleting rows.
    """
    there = {name.lower() for name in catalogue}
    links = _SQLITE_LINKS if connection.dialect.name == "sqlite" else _POSTGRESQL_LINKS
    for table, parent, on_delete in connection.execute(links):
        child, owner = _owner(table), _owner(parent)
        if step.plugin in (child, owner) and parent.lower() not in there:
            _refuse(step, f"leaves {table} with a foreign key to {parent}, which is not there", "Drop the key first.")
        if child != step.plugin or owner == step.plugin:
            continue
        if owner not in (*requires, CORE):
            text = f"gives {table} a foreign key to {parent}, and {step.plugin} does not require {owner or 'its owner'}"
            _refuse(step, text, "Keep the id without a foreign key, or require the plugin in plugin.json.", owner)
        if on_delete not in _SURVIVES:
            text = f"gives {table} a foreign key to {parent} that keeps rows of {owner} from being deleted"
            _refuse(step, text, 'Say ondelete="CASCADE" or ondelete="SET NULL".', owner)


def check_rows(connection: sa.Connection, step: Step) -> None:
    """Refuse rows that point nowhere; on SQLite nothing else looks, since foreign keys are off meanwhile."""
    if connection.dialect.name != "sqlite":
        return
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        if step.plugin in (_owner(table), _owner(parent)):
            _refuse(step, f"leaves rows in {table} whose row in {parent} is not there", "Delete or mend them first.")


def _owner(name: str) -> str:
    """Name the plugin that a table belongs to: no id has a `_`; none outside our schema has an owner."""
    owner, underscore, _ = name.partition("_")
    return owner if underscore and "." not in name else ""


def _refuse(step: Step, text: str, way_out: str, *others: str) -> None:
    raise PluginFault(
        Reason(
            code="migration_foreign",
            text=f"{step.revision} ({step.path}) {text}. It was rolled back.",
            culprits=(step.plugin, *sorted({other for other in others if other})),
            way_out=way_out,
        )
    )
