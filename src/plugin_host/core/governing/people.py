"""The roles of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin_host.access.members import roles_of
from plugin_host.audit import Entry, record
from plugin_host.core.governing.roles import give_roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin_host.core.governing.authority import Authority


async def set_user_roles(authority: Authority, user_id: str, roles: Sequence[str]) -> list[str]:
    """Let somebody have exactly these roles; what is given and what is taken, whoever does it must hold.

    Raises `Problem` 422 for a role that is not there, 403 `beyond_own_rights`. Whether the user exists is the
    caller's to check.
    """
    before = sorted(await roles_of(authority.db, user_id))
    after = await give_roles(authority, f"user:{user_id}", roles)
    if before != after:
        detail = {"before": before, "after": after}
        entry = Entry(action="core.user.roles_changed", actor=authority.actor, object=f"user:{user_id}", detail=detail)
        await record(authority.db, entry)
    return after


async def grant_role(authority: Authority, user_id: str, role: str) -> list[str]:
    """Give somebody one role more. Raises `Problem` like `set_user_roles`."""
    return await set_user_roles(authority, user_id, [*await roles_of(authority.db, user_id), role])


async def revoke_role(authority: Authority, user_id: str, role: str) -> list[str]:
    """Take one role from somebody. Raises `Problem` like `set_user_roles`."""
    return await set_user_roles(
        authority, user_id, [each for each in await roles_of(authority.db, user_id) if each != role]
    )
