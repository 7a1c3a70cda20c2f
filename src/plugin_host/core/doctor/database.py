"""The database: whether it is there, whole, of the right kind, and can be written to."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from plugin_host.core.doctor.findings import Finding, first_line
from plugin_host.core.doctor.installation import readable_by_others
from plugin_host.settings.server import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.doctor.findings import Level
    from plugin_host.database import Database

_CHECK_SECONDS: Final = 10.0
_OLDEST: Final = 14
"""The oldest release of PostgreSQL that its makers maintained when this was written."""

_LOOK: Final = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
       current_setting('server_encoding') AS encoding, current_setting('transaction_read_only') = 'on' AS read_only,
       pg_is_in_recovery() AS standby, current_user AS who,
       (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls,
       current_schema() AS schema, has_database_privilege(current_database(), 'CREATE') AS may_make_schemas,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_make_tables
"""


def check_database(database: Database) -> Iterator[Finding]:
    """Look at the database without changing it. Whether it can be used at all is told by the first finding."""
    if database.path is not None:
        yield from _check_sqlite(Path(database.path))
    else:
        yield from _check_postgres(database)


# -- SQLite ----------------------------------------------------------------------------------------------------


def _check_sqlite(path: Path) -> Iterator[Finding]:
    if not path.exists():
        yield _say("note", f"{path} is not there yet: the first start makes it.")
        return
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        way_out = "Give both to the user that the host runs under: SQLite makes files beside the database."
        yield _say("error", f"{path} or the folder around it cannot be written to.", way_out)
    if os.name == "posix" and readable_by_others(path):
        yield _say("warning", f"Others may read {path}.", f"Run: chmod 600 {path}")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)) as connection:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            yield _say("ok", f"{path} can be read (SQLite {sqlite3.sqlite_version}).")
            if mode != "wal":
                way_out = "The next start switches it to WAL; if it cannot, move the file to a local disk."
                yield _say("note", f"{path} is in journal mode {mode}, and not in WAL.", way_out)
            yield from _quick_check(path, connection)
    except sqlite3.Error as error:
        way_out = "See that `database` names the right file; if it does, bring back a backup."
        yield _say("error", f"{path} cannot be used ({first_line(error)}).", way_out)


def _quick_check(path: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    end = time.monotonic() + _CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, 100_000)
    try:
        told = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        yield _say("note", f"{path} is so large that checking it was given up after {_CHECK_SECONDS:g} seconds.")
        return
    if told == ["ok"]:
        yield _say("ok", "SQLite's own check of the file finds nothing wrong.")
    else:
        way_out = "Stop the host, keep a copy of the file, and bring back a backup (or try sqlite3's .recover)."
        yield _say("error", f"{path} is damaged: {'; '.join(told)}.", way_out)


# -- PostgreSQL ------------------------------------------------------------------------------------------------


def _check_postgres(database: Database) -> Iterator[Finding]:
    shown = f"{database.url.host or 'the local socket'}:{database.url.port or 5432}/{database.url.database or ''}"
    try:
        with database.migration_engine() as engine, engine.connect() as connection:
            seen = connection.execute(sa.text(_LOOK)).one()
            schemas = sa.inspect(connection).get_schema_names()
    except (SQLAlchemyError, ImportError, OSError) as error:
        way_out = "See that the server runs and can be reached from here, and check `database`."
        if isinstance(error, ImportError):
            way_out = "Run: pip install 'plugin-host[postgres]'"
        yield _say("error", f"The database at {shown} cannot be used ({first_line(error)}).", way_out)
        return
    yield _say("ok", f"PostgreSQL {seen.version} at {shown} answers.")
    yield from _rights(database, seen, schemas)
    if seen.number // 10_000 < _OLDEST:
        text = f"PostgreSQL {seen.version} is no longer maintained by its makers."
        yield _say("warning", text, f"Upgrade the server to {_OLDEST} or later.")
    if seen.encoding != "UTF8":
        text = f"The database has the encoding {seen.encoding}: not every text can be kept."
        yield _say("warning", text, "Move to a database that was made with ENCODING 'UTF8'.")
    host = database.url.host or ""
    if not seen.tls and host and not host.startswith("/") and not is_loopback(host):
        text = f"The connection to {host} is not encrypted."
        yield _say("warning", text, "Add ?sslmode=verify-full (or at least require) to `database`.")


def _rights(database: Database, seen: sa.Row[Any], schemas: list[str]) -> Iterator[Finding]:
    if seen.read_only or seen.standby:
        what = "a standby server" if seen.standby else "read-only"
        yield _say("error", f"The database is {what}: nothing can be written.", "Name the primary in `database`.")
    elif database.schema and database.schema not in schemas:
        if seen.may_make_schemas:
            yield _say("note", f"The schema {database.schema} is not there yet: the first start makes it.")
        else:
            text = f"The schema {database.schema} is not there, and {seen.who} may not make it."
            yield _say("error", text, f"Run there: CREATE SCHEMA {database.schema} AUTHORIZATION {seen.who}")
    elif not seen.may_make_tables:
        schema = seen.schema or "public"
        text = f"{seen.who} may not make tables in the schema {schema}."
        yield _say("error", text, f"Run there: GRANT CREATE, USAGE ON SCHEMA {schema} TO {seen.who}")


def _say(level: Level, text: str, way_out: str = "") -> Finding:
    return Finding(check="database", level=level, text=text, way_out=way_out)
