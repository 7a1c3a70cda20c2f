"""How a unit of work ends: commits that fail, servers that go, disks that are full."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

from plugin_host.database import Database
from plugin_host.gateway.problems import to_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

METADATA = sa.MetaData()
PARENT = sa.Table("parent", METADATA, sa.Column("id", sa.Integer, primary_key=True))
CHILD = sa.Table(
    "child",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.ForeignKey("parent.id", deferrable=True, initially="DEFERRED")),
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    local = f"sqlite:///{tmp_path / 'host.db'}"
    database = Database(local if request.param == "sqlite" else str(request.getfixturevalue("postgres_url")))
    database.prepare()
    with database.migration_engine() as engine, engine.begin() as connection:
        METADATA.create_all(connection)
    yield database
    await database.close()


async def children(database: Database) -> Any:
    unit = database.unit(write=False)
    try:
        return await unit.session.scalar(sa.select(sa.func.count()).select_from(CHILD))
    finally:
        await unit.close()


@pytest.mark.parametrize("write", [True, False])
async def test_what_only_the_commit_refuses_is_a_conflict(database: Database, *, write: bool) -> None:
    unit = database.unit(write=write)
    await unit.session.execute(sa.insert(CHILD).values(id=1, parent_id=99))
    with pytest.raises(sa.exc.IntegrityError) as raised:
        await unit.commit()
    await unit.rollback()
    await unit.close()
    assert to_problem(raised.value).status == 409
    assert await children(database) == 0


async def test_connections_that_the_server_has_closed_cost_no_call(database: Database, postgres_url: str) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server")
    units = [database.unit(write=write) for write in (True, False, True)]
    for unit in units:
        await unit.session.execute(sa.select(PARENT))
    for unit in units:
        await unit.close()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
        assert len(other.execute(gone + "current_database()").fetchall()) >= 3
        while other.execute(gone + "current_database()").fetchall():  # noqa: ASYNC110 - they go a moment later
            await asyncio.sleep(0.01)
    assert [await children(database) for _ in range(5)] == [0] * 5


async def test_a_call_that_reads_leaves_no_transaction(database: Database, postgres_url: str) -> None:
    if database.dialect == "sqlite":
        pytest.skip("told by test_driver")
    unit = database.unit(write=False)
    await unit.session.execute(sa.select(PARENT))
    with psycopg.connect(postgres_url, autocommit=True) as other:
        asked = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        states = {row[0] for row in other.execute(asked)}
    await unit.close()
    assert states == {"idle"}


@pytest.mark.parametrize("told", ["database or disk is full", "attempt to write a readonly database", "disk I/O error"])
async def test_a_disk_that_cannot_be_written_to_is_said_to_be_unavailable(told: str) -> None:
    problem = to_problem(sa.exc.OperationalError("INSERT", None, sqlite3.OperationalError(told)))
    assert (problem.status, problem.code) == (503, "database_unavailable")
