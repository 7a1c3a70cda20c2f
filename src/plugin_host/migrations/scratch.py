"""A place to try revisions in, of which nothing is left: it shows what they make, from nothing.

For SQLite a database of its own in a temporary folder; for PostgreSQL a schema of its own in the database itself, in
a transaction that is rolled back.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event

from plugin_host.database import Database
from plugin_host.migrations.applying import change
from plugin_host.migrations.belongings import quoted
from plugin_host.migrations.failures import reason_of
from plugin_host.migrations.planning import MigrationError, make_plan
from plugin_host.migrations.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from plugin_host.migrations.revisions import Source
    from plugin_host.migrations.shape import Shape


@contextlib.contextmanager
def scratch(database: Database | None = None) -> Iterator[sa.Connection]:
    """Open a connection on which nothing is there and of which nothing stays; like `database`, SQLite without one."""
    if database is not None and database.dialect == "postgresql":
        with database.migration_engine() as engine, engine.connect() as connection, connection.begin() as transaction:
            name = quoted(f"plugin_host_scratch_{secrets.token_hex(6)}")
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
            connection.exec_driver_sql(f"SET LOCAL search_path = {name}")
            event.listen(connection, "before_cursor_execute", _in_one_transaction, retval=True)
            try:
                yield connection
            finally:
                transaction.rollback()
        return
    with tempfile.TemporaryDirectory(prefix="plugin-host-") as folder:
        made = Database(f"sqlite:///{folder}/scratch.db")
        with made.migration_engine() as engine, engine.connect() as connection, connection.begin():
            yield connection


def build(connection: sa.Connection, sources: Sequence[Source], plugin: str, to: str | None = None) -> None:
    """Run all revisions of a plugin up to `to`, and of those that it requires. Raises `MigrationError`."""
    plan = make_plan(sources, {}, lambda _: {}, plugin=plugin, to=to)
    if plan.faults:
        raise MigrationError(" ".join(reason.text for reason in plan.faults.values()))
    for step in plan.steps:
        try:
            change(connection, step, "upgrade")
        except Exception as error:
            raise MigrationError(reason_of(step, error).text) from error


def wanted_shape(database: Database, sources: Sequence[Source], plugin: str, to: str | None = None) -> Shape:
    """Say what the revisions of a plugin make of an empty database of this kind. Raises `MigrationError`."""
    with scratch(database) as connection:
        build(connection, sources, plugin, to)
        return shape_of(connection, plugin)


def _in_one_transaction(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """Leave out what is only about other connections: an index is the same, made concurrently or not."""
    return statement.replace(" CONCURRENTLY ", " "), parameters
