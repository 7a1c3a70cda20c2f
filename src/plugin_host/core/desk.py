"""The desk of events and jobs: what the API and the commands show and do, over every database of the host.

What lies in a plugin's own database has its id in front: `reporting.12`. What is done is written into the audit log.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import sqlalchemy as sa

from plugin_host.audit import Entry, record
from plugin_host.events import administration as admin
from plugin_host.events.administration import Backlog, DeadLetter, JobRow, Run, Wanted
from plugin_host.events.codec import NOTHING
from plugin_host.events.publishing import Message, Origin, enqueue
from plugin_host.events.schedules import Schedule
from plugin_host.events.subscribing import replay
from plugin_host.events.tables import subscription
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.listing import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database, Databases
    from plugin_host.sdk.context import Actor

T = TypeVar("T")


class JobOut(msgspec.Struct, frozen=True, kw_only=True):
    """A job: when it runs, what waits, and what became of its last run."""

    name: str
    plugin: str
    schedule: str | None
    timezone: str | None
    next_at: dt.datetime | None
    waiting: int
    running: int
    dead: int
    quarantine: str | None
    last: Run | None


class Counted(msgspec.Struct, frozen=True):
    """How many deliveries something was done to."""

    count: int


class Enqueued(msgspec.Struct, frozen=True):
    """The id of a job that was enqueued."""

    id: str


class Desk:
    """Shows and mends what events and jobs have left."""

    def __init__(self, databases: Databases, wake: Callable[[], None] = lambda: None) -> None:
        self._databases = databases
        self._wake = wake

    async def dead(self, wanted: Wanted, limit: int = 50, cursor: str | None = None) -> Page[DeadLetter]:
        """List dead letters, the newest first, of one database after the other."""
        items: list[DeadLetter] = []
        at, before = self._place_of(cursor) if cursor is not None else ("", None)
        for place, database in self._places():
            if place < at:
                continue
            async with _session(database, write=False) as session:
                found = await admin.dead_letters(
                    session, wanted, limit + 1 - len(items), before if place == at else None
                )
            items += [msgspec.structs.replace(each, id=_name(place, each.id)) for each in found]
            if len(items) > limit:
                return Page(items[:limit], items[limit - 1].id)
        return Page(items)

    async def retry(self, letter: str, actor: Actor) -> Counted:
        """Deliver a dead letter again. Raises `Problem` 404."""
        return await self._one(letter, actor, "core.delivery.retried", admin.retry)

    async def discard(self, letter: str, actor: Actor) -> Counted:
        """Throw a dead letter away. Raises `Problem` 404."""
        return await self._one(letter, actor, "core.delivery.discarded", admin.discard)

    async def retry_all(self, wanted: Wanted, actor: Actor) -> Counted:
        """Deliver all dead letters of a kind again."""
        return await self._all(wanted, actor, "core.delivery.retried", admin.retry_all)

    async def discard_all(self, wanted: Wanted, actor: Actor) -> Counted:
        """Throw all dead letters of a kind away."""
        return await self._all(wanted, actor, "core.delivery.discarded", admin.discard_all)

    async def backlog(self) -> list[Backlog]:
        """Say of each subscriber what waits for it, in all databases together."""
        rows: dict[str, Backlog] = {}
        for _, database in self._places():
            async with _session(database, write=False) as session:
                for each in await admin.backlog(session):
                    rows[each.subscriber] = _added(rows[each.subscriber], each) if each.subscriber in rows else each
        return [rows[name] for name in sorted(rows)]

    async def resume(self, subscriber: str, actor: Actor) -> Counted:
        """End the quarantine of a subscriber. Raises `Problem` 404 where there is none of that name."""
        await self._home(subscriber)
        count = 0
        for _, database in self._places():
            async with _session(database) as session:
                count += await admin.release(session, [subscriber])
        await self._note("core.subscriber.resumed", actor, subscriber, count)
        return Counted(count)

    async def replay(self, subscriber: str, since: dt.datetime | None, actor: Actor) -> Counted:
        """Deliver again what is kept of a subscriber's event. Raises `Problem` 404 for an unknown one."""
        if not (await self._home(subscriber)).event:
            raise Problem(422, "invalid", f"{subscriber!r} is a job: run it, there is nothing to replay.")
        count = 0
        for _, database in self._places():
            async with _session(database) as session:
                count += await replay(session, subscriber, since.timestamp() if since is not None else 0.0)
        await self._note("core.subscriber.replayed", actor, subscriber, count)
        self._wake()
        return Counted(count)

    async def jobs(self) -> list[JobOut]:
        """List the jobs of every plugin, each from the database that the plugin is in."""
        found: list[JobOut] = []
        for _, database in self._places():
            async with _session(database, write=False) as session:
                rows = await admin.jobs(session)
            found += [_job(row) for row in rows if self._databases.of(row.plugin) is database]
        return sorted(found, key=lambda each: each.name)

    async def runs(self, job: str, limit: int = 50, cursor: str | None = None) -> Page[Run]:
        """List what became of a job's runs. Raises `Problem` 404 where there is no such job."""
        row = await self._job(job)
        before = int(cursor) if cursor is not None and cursor.isdigit() else None
        async with _session(self._databases.of(row.plugin), write=False) as session:
            found = await admin.runs(session, job, limit + 1, before)
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def run(self, job: str, args: bytes | None, actor: Actor) -> Enqueued:
        """Enqueue a job now, for whoever asks. Raises `Problem` 404 where there is no such job."""
        row = await self._job(job)
        origin = Origin((f"{actor.kind}:{actor.id}", f"plugin:{row.plugin}"))
        message = Message("job", job, 1, row.plugin, args or NOTHING, origin)
        async with _session(self._databases.of(row.plugin)) as session:
            said = await enqueue(session, message, self._wake)
        await self._note("core.job.enqueued", actor, job, 1)
        return Enqueued(said)

    # -- how --------------------------------------------------------------------------------------------------------

    async def _one(
        self, letter: str, actor: Actor, action: str, do: Callable[[AsyncSession, Sequence[int]], Awaitable[int]]
    ) -> Counted:
        place, number = self._place_of(letter)
        database = dict(self._places()).get(place)
        count = 0
        if database is not None and number is not None:
            async with _session(database) as session:
                count = await do(session, [number])
        if not count:
            raise Problem(404, "not_found", f"There is no dead letter {letter!r}.")
        await self._note(action, actor, letter, count)
        self._wake()
        return Counted(count)

    async def _all(
        self, wanted: Wanted, actor: Actor, action: str, do: Callable[[AsyncSession, Wanted], Awaitable[int]]
    ) -> Counted:
        count = 0
        for _, database in self._places():
            async with _session(database) as session:
                count += await do(session, wanted)
        await self._note(action, actor, wanted.subscriber or wanted.name or wanted.plugin or "all", count)
        self._wake()
        return Counted(count)

    async def _note(self, action: str, actor: Actor, what: str, count: int) -> None:
        kind = action.split(".")[1]
        async with _session(self._databases.default) as session:
            await record(session, Entry(action=action, actor=actor, object=f"{kind}:{what}", detail={"count": count}))

    async def _home(self, subscriber: str) -> Any:
        async with _session(self._databases.default, write=False) as session:
            rows = await session.execute(sa.select(subscription).where(subscription.c.subscriber == subscriber))
            row = rows.first()
            if row is None:
                known = sa.select(subscription.c.subscriber).order_by(subscription.c.subscriber)
                names = ", ".join((await session.execute(known)).scalars()) or "none"
                raise Problem(404, "not_found", f"There is no subscriber {subscriber!r}. There are: {names}.")
        return row

    async def _job(self, job: str) -> JobOut:
        jobs = await self.jobs()
        for each in jobs:
            if each.name == job:
                return each
        names = ", ".join(each.name for each in jobs) or "none"
        raise Problem(404, "not_found", f"There is no job {job!r}. There are: {names}.")

    def _places(self) -> list[tuple[str, Database]]:
        return [("", self._databases.default), *sorted(self._databases.groups().items())]

    def _place_of(self, letter: str) -> tuple[str, int | None]:
        place, _, number = letter.rpartition(".")
        return place, int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None  # noqa: PLR2004 - 64 bits


def _job(row: JobRow) -> JobOut:
    upcoming = None
    if row.schedule is not None and row.timezone is not None:
        moment = Schedule(row.schedule, row.timezone).next(dt.datetime.now(dt.UTC).timestamp())
        upcoming = None if moment is None else dt.datetime.fromtimestamp(moment, dt.UTC)
    return JobOut(
        name=row.name,
        plugin=row.plugin,
        schedule=row.schedule,
        timezone=row.timezone,
        next_at=upcoming,
        waiting=row.waiting,
        running=row.running,
        dead=row.dead,
        quarantine=row.quarantine,
        last=row.last,
    )


def _added(one: Backlog, other: Backlog) -> Backlog:
    ages = [each.oldest for each in (one, other) if each.oldest is not None]
    return Backlog(
        subscriber=one.subscriber,
        plugin=one.plugin,
        event=one.event,
        waiting=one.waiting + other.waiting,
        running=one.running + other.running,
        dead=one.dead + other.dead,
        oldest=max(ages, default=None),
        attempts=max(one.attempts, other.attempts),
        quarantine=one.quarantine or other.quarantine,
    )


def _name(place: str, number: str) -> str:
    return f"{place}.{number}" if place else number


@contextlib.asynccontextmanager
async def _session(database: Database, *, write: bool = True) -> AsyncIterator[AsyncSession]:
    unit = database.unit(write=write)
    try:
        yield unit.session
        await unit.commit()
    finally:
        await unit.close()
