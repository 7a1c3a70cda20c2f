"""Enqueue scheduled jobs, in every process and without a leader: whoever inserts the slot first enqueues the job.

Slot and job are one transaction, so a process that dies between them leaves neither, and another does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from plugin_host.events.doors import slot_message
from plugin_host.events.publishing import enqueue, insert_of
from plugin_host.events.relay import end_task, wait_for
from plugin_host.events.tables import schedule_slot, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database
    from plugin_host.events.bindings import Handler

log = logging.getLogger("plugin_host.events")

LONGEST: Final = 1.0
"""Seconds: the clock is looked at again after this time at the latest, so that one that jumps is noticed."""


class Scheduler:
    """Watches the clock for the scheduled jobs of one database."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock
        self._jobs: Mapping[str, Handler] = {}
        self._last: dict[str, float] = {}

    def serve(self, jobs: Mapping[str, Handler]) -> None:
        """Watch for these jobs from now on, by name; those without a schedule are left out."""
        self._jobs = {name: job for name, job in jobs.items() if job.schedule is not None}
        self._last = {name: last for name, last in self._last.items() if name in self._jobs}

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch until the end of the block."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._watch(stop), name="plugin-host schedules")
        try:
            yield
        finally:
            stop.set()
            await end_task(task)

    async def look(self) -> int:
        """Enqueue what is due now. Gives how many jobs that were."""
        now, count = self._clock(), 0
        for name, job in list(self._jobs.items()):
            if job.schedule is None:
                continue
            # Also after the clock was set back: what was taken until then is known, and a slot cannot be taken twice.
            if name not in self._last or self._last[name] > now:
                self._last[name] = await self._begin(name, now)
            for slot in job.schedule.due(self._last[name], now):
                count += await self._fire(job, slot)
                self._last[name] = slot
        return count

    async def _watch(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.look()
            except (SQLAlchemyError, OSError) as error:
                log.warning("schedules wait for the database: %s", error)
            except Exception:
                log.exception("schedules failed; they go on")
            await wait_for(stop, self._pause())

    def _pause(self) -> float:
        now = self._clock()
        nexts = (job.schedule.next(now) for job in self._jobs.values() if job.schedule is not None)
        return max(0.01, min([LONGEST, *(each - now for each in nexts if each is not None)]))

    async def _begin(self, name: str, now: float) -> float:
        """Say up to when slots have been seen to: the last one that was taken, or since when the job is there."""
        taken = sa.select(sa.func.max(schedule_slot.c.slot)).where(
            schedule_slot.c.job == name, schedule_slot.c.slot <= now
        )
        since = sa.select(subscription.c.since).where(subscription.c.subscriber == name)
        async with self._session(write=False) as session:
            last = (await session.execute(taken)).scalar()
            if last is None:
                last = (await session.execute(since)).scalar()
        return min(now, float(last)) if last is not None else now

    async def _fire(self, job: Handler, slot: float) -> int:
        async with self._session() as session:
            insert = insert_of(session.get_bind().dialect.name)(schedule_slot)
            row = insert.values(job=job.subscriber, slot=slot).on_conflict_do_nothing()
            row = row.execution_options(preserve_rowcount=True)
            done: Any = await session.execute(row)
            if done.rowcount == 0:
                return 0
            await enqueue(session, slot_message(job), self._wake)
        return 1

    @contextlib.asynccontextmanager
    async def _session(self, *, write: bool = True) -> AsyncIterator[AsyncSession]:
        unit = self._database.unit(write=write)
        try:
            yield unit.session
            await unit.commit()
        finally:
            await unit.close()
