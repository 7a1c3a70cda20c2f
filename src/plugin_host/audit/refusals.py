"""Counters of what nobody in particular was refused: rows would let anybody fill the disk."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite

from plugin_host.audit.tables import AuditRefusal

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Refusals:
    """Counts in memory until `write`: what a process has not written when it is killed is lost."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[dt.datetime, str, str]] = Counter()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def count(self, action: str, code: str) -> None:
        """Count one; both are words of the host, never what a caller has sent."""
        hour = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
        self._counts[hour, action, code] += 1

    async def write(self, session: AsyncSession) -> bool:
        """Add what was counted to the table; tells whether there was anything."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return False
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        try:
            for (hour, action, code), count in sorted(counts.items()):
                row = dialect.insert(AuditRefusal).values(hour=hour, action=action, code=code, count=count)
                more = {"count": AuditRefusal.count + row.excluded.count}
                await session.execute(row.on_conflict_do_update(index_elements=["hour", "action", "code"], set_=more))
        except BaseException:
            self._counts.update(counts)  # for the next time
            raise
        return True
