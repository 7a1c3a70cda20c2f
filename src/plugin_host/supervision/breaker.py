"""When a plugin fails too often to go on: decided on counters and the time, both handed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW: Final = 60.0
"""Seconds that are looked back."""

FIRST_DELAY: Final = 30.0
LAST_DELAY: Final = 3600.0


class Counts(NamedTuple):
    """What a plugin has done so far: numbers that only grow. Time-outs are not among the errors."""

    requests: int = 0
    errors: int = 0
    timeouts: int = 0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much is too much in a minute: both `errors` and the `share` of the requests that they are, or `timeouts`.

    `time_limit` is the one that makes a request late, in seconds; it is only named.
    """

    errors: int = 60
    share: float = 0.5
    timeouts: int = 20
    time_limit: float = 60.0


class Breaker:
    """Looks at the counters of each plugin, again and again, and says when one is to be quarantined."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._seen: dict[str, deque[tuple[float, Counts]]] = {}

    def look(self, plugin: str, counts: Counts, now: float, last_error: str = "") -> Reason | None:
        """Give the reason to quarantine the plugin, or None. The first look at it is what the others compare with.

        `now` is in seconds and never goes back; `last_error` words what failed last, with its place. A plugin that
        is to be quarantined is forgotten: what it did before is not held against it twice.
        """
        seen = self._seen.setdefault(plugin, deque())
        if seen and any(after < before for before, after in zip(seen[-1][1], counts, strict=True)):
            seen.clear()  # somebody counts from the beginning
        seen.append((now, counts))
        while now - seen[0][0] > WINDOW:
            seen.popleft()
        before = seen[0][1]
        lately = Counts(*(b - a for a, b in zip(before, counts, strict=True)))
        reason = self._judge(plugin, lately, last_error)
        if reason is not None:
            self.forget(plugin)
        return reason

    def forget(self, plugin: str) -> None:
        """Begin anew with a plugin: it was switched off, or on."""
        self._seen.pop(plugin, None)

    def keep(self, plugins: Iterable[str]) -> None:
        """Forget every plugin but these."""
        for plugin in self._seen.keys() - set(plugins):
            self.forget(plugin)

    def _judge(self, plugin: str, lately: Counts, last_error: str) -> Reason | None:
        limits = self._thresholds
        if lately.timeouts >= limits.timeouts:
            what = f"{lately.timeouts} requests took more than {limits.time_limit:g} seconds within a minute"
        elif lately.errors >= limits.errors and lately.errors >= limits.share * lately.requests:
            what = f"{lately.errors} of {max(lately.requests, lately.errors)} answers within a minute were errors"
        else:
            return None
        last = f"; the last error: {last_error}" if last_error else ""
        return Reason(
            code="runtime_errors",
            text=f"{plugin}: {what}{last}.",
            culprits=(plugin,),
            way_out=f"It is tried again by itself. Correct the cause, then: plugin-host plugins retry {plugin}",
        )


def retry_delay(attempt: int) -> float:
    """Give the seconds after which a plugin is tried again that was quarantined for the `attempt`-th time, from 1."""
    return min(FIRST_DELAY * 2.0 ** min(max(attempt, 1) - 1, 20), LAST_DELAY)
