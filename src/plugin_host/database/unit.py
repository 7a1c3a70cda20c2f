"""The unit of work: the transaction of one call."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import greenlet_spawn

from plugin_host.database.beginning import is_open
from plugin_host.database.revision import BUMPED
from plugin_host.database.session import UnitSession

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

    from plugin_host.database.beginning import QueryClock
    from plugin_host.database.quick import Quick
    from plugin_host.database.session import Elsewhere


class UnitOfWork:
    """The transaction of one call. Opening a session costs more than a whole request, so it is lazy."""

    __slots__ = ("_clock", "_elsewhere", "_engine", "_quick", "_session", "_write")

    def __init__(
        self,
        engine: AsyncEngine,
        clock: QueryClock | None = None,
        *,
        write: bool = True,
        quick: Quick | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._engine = engine
        self._write = write
        self._quick = quick
        self._elsewhere = elsewhere
        self._clock = clock
        self._session: UnitSession | None = None

    @property
    def session(self) -> AsyncSession:
        """The session, made now if nobody asked before; what is behind it waits until it is used."""
        if self._session is None:
            self._session = UnitSession(self._engine, self._quick, self._elsewhere)
        return self._session

    @property
    def opened(self) -> bool:
        """Whether anybody asked for the session."""
        return self._session is not None

    @property
    def policy_revision(self) -> int | None:
        """The policy revision that the changes made in it, if they did: see `bump`."""
        made = None if self._session is None else self._session.made
        return None if made is None else made.info.get(BUMPED, {}).get("policy")

    async def commit(self) -> None:
        """Commit; an error goes to the caller, who must not answer with success."""
        made = None if self._session is None else self._session.made
        if made is not None and (self._write or _has_changes(made)):
            began = time.perf_counter()
            await greenlet_spawn(made.commit)
            if self._clock is not None:  # on SQLite this is when the disk is waited for
                self._clock.seconds += time.perf_counter() - began

    async def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._session is not None and self._session.made is not None:
            await greenlet_spawn(self._session.made.rollback)

    async def close(self) -> None:
        """Give the connection back."""
        if self._session is None:
            return
        made, self._session = self._session.made, None
        if made is None:
            return
        if self._quick is not None and not _is_open(made):
            made.close()  # nothing is asked of the database, so there is nothing to await
        else:
            await _to_the_end(greenlet_spawn(made.close))


async def _to_the_end(closing: Coroutine[Any, Any, None]) -> None:
    """Close, whoever cancels the call meanwhile: a connection that is half given back would be lost to the pool."""
    task = asyncio.create_task(closing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.done():
                break
            cancelled = error
        except Exception:  # noqa: BLE001 - raised below
            break
    if cancelled is not None:
        raise cancelled
    task.result()


def _has_changes(session: Session) -> bool:
    """Tell whether there is anything to keep in a session that should only read."""
    return not session._is_clean() or _is_open(session)  # noqa: SLF001 - the public way makes three sets


def _is_open(session: Session) -> bool:
    """Tell whether a transaction is open in the database."""
    transaction = session.get_transaction()
    # There is no public way to the connections of a session.
    return transaction is not None and any(is_open(each[0]) for each in transaction._connections.values())  # noqa: SLF001
