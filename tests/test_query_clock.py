"""The query clock: what a unit of work asks of the database is counted and timed, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from plugin_host.database import Database, QueryClock

pytestmark = pytest.mark.anyio

SLOW = sa.text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT max(i) FROM n")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Give an empty database with one table, of each kind in turn."""
    sqlite = request.param == "sqlite"
    database = Database(f"sqlite:///{tmp_path / 'host.db'}" if sqlite else request.getfixturevalue("postgres_url"))
    database.prepare()
    unit = database.unit()
    await unit.session.execute(sa.text("CREATE TABLE things (a integer)"))
    await unit.commit()
    await unit.close()
    yield database
    await database.close()


async def test_queries_and_the_commit_are_on_the_clock(database: Database) -> None:
    clock = QueryClock()
    unit = database.unit(clock=clock)
    await unit.session.execute(sa.text("INSERT INTO things VALUES (1)"))
    await unit.session.execute(sa.text("SELECT a FROM things"))
    before = clock.seconds
    await unit.commit()
    await unit.close()
    assert clock.count == 2
    assert 0 < before < clock.seconds < 10


async def test_the_time_is_that_of_the_query(database: Database) -> None:
    clock = QueryClock()
    unit = database.unit(write=False, clock=clock)
    await unit.session.execute(SLOW)
    await asyncio.sleep(0)
    slow = clock.seconds
    await unit.session.execute(sa.text("SELECT 1"))
    await unit.close()
    assert clock.seconds - slow < slow


async def test_a_query_that_fails_takes_time_as_well(database: Database) -> None:
    clock = QueryClock()
    unit = database.unit(clock=clock)
    with pytest.raises((OperationalError, ProgrammingError)):
        await unit.session.execute(sa.text("SELECT * FROM nowhere"))
    await unit.close()
    assert clock.count == 1
    assert clock.seconds > 0


async def test_each_clock_counts_its_own_units(database: Database) -> None:
    mine, other = QueryClock(), QueryClock()
    for clock, write in ((mine, True), (mine, False), (other, True), (None, True)):
        unit = database.unit(write=write, clock=clock)
        await unit.session.execute(sa.text("SELECT 1"))
        await unit.close()
    assert (mine.count, other.count) == (2, 1)


async def test_units_with_a_clock_share_the_pool(database: Database) -> None:
    units = [database.unit(clock=QueryClock()).session.get_bind() for _ in range(2)]
    assert units[0].pool is units[1].pool is database.engine.sync_engine.pool  # type: ignore[union-attr] # engines


async def test_what_an_application_asks_on_its_own_engine_is_not_counted(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'app.db'}")
    database = Database("", engine=engine)
    clock = QueryClock()
    unit = database.unit(write=False, clock=clock)
    await unit.session.execute(sa.text("SELECT 1"))
    await unit.close()
    async with engine.connect() as connection:
        await connection.execute(sa.text("SELECT 2"))
    assert clock.count == 1
    await database.close()
    await engine.dispose()
