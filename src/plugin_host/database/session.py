"""The session that a call is handed: made when it is first used, since most calls that could use it do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from plugin_host.database.entities import put, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from plugin_host.database.quick import Quick

    Elsewhere: TypeAlias = Callable[[str], Engine | None]
    """Gives the engine for reading rows of a plugin that are in another database than the session's."""


class UnitSession(AsyncSession):
    """An `AsyncSession` like any other; `quick` answers some of what is asked of it before anything is opened."""

    def __init__(self, engine: AsyncEngine, quick: Quick | None = None, elsewhere: Elsewhere | None = None) -> None:
        # Not SQLAlchemy's: that makes the session behind this one, and costs as much as a whole request.
        self._engine = engine
        self.made: Session | None = None
        self._quick = quick
        self._elsewhere = elsewhere

    @property
    def sync_session(self) -> Session:  # type: ignore[override] # what SQLAlchemy keeps in an attribute
        """The session behind this one, made now if it was not there."""
        if self.made is None:
            made = _Session(self._engine.sync_engine, expire_on_commit=False)
            made.elsewhere = self._elsewhere
            self.made = self._assign_proxied(made)
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

    async def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        """Give the object of that key, as `AsyncSession` does."""
        loaded = None if options else await self._load(entity, ident)
        return loaded if loaded is not None else await super().get(entity, ident, **options)

    async def get_one(self, entity: Any, ident: Any, **options: Any) -> Any:
        """Give the object of that key, or raise `NoResultFound`, as `AsyncSession` does."""
        loaded = None if options else await self._load(entity, ident)
        return loaded if loaded is not None else await super().get_one(entity, ident, **options)

    async def _load(self, entity: Any, key: Any) -> Any:
        """Load an object the short way; None where SQLAlchemy must look."""
        if self._quick is None or not (self.made is None or _is_idle(self.made)):
            return None
        session = self.sync_session
        shape = shape_of(session, entity, key)
        if shape is None:
            return None
        result = self._quick.run(shape.statement, {"key": key})
        if result is None:
            result = await super().execute(shape.statement, {"key": key})
        row = result.one_or_none()
        return None if row is None else put(session, shape, row)


class _Session(Session):
    """Asks for rows of other plugins where they are, when they are in another database; it writes only into its own.

    So a service that takes its caller's session can look things up wherever its tables are. It sees what is
    committed there. Nothing can be joined, and nothing be kept or undone together, across two databases.
    """

    elsewhere: Elsewhere | None = None

    def get_bind(self, mapper: Any = None, *, clause: Any = None, bind: Any = None, **options: Any) -> Any:
        """Give the engine for what is executed."""
        if self.elsewhere is not None and bind is None and mapper is not None:
            cls = inspect(mapper).class_
            owner = getattr(cls, "__plugin__", None)
            # Some tables of core are in every database, for the rows beside them: what is granted on those.
            other = self.elsewhere(owner) if owner is not None and not hasattr(cls, "__everywhere__") else None
            if other is not None:
                if self._flushing or getattr(clause, "is_dml", False):
                    msg = f"rows of {owner} are in another database: let a service of {owner} write them"
                    raise InvalidRequestError(f"{msg} in work of its own (`context.work()`)")
                return other
        return super().get_bind(mapper, clause=clause, bind=bind, **options)


def _is_idle(session: Session) -> bool:
    """Tell whether nothing is open in a session, and nothing waits to be written before a query."""
    transaction = session.get_transaction()
    if transaction is not None and (transaction._connections or session.in_nested_transaction()):  # noqa: SLF001
        return False
    return session._is_clean()  # noqa: SLF001 - the public way makes three sets
