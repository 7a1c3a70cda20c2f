"""Setting up, signing in and out, and who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.members import set_roles
from plugin_host.audit import Entry, record
from plugin_host.auth.people import check_profile
from plugin_host.auth.setup import ADMIN
from plugin_host.core.proving import DEVICE
from plugin_host.core.signing_in import Tokens, as_actor
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.models import to
from plugin_host.sdk.routing import get, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plugin_host.auth.people import People
    from plugin_host.auth.setup import Setup
    from plugin_host.core.credentials import Credentials


SETUP = Actor(id="setup", username="setup", display="Set-up", kind="system")
"""Whoever had the code from the console."""


class FirstAdministrator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first administrator, with the code from the console."""

    code: str
    username: str
    password: str


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people sign in with. `otp` is for accounts with a second factor: its code, or a recovery code."""

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


def auth_routes(credentials: Credentials, setup: Setup, held: Callable[[Actor], Iterable[str]]) -> list[Any]:
    """Make the handlers of signing in; `held` names the permissions of an actor."""
    passwords, people, sessions = credentials.passwords, credentials.people, credentials.sessions
    sign_in, proving, desk = credentials.sign_in, credentials.proving, credentials.desk

    @post("/setup", permission="public")
    async def set_up(data: FirstAdministrator, db: AsyncSession) -> SignedIn:
        """Make the first administrator, once."""
        try:
            await setup.check(data.code)
        except Problem as problem:
            credentials.auditing.count("core.setup.refused", problem.code)
            raise
        profile = check_profile(data.username)
        passwords.check_strength(data.password, profile.username)
        hashed = await passwords.hash(data.password)
        # Only now the transaction: nobody else could write while a password is hashed.
        await setup.redeem(db, data.code)
        user = await desk.add(db, SETUP, profile, hashed, roles=[ADMIN])
        await set_roles(db, user.id, [ADMIN], SETUP.id)
        await record(db, Entry(action="core.setup.done", actor=as_actor(user), object=f"user:{user.id}"))
        return SignedIn(to(user, PersonOut))

    @post("/auth/login", permission="public", status_code=200)
    async def login(data: Login, request: Request[Any, Any, Any], db: AsyncSession) -> Response[SignedIn | Tokens]:
        """Sign in: answers a browser the person, and a cookie that scripts cannot read; an application its tokens."""
        if data.client == "app":
            await sign_in.prepare()
        proven = await proving.prove(db, request.scope, data.username, data.password, data.otp)
        user = proven.user
        started = await sign_in.start_session(db, request.scope, user, methods=proven.methods, client=data.client)
        if started.tokens is not None:
            return Response(started.tokens)
        mark = sessions.lasting_cookie(request.scope, DEVICE, proven.device)
        return with_cookies(Response(SignedIn(to(user, PersonOut))), (*started.cookies, mark))

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


def with_cookies(response: Response[Any], cookies: Iterable[str]) -> Response[Any]:
    """Add Set-Cookie headers, each as it is to be sent."""
    for line in cookies:
        response.set_cookie(_Line(line))
    return response


class _Line(Cookie):
    """A Set-Cookie header that is written already: Litestar has its own idea of how one is written."""

    def __init__(self, line: str) -> None:
        super().__init__(key=line.partition("=")[0])
        self.line = line

    def to_encoded_header(self) -> tuple[bytes, bytes]:
        """Give the header."""
        return b"set-cookie", self.line.encode("latin-1")
