"""Browser sessions: a random value in a cookie, and a row that holds its hash.

Every session ends at a row, so signing out, disabling somebody or a new password holds at the next request,
in every process: whatever ends a session raises the `auth` revision in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete

from plugin_host.auth.tables import Session
from plugin_host.database import bump

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

IDLE: Final = dt.timedelta(hours=12)
ABSOLUTE: Final = dt.timedelta(days=14)
SECURE_NAME: Final = "__Host-ph_session"
PLAIN_NAME: Final = "ph_session"
# So long a browser is told that its session expired, and not only that nobody is signed in.
_KEEP_EXPIRED: Final = dt.timedelta(days=7)


class Sessions:
    """Begins and ends sessions, and writes their cookie.

    A session ends after `idle` without a request and after `absolute` in any case. `https` says that the
    public address is https, also when a proxy in front speaks plain http to this process.
    """

    def __init__(
        self,
        *,
        idle: dt.timedelta = IDLE,
        absolute: dt.timedelta = ABSOLUTE,
        https: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.idle = idle
        self.absolute = absolute
        self._https = https
        self._clock = clock

    async def create(self, session: AsyncSession, user_id: str) -> str:
        """Begin a session of that user, always under a new value; gives what belongs into the cookie."""
        token = secrets.token_urlsafe(32)
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        await session.execute(delete(Session).where(Session.expires_at < now - _KEEP_EXPIRED))
        expires = now + self.absolute
        session.add(
            Session(hash=digest(token.encode()), user_id=user_id, created_at=now, last_seen_at=now, expires_at=expires)
        )
        await session.flush()
        return token

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
