"""Engines, sessions, the unit of work, and the revision row.

SQLite is run as measured: the driver never begins a transaction, SQLAlchemy does (`BEGIN IMMEDIATE` where a
call may write, so that two writers queue instead of failing half way), WAL with `synchronous=FULL`, and
foreign keys on; migrations have an engine of their own with foreign keys off (`migration_engine`).
PostgreSQL is run with psycopg for both the asynchronous and the migration engine.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

BUSY_MS: Final = 20_000
_WAL_PATIENCE: Final = 5.0
_BUMPED: Final = "plugin_host.bumped"
REVISION_SQL: Final = "SELECT auth, policy, wishes FROM core_revision WHERE id = 1"


class QueryClock:
    """How many queries were made, and the seconds that they, and commits, took."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0


class DatabaseError(Exception):
    """The database cannot be used as it is named: one sentence with the way out."""


class Revision(NamedTuple):
    """How often each kind of thing has changed: caches made under another revision are void."""

    auth: int
    policy: int
    wishes: int


class Database:
    """One database of the host: its engines, and the revision row in it.

    `url` is `sqlite:///path` or `postgresql://user@host/name`: the driver is chosen here. `schema` is a
    PostgreSQL schema, made if it is not there. `engine` is an engine that an embedding application
    already has; it is used and not closed. With a schema only its address is used: connections that the
    application gets back must not look into our schema. Raises `DatabaseError` for what cannot be.
    """

    def __init__(self, url: str, *, schema: str | None = None, engine: AsyncEngine | None = None) -> None:
        self.url = _parse(url) if engine is None else engine.url
        self.dialect = self.url.get_backend_name()
        self.schema = schema
        self._check()
        shared = engine if schema is None else None
        self._owned = shared is None
        self.engine: AsyncEngine = shared or self._make_engine()
        # One pool for both: the option is read by the "begin" event.
        self._writing = self.engine.execution_options(plugin_host_begin="IMMEDIATE")
        self._timed: dict[tuple[bool, QueryClock], AsyncEngine] = {}
        self._reader: sqlite3.Connection | None = None
        self._migrating: sa.Engine | None = None

    @property
    def path(self) -> str | None:
        """The file of a SQLite database."""
        return self.url.database if self.dialect == "sqlite" else None

    def unit(self, *, write: bool = True, clock: QueryClock | None = None) -> UnitOfWork:
        """Make the unit of work of one call; nothing is opened until its session is asked for.

        Its queries and commits are counted on `clock`.
        """
        engine = self._writing if write else self.engine
        if clock is None:
            return UnitOfWork(engine)
        timed = self._timed.get((write, clock))
        if timed is None:  # an engine in name only, for its events: the pool and what is compiled are shared
            timed = self._timed[write, clock] = engine.execution_options()
            _install_clock(timed.sync_engine, clock)
        return UnitOfWork(timed, clock)

    async def revision(self, connection: AsyncConnection | None = None) -> Revision:
        """Read the revision row: on SQLite a few microseconds, on PostgreSQL one query."""
        if self.dialect == "sqlite":
            return self.revision_now()
        if connection is not None:
            return Revision(*(await connection.execute(sa.text(REVISION_SQL))).one())
        async with self.engine.connect() as opened:
            return Revision(*(await opened.execute(sa.text(REVISION_SQL))).one())

    def revision_now(self) -> Revision:
        """Read the revision row of a SQLite database on a connection of its own, on this thread.

        In WAL mode a reader never waits for a writer, so this does not block the event loop.
        """
        if self._reader is None:
            self._reader = sqlite3.connect(str(self.path), isolation_level=None, check_same_thread=False)
            self._reader.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        return Revision(*self._reader.execute(REVISION_SQL).fetchone())

    @contextlib.contextmanager
    def migration_engine(self) -> Iterator[sa.Engine]:
        """Give an engine for migrations: synchronous, no pool, and on SQLite foreign keys off.

        Foreign keys must be off before the transaction begins: a batch change of a parent table would
        otherwise delete its children without a word.
        """
        if self._migrating is None:  # kept, since making one costs more than asking whether anything is to be done
            url = self.url.set(drivername="sqlite" if self.dialect == "sqlite" else "postgresql+psycopg")
            args = self._connect_args()
            engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=args)
            if self.dialect == "sqlite":
                _install_sqlite(engine, foreign_keys=False, begin="IMMEDIATE")
            self._migrating = engine
        yield self._migrating

    def prepare(self) -> None:
        """Make what must be there before the first table: the WAL mode, or the schema.

        Several processes may do so at once. Raises `DatabaseError`.
        """
        if self.dialect == "sqlite":
            mode = _use_wal(str(self.path))
            if mode != "wal":
                msg = f"{self.path}: SQLite cannot use WAL here (got {mode!r}); put the file on a local disk"
                raise DatabaseError(msg)
        elif self.schema:
            engine = sa.create_engine(self.url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
            # IF NOT EXISTS looks before it makes: whoever comes second in a race gets an error all the same.
            with contextlib.suppress(IntegrityError, ProgrammingError), engine.begin() as connection:
                connection.execute(sa.schema.CreateSchema(self.schema, if_not_exists=True))
            with engine.connect() as connection:
                there = sa.inspect(connection).has_schema(self.schema)
            engine.dispose()
            if not there:
                msg = f"the schema {self.schema!r} is not there and could not be made: make it, or name another"
                raise DatabaseError(msg)

    async def close(self) -> None:
        """Close what was opened here."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._owned:
            await self.engine.dispose()

    def _check(self) -> None:
        if self.dialect not in ("sqlite", "postgresql"):
            msg = f"database {self.url.render_as_string()}: use sqlite:///file.db or postgresql://user@host/name"
            raise DatabaseError(msg)
        if self.dialect == "sqlite" and self.url.database in (None, "", ":memory:"):
            msg = "database: SQLite in memory cannot be shared between connections; name a file: sqlite:///host.db"
            raise DatabaseError(msg)
        if self.schema and self.dialect != "postgresql":
            msg = f"schema = {self.schema!r} is for PostgreSQL; leave it out with SQLite"
            raise DatabaseError(msg)

    def _connect_args(self) -> dict[str, Any]:
        return {"options": f"-csearch_path={self.schema}"} if self.schema else {}

    def _make_engine(self) -> AsyncEngine:
        if self.dialect == "sqlite":
            engine = create_async_engine(self.url.set(drivername="sqlite+aiosqlite"), hide_parameters=True)
            _install_sqlite(engine.sync_engine, foreign_keys=True, begin="")
            return engine
        url = self.url.set(drivername="postgresql+psycopg")
        # Errors are logged, and values of rows are nobody's business there: hashes of passwords are among them.
        return create_async_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=self._connect_args())


class UnitOfWork:
    """The transaction of one call. Opening a session costs more than a whole request, so it is lazy."""

    __slots__ = ("_clock", "_engine", "_session")

    def __init__(self, engine: AsyncEngine, clock: QueryClock | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._session: AsyncSession | None = None

    @property
    def session(self) -> AsyncSession:
        """The session, made now if nobody asked before."""
        if self._session is None:
            self._session = AsyncSession(self._engine, expire_on_commit=False)
        return self._session

    @property
    def opened(self) -> bool:
        """Whether anybody asked for the session."""
        return self._session is not None

    @property
    def policy_revision(self) -> int | None:
        """The policy revision that the changes made in it, if they did: see `bump`."""
        return None if self._session is None else self._session.info.get(_BUMPED, {}).get("policy")

    async def commit(self) -> None:
        """Commit; an error goes to the caller, who must not answer with success."""
        if self._session is not None:
            began = time.perf_counter()
            await self._session.commit()
            if self._clock is not None:  # on SQLite this is when the disk is waited for
                self._clock.seconds += time.perf_counter() - began

    async def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._session is not None:
            await self._session.rollback()

    async def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def bump(session: AsyncSession, kind: str) -> int:
    """Raise `auth`, `policy` or `wishes` of the revision row, in the transaction of the change itself.

    Gives the new number, and remembers it in `session.info["plugin_host.bumped"]`.
    """
    if kind not in Revision._fields:
        msg = f"no revision {kind!r}"
        raise ValueError(msg)
    update = f"UPDATE core_revision SET {kind} = {kind} + 1 WHERE id = 1 RETURNING {kind}"  # noqa: S608 - checked
    number: int = (await session.execute(sa.text(update))).scalar_one()
    session.info.setdefault(_BUMPED, {})[kind] = number
    return number


def _use_wal(path: str) -> str:
    """Switch a database file to WAL and give the mode it is in."""
    end = time.monotonic() + _WAL_PATIENCE
    # Two that switch at once do not wait for each other, whatever the time-out: SQLite answers "locked" at once.
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        while True:
            try:
                return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
            except sqlite3.OperationalError:
                if time.monotonic() >= end:
                    raise
            time.sleep(0.05)


def _parse(url: str) -> sa.URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # the second for a port that is no number
        shown = url.rpartition("@")[2]  # what stands before may be a password
        msg = f"database {shown!r} is no address; use sqlite:///file.db or postgresql://user@host/name"
        raise DatabaseError(msg) from error


def _install_clock(engine: sa.Engine, clock: QueryClock) -> None:
    def before(*call: Any) -> None:
        clock.count += not call[2].startswith("BEGIN")  # ours, and only on SQLite; its time is for a lock
        call[4].plugin_host_began = time.perf_counter()  # SQLAlchemy's context of this one execution

    def after(*call: Any) -> None:
        add(call[4])

    def failed(failure: sa.ExceptionContext) -> None:
        add(failure.execution_context)  # what waited for a lock in vain has taken long as well

    def add(execution: Any) -> None:
        began = getattr(execution, "plugin_host_began", None)
        if began is not None:
            clock.seconds += time.perf_counter() - began

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


def _install_sqlite(engine: sa.Engine, *, foreign_keys: bool, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        # Once, at connect: assigning None later would commit an open transaction.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(f"BEGIN {options.get('plugin_host_begin', begin)}")
