"""Threads of a plugin's own for what it does not write with `async`: it may fill these, and nobody else's.

Litestar hands every blocking handler to the event loop's one executor: a few that hang would hold up the handlers of
all plugins, and the host with them. These threads are the plugin's; they are daemons, so that one that hangs does not
keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from litestar.routes import HTTPRoute
from litestar.utils.sync import AsyncCallable

from plugin_host.gateway.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.handlers import BaseRouteHandler

IDLE: Final = 30.0
"""Seconds after which a thread without work ends."""


class Threads:
    """At most `limit` threads, made when they are needed; what comes beyond that waits for its turn.

    A call that is cancelled while it waits is not made; one that has begun runs to its end in its thread.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._count = 0

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the function in one of the threads, in the context of the caller; gives or raises what it does."""
        context = contextvars.copy_context()
        job = _Job(functools.partial(context.run, function, *args, **kwargs))
        with self._changed:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
            elif self._count < self._limit:
                self._count += 1
                threading.Thread(target=self._work, name=f"{self._name} {self._count}", daemon=True).start()
        return await job.future

    @property
    def count(self) -> int:
        """How many threads there are."""
        return self._count

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            del job  # the answer, and what it holds, is no longer ours

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._jobs:
                self._idle += 1
                woken = self._changed.wait(IDLE)
                self._idle -= 1
                if not woken and not self._jobs:
                    self._count -= 1
                    return None
            return self._jobs.popleft()


class _Job:
    """One call, and the future in the caller's loop that gets what comes of it."""

    __slots__ = ("_call", "_loop", "future")

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def run(self) -> None:
        if self.future.cancelled():
            return
        try:
            value = self._call()
        except (StopIteration, SystemExit, KeyboardInterrupt) as error:
            # No future takes the first, and the others, raised from a future, end the event loop.
            failure = RuntimeError(f"{type(error).__name__} was raised in a thread")
            failure.__cause__ = error
            self._tell(self._fail, failure)
        except BaseException as error:  # noqa: BLE001 - the caller's to judge, whatever it is
            self._tell(self._fail, error)
        else:
            self._tell(self._give, value)

    def _tell(self, how: Callable[[Any], None], what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits any more
            self._loop.call_soon_threadsafe(how, what)

    def _give(self, value: Any) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def _fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class InThreads(AsyncCallable):
    """A function without `async` that is called in the threads of its plugin."""

    def __init__(self, function: Callable[..., Any], threads: Threads) -> None:
        super().__init__(function)
        self._threads = threads

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; the outcome is to be awaited."""
        return self._threads.run(self.func, *args, **kwargs)


def own_threads(app: Litestar, threads: Threads) -> None:
    """Let handlers, dependencies and guards run in these threads, wherever Litestar would take the event loop's.

    Called when the application stands: Litestar has wrapped by then what it means to run in a thread.
    """
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler]:
            _own(handler, threads)


def _own(handler: BaseRouteHandler, threads: Threads) -> None:
    if isinstance(handler.fn, AsyncCallable):
        handler._fn = InThreads(handler.fn.func, threads)  # noqa: SLF001 - Litestar put its own there as well
    dependencies = {} if isinstance(handler, Options) else handler.resolve_dependencies()  # they take nothing
    for provider in dependencies.values():
        if isinstance(provider.dependency, AsyncCallable):
            provider.dependency = InThreads(provider.dependency.func, threads)
    guards = handler.resolve_guards()  # the handler's own list
    guards[:] = [InThreads(guard.func, threads) if isinstance(guard, AsyncCallable) else guard for guard in guards]
