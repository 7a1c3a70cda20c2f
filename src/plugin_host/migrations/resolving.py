"""Ways out for an operator: a revision that was not finished, tables without a ledger, and going back.

Nothing here happens by itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugin_host.migrations import ledger, ownership
from plugin_host.migrations.applying import Applying, change, invalid_indexes
from plugin_host.migrations.belongings import quoted
from plugin_host.migrations.failures import reason_of
from plugin_host.migrations.locking import Patience, one_process, reading, writing
from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.revisions import needs_of, read_step, revision_files
from plugin_host.migrations.schedule import revision_id, revision_number
from plugin_host.migrations.shape import differences, lost, shape_of
from plugin_host.sdk.errors import PluginFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from plugin_host.database import Database
    from plugin_host.migrations.revisions import Source
    from plugin_host.migrations.schedule import Step
    from plugin_host.migrations.shape import Shape


@dataclass(frozen=True)
class Descent:
    """What going back would do: these steps, newest first, and `lost` tables and columns with what is in them."""

    steps: tuple[Step, ...]
    lost: tuple[str, ...]

    @property
    def revisions(self) -> tuple[str, ...]:
        """The revisions that would be taken back."""
        return tuple(step.revision for step in self.steps)


def resolve(database: Database, source: Source, *, applied: bool, patience: Patience | None = None) -> str:
    """Say of a revision that was not finished that it is done now (`applied`), or is to be tried again.

    To be tried again it must be undone: indexes that were not finished are dropped here. Gives the revision. Raises
    `MigrationError` where there is nothing to resolve.
    """
    patience = patience or Patience()
    with database.migration_engine() as engine, one_process(engine, patience):
        with reading(engine) as connection:
            head = ledger.read_heads(connection).get(source.plugin)
        if head is None or head.state != "dirty":
            raise MigrationError(f"{source.plugin} has no revision that was not finished")
        step = _step(source, revision_number(head.revision))
        with writing(engine, patience) as connection:
            objects = ownership.own_tables(source.plugin, ownership.look(connection))
            if applied:
                ledger.write_history(connection, ledger.Attempt(step, source.version, "ok"))
                ledger.clean_head(connection, source.plugin, step.revision, objects)
            else:
                for name in invalid_indexes(connection, source.plugin):
                    connection.exec_driver_sql(f"DROP INDEX {quoted(name)}")
                ledger.write_history(connection, ledger.Attempt(step, source.version, "ok", op="retry"))
                ledger.lower_head(connection, step, objects)
    return step.revision


def adopt(database: Database, source: Source, at: str, wanted: Shape, patience: Patience | None = None) -> str:
    """Write down that the tables of a plugin, which are there without a ledger, are as revision `at` makes them.

    `wanted` is what that revision makes, as an empty database had it. Gives the revision. Raises `MigrationError`
    where the ledger knows the plugin, or the tables are otherwise: nothing is written then.
    """
    patience = patience or Patience()
    files = revision_files(source)
    number = target_number(source.plugin, at, len(files))
    if number == 0:
        raise MigrationError(f"name the revision that made the tables of {source.plugin}: --at {source.plugin}_0001")
    with database.migration_engine() as engine, one_process(engine, patience), writing(engine, patience) as connection:
        ledger.create_ledger(connection)
        if source.plugin in ledger.read_heads(connection):
            raise MigrationError(f"the ledger knows {source.plugin} already; plugin-host migrations history shows it")
        told = differences(wanted, shape_of(connection, source.plugin))
        if told:
            raise MigrationError(
                f"the tables of {source.plugin} are not what {revision_id(source.plugin, number)} makes:"
                f" {'; '.join(told)}. Bring them in line, or name another revision; nothing was written"
            )
        objects = json.dumps(sorted(ownership.own_tables(source.plugin, ownership.look(connection))))
        for path in files[:number]:
            attempt = ledger.Attempt(read_step(source, path), source.version, "ok", op="adopt")
            ledger.write_history(connection, attempt)
        connection.execute(
            ledger.HEAD.insert().values(
                plugin=source.plugin,
                revision=revision_id(source.plugin, number),
                state="ok",
                objects=objects,
                requires=json.dumps(sorted(source.requires)),
            )
        )
    return revision_id(source.plugin, number)


def preview_descent(
    database: Database, source: Source, to: str, others: Sequence[str] = (), patience: Patience | None = None
) -> Descent:
    """Say what going back to a revision would do, by doing it in a transaction that is rolled back.

    `others` are the plugins of the same database. Raises `MigrationError` where it cannot be done.
    """
    patience = patience or Patience()
    with database.migration_engine() as engine, one_process(engine, patience):
        with reading(engine) as connection:
            steps = _descent(connection, source, to, others)
        if not steps:
            return Descent((), ())
        with engine.connect() as connection, connection.begin() as transaction:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(patience.table * 1000)}ms'")
            before = shape_of(connection, source.plugin)
            try:
                for step in steps:
                    change(connection, step, "downgrade")
                after = shape_of(connection, source.plugin)
            except Exception as error:
                told = reason_of(steps[-1], error).text
                raise MigrationError(f"{source.plugin} cannot go back to {to}: {told}") from error
            finally:
                transaction.rollback()
        return Descent(steps, lost(before, after))


def descend(
    database: Database,
    source: Source,
    to: str,
    others: Sequence[str] = (),
    *,
    progress: Callable[[str], None],
    patience: Patience | None = None,
) -> tuple[str, ...]:
    """Take revisions back, newest first, each in a transaction of its own, and name them.

    Raises `MigrationError` for the first that fails: those before it are gone, it is whole.
    """
    patience = patience or Patience()
    done: list[str] = []
    with database.migration_engine() as engine, one_process(engine, patience):
        with reading(engine) as connection:
            steps = _descent(connection, source, to, others)
        applying = Applying(engine, [source], patience, progress)
        for step in steps:
            try:
                applying.revert(step)
            except MigrationError:
                raise
            except PluginFault as fault:
                raise MigrationError(fault.reason.text) from fault
            except Exception as error:
                raise MigrationError(reason_of(step, error).text) from error
            done.append(step.revision)
            progress(f"{source.plugin} {step.path.stem} … taken back")
    return tuple(done)


def target_number(plugin: str, to: str, most: int) -> int:
    """Give the number of a revision that somebody names: `contacts_0002`, `2`, or `0` for before the first."""
    number = int(to) if to.isdecimal() else -1
    if number < 0 and to.startswith(f"{plugin}_") and to.removeprefix(f"{plugin}_").isdecimal():
        number = revision_number(to)
    if not 0 <= number <= most:
        can = f"there are {plugin}_0001 to {revision_id(plugin, most)}" if most else "it has none"
        raise MigrationError(f"{to!r} is no revision of {plugin}: {can}")
    return number


def _descent(connection: sa.Connection, source: Source, to: str, others: Sequence[str]) -> tuple[Step, ...]:
    head = ledger.read_heads(connection).get(source.plugin)
    if head is None:
        raise MigrationError(f"{source.plugin} has no tables here: there is nothing to go back from")
    at = revision_number(head.revision)
    files = revision_files(source)
    number = target_number(source.plugin, to, at)
    if number >= at:
        return ()
    if head.state == "dirty":
        raise MigrationError(f"{head.revision} was not finished: plugin-host migrations resolve {source.plugin} first")
    if len(files) < at:
        raise MigrationError(
            f"{source.plugin} {source.version} does not bring {head.revision}, and cannot take it back:"
            " do this with the version that made it"
        )
    for other in others:
        _check_needs(connection, source.plugin, number, other)
    steps = tuple(_step(source, each) for each in range(at, number, -1))
    for step in steps:
        if "def downgrade" not in step.source:
            raise MigrationError(
                f"{step.revision} has no downgrade(): restore a copy of the database instead, or write the way back"
            )
    return steps


def _check_needs(connection: sa.Connection, plugin: str, number: int, other: str) -> None:
    """Refuse to take back what the applied revisions of another plugin stand on."""
    head = ledger.read_heads(connection).get(other)
    if head is None or other == plugin:
        return
    for revision, applied in ledger.read_applied(connection, other).items():
        if (
            revision_number(revision) <= revision_number(head.revision)
            and needs_of(applied.source).get(plugin, 0) > number
        ):
            raise MigrationError(
                f"{revision} needs {revision_id(plugin, needs_of(applied.source)[plugin])}: take {other} back first"
            )


def _step(source: Source, number: int) -> Step:
    files = revision_files(source)
    if number > len(files):
        raise MigrationError(
            f"{source.plugin} {source.version} does not bring {revision_id(source.plugin, number)}: install the"
            " version that does"
        )
    return read_step(source, files[number - 1])
