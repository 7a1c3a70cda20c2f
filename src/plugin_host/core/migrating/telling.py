"""What there is to know of migrations: where each plugin stands, what waits, what is kept, and what was done."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from plugin_host.core.migrating.sources import places
from plugin_host.migrations import ledger
from plugin_host.migrations.locking import reading
from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from plugin_host.core.planner import Planner
    from plugin_host.database import Database
    from plugin_host.migrations.planning import MigrationPlan


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tables of one plugin stand: `state` is ok, or dirty where a revision was not finished.

    `database` is `default`, or `own`.
    """

    plugin: str
    revision: str
    state: str
    tables: tuple[str, ...]
    requires: tuple[str, ...]
    database: str = "default"


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A revision that waits; `held` says for whom, null where it would be applied."""

    plugin: str
    revision: str
    phase: str | None = None
    held: str | None = None


class Migrations(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /api/core/migrations` answers."""

    ledger: tuple[Standing, ...]
    pending: tuple[Pending, ...]
    faults: dict[str, Reason]
    orphans: tuple[str, ...]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the history: `op` is up, down, adopt, retry or purge; `state` ok, failed or dirty."""

    plugin: str
    revision: str
    op: str
    state: str
    version: str
    ms: int
    error: str | None
    at: dt.datetime
    node: str
    actor: str


async def overview(planner: Planner) -> Migrations:
    """Tell where every plugin stands, what waits, and whose tables are here without a package. Writes nothing."""
    plan = await planner.plan()
    pending = await planner.tables.pending(plan)
    standings = await asyncio.to_thread(_standings, planner, {each.database for each in places(planner, plan)})
    return Migrations(
        ledger=tuple(standings),
        pending=waiting(pending),
        faults=dict(pending.faults),
        orphans=tuple(each for each in pending.orphans if plan.entry(each) is None),
    )


def waiting(pending: MigrationPlan) -> tuple[Pending, ...]:
    """Tell which revisions would be applied, and which wait for somebody."""
    steps = [Pending(plugin=step.plugin, revision=step.revision, phase=step.phase) for step in pending.steps]
    held = [
        Pending(plugin=plugin, revision=revision, held=wait.text)
        for plugin, wait in pending.waits.items()
        for revision in wait.revisions
    ]
    return (*steps, *held)


async def history(planner: Planner, plugin: str | None) -> tuple[Attempt, ...]:
    """Tell what was done, of one plugin or all, the latest last; also of one whose package is gone."""
    plan = await planner.plan()
    databases = {each.database for each in places(planner, plan)}
    rows = await asyncio.to_thread(_history, databases, plugin)
    return tuple(sorted(rows, key=lambda row: row.at))


def _standings(planner: Planner, databases: set[Database]) -> list[Standing]:
    found = []
    for database in databases:
        if not database.exists():
            continue
        with database.migration_engine() as engine, reading(engine) as connection:
            heads = ledger.read_heads(connection)
        own = database is not planner.database
        found += [
            Standing(
                plugin=plugin,
                revision=head.revision,
                state=head.state,
                tables=head.objects,
                requires=head.requires,
                database="own" if own else "default",
            )
            for plugin, head in heads.items()
            if plugin != "core" or not own
        ]
    return sorted(found, key=lambda each: (each.plugin != "core", each.plugin))


def _history(databases: set[Database], plugin: str | None) -> list[Attempt]:
    found = []
    for database in databases:
        if not database.exists():
            continue
        with database.migration_engine() as engine, reading(engine) as connection:
            if not sa.inspect(connection).has_table(ledger.HISTORY.name):
                continue
            table = ledger.HISTORY
            columns = [table.c[name] for name in Attempt.__struct_fields__]
            query = sa.select(*columns).order_by(table.c.id)
            if plugin is not None:
                query = query.where(table.c.plugin == plugin)
            found += [Attempt(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name
    return found
