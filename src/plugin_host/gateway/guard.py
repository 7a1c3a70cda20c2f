"""The guard: around one plugin's application, counting what it does and holding it to its limits.

1. A request that finds `concurrency` others under way gets 503 `overloaded` at once, with Retry-After.
2. One whose answer has not begun within the time limit is called off, and gets 503 `time_limit`. An answer that has
   begun is never cut.
3. Whatever comes of it is counted in the plugin's `Usage`, which outlives the application that it counts.

There is neither a task nor a timer for a request: whoever looks once a second calls `call_off_late`. WebSockets are
counted, but neither limited nor called off: they are meant to stay, until the right to them is gone
(`revocation.end_revoked`). The edge notes the status of an answer in the scope when it begins, so that nothing has to
stand in the way of each message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlalchemy.exc import InterfaceError, OperationalError

from plugin_host.database import QueryClock
from plugin_host.gateway.gate import WORK
from plugin_host.gateway.problems import FAILED, REQUEST_ID, UNWORDED, send_problem, to_problem
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
    # A plain tuple: anything with names costs more than all the rest of the counting.
    Call: TypeAlias = tuple[float, asyncio.Task[Any], Any, Any]  # when it began, its task, scope and send

STATUS: Final = "plugin_host.status"
"""Where the edge leaves the status of the answer in the scope when it begins."""

DESCRIBE_EVERY: Final = 1.0
"""Seconds between two errors that are described: a traceback is walked through for it."""

_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503
_OVERLOADED: Final = Problem(
    503, "overloaded", "Too many requests to this plugin are under way; try again.", headers={"retry-after": "1"}
)
_TOO_LATE: Final = Problem(503, "time_limit", "The answer took too long; the request was called off.")

log = logging.getLogger("plugin_host.gateway")


class Usage:
    """What one plugin has done in this process. Counters only grow.

    `requests` are those that were let in, WebSockets among them; `errors` those of them that ended with a status of
    500 or above, or with an exception, after the gate had let them in: what the host refuses by itself is no fault
    of the plugin, nor is a database that is away, or an answer of 503. `timeouts` and `overloads` are not among the
    errors. `seconds` is the time that requests were under way, WebSockets not; `queries` is the clock for the
    plugin's units of work. `sockets` are open now, `last_error` words what failed last.
    """

    __slots__ = (
        "errors",
        "last_error",
        "late",
        "noted",
        "overloads",
        "queries",
        "requests",
        "revoked",
        "seconds",
        "sockets",
        "talking",
        "timeouts",
        "under_way",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.timeouts = 0
        self.overloads = 0
        self.sockets = 0
        self.seconds = 0.0
        self.queries = QueryClock()
        self.last_error = ""
        self.noted = float("-inf")
        self.under_way: dict[int, Call] = {}
        self.talking: dict[int, Call] = {}
        self.late: dict[int, _Late] = {}
        self.revoked: dict[int, Revoked] = {}

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self.under_way)


class Guard:
    """Stands before one plugin's application. `concurrency` None sets no limit.

    `describe` words an exception with its place in the plugin; it is asked at most once a second.
    """

    __slots__ = ("_concurrency", "_describe", "app", "usage")

    def __init__(
        self,
        app: Application,
        usage: Usage,
        *,
        concurrency: int | None = None,
        describe: Callable[[BaseException], str] = repr,
    ) -> None:
        self.app = app
        self.usage = usage
        self._concurrency = float("inf") if concurrency is None else concurrency
        self._describe = describe

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request or a WebSocket through to the application."""
        if scope["type"] != "http":
            await self._converse(scope, receive, send)
            return
        usage = self.usage
        under_way = usage.under_way
        if len(under_way) >= self._concurrency:
            usage.overloads += 1
            await send_problem(_OVERLOADED, scope, send)
            return
        key = id(scope)
        usage.requests += 1
        began = monotonic()
        under_way[key] = (began, asyncio.current_task(), scope, send)  # type: ignore[assignment] # ASGI runs in tasks
        try:
            await self.app(scope, receive, send)
            if key in usage.revoked:
                usage.revoked[key].forget(None)
            elif key in usage.late:
                await self._end_late(key, None)
            elif scope.get(STATUS, _SERVER_ERROR) >= _SERVER_ERROR:
                self._count_error(scope, None)
        except BaseException as error:  # noqa: BLE001 - also what plugins have no business to raise
            if key in usage.revoked:
                # Without its end: the server cuts the connection, for half an answer must not look like a whole one.
                usage.revoked[key].forget(error)
            elif key in usage.late:
                await self._end_late(key, error)
            else:
                self._count_error(scope, error)
                _raise(error)
        finally:
            del under_way[key]
            usage.revoked.pop(key, None)
            usage.seconds += monotonic() - began

    async def _converse(self, scope: Any, receive: Any, send: Any) -> None:
        usage = self.usage
        key = id(scope)
        usage.requests += 1
        usage.sockets += 1
        usage.talking[key] = (monotonic(), asyncio.current_task(), scope, send)  # type: ignore[assignment] # as above
        try:
            await self.app(scope, receive, send)
            failed = scope.get(FAILED)
            if key in usage.revoked:
                await self._close_revoked(key, None)
            elif failed is not None and to_problem(failed).status >= _SERVER_ERROR:
                self._count_error(scope, failed)
        except BaseException as error:  # noqa: BLE001 - as above
            if key not in usage.revoked:
                self._count_error(scope, error)
                _raise(error)
            await self._close_revoked(key, error)
        finally:
            usage.sockets -= 1
            del usage.talking[key]
            usage.revoked.pop(key, None)

    async def _close_revoked(self, key: int, error: BaseException | None) -> None:
        """Close a WebSocket that was called off because the right to it is gone, and say why."""
        _, _, _, send = self.usage.talking[key]
        self.usage.revoked[key].forget(error)
        await send({"type": "websocket.close", "code": UNWORDED})

    def _count_error(self, scope: Any, error: BaseException | None) -> None:
        """Count what failed, if the gate had let it in and nobody has called it off."""
        if WORK not in scope or (isinstance(error, asyncio.CancelledError) and _is_called_off()):
            return
        error = error or scope.get(FAILED)
        if isinstance(error, OperationalError | InterfaceError) or (
            error is None and scope.get(STATUS) == _UNAVAILABLE
        ):
            return  # the database is away, or the plugin says itself that it is for a while: that mends itself
        usage = self.usage
        usage.errors += 1
        now = monotonic()
        if now - usage.noted < DESCRIBE_EVERY:
            return
        usage.noted = now
        what = self._describe(error) if error is not None else f"status {scope.get(STATUS, 'none')}"
        usage.last_error = f"{what} at {scope.get('method', 'WebSocket')} {scope.get('path_template') or scope['path']}"

    async def _end_late(self, key: int, error: BaseException | None) -> None:
        """End a call that was called off: answer, unless somebody has, and forget whatever it raised."""
        _, task, scope, send = self.usage.under_way[key]
        late = self.usage.late.pop(key)
        cancelling = 1
        for _ in range(late.times):
            cancelling = task.uncancel()
        if error is not None and not isinstance(error, asyncio.CancelledError):
            log.warning("what was called off ended with %r (request %s)", error, scope.get(REQUEST_ID, "-"))
        if late.answering is not None:
            await late.answering
        elif STATUS not in scope:
            await send_problem(_TOO_LATE, scope, send)
        if cancelling and isinstance(error, asyncio.CancelledError):
            raise error  # the server has called it off as well


class _Late:
    """A call that was called off: when last, how often, and the answer, if it was given from outside."""

    __slots__ = ("answering", "since", "times")

    def __init__(self, since: float) -> None:
        self.since = since
        self.times = 1
        self.answering: asyncio.Task[None] | None = None


class Revoked:
    """A stream or a WebSocket that was called off because the right to it is gone: how often."""

    __slots__ = ("task", "times")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.times = 0

    def call_off(self) -> None:
        """Cancel it; again, if it has made nothing of the last time."""
        self.times += 1
        self.task.cancel()

    def forget(self, error: BaseException | None) -> None:
        """Take the cancelling back, unless the server has cancelled it as well: then raise that."""
        for _ in range(self.times):
            self.task.uncancel()
        if self.task.cancelling() and isinstance(error, asyncio.CancelledError):
            raise error


def call_off_late(usage: Usage, limit: float, now: float) -> int:
    """Call off the requests of a plugin whose answer has not begun `limit` seconds after they came; gives how many.

    Each is cancelled, which lets it clean up, and then answered. One that cannot be cancelled, or takes its time
    over it, is answered at the next call of this function, and cancelled again after another `limit` seconds.
    `now` is `time.monotonic()`.
    """
    count = 0
    for key, (began, task, scope, send) in list(usage.under_way.items()):
        if now - began < limit:
            break  # the others came later
        late = usage.late.get(key)
        if late is None and STATUS not in scope:
            usage.late[key] = _Late(now)
            usage.timeouts += 1
            count += 1
            task.cancel()
        elif late is not None and late.answering is None and STATUS not in scope:
            late.answering = asyncio.create_task(_answer_late(scope, send))
        elif late is not None and late.answering is not None and now - late.since >= limit:
            late.since = now
            late.times += 1
            task.cancel()
    return count


def cut(usage: Usage) -> int:
    """End whatever is still under way in a plugin, streams and WebSockets among it; gives how many those are."""
    tasks = [task for _, task, _, _ in (*usage.under_way.values(), *usage.talking.values())]
    for task in tasks:
        task.cancel()
    return len(tasks)


async def _answer_late(scope: Any, send: Any) -> None:
    with contextlib.suppress(Exception):  # it has begun its own answer meanwhile, or the other side is gone
        await send_problem(_TOO_LATE, scope, send)


def _raise(error: BaseException) -> NoReturn:
    """Raise an exception again, but none that would end the event loop, and with it the host."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        msg = f"{type(error).__name__} was raised while answering"
        raise RuntimeError(msg) from error  # noqa: TRY004 - it is not about types
    raise error


def _is_called_off() -> bool:
    """Tell whether the server has cancelled the request; else the plugin has raised it without being asked."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
