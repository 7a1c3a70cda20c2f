"""SQLite under SQLAlchemy's asyncio: where a statement runs, and that nothing is left open whatever happens."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from plugin_host.database import Database
from plugin_host.database.driver import NEVER, TIMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plugin_host.database import UnitOfWork

pytestmark = pytest.mark.anyio

LONG = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT sum(i) FROM n"
)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


BY_KEY = sa.select(Item.id, Item.text).where(Item.id == sa.bindparam("key"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'host.db'}")
    database.prepare()
    with database.migration_engine() as engine, engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(sa.insert(Item), [{"id": n, "text": f"text {n}"} for n in range(1, 101)])
    yield database
    await database.close()


def known(database: Database) -> dict[str, int]:
    """Give what is remembered of the texts that ran."""
    driver: Any = database.engine.dialect.dbapi
    return dict(driver.known)


async def read(database: Database, statement: Any, parameters: Any = None, times: int = TIMES + 2) -> Any:
    """Run a read in several calls; gives what came last."""
    for _ in range(times):
        unit = database.unit(write=False)
        try:
            rows = (await unit.session.execute(statement, parameters)).all()
            await unit.commit()
        finally:
            await unit.close()
    return rows


def may_write(database: Database) -> bool:
    """Tell whether another process could begin to write now."""
    with closing(sqlite3.connect(str(database.path), timeout=5, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


async def count(database: Database) -> Any:
    unit = database.unit(write=False)
    found = await unit.session.scalar(sa.select(sa.func.count(Item.id)))
    await unit.close()
    return found


# -- where a statement runs ----------------------------------------------------------------------------------


async def test_a_read_that_is_always_short_comes_to_the_loop(database: Database) -> None:
    assert await read(database, BY_KEY, {"key": 7}) == [(7, "text 7")]
    assert list(known(database).values()) == [TIMES]


async def test_a_read_on_the_loop_sees_what_others_have_committed(database: Database) -> None:
    await read(database, BY_KEY, {"key": 7})
    with closing(sqlite3.connect(str(database.path))) as other:
        other.execute("UPDATE item SET text = 'new' WHERE id = 7")
        other.commit()
    assert await read(database, BY_KEY, {"key": 7}, times=1) == [(7, "new")]


async def test_a_read_sees_what_its_own_call_has_written(database: Database) -> None:
    await read(database, BY_KEY, {"key": 7})
    for write in (True, False):
        unit = database.unit(write=write)
        await unit.session.execute(sa.update(Item).where(Item.id == 7).values(text="mine"))
        assert (await unit.session.execute(BY_KEY, {"key": 7})).one().text == "mine"
        await unit.rollback()
        await unit.close()


async def test_a_read_sees_what_waits_to_be_written(database: Database) -> None:
    await read(database, BY_KEY, {"key": 200})
    unit = database.unit(write=False)
    unit.session.add(Item(id=200, text="pending"))
    assert (await unit.session.execute(BY_KEY, {"key": 200})).one().text == "pending"
    await unit.close()


@pytest.mark.parametrize(
    "statement",
    ["SELECT count(*) FROM item", "SELECT group_concat(text) FROM item", "SELECT text FROM item WHERE text LIKE '%7%'"],
)
async def test_what_may_do_much_in_one_step_never_comes_to_the_loop(database: Database, statement: str) -> None:
    await read(database, sa.text(statement))
    assert known(database)[statement] == NEVER


async def test_a_read_that_turns_out_long_is_run_again_in_the_thread(database: Database) -> None:
    statement = sa.text(
        "SELECT sum(a.id + b.id + c.id) AS total FROM item a JOIN item b ON b.id <= :n"
        " JOIN item c ON c.id <= :n WHERE a.id <= :n"
    )
    assert await read(database, statement, {"n": 1}) == [(3,)]
    assert known(database)[str(statement.compile(dialect=database.engine.dialect))] == TIMES
    assert await read(database, statement, {"n": 100}, times=1) == [(3 * 5050 * 10_000,)]
    assert known(database)[str(statement.compile(dialect=database.engine.dialect))] < 0


async def test_the_loop_goes_on_while_a_statement_takes_long(database: Database) -> None:
    unit = database.unit(write=False)
    task = asyncio.create_task(unit.session.scalar(LONG))
    turns = 0
    while not task.done() and turns < 50:
        await asyncio.sleep(0.001)
        turns += 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await unit.close()
    assert turns == 50


async def test_results_are_the_same_on_both_ways(database: Database) -> None:
    first = await read(database, BY_KEY, {"key": 5}, times=1)
    later = await read(database, BY_KEY, {"key": 5})
    assert [row._mapping for row in first] == [row._mapping for row in later]
    assert later[0]._mapping[Item.text] == later[0].text == later[0][1]


async def test_an_object_by_its_key_is_as_ever(database: Database) -> None:
    for _ in range(TIMES + 3):
        unit = database.unit(write=False)
        item = await unit.session.get_one(Item, 7)
        state: Any = sa.inspect(item)
        assert (item.id, item.text) == (7, "text 7")
        assert (state.persistent, state.modified, state.unloaded) == (True, False, set())
        assert item in unit.session
        assert await unit.session.get(Item, 7) is item
        assert await unit.session.get(Item, 999) is None
        await unit.commit()
        await unit.close()


@pytest.mark.parametrize("ending", ["commit", "close"])
async def test_an_object_by_its_key_can_be_changed(database: Database, ending: str) -> None:
    for _ in range(TIMES + 3):
        await read(database, sa.select(Item.id), times=1)
        unit = database.unit(write=False)
        item = await unit.session.get_one(Item, 7)
        item.text = "changed" if item.text != "changed" else "again"
        await getattr(unit, ending)()
        await unit.close()
    later = await read(database, BY_KEY, {"key": 7}, times=1)
    assert later == [(7, "changed" if ending == "commit" else "text 7")]


async def test_an_object_that_is_not_there_is_told_as_ever(database: Database) -> None:
    for _ in range(TIMES + 3):
        unit = database.unit(write=False)
        with pytest.raises(sa.exc.NoResultFound):
            await unit.session.get_one(Item, 999)
        await unit.close()


async def test_a_parameter_that_is_missing_is_told_as_ever(database: Database) -> None:
    await read(database, BY_KEY, {"key": 5})
    with pytest.raises(sa.exc.StatementError, match="A value is required for bind parameter 'key'"):
        await read(database, BY_KEY, {}, times=1)


async def test_rows_can_be_streamed(database: Database) -> None:
    unit = database.unit(write=False)
    stream = await unit.session.stream(sa.select(Item.id).order_by(Item.id))
    found = [id_ async for id_ in stream.scalars()]
    await unit.close()
    assert found == list(range(1, 101))


# -- what a call that should only read may do ----------------------------------------------------------------


@pytest.mark.parametrize(("ending", "after"), [("commit", 101), ("rollback", 100), ("close", 100)])
async def test_a_read_that_writes_is_kept_or_undone_as_a_whole(database: Database, ending: str, after: int) -> None:
    unit = database.unit(write=False)
    await unit.session.execute(BY_KEY, {"key": 1})
    await unit.session.execute(sa.update(Item).where(Item.id == 1).values(text="changed"))
    unit.session.add(Item(id=500, text="new"))
    await unit.session.flush()
    await getattr(unit, ending)()
    await unit.close()
    assert await count(database) == after
    changed = await read(database, BY_KEY, {"key": 1}, times=1)
    assert (changed == [(1, "changed")]) is (ending == "commit")


async def test_a_savepoint_in_a_read(database: Database) -> None:
    unit = database.unit(write=False)
    async with unit.session.begin_nested():
        unit.session.add(Item(id=501, text="kept"))
    with suppress(ValueError):
        async with unit.session.begin_nested():
            unit.session.add(Item(id=502, text="undone"))
            await unit.session.flush()
            raise ValueError
    await unit.commit()
    await unit.close()
    assert await count(database) == 101


# -- cancelling ----------------------------------------------------------------------------------------------


async def test_a_cancelled_statement_is_interrupted(database: Database) -> None:
    unit = database.unit()
    await unit.session.execute(sa.insert(Item).values(id=600, text="undone"))
    task = asyncio.create_task(unit.session.scalar(LONG))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await unit.close()
    assert await asyncio.to_thread(may_write, database)
    assert await count(database) == 100


async def test_a_call_that_waits_for_the_lock_can_be_cancelled(database: Database) -> None:
    first, second = database.unit(), database.unit()
    await first.session.execute(sa.insert(Item).values(id=700, text="first"))
    task = asyncio.create_task(second.session.execute(sa.insert(Item).values(id=701, text="second")))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await second.close()
    await first.commit()
    await first.close()
    assert await asyncio.to_thread(may_write, database)
    assert await count(database) == 101


async def _call(database: Database, key: int, chance: random.Random) -> None:
    """Do what a call may do, in one of many ways."""
    unit: UnitOfWork = database.unit(write=chance.random() < 0.7)
    try:
        for step in range(chance.randrange(1, 5)):
            match chance.randrange(5):
                case 0:
                    await unit.session.execute(BY_KEY, {"key": key})
                case 1:
                    unit.session.add(Item(id=key * 10 + step, text="new"))
                    await unit.session.flush()
                case 2:
                    await unit.session.get(Item, key)
                case 3:
                    async with unit.session.begin_nested():
                        await unit.session.execute(sa.update(Item).where(Item.id == key).values(text="x"))
                case _:
                    await asyncio.sleep(0)
        if chance.random() < 0.5:
            await unit.commit()
    finally:
        await unit.close()


async def _storm(database: Database, seed: int, calls: int) -> None:
    """Let calls run beside each other and be cancelled at any of their awaits."""
    chance = random.Random(seed)  # noqa: S311 - the same again
    tasks = []
    for number in range(calls):
        mine = random.Random(seed * 1000 + number)  # noqa: S311 - likewise
        tasks.append(asyncio.create_task(_call(database, 1000 + number, mine)))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.6:
            await asyncio.sleep(chance.random() * 0.003)
            chance.choice(tasks).cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    unexpected = [each for each in done if isinstance(each, Exception) and "locked" not in str(each)]
    assert unexpected == []


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_stays_open_wherever_calls_are_cancelled(database: Database, seed: int) -> None:
    await _storm(database, seed, 40)
    assert await asyncio.to_thread(may_write, database)
    pool: Any = database.engine.sync_engine.pool
    assert pool.checkedout() == 0
    with closing(sqlite3.connect(str(database.path))) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 150))
async def test_nothing_stays_open_in_many_storms(database: Database, seed: int) -> None:
    await _storm(database, seed, 200)
    assert await asyncio.to_thread(may_write, database)
    pool: Any = database.engine.sync_engine.pool
    assert pool.checkedout() == 0
