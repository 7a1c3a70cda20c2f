"""Throw away what nobody needs any more, in one database's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from plugin_host.events.tables import DEAD, READY, delivery, inbox, job_run, outbox, schedule_slot, subscription

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

DAY: Final = 86_400.0
_SLOTS: Final = 7 * DAY
_INBOX: Final = 30 * DAY


async def tidy(session: AsyncSession, now: float, keep_days: float, keep_runs_days: float) -> None:
    """Throw away events that are delivered and older than `keep_days`, runs of jobs, and old marks.

    What waits for a handler that no plugin has any more, for as long as that, becomes a dead letter: it is not thrown
    away unseen.
    """
    old = now - keep_days * DAY
    known = sa.select(subscription.c.subscriber)
    await session.execute(
        sa.update(delivery)
        .where(delivery.c.state == READY, delivery.c.created < old, delivery.c.subscriber.not_in(known))
        .values(state=DEAD, unique_key=None, lease=None, failed=now, error="no plugin handles this any more")
    )
    waiting = sa.select(delivery.c.outbox_id)
    await session.execute(sa.delete(outbox).where(outbox.c.created < old, outbox.c.id.not_in(waiting)))
    await session.execute(sa.delete(inbox).where(inbox.c.handled < now - max(_INBOX, 4 * keep_days * DAY)))
    await session.execute(sa.delete(job_run).where(job_run.c.ended < now - keep_runs_days * DAY))
    newest = sa.select(sa.func.max(schedule_slot.c.slot)).group_by(schedule_slot.c.job)
    await session.execute(
        sa.delete(schedule_slot).where(schedule_slot.c.slot < now - _SLOTS, schedule_slot.c.slot.not_in(newest))
    )
