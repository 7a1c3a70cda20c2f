"""Handlers whose database is another one than the event's, and databases that are full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.events import claiming
from plugin_host.events.running import run_delivery
from plugin_host.events.tables import delivery, inbox, job_run, outbox
from plugin_host.sdk import EventHandler

from .conftest import Bench, Said, make
from .test_relay import RUN

pytestmark = pytest.mark.anyio


async def on_said(event: Said, db: AsyncSession) -> None:
    """Have an effect in the plugin's own database."""
    if event.n < 0:
        raise RuntimeError("no")
    await db.execute(sa.insert(job_run).values(RUN | {"attempt": event.n}))


class Elsewhere(Bench):
    """A bench whose plugin has a database of its own, beside the one that the events are in."""

    def __init__(self, bench: Bench, own: Any) -> None:
        super().__init__(own)
        self.events_in = bench.database
        self.handlers = bench.handlers
        self.bound = bench.bound

    async def run(self, claimed: Any) -> Any:
        return await run_delivery(claimed, self.handlers[claimed.subscriber], self.hands(), self.events_in)


async def claim(bench: Bench) -> Any:
    bench.now += 100
    for suspects in (False, True):
        async with bench.session() as session:
            found = await claiming.claim(
                session, list(bench.handlers), most=1, token=f"m.1.1.{bench.now}", now=bench.now, suspects=suspects
            )
        if found:
            return found[0]
    return await claim(bench)


async def test_an_effect_in_another_database_is_there_once_whatever_dies(bench: Bench, tmp_path: Path) -> None:
    own = make(f"sqlite:///{tmp_path / 'own.db'}")
    await bench.register(EventHandler(Said, on_said))
    await bench.publish(1)
    elsewhere = Elsewhere(bench, own)
    first = await elsewhere.run(await claim(bench))  # and the process dies before it takes the delivery off
    again = await elsewhere.run(await claim(bench))
    assert (first.kind, first.kept, again.kind, again.kept) == ("done", False, "done", False)
    assert [row.attempt for row in await elsewhere.rows(job_run)] == [1]
    assert len(await elsewhere.rows(inbox)) == 1
    assert len(await bench.rows(delivery)) == 1  # for the relay to take off
    await own.close()


async def test_what_fails_in_another_database_leaves_no_mark_there(bench: Bench, tmp_path: Path) -> None:
    own = make(f"sqlite:///{tmp_path / 'own.db'}")
    await bench.register(EventHandler(Said, on_said))
    await bench.publish(-1)
    elsewhere = Elsewhere(bench, own)
    outcome = await elsewhere.run(await claim(bench))
    assert outcome.kind == "retry"
    assert (await elsewhere.rows(job_run), await elsewhere.rows(inbox)) == ([], [])
    await own.close()


async def test_a_full_disk_is_told_to_the_writer_and_nothing_is_half_published(tmp_path: Path) -> None:
    class Large(msgspec.Struct, frozen=True, tag="notes.note.said"):
        n: int
        text: str

    database = make(f"sqlite:///{tmp_path / 'full.db'}")
    bench = Bench(database)
    await bench.register(EventHandler(Said, on_said))
    unit = database.unit()
    pages = (await unit.session.execute(sa.text("PRAGMA page_count"))).scalar_one()
    await unit.session.execute(sa.text(f"PRAGMA max_page_count = {pages + 4}"))
    await bench.doors().publish(unit.session, Said(1))
    with pytest.raises(SQLAlchemyError, match="full"):
        await bench.doors().publish(unit.session, Said(2, "x" * 900_000))
    await unit.rollback()
    await unit.close()
    assert (await bench.rows(outbox), await bench.rows(delivery)) == ([], [])
    await database.close()
