"""The revision row: how often each kind of thing has changed, kept in the database of the things themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

REVISION_SQL: Final = "SELECT auth, policy, wishes FROM core_revision WHERE id = 1"

BUMPED: Final = "plugin_host.bumped"
"""Where a session keeps the numbers of what was raised in it."""

FIRST: Final = "plugin_host.first_bumped"
"""Where it keeps the first of them: what was before is what others see until the end."""


class Revision(NamedTuple):
    """How often each kind of thing has changed: caches made under another revision are void."""

    auth: int
    policy: int
    wishes: int


async def bump(session: AsyncSession, kind: str) -> int:
    """Raise `auth`, `policy` or `wishes` of the revision row, in the transaction of the change itself.

    Gives the new number, and remembers it in `session.info["plugin_host.bumped"]`.
    """
    if kind not in Revision._fields:
        msg = f"no revision {kind!r}"
        raise ValueError(msg)
    update = f"UPDATE core_revision SET {kind} = {kind} + 1 WHERE id = 1 RETURNING {kind}"  # noqa: S608 - checked
    number: int = (await session.execute(sa.text(update))).scalar_one()
    session.info.setdefault(BUMPED, {})[kind] = number
    session.info.setdefault(FIRST, {}).setdefault(kind, number)
    return number
