"""How long to wait before a failed delivery is tried again."""

from __future__ import annotations

import random
from typing import Final

BASE: Final = 1.0
CAP: Final = 3600.0
_ENOUGH: Final = 32


def backoff(attempt: int, chance: float | None = None) -> float:
    """Give the seconds to wait after the `attempt`-th try has failed (from 1).

    Twice as long each time, an hour at most; somewhere between nothing and that, so that those who failed together do
    not come back together. `chance` from 0 to 1 is for tests.
    """
    longest = min(CAP, BASE * 2.0 ** min(attempt, _ENOUGH))
    return longest * (random.random() if chance is None else chance)  # noqa: S311 - no secret
