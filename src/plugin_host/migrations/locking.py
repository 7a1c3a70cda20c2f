"""One process migrates at a time, and a revision is applied whole or not at all.

SQLite: `BEGIN IMMEDIATE` is the lock, and what was planned is looked up again inside it. PostgreSQL: an
advisory lock on a connection of its own, polled; a waiter that blocks in `pg_advisory_lock` holds a snapshot,
on which the holder's CREATE INDEX CONCURRENTLY would deadlock.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from plugin_host.migrations.planning import MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLL: Final = 0.1
# One lock for each schema: two hosts may live in one database. The number is "plug" in ASCII.
_KEY: Final = "1886156135, hashtext(coalesce(current_schema(), ''))"
_LOCK: Final = sa.text(f"SELECT pg_try_advisory_lock({_KEY})")
_UNLOCK: Final = sa.text(f"SELECT pg_advisory_unlock({_KEY})")
_LOCK_NOT_AVAILABLE: Final = "55P03"
_SAVEPOINT: Final = "plugin_host_revision"


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: for another process that migrates, and `tries` times for a table's lock.

    The second is short, since everybody who reads that table queues behind a migration that waits for it.
    """

    process: float = 600.0
    table: float = 3.0
    tries: int = 5


class TransactionEndedError(Exception):
    """A revision ended the transaction that it runs in: what it did before may have stayed."""

    def __str__(self) -> str:
        return "it ended the transaction that it runs in"


@contextlib.contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a connection that only looks: outside a transaction, so that SQLite's write lock is not taken."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@contextlib.contextmanager
def one_process(engine: sa.Engine, patience: Patience) -> Iterator[None]:
    """Wait until no other process migrates this database, and keep others out. Raises `MigrationError`."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with reading(engine) as connection:
        end = time.monotonic() + patience.process
        while not connection.scalar(_LOCK):
            _wait(end)
        try:
            yield
        finally:
            with contextlib.suppress(DBAPIError):  # a lost connection has lost the lock too
                connection.execute(_UNLOCK)


@contextlib.contextmanager
def writing(engine: sa.Engine, patience: Patience) -> Iterator[sa.Connection]:
    """Run one transaction; nobody else writes to a SQLite database meanwhile. Raises `MigrationError`."""
    with engine.connect() as connection, _begin(connection, patience):
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(patience.table * 1000)}ms'")
        yield connection


@contextlib.contextmanager
def whole(connection: sa.Connection) -> Iterator[None]:
    """Notice when what runs inside ends the transaction: a savepoint does not outlive it.

    Raises `TransactionEndedError`.
    """
    connection.exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
    try:
        yield
    except Exception as error:
        if not _succeeds(connection, f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}"):
            raise TransactionEndedError from error
        raise
    if not _succeeds(connection, f"RELEASE SAVEPOINT {_SAVEPOINT}"):
        raise TransactionEndedError


def is_table_locked(error: BaseException) -> bool:
    """Tell whether PostgreSQL gave up waiting for the lock of a table."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _begin(connection: sa.Connection, patience: Patience) -> sa.RootTransaction:
    end = time.monotonic() + patience.process
    while True:
        try:
            return connection.begin()
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                raise
            _wait(end)


def _wait(end: float) -> None:
    if time.monotonic() > end:
        raise MigrationError(
            "another process has been migrating this database all the while; wait until it is done, or end it"
        )
    time.sleep(_POLL)


def _succeeds(connection: sa.Connection, statement: str) -> bool:
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError:
        return False
    return True
