"""What the doctor finds, as data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["ok", "note", "warning", "error"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    `check` groups what belongs together; `level` says whether something does not work (`error`), may harm
    (`warning`), or is merely worth knowing (`note`); `way_out` says what to do, where anything is to be done.
    """

    check: str
    level: Level
    text: str
    way_out: str = ""


def first_line(error: BaseException) -> str:
    """Give the first line of what an error says, or its kind if it says nothing."""
    told = getattr(error, "orig", None) or error
    return next(iter(str(told).strip().splitlines()), "") or type(told).__name__
