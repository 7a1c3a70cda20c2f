"""What tests see and do of events, jobs and letters: nothing waits for a clock, everything is done when asked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from plugin_host.events.doors import message_of
from plugin_host.events.publishing import Origin, enqueue
from plugin_host.events.tables import delivery, outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host import PluginHost
    from plugin_host.database import Database
    from plugin_host.mail import Letter


class Published(msgspec.Struct, frozen=True):
    """An event that was published: its name, key, and fields."""

    name: str
    key: str | None
    fields: dict[str, Any]


class FailedError(AssertionError):
    """A handler or job failed that a test had run."""


class Deliveries:
    """Events and jobs of a running host, delivered when the test says so."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host

    async def run(self) -> int:
        """Deliver events and run jobs until nothing is due. Gives how many that were. Raises `FailedError`."""
        count, more = 0, True
        while more:
            more = False
            for database in self._host.databases.every():
                done = await self._host.bus.relay(database).run_pending()
                count, more = count + done, more or done > 0
        await self._check()
        return count

    async def run_job(self, name: str, args: msgspec.Struct | None = None) -> None:
        """Run a job now, for the system, and whatever follows from it. Raises `FailedError`, and `LookupError`."""
        job = self._host.bus.handlers.get(name)
        if job is None or job.job is None:
            known = ", ".join(sorted(each.job for each in self._host.bus.handlers.values() if each.job)) or "none"
            msg = f"there is no job {name!r}: there are {known}"
            raise LookupError(msg)
        origin = Origin(("system:system", f"plugin:{job.plugin}"))
        async with _session(self._host.databases.of(job.plugin)) as session:
            await enqueue(session, message_of(job, args, origin), lambda: None)
        await self.run()

    async def published(self, name: str | None = None) -> list[Published]:
        """Give the events that were published and committed, in their order; only those of a name, if one is given."""
        found: list[Published] = []
        for database in self._host.databases.every():
            rows = sa.select(outbox).where(outbox.c.kind == "event").order_by(outbox.c.id)
            if name is not None:
                rows = rows.where(outbox.c.name == name)
            async with _session(database) as session:
                for row in (await session.execute(rows)).all():
                    fields = msgspec.json.decode(row.payload)
                    fields.pop("type", None)
                    found.append(Published(row.name, row.key, fields))
        return found

    async def _check(self) -> None:
        for database in self._host.databases.every():
            failed = sa.select(delivery.c.subscriber, delivery.c.error).where(delivery.c.error.is_not(None))
            async with _session(database) as session:
                rows = (await session.execute(failed)).all()
            if rows:
                raise FailedError("; ".join(f"{row.subscriber}: {row.error}" for row in rows))


class Letters:
    """A carrier that keeps letters instead of sending them."""

    def __init__(self) -> None:
        self.sent: list[Letter] = []

    async def carry(self, letter: Letter, _number: str) -> None:
        """Keep a letter."""
        self.sent.append(letter)


@asynccontextmanager
async def _session(database: Database) -> AsyncIterator[AsyncSession]:
    unit = database.unit()
    try:
        yield unit.session
        await unit.commit()
    finally:
        await unit.close()
