"""Hold a database against the files: what was applied, what the tables look like, and what points nowhere.

Nothing is written, and it never runs at a start: every file is read, and every revision run, in a scratch place.
"""

from __future__ import annotations

import asyncio
import difflib
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from plugin_host.core.migrating.sources import home, homes
from plugin_host.migrations import ledger
from plugin_host.migrations.applying import invalid_indexes
from plugin_host.migrations.locking import reading
from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.revisions import read_text, revision_files, same_code
from plugin_host.migrations.schedule import revision_id, revision_number
from plugin_host.migrations.scratch import wanted_shape
from plugin_host.migrations.shape import differences, shape_of
from plugin_host.sdk.errors import PluginFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.migrating.sources import Home
    from plugin_host.core.planner import Planner


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be. `diff` shows what was edited, old lines first."""

    kind: str
    text: str
    diff: str | None = None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one plugin; without `troubles` all is well."""

    plugin: str
    revision: str | None
    troubles: tuple[Trouble, ...]


async def verify(planner: Planner, plugin: str | None) -> tuple[Verified, ...]:
    """Verify one plugin, or all that are installed. Raises `MigrationError` where there is none of that id."""
    found = [await home(planner, plugin)] if plugin is not None else await homes(planner)
    return tuple([await asyncio.to_thread(_verify, each) for each in found])


def _verify(where: Home) -> Verified:
    if not where.database.exists():
        return Verified(plugin=where.plugin, revision=None, troubles=())
    with where.database.migration_engine() as engine, reading(engine) as connection:
        head = ledger.read_heads(connection).get(where.plugin)
        try:
            troubles = tuple(_troubles(where, connection, head))
        except PluginFault as fault:
            troubles = (Trouble(kind="files", text=fault.reason.text),)
    return Verified(plugin=where.plugin, revision=head.revision if head is not None else None, troubles=troubles)


def _troubles(where: Home, connection: sa.Connection, head: ledger.Head | None) -> Iterator[Trouble]:
    files = revision_files(where.source)
    if head is None:
        tables = sorted(set(shape_of(connection, where.plugin)) - set(ledger.METADATA.tables))
        if tables:
            yield Trouble(kind="unrecorded", text=f"{', '.join(tables)}: the ledger knows of no revision")
        return
    if head.state == "dirty":
        yield Trouble(kind="dirty", text=f"{head.revision} was not finished")
    at = revision_number(head.revision)
    applied = ledger.read_applied(connection, where.plugin)
    for number, path in enumerate(files[:at], 1):
        revision = revision_id(where.plugin, number)
        ran, now = applied.get(revision), read_text(where.source, path)
        if ran is None:
            yield Trouble(kind="history", text=f"{revision} is applied, and the history does not say what ran")
        elif not same_code(ran.source, now):
            lines = difflib.unified_diff(
                ran.source.splitlines(), now.splitlines(), "as it was applied", str(path), lineterm="", n=2
            )
            yield Trouble(kind="edited", text=f"{revision} was edited after it was applied", diff="\n".join(lines))
    if at > len(files):
        missing = ", ".join(revision_id(where.plugin, number) for number in range(len(files) + 1, at + 1))
        yield Trouble(kind="newer", text=f"{missing}: applied, and version {where.source.version} does not bring it")
    elif head.state == "ok":
        yield from _drift(where, connection, at)
    yield from _broken(where, connection)


def _drift(where: Home, connection: sa.Connection, at: int) -> Iterator[Trouble]:
    try:
        wanted = wanted_shape(where.database, where.sources, where.plugin, str(at))
    except MigrationError as error:
        yield Trouble(kind="drift", text=f"what the revisions make cannot be told: {error}")
        return
    found = {
        table: parts
        for table, parts in shape_of(connection, where.plugin).items()
        if table not in ledger.METADATA.tables
    }
    for text in differences(wanted, found):
        yield Trouble(kind="drift", text=text)


def _broken(where: Home, connection: sa.Connection) -> Iterator[Trouble]:
    """Find rows that point nowhere, indexes that were not finished, and keys that nobody has checked."""
    prefix = f"{where.plugin}_"
    if connection.dialect.name == "sqlite":
        broken = {row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check") if row[0].startswith(prefix)}
        for table in sorted(broken):
            yield Trouble(kind="rows", text=f"rows of {table} point to rows that are not there")
        return
    for name in invalid_indexes(connection, where.plugin):
        yield Trouble(kind="index", text=f"the index {name} was not finished, and is not used")
    unchecked = connection.execute(
        sa.text(
            "SELECT c.conname, t.relname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
            " WHERE NOT c.convalidated AND t.relnamespace = current_schema()::regnamespace"
            " AND starts_with(t.relname::text, :prefix) ORDER BY 1"
        ),
        {"prefix": prefix},
    )
    for constraint, table in unchecked:
        yield Trouble(kind="constraint", text=f"{constraint} of {table} is NOT VALID: old rows were not looked at")
