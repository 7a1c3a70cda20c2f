"""Sessions: of a browser, a random value in a cookie and a row that holds its hash; of an application, the row.

Every session ends at a row, so signing out, disabling somebody or a new password holds at the next request,
in every process: whatever ends a session raises the `auth` revision in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import delete, select

from plugin_host.auth.tables import Session
from plugin_host.database import bump

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

IDLE: Final = dt.timedelta(hours=12)
ABSOLUTE: Final = dt.timedelta(days=14)
APP_IDLE: Final = dt.timedelta(days=14)
APP_ABSOLUTE: Final = dt.timedelta(days=90)
BROWSER: Final = "browser"
APP: Final = "app"
SECURE_NAME: Final = "__Host-ph_session"
PLAIN_NAME: Final = "ph_session"
# So long a browser is told that its session expired, and not only that nobody is signed in.
_KEEP_EXPIRED: Final = dt.timedelta(days=7)


class Begun(NamedTuple):
    """A session that has just begun: its id, and what belongs into the cookie of a browser."""

    id: str
    token: str


class Sessions:
    """Begins and ends sessions, and writes their cookie.

    A browser's session ends after `idle` without a request and after `absolute` in any case; that of an application
    after `app_absolute`, and if it is not refreshed in time. `https` says that the public address is https, also when
    a proxy in front speaks plain http to this process.
    """

    def __init__(
        self,
        *,
        idle: dt.timedelta = IDLE,
        absolute: dt.timedelta = ABSOLUTE,
        app_absolute: dt.timedelta = APP_ABSOLUTE,
        https: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.idle = idle
        self.absolute = absolute
        self.app_absolute = app_absolute
        self._https = https
        self._clock = clock

    async def create(self, session: AsyncSession, user_id: str) -> str:
        """Begin a browser's session; gives what belongs into the cookie."""
        return (await self.begin(session, user_id)).token

    async def begin(
        self,
        session: AsyncSession,
        user_id: str,
        *,
        kind: str = BROWSER,
        methods: Sequence[str] = ("password",),
        scope: Mapping[str, Any] | None = None,
    ) -> Begun:
        """Begin a session of that user, always under a new id and a new value.

        `methods` are how the person proved who they are; `scope` is the connection, for the person's own list.
        """
        token = secrets.token_urlsafe(32)
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        await session.execute(delete(Session).where(Session.expires_at < now - _KEEP_EXPIRED))
        agent, address = (None, None) if scope is None else (_header(scope, b"user-agent"), address_of(scope))
        begun = Session(
            hash=digest(token.encode()),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + (self.absolute if kind == BROWSER else self.app_absolute),
            kind=kind,
            authenticated_at=now,
            methods=" ".join(methods),
            agent=agent,
            address=address,
        )
        session.add(begun)
        await session.flush()
        return Begun(begun.id, token)

    async def renew(self, session: AsyncSession, session_id: str, methods: Sequence[str]) -> str | None:
        """Note that the person has proved again who they are; gives a new value for a browser's cookie.

        The value that was known until now is void, whoever knows it. None for an application's session, which has
        none.
        """
        row = await session.get(Session, session_id, with_for_update=True)
        if row is None:
            return None
        row.authenticated_at = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        row.methods = " ".join(dict.fromkeys([*(row.methods or "").split(), *methods]))
        token = None
        if row.kind == BROWSER:
            token = secrets.token_urlsafe(32)
            row.hash = digest(token.encode())
        await session.flush()
        await bump(session, "auth")
        return token

    async def of(self, session: AsyncSession, user_id: str) -> list[Session]:
        """List the sessions of a user that have not ended, the latest first."""
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        live = select(Session).where(Session.user_id == user_id, Session.expires_at > now)
        rows = (await session.scalars(live.order_by(Session.last_seen_at.desc(), Session.id))).all()
        return [row for row in rows if row.kind != BROWSER or now - row.last_seen_at < self.idle]

    async def end_own(self, session: AsyncSession, user_id: str, session_id: str) -> bool:
        """End a session if it is that user's; tells whether it was."""
        ended = delete(Session).where(Session.id == session_id, Session.user_id == user_id).returning(Session.id)
        found = (await session.execute(ended)).one_or_none() is not None
        if found:
            await bump(session, "auth")
        return found

    async def end(self, session: AsyncSession, session_id: str) -> None:
        """End one session."""
        await session.execute(delete(Session).where(Session.id == session_id))
        await bump(session, "auth")

    async def end_all(self, session: AsyncSession, user_id: str, *, keep: str | None = None) -> None:
        """End every session of a user, but for the one whose id is `keep`."""
        ended = delete(Session).where(Session.user_id == user_id)
        await session.execute(ended if keep is None else ended.where(Session.id != keep))
        await bump(session, "auth")

    def set_cookie(self, scope: Mapping[str, Any], token: str) -> str:
        """Give the Set-Cookie header for a new session.

        It has no lifetime: the browser forgets it when it is closed, the host after `idle`.
        """
        return self._cookie(scope, token)

    def clear_cookie(self, scope: Mapping[str, Any]) -> str:
        """Give the Set-Cookie header that makes the browser forget the cookie."""
        return self._cookie(scope, "") + "; Max-Age=0"

    def lasting_cookie(self, scope: Mapping[str, Any], name: str, value: str) -> str:
        """Give the Set-Cookie header of something that a browser is to keep for a year; it signs nobody in."""
        secure = "Secure; " if is_secure(scope, https=self._https) else ""
        path = scope.get("plugin_host.base") or "/"
        return f"{name}={value}; Path={path}; {secure}HttpOnly; SameSite=Lax; Max-Age=31536000"

    def _cookie(self, scope: Mapping[str, Any], value: str) -> str:
        if is_secure(scope, https=self._https):
            return f"{SECURE_NAME}={value}; Path=/; Secure; HttpOnly; SameSite=Lax"
        # Plain http is for loopback: no browser would keep a Secure cookie, nor one with the `__Host-` name.
        return f"{PLAIN_NAME}={value}; Path={scope.get('plugin_host.base') or '/'}; HttpOnly; SameSite=Lax"


def is_secure(scope: Mapping[str, Any], *, https: bool) -> bool:
    """Tell whether the browser sees https: the connection is, or the public address is."""
    return https or scope.get("scheme") in ("https", "wss")


def digest(token: bytes) -> str:
    """Hash a value of 256 random bits: it needs no slow hash, since nobody can try them all."""
    return hashlib.sha256(token).hexdigest()


def address_of(scope: Mapping[str, Any]) -> str | None:
    """Give the address that a connection comes from, as the server says it."""
    client = scope.get("client")
    return str(client[0])[:64] if client else None


def _header(scope: Mapping[str, Any], wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
            text: str = value.decode("latin-1")[:200]
            return text if text.isprintable() else None
    return None
