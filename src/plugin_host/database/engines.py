"""One database: its engines, the units of work in it, and its revision row.

SQLite is run as measured: the driver never begins a transaction, SQLAlchemy does (`BEGIN IMMEDIATE` where a
call may write, so that two writers queue instead of failing half way), WAL with `synchronous=FULL`, and
foreign keys on; migrations have an engine of their own with foreign keys off (`migration_engine`).
PostgreSQL is run with psycopg for both the asynchronous and the migration engine.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from plugin_host.database.address import DatabaseError, PoolLimits, parse
from plugin_host.database.beginning import QueryClock, begin_at_once, listen
from plugin_host.database.driver import BUSY_MS, Driver
from plugin_host.database.postgresql import connect_args, has_schema, leave_out_the_dead, make_schema
from plugin_host.database.quick import Quick, Source
from plugin_host.database.revision import REVISION_SQL, Revision
from plugin_host.database.sqlite import install_sqlite, use_wal
from plugin_host.database.unit import UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from plugin_host.database.session import Elsewhere


class Database:
    """One database of the host: its engines, and the revision row in it.

    `url` is `sqlite:///path` or `postgresql://user@host/name`: the driver is chosen here. `schema` is a
    PostgreSQL schema, made if it is not there; with `role`, that role is its owner, made as well, and whoever
    works in it has that role's rights. `engine` is an engine that an embedding application already has; it is
    used and not closed. With a schema only its address is used: connections that the application gets back must
    not look into our schema. `where` is the setting that says so. Raises `DatabaseError` for what cannot be.
    """

    def __init__(
        self,
        url: str | sa.URL,
        *,
        schema: str | None = None,
        role: str | None = None,
        engine: AsyncEngine | None = None,
        where: str = "database",
        pool: PoolLimits | None = None,
    ) -> None:
        self.url = parse(url, where) if engine is None else engine.url
        self.dialect = self.url.get_backend_name()
        if engine is None and self.dialect == "sqlite" and self.url.database not in (None, "", ":memory:"):
            # From now on the file is where it was meant to be, also if a plugin changes the working folder.
            self.url = self.url.set(database=str(Path(str(self.url.database)).absolute()))
        self.schema = schema
        self.role = role
        self._where = where
        self._pool = pool or PoolLimits()
        self._check()
        shared = engine if schema is None else None
        self._owned = shared is None
        self.engine: AsyncEngine = shared or self._make_engine()
        self._source: Source | None = None
        if self._owned and self.path is not None:
            driver: Any = self.engine.dialect.dbapi
            self._source = Source(self.path, self.engine.sync_engine, driver)
        self._units: dict[tuple[bool, QueryClock | None, bool], AsyncEngine] = {}
        self._reader: sqlite3.Connection | None = None
        self._migrating: sa.Engine | None = None

    @property
    def path(self) -> str | None:
        """The file of a SQLite database."""
        return self.url.database if self.dialect == "sqlite" else None

    def unit(
        self, *, write: bool = True, clock: QueryClock | None = None, elsewhere: Elsewhere | None = None
    ) -> UnitOfWork:
        """Make the unit of work of one call; nothing is opened until its session is used.

        Its queries and commits are counted on `clock`. `elsewhere` gives the engines of other databases: see
        `Databases.elsewhere`.
        """
        engine = self._view(write=write, clock=clock)
        quick = Quick(self._source, clock) if self._source is not None and not write else None
        return UnitOfWork(engine, clock, write=write, quick=quick, elsewhere=elsewhere)

    @property
    def reading(self) -> sa.Engine:
        """The engine on which others read from this database; a transaction begins only if they write."""
        return self._view(write=False, clock=None).sync_engine

    def _view(self, *, write: bool, clock: QueryClock | None) -> AsyncEngine:
        events = self.engine.sync_engine.dispatch
        watched = not self._owned or bool(events.before_cursor_execute or events.after_cursor_execute)
        engine = self._units.get((write, clock, watched))
        if engine is None:
            engine = self._units[write, clock, watched] = self._make_view(write=write, clock=clock, watched=watched)
        return engine

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
                install_sqlite(engine, foreign_keys=False, begin="IMMEDIATE")
            self._migrating = engine
        yield self._migrating

    def prepare(self) -> None:
        """Make what must be there before the first table: the WAL mode, or the schema.

        Several processes may do so at once. Raises `DatabaseError`.
        """
        if self.dialect == "sqlite":
            mode = use_wal(str(self.path))
            if mode != "wal":
                msg = f"{self.path}: SQLite cannot use WAL here (got {mode!r}); put the file on a local disk"
                raise DatabaseError(msg)
        elif self.schema:
            make_schema(self.url, self.schema, self.role)

    def exists(self) -> bool:
        """Tell whether there is anything yet: the file, or the schema if it has one. Blocking; makes nothing."""
        if self.path is not None:
            return Path(self.path).exists()
        return self.schema is None or has_schema(self.url, self.schema)

    async def close(self) -> None:
        """Close what was opened here."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._source is not None:
            self._source.close()
        if self._owned:
            await self.engine.dispose()
            self._units.clear()  # theirs is the pool that has been disposed of; the engine has a new one

    def _check(self) -> None:
        if self.dialect not in ("sqlite", "postgresql"):
            msg = f"{self._where} {self.url.render_as_string()}: use sqlite:///file.db or postgresql://user@host/name"
            raise DatabaseError(msg)
        if self.dialect == "sqlite" and self.url.database in (None, "", ":memory:"):
            msg = (
                f"{self._where}: SQLite in memory cannot be shared between connections; name a file: sqlite:///host.db"
            )
            raise DatabaseError(msg)
        if self.schema and self.dialect != "postgresql":
            msg = f"schema = {self.schema!r} is for PostgreSQL; leave it out with SQLite"
            raise DatabaseError(msg)

    def _make_view(self, *, write: bool, clock: QueryClock | None, watched: bool) -> AsyncEngine:
        """Make an engine in name only, for its transactions and its clock: the pool and what is compiled are shared."""
        begin = "IMMEDIATE" if self.path is not None else ""
        late = f"BEGIN {begin}" if self._owned and not write else None
        if watched:  # whoever listens to the engine must hear of this as well
            view = self.engine.execution_options(plugin_host_begin=None if late else begin if write else "")
            listen(view.sync_engine, clock, begin=late)
            return view
        # Else not `execution_options`: its layers make every event dearer, and there are events at each statement.
        shared = self.engine.sync_engine
        engine = sa.Engine(shared.pool, shared.dialect, shared.url, hide_parameters=True)
        engine._compiled_cache = shared._compiled_cache  # noqa: SLF001 - as `execution_options` does
        if write:
            begin_at_once(engine, begin)
        listen(engine, clock, begin=late)
        return AsyncEngine(engine)

    def _connect_args(self) -> dict[str, Any]:
        return connect_args(self.schema, self.role)

    def _make_engine(self) -> AsyncEngine:
        size, overflow, timeout = self._pool
        pool: dict[str, Any] = {"pool_size": size, "max_overflow": overflow, "pool_timeout": timeout}
        if self.dialect == "sqlite":
            # The dialect is the one for aiosqlite, the driver our own: it hops into its thread once a statement.
            url = self.url.set(drivername="sqlite+aiosqlite")
            engine = create_async_engine(url, module=Driver(), hide_parameters=True, **pool)
            begin_at_once(engine.sync_engine, "")
            return engine
        url = self.url.set(drivername="postgresql+psycopg")
        # Errors are logged, and values of rows are nobody's business there: hashes of passwords are among them.
        args = self._connect_args()
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True, connect_args=args, **pool)
        begin_at_once(engine.sync_engine, "")
        leave_out_the_dead(engine.sync_engine)
        return engine
