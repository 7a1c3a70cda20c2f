"""Follow the operators' wishes: whoever makes one raises a number, and every process looks at it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from plugin_host.database import Database

log = logging.getLogger("plugin_host")

EVERY: Final = 1.0
"""Seconds between two looks."""
PATIENCE: Final = 3.0
"""Seconds that the database may take to answer a look."""


class Follower:
    """Calls `reconcile` when wishes were made elsewhere: by a command, or in another process.

    Also when `due` says that the time has come to try something again.
    """

    def __init__(self, database: Database, reconcile: Callable[[], Awaitable[object]], due: Callable[[], bool]) -> None:
        self._database = database
        self._reconcile = reconcile
        self._due = due
        self.reachable = True
        """Whether the database answered when it was asked last."""
        self._seen = 0
        self._followed = 0

    async def note(self) -> None:
        """Take what is wished now as known; called by whoever is about to follow it."""
        self._seen = await self._now()

    def arrived(self) -> None:
        """Take what was noted last as followed."""
        self._followed = self._seen

    async def behind(self) -> bool:
        """Tell whether something is wished that is not followed yet."""
        return await self._now() != self._followed

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Look again and again, until the end of the block."""
        task = asyncio.create_task(self._follow(), name="plugin-host follows the wishes")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            if await self._now() != self._seen or self._due():
                try:
                    await self._reconcile()
                except Exception:
                    log.exception("the wishes cannot be followed; what stands stays")
                    await self.note()  # once for each wish, not once a second
                    self.arrived()

    async def _now(self) -> int:
        """Read the number; a database that does not answer has nothing new to say."""
        try:
            async with asyncio.timeout(PATIENCE):
                wishes = (await self._database.revision()).wishes
        except (sqlite3.Error, SQLAlchemyError, TimeoutError):
            self.reachable = False
            return self._seen
        self.reachable = True
        return wishes
