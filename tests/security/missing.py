"""Cases that have no test yet: there are no tickets for WebSockets, no remote plugins."""

from __future__ import annotations

from typing import Final

MISSING: Final = frozenset("C16 D08 I03".split())
