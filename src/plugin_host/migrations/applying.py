"""Apply steps, one after the other: a transaction for each revision with its row in the ledger.

A revision that fails is rolled back whole; its plugin stops there with a reason, those that require it are held, and
all others go on. One that says `transactional = False` is marked as begun first, in a transaction of its own, then
runs on PostgreSQL outside of any, and is marked as done; whoever is killed in between leaves the mark.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from plugin_host.migrations import ledger, ownership
from plugin_host.migrations.failures import half_done, reason_of
from plugin_host.migrations.guard import guarded
from plugin_host.migrations.locking import is_table_locked, reading, whole, writing
from plugin_host.migrations.planning import MigrationError, Wait
from plugin_host.migrations.revisions import loaded
from plugin_host.migrations.schedule import dependents
from plugin_host.sdk.errors import PluginFault, Reason
from plugin_host.sdk.models import NAMING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plugin_host.migrations.locking import Patience
    from plugin_host.migrations.planning import MigrationPlan
    from plugin_host.migrations.revisions import Source
    from plugin_host.migrations.schedule import Step

log = logging.getLogger("plugin_host.migrations")

# `alembic.op` is one for the whole process: two threads would run their revisions on each other's connection.
_ALEMBIC: Final = threading.Lock()
LONG: Final = 10.0
"""Seconds after which somebody who waits is told that a revision still runs."""


@dataclass(frozen=True)
class Outcome:
    """What was done: `applied` revisions in their order, by this process; the rest as in `MigrationPlan`."""

    applied: tuple[str, ...]
    faults: Mapping[str, Reason]
    orphans: tuple[str, ...]
    held: Mapping[str, str] = field(default_factory=dict)
    waits: Mapping[str, Wait] = field(default_factory=dict)


class Applying:
    """One run over a plan, under the lock."""

    def __init__(
        self, engine: sa.Engine, sources: Sequence[Source], patience: Patience, tell: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._sources = {source.plugin: source for source in sources}
        self._patience = patience
        self._tell = tell

    def run(self, plan: MigrationPlan) -> Outcome:
        """Apply what the plan says."""
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
        return Outcome(tuple(applied), faults, plan.orphans, held, plan.waits)

    def revert(self, step: Step) -> None:
        """Take one step back, in one transaction. Raises what its `downgrade()` raises, and `MigrationError`."""
        source = self._sources[step.plugin]
        started = time.perf_counter()
        with writing(self._engine, self._patience) as connection:
            if ledger.read_number(connection, step.plugin) != step.number:
                raise _moved(step)
            before = ownership.look(connection)
            with whole(connection), guarded(connection, step) as judge:
                change(connection, step, "downgrade")
            objects = self._check(connection, step, before, judge)
            ledger.write_history(connection, ledger.Attempt(step, source.version, "ok", _ms(started), op="down"))
            ledger.lower_head(connection, step, objects)

    def _attempt(self, step: Step, applied: list[str]) -> Reason | None:
        """Apply one step and tell how it went; give the reason when it failed."""
        line = f"{step.plugin} {step.path.stem} …"
        started = time.perf_counter()
        long = threading.Timer(LONG, self._tell, [f"{line} still runs"])
        long.daemon = True
        long.start()
        try:
            done = self._apply_patiently(step, started)
        except MigrationError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # the operator's own
            # Whatever else it is, SystemExit too, a plugin's code raised it.
            reason = error.reason if isinstance(error, PluginFault) else reason_of(step, error)
            self._tell(f"{line} failed: {reason.text}")
            self._remember(step, started, reason.text)
            return reason
        finally:
            long.cancel()
        if done:
            applied.append(step.revision)
            self._tell(f"{line} done ({_ms(started)} ms)")
        return None

    def _apply_patiently(self, step: Step, started: float) -> bool:
        """Apply one step, again if a table was locked: everything was rolled back, so that nothing is done twice."""
        if not step.transactional and self._engine.dialect.name == "postgresql":
            return self._apply_alone(step, started)
        for attempt in range(1, self._patience.tries):
            try:
                return self._apply(step, started)
            except DBAPIError as error:
                if not is_table_locked(error):
                    raise
                self._tell(f"{step.plugin} {step.path.stem} … a table is in use; try {attempt + 1} follows")
                time.sleep(self._patience.table * attempt / 10)
        return self._apply(step, started)

    def _apply(self, step: Step, started: float) -> bool:
        """Apply one step in one transaction. Answers False when another process has done so meanwhile."""
        source = self._sources[step.plugin]
        with writing(self._engine, self._patience) as connection:
            if not _is_next(connection, step):
                return False
            before = ownership.look(connection)
            with whole(connection), guarded(connection, step) as judge:
                change(connection, step, "upgrade")
            objects = self._check(connection, step, before, judge)
            ledger.write_history(connection, ledger.Attempt(step, source.version, "ok", _ms(started)))
            if not ledger.write_head(connection, step, objects, source.requires):
                raise _moved(step)
        return True

    def _apply_alone(self, step: Step, started: float) -> bool:
        """Apply one step outside of a transaction: what it did stays, whatever happens."""
        source = self._sources[step.plugin]
        with writing(self._engine, self._patience) as connection:
            if not _is_next(connection, step):
                return False
            objects = ownership.own_tables(step.plugin, ownership.look(connection))
            ledger.write_history(connection, ledger.Attempt(step, source.version, "dirty"))
            ledger.write_head(connection, step, objects, source.requires, state="dirty")
        try:
            with reading(self._engine) as connection:  # outside of a transaction
                before = ownership.look(connection)
                change(connection, step, "upgrade")
                objects = self._check(connection, step, before, lambda: None)
        except Exception as error:
            reason = error.reason if isinstance(error, PluginFault) else reason_of(step, error)
            with reading(self._engine) as connection:
                raise PluginFault(half_done(step, reason, invalid_indexes(connection, step.plugin))) from error
        with writing(self._engine, self._patience) as connection:
            ledger.write_history(connection, ledger.Attempt(step, source.version, "ok", _ms(started)))
            ledger.clean_head(connection, step.plugin, step.revision, objects)
        return True

    def _check(
        self,
        connection: sa.Connection,
        step: Step,
        before: Mapping[str, ownership.Thing],
        judge: Callable[[], None],
    ) -> tuple[str, ...]:
        """Hold what the revision did to the rules, and give the plugin's tables."""
        after = ownership.look(connection)
        foreign = ownership.foreign_changes(step.plugin, before, after)
        if foreign and connection.dialect.name == "postgresql" and step.transactional:
            # What a second connection sees too was committed by somebody else meanwhile.
            with reading(self._engine) as outside:
                foreign &= ownership.foreign_changes(step.plugin, ownership.look(outside), after)
        ownership.check_changes(step, foreign)
        judge()
        ownership.check_links(connection, step, self._sources[step.plugin].requires, after)
        ownership.check_rows(connection, step)
        return ownership.own_tables(step.plugin, after)

    def _remember(self, step: Step, started: float, error: str) -> None:
        """Write a failure down; a database that cannot even take that must not stop the other plugins."""
        try:
            with writing(self._engine, self._patience) as connection:
                version = self._sources[step.plugin].version
                ledger.write_history(connection, ledger.Attempt(step, version, "failed", _ms(started), error))
        except DBAPIError as problem:
            log.warning("the failure of %s could not be written down: %s", step.revision, problem.orig)


def change(connection: sa.Connection, step: Step, direction: Literal["upgrade", "downgrade"]) -> None:
    """Run what a revision does."""
    # Here and not above: a start with nothing to do does not pay for it.
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415

    context = MigrationContext.configure(connection, opts=_options())
    with _ALEMBIC, Operations.context(context), loaded(step) as module:
        getattr(module, direction)()


def change_offline(step: Step, dialect: str, buffer: TextIO) -> None:
    """Write the SQL of a revision into a buffer. Raises what a revision raises that asks a database."""
    from alembic.migration import MigrationContext  # noqa: PLC0415 - as above
    from alembic.operations import Operations  # noqa: PLC0415

    options = {**_options(), "as_sql": True, "output_buffer": buffer}
    context = MigrationContext.configure(dialect_name=dialect, opts=options)
    with _ALEMBIC, Operations.context(context), loaded(step) as module:
        module.upgrade()


def _options() -> dict[str, Any]:
    # So that what a revision leaves without a name gets the one that the models give it.
    return {"target_metadata": sa.MetaData(naming_convention=NAMING)}


def invalid_indexes(connection: sa.Connection, plugin: str) -> tuple[str, ...]:
    """Name the indexes of a plugin that CREATE INDEX CONCURRENTLY did not finish; there are none on SQLite."""
    if connection.dialect.name != "postgresql":
        return ()
    return tuple(
        connection.execute(
            sa.text(
                "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
                " JOIN pg_class t ON t.oid = x.indrelid WHERE NOT x.indisvalid"
                " AND t.relnamespace = current_schema()::regnamespace AND starts_with(t.relname::text, :prefix)"
                " ORDER BY 1"
            ),
            {"prefix": f"{plugin}_"},
        ).scalars()
    )


def _is_next(connection: sa.Connection, step: Step) -> bool:
    """Tell whether the step is still to be done. Raises `MigrationError` where the one before it is not there."""
    at = ledger.read_number(connection, step.plugin)
    if at >= step.number:
        return False
    if at != step.number - 1:
        raise _moved(step)
    return True


def _moved(step: Step) -> MigrationError:
    return MigrationError(f"somebody else moved {step.plugin} away from the revision before {step.revision}; run again")


def _ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
