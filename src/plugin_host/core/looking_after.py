"""Looking after people: what administrators do in the API and operators at the command line, with its audit entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from plugin_host.access.members import forget_user, holders, roles_of, set_roles
from plugin_host.audit import Entry, record
from plugin_host.auth.people import ACTIVE, DISABLED
from plugin_host.auth.setup import ADMIN
from plugin_host.auth.tables import User
from plugin_host.core.letters import link_to
from plugin_host.database import bump
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.factors import Factors
    from plugin_host.auth.links import Links, Purpose
    from plugin_host.auth.people import People, Profile
    from plugin_host.auth.sessions import Sessions
    from plugin_host.sdk.context import Actor
    from plugin_host.settings import Settings


class Invitation(NamedTuple):
    """A link that works once, and until when."""

    url: str
    expires_at: dt.datetime


class LookingAfter:
    """Adds people, changes them, and takes them away. Every function takes the caller's session and who does it."""

    def __init__(self, settings: Settings, people: People, sessions: Sessions, links: Links, factors: Factors) -> None:
        self._settings = settings
        self._people = people
        self._sessions = sessions
        self._links = links
        self._factors = factors

    async def add(
        self,
        db: AsyncSession,
        actor: Actor,
        profile: Profile,
        password_hash: str | None,
        *,
        roles: Collection[str] = (),
        kind: str = "person",
    ) -> User:
        """Add a person, or a machine (`kind` is `service`). Raises `Problem` 409 `username_taken`.

        The roles are the caller's to give; here they are only written down.
        """
        user = await self._people.create(db, profile, password_hash, kind=kind)
        detail = {"username": user.username, "kind": kind, "roles": sorted(roles)}
        await self._record(db, actor, "created", user, detail)
        return user

    async def make_link(self, db: AsyncSession, actor: Actor, user: User, purpose: Purpose) -> Invitation:
        """Make a link with which somebody gives themselves a password. Raises `Problem` 409 for machines."""
        if user.kind != "person" or user.status != ACTIVE:
            detail = (
                f"{user.username} is {'disabled' if user.status != ACTIVE else 'a machine, which has only tokens'}."
            )
            raise Problem(409, "no_sign_in", detail)
        link = await self._links.make(db, purpose, user.id)
        await self._record(db, actor, "invited" if purpose == "invitation" else "reset_begun", user, {})
        return Invitation(link_to(self._settings, purpose, link.token), link.expires_at)

    async def rename(self, db: AsyncSession, actor: Actor, user: User, display: str, email: str | None) -> None:
        """Change what somebody is called, and their address."""
        before = {"display": user.display, "email": user.email}
        after = {"display": display, "email": email}
        if before != after:
            await self._people.rename(db, user, display, email)
            await self._record(db, actor, "changed", user, {"before": before, "after": after})

    async def set_status(self, db: AsyncSession, actor: Actor, user: User, status: str) -> None:
        """Make somebody `active` or `disabled`: every session and token of theirs is void at its next request."""
        if status == user.status:
            return
        if status == DISABLED:
            await self.check_expendable(db, user, actor)
            await self._sessions.end_all(db, user.id)
            await self._links.void(db, user.id)
        await self._people.set_status(db, user, status)
        await self._record(db, actor, "disabled" if status == DISABLED else "enabled", user, {})

    async def set_password(
        self, db: AsyncSession, actor: Actor, user: User, password_hash: str, *, keep: str | None = None
    ) -> None:
        """Keep a new password: whoever signed in with the old one has to do it again, except in the session `keep`."""
        if user.kind != "person":
            raise Problem(409, "no_sign_in", f"{user.username} is a machine, which has only tokens.")
        await self._people.set_password(db, user, password_hash)
        await self._links.void(db, user.id)
        await self._sessions.end_all(db, user.id, keep=keep)
        await self._record(db, actor, "password_changed", user, {})

    async def set_roles(self, db: AsyncSession, actor: Actor, user: User, roles: Collection[str]) -> None:
        """Give somebody exactly these roles. Raises `Problem` 409 `last_administrator`."""
        before = await roles_of(db, user.id)
        if ADMIN in before and ADMIN not in roles:
            await self.check_not_last(db, user)
        await set_roles(db, user.id, list(roles), actor.id)
        if set(before) != set(roles):
            await self._record(db, actor, "roles_changed", user, {"before": sorted(before), "after": sorted(roles)})

    async def remove_factor(self, db: AsyncSession, actor: Actor, user: User) -> bool:
        """Take somebody's second factor away; tells whether there was one."""
        had = await self._factors.remove(db, user)
        if had:
            await record(db, Entry(action="core.mfa.removed", actor=actor, object=f"user:{user.id}"))
        return had

    async def delete(self, db: AsyncSession, actor: Actor, user: User) -> None:
        """Delete somebody. What they own in plugins stays, under an id that nobody has."""
        await self.check_expendable(db, user, actor)
        roles = sorted(await roles_of(db, user.id))
        await self._record(db, actor, "deleted", user, {"username": user.username, "roles": roles})
        await forget_user(db, user.id, actor.id)
        await self._people.delete(db, user)

    async def check_expendable(self, db: AsyncSession, user: User, actor: Actor) -> None:
        """Refuse to disable or delete oneself, or the last administrator."""
        self.refuse_own(user, actor)
        await self.check_not_last(db, user)

    @staticmethod
    def refuse_own(user: User, actor: Actor) -> None:
        """Refuse to disable or delete oneself."""
        if user.id == actor.id:
            raise Problem(409, "own_account", "This is your own account: ask another administrator to do it.")

    @staticmethod
    async def check_not_last(db: AsyncSession, user: User) -> None:
        """Refuse to lose the last administrator who can sign in: nobody could give the role again."""
        # Raising a revision first makes two who do this to each other wait in line, on PostgreSQL too.
        await bump(db, "auth")
        known = await holders(db, ADMIN)
        if user.id in known and not await _can_sign_in(db, known - {user.id}):
            detail = f"{user.username} is the last administrator: give somebody else the role {ADMIN} first."
            raise Problem(409, "last_administrator", detail)

    @staticmethod
    async def _record(db: AsyncSession, actor: Actor, verb: str, user: User, detail: Mapping[str, object]) -> None:
        await record(db, Entry(action=f"core.user.{verb}", actor=actor, object=f"user:{user.id}", detail=detail))


async def _can_sign_in(db: AsyncSession, ids: Collection[str]) -> bool:
    """Tell whether one of them can."""
    for some in _batched(sorted(ids)):
        fit = select(User.id).where(User.id.in_(some), User.status == ACTIVE, User.kind == "person")
        if (await db.scalars(fit.limit(1))).first() is not None:
            return True
    return False


def _batched(ids: list[str], size: int = 500) -> list[list[str]]:
    """Cut a list into parts that fit into one statement."""
    return [ids[start : start + size] for start in range(0, len(ids), size)]
