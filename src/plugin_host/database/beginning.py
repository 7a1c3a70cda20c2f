"""When a transaction begins, and what queries take.

A transaction begins at once where a call may write, else only once it does.

Drivers begin nothing by themselves here: psycopg is in autocommit mode, and so is SQLite. So a call that only reads
costs its statements and nothing else, neither a BEGIN nor a ROLLBACK; each of its statements sees what is committed
when it runs. The first statement of it that is no plain SELECT begins a transaction, which is kept or undone with the
call like any other.
"""

from __future__ import annotations

import functools
import re
import time
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

_LOCKS: Final = re.compile(r"\bFOR\s+(UPDATE|NO\s+KEY\s+UPDATE|SHARE|KEY\s+SHARE)\b", re.IGNORECASE)
_IDLE: Final = 0  # psycopg.pq.TransactionStatus.IDLE


class QueryClock:
    """How many queries were made, and the seconds that they, and commits, took."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0


def begin_at_once(engine: sa.Engine, begin: str) -> None:
    """Have a transaction begun when SQLAlchemy begins it: `begin` says how, or the option `plugin_host_begin`."""

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        how = options.get("plugin_host_begin", begin)
        # Of another level the driver takes care itself, or somebody wants none.
        if how is not None and "isolation_level" not in options:
            connection.exec_driver_sql(f"BEGIN {how}")


def listen(engine: sa.Engine, clock: QueryClock | None, begin: str | None = None) -> None:
    """Have what is executed counted and timed; with `begin`, have it executed before the first that may write."""
    if clock is None and begin is None:
        return

    def before(connection: sa.Connection, cursor: Any, statement: str, _values: object, context: Any, _n: bool) -> None:  # noqa: FBT001 - SQLAlchemy's
        if begin is not None and not only_reads(statement) and not is_open(connection):
            cursor.execute(begin)
        if clock is not None:
            clock.count += not statement.startswith("BEGIN")  # ours; its time is for a lock
            context.plugin_host_began = time.perf_counter()  # SQLAlchemy's context of this one execution

    def after(*call: Any) -> None:
        add(call[4])

    def failed(failure: sa.ExceptionContext) -> None:
        add(failure.execution_context)  # what waited for a lock in vain has taken long as well

    def add(execution: Any) -> None:
        began = getattr(execution, "plugin_host_began", None)
        if began is not None and clock is not None:
            clock.seconds += time.perf_counter() - began

    event.listen(engine, "before_cursor_execute", before)
    if clock is not None:
        event.listen(engine, "after_cursor_execute", after)
        event.listen(engine, "handle_error", failed)


@functools.lru_cache(2_000)
def only_reads(statement: str) -> bool:
    """Tell whether a statement is a plain SELECT, or begins or ends something itself."""
    word = statement.lstrip()[:6].upper()
    return (word == "SELECT" and _LOCKS.search(statement) is None) or word.startswith(("BEGIN", "PRAGMA", "SHOW"))


def is_open(connection: sa.Connection) -> bool:
    """Tell whether a transaction is open on a connection, as its driver knows; of one that is lost it may have been."""
    if connection.invalidated or connection.closed:
        return True
    adapted: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        return bool(adapted.in_transaction)
    return bool(adapted.driver_connection.pgconn.transaction_status != _IDLE)
