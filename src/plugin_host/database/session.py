"""The session that a call is handed: made when it is first used, since most calls that could use it do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from plugin_host.database.quick import Quick


class UnitSession(AsyncSession):
    """An `AsyncSession` like any other; `quick` answers some of what is asked of it before anything is opened."""

    def __init__(self, engine: AsyncEngine, quick: Quick | None = None) -> None:
        # Not SQLAlchemy's: that makes the session behind this one, and costs as much as a whole request.
        self._engine = engine
        self.made: Session | None = None
        self._quick = quick

    @property
    def sync_session(self) -> Session:  # type: ignore[override] # what SQLAlchemy keeps in an attribute
        """The session behind this one, made now if it was not there."""
        if self.made is None:
            self.made = self._assign_proxied(Session(self._engine.sync_engine, expire_on_commit=False))
        return self.made

    @property
    def _proxied(self) -> Session:  # type: ignore[override] # SQLAlchemy's other name for it
        return self.sync_session

    async def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """Execute, as `AsyncSession` does."""
        if self._quick is not None and not options and (self.made is None or _is_idle(self.made)):
            result = self._quick.run(statement, params)
            if result is not None:
                return result
        return await super().execute(statement, params, **options)

    async def scalar(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """Give the first column of the first row, as `AsyncSession` does."""
        if self._quick is not None and not options and (self.made is None or _is_idle(self.made)):
            result = self._quick.run(statement, params)
            if result is not None:
                return result.scalar()
        return await super().scalar(statement, params, **options)


def _is_idle(session: Session) -> bool:
    """Tell whether nothing is open in a session, and nothing waits to be written before a query."""
    return not session.in_transaction() and session._is_clean()  # noqa: SLF001 - the public way makes three sets
