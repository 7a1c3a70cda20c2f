"""Rates: how often an address, a person, a token may ask, and a plugin be asked.

Time is cut into windows, which follow each other; in each a counter is raised once for a request, in one step, so that
exactly as many pass as may, however many ask at once. In memory that step is taken on the event loop, in Redis by a
script of `limits`. A store that is away lets nobody in for nothing: then each process counts for itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from plugin_host.sdk.errors import Problem
from plugin_host.settings import SettingsError

if TYPE_CHECKING:
    from limits import RateLimitItem

    from plugin_host.sdk.context import Actor
    from plugin_host.settings.rates import Rates as RateSettings

PATIENCE: Final = 2.0
"""Seconds that Redis may take to answer."""
AT_ONCE: Final = 16
"""Requests that are counted in Redis at once, each over a connection of its own; others wait."""
LEFT_ALONE: Final = 5.0
"""Seconds for which Redis is not asked again after it did not answer."""

log = logging.getLogger("plugin_host.gateway")


class Rates:
    """Counts by the settings `[limits.rates]`. Raises `SettingsError` where the client of Redis is missing."""

    def __init__(self, settings: RateSettings) -> None:
        self._items: dict[str, RateLimitItem] = {}
        for kind in ("address", "account", "token", "plugin"):
            said = getattr(settings, kind)
            if said is not None:
                from limits import parse  # noqa: PLC0415 - lazy: most hosts have no rates

                self._items[kind] = parse(said)
        self.any = bool(self._items)
        self.of_addresses = "address" in self._items
        self.of_calls = bool(self._items.keys() - {"address"})
        self._memory: Any = None
        self._redis: Any = None
        self._storage: Any = None
        self._again_at = 0.0
        self._places = asyncio.Semaphore(AT_ONCE)
        if self.any:
            from limits.storage import MemoryStorage  # noqa: PLC0415 - as above
            from limits.strategies import FixedWindowRateLimiter  # noqa: PLC0415 - as above

            self._memory = FixedWindowRateLimiter(MemoryStorage())
            if settings.store != "memory":
                self._use_redis(settings.store)

    async def count_address(self, address: str) -> None:
        """Count a request that comes from there. Raises `Problem` 429."""
        await self._count("address", address)

    async def count_call(self, actor: Actor, plugin: str) -> None:
        """Count a call that is let in to a plugin. Raises `Problem` 429."""
        if actor.credential_id and actor.credential not in (None, "session"):
            await self._count("token", actor.credential_id)
        if actor.signed_in:
            await self._count("account", actor.id)
        if plugin != "core":
            await self._count("plugin", plugin)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._storage is not None:
            await self._storage.bridge.storage.aclose()

    async def _count(self, kind: str, who: str) -> None:
        item = self._items.get(kind)
        if item is None:
            return
        passes, again_at = await self._hit(item, kind, who)
        if not passes:
            seconds = max(1, round(again_at - time.time() + 0.5))
            raise Problem(
                429,
                "too_many_requests",
                f"Too many requests {_OF[kind]}: at most {item.amount} in a {item.GRANULARITY.name}. "
                f"Try again in {seconds} seconds.",
                headers={"retry-after": str(seconds)},
            )

    async def _hit(self, item: RateLimitItem, kind: str, who: str) -> tuple[bool, float]:
        """Count; gives whether it passes, and when the next window begins."""
        if self._redis is not None and time.monotonic() >= self._again_at:
            try:
                async with self._places, asyncio.timeout(PATIENCE):
                    passes = await self._redis.hit(item, kind, who)
                    again = 0.0 if passes else (await self._redis.get_window_stats(item, kind, who)).reset_time
            except Exception as error:  # noqa: BLE001 - whatever the client raises, it has not counted
                if time.monotonic() >= self._again_at:
                    log.warning("Redis does not count requests (%r): each process counts for itself meanwhile", error)
                self._again_at = time.monotonic() + LEFT_ALONE
            else:
                return passes, again
        passes = self._memory.hit(item, kind, who)
        return passes, 0.0 if passes else self._memory.get_window_stats(item, kind, who).reset_time

    def _use_redis(self, address: str) -> None:
        try:
            import redis  # noqa: F401, PLC0415 - an extra
        except ImportError:
            msg = "limits.rates.store names Redis, whose client is not installed; run: pip install 'plugin-host[redis]'"
            raise SettingsError(msg) from None
        from limits.aio.storage import RedisStorage  # noqa: PLC0415 - lazy
        from limits.aio.strategies import FixedWindowRateLimiter  # noqa: PLC0415 - lazy

        self._storage = RedisStorage(f"async+{address}", implementation="redispy", key_prefix="plugin-host")
        self._redis = FixedWindowRateLimiter(self._storage)


_OF: Final = {
    "address": "from your address",
    "account": "by your account",
    "token": "with this token",
    "plugin": "to this plugin",
}
