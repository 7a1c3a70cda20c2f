"""The chain shows what was changed, removed or moved, and where; sealing is safe with several at once."""

# ruff: noqa: S608 - tampering with any column is the point

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from plugin_host.audit import Entry, record
from plugin_host.audit.chain import NOTHING, Head, expire, seal
from plugin_host.audit.refusals import Refusals
from plugin_host.audit.tables import AuditChain, AuditEntry, AuditRefusal
from plugin_host.audit.verification import Verification, verify
from plugin_host.sdk.context import Actor

from .conftest import work

if TYPE_CHECKING:
    from plugin_host.database import Database

pytestmark = pytest.mark.anyio
ANN = Actor(id="7", username="ann", display="Ann")


async def write(database: Database, count: int) -> None:
    async with work(database) as db:
        for number in range(count):
            await record(db, Entry(action="core.user.changed", actor=ANN, object=f"user:{number}"))


async def sealed(database: Database, count: int) -> None:
    await write(database, count)
    async with work(database) as db:
        assert await seal(db) == count


async def look(database: Database, noted: Head | None = None) -> Verification:
    async with work(database) as db:
        return await verify(db, noted)


async def tamper(database: Database, *statements: str) -> None:
    """Do what somebody does who owns the database: without the triggers."""
    off = {
        "sqlite": ["DROP TRIGGER core_audit_changed", "DROP TRIGGER core_audit_removed"],
        "postgresql": ["ALTER TABLE core_audit DISABLE TRIGGER ALL"],
    }
    async with work(database) as db:
        for statement in (*off[database.dialect], *statements):
            await db.execute(sa.text(statement))


def told(found: Verification) -> list[tuple[str, int]]:
    return [(fault.kind, fault.position) for fault in found.faults]


async def test_a_chain_that_nobody_touched_is_whole(database: Database) -> None:
    await sealed(database, 7)
    await write(database, 2)
    found = await look(database)
    assert (found.ok, found.entries, found.unsealed, found.first, found.head.position) == (True, 7, 2, 1, 7)


async def test_batches_go_on_where_the_last_one_ended(database: Database) -> None:
    await write(database, 5)
    counts = []
    for _ in range(4):
        async with work(database) as db:
            counts.append(await seal(db, 2))
    assert counts == [2, 2, 1, 0]
    assert (await look(database)).ok


async def test_several_that_seal_at_once_make_one_chain(anywhere: Database) -> None:
    await write(anywhere, 30)

    async def one() -> int:
        async with work(anywhere) as db:
            return await seal(db, 5)

    assert sum(await asyncio.gather(*(one() for _ in range(4)))) == 20
    assert (await look(anywhere)).ok


@pytest.mark.security
@pytest.mark.parametrize("column", ["actor", "username", "action", "object", "outcome", "detail", "request", "via"])
async def test_a_changed_entry_is_found(database: Database, column: str) -> None:
    await sealed(database, 5)
    await tamper(database, f"UPDATE core_audit SET {column} = 'other' WHERE position = 3")
    assert told(await look(database)) == [("changed", 3)]


@pytest.mark.security
async def test_a_changed_moment_is_found(anywhere: Database) -> None:
    await sealed(anywhere, 3)
    await tamper(anywhere, "UPDATE core_audit SET at = '2020-01-01 00:00:00.000000' WHERE position = 2")
    assert told(await look(anywhere)) == [("changed", 2)]


@pytest.mark.security
async def test_a_change_with_a_new_digest_is_found(database: Database) -> None:
    await sealed(database, 5)
    stolen = "(SELECT digest FROM core_audit WHERE position = 2)"
    await tamper(database, f"UPDATE core_audit SET digest = {stolen} WHERE position = 4")
    assert told(await look(database)) == [("changed", 4)]


@pytest.mark.security
async def test_removed_entries_are_found(anywhere: Database) -> None:
    await sealed(anywhere, 9)
    await tamper(anywhere, "DELETE FROM core_audit WHERE position IN (2, 5, 6, 9)")
    found = await look(anywhere)
    assert [(f.kind, f.position, f.last) for f in found.faults] == [
        ("removed", 2, 2),
        ("removed", 5, 6),
        ("removed", 9, 9),
    ]


@pytest.mark.security
@pytest.mark.parametrize(("a", "b"), [(2, 3), (2, 5), (1, 6)])
async def test_entries_that_changed_places_are_found(database: Database, a: int, b: int) -> None:
    await sealed(database, 6)
    await tamper(
        database,
        f"UPDATE core_audit SET position = -1 WHERE position = {a}",
        f"UPDATE core_audit SET position = {a} WHERE position = {b}",
        f"UPDATE core_audit SET position = {b} WHERE position = -1",
    )
    found = await look(database)
    assert [(f.kind, f.position, f.sealed_at) for f in found.faults] == [("moved", a, b), ("moved", b, a)]


@pytest.mark.security
async def test_a_chain_that_was_cut_and_mended_is_found_by_a_noted_end(database: Database) -> None:
    await sealed(database, 5)
    noted = (await look(database)).head
    row = "(SELECT hash FROM core_audit WHERE position = 3)"
    await tamper(
        database,
        f"UPDATE core_audit_chain SET position = 3, hash = {row}",
        "DELETE FROM core_audit WHERE position > 3",
    )
    assert (await look(database)).ok
    assert told(await look(database, noted)) == [("end", 3)]


@pytest.mark.security
async def test_a_chain_that_was_made_anew_is_found_by_a_noted_end(database: Database) -> None:
    await sealed(database, 4)
    noted = (await look(database)).head
    await tamper(
        database,
        "UPDATE core_audit SET outcome = 'refused', position = NULL, digest = NULL, hash = NULL",
        f"UPDATE core_audit_chain SET position = 0, hash = '{NOTHING}'",
    )
    async with work(database) as db:
        await seal(db)
    assert (await look(database)).ok
    assert told(await look(database, noted)) == [("end", 4)]


async def test_old_entries_go_and_the_rest_can_be_verified(anywhere: Database) -> None:
    await sealed(anywhere, 6)
    async with work(anywhere) as db:
        fifth = await db.scalar(sa.select(AuditEntry.at).where(AuditEntry.position == 5))
    async with work(anywhere) as db:
        assert await expire(db, fifth, most=3) == 3
        assert await expire(db, fifth, most=3) == 1
        assert await expire(db, fifth, most=3) == 0
    await sealed(anywhere, 2)
    found = await look(anywhere)
    assert (found.ok, found.first, found.entries, found.head.position) == (True, 5, 4, 8)


async def test_all_may_go(database: Database) -> None:
    await sealed(database, 3)
    async with work(database) as db:
        assert await expire(db, dt.datetime.now(dt.UTC) + dt.timedelta(days=1)) == 3
    await sealed(database, 1)
    assert (await look(database)).ok
    async with work(database) as db:
        assert await db.scalar(sa.select(AuditChain.base_position)) == 3


async def test_what_is_not_sealed_is_not_removed(database: Database) -> None:
    await write(database, 2)
    async with work(database) as db:
        assert await expire(db, dt.datetime.now(dt.UTC) + dt.timedelta(days=1)) == 0


async def test_refusals_are_counted_by_the_hour(anywhere: Database) -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.count("core.session.refused", "invalid_credentials")
    async with work(anywhere) as db:
        assert await refusals.write(db)
    refusals.count("core.session.refused", "invalid_credentials")
    async with work(anywhere) as db:
        assert await refusals.write(db)
        assert not await refusals.write(db)
    async with work(anywhere) as db:
        assert (await db.execute(sa.select(sa.func.sum(AuditRefusal.count)))).scalar_one() == 4
