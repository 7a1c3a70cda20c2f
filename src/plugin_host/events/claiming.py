"""The statements of the relay: claim by lease, acknowledge, fail, renew. All work on one connection's transaction.

Never a cursor (`id > last seen`): transactions do not commit in the order of their numbers, so that would miss some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy import bindparam

from plugin_host.events.tables import DEAD, READY, delivery, job_run, outbox, subscription

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    Connection: TypeAlias = AsyncConnection | AsyncSession

LEASE: Final = 30.0
"""Seconds for which a process has what it claimed; renewed while it works."""

MAX_CRASHES: Final = 3
"""So often a delivery may be under way when its process dies, before it is a dead letter."""

_ERROR_LENGTH: Final = 4000


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process has, for as long as `lease` stands in its row."""

    id: int
    subscriber: str
    attempts: int
    crashes: int
    lease: str
    outbox_id: int
    event_id: str
    kind: str
    name: str
    version: int
    key: str | None
    payload: bytes
    origin: str
    created: float


_OLDER: Final = delivery.alias("older")


def _claimable(*, suspects: bool) -> sa.Select[Any]:
    """Select what may be claimed: due, of our subscribers, and the oldest of its key."""
    ours = delivery.c.subscriber.in_(bindparam("subscribers", expanding=True))
    older = sa.exists().where(
        _OLDER.c.subscriber == delivery.c.subscriber,
        _OLDER.c.key == delivery.c.key,
        _OLDER.c.id < delivery.c.id,
        _OLDER.c.state == READY,
    )
    crashed = delivery.c.crashes > 0 if suspects else delivery.c.crashes == 0
    return (
        sa.select(delivery.c.id, delivery.c.lease, delivery.c.crashes)
        .where(delivery.c.state == READY, delivery.c.due <= bindparam("now"), ours, crashed)
        .where(sa.or_(delivery.c.key.is_(None), ~older))
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )


_OLDEST_FIRST: Final = {
    suspects: _claimable(suspects=suspects).order_by(delivery.c.due, delivery.c.id) for suspects in (False, True)
}
_RETRIES_FIRST: Final = _claimable(suspects=False).order_by(delivery.c.due.desc(), delivery.c.id)
_TAKE: Final = (
    sa.update(delivery)
    .where(delivery.c.id.in_(bindparam("ids", expanding=True)))
    .values(lease=bindparam("token"), due=bindparam("until"), attempts=delivery.c.attempts + 1, unique_key=None)
)
_READ: Final = (
    sa.select(
        delivery.c.id,
        delivery.c.subscriber,
        delivery.c.attempts,
        delivery.c.crashes,
        delivery.c.lease,
        outbox.c.id.label("outbox_id"),
        outbox.c.event_id,
        outbox.c.kind,
        outbox.c.name,
        outbox.c.version,
        outbox.c.key,
        outbox.c.payload,
        outbox.c.origin,
        outbox.c.created,
    )
    .join(outbox, outbox.c.id == delivery.c.outbox_id)
    .where(delivery.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(delivery.c.id)
)
_DROP: Final = sa.delete(delivery).where(
    delivery.c.id == bindparam("number"), delivery.c.lease == bindparam("token"), delivery.c.state == READY
)
_DROP_MANY: Final = sa.delete(delivery).where(
    delivery.c.id.in_(bindparam("ids", expanding=True)),
    delivery.c.lease.in_(bindparam("tokens", expanding=True)),
    delivery.c.state == READY,
)
_WAITING: Final = (
    sa.select(sa.literal(1))
    .select_from(delivery)
    .where(
        delivery.c.state == READY,
        delivery.c.due <= bindparam("now"),
        delivery.c.subscriber.in_(bindparam("subscribers", expanding=True)),
    )
    .limit(1)
)


async def is_waiting(connection: Connection, subscribers: Collection[str], now: float) -> bool:
    """Tell whether anything is due: a look that holds up no writer."""
    said = {"subscribers": list(subscribers), "now": now}
    return (await connection.execute(_WAITING, said)).first() is not None


async def is_suspect_waiting(connection: Connection, subscribers: Collection[str], now: float) -> bool:
    """Tell whether something is due that was under way when a process died."""
    said = {"subscribers": list(subscribers), "now": now}
    return (await connection.execute(_WAITING.where(delivery.c.crashes > 0), said)).first() is not None


async def claim(  # noqa: PLR0913 - what a claim is made of
    connection: Connection,
    subscribers: Collection[str],
    *,
    most: int,
    token: str,
    now: float,
    lease: float = LEASE,
    suspects: bool = False,
    retries_first: bool = False,
) -> list[Claimed]:
    """Claim what is due, `most` at once, until `now + lease`.

    A row that still has a lease, which has run out, was under way when its process died: it is not claimed but becomes
    a suspect, and `suspects` are claimed by a call of its own, so that they can be run alone. Whoever died of it
    `MAX_CRASHES` times makes it a dead letter.
    """
    if not subscribers or most <= 0:
        return []
    statement = _RETRIES_FIRST if retries_first and not suspects else _OLDEST_FIRST[suspects]
    said = {"subscribers": list(subscribers), "now": now, "most": most}
    found = (await connection.execute(statement, said)).all()
    died = [row for row in found if row.lease is not None]
    if died:
        await _suspect(connection, died, now)
    ids = [row.id for row in found if row.lease is None]
    if not ids:
        return []
    await connection.execute(_TAKE, {"ids": ids, "token": token, "until": now + lease})
    rows = (await connection.execute(_READ, {"ids": ids})).all()
    return [Claimed(**row._mapping) for row in rows]  # noqa: SLF001 - a row's public name for itself as a mapping


async def acknowledge(connection: Connection, claimed: Claimed) -> bool:
    """Take a delivery off, in the transaction of its effect. False: the lease is another's, so undo the effect."""
    done: Any = await connection.execute(_DROP, {"number": claimed.id, "token": claimed.lease})
    return bool(done.rowcount)


async def acknowledge_all(connection: Connection, done: Sequence[Claimed]) -> None:
    """Take several deliveries off whose handlers left nothing in this database."""
    said = {"ids": [each.id for each in done], "tokens": list({each.lease for each in done})}
    await connection.execute(_DROP_MANY, said)


async def put_back(connection: Connection, claimed: Claimed, error: str, due: float, now: float) -> bool:
    """Have a failed delivery tried again at `due`."""
    done: Any = await connection.execute(
        _mine(claimed).values(lease=None, due=due, crashes=0, error=_clean(error), failed=now)
    )
    return bool(done.rowcount)


async def bury(connection: Connection, claimed: Claimed, error: str, now: float) -> bool:
    """Make a delivery a dead letter."""
    done: Any = await connection.execute(
        _mine(claimed).values(lease=None, state=DEAD, unique_key=None, error=_clean(error), failed=now)
    )
    return bool(done.rowcount)


async def release(connection: Connection, claimed: Iterable[Claimed]) -> None:
    """Give back what was claimed and is not done, as if it had not been claimed: this process stops."""
    for each in claimed:
        await connection.execute(_mine(each).values(lease=None, due=0.0, attempts=delivery.c.attempts - 1))


async def renew(connection: Connection, claimed: Sequence[Claimed], until: float) -> None:
    """Keep what is under way."""
    await connection.execute(
        sa.update(delivery)
        .where(
            delivery.c.id.in_([each.id for each in claimed]),
            delivery.c.lease.in_({each.lease for each in claimed}),
            delivery.c.state == READY,
        )
        .values(due=until)
    )


async def is_lease_too_long(connection: Connection, now: float, lease: float = LEASE) -> bool:
    """Tell whether a lease ends later than any that is given: the clock was set back meanwhile."""
    too_long = sa.select(sa.literal(1)).select_from(delivery).where(*_too_long(now, lease)).limit(1)
    return (await connection.execute(too_long)).first() is not None


async def shorten_leases(connection: Connection, now: float, lease: float = LEASE) -> None:
    """End the leases that end later than any that is given."""
    await connection.execute(sa.update(delivery).where(*_too_long(now, lease)).values(due=now))


async def note_run(  # noqa: PLR0913 - a row
    connection: Connection,
    claimed: Claimed,
    *,
    actor: str,
    started: float,
    ended: float,
    outcome: str,
    error: str | None = None,
) -> None:
    """Keep what became of a run of a job."""
    await connection.execute(
        sa.insert(job_run).values(
            job=claimed.name,
            event_id=claimed.event_id,
            attempt=claimed.attempts,
            actor=actor[:80],
            started=started,
            ended=ended,
            outcome=outcome,
            error=None if error is None else _clean(error),
        )
    )


async def forget_job(connection: Connection, claimed: Claimed) -> None:
    """Take a job that is done out of the outbox: its history is in the runs."""
    await connection.execute(sa.delete(outbox).where(outbox.c.id == claimed.outbox_id))


async def _suspect(connection: Connection, died: Sequence[Any], now: float) -> None:
    """Count a crash for each delivery whose process died, and bury those of which it died too often."""
    often = [row.id for row in died if row.crashes + 1 >= MAX_CRASHES]
    others = [row.id for row in died if row.crashes + 1 < MAX_CRASHES]
    counted = {"lease": None, "crashes": delivery.c.crashes + 1, "failed": now}
    if others:
        await connection.execute(sa.update(delivery).where(delivery.c.id.in_(others)).values(due=0.0, **counted))
    if often:
        text = f"the process ended {MAX_CRASHES} times while this was being handled"
        await connection.execute(
            sa.update(delivery).where(delivery.c.id.in_(often)).values(state=DEAD, error=text, **counted)
        )
        await _blame(connection, often)


async def _blame(connection: Connection, often: Sequence[int]) -> None:
    """Count the crash for the handler too: one that goes on killing processes is quarantined."""
    rows = await connection.execute(
        sa.select(delivery.c.subscriber, sa.func.count())
        .where(delivery.c.id.in_(often))
        .group_by(delivery.c.subscriber)
    )
    for subscriber, count in rows.all():
        crashes = subscription.c.crashes + count
        text = f"it ended the process while handling {MAX_CRASHES} different deliveries"
        await connection.execute(
            sa.update(subscription)
            .where(subscription.c.subscriber == subscriber)
            .values(
                crashes=crashes,
                quarantine=sa.case((crashes >= MAX_CRASHES, text), else_=subscription.c.quarantine),
            )
        )


def _too_long(now: float, lease: float) -> list[sa.ColumnElement[bool]]:
    return [delivery.c.state == READY, delivery.c.lease.is_not(None), delivery.c.due > now + 2 * lease]


def _mine(claimed: Claimed) -> sa.Update:
    return sa.update(delivery).where(
        delivery.c.id == claimed.id, delivery.c.lease == claimed.lease, delivery.c.state == READY
    )


def _clean(text: str) -> str:
    return text.replace("\x00", "�")[:_ERROR_LENGTH]
