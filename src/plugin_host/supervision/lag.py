"""Who blocks the event loop: seen by a thread beside it, since the loop itself sees nothing while it is blocked.

1. The watcher asks the loop to raise a flag, and waits for it.
2. If the flag stays down, it looks at what the loop's thread is doing: the innermost frame whose file lies in a
   plugin's folder names the plugin, also when the blocking code is a library that the plugin has called.
3. When the flag goes up at last, the time is added to that plugin's account.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from types import FrameType

NOBODY: Final = ""
"""The key under which lag is kept that no plugin's code was seen in."""

LOG_EVERY: Final = 60.0
"""Seconds between two lines in the log about the same place."""

log = logging.getLogger("plugin_host")


@dataclass(frozen=True, slots=True)
class Lag:
    """How often the event loop was blocked, for how many seconds together and at worst, and where that was."""

    count: int = 0
    seconds: float = 0.0
    worst: float = 0.0
    place: str = ""

    def and_also(self, seconds: float, place: str) -> Lag:
        """Add one more block."""
        worst, where = (seconds, place) if seconds > self.worst else (self.worst, self.place)
        return Lag(self.count + 1, self.seconds + seconds, worst, where)


class LagWatch:
    """Watches one event loop for blocks of more than `limit` seconds, each attributed to the plugin at fault.

    Every block of more than `limit` seconds is seen, and some of more than three quarters of that; the time is
    measured to a quarter of the limit, rather too short than too long.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._folders: tuple[tuple[str, str], ...] = ()
        self._owners: dict[str, tuple[str, str]] = {}
        self._lags: dict[str, Lag] = {}
        self._logged: dict[str, float] = {}

    @property
    def lags(self) -> Mapping[str, Lag]:
        """What was seen so far, by plugin; `NOBODY` is where no plugin's code was found."""
        return dict(self._lags)

    def know(self, folders: Mapping[str, Path]) -> None:
        """Tell whose code lies where: `folders` by plugin, each a folder or one file."""
        spellings = {
            (str(way), plugin) for plugin, path in folders.items() for way in (path.absolute(), path.resolve())
        }
        # The deepest first: a plugin may lie within another's folder.
        self._folders = tuple(sorted(spellings, key=lambda pair: -len(pair[0])))
        self._owners = {}

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch the running loop until the block ends; its thread has ended then."""
        loop = asyncio.get_running_loop()
        ended, gone = threading.Event(), asyncio.Event()
        arguments = (loop, threading.get_ident(), ended, gone)
        threading.Thread(target=self._watch, args=arguments, name="plugin-host lag", daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            await gone.wait()

    def _watch(self, loop: asyncio.AbstractEventLoop, ident: int, ended: threading.Event, gone: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed without ending the block
            while not ended.wait(self._limit / 4):
                self._look(loop, ident)
            loop.call_soon_threadsafe(gone.set)

    def _look(self, loop: asyncio.AbstractEventLoop, ident: int) -> None:
        """Ask the loop once whether it turns, and stay until it does."""
        turned = threading.Event()
        asked = time.monotonic()
        loop.call_soon_threadsafe(turned.set)
        patience = self._limit * 3 / 4
        if turned.wait(patience):
            return
        # Woken much too late: the whole machine may have stood still. A loop that is free turns in no time then.
        if time.monotonic() - asked > self._limit and turned.wait(self._limit / 4):
            return
        plugin, place = self._blame(sys._current_frames().get(ident))  # noqa: SLF001 - there is no other way
        self._warn(plugin, place)
        while not turned.wait(1.0):
            if loop.is_closed():
                return
        self._lags[plugin] = self._lags.get(plugin, Lag()).and_also(time.monotonic() - asked, place)

    def _blame(self, innermost: FrameType | None) -> tuple[str, str]:
        """Give the plugin whose code is running, and where; else nobody, and the innermost frame."""
        frame = innermost
        while frame is not None:
            plugin, shown = self._owner(frame.f_code.co_filename)
            if plugin != NOBODY:
                return plugin, f"{shown}:{frame.f_lineno}"
            frame = frame.f_back
        return NOBODY, f"{innermost.f_code.co_filename}:{innermost.f_lineno}" if innermost is not None else ""

    def _owner(self, file: str) -> tuple[str, str]:
        """Give the plugin that a file belongs to, and the file as `shop/routes.py`."""
        owner = self._owners.get(file)
        if owner is None:
            path = os.path.abspath(file)  # noqa: PTH100 - as it is spelled: a link is not followed
            matches = (
                (name, os.path.relpath(path, os.path.dirname(way)))  # noqa: PTH120 - as above
                for way, name in self._folders
                if path == way or path.startswith(way + os.sep)
            )
            owner = self._owners[file] = next(matches, (NOBODY, file))
        return owner

    def _warn(self, plugin: str, place: str) -> None:
        now = time.monotonic()
        if now - self._logged.get(place, -LOG_EVERY) < LOG_EVERY:
            return
        self._logged[place] = now
        who = f"plugin {plugin}" if plugin != NOBODY else "something"
        log.warning(
            "%s has blocked the event loop for more than %g seconds at %s: nothing else is answered meanwhile. "
            "Await an asynchronous call, or write the handler without async.",
            who,
            self._limit * 3 / 4,
            place,
        )
