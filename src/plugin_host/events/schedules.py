"""When a scheduled job is due: cron lines in a time zone, also over the two nights a year that are not 24 hours."""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterator

CATCH_UP: Final = 60.0
"""Seconds: slots that were missed within them are all made up for; of older ones only the last."""

_WORDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_MOST: Final = 10_000


class ScheduleError(Exception):
    """A cron line or a time zone that nobody can read."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron line in a time zone.

    In five fields a job at a fixed time of a day runs once on each day, as with Debian's cron: one in the hour that is
    left out in spring runs right after it, one in the hour that comes twice in autumn runs once.
    """

    line: str
    timezone: str

    @classmethod
    def parse(cls, line: str, timezone: str) -> Schedule:
        """Read a cron line; raises `ScheduleError`."""
        schedule = cls(_WORDS.get(line.strip(), line), timezone)
        try:
            next(schedule.after(0.0), None)
        except CronSimError as error:
            msg = f"schedule {line!r} is no cron line: {error}"
            raise ScheduleError(msg) from error
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            msg = f"there is no time zone {timezone!r}"
            raise ScheduleError(msg) from error
        return schedule

    def after(self, moment: float) -> Iterator[float]:
        """Give the slots after a moment, one after the other; all are seconds since 1970."""
        zone = dt.UTC if self.timezone == "UTC" else zoneinfo.ZoneInfo(self.timezone)
        for slot in CronSim(self.line, dt.datetime.fromtimestamp(moment, zone)):
            stamp = slot.timestamp()
            if stamp > moment:
                yield stamp

    def due(self, last: float, now: float) -> list[float]:
        """Give the slots that were due after `last` and until `now`, and are still to be made up for.

        All of the last minute; if there are none, the newest of the older ones, so that a nightly job of a host that
        was off at night runs once when it is on again, and not once for each night.
        """
        recent = self._until(max(last, now - CATCH_UP), now)
        if recent or last >= now - CATCH_UP:
            return recent
        newest: float | None = None
        for slot in itertools.islice(self._back(now), 1):
            newest = slot
        return [newest] if newest is not None and newest > last else []

    def next(self, now: float) -> float | None:
        """Give the next slot, None if there is none any more."""
        return next(self.after(now), None)

    def _until(self, start: float, end: float) -> list[float]:
        slots = itertools.takewhile(lambda slot: slot <= end, self.after(start))
        return list(itertools.islice(slots, _MOST))

    def _back(self, now: float) -> Iterator[float]:
        zone = dt.UTC if self.timezone == "UTC" else zoneinfo.ZoneInfo(self.timezone)
        for slot in CronSim(self.line, dt.datetime.fromtimestamp(now, zone), reverse=True):
            yield slot.timestamp()
