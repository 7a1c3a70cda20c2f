"""Setting up, signing in and out, and who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.members import set_roles
from plugin_host.audit import Entry, record
from plugin_host.auth.people import check_profile
from plugin_host.auth.setup import ADMIN
from plugin_host.core.signing_in import Tokens, as_actor
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.models import to
from plugin_host.sdk.routing import get, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plugin_host.auth.passwords import Passwords
    from plugin_host.auth.people import People
    from plugin_host.auth.sessions import Sessions
    from plugin_host.auth.setup import Setup
    from plugin_host.auth.tables import User
    from plugin_host.core.auditing import Auditing
    from plugin_host.core.signing_in import SignIn


class FirstAdministrator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first administrator, with the code from the console."""

    code: str
    username: str
    password: str


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people sign in with. `otp` is for accounts with a second factor; without one it is not looked at."""

    username: str
    password: str
    client: Literal["browser", "app"] = "browser"
    otp: str | None = None


class PersonOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people are told of themselves."""

    id: str
    username: str
    display: str
    email: str | None = None


class SignedIn(msgspec.Struct, frozen=True):
    """Who has signed in."""

    user: PersonOut


class Me(msgspec.Struct, frozen=True):
    """Who one is, what one may do (on some object at least), and through which roles."""

    user: PersonOut
    permissions: list[str]
    roles: list[str]


def auth_routes(  # noqa: PLR0913 - what signing in takes, by name
    *,
    passwords: Passwords,
    people: People,
    sessions: Sessions,
    sign_in: SignIn,
    setup: Setup,
    auditing: Auditing,
    held: Callable[[Actor], Iterable[str]],
) -> list[Any]:
    """Make the handlers of signing in; `held` names the permissions of an actor."""

    @post("/setup", permission="public")
    async def set_up(data: FirstAdministrator, db: AsyncSession) -> SignedIn:
        """Make the first administrator, once."""
        try:
            await setup.check(data.code)
        except Problem as problem:
            auditing.count("core.setup.refused", problem.code)
            raise
        profile = check_profile(data.username)
        passwords.check_strength(data.password, profile.username)
        hashed = await passwords.hash(data.password)
        # Only now the transaction: nobody else could write while a password is hashed.
        await setup.redeem(db, data.code)
        user = await people.create(db, profile, hashed)
        await set_roles(db, user.id, [ADMIN], "setup")
        await record(db, Entry(action="core.setup.done", actor=as_actor(user), object=f"user:{user.id}"))
        return SignedIn(to(user, PersonOut))

    @post("/auth/login", permission="public", status_code=200)
    async def login(data: Login, request: Request[Any, Any, Any], db: AsyncSession) -> Response[SignedIn | Tokens]:
        """Sign in: answers a browser the person, and a cookie that scripts cannot read; an application its tokens."""
        if data.client == "app":
            await sign_in.prepare()
        user = await _prove(passwords, people, db, data, auditing)
        started = await sign_in.start_session(db, request.scope, user, methods=("password",), client=data.client)
        if started.tokens is not None:
            return Response(started.tokens)
        return Response(SignedIn(to(user, PersonOut)), headers={"set-cookie": started.cookies[0]})

    @post("/auth/logout", permission="signed-in", status_code=204)
    async def logout(request: Request[Any, Any, Any], db: AsyncSession) -> Response[None]:
        """Sign out: the session ends here, in every process, and the browser forgets its cookie."""
        await sign_in.end_current(db, request.scope)
        return Response(None, status_code=204, headers={"set-cookie": sessions.clear_cookie(request.scope)})

    return [set_up, login, logout, me_route(held, people)]


def me_route(held: Callable[[Actor], Iterable[str]], people: People | None = None) -> Any:
    """Make the handler that tells who one is; without `people`, actors come from an embedding application."""

    @get("/auth/me", permission="signed-in")
    async def me(actor: Actor, db: AsyncSession) -> Me:
        """Answer who asks, what they may do, and through which roles."""
        user = await people.by_id(db, actor.id) if people is not None else None
        email = user.email if user is not None else None
        person = PersonOut(actor.id, actor.username, actor.display, email)
        return Me(person, sorted(held(actor)), sorted(actor.roles))

    return me


async def _prove(passwords: Passwords, people: People, db: AsyncSession, data: Login, auditing: Auditing) -> User:
    """Give the user whose password this is; all others are told the same, after the same work."""
    known = await people.credentials(data.username)
    hashed = known.password_hash if known is not None and known.active else None
    if await passwords.verify(hashed, data.password) and known is not None and hashed is not None:
        fresh = await passwords.hash(data.password) if passwords.needs_rehash(hashed) else None
        user = await people.lock(db, known)
        if user is not None:
            if fresh is not None:
                await people.set_password(db, user, fresh)
            return user
    if known is None:
        auditing.count("core.session.refused", "unknown_user")  # what was typed may be a password: it is not kept
    else:
        why = {"why": "wrong password" if known.active else "disabled"}
        who = f"user:{known.user_id}"
        refused = Entry(action="core.session.refused", actor=ANONYMOUS, object=who, outcome="refused", detail=why)
        auditing.refused(refused)
    raise Problem(401, "invalid_credentials", "The user name or the password is wrong.")
