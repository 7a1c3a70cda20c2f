"""Schemas of PostgreSQL: the host's, and those of plugins with a database of their own, each with its role.

A plugin's connections take its role when they are opened: its schema is all that they see and may change. The role
cannot sign in. That stops mistakes, not code that means harm: whoever signed in may leave the role again.
"""

from __future__ import annotations

import contextlib
import select
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidatePoolError, ProgrammingError
from sqlalchemy.pool import NullPool

from plugin_host.database.address import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_LENGTH: Final = 63
"""Characters that PostgreSQL keeps of a name."""

_MARK: Final = "plugin-host: a plugin's own database"


def connect_args(schema: str | None, role: str | None) -> dict[str, Any]:
    """Say what a connection is told when it is opened, so that it looks into the schema, with the role's rights."""
    options = [f"-csearch_path={schema}"] if schema else []
    options += [f"-crole={role}"] if role else []
    return {"options": " ".join(options)} if options else {}


def leave_out_the_dead(engine: sa.Engine) -> None:
    """Have connections that the server has closed left out when one is taken from the pool.

    A server that goes says so on the connection: an idle one on which something is to be read is no longer what it
    was. Asking costs two microseconds, where a query that asks whether it is alive would cost as much as any other.
    One that is dead makes all that were opened before it suspect, as after a restart of the server.
    """
    import psycopg  # noqa: PLC0415 - an extra

    @event.listens_for(engine, "checkout")
    def look(connection: Any, _record: object, _proxy: object) -> None:
        raw = connection.driver_connection
        if not raw.closed and not _has_news(raw.fileno()):
            return
        try:
            engine.dialect.do_ping(connection)  # it may have been a notice
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def _has_news(descriptor: int) -> bool:
    looking = select.poll()
    looking.register(descriptor, select.POLLIN)
    return bool(looking.poll(0))


def make_schema(url: sa.URL, schema: str, role: str | None) -> None:
    """Make the schema if it is not there, and with a role that one, to be its owner. Raises `DatabaseError`.

    Several processes may do so at once.
    """
    with _connection(url) as connection:
        if role is not None:
            _make_role(connection, role)
        owner = f" AUTHORIZATION {_quoted(role)}" if role is not None else ""
        # IF NOT EXISTS looks before it makes: whoever comes second in a race gets an error all the same.
        with contextlib.suppress(IntegrityError, ProgrammingError):
            _run(connection, f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}{owner}")
            if role is not None and _mark(connection, schema) is None and _is_owner(connection, schema, role):
                _run(connection, f"COMMENT ON SCHEMA {_quoted(schema)} IS '{_MARK.replace(chr(39), chr(39) * 2)}'")
        if not sa.inspect(connection).has_schema(schema):
            msg = f"the schema {schema!r} is not there and could not be made: make it, or name another"
            raise DatabaseError(msg)
        if role is not None and not _is_owner(connection, schema, role):
            msg = f"the schema {schema!r} is there and is not the role's {role!r}: drop or rename it, or let the "
            raise DatabaseError(msg + "plugin have another place with [databases.<id>]")


def list_schemas(url: sa.URL, prefix: str) -> list[str]:
    """Name the schemas with that prefix that were made for plugins."""
    listed = sa.text("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, :prefix) ORDER BY nspname")
    with _connection(url) as connection:
        names = [str(name) for name in connection.scalars(listed, {"prefix": prefix})]
        return [name for name in names if _mark(connection, name) == _MARK]


def has_schema(url: sa.URL, schema: str) -> bool:
    """Tell whether the schema is there."""
    with _connection(url) as connection:
        return bool(sa.inspect(connection).has_schema(schema))


def drop_schema(url: sa.URL, schema: str, role: str | None) -> None:
    """Remove a schema with all that is in it, and its role; what is not there any more is no error."""
    with _connection(url) as connection:
        _run(connection, f"DROP SCHEMA IF EXISTS {_quoted(schema)} CASCADE")
        if role is not None and _has_role(connection, role):
            _run(connection, f"DROP OWNED BY {_quoted(role)}")
            _run(connection, f"DROP ROLE IF EXISTS {_quoted(role)}")


def _make_role(connection: sa.Connection, role: str) -> None:
    if not _has_role(connection, role):
        # Another process may be first.
        with contextlib.suppress(IntegrityError, ProgrammingError):
            _run(connection, f"CREATE ROLE {_quoted(role)} NOLOGIN")
    with contextlib.suppress(DBAPIError):
        if not _may_take(connection, role):
            _run(connection, f"GRANT {_quoted(role)} TO CURRENT_USER")
    if not _has_role(connection, role) or not _may_take(connection, role):
        who = connection.scalar(sa.text("SELECT current_user"))
        msg = f"the role {role!r} could not be made, or not be given to {who}: let an administrator run "
        raise DatabaseError(
            msg + f"CREATE ROLE {_quoted(role)} NOLOGIN; GRANT {_quoted(role)} TO {_quoted(str(who))}, "
            "or name another place in [databases.<id>]"
        )


def _has_role(connection: sa.Connection, role: str) -> bool:
    return bool(connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}))


def _may_take(connection: sa.Connection, role: str) -> bool:
    return bool(connection.scalar(sa.text("SELECT pg_has_role(:role, 'MEMBER')"), {"role": role}))


def _is_owner(connection: sa.Connection, schema: str, role: str) -> bool:
    asked = "SELECT nspowner = CAST(:role AS regrole) FROM pg_namespace WHERE nspname = :schema"
    return bool(connection.scalar(sa.text(asked), {"role": _quoted(role), "schema": schema}))


def _mark(connection: sa.Connection, schema: str) -> str | None:
    asked = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :schema"
    found: str | None = connection.scalar(sa.text(asked), {"schema": schema})
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(connection: sa.Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


@contextlib.contextmanager
def _connection(url: sa.URL) -> Iterator[sa.Connection]:
    """Open a connection of the host's own user, on which each statement stands for itself."""
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool, hide_parameters=True)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection
    finally:
        engine.dispose()
