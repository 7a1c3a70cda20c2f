"""A worker process for the tests: `python worker.py relay URL` or `… schedule URL`; works until it is killed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.database import Database
from plugin_host.events.bindings import Handler, bind
from plugin_host.events.doors import Doors
from plugin_host.events.publishing import Origin
from plugin_host.events.relay import Relay
from plugin_host.events.running import Hands, run_delivery
from plugin_host.events.scheduler import Scheduler
from plugin_host.events.schedules import Schedule
from plugin_host.sdk import EventHandler, Job
from plugin_host.sdk.context import SYSTEM, Actor, Work
from plugin_host.sdk.delivery import Delivery

LEASE = 2.0
EVERY = 0.05
"""Seconds between two slots of the test's schedule."""

effect = sa.Table(
    "notes_effect",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("n", sa.Integer),
    sa.Column("key", sa.String(20)),
)


class Said(msgspec.Struct, frozen=True, tag="notes.note.said"):
    n: int


async def on_said(event: Said, delivery: Delivery, db: AsyncSession) -> None:
    """Have an effect in the database, and leave time between it and its commit for a kill to land in."""
    if event.n < 0:
        raise ValueError(event.n)
    await db.execute(sa.insert(effect).values(n=event.n, key=delivery.key))
    await asyncio.sleep(0.001)


def on_slot() -> None:
    """Be due: that a row of it was enqueued is the point."""


BOUND = bind(
    "notes",
    [Said],
    [EventHandler(Said, on_said, order="key", retry=2)],
    [Job("notes.tick", on_slot, schedule="* * * * * *")],
)
HANDLERS = {each.subscriber: each for each in BOUND.handlers}


class Often(Schedule):
    """A schedule of more slots than cron lines have."""

    def after(self, moment: float) -> Iterator[float]:
        """Give a slot each twentieth of a second."""
        number = int(moment / EVERY)
        while True:
            number += 1
            yield number * EVERY


def hands(database: Database) -> Hands:
    """Give what a handler needs of a host."""

    def open_work(plugin: str, actor: Actor, told: Delivery) -> Work:
        return Work(
            plugin=plugin,
            actor=actor,
            unit=database.unit(),
            access=cast("Any", None),
            services=cast("Any", None),
            settings=None,
            log=cast("Any", None),
            doors=lambda _: (Doors(BOUND, Origin(told.actors), lambda: None),) * 2,
            delivery=told,
        )

    async def actor_of(_origin: Origin, _plugin: str, _needed: bool) -> Actor:  # noqa: FBT001 - the relay's call
        return SYSTEM

    async def in_thread(_plugin: str, call: Any) -> Any:
        return await asyncio.to_thread(call)

    return Hands(open_work, actor_of, in_thread, lambda _plugin, _place: True)


async def relay(url: str) -> None:
    """Work on deliveries."""
    database = Database(url)

    async def run(claimed: Any, handler: Handler) -> Any:
        return await run_delivery(claimed, handler, hands(database), database)

    works = Relay(database, run, concurrency=4, poll=0.1, lease=LEASE)
    works.serve(HANDLERS)
    async with works.working(grace=1):
        await asyncio.Event().wait()


async def schedule(url: str) -> None:
    """Enqueue what is due."""
    database = Database(url)
    (job,) = BOUND.jobs.values()
    often = Often("* * * * * *", "UTC")
    scheduler = Scheduler(database, lambda: None, time.time)
    scheduler.serve({"notes.tick": _with(job, often)})
    while True:
        await scheduler.look()
        await asyncio.sleep(0.02)


def _with(job: Handler, often: Schedule) -> Handler:
    import dataclasses

    return dataclasses.replace(job, schedule=often)


if __name__ == "__main__":
    asyncio.run({"relay": relay, "schedule": schedule}[sys.argv[1]](sys.argv[2]))
