"""Groups: who is in them, and the roles that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import select

from plugin_host.access.groups import create_group, delete_group, find_group, members_of, rename_group, set_members
from plugin_host.access.members import roles_of_subject
from plugin_host.access.tables import Group, GroupMember, RoleMember
from plugin_host.audit import Entry, record
from plugin_host.core.governing.checking import check_users
from plugin_host.core.governing.roles import give_roles
from plugin_host.core.governing.shapes import GroupOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.governing.authority import Authority

_AT_ONCE: Final = 500


class GroupIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new group."""

    name: str
    members: list[str] = []
    roles: list[str] = []


class GroupChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays. `members` and `roles` are all that there are to be."""

    name: str | UnsetType = UNSET
    members: list[str] | UnsetType = UNSET
    roles: list[str] | UnsetType = UNSET


async def show_groups(db: AsyncSession, groups: Sequence[Group]) -> list[GroupOut]:
    """Give groups with their members and roles: two queries for a page of them."""
    members: dict[str, list[str]] = {}
    roles: dict[str, list[str]] = {}
    for start in range(0, len(groups), _AT_ONCE):
        ids = [group.id for group in groups[start : start + _AT_ONCE]]
        inside = select(GroupMember.group_id, GroupMember.user_id).where(GroupMember.group_id.in_(ids))
        for group_id, user_id in await db.execute(inside):
            members.setdefault(group_id, []).append(user_id)
        subjects = [f"group:{each}" for each in ids]
        links = select(RoleMember.subject, RoleMember.role).where(RoleMember.subject.in_(subjects))
        for subject, role in await db.execute(links):
            roles.setdefault(subject.removeprefix("group:"), []).append(role)
    return [
        GroupOut(group.id, group.name, sorted(members.get(group.id, ())), sorted(roles.get(group.id, ())))
        for group in groups
    ]


async def show_group(db: AsyncSession, group_id: str) -> GroupOut:
    """Give one group. Raises `Problem` 404."""
    return (await show_groups(db, [await find_group(db, group_id)]))[0]


async def make_group(authority: Authority, data: GroupIn) -> GroupOut:
    """Make a group; what its roles give, its maker must hold."""
    group = await create_group(authority.db, data.name, authority.by)
    await _fill(authority, group.id, data.members, data.roles)
    made = await show_group(authority.db, group.id)
    await _record(authority, "created", group.id, None, made)
    return made


async def edit_group(authority: Authority, group_id: str, data: GroupChange) -> GroupOut:
    """Change a group. Who puts people into it, or takes them out, must hold what they have through it."""
    db = authority.db
    before = await show_group(db, group_id)
    if data.name is not UNSET and data.name != before.name:
        await rename_group(db, group_id, data.name, authority.by)
    members = None if data.members is UNSET else data.members
    roles = None if data.roles is UNSET else data.roles
    await _fill(authority, group_id, members, roles)
    after = await show_group(db, group_id)
    verb = "members_changed" if before.members != after.members else "changed"
    await _record(authority, verb, group_id, before, after)
    return after


async def drop_group(authority: Authority, group_id: str) -> None:
    """Delete a group with all that it was given."""
    before = await show_group(authority.db, group_id)
    await authority.require_group(group_id)
    await delete_group(authority.db, group_id, authority.by)
    await _record(authority, "deleted", group_id, before, None)


async def _fill(
    authority: Authority, group_id: str, members: Sequence[str] | None, roles: Sequence[str] | None
) -> None:
    db = authority.db
    if members is not None:
        had = await members_of(db, group_id)
        wanted = await check_users(authority.ground, [each for each in members if each not in had])
        if wanted or set(had) - set(members):
            await authority.require_group(group_id)
            await set_members(db, group_id, list(dict.fromkeys(members)), authority.by)
    if roles is not None and (roles or await roles_of_subject(db, f"group:{group_id}")):
        await give_roles(authority, f"group:{group_id}", roles)


async def _record(
    authority: Authority, verb: str, group_id: str, before: GroupOut | None, after: GroupOut | None
) -> None:
    detail = {"before": msgspec.to_builtins(before), "after": msgspec.to_builtins(after)}
    entry = Entry(action=f"core.group.{verb}", actor=authority.actor, object=f"group:{group_id}", detail=detail)
    await record(authority.db, entry)
