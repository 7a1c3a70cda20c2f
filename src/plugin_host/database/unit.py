"""The unit of work: the transaction of one call, and the clock that its queries run on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.database.revision import BUMPED

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine


class QueryClock:
    """How many queries were made, and the seconds that they, and commits, took."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0


class UnitOfWork:
    """The transaction of one call. Opening a session costs more than a whole request, so it is lazy."""

    __slots__ = ("_clock", "_engine", "_session")

    def __init__(self, engine: AsyncEngine, clock: QueryClock | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._session: AsyncSession | None = None

    @property
    def session(self) -> AsyncSession:
        """The session, made now if nobody asked before."""
        if self._session is None:
            self._session = AsyncSession(self._engine, expire_on_commit=False)
        return self._session

    @property
    def opened(self) -> bool:
        """Whether anybody asked for the session."""
        return self._session is not None

    @property
    def policy_revision(self) -> int | None:
        """The policy revision that the changes made in it, if they did: see `bump`."""
        return None if self._session is None else self._session.info.get(BUMPED, {}).get("policy")

    async def commit(self) -> None:
        """Commit; an error goes to the caller, who must not answer with success."""
        if self._session is not None:
            began = time.perf_counter()
            await self._session.commit()
            if self._clock is not None:  # on SQLite this is when the disk is waited for
                self._clock.seconds += time.perf_counter() - began

    async def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._session is not None:
            await self._session.rollback()

    async def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def install_clock(engine: sa.Engine, clock: QueryClock) -> None:
    """Have the queries of an engine counted and timed."""

    def before(*call: Any) -> None:
        clock.count += not call[2].startswith("BEGIN")  # ours, and only on SQLite; its time is for a lock
        call[4].plugin_host_began = time.perf_counter()  # SQLAlchemy's context of this one execution

    def after(*call: Any) -> None:
        add(call[4])

    def failed(failure: sa.ExceptionContext) -> None:
        add(failure.execution_context)  # what waited for a lock in vain has taken long as well

    def add(execution: Any) -> None:
        began = getattr(execution, "plugin_host_began", None)
        if began is not None:
            clock.seconds += time.perf_counter() - began

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)
