"""The supervisor: looks at every plugin once a second, and keeps their accounts.

1. Requests whose answer has not begun in time are called off.
2. A plugin that fails too often is quarantined, beside all this, since that waits for its requests.
3. A thread beside the event loop sees who blocks it.

What it knows of each plugin, with what its start took, is its accounting: one shape for `plugins show`, the API and
`/metrics`, in milliseconds. `slow` names what takes longer than `SLOW` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from plugin_host.gateway.guard import Guard, Usage, call_off_late, cut
from plugin_host.gateway.threads import Threads, own_threads
from plugin_host.plugins.blame import describe
from plugin_host.supervision.breaker import Breaker, Counts, Thresholds
from plugin_host.supervision.lag import NOBODY, Lag, LagWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    from litestar import Litestar

    from plugin_host.database import QueryClock
    from plugin_host.sdk.errors import Reason
    from plugin_host.settings.schema import Limits

EVERY: Final = 1.0
"""Seconds between two looks."""

KEEP_EVERY: Final = 60.0
"""Seconds after which the accounts are kept for those who look from outside."""

SLOW: Final = {"import": 500.0, "hook": 250.0, "startup": 2000.0, "request": 500.0, "query": 250.0}
"""Milliseconds from which it is slow: importing, one hook, `startup`; a request, and its queries, on average."""

ENOUGH: Final = 20
"""Requests below which an average says nothing."""

_CORE: Final = "core"
_NO_HOOKS: Final = frozenset({"import", "register", "startup"})

log = logging.getLogger("plugin_host")


class Supervisor:
    """Keeps the usage of every plugin, also of one that comes and goes.

    `quarantine` is called with the plugin and the reason; it takes the plugin off. `keep` is called once a minute, to
    write the accounts where others can read them. core is counted like any plugin,
    but has no limits and is never quarantined: somebody must be able to repair the others.
    """

    def __init__(
        self,
        limits: Limits,
        quarantine: Callable[[str, Reason], Awaitable[object]],
        keep: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._limits = limits
        self._keep = keep
        self._quarantine = quarantine
        self._usages: dict[str, Usage] = {}
        self._guards: dict[str, Guard] = {}
        self._isolating: dict[str, asyncio.Task[None]] = {}
        self._watch = LagWatch(limits.lag)
        self._breaker = Breaker(
            Thresholds(
                errors=limits.errors_per_minute,
                share=limits.error_share,
                timeouts=limits.timeouts_per_minute,
                time_limit=limits.request_timeout,
            )
        )

    def clock(self, plugin: str) -> QueryClock:
        """Give the clock for the units of work of a plugin, whoever opens them."""
        return self._usages.setdefault(plugin, Usage()).queries

    def guard(self, plugin: str, app: Litestar, folder: Path | None) -> Guard:
        """Give what stands before a plugin's application, the same for the same one; its sync code gets threads.

        `folder` is where the plugin's code lies.
        """
        guard = self._guards.get(plugin)
        if guard is None or guard.app is not app:
            own_threads(app, Threads(plugin, self._limits.threads))
            guard = self._guards[plugin] = Guard(
                app,
                self._usages.setdefault(plugin, Usage()),
                concurrency=None if plugin == _CORE else self._limits.concurrency,
                describe=partial(describe, folder=folder),
            )
        return guard

    def watch(self, folders: Mapping[str, Path | None]) -> None:
        """Look after these plugins from now on; where the code of each lies says who blocks the event loop."""
        self._guards = {plugin: guard for plugin, guard in self._guards.items() if plugin in folders}
        self._breaker.keep(folders)
        # core's folder is the host: it lies around every request, and names nobody.
        self._watch.know({plugin: path for plugin, path in folders.items() if path is not None and plugin != _CORE})

    def usages(self) -> Collection[Usage]:
        """Give what every plugin does."""
        return list(self._usages.values())

    def cut(self, plugin: str) -> None:
        """End what is still under way in a plugin that has had its time to end."""
        count = cut(self._usages.setdefault(plugin, Usage()))
        if count:
            log.warning("plugin %s: %d requests went on after its time, and were cut", plugin, count)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look again and again, until the end of the block."""
        async with self._watch.watching():
            looking = asyncio.create_task(self._look_on(), name="plugin-host supervisor")
            keeping = asyncio.create_task(self._keep_on(), name="plugin-host accounts")
            try:
                yield
            finally:
                tasks = [looking, keeping, *self._isolating.values()]
                for each in tasks:
                    each.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def look(self, now: float) -> None:
        """Call off what is late, and judge what failed; `now` is `time.monotonic()`."""
        for plugin, usage in self._usages.items():
            if plugin == _CORE:
                continue
            call_off_late(usage, self._limits.request_timeout, now)  # also in an application that is being drained
            if plugin in self._guards and plugin not in self._isolating:
                counts = Counts(usage.requests, usage.errors, usage.timeouts)
                reason = self._breaker.look(plugin, counts, now, usage.last_error)
                if reason is not None:
                    log.error("plugin %s is to be quarantined: %s", plugin, reason.text)
                    self._isolating[plugin] = asyncio.create_task(self._isolate(plugin, reason))

    def accounting(self, plugin: str, timings: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Give the account of a plugin in this process; times are milliseconds.

        `timings` are those of its start: what was imported, each hook. The numbers of requests are those of `Usage`;
        `in_flight` and `sockets` are of now. `lag` says how often the plugin's code blocked the event loop, how long,
        and where it did worst. `slow` has some of `import`, `hook`, `startup`, `request`, `query` and `event_loop`.
        """
        usage = self._usages.get(plugin) or Usage()
        lag = self._watch.lags.get(plugin, Lag())
        timings = timings or {}
        account = {
            "import": timings.get("import", 0.0),
            "hooks": {name: spent for name, spent in timings.items() if name not in _NO_HOOKS},
            "startup": timings.get("startup", 0.0),
            "requests": usage.requests,
            "errors": usage.errors,
            "timeouts": usage.timeouts,
            "overloads": usage.overloads,
            "in_flight": usage.in_flight,
            "sockets": usage.sockets,
            "request_time": _ms(usage.seconds),
            "queries": usage.queries.count,
            "query_time": _ms(usage.queries.seconds),
            "last_error": usage.last_error or None,
            "lag": {"count": lag.count, "time": _ms(lag.seconds), "worst": _ms(lag.worst), "place": lag.place or None},
        }
        return {**account, "slow": list(_slow(account))}

    @property
    def unowned_lag(self) -> Lag:
        """How the event loop was blocked where no plugin's code was found."""
        return self._watch.lags.get(NOBODY, Lag())

    async def _look_on(self) -> None:
        every = min(EVERY, self._limits.request_timeout / 2)
        while True:
            await asyncio.sleep(every)
            try:
                self.look(monotonic())
            except Exception:
                log.exception("the supervisor failed; it looks again in a moment")

    async def _keep_on(self) -> None:
        kept = -1
        while self._keep is not None:
            await asyncio.sleep(KEEP_EVERY)
            requests = sum(usage.requests for usage in self._usages.values())
            if requests != kept:
                kept = requests
                try:
                    await self._keep()
                except Exception:
                    log.exception("the accounts could not be kept; they are in a minute")

    async def _isolate(self, plugin: str, reason: Reason) -> None:
        try:
            await self._quarantine(plugin, reason)
        except Exception:
            log.exception("plugin %s could not be quarantined; it goes on", plugin)
        finally:
            del self._isolating[plugin]


def _slow(account: Mapping[str, Any]) -> list[str]:
    requests = account["requests"] if account["requests"] >= ENOUGH else float("inf")
    figures = {
        "import": account["import"],
        "hook": max(account["hooks"].values(), default=0.0),
        "startup": account["startup"],
        "request": account["request_time"] / requests,
        "query": account["query_time"] / requests,
    }
    slow = [name for name, figure in figures.items() if figure >= SLOW[name]]
    return [*slow, "event_loop"] if account["lag"]["count"] else slow


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
