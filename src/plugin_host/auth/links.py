"""Links that work once: an invitation, or a new password. Only the hash is kept, and the newest one counts."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sqlalchemy import delete, select

from plugin_host.auth.people import ACTIVE
from plugin_host.auth.sessions import digest
from plugin_host.auth.tables import OneTime, User
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database

Purpose = Literal["invitation", "reset"]
LIVES: Final[dict[Purpose, dt.timedelta]] = {"invitation": dt.timedelta(days=7), "reset": dt.timedelta(minutes=30)}
_SHAPE: Final = re.compile(r"phl_[A-Za-z0-9_-]{43}")


class Link(NamedTuple):
    """A token that was just made, and its end."""

    token: str
    expires_at: dt.datetime


class Holder(NamedTuple):
    """Whose link it is."""

    user_id: str
    username: str


class Links:
    """Makes and redeems one-time tokens of people."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def make(self, session: AsyncSession, purpose: Purpose, user_id: str) -> Link:
        """Make a token; the one of this purpose before it is void."""
        token = f"phl_{secrets.token_urlsafe(32)}"
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        expires = now + LIVES[purpose]
        await session.execute(delete(OneTime).where(OneTime.user_id == user_id, OneTime.purpose == purpose))
        hashed = digest(token.encode())
        session.add(OneTime(hash=hashed, purpose=purpose, created_at=now, user_id=user_id, expires_at=expires))
        await session.flush()
        return Link(token, expires)

    async def look(self, purpose: Purpose, token: str) -> Holder:
        """Say whose token it is, without spending it, in a transaction that has ended when this returns.

        Raises `Problem` 400 `invalid_token`.
        """
        unit = self._database.unit(write=False)
        try:
            found = select(User.id, User.username, OneTime.expires_at).join(User, User.id == OneTime.user_id)
            mine = (OneTime.hash == digest(token.encode()), OneTime.purpose == purpose, User.status == ACTIVE)
            row = (await unit.session.execute(found.where(*mine))).one_or_none() if _is_well_formed(token) else None
        finally:
            await unit.close()
        if row is None or row.expires_at.timestamp() <= self._clock():
            raise _invalid()
        return Holder(row.id, row.username)

    async def redeem(self, session: AsyncSession, purpose: Purpose, token: str) -> str:
        """Spend the token, in the transaction of what it is for; gives the user's id. Of two at once, one is first.

        Raises `Problem` 400 `invalid_token`.
        """
        mine = (OneTime.hash == digest(token.encode()), OneTime.purpose == purpose)
        spent = delete(OneTime).where(*mine).returning(OneTime.user_id, OneTime.expires_at)
        row = (await session.execute(spent)).one_or_none()
        if row is None or row.expires_at.timestamp() <= self._clock():
            raise _invalid()
        user_id: str = row.user_id
        return user_id

    async def void(self, session: AsyncSession, user_id: str) -> None:
        """Make every link of somebody void: their password has changed."""
        await session.execute(delete(OneTime).where(OneTime.user_id == user_id, OneTime.purpose.in_(LIVES)))

    async def forget(self, session: AsyncSession) -> None:
        """Delete what has ended."""
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        await session.execute(delete(OneTime).where(OneTime.expires_at < now))


def _is_well_formed(token: str) -> bool:
    return bool(_SHAPE.fullmatch(token))


def _invalid() -> Problem:
    detail = "This link was used already, has ended, or is none of ours: ask for a new one."
    return Problem(400, "invalid_token", detail, errors=[FieldError("/token", detail)])
