"""Who has which roles. Every change raises the policy revision in its own transaction."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from plugin_host.access.tables import RoleMember
from plugin_host.database import bump

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession


async def roles_of(connection: AsyncConnection | AsyncSession, user_id: str) -> tuple[str, ...]:
    """Give the names of a user's roles, sorted; also roles of plugins that are not active now."""
    roles = select(RoleMember.role).where(RoleMember.subject == _subject(user_id)).order_by(RoleMember.role)
    return tuple((await connection.execute(roles)).scalars())


async def set_roles(session: AsyncSession, user_id: str, roles: Collection[str], by: str | None) -> None:
    """Give a user exactly these roles; `by` is the id of whoever does it.

    Roles that stay keep the moment and the giver of when they were given.
    """
    # First, also when nothing changes: the row's lock makes two who do this at once wait in line on PostgreSQL.
    await bump(session, "policy")
    wanted, had = set(roles), set(await roles_of(session, user_id))
    subject = _subject(user_id)
    lost = sorted(had - wanted)
    if lost:
        await session.execute(delete(RoleMember).where(RoleMember.subject == subject, RoleMember.role.in_(lost)))
    now = dt.datetime.now(dt.UTC)
    gained = [{"subject": subject, "role": role, "granted_at": now, "granted_by": by} for role in sorted(wanted - had)]
    if gained:
        await session.execute(insert(RoleMember), gained)


async def count_holders(session: AsyncSession, role: str) -> int:
    """Count the users who were given a role."""
    holders = select(func.count()).select_from(RoleMember)
    holders = holders.where(RoleMember.role == role, RoleMember.subject.startswith("user:"))
    return await session.scalar(holders) or 0


def _subject(user_id: str) -> str:
    return f"user:{user_id}"
