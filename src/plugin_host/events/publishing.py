"""Publish and enqueue: rows in the caller's transaction, so they are kept if and only if the caller's change is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam, event

from plugin_host.events.tables import MAX_KEY, READY, delivery, outbox, subscription
from plugin_host.sdk.models import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

MAX_HOPS: Final = 20
"""So many plugins may hand on what one person did: beyond that events answer each other in a circle."""

_WOKEN: Final = "plugin_host_wakes"


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who caused an event. `chain` begins with the actor and names each plugin since.

    `roles`, `groups` are kept for people whom core does not know; `scopes` where the actor's credential is limited.
    """

    chain: tuple[str, ...]
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] | None = None

    def through(self, plugin: str) -> Origin:
        """Add a plugin. Raises `ValueError` where events go round in a circle."""
        if len(self.chain) > MAX_HOPS:
            msg = f"events answer each other in a circle: {' → '.join(self.chain[-4:])} → plugin:{plugin}"
            raise ValueError(msg)
        return msgspec.structs.replace(self, chain=(*self.chain, f"plugin:{plugin}"))


@dataclass(frozen=True, slots=True)
class Message:
    """What is put into the outbox."""

    kind: str
    name: str
    version: int
    plugin: str
    payload: bytes
    origin: Origin
    key: str | None = None
    unique_key: str | None = None
    event_id: str | None = None


_KEEP: Final = sa.insert(outbox)
_COLUMNS: Final = "outbox_id subscriber plugin key unique_key state attempts crashes due created".split()
_FAN_OUT: Final = sa.insert(delivery).from_select(
    _COLUMNS,
    sa.select(
        outbox.c.id,
        subscription.c.subscriber,
        subscription.c.plugin,
        sa.case((subscription.c.ordered, outbox.c.key)),
        sa.null(),
        sa.literal_column(f"'{READY}'"),
        sa.literal_column("0"),
        sa.literal_column("0"),
        sa.literal_column("0"),
        outbox.c.created,
    ).where(outbox.c.event_id == bindparam("said"), subscription.c.event == outbox.c.name),
)


async def publish(session: AsyncSession, message: Message, wake: Callable[[], None]) -> str:
    """Keep an event, with a delivery for everybody who has subscribed to it by now. Gives its id. The caller commits.

    `wake` is called when the transaction has been committed: a hint, so nothing is lost if it does not come.
    """
    said = await _keep(session, message)
    await session.execute(_FAN_OUT, {"said": said})
    _wake_after_commit(session, wake)
    return said


async def enqueue(session: AsyncSession, message: Message, wake: Callable[[], None]) -> str:
    """Keep a job that is to be done. With a `unique_key`, one that waits already is the answer. The caller commits."""
    if message.unique_key is not None:
        waiting = sa.select(outbox.c.event_id).join(delivery, delivery.c.outbox_id == outbox.c.id)
        waiting = waiting.where(delivery.c.subscriber == message.name, delivery.c.unique_key == message.unique_key)
        # Locked, so that it cannot begin before this transaction has ended: it will see what was changed here.
        waiting = waiting.with_for_update(of=delivery)
        there = (await session.execute(waiting)).scalar()
        if there is not None:
            return str(there)
    said = await _keep(session, message)
    number = (await session.execute(sa.select(outbox.c.id).where(outbox.c.event_id == said))).scalar_one()
    row = {
        "outbox_id": number,
        "subscriber": message.name,
        "plugin": message.plugin,
        "key": message.key,
        "unique_key": message.unique_key,
        "state": READY,
        "attempts": 0,
        "crashes": 0,
        "due": 0.0,
        "created": time.time(),
    }
    insert = insert_of(session.get_bind().dialect.name)(delivery).values(row).execution_options(preserve_rowcount=True)
    done: Any = await session.execute(
        insert
        if message.unique_key is None
        else insert.on_conflict_do_nothing(
            index_elements=["subscriber", "unique_key"], index_where=sa.text("unique_key IS NOT NULL")
        )
    )
    if done.rowcount == 0:  # another transaction was first, and has been committed while we waited for it
        await session.execute(sa.delete(outbox).where(outbox.c.event_id == said))
        return await enqueue(session, message, wake)
    _wake_after_commit(session, wake)
    return said


def insert_of(dialect: str) -> Any:
    """Give the `insert` that knows `on_conflict_do_nothing`; each dialect is dear to import, and one is never used."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite  # noqa: PLC0415

        return insert_sqlite
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql  # noqa: PLC0415

    return insert_postgresql


async def _keep(session: AsyncSession, message: Message) -> str:
    if message.key is not None and (len(message.key) > MAX_KEY or "\x00" in message.key):
        msg = f"the key of {message.name} is {message.key!r:.60}: at most {MAX_KEY} characters, none of them NUL"
        raise ValueError(msg)
    said = message.event_id or new_id()
    row = {
        "event_id": said,
        "kind": message.kind,
        "name": message.name,
        "version": message.version,
        "key": message.key,
        "plugin": message.plugin,
        "payload": message.payload,
        "origin": msgspec.json.encode(message.origin).decode(),
        "created": time.time(),
    }
    await session.execute(_KEEP, row)
    return said


def _wake_after_commit(session: AsyncSession, wake: Callable[[], None]) -> None:
    """Have the relay look as soon as there is something to see; once for each session, however much it publishes."""
    sync = session.sync_session
    if _WOKEN in sync.info:
        return
    sync.info[_WOKEN] = True

    @event.listens_for(sync, "after_commit")
    def committed(_session: object) -> None:
        wake()
