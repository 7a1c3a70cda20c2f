"""Processes are killed with -9 again and again: nothing is lost, nothing is done twice, nothing is out of order."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plugin_host.events.doors import Doors
from plugin_host.events.publishing import Origin
from plugin_host.events.subscribing import subscribe
from plugin_host.events.tables import delivery, outbox, schedule_slot

from . import worker
from .conftest import Bench

pytestmark = pytest.mark.anyio


class Crew:
    """Worker processes that are killed and replaced."""

    def __init__(self, task: str, url: str, size: int) -> None:
        self._command = [sys.executable, str(Path(worker.__file__)), task, url]
        self.processes = [self._start() for _ in range(size)]
        self.kills = 0

    def kill(self) -> None:
        one = random.randrange(len(self.processes))  # noqa: S311 - no secret
        self.processes[one].kill()
        self.processes[one].wait()
        self.processes[one] = self._start()
        self.kills += 1

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command)


async def publish(bench: Bench, count: int, keys: int, first: int = 0) -> None:
    """Publish, several in a transaction."""
    for start in range(first, first + count, 40):
        async with bench.session() as session:
            doors = Doors(worker.BOUND, Origin(("user:7",)), lambda: None)
            for n in range(start, min(start + 40, first + count)):
                await doors.publish(session, worker.Said(n), key=f"k{n % keys}")


async def prepare(bench: Bench) -> None:
    with bench.database.migration_engine() as engine:
        worker.effect.metadata.create_all(engine)
    async with bench.session() as session:
        await subscribe(session, ["notes"], [*worker.BOUND.handlers, *worker.BOUND.jobs.values()])


async def effects(bench: Bench) -> list[Any]:
    async with bench.session() as session:
        return list((await session.execute(sa.select(worker.effect).order_by(worker.effect.c.id))).all())


async def waiting(bench: Bench) -> int:
    async with bench.session() as session:
        count = sa.select(sa.func.count()).select_from(delivery).where(delivery.c.state == "ready")
        return int((await session.execute(count)).scalar_one())


async def kill_loop(bench: Bench, url: str, events: int, kills: int) -> None:
    await prepare(bench)
    await publish(bench, events, keys=50)
    crew = Crew("relay", url, 3 if bench.database.dialect == "postgresql" else 1)
    try:
        end = time.monotonic() + 600
        while left := await waiting(bench):
            assert time.monotonic() < end, f"{left} left"
            await asyncio.sleep(0.05)
            # Spread over the work, and not before the last one's process has had time to do some.
            if crew.kills < kills and left < events * (1 - (crew.kills + 0.5) / kills * 0.9):
                await asyncio.sleep(random.random() * 0.05)  # noqa: S311 - no secret
                crew.kill()
    finally:
        crew.end()
    done = await effects(bench)
    counted = Counter(row.n for row in done)
    last: dict[str, int] = {}
    breaks = 0
    for row in done:
        breaks += row.n < last.get(row.key, -1)
        last[row.key] = row.n
    lost = events - len(counted)
    doubled = sum(count > 1 for count in counted.values())
    assert (crew.kills, lost, doubled, breaks) == (kills, 0, 0, 0)
    assert await bench.rows(delivery) == []


async def slot_loop(bench: Bench, url: str, slots: int, kills: int) -> None:
    await prepare(bench)
    crew = Crew("schedule", url, 4)
    try:
        end = time.monotonic() + slots * worker.EVERY + 60
        begun = 0
        while (done := len(await bench.rows(schedule_slot)) - begun) < slots or crew.kills < kills:
            assert time.monotonic() < end
            begun = begun or done  # what was made up for when the first process began is beside the point
            await asyncio.sleep(0.05)
            # After some were fired since the last one: a process that has not begun yet is not worth a kill.
            if crew.kills < kills and done >= (crew.kills + 1) * slots / (kills + 1):
                crew.kill()
    finally:
        crew.end()
    fired = [row.slot for row in await bench.rows(schedule_slot)]
    numbers = sorted(round(slot / worker.EVERY) for slot in fired)
    missed = numbers[-1] - numbers[0] + 1 - len(numbers)
    enqueued = len(await bench.rows(outbox))
    assert (missed, enqueued, len(set(numbers))) == (0, len(fired), len(fired))
    assert crew.kills == kills


@pytest.mark.slow
async def test_kill_9_of_workers(bench: Bench, url: str) -> None:
    await kill_loop(bench, url, events=200, kills=2)


@pytest.mark.slow
async def test_kill_9_of_schedulers(bench: Bench, url: str) -> None:
    await slot_loop(bench, url, slots=60, kills=3)


@pytest.mark.proof
async def test_4000_events_over_50_keys_with_15_kills(bench: Bench, url: str) -> None:
    await kill_loop(bench, url, events=4000, kills=15)


@pytest.mark.proof
async def test_300_slots_of_4_processes_with_kills(bench: Bench, url: str) -> None:
    await slot_loop(bench, url, slots=300, kills=12)
