"""Invoice numbers: one sequence a year, without gaps and without doubles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

# One statement makes the year's row, or raises it and holds it until the transaction ends: whoever comes next waits,
# and sees the number only once it is sure. A roll-back gives the number back, which no database sequence does.
_NEXT = text(
    "INSERT INTO invoicing_counter (year, last) VALUES (:year, 1)"
    " ON CONFLICT (year) DO UPDATE SET last = invoicing_counter.last + 1 RETURNING last"
)


async def next_number(db: AsyncSession, year: int) -> str:
    """Take the next number of the year (`2026-0001`). It belongs to the caller's transaction."""
    last = await db.scalar(_NEXT, {"year": year})
    return f"{year}-{last:04}"
