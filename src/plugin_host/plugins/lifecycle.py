"""Start and stop a plugin: its hooks may be plain or asynchronous, may hang, and may try to take the host along.

A plain function runs in a thread of its own, so that it holds up nobody; a thread cannot be ended, so one that
hangs is left behind (as a daemon, which does not keep the process). An asynchronous one runs in a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.plugins.relay import Relay
    from plugin_host.sdk.context import PluginContext
    from plugin_host.sdk.errors import ReasonCode

T = TypeVar("T")

_LAST_WORDS: Final = 1.0
"""Seconds that a task which was cancelled for its time limit has, to close what it opened."""


async def start(relay: Relay, context: PluginContext[Any], limit: float) -> None:
    """Call `startup`. Raises `PluginFault`: `startup_failed`, or `time_limit` after `limit` seconds."""
    await _run(relay, "startup", context, limit, "startup_failed")


async def stop(relay: Relay, context: PluginContext[Any], limit: float) -> None:
    """Call `shutdown`, also after a start that failed half way. Raises `PluginFault` like `start`: `hook_failed`."""
    await _run(relay, "shutdown", context, limit, "hook_failed")


async def sample(relay: Relay, context: PluginContext[Any]) -> None:
    """Call `sample_data`, however long it takes. Raises `PluginFault` `hook_failed`."""
    await _run(relay, "sample_data", context, None, "hook_failed")


async def _run(relay: Relay, hook: str, context: PluginContext[Any], limit: float | None, code: ReasonCode) -> None:
    if not relay.has(hook):
        return
    with relay.timed(hook):
        task = asyncio.ensure_future(_outcome(relay, hook, context))
        try:
            done, _ = await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:  # the host is being stopped: not the plugin's doing
            task.cancel()
            raise
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=_LAST_WORDS)
            way_out = "Do slow work after the start, or raise limits.startup_timeout."
            raise relay.fault("time_limit", f"hook {hook} took more than {limit} seconds.", way_out)
    error = asyncio.CancelledError() if task.cancelled() else task.result()
    if error is not None:
        with relay.blamed(code, f"hook {hook}"):
            raise error


async def _outcome(relay: Relay, hook: str, context: PluginContext[Any]) -> BaseException | None:
    """Run a hook and give what it raised: a task that raises SystemExit would end the event loop."""
    try:
        returned = await in_thread(lambda: relay.start(hook, context=context))
        for result in returned:
            if inspect.isawaitable(result):
                await result
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - handed on, to be blamed on the plugin
        return error
    return None


async def in_thread(function: Callable[[], T], limit: float | None = None) -> T:
    """Call a plain function in a thread of its own: a pool would wait at exit for one that hangs.

    Raises what the function raises, and `TimeoutError` after `limit` seconds; the thread is then left behind.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Callable[[], T]] = loop.create_future()

    def settle(give: Callable[[], T]) -> None:
        if not answer.done():  # nobody waits any more after the time limit
            answer.set_result(give)

    def run() -> None:
        give: Callable[[], T]
        try:
            returned = function()
        except BaseException as raised:  # noqa: BLE001 - handed over to whoever waits
            give = functools.partial(_raise, raised)
        else:
            give = functools.partial(_same, returned)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by the time that a slow one ends
            loop.call_soon_threadsafe(settle, give)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
    async with asyncio.timeout(limit):
        give = await answer
    return give()


def _same(value: T) -> T:
    return value


def _raise(error: BaseException) -> NoReturn:
    raise error
