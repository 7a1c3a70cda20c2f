"""Personal and service tokens: for scripts and machines, shown once, kept as a hash, with an end.

`php_` (personal) or `phs_` (service), 32 random letters and digits, and six that are computed from them: scanners
find leaked ones by that, and what was mistyped or made up is refused without a look at the database.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
import string
import time
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from sqlalchemy import delete, select

from plugin_host.auth.sessions import digest
from plugin_host.auth.tables import Token
from plugin_host.database import bump

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy.ext.asyncio import AsyncSession

PERSONAL: Final = "personal"
SERVICE: Final = "service"
PREFIXES: Final = {PERSONAL: "php_", SERVICE: "phs_"}
MAX_LIFE: Final = dt.timedelta(days=366)
LENGTH: Final = 42
_LETTERS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE: Final = re.compile(rb"ph[ps]_[0-9A-Za-z]{38}")


class Made(NamedTuple):
    """A token that was just made: its row, and the text that is shown once."""

    row: Token
    text: str


class ApiTokens:
    """Makes and revokes tokens; none is good for longer than `max_life`."""

    def __init__(self, *, max_life: dt.timedelta = MAX_LIFE, clock: Callable[[], float] = time.time) -> None:
        self.max_life = max_life
        self._clock = clock

    async def create(  # noqa: PLR0913 - what a token is
        self,
        session: AsyncSession,
        user_id: str,
        *,
        kind: str,
        name: str,
        scopes: Collection[str] | None,
        life: dt.timedelta,
        by: str,
    ) -> Made:
        """Make a token of a user, for at most `life`. `scopes` limits it to these permissions."""
        text = make_text(PREFIXES[kind])
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        row = Token(
            hash=digest(text.encode()),
            kind=kind,
            user_id=user_id,
            name=name,
            last4=text[-4:],
            scopes=None if scopes is None else msgspec.json.encode(sorted(set(scopes))).decode(),
            created_at=now,
            created_by=by,
            expires_at=now + min(life, self.max_life),
        )
        session.add(row)
        await session.flush()
        return Made(row, text)

    async def of(self, session: AsyncSession, user_id: str) -> list[Token]:
        """List the tokens of a user, also those that have ended, the latest first."""
        tokens = select(Token).where(Token.user_id == user_id).order_by(Token.created_at.desc(), Token.id.desc())
        return list((await session.scalars(tokens)).all())

    async def revoke(self, session: AsyncSession, user_id: str, token_id: str) -> bool:
        """Revoke a token if it is that user's; tells whether it was. Holds at the next request."""
        return await self._delete(session, Token.user_id == user_id, Token.id == token_id)

    async def revoke_text(self, session: AsyncSession, text: str) -> bool:
        """Revoke the token of that text; tells whether there was one."""
        return await self._delete(session, Token.hash == digest(text.encode()))

    async def revoke_all(self, session: AsyncSession, user_id: str) -> bool:
        """Revoke every token of a user; tells whether there was one."""
        return await self._delete(session, Token.user_id == user_id)

    @staticmethod
    async def _delete(session: AsyncSession, *which: object) -> bool:
        found = await session.execute(delete(Token).where(*which).returning(Token.id))  # type: ignore[arg-type] # conditions
        gone = bool(found.scalars().all())
        if gone:
            await bump(session, "auth")
        return gone


def make_text(prefix: str) -> str:
    """Make the text of a new token: 190 random bits, and their checksum."""
    body = prefix + "".join(secrets.choice(_LETTERS) for _ in range(32))
    return body + _checksum(body.encode())


def is_well_formed(text: bytes) -> bool:
    """Tell whether the text may be a token: its shape is right, and so is its checksum."""
    return bool(_SHAPE.fullmatch(text)) and _checksum(text[:-6]).encode() == text[-6:]


def scopes_of(kept: str | None) -> frozenset[str] | None:
    """Read the scopes of a row."""
    return None if kept is None else frozenset(msgspec.json.decode(kept, type=list[str]))


def _checksum(body: bytes) -> str:
    number, digits = zlib.crc32(body), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits += _LETTERS[digit]
    return digits
