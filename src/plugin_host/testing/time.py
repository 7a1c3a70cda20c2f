"""A clock that stands still until a test moves it."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Protocol


class Traveller(Protocol):
    """What time-machine gives while it travels."""

    def shift(self, delta: dt.timedelta) -> None:
        """Move by so much."""

    def move_to(self, destination: dt.datetime) -> None:
        """Move to a moment."""


START: Final = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)
"""Where the clock stands at the beginning of a test: a Tuesday, at noon."""


class Clock:
    """The time that Python tells while the test runs; what a database or another process tells is not changed."""

    def __init__(self, traveller: Traveller) -> None:
        self._traveller = traveller

    @property
    def now(self) -> dt.datetime:
        """The moment, in UTC."""
        return dt.datetime.now(dt.UTC)

    def advance(self, by: float | dt.timedelta = 0.0, **parts: float) -> dt.datetime:
        """Move by seconds, a timedelta, or its parts (`days=1, hours=2`); gives the moment then."""
        delta = by if isinstance(by, dt.timedelta) else dt.timedelta(seconds=by)
        self._traveller.shift(delta + dt.timedelta(**parts))
        return self.now

    def set(self, moment: dt.datetime) -> None:
        """Move to a moment; it must have a time zone. Raises `ValueError`."""
        if moment.tzinfo is None:
            msg = f"naive datetime {moment!r}: give it a time zone"
            raise ValueError(msg)
        self._traveller.move_to(moment)


def travel() -> Any:
    """Open what makes Python tell another time. Raises `ImportError` where time-machine is not installed."""
    import time_machine  # noqa: PLC0415 - brought by plugin-host[testing], and only for this

    return time_machine.travel(START, tick=False)
