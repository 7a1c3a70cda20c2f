"""Accounts as they are shown, and as commands make them: with roles, and without the web stack."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import select

from plugin_host.access.members import roles_of, set_roles
from plugin_host.access.tables import GroupMember, RoleMember, StoredRole
from plugin_host.auth.people import check_profile
from plugin_host.auth.tables import User
from plugin_host.core.credentials import Credentials
from plugin_host.core.operator import operator
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.links import Purpose
    from plugin_host.core.auditing import Auditing
    from plugin_host.database import Database
    from plugin_host.settings import Settings


class AccountOut(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is in a person's row, as far as it may leave the server.

    `kind` is `service` of a machine, `mfa` is true with a second factor: of most people neither is said.
    """

    id: str
    username: str
    display: str
    email: str | None
    status: str
    kind: str = "person"
    mfa: bool = False


class UserOut(AccountOut, frozen=True, kw_only=True, omit_defaults=True):
    """A person, with their roles and the ids of their groups."""

    roles: list[str]
    groups: list[str]


class Accounts:
    """Looks after people from the command line: by the operator's own hand, so nobody is asked.

    Every function is a transaction of its own, and raises `Problem` for what cannot be.
    """

    def __init__(self, settings: Settings, database: Database, auditing: Auditing | None = None) -> None:
        self._database = database
        self.credentials = Credentials(settings, database, auditing=auditing)
        self.passwords = self.credentials.passwords
        self.people = self.credentials.people
        self._desk = self.credentials.desk

    async def add(  # noqa: PLR0913 - what a person is
        self,
        username: str,
        password: str | None,
        *,
        display: str | None = None,
        email: str | None = None,
        roles: Collection[str] = (),
        checked: bool = True,
        kind: str = "person",
    ) -> dict[str, Any]:
        """Add somebody; without `checked` any password will do, as in a demonstration."""
        profile = check_profile(username, display, email)
        if password is not None and checked:
            self.passwords.check_strength(password, profile.username)
        hashed = None if password is None else await self.passwords.hash(password)
        async with self._session() as db:
            user = await self._desk.add(db, operator(), profile, hashed, roles=roles, kind=kind)
            if roles:
                await set_roles(db, user.id, list(roles), operator().id)
            return await _shown(db, user)

    async def everybody(self) -> list[dict[str, Any]]:
        """Give everybody with their roles, in the order of their user names."""
        unit = self._database.unit(write=False)
        try:
            users = (await unit.session.scalars(select(User).order_by(User.username_key))).all()
            return await show_users(unit.session, users)
        finally:
            await unit.close()

    async def show(self, username: str) -> dict[str, Any]:
        """Give somebody, by user name or id."""
        unit = self._database.unit(write=False)
        try:
            return await _shown(unit.session, await self._find(unit.session, username))
        finally:
            await unit.close()

    async def make_link(self, username: str, purpose: Purpose) -> dict[str, Any]:
        """Make a link with which somebody gives themselves a password: `url` and `expires_at`."""
        async with self._session() as db:
            link = await self._desk.make_link(db, operator(), await self._find(db, username), purpose)
            return {"url": link.url, "expires_at": link.expires_at.isoformat()}

    async def set_status(self, username: str, status: Literal["active", "disabled"]) -> dict[str, Any]:
        """Enable or disable somebody."""
        async with self._session() as db:
            user = await self._find(db, username)
            await self._desk.set_status(db, operator(), user, status)
            return await _shown(db, user)

    async def set_password(self, username: str, password: str) -> dict[str, Any]:
        """Give somebody a new password; every session of theirs ends."""
        known = await self.show(username)
        self.passwords.check_strength(password, known["username"])
        hashed = await self.passwords.hash(password)
        async with self._session() as db:
            user = await self._find(db, known["id"])
            await self._desk.set_password(db, operator(), user, hashed)
            return await _shown(db, user)

    async def own_roles(self) -> set[str]:
        """Name the roles that administrators made."""
        async with self._session() as db:
            return set(await db.scalars(select(StoredRole.name)))

    async def change_roles(
        self, username: str, *, give: Collection[str] = (), take: Collection[str] = ()
    ) -> dict[str, Any]:
        """Give somebody roles, and take others away."""
        async with self._session() as db:
            user = await self._find(db, username)
            had = await roles_of(db, user.id)
            missing = sorted(set(take) - set(had))
            if missing:
                detail = f"{user.username} does not have: {', '.join(missing)}; has: {', '.join(had) or 'no roles'}"
                raise Problem(404, "not_found", detail)
            await self._desk.set_roles(db, operator(), user, (set(had) | set(give)) - set(take))
            return await _shown(db, user)

    def close(self) -> None:
        """End the threads that hash passwords."""
        self.passwords.close()

    async def _find(self, db: AsyncSession, username: str) -> User:
        user = await self.people.by_name(db, username) or await self.people.by_id(db, username)
        if user is None:
            raise Problem(404, "not_found", f"there is no user {username!r}; `plugin-host users list` names them")
        return user

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        unit = self._database.unit()
        try:
            yield unit.session
            await unit.commit()
        finally:
            await unit.close()


async def _shown(db: AsyncSession, user: User) -> dict[str, Any]:
    (shown,) = await show_users(db, [user])
    return shown


async def show_users(db: AsyncSession, users: Sequence[User]) -> list[dict[str, Any]]:
    """Give people in the shape of the API, for commands."""
    return [msgspec.to_builtins(user) for user in await with_roles(db, users)]


async def with_roles(db: AsyncSession, users: Sequence[User | AccountOut]) -> list[UserOut]:
    """Add everybody's roles and groups, in one query each."""
    roles: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for start in range(0, len(users), _AT_ONCE):
        ids = [user.id for user in users[start : start + _AT_ONCE]]
        members = select(RoleMember.subject, RoleMember.role).order_by(RoleMember.role)
        for subject, role in await db.execute(members.where(RoleMember.subject.in_([f"user:{each}" for each in ids]))):
            roles.setdefault(subject.removeprefix("user:"), []).append(role)
        belong = select(GroupMember.user_id, GroupMember.group_id).order_by(GroupMember.group_id)
        for user_id, group in await db.execute(belong.where(GroupMember.user_id.in_(ids))):
            groups.setdefault(user_id, []).append(group)
    return [
        UserOut(
            id=user.id,
            username=user.username,
            display=user.display,
            email=user.email,
            status=user.status,
            kind=user.kind,
            mfa=user.mfa,
            roles=roles.get(user.id, []),
            groups=groups.get(user.id, []),
        )
        for user in users
    ]


_AT_ONCE = 500  # parameters of one statement
