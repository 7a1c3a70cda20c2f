"""What moved: one look a second for all who listen, and for each of them what they may know of it.

Only names and ids are told; whoever is told asks the API, which decides what they see.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from plugin_host.events.tables import outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plugin_host.core.standing import HostView

log = logging.getLogger("plugin_host")

EVERY: Final = 1.0
"""Seconds between two looks."""
SILENCE: Final = 15.0
"""Seconds after which a sign of life is sent: proxies end what is silent."""
MOST: Final = 100
"""How many events are told of one look; of more it is told that there were many."""
_WAITING: Final = 200  # so many changes wait for a listener that is slow; then it is told that there were many


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kind` is `plugins`, `policy`, `event` or `many`; an event has the `name` it was published by and its `key`."""

    kind: str
    name: str = ""
    key: str | None = None


class Changes:
    """Looks while somebody listens."""

    def __init__(self, host: HostView) -> None:
        self._host = host
        self._listeners: set[asyncio.Queue[Change]] = set()
        self._task: asyncio.Task[None] | None = None

    async def listen(self) -> AsyncIterator[Change | None]:
        """Give changes as they are found; None is a sign of life."""
        queue: asyncio.Queue[Change] = asyncio.Queue(_WAITING)
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look(), name="plugin-host looks for changes")
        try:
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), SILENCE)
                except TimeoutError:
                    yield None
        finally:
            self._listeners.discard(queue)
            if not self._listeners and self._task is not None:
                self._task.cancel()

    async def _look(self) -> None:
        database = self._host.database
        before = await database.revision()
        last = await self._newest()
        while True:
            await asyncio.sleep(EVERY)
            try:
                now = await database.revision()
                events, last = await self._events(last)
            except (OSError, SQLAlchemyError) as error:
                log.warning("changes cannot be looked for just now: %s", error)
                continue
            for kind in ("wishes", "policy"):
                if getattr(now, kind) != getattr(before, kind):
                    self._tell(Change("plugins" if kind == "wishes" else kind))
            before = now
            for change in events:
                self._tell(change)

    def _tell(self, change: Change) -> None:
        for queue in self._listeners:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Change("many"))
            else:
                queue.put_nowait(change)

    async def _newest(self) -> int:
        unit = self._host.database.unit(write=False)
        try:
            return await unit.session.scalar(sa.select(sa.func.max(outbox.c.id))) or 0
        finally:
            await unit.close()

    async def _events(self, last: int) -> tuple[list[Change], int]:
        newer = sa.select(outbox.c.id, outbox.c.name, outbox.c.key).where(outbox.c.id > last, outbox.c.kind == "event")
        unit = self._host.database.unit(write=False)
        try:
            rows = (await unit.session.execute(newer.order_by(outbox.c.id).limit(MOST + 1))).all()
            if len(rows) > MOST:
                return [Change("many")], await self._newest()
        finally:
            await unit.close()
        return [Change("event", row.name, row.key) for row in rows], rows[-1].id if rows else last
