"""The revisions at work: who asks for a certain one gets it, and what is open is judged again when one moves.

Every process reads the same row, so none is ever behind for longer than a read takes; a number that is not reached
was made in another database, or in a copy of this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from plugin_host.gateway.revocation import end_revoked, is_open
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection
    from typing import TypeAlias

    from plugin_host.database import Database
    from plugin_host.gateway.guard import Usage

    Judge: TypeAlias = Callable[[Any], Awaitable[Problem | None]]

log = logging.getLogger("plugin_host")

EVERY: Final = 0.5
"""Seconds between two looks at the revisions, while a stream or a WebSocket is open."""

ANYWAY: Final = 30.0
"""Seconds after which what is open is judged again though nothing moved: sessions also end by time."""

SETTLED: Final = 1.2
"""Seconds after a move in which every look judges: one may have been let in just before, and be open just after."""

PATIENCE: Final = 1.0
"""Seconds that a request waits for a revision that its sender has seen and this process has not."""


class Revisions:
    """Looks at the revision row of the host's database; `usages` gives what is under way in each plugin."""

    def __init__(self, database: Database, usages: Callable[[], Collection[Usage]]) -> None:
        self._database = database
        self._usages = usages
        self._seen = (0, 0)
        self._moved = self._judged = float("-inf")

    async def reach(self, policy: int) -> None:
        """Wait until the policy is of at least that revision. Raises `Problem` 503 `policy_behind`."""
        end = monotonic() + PATIENCE
        while (now := (await self._database.revision()).policy) < policy:
            if monotonic() >= end:
                detail = f"The policy here is at revision {now}, not yet at {policy}: try again, or without the header."
                raise Problem(503, "policy_behind", detail, headers={"retry-after": "1"})
            await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def watching(self, judge: Judge) -> AsyncIterator[None]:
        """Look again and again, until the end of the block."""
        task = asyncio.create_task(self._watch(judge), name="plugin-host revocation")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self, judge: Judge) -> None:
        """End what is open and whose right is gone, if a revision has moved since the last look.

        `judge` says of a scope why its actor would not be let in any more: see `Gate.judge`.
        """
        usages = [usage for usage in self._usages() if is_open(usage)]
        if not usages:
            return
        revision, now = (await self._database.revision())[:2], monotonic()
        if revision != self._seen:
            self._seen, self._moved = revision, now
        if now - self._moved > SETTLED and now - self._judged < ANYWAY:
            return
        left = sum([await end_revoked(usage, judge) for usage in usages])
        if left:
            self._moved = now  # once more in a moment
        self._judged = now

    async def _watch(self, judge: Judge) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.look(judge)
            except (sqlite3.Error, SQLAlchemyError) as error:
                log.warning("the revisions cannot be read: %s", error)
            except Exception:
                log.exception("streams and WebSockets cannot be judged again; trying once more in a moment")
