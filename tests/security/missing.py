"""Cases that have no test yet."""

from __future__ import annotations

from typing import Final

MISSING: Final = frozenset(
    (
        "A01 A02 A03 A06 A07 A08 A09 A10 A13 A14 A15 A16 A17 "
        "C05 C16 C19 "
        "D08 D09 D12 "
        "F01 F02 F03 F04 F05 F06 F07 F08 F09 F10 F11 F12 F14 F17 "
        "I03 "
    ).split()
)
