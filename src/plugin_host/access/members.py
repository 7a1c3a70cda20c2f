"""Who has which roles: people, groups, and roles that include others. Every change raises the policy revision."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, literal, select, union_all

from plugin_host.access.changes import Change, write
from plugin_host.access.tables import Grant, GroupMember, RoleMember, StoredRule
from plugin_host.database import bump

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

AT_ONCE = 500
"""Parameters of one statement."""


class Memberships(NamedTuple):
    """What somebody is in: roles given to them by name, and ids of groups. Both sorted.

    Roles that come through a group or another role are not among them: see `Snapshot.effective`.
    """

    roles: tuple[str, ...]
    groups: tuple[str, ...]


async def roles_of(connection: AsyncConnection | AsyncSession, user_id: str) -> tuple[str, ...]:
    """Give the names of a user's roles, sorted; also roles of plugins that are not active now."""
    return await roles_of_subject(connection, _subject(user_id))


async def roles_of_subject(connection: AsyncConnection | AsyncSession, subject: str) -> tuple[str, ...]:
    """Give the names of the roles that a person, a group or a role was given, sorted."""
    roles = select(RoleMember.role).where(RoleMember.subject == subject)
    return tuple(sorted((await connection.execute(roles)).scalars()))


async def memberships_of(connection: AsyncConnection | AsyncSession, user_id: str) -> Memberships:
    """Give a user's roles and groups in one query."""
    roles = select(literal(0).label("group"), RoleMember.role).where(RoleMember.subject == _subject(user_id))
    groups = select(literal(1), GroupMember.group_id).where(GroupMember.user_id == user_id)
    rows = (await connection.execute(union_all(roles, groups))).all()
    return Memberships(
        tuple(sorted(name for is_group, name in rows if not is_group)),
        tuple(sorted(name for is_group, name in rows if is_group)),
    )


async def set_roles(session: AsyncSession, user_id: str, roles: Collection[str], by: str | None) -> None:
    """Give a user exactly these roles; `by` is the id of whoever does it.

    Roles that stay keep the moment and the giver of when they were given.
    """
    await set_subject_roles(session, _subject(user_id), roles, by)


async def set_subject_roles(session: AsyncSession, subject: str, roles: Collection[str], by: str | None) -> None:
    """Give a person, a group (`group:3`) or a role (`role:x`: it then includes them) exactly these roles.

    Roles may include each other in circles: whoever has one of them has all.
    """
    # First, also when nothing changes: the row's lock makes two who do this at once wait in line on PostgreSQL.
    revision = await bump(session, "policy")
    wanted, had = set(roles), set(await roles_of_subject(session, subject))
    lost, gained = sorted(had - wanted), sorted(wanted - had)
    for some in _parts(lost):
        await session.execute(delete(RoleMember).where(RoleMember.subject == subject, RoleMember.role.in_(some)))
    now = dt.datetime.now(dt.UTC)
    if gained:
        rows = [{"subject": subject, "role": role, "granted_at": now, "granted_by": by} for role in gained]
        await session.execute(insert(RoleMember), rows)
    kind = "member" if subject.startswith("user:") else "link"
    changes = [
        *(Change(kind, subject, role, before=role) for role in lost),
        *(Change(kind, subject, role, after=role) for role in gained),
    ]
    await write(session, revision, by, changes)


async def holders(session: AsyncConnection | AsyncSession, role: str) -> frozenset[str]:
    """Give the ids of the users who have a role: given by name, through a group, or through a role that includes it."""
    users: set[str] = set()
    groups: set[str] = set()
    seen, todo = {role}, [role]
    while todo:
        for some in _parts(todo):
            todo = todo[len(some) :]
            held = select(RoleMember.subject).where(RoleMember.role.in_(some))
            for subject in (await session.execute(held)).scalars():
                kind, _, name = subject.partition(":")
                if kind == "user":
                    users.add(name)
                elif kind == "group":
                    groups.add(name)
                elif kind == "role" and name not in seen:
                    seen.add(name)
                    todo.append(name)
    for some in _parts(sorted(groups)):
        inside = select(GroupMember.user_id).where(GroupMember.group_id.in_(some))
        users |= set((await session.execute(inside)).scalars())
    return frozenset(users)


async def count_holders(session: AsyncSession, role: str) -> int:
    """Count the users who have a role, in whichever way."""
    return len(await holders(session, role))


async def forget_subject(session: AsyncSession, subject: str, by: str | None) -> None:
    """Take away the roles, rules and grants of somebody who is gone, in this session's database."""
    revision = await bump(session, "policy")
    had = await roles_of_subject(session, subject)
    await session.execute(delete(RoleMember).where(RoleMember.subject == subject))
    rules = select(StoredRule.id, StoredRule.permission).where(StoredRule.subject == subject)
    dropped = (await session.execute(rules)).all()
    await session.execute(delete(StoredRule).where(StoredRule.subject == subject))
    await session.execute(delete(Grant).where(Grant.subject == subject))
    kind = "member" if subject.startswith("user:") else "link"
    changes = [
        *(Change(kind, subject, role, before=role) for role in had),
        *(Change("rule", subject, id_, before=permission) for id_, permission in dropped),
        Change("grant", subject, "*", before="*"),
    ]
    await write(session, revision, by, changes)


async def forget_user(session: AsyncSession, user_id: str, by: str | None = None) -> None:
    """Take away everything that a deleted user had: roles, groups, rules, and grants in this session's database."""
    await session.execute(delete(GroupMember).where(GroupMember.user_id == user_id))
    await forget_subject(session, _subject(user_id), by)


def _parts(names: list[str]) -> Iterable[list[str]]:
    return [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]


def _subject(user_id: str) -> str:
    return f"user:{user_id}"
