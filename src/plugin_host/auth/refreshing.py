"""Refresh tokens of applications: each is good for one new pair, and one that is used twice ends the session.

The next token is derived from the one before it and the host's secret key. So a retry whose first answer was lost
gets the same answer, within a few seconds, and only hashes are kept.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import re
import secrets
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, select, update

from plugin_host.auth.people import ACTIVE
from plugin_host.auth.sessions import APP, APP_IDLE, digest
from plugin_host.auth.tables import Refresh, Session, User
from plugin_host.database import bump

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.vault import Vault

PREFIX: Final = "phr_"
GRACE: Final = 10.0
_SHAPE: Final = re.compile(r"phr_[A-Za-z0-9_-]{43}")


class Rotated(NamedTuple):
    """What became of a refresh token: the next one; or none, and whether it was used a second time."""

    user_id: str = ""
    session_id: str = ""
    token: str | None = None
    reused: bool = False


class Refreshing:
    """Begins families of refresh tokens, and goes on from one to the next. `idle` is how long one waits for its use."""

    def __init__(
        self,
        vault: Vault,
        *,
        idle: dt.timedelta = APP_IDLE,
        grace: float = GRACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._vault = vault
        self._idle = idle
        self._grace = grace
        self._clock = clock

    async def begin(self, session: AsyncSession, session_id: str) -> str:
        """Make the first token of a session."""
        token = PREFIX + secrets.token_urlsafe(32)
        session.add(self._row(token, session_id))
        await session.flush()
        return token

    async def rotate(self, session: AsyncSession, token: str) -> Rotated:
        """Go on to the next token. What a second use does is to be committed as well."""
        if not _SHAPE.fullmatch(token):
            return Rotated()
        now, hashed, child = self._now(), digest(token.encode()), self._successor(token)
        live = (
            select(Session.id)
            .join(User, User.id == Session.user_id)
            .where(Session.expires_at > now, Session.kind == APP, User.status == ACTIVE)
        )
        fresh = (Refresh.hash == hashed, Refresh.used_at.is_(None), Refresh.expires_at > now)
        used = update(Refresh).where(*fresh, Refresh.session_id.in_(live))
        used = used.values(used_at=now, child=digest(child.encode())).returning(Refresh.session_id)
        family = (await session.execute(used)).scalar_one_or_none()
        if family is None:
            return await self._again(session, hashed, child)
        session.add(self._row(child, family))
        await session.execute(update(Session).where(Session.id == family).values(last_seen_at=now))
        await session.flush()
        return Rotated(await _owner(session, family), family, child)

    async def session_of(self, session: AsyncSession, token: str) -> str | None:
        """Give the session that a token belongs to, used or not."""
        found = select(Refresh.session_id).where(Refresh.hash == digest(token.encode()))
        return (await session.execute(found)).scalar_one_or_none()

    async def _again(self, session: AsyncSession, hashed: str, child: str) -> Rotated:
        """Answer a token that is not fresh: the same again, if the answer may have been lost; else the family ends."""
        query = select(Refresh).where(Refresh.hash == hashed).execution_options(populate_existing=True)
        row = (await session.scalars(query)).one_or_none()
        if row is None or row.used_at is None:
            return Rotated()
        family, now = row.session_id, self._now()
        heir = (await session.scalars(select(Refresh).where(Refresh.hash == row.child))).one_or_none()
        alive = select(Session.id).join(User, User.id == Session.user_id)
        alive = alive.where(Session.id == family, Session.expires_at > now, User.status == ACTIVE)
        if (await session.execute(alive)).one_or_none() is None:
            return Rotated()
        lost = heir is not None and heir.used_at is None and (now - row.used_at).total_seconds() <= self._grace
        user_id = await _owner(session, family)
        if lost and heir is not None and heir.hash == digest(child.encode()):
            return Rotated(user_id, family, child)
        await session.execute(delete(Session).where(Session.id == family))
        await bump(session, "auth")
        return Rotated(user_id, family, reused=True)

    def _row(self, token: str, session_id: str) -> Refresh:
        now = self._now()
        hashed = digest(token.encode())
        return Refresh(hash=hashed, session_id=session_id, created_at=now, expires_at=now + self._idle)

    def _successor(self, token: str) -> str:
        derived = hmac.new(self._vault.derive("refresh"), token.encode(), hashlib.sha256).digest()
        return PREFIX + base64.urlsafe_b64encode(derived).decode().rstrip("=")

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock(), dt.UTC)


async def _owner(session: AsyncSession, session_id: str) -> str:
    return (await session.execute(select(Session.user_id).where(Session.id == session_id))).scalar_one()
