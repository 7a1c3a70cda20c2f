"""SQLite under SQLAlchemy's asyncio: one hop into a thread for a statement, and none for reads that are short.

What is usual, a thread that is asked for a cursor, to execute, to fetch and to close, costs five hops a statement, and
each is dearer than the statement. Here a statement is executed and its rows are fetched in one; a statement that only
reads, and that has been short as often as it ran, is run where it is asked for, on the event loop:

1. A text is looked at once (`EXPLAIN`): it must be made of instructions that each do little. Whole-table counts,
   virtual tables, aggregates and functions that may chew on a large value go to the thread for good.
2. It must have been short in the thread several times in a row.
3. On the loop it may take half a millisecond and a few thousand instructions; then it is broken off and run again in
   the thread, which is the place for it from then on. A read that is broken off changes nothing, also in a
   transaction.
4. Nothing waits for a lock on the loop: the time-out is nought there, and the thread does the waiting.

Connections never begin a transaction by themselves. A call that is cancelled interrupts its statement; its connection
is not used again, and is closed by its thread, which undoes what was open.
"""

from __future__ import annotations

import asyncio
import queue
import random
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.util.concurrency import await_, in_greenlet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

BUSY_MS: Final = 20_000
"""Milliseconds for which a statement waits for another process that writes."""

SHORT: Final = 0.000_3
"""Seconds of processor time that a read may take in the thread to be called short."""
LIMIT: Final = 0.001
"""Seconds that a read may take on the loop before it is broken off."""
TIMES: Final = 8
"""How often in a row a read must have been short before it is run on the loop."""

_STEP: Final = 100  # instructions between two looks at the clock
_STEPS: Final = 80
_SETBACK: Final = -64  # for a read that had to be broken off
_HINT: Final = TIMES - 4  # for one that took long once: the disk was cold, or the machine did something else
_TEXTS: Final = 2_000  # texts that are remembered; who writes values into texts makes ever new ones
_CACHED: Final = 256

NEVER: Final = -1_000_000_000
"""What is remembered of a text that must not run on the loop, however short it was."""

# Each of these does little: it moves a cursor by one, compares, copies a value, or jumps.
_SMALL: Final = frozenset(
    """
    Add AddImm Affinity And BeginSubrtn BitAnd BitNot BitOr BlobIsNull Cast Close CollSeq Column Compare Copy
    DecrJumpZero DeferredSeek Divide ElseEq Eq EndCoroutine Found Ge Gosub Goto Gt Halt HaltIfNull IdxGE IdxGT IdxLE
    IdxLT IdxRowid If IfEmpty IfNot IfNoHope IfNotOpen IfNotZero IfNullRow IfPos IfSmaller Init InitCoroutine Int64
    Integer IsNull IsTrue IsType Jump Last Le Lt MakeRecord MemMax Move Multiply MustBeInt Ne Next Noop Not NotExists
    NotFound NotNull Null NullRow OffsetLimit Offset Once OpenAutoindex OpenDup OpenEphemeral OpenPseudo OpenRead Or
    Permutation Prev Real RealAffinity Remainder ReopenIdx ResultRow Return Rewind RowData Rowid RowSetAdd RowSetRead
    RowSetTest SCopy SeekEnd SeekGE SeekGT SeekHit SeekLE SeekLT SeekRowid SeekScan Sequence SequenceTest ShiftLeft
    ShiftRight SoftNull Sort SorterCompare SorterData SorterInsert SorterNext SorterOpen SorterSort String String8
    Subtract TableLock Transaction Variable Yield ZeroOrNull IdxInsert Insert NewRowid Filter FilterAdd ReleaseReg
    AggFinal AggValue Delete ResetSorter
    """.split()
)
_FUNCTIONS: Final = frozenset({"abs", "ifnull", "length", "lower", "nullif", "round", "substr", "upper"})
_AGGREGATES: Final = frozenset({"avg", "count", "max", "min", "sum", "total"})


Answer = tuple[Any, list[Any], int, Any]
"""Description, rows, row count and last row id."""

_WAIT: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Driver:
    """What SQLAlchemy takes for the module of a driver; one for each database, since it remembers its texts."""

    paramstyle = "qmark"
    has_stop = True
    sqlite_version = sqlite3.sqlite_version
    sqlite_version_info = sqlite3.sqlite_version_info
    PARSE_COLNAMES = sqlite3.PARSE_COLNAMES
    PARSE_DECLTYPES = sqlite3.PARSE_DECLTYPES
    Binary = sqlite3.Binary
    Error = sqlite3.Error
    DatabaseError = sqlite3.DatabaseError
    DataError = sqlite3.DataError
    IntegrityError = sqlite3.IntegrityError
    InterfaceError = sqlite3.InterfaceError
    InternalError = sqlite3.InternalError
    NotSupportedError = sqlite3.NotSupportedError
    OperationalError = sqlite3.OperationalError
    ProgrammingError = sqlite3.ProgrammingError
    Warning = sqlite3.Warning
    exceptions_module = sqlite3
    sqlite = sqlite3

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def connect(self, file: str, **options: Any) -> Connection:
        """Open a connection, in a thread of its own. SQLAlchemy calls this in a greenlet."""
        options |= {
            "timeout": BUSY_MS / 1000,
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": _CACHED,
        }
        worker = _Worker()
        try:
            worker.raw = worker.hop(_open, file, options)
        except BaseException:
            worker.end()
            raise
        return Connection(self, worker)

    def ran(self, sql: str, seconds: float) -> None:
        """Remember how long a text took in the thread."""
        times = self.known.get(sql, NEVER)
        if NEVER < times < TIMES:
            self.known[sql] = times + 1 if seconds <= SHORT else min(times, 0)

    def keep(self, sql: str, times: int) -> None:
        """Remember a new text; many new ones push out those that came first."""
        if len(self.known) >= _TEXTS:
            for old in list(self.known)[: _TEXTS // 4]:
                del self.known[old]
        self.known[sql] = times


class Here:
    """Runs reads on the thread that asks, within limits."""

    __slots__ = ("_deadline", "_driver", "_raw", "_steps")

    def __init__(self, driver: Driver, raw: sqlite3.Connection) -> None:
        self._driver = driver
        self._raw = raw
        self._deadline = 0.0
        self._steps = 0

    def run(self, sql: str, parameters: Any) -> Answer | None:
        """Run a read that is known to be short; None if it must go elsewhere: it took too long, or had to wait."""
        self._steps = 0
        began = time.perf_counter()
        self._deadline = began + LIMIT
        self._raw.set_progress_handler(self._is_over, _STEP)
        try:
            answer = _run(self._raw, sql, parameters)
        except sqlite3.OperationalError as error:
            code = _code(error)
            if code == sqlite3.SQLITE_INTERRUPT:
                self._driver.known[sql] = _SETBACK if self._steps > _STEPS else _HINT
            elif code not in _WAIT:
                raise
            return None
        finally:
            self._raw.set_progress_handler(None, 0)
        if time.perf_counter() - began > LIMIT:
            self._driver.known[sql] = _HINT
        return answer

    def _is_over(self) -> bool:
        self._steps += 1
        return self._steps > _STEPS or time.perf_counter() > self._deadline


class _Nothing:
    """Something to await that is there already."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


_NOTHING: Final = _Nothing()


class Connection:
    """A connection as SQLAlchemy's dialect for aiosqlite wants it; all of it is called in greenlets."""

    __slots__ = ("_driver", "_here", "_worker")

    def __init__(self, driver: Driver, worker: _Worker) -> None:
        self._driver = driver
        self._worker = worker
        self._here = Here(driver, worker.raw)

    @property
    def _connection(self) -> sqlite3.Connection:
        """The connection itself: SQLAlchemy's name for it."""
        return self._worker.raw

    @property
    def driver_connection(self) -> sqlite3.Connection:
        """The connection itself."""
        return self._worker.raw

    @property
    def isolation_level(self) -> None:
        """Nothing is begun but by `BEGIN`; to assign it again would commit what is open."""
        return

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        pass

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._worker.raw.in_transaction

    def cursor(self, server_side: bool = False) -> Cursor:  # noqa: FBT001, FBT002 - SQLAlchemy's
        """Make a cursor; one that is `server_side` fetches as it goes."""
        return StreamCursor(self) if server_side else Cursor(self)

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Execute on a new cursor."""
        cursor = self.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def create_function(self, *args: Any, **options: Any) -> None:
        """Add a function of SQL: nothing runs meanwhile, and it is a moment's work."""
        self._worker.raw.create_function(*args, **options)

    def commit(self) -> None:
        """Commit what is open."""
        if self._worker.raw.in_transaction:
            self._worker.hop(self._worker.raw.commit)

    def rollback(self) -> None:
        """Undo what is open."""
        if not self._worker.ended and self._worker.raw.in_transaction:
            self._worker.hop(self._worker.raw.rollback)

    def close(self) -> None:
        """Close the connection; what is open is undone."""
        if in_greenlet() and not self._worker.ended:
            self._worker.hop(self._worker.raw.close)
            self._worker.ended = True
        self.terminate()

    def terminate(self) -> None:
        """Have the thread close it after what it is doing, which is interrupted; nobody waits."""
        self._worker.end()

    def run(self, sql: str, parameters: Any) -> Answer:
        """Execute and fetch: here if that is sure to be short, else in the thread."""
        worker = self._worker
        known = self._driver.known
        times = known.get(sql)
        if times is None:
            if not sql.lstrip()[:6].upper().startswith(("SELECT", "WITH")):
                return worker.hop(_run_patiently, worker, sql, parameters)  # type: ignore[no-any-return]
            small, answer = worker.hop(_run_first, worker, sql, parameters)
            self._driver.keep(sql, 0 if small else NEVER)
            return answer  # type: ignore[no-any-return]
        if times >= TIMES and not worker.busy:
            answer = self._here.run(sql, parameters)
            if answer is not None:
                await_(_NOTHING)  # SQLAlchemy takes it for a mistake if nothing at all is awaited
                return answer
        seconds, answer = worker.hop(_run_timed, worker, sql, parameters)
        self._driver.ran(sql, seconds)
        return answer  # type: ignore[no-any-return]

    def run_many(self, sql: str, parameters: Any) -> Answer:
        """Execute once for each of many rows of parameters, in the thread."""
        return self._worker.hop(_run_many, self._worker, sql, parameters)  # type: ignore[no-any-return]

    def stream(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        """Execute without fetching."""
        return self._worker.hop(self._worker.raw.execute, sql, parameters)  # type: ignore[no-any-return]

    def hop(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the connection's thread."""
        return self._worker.hop(function, *args)


class Cursor:
    """A cursor whose rows are all there when it has executed."""

    __slots__ = ("_at", "_connection", "_rows", "arraysize", "description", "lastrowid", "rowcount")

    server_side = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self._at = 0
        self.arraysize = 1
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: Any = None

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Execute, and have the rows fetched."""
        self._at = 0
        answer = self._connection.run(sql, () if parameters is None else parameters)
        self.description, self._rows, self.rowcount, self.lastrowid = answer
        return self

    def executemany(self, sql: str, parameters: Any) -> Cursor:
        """Execute once for each row of parameters."""
        self._at = 0
        self.description, self._rows, self.rowcount, self.lastrowid = self._connection.run_many(sql, parameters)
        return self

    def fetchone(self) -> Any:
        """Give the next row, or None."""
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """Give the next rows."""
        end = self._at + (self.arraysize if size is None else size)
        rows = self._rows[self._at : end]
        self._at += len(rows)
        return rows

    def fetchall(self) -> Sequence[Any]:
        """Give the rows that are left."""
        rows = self._rows[self._at :] if self._at else self._rows
        self._rows = []
        self._at = 0
        return rows

    def setinputsizes(self, *_sizes: Any) -> None:
        """Do nothing: SQLite has no sizes."""

    async def _async_soft_close(self) -> None:
        """Nothing is open: the rows are here."""

    def close(self) -> None:
        """Forget the rows."""
        self._rows = []
        self._at = 0


class StreamCursor(Cursor):
    """A cursor that fetches as it goes, each time in the thread: for results that do not fit into memory."""

    __slots__ = ("_raw",)

    server_side = True

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._raw: sqlite3.Cursor | None = None

    def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Execute; nothing is fetched yet."""
        self._raw = raw = self._connection.stream(sql, () if parameters is None else parameters)
        self.description, self.rowcount, self.lastrowid = raw.description, raw.rowcount, raw.lastrowid
        return self

    def fetchone(self) -> Any:
        """Fetch the next row, or None."""
        return None if self._raw is None else self._connection.hop(self._raw.fetchone)

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """Fetch the next rows."""
        rows = [] if self._raw is None else self._connection.hop(self._raw.fetchmany, size or self.arraysize)
        return list(rows)

    def fetchall(self) -> Sequence[Any]:
        """Fetch the rows that are left."""
        return [] if self._raw is None else list(self._connection.hop(self._raw.fetchall))

    def close(self) -> None:
        """End the statement."""
        if self._raw is not None:
            raw, self._raw = self._raw, None
            self._connection.hop(raw.close)


class _Worker:
    """The thread of one connection: it does one thing after the other, and ends when it has closed the connection."""

    def __init__(self) -> None:
        self.raw: sqlite3.Connection = None  # type: ignore[assignment] # until it is open
        self.ended = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        threading.Thread(target=_work, args=(self._jobs,), name="plugin-host sqlite", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether the thread has something to do: then the connection is its."""
        return self._waiting > 0 or self.ended

    def hop(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the thread, and wait for it in the greenlet's way."""
        if self.ended:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        job = _Job(loop, future, function, args)
        self._waiting += 1
        self._jobs.put(job)
        try:
            return await_(future)
        except asyncio.CancelledError:
            # Whether it has run nobody can tell. Who waits no longer must not hold the lock for long.
            self.end()
            raise
        finally:
            self._waiting -= 1

    def end(self) -> None:
        """Have the connection closed after what the thread is doing, which is interrupted."""
        if self.ended:
            return
        self.ended = True
        if self.raw is not None and self._waiting:
            self.raw.interrupt()
        if self.raw is not None:
            self._jobs.put(_Job(None, None, self.raw.close, ()))
        self._jobs.put(None)


class _Job:
    """One call, and the future in the caller's loop that gets what comes of it."""

    __slots__ = ("args", "function", "future", "loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None,
        future: asyncio.Future[Any] | None,
        function: Callable[..., Any],
        args: Any,
    ) -> None:
        self.loop = loop
        self.future = future
        self.function = function
        self.args = args


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    """Do what comes, until None does."""
    while (job := jobs.get()) is not None:
        value, failure = None, None
        try:
            value = job.function(*job.args)
        except BaseException as error:  # noqa: BLE001 - the caller's to judge, whatever it is
            failure = error
        if job.loop is not None:
            try:
                job.loop.call_soon_threadsafe(_give, job, value, failure)
            except RuntimeError:  # the loop has ended meanwhile, and nobody waits any more
                _forget(job, value)
        del job, value, failure  # what they hold is no longer ours


def _give(job: _Job, value: Any, failure: BaseException | None) -> None:
    future = job.future
    if future is None or future.done():
        _forget(job, value)
    elif failure is None:
        future.set_result(value)
    elif isinstance(failure, StopIteration):  # no future takes it
        future.set_exception(RuntimeError("StopIteration was raised in a thread"))
    else:
        future.set_exception(failure)


def _forget(job: _Job, value: Any) -> None:
    """Close a connection that nobody waits for any more."""
    if job.function is _open and isinstance(value, sqlite3.Connection):
        value.close()


# -- in the thread -------------------------------------------------------------------------------------------


def _open(file: str, options: dict[str, Any]) -> sqlite3.Connection:
    raw: sqlite3.Connection = sqlite3.connect(file, **options)
    try:
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("PRAGMA busy_timeout=0")
    except BaseException:
        raw.close()
        raise
    return raw


def _run(raw: sqlite3.Connection, sql: str, parameters: Any) -> Answer:
    cursor = raw.execute(sql, parameters)
    rows = cursor.fetchall() if cursor.description is not None else []
    return cursor.description, rows, cursor.rowcount, cursor.lastrowid


def _run_many(worker: _Worker, sql: str, parameters: Any) -> Answer:
    cursor = worker.raw.executemany(sql, parameters)
    return cursor.description, [], cursor.rowcount, cursor.lastrowid


def _run_patiently(worker: _Worker, sql: str, parameters: Any) -> Answer:
    """Run it, and wait while another process keeps it from beginning; once in a transaction nothing has to wait."""
    raw = worker.raw
    end = time.monotonic() + BUSY_MS / 1000
    pause = 0.001
    while True:
        try:
            return _run(raw, sql, parameters)
        except sqlite3.OperationalError as error:
            passes = _code(error) in _WAIT and not raw.in_transaction
            if not passes or worker.ended or time.monotonic() >= end:
                raise
        time.sleep(pause * (0.5 + random.random()))  # noqa: S311 - so that those who wait do not march in step
        pause = min(pause * 1.5, 0.02)


def _run_first(worker: _Worker, sql: str, parameters: Any) -> tuple[bool, Answer]:
    """Run a text for the first time, and tell whether all that it does is small."""
    answer = _run_patiently(worker, sql, parameters)
    try:
        program = worker.raw.execute(f"EXPLAIN {sql}", parameters).fetchall()
    except sqlite3.Error:  # it has run, and that is what counts
        return False, answer
    return all(_is_small(row[1], row[5]) for row in program), answer


def _run_timed(worker: _Worker, sql: str, parameters: Any) -> tuple[float, Answer]:
    began = time.thread_time()
    answer = _run_patiently(worker, sql, parameters)
    return time.thread_time() - began, answer


def _is_small(instruction: str, operand: Any) -> bool:
    name = str(operand or "").partition("(")[0]
    if instruction in {"Function", "PureFunc"}:
        return name in _FUNCTIONS
    if instruction.startswith("AggStep"):
        return name in _AGGREGATES
    return instruction in _SMALL


def _code(error: sqlite3.Error) -> int:
    """Give the error's number, without what it says more exactly; none for those that Python itself raises."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
