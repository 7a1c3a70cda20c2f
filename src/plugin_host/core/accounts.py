"""Accounts as they are shown, and as commands make them: with roles, and without the web stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import select

from plugin_host.access.members import set_roles
from plugin_host.access.tables import GroupMember, RoleMember
from plugin_host.audit import Entry, record
from plugin_host.auth.passwords import Passwords
from plugin_host.auth.people import People, check_profile
from plugin_host.auth.tables import User
from plugin_host.core.operator import operator

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database
    from plugin_host.settings import Settings

_AT_ONCE: Final = 500


class AccountOut(msgspec.Struct, frozen=True):
    """What is in a person's row, as far as it may leave the server."""

    id: str
    username: str
    display: str
    email: str | None
    status: str


class UserOut(AccountOut, frozen=True):
    """A person, with their roles and groups."""

    roles: list[str]
    groups: list[str]


class Accounts:
    """Adds and lists people from the command line: by the operator's own hand, so nobody is asked."""

    def __init__(self, settings: Settings, database: Database) -> None:
        cost = settings.auth.argon2
        self._database = database
        self.passwords = Passwords(cost.time_cost, cost.memory_kib, cost.parallelism)
        self.people = People(database)

    async def add(
        self,
        username: str,
        password: str,
        *,
        display: str | None = None,
        roles: Collection[str] = (),
        checked: bool = True,
    ) -> dict[str, Any]:
        """Add somebody; without `checked` any password will do, as in a demonstration. Raises `Problem`."""
        profile = check_profile(username, display)
        if checked:
            self.passwords.check_strength(password, profile.username)
        hashed = await self.passwords.hash(password)
        unit = self._database.unit()
        try:
            user = await self.people.create(unit.session, profile, hashed)
            if roles:
                await set_roles(unit.session, user.id, list(roles), "system")
            said = {"username": user.username, "roles": sorted(roles)}
            entry = Entry(action="core.user.created", actor=operator(), object=f"user:{user.id}", detail=said)
            await record(unit.session, entry)
            (shown,) = await show_users(unit.session, [user])
            await unit.commit()
        finally:
            await unit.close()
        return shown

    async def everybody(self) -> list[dict[str, Any]]:
        """Give everybody with their roles, in the order of their user names."""
        unit = self._database.unit(write=False)
        try:
            users = (await unit.session.scalars(select(User).order_by(User.username_key))).all()
            return await show_users(unit.session, users)
        finally:
            await unit.close()

    def close(self) -> None:
        """End the threads that hash passwords."""
        self.passwords.close()


async def show_users(db: AsyncSession, users: Sequence[User]) -> list[dict[str, Any]]:
    """Give people in the shape of the API, for commands."""
    return [msgspec.to_builtins(user) for user in await with_roles(db, users)]


async def with_roles(db: AsyncSession, users: Sequence[User | AccountOut]) -> list[UserOut]:
    """Add everybody's own roles, and the ids of the groups they are in."""
    roles: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for start in range(0, len(users), _AT_ONCE):
        ids = [user.id for user in users[start : start + _AT_ONCE]]
        given = select(RoleMember.subject, RoleMember.role).where(
            RoleMember.subject.in_([f"user:{user_id}" for user_id in ids])
        )
        for subject, role in await db.execute(given.order_by(RoleMember.role)):
            roles.setdefault(subject, []).append(role)
        inside = select(GroupMember.user_id, GroupMember.group_id).where(GroupMember.user_id.in_(ids))
        for user_id, group_id in await db.execute(inside.order_by(GroupMember.group_id)):
            groups.setdefault(user_id, []).append(group_id)
    return [
        UserOut(
            user.id,
            user.username,
            user.display,
            user.email,
            user.status,
            roles.get(f"user:{user.id}", []),
            groups.get(user.id, []),
        )
        for user in users
    ]
