"""Lifespans: spoken to an ASGI application as a server would, and those of one plugin run together in one task.

A lifespan must be left by the task that entered it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from plugin_host.sdk.contributions import ASGIApplication

Message = dict[str, Any]

_LAST_WORDS = 1.0
"""Seconds that a lifespan which was cancelled for its time limit has, to close what it opened."""

log = logging.getLogger("plugin_host.gateway")


class Lifespans:
    """Runs the named lifespans of a plugin in their order and stops them in the reverse one.

    `limit` is in seconds, for each start and each stop.
    """

    def __init__(
        self, plugin: str, named: Sequence[tuple[str, Callable[[], AbstractAsyncContextManager[Any]]]], limit: float
    ) -> None:
        self._plugin = plugin
        self._named = named
        self._limit = limit
        self._stopping = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start on entry, or raise `PluginFault`; stop on exit, where what fails is only logged."""
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._supervise(started), name=f"lifespan of {self._plugin}")
        patience = self._limit * len(self._named) + _LAST_WORDS
        try:
            await asyncio.wait({started}, timeout=patience)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not started.done():  # it swallows being cancelled
            started.cancel()
            task.cancel()
            raise self._fault("time_limit", "its routes", f"took longer than {self._limit:g} seconds, and goes on")
        started.result()
        try:
            yield
        finally:
            self._stopping.set()
            done, _ = await asyncio.wait({task}, timeout=patience)
            if not done:
                task.cancel()
                log.error("plugin %s: its shutdown goes on after its time, and was left behind", self._plugin)

    async def _supervise(self, started: asyncio.Future[None]) -> None:
        entered: list[tuple[str, AbstractAsyncContextManager[Any]]] = []
        fault: PluginFault | None = None
        try:
            for name, make in self._named:
                lifespan = make()
                await self._enter(name, lifespan)
                entered.append((name, lifespan))
            if not started.done():  # whoever waited may have given up
                started.set_result(None)
            await self._stopping.wait()
        except PluginFault as error:
            fault = error
        finally:
            await self._leave(entered)
        if fault is not None and not started.done():
            started.set_exception(fault)

    async def _enter(self, name: str, lifespan: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await lifespan.__aenter__()
        except TimeoutError as error:
            raise self._fault("time_limit", name, f"took longer than {self._limit:g} seconds") from error
        except BaseException as error:
            if _is_ours(error):
                raise
            raise self._fault("startup_failed", name, f"failed: {_say(error)}") from error

    async def _leave(self, entered: Sequence[tuple[str, AbstractAsyncContextManager[Any]]]) -> None:
        for name, lifespan in reversed(entered):
            try:
                async with asyncio.timeout(self._limit):
                    await lifespan.__aexit__(None, None, None)
            except BaseException as error:
                if _is_ours(error):
                    raise
                log.exception("plugin %s: the shutdown of %s failed", self._plugin, name)

    def _fault(self, code: Any, name: str, what: str) -> PluginFault:
        return PluginFault(
            Reason(
                code=code,
                text=f"The start-up of {name} of {self._plugin} {what}.",
                culprits=(self._plugin,),
                way_out="Correct the plugin, or disable it.",
            )
        )


def _is_ours(error: BaseException) -> bool:
    """Tell whether the host itself ends the task; whatever else comes, SystemExit too, the plugin raised."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _say(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - its own class
        return type(error).__name__


class LifespanError(Exception):
    """An application said that it could not start, or not stop; the text is its own."""


class Conversation:
    """The lifespan protocol, spoken to an application that is not served by itself.

    One that raises at the lifespan `scope` without a word knows no lifespan, says the protocol; it is left alone.
    """

    def __init__(self, app: ASGIApplication, scope: Message) -> None:
        self._app = app
        self._scope = scope
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._answered: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application, or raise `LifespanError` with its message."""
        self._task = asyncio.create_task(self._run())
        await self._ask(self._task, "lifespan.startup")

    async def stop(self) -> None:
        """Stop the application if it runs, or raise `LifespanError` with its message."""
        if self._task is not None and not self._task.done():
            await self._ask(self._task, "lifespan.shutdown")
            await asyncio.wait([self._task])

    async def _ask(self, task: asyncio.Task[None], kind: str) -> None:
        await self._asked.put({"type": kind})
        try:
            answer = await self._answered.get()
        except asyncio.CancelledError:
            task.cancel()  # whoever asked has waited long enough
            raise
        if answer["type"] in (f"{kind}.failed", "ended.badly"):
            raise LifespanError(answer.get("message") or "it gave no message")

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._asked.get, self._answered.put)
        except Exception:
            log.debug("an application ended its lifespan by an exception", exc_info=True)
        except BaseException as error:
            if _is_ours(error):
                raise
            await self._answered.put({"type": "ended.badly", "message": _say(error)})
        await self._answered.put({"type": "ended"})


class Hosted:
    """The whole host as an ASGI application; servers and applications alike are handed it as `host.asgi`.

    A server that speaks the lifespan protocol runs the host with it. An application enters `host.lifespan()`
    itself; a request before that is a `RuntimeError` that says so. An object and not a method: servers look at
    `__call__` to tell which ASGI it speaks.
    """

    def __init__(
        self,
        app: ASGIApplication,
        lifespan: Callable[[], AbstractAsyncContextManager[Any]],
        is_running: Callable[[], bool],
    ) -> None:
        self._app = app
        self._lifespan = lifespan
        self._is_running = is_running

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a scope."""
        if scope["type"] == "lifespan":
            await _speak_lifespan(self._lifespan(), receive, send)
            return
        if not self._is_running():
            raise RuntimeError(
                "PluginHost is not running: enter `async with host.lifespan():` in the lifespan of the application"
            )
        await self._app(scope, receive, send)


async def _speak_lifespan(lifespan: AbstractAsyncContextManager[Any], receive: Any, send: Any) -> None:
    """Speak the server's side of the lifespan protocol."""
    await receive()
    try:
        async with lifespan:
            await send({"type": "lifespan.startup.complete"})
            await receive()
    except Exception as error:
        log.exception("the host cannot start, or stopped badly")
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})
