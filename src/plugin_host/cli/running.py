"""The event loop of a server: no task and no thread of a plugin ends it, and none keeps it from ending."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger("plugin_host")

LAST_WORDS: Final = 2.0
"""Seconds that tasks and threads of plugins have to end by themselves when the host has ended."""

LEFT_BEHIND: Final = threading.Event()
"""Set where threads hang that Python would wait for at its end: `main` then ends the process without them."""


def run_to_the_end(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is there: half as fast again.

    A task that raises SystemExit stops the loop, whoever made it: a plugin's background task must not end the
    host, so the loop goes on as long as the host itself has not ended.
    """
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    before = threading.enumerate()
    loop = (factory or asyncio.new_event_loop)()
    executor = ThreadPoolExecutor(thread_name_prefix="plugin-host")
    loop.set_default_executor(executor)
    asyncio.set_event_loop(loop)
    task = loop.create_task(main)
    # SIGTERM too: a start that it ended otherwise would count as one that died.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(task.cancel))
    try:
        while not task.done():
            try:
                loop.run_until_complete(task)
            except asyncio.CancelledError:
                raise click.Abort from None
            except (SystemExit, KeyboardInterrupt):
                if task.done():
                    raise
                log.exception("a task of a plugin wanted to end the process; the host goes on")
    finally:
        _end(loop, executor, before)


def _end(loop: asyncio.AbstractEventLoop, executor: ThreadPoolExecutor, before: list[threading.Thread]) -> None:
    """End what plugins have left: tasks that will not be cancelled, and threads that hang, do not hold up the end."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    with contextlib.suppress(Exception, SystemExit, KeyboardInterrupt):
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=LAST_WORDS))
    executor.shutdown(wait=False, cancel_futures=True)
    loop.close()
    end = time.monotonic() + LAST_WORDS
    threads = [each for each in threading.enumerate() if not (each.daemon or each in before)]
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    busy = [thread.name for thread in threads if thread.is_alive()]
    if busy:
        log.warning("threads go on that plugins have begun (%s); the process ends without them", ", ".join(busy))
        LEFT_BEHIND.set()
