"""Bring the tables up to date: plan, then one transaction for each revision with its row in the ledger.

1. Look: one query and one listing for each plugin. Nothing to do is the usual answer, and ends here; alembic is
   not imported.
2. Take the lock, make the ledger if it is not there, copy a SQLite database that has something to lose, and plan
   again: another process may just have been busy.
3. Apply step by step: see `applying`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from plugin_host.migrations import backup, ledger, ownership
from plugin_host.migrations.applying import Applying, Outcome
from plugin_host.migrations.ledger import Head
from plugin_host.migrations.locking import Patience, one_process, reading, writing
from plugin_host.migrations.planning import MigrationError, MigrationPlan, Surroundings, make_plan
from plugin_host.migrations.revisions import Source
from plugin_host.migrations.schedule import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import sqlalchemy as sa

    from plugin_host.database import Database

__all__ = ["Head", "MigrationError", "MigrationPlan", "Outcome", "Patience", "Runner", "Source", "Step"]


class Runner:
    """Migrates one database. Synchronous: an asynchronous caller hands it to a thread.

    `running` says which versions of a plugin run in other processes, by what people call these; with `backups` a
    SQLite database is copied before it is changed.
    """

    def __init__(
        self,
        database: Database,
        patience: Patience | None = None,
        *,
        running: Callable[[str], Mapping[str, str]] | None = None,
        backups: bool = True,
    ) -> None:
        self._database = database
        self._patience = patience or Patience()
        self._running = running or _nobody
        self._backups = backups

    def state(self) -> Mapping[str, Head]:
        """Read where each plugin stands. Makes nothing, not even the file of a SQLite database."""
        if not self._exists():
            return {}
        with self._database.migration_engine() as engine, reading(engine) as connection:
            return ledger.read_heads(connection)

    def pending(self, sources: Sequence[Source], *, plugin: str | None = None, to: str | None = None) -> MigrationPlan:
        """Say what `upgrade` would do. Makes nothing, and runs no code of a plugin.

        Raises `MigrationError` for a `plugin` or a revision `to` that is not there.
        """
        if not self._exists():
            return make_plan(sources, {}, lambda _: {}, plugin=plugin, to=to)
        with self._database.migration_engine() as engine:
            return self._plan(engine, sources, plugin, to)

    def upgrade(
        self,
        sources: Sequence[Source],
        *,
        plugin: str | None = None,
        to: str | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Outcome:
        """Apply what waits, core first.

        `plugin` limits it to that one and what it requires, `to` to a revision of that one; `progress` is
        called with a line for each revision. What is wrong with a plugin is in the outcome; `MigrationError`
        is raised for a `plugin` or a revision that is not there, and when another process does not finish.
        """
        plan = self.pending(sources, plugin=plugin, to=to)
        tell = progress or _silent
        if plan.steps:
            with self._database.migration_engine() as engine, one_process(engine, self._patience):
                with writing(engine, self._patience) as connection:
                    ledger.create_ledger(connection)
                    self._back_up(connection, sources, plugin, to, tell)
                plan = self._plan(engine, sources, plugin, to)
                outcome = Applying(engine, sources, self._patience, tell).run(plan)
        else:
            outcome = Outcome((), plan.faults, plan.orphans, plan.held, plan.waits)
        for name, root in outcome.held.items():
            tell(f"{name} … not migrated: it waits for {root}")
        for wait in outcome.waits.values():
            tell(wait.text)
        return outcome

    def _exists(self) -> bool:
        # A schema is asked for only where its role may not be there either: that could not even be connected with.
        return self._database.exists() if self._database.path is not None or self._database.role is not None else True

    def _plan(self, engine: sa.Engine, sources: Sequence[Source], plugin: str | None, to: str | None) -> MigrationPlan:
        with reading(engine) as connection:
            return self._plan_on(connection, sources, plugin, to)

    def _plan_on(
        self, connection: sa.Connection, sources: Sequence[Source], plugin: str | None, to: str | None
    ) -> MigrationPlan:
        heads = ledger.read_heads(connection)
        catalogue = cache(lambda: ownership.look(connection))

        def tables(name: str) -> Collection[str]:
            return set(ownership.own_tables(name, catalogue())) - set(ledger.METADATA.tables)

        return make_plan(
            sources,
            {name: head.revision for name, head in heads.items()},
            lambda name: ledger.read_applied(connection, name),
            plugin=plugin,
            to=to,
            around=Surroundings(
                dirty=[name for name, head in heads.items() if head.state == "dirty"],
                tables=tables,
                running=self._running,
            ),
        )

    def _back_up(
        self,
        connection: sa.Connection,
        sources: Sequence[Source],
        plugin: str | None,
        to: str | None,
        tell: Callable[[str], None],
    ) -> None:
        """Copy a SQLite database in which something was migrated before; the connection holds its lock."""
        if self._database.path is None or not self._backups or not ledger.read_heads(connection):
            return
        steps = self._plan_on(connection, sources, plugin, to).steps
        if steps:
            backup.save(Path(self._database.path), steps, tell)


def _nobody(_plugin: str) -> Mapping[str, str]:
    return {}


def _silent(_line: str) -> None:
    pass
