"""The lifespans of one plugin, entered and left in one task: a lifespan must be left by the task that entered it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

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
        try:
            await started
        except asyncio.CancelledError:
            task.cancel()
            raise
        try:
            yield
        finally:
            self._stopping.set()
            await task

    async def _supervise(self, started: asyncio.Future[None]) -> None:
        entered: list[tuple[str, AbstractAsyncContextManager[Any]]] = []
        try:
            for name, make in self._named:
                lifespan = make()
                await self._enter(name, lifespan)
                entered.append((name, lifespan))
        except PluginFault as fault:
            await self._leave(entered)
            if not started.cancelled():
                started.set_exception(fault)
            return
        if not started.cancelled():
            started.set_result(None)
        try:
            await self._stopping.wait()
        finally:
            await self._leave(entered)

    async def _enter(self, name: str, lifespan: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await lifespan.__aenter__()
        except TimeoutError as error:
            raise self._fault("time_limit", name, f"took longer than {self._limit:g} seconds") from error
        except Exception as error:
            raise self._fault("startup_failed", name, f"failed: {type(error).__name__}: {error}") from error

    async def _leave(self, entered: Sequence[tuple[str, AbstractAsyncContextManager[Any]]]) -> None:
        for name, lifespan in reversed(entered):
            try:
                async with asyncio.timeout(self._limit):
                    await lifespan.__aexit__(None, None, None)
            except Exception:
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
