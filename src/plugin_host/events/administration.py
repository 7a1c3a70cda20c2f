"""What operators see and do: dead letters, the backlog, jobs and their runs. All work on one database's session."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from plugin_host.events.tables import DEAD, READY, delivery, job_run, outbox, subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

_SHOWN: Final = 20_000
"""Bytes of a payload that are shown; what is larger is shown as its beginning."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was given up."""

    id: str
    event_id: str
    kind: str
    name: str
    subscriber: str
    plugin: str
    key: str | None
    version: int
    attempts: int
    error: str | None
    failed_at: dt.datetime | None
    published_at: dt.datetime
    actors: tuple[str, ...]
    payload: Any


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for one subscriber. `oldest` is the age of the oldest in seconds; `attempts` the most of any."""

    subscriber: str
    plugin: str
    event: str | None
    waiting: int
    running: int
    dead: int
    oldest: float | None
    attempts: int
    quarantine: str | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one run of a job."""

    id: str
    job: str
    event_id: str
    attempt: int
    actor: str
    started_at: dt.datetime
    ended_at: dt.datetime
    outcome: str
    error: str | None


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job, as it is kept in the database."""

    name: str
    plugin: str
    schedule: str | None
    timezone: str | None
    waiting: int
    running: int
    dead: int
    quarantine: str | None
    last: Run | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters: those of a plugin, an event or job name, a subscriber; all of what is not named."""

    plugin: str | None = None
    name: str | None = None
    subscriber: str | None = None


async def dead_letters(
    session: AsyncSession, wanted: Wanted, limit: int, before: int | None = None
) -> list[DeadLetter]:
    """List dead letters, the newest first; `before` is the number of the last one on the page before."""
    letters = sa.select(delivery, outbox).join(outbox, outbox.c.id == delivery.c.outbox_id).where(*_which(wanted))
    if before is not None:
        letters = letters.where(delivery.c.id < before)
    columns = [*delivery.c, *(column.label(f"out_{column.name}") for column in outbox.c)]
    letters = letters.with_only_columns(*columns).order_by(delivery.c.id.desc()).limit(limit)
    return [_letter(row) for row in (await session.execute(letters)).all()]


async def count_dead(session: AsyncSession, wanted: Wanted) -> int:
    """Count dead letters."""
    count = sa.select(sa.func.count()).select_from(delivery).join(outbox, outbox.c.id == delivery.c.outbox_id)
    return int((await session.execute(count.where(*_which(wanted)))).scalar_one())


async def retry(session: AsyncSession, numbers: Sequence[int]) -> int:
    """Deliver dead letters again, with all attempts anew; their handlers leave quarantine. Gives the count."""
    mine = sa.select(delivery.c.subscriber).where(delivery.c.id.in_(numbers), delivery.c.state == DEAD)
    subscribers = list((await session.execute(mine.distinct())).scalars())
    await release(session, subscribers)
    done: Any = await session.execute(
        sa.update(delivery)
        .where(delivery.c.id.in_(numbers), delivery.c.state == DEAD)
        .values(state=READY, due=0.0, attempts=0, crashes=0, lease=None)
    )
    return int(done.rowcount)


async def retry_all(session: AsyncSession, wanted: Wanted) -> int:
    """Deliver again all dead letters of a kind."""
    return await retry(session, await _numbers(session, wanted))


async def discard(session: AsyncSession, numbers: Sequence[int]) -> int:
    """Throw dead letters away. Gives how many."""
    dead = sa.select(delivery.c.outbox_id).where(delivery.c.id.in_(numbers), delivery.c.state == DEAD)
    jobs = sa.select(outbox.c.id).where(outbox.c.id.in_(dead), outbox.c.kind == "job")
    gone = list((await session.execute(jobs)).scalars())
    done: Any = await session.execute(sa.delete(delivery).where(delivery.c.id.in_(numbers), delivery.c.state == DEAD))
    if gone:
        await session.execute(sa.delete(outbox).where(outbox.c.id.in_(gone)))
    return int(done.rowcount)


async def discard_all(session: AsyncSession, wanted: Wanted) -> int:
    """Throw away all dead letters of a kind."""
    return await discard(session, await _numbers(session, wanted))


async def release(session: AsyncSession, subscribers: Sequence[str]) -> int:
    """End the quarantine of these subscribers. Gives how many were in it."""
    done: Any = await session.execute(
        sa.update(subscription)
        .where(subscription.c.subscriber.in_(subscribers), subscription.c.quarantine.is_not(None))
        .values(quarantine=None, crashes=0)
    )
    return int(done.rowcount)


async def backlog(session: AsyncSession) -> list[Backlog]:
    """Say of each subscriber what waits for it."""
    now = time.time()
    ready, leased = delivery.c.state == READY, delivery.c.lease.is_not(None)
    sums = (
        sa.select(
            delivery.c.subscriber,
            sa.func.min(delivery.c.plugin).label("plugin"),
            sa.func.sum(sa.case((ready & ~leased, 1), else_=0)).label("waiting"),
            sa.func.sum(sa.case((ready & leased, 1), else_=0)).label("running"),
            sa.func.sum(sa.case((ready, 0), else_=1)).label("dead"),
            sa.func.min(sa.case((ready, delivery.c.created))).label("oldest"),
            sa.func.max(delivery.c.attempts).label("attempts"),
        )
        .group_by(delivery.c.subscriber)
        .order_by(delivery.c.subscriber)
    )
    counted = {row.subscriber: row for row in (await session.execute(sums)).all()}
    known = {row.subscriber: row for row in (await session.execute(sa.select(subscription))).all()}
    return [
        Backlog(
            subscriber=name,
            plugin=known[name].plugin if name in known else counted[name].plugin,
            event=(known[name].event or None) if name in known else None,
            waiting=int(counted[name].waiting) if name in counted else 0,
            running=int(counted[name].running) if name in counted else 0,
            dead=int(counted[name].dead) if name in counted else 0,
            oldest=round(max(0.0, now - counted[name].oldest), 3)
            if name in counted and counted[name].oldest is not None
            else None,
            attempts=int(counted[name].attempts) if name in counted else 0,
            quarantine=known[name].quarantine if name in known else None,
        )
        for name in sorted({*counted, *known})
    ]


async def jobs(session: AsyncSession) -> list[JobRow]:
    """List the jobs that plugins have registered here, each with its last run."""
    waiting = {each.subscriber: each for each in await backlog(session)}
    newest = sa.select(sa.func.max(job_run.c.id)).group_by(job_run.c.job)
    last = {
        row.job: _run(row) for row in (await session.execute(sa.select(job_run).where(job_run.c.id.in_(newest)))).all()
    }
    known = sa.select(subscription).where(subscription.c.event == "").order_by(subscription.c.subscriber)
    return [
        JobRow(
            name=row.subscriber,
            plugin=row.plugin,
            schedule=row.schedule,
            timezone=row.timezone,
            waiting=waiting[row.subscriber].waiting,
            running=waiting[row.subscriber].running,
            dead=waiting[row.subscriber].dead,
            quarantine=row.quarantine,
            last=last.get(row.subscriber),
        )
        for row in (await session.execute(known)).all()
    ]


async def runs(session: AsyncSession, job: str, limit: int, before: int | None = None) -> list[Run]:
    """List what became of the runs of a job, the newest first."""
    rows = sa.select(job_run).where(job_run.c.job == job).order_by(job_run.c.id.desc()).limit(limit)
    if before is not None:
        rows = rows.where(job_run.c.id < before)
    return [_run(row) for row in (await session.execute(rows)).all()]


def _which(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    said = [delivery.c.state == DEAD]
    if wanted.plugin is not None:
        said.append(delivery.c.plugin == wanted.plugin)
    if wanted.name is not None:
        said.append(outbox.c.name == wanted.name)
    if wanted.subscriber is not None:
        said.append(delivery.c.subscriber == wanted.subscriber)
    return said


async def _numbers(session: AsyncSession, wanted: Wanted) -> list[int]:
    numbers = sa.select(delivery.c.id).join(outbox, outbox.c.id == delivery.c.outbox_id).where(*_which(wanted))
    return list((await session.execute(numbers.limit(10_000))).scalars())


def _letter(row: Any) -> DeadLetter:
    return DeadLetter(
        id=str(row.id),
        event_id=row.out_event_id,
        kind=row.out_kind,
        name=row.out_name,
        subscriber=row.subscriber,
        plugin=row.plugin,
        key=row.out_key,
        version=row.out_version,
        attempts=row.attempts,
        error=row.error,
        failed_at=_moment(row.failed),
        published_at=dt.datetime.fromtimestamp(row.out_created, dt.UTC),
        actors=tuple(json.loads(row.out_origin).get("chain", ())),
        payload=_shown(bytes(row.out_payload)),
    )


def _shown(payload: bytes) -> Any:
    """Show a payload: as what it says, or as text where that is too long or cannot be read."""
    if len(payload) <= _SHOWN:
        try:
            return json.loads(payload)
        except ValueError:
            pass
    return payload[:_SHOWN].decode("utf-8", "replace")


def _run(row: Any) -> Run:
    return Run(
        id=str(row.id),
        job=row.job,
        event_id=row.event_id,
        attempt=row.attempt,
        actor=row.actor,
        started_at=dt.datetime.fromtimestamp(row.started, dt.UTC),
        ended_at=dt.datetime.fromtimestamp(row.ended, dt.UTC),
        outcome=row.outcome,
        error=row.error,
    )


def _moment(stamp: float | None) -> dt.datetime | None:
    return None if stamp is None else dt.datetime.fromtimestamp(stamp, dt.UTC)
