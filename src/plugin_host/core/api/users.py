"""People, for those who look after them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from litestar import Request
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.auth.people import check_names, check_profile
from plugin_host.auth.principals import SESSION
from plugin_host.auth.tables import User
from plugin_host.core.accounts import AccountOut, UserOut, with_roles
from plugin_host.core.api.fresh import require_fresh
from plugin_host.core.governing.authority import Authority
from plugin_host.core.governing.people import set_user_roles as set_roles
from plugin_host.core.letters import Letter, send_letter
from plugin_host.sdk.context import Actor, Services
from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.listing import Listing, Page
from plugin_host.sdk.routing import delete, get, patch, post, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.auth.links import Purpose
    from plugin_host.auth.passwords import Passwords
    from plugin_host.auth.people import People
    from plugin_host.core.governing.ground import Ground
    from plugin_host.core.looking_after import LookingAfter
    from plugin_host.settings import Settings

MANAGE = "core.users.manage"


class UserIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new person, or a machine: `kind` is `service`. A person without a password gets an invitation."""

    username: str
    password: str | None = None
    display: str | None = None
    email: str | None = None
    roles: list[str] = []
    kind: Literal["person", "service"] = "person"


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    display: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    status: Literal["active", "disabled"] | UnsetType = UNSET
    password: str | UnsetType = UNSET


class InvitationOut(msgspec.Struct, frozen=True):
    """A link that works once; `mailed` tells whether it was sent, else it is yours to hand over."""

    url: str
    expires_at: dt.datetime
    mailed: bool


class NewUserOut(UserOut, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who was just added, with their invitation if they have no password."""

    invitation: InvitationOut | None = None


class RolesIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All the roles that a person is to have."""

    roles: list[str]


def user_routes(
    *,
    settings: Settings,
    passwords: Passwords,
    people: People,
    desk: LookingAfter,
    ground: Callable[[], Ground],
) -> list[Any]:
    """Make the handlers of looking after people; `ground` gives what plugins bring to the policy now.

    Nobody gives or takes a role that gives more than they hold, or changes an account that holds more: whoever may
    set the password of an administrator could sign in as one.
    """

    @post("/users", permission=MANAGE)
    async def create_user(data: UserIn, actor: Actor, db: AsyncSession, services: Services) -> NewUserOut:
        """Add a person; without a password they are invited. Or add a machine, which has only tokens."""
        require_fresh(actor, settings)
        profile = check_profile(data.username, data.display, data.email)
        hashed = await _first_password(passwords, data, profile.username)
        user = await desk.add(db, actor, profile, hashed, roles=data.roles, kind=data.kind)
        if data.roles:
            authority = await Authority.open(db, actor, ground())
            await set_roles(authority, user.id, data.roles)
            await authority.close()
        invitation = None
        if hashed is None and data.kind == "person":
            invitation = await _send_link(settings, desk, services, db, actor, user, "invitation")
        return NewUserOut(**msgspec.structs.asdict(await _show(db, user)), invitation=invitation)

    @patch("/users/{user_id:str}", permission=MANAGE)
    async def change_user(
        user_id: str, data: UserChange, actor: Actor, request: Request[Any, Any, Any], db: AsyncSession
    ) -> UserOut:
        """Change what a person is called, their status, or their password."""
        require_fresh(actor, settings)
        hashed = await _new_password(passwords, people, user_id, data)
        authority = await Authority.open(db, actor, ground())
        user = await _find(people, db, user_id)
        await authority.require_above(user_id)
        if data.display is not UNSET or data.email is not UNSET:
            display = user.display if data.display is UNSET else data.display
            email = user.email if data.email is UNSET else data.email
            await desk.rename(db, actor, user, *check_names(display, email))
        if hashed is not None:
            # Whoever signed in with the old password has to do it again, except for the one who asks.
            current: Any = request.scope.get(SESSION)
            await desk.set_password(db, actor, user, hashed, keep=current)
        if data.status is not UNSET:
            await desk.set_status(db, actor, user, data.status)
        await authority.close()
        return await _show(db, user)

    @delete("/users/{user_id:str}", permission=MANAGE)
    async def delete_user(user_id: str, actor: Actor, db: AsyncSession) -> None:
        """Delete a person. What they own in plugins stays, under an id that nobody has."""
        require_fresh(actor, settings)
        authority = await Authority.open(db, actor, ground())
        user = await _find(people, db, user_id)
        desk.refuse_own(user, actor)
        await authority.require_above(user_id)
        await desk.delete(db, actor, user)
        await authority.close()

    @put("/users/{user_id:str}/roles", permission=MANAGE)
    async def set_user_roles(user_id: str, data: RolesIn, actor: Actor, db: AsyncSession) -> UserOut:
        """Give a person exactly these roles."""
        require_fresh(actor, settings)
        authority = await Authority.open(db, actor, ground())
        user = await _find(people, db, user_id)
        await set_roles(authority, user.id, data.roles)
        await authority.close()
        return await _show(db, user)

    return [
        *_looking(people),
        create_user,
        change_user,
        delete_user,
        set_user_roles,
        *_helping(settings, people, desk, ground),
    ]


def _helping(settings: Settings, people: People, desk: LookingAfter, ground: Callable[[], Ground]) -> list[Any]:
    async def beneath(db: AsyncSession, actor: Actor, user_id: str) -> User:
        """Give somebody who holds nothing that whoever asks does not: with a link one could sign in as them."""
        require_fresh(actor, settings)
        user = await _find(people, db, user_id)
        await (await Authority.open(db, actor, ground())).require_above(user_id)
        return user

    @post("/users/{user_id:str}/invitation", permission=MANAGE, status_code=200)
    async def invite_user(user_id: str, actor: Actor, db: AsyncSession, services: Services) -> InvitationOut:
        """Make a new invitation; the one before it is void."""
        return await _send_link(settings, desk, services, db, actor, await beneath(db, actor, user_id), "invitation")

    @post("/users/{user_id:str}/reset", permission=MANAGE, status_code=200)
    async def reset_user(user_id: str, actor: Actor, db: AsyncSession, services: Services) -> InvitationOut:
        """Make a link with which the person gives themselves a new password."""
        return await _send_link(settings, desk, services, db, actor, await beneath(db, actor, user_id), "reset")

    @delete("/users/{user_id:str}/mfa", permission=MANAGE)
    async def remove_user_mfa(user_id: str, actor: Actor, db: AsyncSession) -> None:
        """Take a person's second factor away, who has lost it."""
        if not await desk.remove_factor(db, actor, await beneath(db, actor, user_id)):
            raise Problem(404, "not_found", "This person has no second factor.")

    return [invite_user, reset_user, remove_user_mfa]


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
            filters=[User.username, User.email, User.status, User.kind],
        )
        return Page(await with_roles(db, page.items), page.next)

    @get("/users/{user_id:str}", permission=MANAGE)
    async def show_user(user_id: str, db: AsyncSession) -> UserOut:
        """Show one person."""
        return await _show(db, await _find(people, db, user_id))

    return [list_users, show_user]


async def _send_link(  # noqa: PLR0913 - what a letter needs
    settings: Settings,
    desk: LookingAfter,
    services: Services,
    db: AsyncSession,
    actor: Actor,
    user: User,
    purpose: Purpose,
) -> InvitationOut:
    link = await desk.make_link(db, actor, user, purpose)
    subject, text = _LETTERS[purpose]
    letter = Letter(user.email, subject, text.format(name=user.username, url=link.url))
    mailed = await send_letter(settings, services, db, letter)
    return InvitationOut(link.url, link.expires_at, mailed)


_LETTERS: Final = {
    "invitation": ("Your account", "You have an account, {name}. Choose a password here within seven days:\n\n{url}\n"),
    "reset": ("A new password", "Choose a new password for {name} here within 30 minutes:\n\n{url}\n"),
}


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


async def _first_password(passwords: Passwords, data: UserIn, username: str) -> str | None:
    """Hash the password of a new person, if they are given one."""
    if data.password is None:
        return None
    if data.kind != "person":
        detail = "a machine has only tokens"
        raise Problem(422, "invalid", f"password: {detail}", errors=[FieldError("/password", detail)])
    passwords.check_strength(data.password, username)
    return await passwords.hash(data.password)


async def _show(db: AsyncSession, user: User) -> UserOut:
    return (await with_roles(db, [user]))[0]
