"""Keep who is to get which event, where every publisher looks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from plugin_host.events.publishing import insert_of
from plugin_host.events.tables import READY, delivery, outbox, subscription

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.events.bindings import Handler

SEEN_EVERY: Final = 3600.0


async def subscribe(session: AsyncSession, plugins: Collection[str], handlers: Iterable[Handler]) -> bool:
    """Keep the handlers and jobs of the plugins that run; the caller commits. Tells whether anything changed.

    A plugin that does not run, for whatever reason, keeps its subscriptions: what it is to get waits for it. Of one
    that runs, what it no longer listens to ends.
    """
    now = time.time()
    wanted = {each.subscriber: each for each in handlers}
    rows = {row.subscriber: row for row in (await session.execute(sa.select(subscription))).all()}
    gone = [name for name, row in rows.items() if row.plugin in plugins and name not in wanted]
    new = [_row(each, now) for name, each in wanted.items() if name not in rows]
    other = [
        each
        for name, each in wanted.items()
        if name in rows
        and (
            any(getattr(rows[name], column) != value for column, value in _said(each).items())
            or rows[name].seen < now - SEEN_EVERY
        )
    ]
    if gone:
        await session.execute(sa.delete(subscription).where(subscription.c.subscriber.in_(gone)))
    if new:
        insert = insert_of(session.get_bind().dialect.name)(subscription)
        await session.execute(insert.on_conflict_do_nothing(index_elements=["subscriber"]), new)
    for each in sorted(other, key=lambda one: one.subscriber):
        values: dict[str, Any] = {**_said(each), "seen": now}
        await session.execute(
            sa.update(subscription).where(subscription.c.subscriber == each.subscriber).values(**values)
        )
    return bool(gone or new or other)


async def replay(session: AsyncSession, subscriber: str, since: float) -> int:
    """Deliver again what is kept of a subscriber's event since a moment; the caller commits. Gives how many."""
    events = (
        sa.select(
            outbox.c.id,
            subscription.c.subscriber,
            subscription.c.plugin,
            sa.case((subscription.c.ordered, outbox.c.key)),
            sa.literal_column(f"'{READY}'"),
            sa.literal_column("0"),
            sa.literal_column("0"),
            sa.literal_column("0"),
            sa.literal(time.time(), sa.Float),
        )
        .join(subscription, subscription.c.event == outbox.c.name)
        .where(subscription.c.subscriber == subscriber, outbox.c.created >= since)
        .order_by(outbox.c.id)
    )
    columns = "outbox_id subscriber plugin key state attempts crashes due created".split()
    done: Any = await session.execute(
        sa.insert(delivery).from_select(columns, events).execution_options(preserve_rowcount=True)
    )
    return int(done.rowcount)


async def quarantined(session: Any) -> frozenset[str]:
    """Give the subscribers that are kept off."""
    rows = await session.execute(sa.select(subscription.c.subscriber).where(subscription.c.quarantine.is_not(None)))
    return frozenset(rows.scalars())


def _row(handler: Handler, now: float) -> dict[str, Any]:
    return {
        "subscriber": handler.subscriber,
        "plugin": handler.plugin,
        "since": now,
        "seen": now,
        "crashes": 0,
        **_said(handler),
    }


def _said(handler: Handler) -> dict[str, Any]:
    """Give what a release of the plugin may say differently from the one before."""
    return {
        "event": handler.event or "",
        "ordered": handler.ordered,
        "schedule": handler.schedule.line if handler.schedule is not None else None,
        "timezone": handler.schedule.timezone if handler.schedule is not None else None,
    }
