"""The first administrator: whoever can read the console has the code, and nobody else does.

There is no default account. The code works once; five wrong codes void it, and a new one is printed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, update

from plugin_host.auth.tables import OneTime
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database

ADMIN: Final = "core.admin"
MAX_FAILURES: Final = 5
_PURPOSE: Final = "setup"
# Crockford's: letters that are read as digits are not in it, and are taken for the digits they look like.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


class Setup:
    """The set-up state: it lasts until somebody has the role `core.admin`.

    `count_holders` counts the people who have a role. `announce` is called with a new code when wrong ones
    have voided the old; it should print it where only the operator looks.
    """

    def __init__(
        self,
        database: Database,
        *,
        count_holders: Callable[[AsyncSession, str], Awaitable[int]],
        announce: Callable[[str], None],
    ) -> None:
        self._database = database
        self._count_holders = count_holders
        self._announce = announce
        self._done = False

    async def needed(self, session: AsyncSession) -> bool:
        """Tell whether nobody is an administrator yet. It never is again: the last one cannot be deleted."""
        if not self._done:
            self._done = await self._count_holders(session, ADMIN) > 0
        return not self._done

    async def code(self) -> str:
        """Make a new code `XXXX-XXXX`; the one before it is void."""
        unit = self._database.unit(write=True)
        try:
            code = await _replace(unit.session)
            await unit.commit()
        finally:
            await unit.close()
        return code

    async def check(self, code: str) -> None:
        """Go on only with the right code, while one is needed; it is not spent yet.

        Raises `Problem` 404 once there is an administrator, 403 `wrong_code` for a wrong code. Call it before
        the request's own session is used: a wrong code must be counted though the request is rolled back, and
        SQLite has only one writer.
        """
        unit = self._database.unit(write=False)
        try:
            if not await self.needed(unit.session):
                raise _set_up_already()
            known = (await unit.session.scalars(select(OneTime.hash).where(OneTime.purpose == _PURPOSE))).all()
        finally:
            await unit.close()
        if not any(secrets.compare_digest(_hash(code), each) for each in known):
            await self._count_failure()
            detail = "This is not the code on the console. After five wrong ones a new code is printed there."
            raise Problem(403, "wrong_code", detail, errors=[FieldError("/code", "not the code on the console")])

    async def redeem(self, session: AsyncSession, code: str) -> None:
        """Spend the code in the transaction that makes the administrator; of two at once, one is first.

        Raises `Problem` 404 for the other.
        """
        spent = await session.execute(
            delete(OneTime).where(OneTime.purpose == _PURPOSE, OneTime.hash == _hash(code)).returning(OneTime.hash)
        )
        if spent.one_or_none() is None:
            raise _set_up_already()

    async def _count_failure(self) -> None:
        # Counting and replacing are one transaction: of several wrong codes at once, exactly one replaces.
        unit = self._database.unit(write=True)
        try:
            counted = await unit.session.execute(_COUNT)
            fresh = await _replace(unit.session) if max(counted.scalars(), default=0) >= MAX_FAILURES else None
            await unit.commit()
        finally:
            await unit.close()
        if fresh is not None:
            self._announce(fresh)


_COUNT: Final = (
    update(OneTime)
    .where(OneTime.purpose == _PURPOSE)
    .values(failures=OneTime.failures + 1)
    .returning(OneTime.failures)
    .execution_options(synchronize_session=False)
)


async def _replace(session: AsyncSession) -> str:
    digits = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    await session.execute(delete(OneTime).where(OneTime.purpose == _PURPOSE))
    session.add(OneTime(hash=_hash(digits), purpose=_PURPOSE, failures=0, created_at=dt.datetime.now(dt.UTC)))
    await session.flush()
    return f"{digits[:4]}-{digits[4:]}"


def _set_up_already() -> Problem:
    return Problem(404, "not_found", "This host has an administrator already.")


def _hash(code: str) -> str:
    return hashlib.sha256(code.upper().translate(_READ_AS).encode("utf-8", "surrogatepass")).hexdigest()
