"""Bring the tables up to date: plan, then one transaction for each revision with its row in the ledger.

1. Look: one query and one listing for each plugin. Nothing to do is the usual answer, and ends here; alembic is
   not imported.
2. Take the lock, make the ledger if it is not there, and plan again: another process may just have been busy.
3. Apply step by step. A revision that fails is rolled back whole; its plugin stops there with a reason, those
   that require it are held, and all others go on.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from plugin_host.migrations import ledger, ownership
from plugin_host.migrations.guard import guarded
from plugin_host.migrations.ledger import Head
from plugin_host.migrations.locking import (
    Patience,
    TransactionEndedError,
    is_table_locked,
    one_process,
    reading,
    whole,
    writing,
)
from plugin_host.migrations.planning import MigrationError, MigrationPlan, make_plan
from plugin_host.migrations.revisions import Source, loaded
from plugin_host.migrations.schedule import Step, dependents
from plugin_host.sdk.errors import PluginFault, Reason
from plugin_host.sdk.models import NAMING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plugin_host.database import Database

__all__ = ["Head", "MigrationError", "MigrationPlan", "Outcome", "Patience", "Runner", "Source", "Step"]

log = logging.getLogger("plugin_host.migrations")

# `alembic.op` is one for the whole process: two threads would run their revisions on each other's connection.
_ALEMBIC: Final = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """What was done: `applied` revisions in their order, by this process; the rest as in `MigrationPlan`."""

    applied: tuple[str, ...]
    faults: Mapping[str, Reason]
    orphans: tuple[str, ...]
    held: Mapping[str, str] = field(default_factory=dict)


class Runner:
    """Migrates one database. Synchronous: an asynchronous caller hands it to a thread."""

    def __init__(self, database: Database, patience: Patience | None = None) -> None:
        self._database = database
        self._patience = patience or Patience()

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
                plan = self._plan(engine, sources, plugin, to)
                outcome = _Run(engine, sources, self._patience, tell).run(plan)
        else:
            outcome = Outcome((), plan.faults, plan.orphans, plan.held)
        for name, root in outcome.held.items():
            tell(f"{name} … not migrated: it waits for {root}")
        return outcome

    def _exists(self) -> bool:
        return self._database.path is None or Path(self._database.path).exists()

    def _plan(self, engine: sa.Engine, sources: Sequence[Source], plugin: str | None, to: str | None) -> MigrationPlan:
        with reading(engine) as connection:
            heads = {name: head.revision for name, head in ledger.read_heads(connection).items()}
            return make_plan(sources, heads, lambda name: ledger.read_applied(connection, name), plugin=plugin, to=to)


class _Run:
    """One run over a plan, under the lock."""

    def __init__(
        self, engine: sa.Engine, sources: Sequence[Source], patience: Patience, tell: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._sources = {source.plugin: source for source in sources}
        self._patience = patience
        self._tell = tell

    def run(self, plan: MigrationPlan) -> Outcome:
        requires = {source.plugin: source.requires for source in self._sources.values()}
        applied: list[str] = []
        faults = dict(plan.faults)
        held = dict(plan.held)
        for number, step in enumerate(plan.steps, 1):
            if step.plugin in faults or step.plugin in held:
                continue
            reason = self._attempt(step, applied)
            if reason is not None:
                faults[step.plugin] = reason
                waiting = {later.plugin for later in plan.steps[number:]}
                held |= {name: root for name, root in dependents(requires, faults).items() if name in waiting}
        return Outcome(tuple(applied), faults, plan.orphans, held)

    def _attempt(self, step: Step, applied: list[str]) -> Reason | None:
        """Apply one step and tell how it went; give the reason when it failed."""
        line = f"{step.plugin} {step.path.stem} …"
        started = time.perf_counter()
        try:
            done = self._apply_patiently(step, started)
        except MigrationError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # the operator's own
            # Whatever else it is, SystemExit too, a plugin's code raised it.
            reason = error.reason if isinstance(error, PluginFault) else _reason(step, error)
            self._tell(f"{line} failed: {reason.text}")
            self._remember(step, started, reason.text)
            return reason
        if done:
            applied.append(step.revision)
            self._tell(f"{line} done ({_ms(started)} ms)")
        return None

    def _apply_patiently(self, step: Step, started: float) -> bool:
        """Apply one step, again if a table was locked: everything was rolled back, so that nothing is done twice."""
        for attempt in range(1, self._patience.tries):
            try:
                return self._apply(step, started)
            except DBAPIError as error:
                if not is_table_locked(error):
                    raise
                time.sleep(self._patience.table * attempt / 10)
        return self._apply(step, started)

    def _apply(self, step: Step, started: float) -> bool:
        """Apply one step in one transaction. Answers False when another process has done so meanwhile."""
        source = self._sources[step.plugin]
        with _ALEMBIC, writing(self._engine, self._patience) as connection:
            at = ledger.read_number(connection, step.plugin)
            if at >= step.number:
                return False
            if at != step.number - 1:
                raise _went_back(step)
            before = ownership.look(connection)
            with whole(connection), guarded(connection, step) as judge:
                _upgrade(connection, step)
            objects = self._check(connection, step, source, before, judge)
            ledger.write_history(connection, step, source.version, "ok", _ms(started))
            if not ledger.write_head(connection, step, objects, source.requires):
                raise _went_back(step)
        return True

    def _check(
        self,
        connection: sa.Connection,
        step: Step,
        source: Source,
        before: Mapping[str, ownership.Thing],
        judge: Callable[[], None],
    ) -> tuple[str, ...]:
        """Hold what the revision did to the rules, and give the plugin's tables."""
        after = ownership.look(connection)
        foreign = ownership.foreign_changes(step.plugin, before, after)
        if foreign and connection.dialect.name == "postgresql":
            # What a second connection sees too was committed by somebody else meanwhile.
            with reading(self._engine) as outside:
                foreign &= ownership.foreign_changes(step.plugin, ownership.look(outside), after)
        ownership.check_changes(step, foreign)
        judge()
        ownership.check_links(connection, step, source.requires, after)
        ownership.check_rows(connection, step)
        return ownership.own_tables(step.plugin, after)

    def _remember(self, step: Step, started: float, error: str) -> None:
        """Write a failure down; a database that cannot even take that must not stop the other plugins."""
        try:
            with writing(self._engine, self._patience) as connection:
                version = self._sources[step.plugin].version
                ledger.write_history(connection, step, version, "failed", _ms(started), error)
        except DBAPIError as problem:
            log.warning("the failure of %s could not be written down: %s", step.revision, problem.orig)


def _upgrade(connection: sa.Connection, step: Step) -> None:
    # Here and not above: a start with nothing to do does not pay for it.
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415

    # So that what a revision leaves without a name gets the one that the models give it.
    options = {"target_metadata": sa.MetaData(naming_convention=NAMING)}
    with Operations.context(MigrationContext.configure(connection, opts=options)), loaded(step) as module:
        module.upgrade()


def _went_back(step: Step) -> MigrationError:
    return MigrationError(f"somebody else moved {step.plugin} away from the revision before {step.revision}; run again")


def _reason(step: Step, error: BaseException) -> Reason:
    where = next(
        (
            f":{at.lineno}"
            for at in reversed(traceback.extract_tb(error.__traceback__))
            if at.filename == str(step.path)
        ),
        "",
    )
    end = "It was rolled back."
    way_out = f"Correct it and run `plugin-host migrate {step.plugin}`, or install the version before."
    if isinstance(error, TransactionEndedError):
        end = "What it did before may have stayed."
        way_out = "Take COMMIT and ROLLBACK out of the revision, and bring the tables back as they were."
    elif is_table_locked(error):
        way_out = f"End whoever keeps the table locked, and run `plugin-host migrate {step.plugin}`."
    return Reason(
        code="migration_failed",
        text=f"{step.revision} ({step.path}{where}) failed: {_first_line(error)}. {end}",
        culprits=(step.plugin,),
        way_out=way_out,
    )


def _first_line(error: BaseException) -> str:
    """Give the kind of an error and the first line of what it says, without SQLAlchemy's own wrapping."""
    told = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    line = next(iter(str(told).splitlines()), "").rstrip(".")
    return f"{type(told).__name__}: {line}" if line else type(told).__name__


def _ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _silent(_line: str) -> None:
    pass
