"""Signing in and out: what a proof of who somebody is becomes, a browser's session or an application's tokens.

Whoever proves people in another way (OpenID Connect, a link in a mail) begins their session here too, so that there
is one place that makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from plugin_host.audit import Entry, record
from plugin_host.auth.people import ACTIVE
from plugin_host.auth.principals import SESSION
from plugin_host.auth.refreshing import PREFIX as REFRESH
from plugin_host.auth.sessions import APP, BROWSER
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.access_tokens import AccessTokens
    from plugin_host.auth.api_tokens import ApiTokens
    from plugin_host.auth.refreshing import Refreshing
    from plugin_host.auth.sessions import Sessions
    from plugin_host.auth.tables import User
    from plugin_host.database import Database


class Tokens(msgspec.Struct, frozen=True):
    """What an application signs in with: RFC 6749, section 5.1."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a kind, no secret


class Started(NamedTuple):
    """A session that has begun: for a browser the Set-Cookie headers, for an application its tokens."""

    user: User
    session_id: str
    cookies: tuple[str, ...] = ()
    tokens: Tokens | None = None


class SignIn:
    """Begins, renews and ends sessions, with their line in the audit log."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        access_tokens: AccessTokens,
        refreshing: Refreshing,
        api_tokens: ApiTokens,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._access_tokens = access_tokens
        self._refreshing = refreshing
        self._api_tokens = api_tokens

    async def start_session(
        self, db: AsyncSession, scope: Mapping[str, Any], user: User, *, methods: Sequence[str], client: str = BROWSER
    ) -> Started:
        """Begin a session of somebody who has just proved who they are, by `methods` (as `password`, `otp`).

        What the connection was signed in with until now ends. Raises `Problem` 401 if the account is disabled.
        """
        if user.status != ACTIVE:
            raise Problem(401, "invalid_credentials", "The user name or the password is wrong.")
        await self.end_current(db, scope)  # what a browser brings along is never signed in
        # An application's first token needs a key: made before this transaction writes, since SQLite has one writer.
        begun = await self._sessions.begin(db, user.id, kind=client, methods=methods, scope=scope)
        await record(
            db,
            Entry(
                action="core.session.begun",
                actor=as_actor(user),
                object=f"session:{begun.id}",
                detail={"client": client, "methods": list(methods)},
            ),
        )
        if client == APP:
            tokens = await self._tokens(user.id, begun.id, await self._refreshing.begin(db, begun.id))
            return Started(user, begun.id, tokens=tokens)
        return Started(user, begun.id, cookies=(self._sessions.set_cookie(scope, begun.token),))

    async def prepare(self) -> None:
        """See that there is a key to sign with, before a transaction that writes."""
        await self._access_tokens.ring.signing()

    async def renew(self, db: AsyncSession, scope: Mapping[str, Any], methods: Sequence[str]) -> tuple[str, ...]:
        """Note that the person of this session has proved again who they are; gives the Set-Cookie headers.

        At every rise of rights a browser's session gets a new value: whoever knew the old one is out.
        """
        current = scope.get(SESSION)
        token = None if current is None else await self._sessions.renew(db, current, methods)
        return () if token is None else (self._sessions.set_cookie(scope, token),)

    async def end_current(self, db: AsyncSession, scope: Mapping[str, Any]) -> None:
        """End the session that the connection is signed in with, if it is."""
        current = scope.get(SESSION)
        if current is not None:
            await self._sessions.end(db, current)
            actor: Actor = scope.get("user") or ANONYMOUS
            await record(db, Entry(action="core.session.ended", actor=actor, object=f"session:{current}"))

    async def refresh(self, token: str) -> Tokens | None:
        """Give the next pair for a refresh token, or None; one that is used twice ends its session.

        Committed here, since the answer to a token that was used twice is a refusal, which would be rolled back.
        """
        await self.prepare()
        unit = self._database.unit()
        try:
            done = await self._refreshing.rotate(unit.session, token)
            if done.reused:
                actor = Actor(id=done.user_id, username="", display="")
                detail = {"because": "a refresh token was used twice"}
                ended = Entry(
                    action="core.session.ended", actor=actor, object=f"session:{done.session_id}", detail=detail
                )
                await record(unit.session, ended)
            await unit.commit()
        finally:
            await unit.close()
        return None if done.token is None else await self._tokens(done.user_id, done.session_id, done.token)

    async def revoke(self, db: AsyncSession, token: str) -> None:
        """Revoke whatever token this is: of an application, its session ends. An unknown one is no error (RFC 7009)."""
        session_id = None
        if token.startswith(REFRESH):
            session_id = await self._refreshing.session_of(db, token)
        elif token.isascii():
            if await self._api_tokens.revoke_text(db, token):
                await record(db, Entry(action="core.token.revoked", actor=ANONYMOUS, detail={"by": "its holder"}))
                return
            await self._access_tokens.ring.follow()
            verified = self._access_tokens.verify(token.encode())
            session_id = verified.session_id if verified is not None else None
        if session_id is not None:
            await self._sessions.end(db, session_id)
            entry = Entry(action="core.session.ended", actor=ANONYMOUS, object=f"session:{session_id}")
            await record(db, entry)

    async def _tokens(self, user_id: str, session_id: str, refresh: str) -> Tokens:
        access = await self._access_tokens.sign(user_id, session_id)
        return Tokens(access, refresh, self._access_tokens.life)


def as_actor(user: User) -> Actor:
    """Give somebody as the actor of their own sign-in, for the audit log."""
    return Actor(id=user.id, username=user.username, display=user.display)
