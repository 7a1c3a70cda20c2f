"""The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes for when it is lost.

A code works once: the time step of the last one is kept, and earlier ones are refused with it. Seeds are sealed
with the host's secret key.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import pyotp
from sqlalchemy import delete, func, select, update

from plugin_host.auth.tables import OneTime, Totp, User
from plugin_host.auth.vault import SealError
from plugin_host.database import bump
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.vault import Vault

STEP: Final = 30
RECOVERY_CODES: Final = 10
_PURPOSE: Final = "recovery"
_SEAL: Final = "totp"
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_CODE: Final = re.compile("[0-9]{6}")
_RECOVERY: Final = re.compile(f"[{_ALPHABET}]{{16}}")

log = logging.getLogger("plugin_host.auth")


class Seed(NamedTuple):
    """What an authenticator is fed: the secret as people type it, and the address behind its picture."""

    secret: str
    uri: str


class Factors:
    """Adds, asks for and takes away second factors. `issuer` is what an authenticator shows as the application."""

    def __init__(self, vault: Vault, *, issuer: str, clock: Callable[[], float] = time.time) -> None:
        self._vault = vault
        self._issuer = issuer
        self._clock = clock

    async def begin(self, session: AsyncSession, user: User) -> Seed:
        """Make a new seed; it counts when a code of it was confirmed. Raises `Problem` 409 if there is one already."""
        row = await session.get(Totp, user.id, with_for_update=True)
        if row is not None and row.confirmed_at is not None:
            raise Problem(409, "mfa_enabled", "You have a second factor already: take it away first.")
        secret = pyotp.random_base32()
        sealed, now = self._vault.seal(_SEAL, secret.encode()), self._now()
        if row is None:
            session.add(Totp(user_id=user.id, secret=sealed, last_step=0, created_at=now))
        else:
            row.secret, row.created_at, row.last_step = sealed, now, 0
        await session.flush()
        return Seed(secret, pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=self._issuer))

    async def confirm(self, session: AsyncSession, user: User, code: str) -> list[str]:
        """Let the new seed count, if the code is of it; gives the recovery codes. Raises `Problem` 409, 422."""
        row = await session.get(Totp, user.id, with_for_update=True)
        if row is None or row.confirmed_at is not None:
            raise Problem(409, "mfa_not_begun", "There is no new second factor to confirm: begin one first.")
        if not await self._spend(session, row, code):
            detail = "not the code that the authenticator shows now; is its clock right?"
            raise Problem(422, "invalid", f"otp: {detail}", errors=[FieldError("/otp", detail)])
        row.confirmed_at = self._now()
        user.mfa = True
        codes = await self.new_recovery_codes(session, user.id)
        await bump(session, "auth")
        return codes

    async def check(self, session: AsyncSession, user: User, code: str | None) -> str:
        """Ask for the second factor: gives `otp` or `recovery`. Raises `Problem` 401 `otp_required`, `invalid_otp`."""
        if code is None:
            raise Problem(401, "otp_required", "Send the code of your authenticator, or a recovery code, as otp.")
        row = await session.get(Totp, user.id, with_for_update=True)
        if row is not None and row.confirmed_at is not None and await self._spend(session, row, code):
            return "otp"
        plain = code.upper().translate(_READ_AS)
        if _RECOVERY.fullmatch(plain):
            used = delete(OneTime).where(OneTime.hash == _hash(user.id, plain), OneTime.purpose == _PURPOSE)
            if (await session.execute(used.returning(OneTime.hash))).one_or_none() is not None:
                return "recovery"
        raise Problem(401, "invalid_otp", "The code is wrong, or was used already.")

    async def new_recovery_codes(self, session: AsyncSession, user_id: str) -> list[str]:
        """Make ten new recovery codes, shown once; the old ones are void."""
        await session.execute(delete(OneTime).where(OneTime.user_id == user_id, OneTime.purpose == _PURPOSE))
        codes = ["".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)]
        now = self._now()
        for code in codes:
            session.add(OneTime(hash=_hash(user_id, code), purpose=_PURPOSE, created_at=now, user_id=user_id))
        await session.flush()
        return ["-".join(code[place : place + 4] for place in range(0, 16, 4)) for code in codes]

    async def recovery_codes_left(self, session: AsyncSession, user_id: str) -> int:
        """Count the recovery codes that were not used."""
        left = select(func.count()).select_from(OneTime)
        left = left.where(OneTime.user_id == user_id, OneTime.purpose == _PURPOSE)
        return await session.scalar(left) or 0

    async def remove(self, session: AsyncSession, user: User) -> bool:
        """Take the second factor away; tells whether there was one."""
        had = user.mfa
        user.mfa = False
        await session.execute(delete(Totp).where(Totp.user_id == user.id))
        await session.execute(delete(OneTime).where(OneTime.user_id == user.id, OneTime.purpose == _PURPOSE))
        await session.flush()
        await bump(session, "auth")
        return had

    async def _spend(self, session: AsyncSession, row: Totp, code: str) -> bool:
        """Tell whether the code is one of now, or of the step before or after, and later than the last one."""
        if not _CODE.fullmatch(code):
            return False
        try:
            totp = pyotp.TOTP(self._vault.open(_SEAL, row.secret).decode())
        except SealError as error:
            log.error("the second factor of user %s cannot be read: %s", row.user_id, error)  # noqa: TRY400 - it says all
            raise Problem(503, "unavailable", "Second factors cannot be checked right now.") from error
        now = int(self._clock()) // STEP
        for step in (now - 1, now, now + 1):
            if step > row.last_step and hmac.compare_digest(totp.at(step * STEP), code):
                later = update(Totp).where(Totp.user_id == row.user_id, Totp.last_step < step).values(last_step=step)
                later = later.returning(Totp.user_id).execution_options(synchronize_session=False)
                spent = await session.execute(later)
                return spent.one_or_none() is not None
        return False

    def _now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock(), dt.UTC)


def _hash(user_id: str, code: str) -> str:
    # 80 random bits, and nobody else's: no slow hash is needed.
    return hashlib.sha256(f"{user_id}:{code}".encode()).hexdigest()
