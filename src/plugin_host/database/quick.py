"""The short way for short reads: statements that were built once, answered before a connection is taken.

SQLAlchemy's own way through session, connection and cursor costs some two hundred microseconds, and the read itself
ten. A select of columns (not of objects) that is executed again and again is compiled once; when its text is known to
be short (see `driver`), it is run on a connection that only reads, and that the event loop has for itself. What comes
out is the same `Result`. In all other cases the answer is None, and SQLAlchemy does what it always does: when
anything is open in the session, when somebody listens to its events, when the statement was built for this call.
"""

from __future__ import annotations

import sqlite3
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import CompileError
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.elements import ColumnElement

from plugin_host.database.driver import TIMES, Here

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import sqlalchemy as sa

    from plugin_host.database.beginning import QueryClock
    from plugin_host.database.driver import Driver

_SESSIONS: Final[Any] = Session().dispatch
"""The events of every session, as any of them knows them."""

_EXECUTED: Final = "_generate_cache_key"
"""What SQLAlchemy leaves on a statement that has been executed; most are built for one call and never seen again."""

_KEPT: Final = "_plugin_host_plan"
"""Where a statement keeps what was made of it: with the statement it goes, and with it the plugin that built it."""


class Quick:
    """The short way into one SQLite database; queries are counted on `clock`."""

    __slots__ = ("_clock", "_engine", "_source")

    def __init__(self, source: Source, clock: QueryClock | None) -> None:
        self._source = source
        self._engine = source.engine
        self._clock = clock

    def run(self, statement: Any, parameters: Any) -> IteratorResult[Any] | None:
        """Answer, or give None: then SQLAlchemy must."""
        if not isinstance(statement, Select):
            return None
        plan = _plan_of(statement, self._engine)
        if plan is None:
            return None
        if self._source.driver.known.get(plan.sql, 0) < TIMES or self._is_watched():
            return None
        began = time.perf_counter()
        try:
            values = plan.values(parameters)
            answer = self._source.here().run(plan.sql, values)
        except Exception:  # noqa: BLE001 - SQLAlchemy's own way says best what is wrong
            return None
        if answer is None:
            return None
        if self._clock is not None:
            self._clock.count += 1
            self._clock.seconds += time.perf_counter() - began
        return IteratorResult(plan.metadata, iter(plan.rows(answer[1])))

    def _is_watched(self) -> bool:
        """Tell whether somebody listens to what is executed."""
        events = self._engine.dispatch
        return bool(events.before_cursor_execute or events.after_cursor_execute or _SESSIONS.do_orm_execute)


class Source:
    """What the short ways into one database share: the compiled statements, and the connection that only reads."""

    def __init__(self, path: str, engine: sa.Engine, driver: Driver) -> None:
        self.engine = engine
        self.driver = driver
        self._path = path
        self._raw: sqlite3.Connection | None = None
        self._here: Here | None = None

    def here(self) -> Here:
        """Give what runs reads on this thread; the connection is opened now if it was not."""
        if self._here is None:
            self._raw = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            self._raw.execute("PRAGMA query_only=ON")
            self._here = Here(self.driver, self._raw)
        return self._here

    def close(self) -> None:
        """Close the connection."""
        if self._raw is not None:
            self._raw.close()
        self._raw = self._here = None


class _Plan:
    """A compiled statement: its text, how parameters become values, and how rows become what is asked for."""

    __slots__ = ("_binds", "_compiled", "_results", "metadata", "sql")

    def __init__(self, compiled: Any, names: list[str], selected: list[Any], dialect: sa.Dialect) -> None:
        self.sql: str = compiled.string
        self._compiled = compiled
        self._binds: list[tuple[str, Callable[[Any], Any] | None]] = [
            (name, compiled._bind_processors.get(name))  # noqa: SLF001 - as SQLAlchemy's own contexts do
            for name in compiled.positiontup or ()
        ]
        columns = compiled._result_columns  # noqa: SLF001 - likewise
        processors = [column.type._cached_result_processor(dialect, None) for column in columns]  # noqa: SLF001
        asked = zip(columns, selected, strict=True)  # rows are asked by column as well as by name
        self._results = [(at, processor) for at, processor in enumerate(processors) if processor is not None]
        self.metadata = SimpleResultMetaData(names, extra=[(*column.objects, each) for column, each in asked])

    def values(self, parameters: Mapping[str, Any] | None) -> list[Any]:
        """Put the parameters into the order of the text."""
        if not self._binds:
            return []
        named = self._compiled.construct_params(parameters)
        return [named[name] if process is None else process(named[name]) for name, process in self._binds]

    def rows(self, rows: list[Any]) -> list[Any]:
        """Turn what the driver gave into what the columns' types mean."""
        if not self._results:
            return rows
        turned = []
        for row in rows:
            values = list(row)
            for at, process in self._results:
                values[at] = process(values[at])
            turned.append(tuple(values))
        return turned


def _plan_of(statement: Select[Any], engine: sa.Engine) -> _Plan | None:
    """Give what was made of a statement; that is made when it is seen again, since most are built for one call."""
    kept = statement.__dict__.get(_KEPT)
    # A statement that is built from another one gets a copy of what that one keeps.
    if kept is None or kept[0]() is not statement:
        if _EXECUTED not in statement.__dict__:
            return None
        kept = statement.__dict__[_KEPT] = (weakref.ref(statement), _plan(statement, engine))
    plan: _Plan | None = kept[1]
    return plan


def _plan(statement: Select[Any], engine: sa.Engine) -> _Plan | None:
    """Compile a statement, if it is one of columns and nothing else; None for all others."""
    if statement._with_options or statement._execution_options or statement._for_update_arg is not None:  # noqa: SLF001
        return None
    try:
        described = statement.column_descriptions
        if not all(isinstance(each["expr"], InstrumentedAttribute | ColumnElement) for each in described):
            return None
        compiled: Any = statement.compile(engine)
    except (CompileError, NotImplementedError):
        return None
    names = [str(each["name"]) for each in described]
    late = compiled.literal_execute_params or compiled.post_compile_params
    if late or len(set(names)) != len(names) or len(compiled._result_columns) != len(names):  # noqa: SLF001
        return None
    return _Plan(compiled, names, [each["expr"] for each in described], engine.dialect)
