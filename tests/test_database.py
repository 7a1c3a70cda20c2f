"""The database: how it is named, opened and prepared, and the transaction of one call."""

from __future__ import annotations

import asyncio
import runpy
import secrets
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import plugin_host.core
import plugin_host.database.sqlite
from plugin_host.database import Database, DatabaseError, Revision, bump

REVISION = Path(plugin_host.core.__file__).parent / "migrations" / "0001_revision.py"
# Says that it is ready, waits for a line so that all begin at once, and says how it went.
PREPARE = """
import sys
from plugin_host.database import Database
database = Database(sys.argv[1], schema=sys.argv[2] or None)
print("ready", flush=True)
sys.stdin.readline()
database.prepare()
print("prepared")
"""

METADATA = sa.MetaData()
PARENT = sa.Table("parent", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("count", sa.Integer))
CHILD = sa.Table(
    "child",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.ForeignKey("parent.id", ondelete="CASCADE")),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "host.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, file: Path) -> str:
    return f"sqlite:///{file}" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """Give a database with the tables of these tests, and one parent."""
    database = Database(url)
    fill(database)
    yield database
    await database.close()


@pytest.fixture
async def local(file: Path) -> AsyncIterator[Database]:
    """Give the same on SQLite only."""
    database = Database(f"sqlite:///{file}")
    fill(database)
    yield database
    await database.close()


@pytest.fixture
def guest(postgres_url: str) -> Iterator[str]:
    """Give the address of a database for a role that may make nothing in it."""
    role = f"plugin_host_guest_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        yield make_url(postgres_url).set(username=role).render_as_string()
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture
async def application(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """Give the engine that an embedding application already has."""
    engine = create_async_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    yield engine
    await engine.dispose()


def fill(database: Database) -> None:
    database.prepare()
    with (
        database.migration_engine() as engine,
        engine.begin() as connection,
        Operations.context(MigrationContext.configure(connection)),
    ):
        runpy.run_path(str(REVISION))["upgrade"]()
        METADATA.create_all(connection)
        connection.execute(sa.insert(PARENT).values(id=1, count=0))
        connection.execute(sa.insert(CHILD).values(id=1, parent_id=1))


async def count(database: Database) -> Any:
    """Read the parent's count as another call would."""
    unit = database.unit(write=False)
    found = await unit.session.scalar(sa.select(PARENT.c.count))
    await unit.close()
    return found


def journal(file: Path) -> Any:
    connection = sqlite3.connect(file)
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    return mode


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT nspname FROM pg_namespace")}


def prepare_at_once(url: str, schema: str = "") -> list[tuple[str, str]]:
    """Prepare in four processes; give what each said."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [subprocess.Popen([sys.executable, "-c", PREPARE, url, schema], text=True, **pipes) for _ in range(4)]
    ready = [process.stdout.readline() for process in processes if process.stdout]
    assert ready == ["ready\n"] * 4
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=60) for process in processes]


# -- the name ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "schema", "message"),
    [
        ("", None, "database '' is no address; use sqlite:///file.db or postgresql://user@host/name"),
        ("host.db", None, "database 'host.db' is no address"),
        ("postgresql://ann@host:port/name", None, "database 'host:port/name' is no address"),
        ("mysql://ann@host/name", None, "database mysql://ann@host/name: use sqlite:///file.db or"),
        ("postgres://ann@host/name", None, "use sqlite:///file.db or postgresql://user@host/name"),
        ("sqlite://", None, "SQLite in memory cannot be shared between connections; name a file"),
        ("sqlite:///", None, "SQLite in memory cannot be shared"),
        ("sqlite:///:memory:", None, "SQLite in memory cannot be shared"),
        ("sqlite:///host.db", "apps", "schema = 'apps' is for PostgreSQL; leave it out with SQLite"),
    ],
)
def test_database_that_cannot_be(url: str, schema: str | None, message: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        Database(url, schema=schema)
    assert message in str(raised.value)


@pytest.mark.parametrize("url", ["postgresql:/ann:secret@host/name", "mysql://ann:secret@host/name"])
def test_password_is_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        Database(url)
    assert "secret" not in str(raised.value)


@pytest.mark.anyio
async def test_engine_in_memory_is_refused() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(DatabaseError, match="SQLite in memory cannot be shared"):
        Database("", engine=engine)
    await engine.dispose()


@pytest.mark.parametrize(
    ("url", "path", "driver"),
    [
        ("sqlite:///data/host.db", "data/host.db", "sqlite+aiosqlite"),
        ("postgresql://ann@host/name", None, "postgresql+psycopg"),
        ("postgresql+asyncpg://ann@host/name", None, "postgresql+psycopg"),
    ],
)
def test_driver_is_chosen_here(url: str, path: str | None, driver: str) -> None:
    database = Database(url)
    # From then on it is the same file, whatever the working folder is.
    assert database.path == (str(Path(path).absolute()) if path is not None else None)
    assert database.engine.url.drivername == driver


def test_naming_a_database_opens_nothing(file: Path) -> None:
    Database(f"sqlite:///{file}").unit()
    assert not file.exists()


# -- preparing -----------------------------------------------------------------------------------------------


def test_sqlite_is_switched_to_wal(file: Path) -> None:
    Database(f"sqlite:///{file}").prepare()
    assert journal(file) == "wal"


@pytest.mark.parametrize("times", [1, 2])
def test_schema_is_made(postgres_url: str, times: int) -> None:
    for _ in range(times):
        Database(postgres_url, schema="apps").prepare()
    assert "apps" in schemas(postgres_url)


def test_no_schema_is_made_unasked(postgres_url: str) -> None:
    before = schemas(postgres_url)
    Database(postgres_url).prepare()
    assert schemas(postgres_url) == before


@pytest.mark.slow
def test_four_processes_switch_one_file_to_wal(file: Path) -> None:
    assert prepare_at_once(f"sqlite:///{file}") == [("prepared\n", "")] * 4


@pytest.mark.slow
def test_four_processes_make_one_schema(postgres_url: str) -> None:
    assert prepare_at_once(postgres_url, "apps") == [("prepared\n", "")] * 4


def test_preparing_waits_for_another_process(file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.2, other.rollback).start()
    Database(f"sqlite:///{file}").prepare()
    other.close()
    assert journal(file) == "wal"


def test_preparing_does_not_wait_for_ever(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_host.database.sqlite, "_WAL_PATIENCE", 0.1)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Database(f"sqlite:///{file}").prepare()
    other.close()


def test_file_that_cannot_use_wal(file: Path) -> None:
    database = Database(f"sqlite:///{file}")
    database.url = make_url("sqlite:///:memory:")  # as some network disks answer
    with pytest.raises(DatabaseError, match=r"cannot use WAL here \(got 'memory'\); put the file on a local disk"):
        database.prepare()


def test_schema_that_may_not_be_made(guest: str) -> None:
    with pytest.raises(DatabaseError, match="the schema 'apps' is not there and could not be made"):
        Database(guest, schema="apps").prepare()


def test_schema_that_is_there_need_not_be_made(guest: str, postgres_url: str) -> None:
    Database(postgres_url, schema="apps").prepare()
    Database(guest, schema="apps").prepare()
    assert "apps" in schemas(postgres_url)


# -- engines -------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(("pragma", "value"), [("foreign_keys", 1), ("synchronous", 2), ("busy_timeout", 0)])
async def test_how_sqlite_is_run(local: Database, pragma: str, value: int) -> None:
    async with local.engine.connect() as connection:
        assert await connection.scalar(sa.text(f"PRAGMA {pragma}")) == value


@pytest.mark.anyio
async def test_children_go_with_their_parent(local: Database) -> None:
    unit = local.unit()
    await unit.session.execute(sa.delete(PARENT))
    assert (await unit.session.scalars(sa.select(CHILD.c.id))).all() == []
    await unit.close()


@pytest.mark.anyio
async def test_children_stay_while_a_migration_rebuilds_their_parent(local: Database) -> None:
    with local.migration_engine() as engine, engine.begin() as connection:
        connection.execute(sa.delete(PARENT))
        assert connection.scalars(sa.select(CHILD.c.id)).all() == [1]


@pytest.mark.anyio
async def test_migration_begins_as_a_writer(local: Database, file: Path) -> None:
    with local.migration_engine() as engine, engine.begin() as connection:
        connection.execute(sa.select(PARENT))
        assert not may_write(file)


@pytest.mark.anyio
async def test_migration_is_rolled_back_with_its_tables(database: Database) -> None:
    with database.migration_engine() as engine:
        with engine.connect() as connection:
            connection.execute(sa.text("CREATE TABLE half_way (id INTEGER)"))
            connection.rollback()
        assert not sa.inspect(engine).has_table("half_way")


@pytest.mark.anyio
async def test_autocommit_begins_nothing(local: Database) -> None:
    async with local.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(sa.select(PARENT))
        raw: Any = (await connection.get_raw_connection()).driver_connection
        assert not raw.in_transaction


@pytest.mark.anyio
async def test_values_of_rows_are_in_no_error(database: Database) -> None:
    unit = database.unit()
    with pytest.raises(sa.exc.DBAPIError) as raised:
        await unit.session.execute(sa.text("SELECT :hash FROM nowhere"), {"hash": "secret"})
    await unit.close()
    assert "secret" not in str(raised.value)


@pytest.mark.anyio
async def test_schema_is_where_both_engines_look(postgres_url: str) -> None:
    database = Database(postgres_url, schema="apps")
    fill(database)
    assert await count(database) == 0
    await database.close()
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'parent'").fetchall()
    assert found == [("apps",)]


@pytest.mark.anyio
async def test_engine_of_an_application_is_used(application: AsyncEngine, postgres_url: str) -> None:
    opened: list[object] = []
    fill(Database(postgres_url))
    sa.event.listen(application.sync_engine, "begin", opened.append)
    await count(Database("", engine=application))
    assert len(opened) == 1


@pytest.mark.anyio
async def test_engine_of_an_application_is_not_closed(application: AsyncEngine) -> None:
    closed: list[object] = []
    sa.event.listen(application.sync_engine, "engine_disposed", closed.append)
    await Database("", engine=application).close()
    assert closed == []


@pytest.mark.anyio
async def test_engine_of_an_application_does_not_look_into_the_schema(
    application: AsyncEngine, postgres_url: str
) -> None:
    database = Database(postgres_url, schema="apps", engine=application)
    fill(database)
    assert await count(database) == 0
    await database.close()
    async with application.connect() as connection:
        assert not await connection.run_sync(lambda sync: sa.inspect(sync).has_table("parent"))


@pytest.mark.anyio
async def test_own_engine_is_closed(database: Database) -> None:
    closed: list[object] = []
    sa.event.listen(database.engine.sync_engine, "engine_disposed", closed.append)
    await database.close()
    assert len(closed) == 1


# -- the unit of work ----------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("ending", ["commit", "rollback", "close"])
async def test_unit_that_nobody_asked_ends_without_opening(database: Database, ending: str) -> None:
    unit = database.unit()
    await getattr(unit, ending)()
    assert not unit.opened


@pytest.mark.anyio
async def test_unit_has_one_session(database: Database) -> None:
    unit = database.unit()
    session = unit.session
    assert unit.session is session
    assert unit.opened
    await unit.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("endings", "after"), [(["commit"], 1), (["rollback"], 0), ([], 0), (["rollback", "commit"], 0)]
)
async def test_what_lasts(database: Database, endings: list[str], after: int) -> None:
    unit = database.unit()
    await unit.session.execute(sa.update(PARENT).values(count=1))
    for ending in endings:
        await getattr(unit, ending)()
    await unit.close()
    assert await count(database) == after


@pytest.mark.anyio
async def test_unit_that_was_closed_is_as_new(database: Database) -> None:
    unit = database.unit()
    first = unit.session
    await unit.close()
    assert not unit.opened
    assert unit.session is not first


@pytest.mark.anyio
async def test_writers_queue_and_lose_nothing(local: Database) -> None:
    async def add_one() -> None:
        unit = local.unit()
        now = await unit.session.scalar(sa.select(PARENT.c.count))
        await asyncio.sleep(0.02)  # the others come meanwhile
        await unit.session.execute(sa.update(PARENT).values(count=(now or 0) + 1))
        await unit.commit()
        await unit.close()

    await asyncio.gather(*(add_one() for _ in range(4)))
    assert await count(local) == 4


@pytest.mark.anyio
@pytest.mark.parametrize("write", [True, False])
async def test_unit_keeps_other_writers_out_if_it_may_write(local: Database, file: Path, *, write: bool) -> None:
    unit = local.unit(write=write)
    await unit.session.execute(sa.select(PARENT))
    assert may_write(file) is not write
    await unit.close()


def may_write(file: Path) -> bool:
    """Tell whether another process could begin to write now."""
    other = sqlite3.connect(file, timeout=0, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        other.close()


# -- the revision --------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "after"),
    [("auth", Revision(2, 1, 1)), ("policy", Revision(1, 2, 1)), ("wishes", Revision(1, 1, 2))],
    ids=Revision._fields,
)
async def test_change_raises_its_revision(database: Database, kind: str, after: Revision) -> None:
    unit = database.unit()
    await bump(unit.session, kind)
    await unit.commit()
    await unit.close()
    assert await database.revision() == after


@pytest.mark.anyio
async def test_change_that_is_undone_raises_nothing(database: Database) -> None:
    unit = database.unit()
    await bump(unit.session, "auth")
    await unit.close()
    assert await database.revision() == Revision(1, 1, 1)


@pytest.mark.anyio
async def test_revision_that_is_none(database: Database) -> None:
    unit = database.unit()
    with pytest.raises(ValueError, match="no revision 'auth = 9, policy'"):
        await bump(unit.session, "auth = 9, policy")
    await unit.close()


@pytest.mark.anyio
async def test_revision_on_a_connection_that_is_open(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await database.revision(connection) == Revision(1, 1, 1)


@pytest.mark.anyio
async def test_revision_is_read_beside_a_writer(local: Database) -> None:
    unit = local.unit()
    await bump(unit.session, "auth")
    assert local.revision_now() == Revision(1, 1, 1)
    await unit.close()


@pytest.mark.anyio
async def test_revision_is_seen_at_once_when_another_has_raised_it(local: Database, file: Path) -> None:
    local.revision_now()
    other = Database(f"sqlite:///{file}")
    unit = other.unit()
    await bump(unit.session, "policy")
    await unit.commit()
    await unit.close()
    await other.close()
    assert local.revision_now() == Revision(1, 2, 1)


@pytest.mark.anyio
async def test_revision_can_be_read_after_closing(local: Database) -> None:
    first = local.revision_now()
    await local.close()
    assert local.revision_now() == first
