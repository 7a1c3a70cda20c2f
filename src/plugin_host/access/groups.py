"""Groups of people. Whether somebody exists is not asked here: the people may be an embedding application's."""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from plugin_host.access.changes import Change, note
from plugin_host.access.members import forget_subject
from plugin_host.access.tables import Group, GroupMember
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

MAX_NAME: Final = 120
_AT_ONCE: Final = 500


async def create_group(session: AsyncSession, name: str, by: str | None) -> Group:
    """Make a group. Raises `Problem` 409 `group_exists`, 422 for a name that cannot be."""
    group = Group(name=check_name(name), created_at=dt.datetime.now(dt.UTC), created_by=by)
    group.name_key = _fold(group.name)
    session.add(group)
    await _flush(session, name)
    await note(session, by, [])
    return group


async def rename_group(session: AsyncSession, group_id: str, name: str, by: str | None) -> Group:
    """Give a group another name. Raises `Problem` 404, 409 `group_exists`, 422."""
    group = await find_group(session, group_id)
    group.name = check_name(name)
    group.name_key = _fold(group.name)
    await _flush(session, name)
    await note(session, by, [])
    return group


async def delete_group(session: AsyncSession, group_id: str, by: str | None) -> None:
    """Remove a group with what it was given. Raises `Problem` 404."""
    group = await find_group(session, group_id)
    members = await members_of(session, group_id)
    await note(
        session, by, [Change("member", f"user:{user}", f"group:{group_id}", before=group.name) for user in members]
    )
    await session.execute(delete(GroupMember).where(GroupMember.group_id == group_id))
    await forget_subject(session, f"group:{group_id}", by)
    await session.delete(group)
    await session.flush()


async def find_group(session: AsyncSession, group_id: str) -> Group:
    """Give a group. Raises `Problem` 404."""
    group = await session.get(Group, group_id)
    if group is None:
        raise Problem(404, "not_found", "There is no such group.")
    return group


async def members_of(connection: AsyncConnection | AsyncSession, group_id: str) -> tuple[str, ...]:
    """Give the ids of the people in a group, sorted."""
    inside = select(GroupMember.user_id).where(GroupMember.group_id == group_id)
    return tuple(sorted((await connection.execute(inside)).scalars()))


async def set_members(session: AsyncSession, group_id: str, user_ids: Collection[str], by: str | None) -> None:
    """Let a group have exactly these people. Raises `Problem` 404."""
    had = set(await members_of(session, group_id))
    await _change(session, group_id, set(user_ids) - had, had - set(user_ids), by)


async def add_members(session: AsyncSession, group_id: str, user_ids: Collection[str], by: str | None) -> None:
    """Put people into a group; who is in it stays. Raises `Problem` 404."""
    had = set(await members_of(session, group_id))
    await _change(session, group_id, set(user_ids) - had, set(), by)


async def remove_members(session: AsyncSession, group_id: str, user_ids: Collection[str], by: str | None) -> None:
    """Take people out of a group. Raises `Problem` 404."""
    had = set(await members_of(session, group_id))
    await _change(session, group_id, set(), had & set(user_ids), by)


async def _change(session: AsyncSession, group_id: str, gained: set[str], lost: set[str], by: str | None) -> None:
    group = await find_group(session, group_id)
    key = f"group:{group_id}"
    changes = [
        *(Change("member", f"user:{user}", key, before=group.name) for user in sorted(lost)),
        *(Change("member", f"user:{user}", key, after=group.name) for user in sorted(gained)),
    ]
    await note(session, by, changes)  # also when nothing changes: its lock makes two who do this wait in line
    gone = sorted(lost)
    for start in range(0, len(gone), _AT_ONCE):
        some = gone[start : start + _AT_ONCE]
        out = delete(GroupMember).where(GroupMember.group_id == group_id, GroupMember.user_id.in_(some))
        await session.execute(out)
    # Asked again behind the lock: whoever was first may have put in the same people.
    new = sorted(gained - set(await members_of(session, group_id)))
    if new:
        now = dt.datetime.now(dt.UTC)
        rows = [{"group_id": group_id, "user_id": user, "added_at": now, "added_by": by} for user in new]
        await session.execute(insert(GroupMember), rows)


def check_name(name: str) -> str:
    """Give the name without spaces around it. Raises `Problem` 422 for one that is empty, too long or not printable."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        detail = f"1 to {MAX_NAME} printable characters"
        raise Problem(422, "invalid", f"A name has {detail}.", errors=[FieldError("/name", detail)])
    return name


async def _flush(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        detail = f"there is a group {name.strip()!r} already; case and width of letters make no difference"
        raise Problem(409, "group_exists", detail, errors=[FieldError("/name", detail)]) from error


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
