"""People, for those who look after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from litestar import Request
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.members import forget_user, roles_of
from plugin_host.audit import Entry, record
from plugin_host.auth.people import DISABLED, check_names, check_profile
from plugin_host.auth.principals import SESSION
from plugin_host.auth.tables import User
from plugin_host.core.accounts import AccountOut, UserOut, with_roles
from plugin_host.core.governing.authority import Authority
from plugin_host.core.governing.people import set_user_roles as set_roles
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.listing import Listing, Page
from plugin_host.sdk.routing import delete, get, patch, post, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.auth.passwords import Passwords
    from plugin_host.auth.people import People
    from plugin_host.auth.sessions import Sessions
    from plugin_host.core.governing.ground import Ground

MANAGE = "core.users.manage"


class UserIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new person."""

    username: str
    password: str | None = None
    display: str | None = None
    email: str | None = None
    roles: list[str] = []


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    display: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    status: Literal["active", "disabled"] | UnsetType = UNSET
    password: str | UnsetType = UNSET


class RolesIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All the roles that a person is to have."""

    roles: list[str]


def user_routes(*, passwords: Passwords, people: People, sessions: Sessions, ground: Callable[[], Ground]) -> list[Any]:
    """Make the handlers of looking after people; `ground` gives what plugins bring to the policy now.

    Nobody gives or takes a role that gives more than they hold, or changes an account that holds more: whoever may
    set the password of an administrator could sign in as one.
    """

    @post("/users", permission=MANAGE)
    async def create_user(data: UserIn, actor: Actor, db: AsyncSession) -> UserOut:
        """Add a person."""
        profile = check_profile(data.username, data.display, data.email)
        password = _required(data.password)
        passwords.check_strength(password, profile.username)
        hashed = await passwords.hash(password)
        user = await people.create(db, profile, hashed)
        await _note(db, "created", user, actor, roles=data.roles)
        if data.roles:
            authority = await Authority.open(db, actor, ground())
            await set_roles(authority, user.id, data.roles)
            await authority.close()
        return await _show(db, user)

    @patch("/users/{user_id:str}", permission=MANAGE)
    async def change_user(
        user_id: str, data: UserChange, actor: Actor, request: Request[Any, Any, Any], db: AsyncSession
    ) -> UserOut:
        """Change what a person is called, their status, or their password."""
        hashed = await _new_password(passwords, people, user_id, data)
        authority = await Authority.open(db, actor, ground())
        user = await _find(people, db, user_id)
        await authority.require_above(user_id)
        before = {"display": user.display, "email": user.email}
        await _rename(people, db, user, data)
        after = {"display": user.display, "email": user.email}
        if before != after:
            await _note(db, "changed", user, actor, before=before, after=after)
        if hashed is not None:
            await people.set_password(db, user, hashed)
            # Whoever signed in with the old password has to do it again, except for the one who asks.
            current: Any = request.scope.get(SESSION)
            await sessions.end_all(db, user.id, keep=current)
            await _note(db, "password_changed", user, actor)
        if data.status is not UNSET and data.status != user.status:
            if data.status == DISABLED:
                _refuse_own(user, actor)
                await sessions.end_all(db, user.id)
            await people.set_status(db, user, data.status)
            await _note(db, "disabled" if data.status == DISABLED else "enabled", user, actor)
        await authority.close()
        return await _show(db, user)

    @delete("/users/{user_id:str}", permission=MANAGE)
    async def delete_user(user_id: str, actor: Actor, db: AsyncSession) -> None:
        """Delete a person. What they own in plugins stays, under an id that nobody has."""
        authority = await Authority.open(db, actor, ground())
        user = await _find(people, db, user_id)
        _refuse_own(user, actor)
        await authority.require_above(user_id)
        await _note(db, "deleted", user, actor, roles=await roles_of(db, user.id))
        await forget_user(db, user.id, actor.id)
        await people.delete(db, user)
        await authority.close()

    return [*_looking(people), create_user, change_user, delete_user, _giving(people, ground)]


def _giving(people: People, ground: Callable[[], Ground]) -> Any:
    @put("/users/{user_id:str}/roles", permission=MANAGE)
    async def set_user_roles(user_id: str, data: RolesIn, actor: Actor, db: AsyncSession) -> UserOut:
        """Give a person exactly these roles."""
        authority = await Authority.open(db, actor, ground())
        user = await _find(people, db, user_id)
        await set_roles(authority, user.id, data.roles)
        await authority.close()
        return await _show(db, user)

    return set_user_roles


def _looking(people: People) -> list[Any]:
    @get("/users", permission=MANAGE)
    async def list_users(listing: Listing, db: AsyncSession) -> Page[UserOut]:
        """List people."""
        page = await listing.page(
            db,
            people.statement(),
            AccountOut,
            search=[User.username, User.display, User.email],
            sort=[User.username, User.display, User.email, User.status],
            filters=[User.username, User.email, User.status],
        )
        return Page(await with_roles(db, page.items), page.next)

    @get("/users/{user_id:str}", permission=MANAGE)
    async def show_user(user_id: str, db: AsyncSession) -> UserOut:
        """Show one person."""
        return await _show(db, await _find(people, db, user_id))

    return [list_users, show_user]


async def _rename(people: People, db: AsyncSession, user: User, data: UserChange) -> None:
    if data.display is not UNSET or data.email is not UNSET:
        display = user.display if data.display is UNSET else data.display
        email = user.email if data.email is UNSET else data.email
        await people.rename(db, user, *check_names(display, email))


async def _find(people: People, db: AsyncSession, user_id: str) -> User:
    user = await people.by_id(db, user_id)
    if user is None:
        raise _no_such_user(user_id)
    return user


def _no_such_user(user_id: str) -> Problem:
    return Problem(404, "not_found", f"There is no user with the id {user_id!r}.")


async def _new_password(passwords: Passwords, people: People, user_id: str, data: UserChange) -> str | None:
    """Hash the new password, if there is one, before the request's transaction begins."""
    if data.password is UNSET:
        return None
    record = (await people.get([user_id])).get(user_id)
    if record is None:
        raise _no_such_user(user_id)
    passwords.check_strength(data.password, record.username)
    return await passwords.hash(data.password)


def _required(password: str | None) -> str:
    if password is None:
        detail = "required in this release, which cannot invite people"
        raise Problem(422, "invalid", f"password: {detail}", errors=[FieldError("/password", detail)])
    return password


def _refuse_own(user: User, actor: Actor) -> None:
    """Refuse to disable or delete oneself."""
    if user.id == actor.id:
        raise Problem(409, "own_account", "This is your own account: ask another administrator to do it.")


async def _note(db: AsyncSession, word: str, user: User, actor: Actor, **detail: Any) -> None:
    """Write down in the audit log what was done to somebody."""
    said = {"username": user.username, **detail}
    await record(db, Entry(action=f"core.user.{word}", actor=actor, object=f"user:{user.id}", detail=said))


async def _show(db: AsyncSession, user: User) -> UserOut:
    return (await with_roles(db, [user]))[0]
