"""Keeping the audit log, beside the requests: refusals are written down, entries sealed, old ones removed.

What somebody was refused is written a moment later and not by the request itself: how long that takes must not tell
whether there is such an account, and a crowd of refusals becomes one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert

from plugin_host.audit.chain import AT_ONCE, expire, seal, waits
from plugin_host.audit.entries import Entry, row_of
from plugin_host.audit.refusals import Refusals
from plugin_host.audit.tables import AuditChain, AuditEntry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database

log = logging.getLogger("plugin_host.audit")

EVERY: Final = 5.0
"""Seconds after which what was written is sealed."""

SOON: Final = 0.05
"""Seconds in which more refusals may come to be written together."""

MOST_WAITING: Final = 1000
"""Refusals that wait to be written; beyond them they are only counted."""

EXPIRE_EVERY: Final = dt.timedelta(hours=1)


class Auditing:
    """The keeper of the audit log of one host; `keep_days` is how long entries are kept, None for ever."""

    def __init__(self, database: Database, keep_days: int | None = None) -> None:
        self._database = database
        self._keep = None if keep_days is None else dt.timedelta(days=keep_days)
        self._refusals = Refusals()
        self._waiting: deque[dict[str, Any]] = deque()
        self._woken = asyncio.Event()
        self._expired_at: dt.datetime | None = None

    def refused(self, entry: Entry) -> None:
        """Have what was refused written down in a moment; safe to call while the call's own work is undone."""
        if len(self._waiting) >= MOST_WAITING:
            self._refusals.count(entry.action, "too_many")
            return
        self._waiting.append(row_of(entry))
        self._woken.set()

    def count(self, action: str, code: str) -> None:
        """Count what nobody in particular was refused; both are words of the host."""
        self._refusals.count(action, code)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the log until the end of the block; what waits then is still written and sealed."""
        task = asyncio.create_task(self._go_on(), name="plugin-host keeps the audit log")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._try(self.write)
            await self._try(self.seal)

    async def write(self) -> None:
        """Write what was refused, and the counters."""
        rows = list(self._waiting)
        if not rows and not self._refusals:
            return
        async with self._work() as db:
            await self._refusals.write(db)
            if rows:
                await db.execute(insert(AuditEntry), rows)
        for _ in rows:
            self._waiting.popleft()

    async def seal(self) -> None:
        """Seal what is not sealed, and remove what is older than it need be."""
        async with self._work(write=False) as db:  # on SQLite nobody else can write while somebody may
            full = await waits(db)
        sealed = 0
        while full:
            async with self._work() as db:
                done = await seal(db)
            sealed, full = sealed + done, done == AT_ONCE
        if sealed:
            await self._tell()
        now = dt.datetime.now(dt.UTC)
        if self._keep is not None and (self._expired_at is None or now - self._expired_at >= EXPIRE_EVERY):
            self._expired_at = now
            gone = AT_ONCE
            while gone == AT_ONCE:
                async with self._work() as db:
                    gone = await expire(db, now - self._keep)

    async def _tell(self) -> None:
        """Say in the log where the chain ends: who keeps the log elsewhere can tell when it was made anew."""
        async with self._work(write=False) as db:
            chain = await db.get_one(AuditChain, 1)
        log.info("sealed up to %s:%s", chain.position, chain.hash)

    async def _go_on(self) -> None:
        sealed_at = asyncio.get_running_loop().time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):  # Python 3.11's wait_for may swallow being cancelled
                    await self._woken.wait()
            self._woken.clear()
            await asyncio.sleep(SOON)
            await self._try(self.write)
            now = asyncio.get_running_loop().time()
            if now - sealed_at >= EVERY:
                sealed_at = now
                await self._try(self.seal)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:  # the next time, and no reason to end the host
            log.exception("the audit log could not be kept; what waits is written the next time")

    @contextlib.asynccontextmanager
    async def _work(self, *, write: bool = True) -> AsyncIterator[AsyncSession]:
        unit = self._database.unit(write=write)
        try:
            yield unit.session
            await unit.commit()
        finally:
            await unit.close()
