"""Passwords that everybody knows: whoever guesses begins with these.

`common_passwords.txt.gz` is written by scripts/common_passwords.py, which says where the words are from.
"""

from __future__ import annotations

import functools
import gzip
from importlib import resources
from typing import Final

OWN_CHARACTERS: Final = 5
"""How many characters besides a common password make one that is not."""


@functools.cache
def common_passwords() -> frozenset[str]:
    """Give the list, in lower case; it is read when somebody first chooses a password."""
    packed = resources.files("plugin_host.auth").joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(line for line in gzip.decompress(packed).decode().splitlines() if not line.startswith("#"))


def common_part(password: str) -> str | None:
    """Give the common password that this is little more than: itself, repeated, two of them, one and a few letters."""
    known, folded = common_passwords(), password.casefold()
    if folded in known:
        return folded
    for size in range(1, len(folded) // 2 + 1):
        unit = folded[:size]
        if unit * (len(folded) // size) == folded and unit in known:
            return unit
    for place in range(len(folded) - 1, 0, -1):  # the longest one explains best
        front, back = folded[:place], folded[place:]
        if front in known and (len(back) < OWN_CHARACTERS or back in known):
            return front
        if back in known and len(front) < OWN_CHARACTERS:
            return back
    return None
