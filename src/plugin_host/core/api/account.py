"""One's own account: a new password, links that work once, and proving again who one is."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.audit import Entry, record
from plugin_host.auth.people import check_names
from plugin_host.auth.principals import SESSION
from plugin_host.auth.sessions import address_of
from plugin_host.auth.waits import Bucket, network
from plugin_host.core.api.auth import PersonOut, SignedIn, with_cookies
from plugin_host.core.api.fresh import require_person
from plugin_host.core.letters import Letter, link_to, send_letter
from plugin_host.core.signing_in import as_actor
from plugin_host.sdk.context import Actor, Services
from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.models import to
from plugin_host.sdk.routing import post

if TYPE_CHECKING:
    from plugin_host.auth.tables import User
    from plugin_host.core.credentials import Credentials
    from plugin_host.settings import Settings

HOUR: Final = 3600.0


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new password of one's own, with the one until now; `otp` where there is a second factor."""

    password: str
    new_password: str
    otp: str | None = None


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who one is, once more."""

    password: str | None = None
    otp: str | None = None


class Proved(msgspec.Struct, frozen=True):
    """Until when dangerous things may be done."""

    until: dt.datetime


class Forgotten(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose password is forgotten: a user name or a mail address."""

    username: str


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new password, with the token of a link."""

    token: str
    password: str


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an invited person chooses, with the token of the link."""

    token: str
    password: str
    display: str | None = None


def account_routes(settings: Settings, credentials: Credentials) -> list[Any]:
    """Make the handlers for those who are signed in."""
    proving, sign_in = credentials.proving, credentials.sign_in

    @post("/auth/reauthenticate", permission="signed-in", status_code=200)
    async def reauthenticate(
        data: Proof, actor: Actor, request: Request[Any, Any, Any], db: AsyncSession
    ) -> Response[Proved]:
        """Prove again who one is: then, for a while, what is dangerous may be done. The session gets a new value."""
        _require_session(actor)
        methods = await proving.prove_again(db, request.scope, actor, data.password, data.otp)
        cookies = await sign_in.renew(db, request.scope, methods)
        window = dt.timedelta(seconds=settings.auth.reauthentication)
        return with_cookies(Response(Proved(dt.datetime.now(dt.UTC) + window)), cookies)

    @post("/auth/password", permission="signed-in", status_code=204)
    async def change_password(
        data: PasswordChange, actor: Actor, request: Request[Any, Any, Any], db: AsyncSession, services: Services
    ) -> Response[None]:
        """Change one's own password: every other session ends, and this one gets a new value."""
        _require_session(actor)
        credentials.passwords.check_strength(data.new_password, actor.username)
        if data.new_password == data.password:
            detail = "the same as before"
            raise Problem(422, "invalid", f"new_password: {detail}", errors=[FieldError("/new_password", detail)])
        # Hashed before the transaction begins, and only for whoever is who they say.
        proven = await proving.prove(db, request.scope, actor.username, data.password, data.otp)
        user_id, known = proven.user.id, proven.user.password_hash
        await db.rollback()  # which also forgets what it knows of the row
        hashed = await credentials.passwords.hash(data.new_password)
        user = await _still(credentials, db, user_id, known)
        current: Any = request.scope.get(SESSION)
        await credentials.desk.set_password(db, actor, user, hashed, keep=current)
        cookies = await sign_in.renew(db, request.scope, proven.methods)
        await _tell(settings, services, db, user)
        return with_cookies(Response(None, status_code=204), cookies)

    return [reauthenticate, change_password]


def link_routes(settings: Settings, credentials: Credentials) -> list[Any]:
    """Make the handlers for those who cannot sign in (yet)."""
    links, people, passwords, desk = credentials.links, credentials.people, credentials.passwords, credentials.desk

    @post("/auth/password/forgot", permission="public", status_code=202)
    async def forgot_password(
        data: Forgotten, request: Request[Any, Any, Any], db: AsyncSession, services: Services
    ) -> Response[dict[str, Any]]:
        """Send a link for a new password to the person's mail address; everybody is answered the same."""
        where = network(address_of(request.scope))
        account = credentials.proving.account(data.username)
        # Three an hour for a name, and for an address as many as a family may forget.
        buckets = [Bucket(f"forgot:{account}", 4, HOUR, HOUR, HOUR), Bucket(f"forgot:{where}", 20, HOUR, HOUR, HOUR)]
        await credentials.waits.enter(buckets)
        user = await people.by_contact(db, data.username)
        if user is not None and user.email is not None and user.kind == "person":
            link = await links.make(db, "reset", user.id)
            url = link_to(settings, "reset", link.token)
            text = f"Choose a new password for {user.username} here within 30 minutes:\n\n{url}\n"
            await send_letter(settings, services, db, Letter(user.email, "A new password", text))
            await record(db, Entry(action="core.user.reset_begun", actor=as_actor(user), object=f"user:{user.id}"))
        return Response({}, status_code=202)

    @post("/auth/password/reset", permission="public", status_code=204)
    async def reset_password(data: NewPassword, db: AsyncSession, services: Services) -> None:
        """Choose a new password with the token of a link; every session ends."""
        holder = await links.look("reset", data.token)
        passwords.check_strength(data.password, holder.username)
        hashed = await passwords.hash(data.password)
        user = await people.by_id(db, await links.redeem(db, "reset", data.token))
        if user is not None:
            await desk.set_password(db, as_actor(user), user, hashed)
            await _tell(settings, services, db, user)

    @post("/auth/invitation", permission="public", status_code=200)
    async def accept_invitation(data: Acceptance, db: AsyncSession) -> SignedIn:
        """Accept an invitation: choose a password, and how one is called. Then sign in."""
        holder = await links.look("invitation", data.token)
        passwords.check_strength(data.password, holder.username)
        hashed = await passwords.hash(data.password)
        user = await people.by_id(db, await links.redeem(db, "invitation", data.token))
        if user is None:
            raise Problem(400, "invalid_token", "This link is none of ours.")
        if data.display is not None:
            await desk.rename(db, as_actor(user), user, *check_names(data.display, user.email))
        await desk.set_password(db, as_actor(user), user, hashed)
        return SignedIn(to(user, PersonOut))

    return [forgot_password, reset_password, accept_invitation]


def _require_session(actor: Actor) -> None:
    """Go on only for somebody who signed in here: tokens have no password, and other people's users are theirs."""
    require_person(actor)
    if actor.credential not in ("session", "access"):
        raise Problem(403, "interactive_session_required", "Sign in first.")


async def _still(credentials: Credentials, db: AsyncSession, user_id: str, known: str | None) -> User:
    """Load somebody anew, whose password was right a moment ago: it must not have changed meanwhile."""
    user = await credentials.people.by_id(db, user_id)
    if user is None or user.password_hash != known or user.status != "active":
        raise Problem(409, "conflict", "The password was changed at the same time: try again.")
    return user


async def _tell(settings: Settings, services: Services, db: AsyncSession, user: User) -> None:
    text = f"The password of {user.username} was changed just now. If that was not you, tell your administrator.\n"
    await send_letter(settings, services, db, Letter(user.email, "Your password was changed", text))
