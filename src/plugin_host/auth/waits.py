"""Waits that grow with every failure, for an account, an address, and both together; none lasts for ever.

An attempt is counted before the password is looked at, in a transaction of its own: of many guesses at once none is
free. Whoever gets it right is forgiven. Nobody can be locked out by somebody else's guesses: a browser that has
signed in before is counted on its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import math
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from plugin_host.auth.tables import Attempt
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database

FIRST: Final = 60.0
LONGEST: Final = 900.0
FORGOTTEN: Final = 900.0
"""Seconds after the last failure, or the end of its wait, when it is forgotten."""


class Bucket(NamedTuple):
    """What failures are counted for. `free` may fail without a wait; the wait after that doubles from `first`."""

    key: str
    free: int
    first: float = FIRST
    longest: float = LONGEST
    forgotten: float = FORGOTTEN


def sign_in_buckets(account: str, address: str | None, device: str | None) -> list[Bucket]:
    """Give what an attempt to sign in counts for; `account` is the folded user name, `device` of a known browser."""
    where = network(address)
    buckets = [Bucket(f"address:{where}", 30)]
    if device is not None:
        return [*buckets, Bucket(f"device:{_digest(account, device)}", 5)]
    return [*buckets, Bucket(f"account:{_digest(account)}", 20), Bucket(f"both:{_digest(account, where)}", 5)]


class Waits:
    """Counts attempts in the database, so that every process knows of them."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def enter(self, buckets: Sequence[Bucket]) -> None:
        """Count an attempt. Raises `Problem` 429 `too_many_attempts` while one of the buckets waits.

        Call it before the request's own session is used: SQLite has only one writer.
        """
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        unit = self._database.unit()
        try:
            rows = [await self._row(unit.session, bucket) for bucket in sorted(buckets)]
            until = max((row.until for row in rows if row.until is not None and row.until > now), default=None)
            if until is not None:
                seconds = math.ceil((until - now).total_seconds())
                detail = f"There were too many attempts: wait {seconds} seconds."
                raise Problem(429, "too_many_attempts", detail, headers={"retry-after": str(seconds)})
            for bucket, row in zip(sorted(buckets), rows, strict=True):
                _count(bucket, row, now)
            await unit.commit()
        finally:
            await unit.close()

    async def forgive(self, session: AsyncSession, buckets: Sequence[Bucket]) -> None:
        """Forget the failures of somebody who got it right; of their address only this one attempt."""
        for bucket in sorted(buckets):
            row = await session.get(Attempt, bucket.key, with_for_update=True)
            if row is None:
                continue
            if bucket.key.startswith("address:") and row.failures > 1:
                row.failures -= 1
                if row.failures < bucket.free:
                    row.until = None
            else:  # kept, since others may be waiting for its lock
                row.failures, row.until = 0, None

    async def forget(self, session: AsyncSession) -> None:
        """Delete what was forgotten long ago."""
        old = dt.datetime.fromtimestamp(self._clock() - 24 * 3600, dt.UTC)
        await session.execute(delete(Attempt).where(Attempt.last_at < old))

    async def _row(self, session: AsyncSession, bucket: Bucket) -> Attempt:
        """Give the row of a bucket, locked; two that come first at once make one."""
        dialect = postgresql if self._database.dialect == "postgresql" else sqlite
        never = dt.datetime.fromtimestamp(0, dt.UTC)
        first = dialect.insert(Attempt).values(key=bucket.key, failures=0, last_at=never)
        locked = select(Attempt).where(Attempt.key == bucket.key).with_for_update()
        while True:
            await session.execute(first.on_conflict_do_nothing())
            row = (await session.scalars(locked)).one_or_none()
            if row is not None:  # else it was forgotten in between
                return row


def network(address: str | None) -> str:
    """Give what counts as one address: of IPv6 the network of 64 bits, which one household has."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _count(bucket: Bucket, row: Attempt, now: dt.datetime) -> None:
    last = max(row.last_at, row.until) if row.until is not None else row.last_at
    if (now - last).total_seconds() > bucket.forgotten:
        row.failures, row.until = 0, None
    row.failures += 1
    row.last_at = now
    beyond = row.failures - bucket.free
    if beyond >= 0:
        wait = min(bucket.longest, bucket.first * 2.0 ** min(beyond, 30))
        row.until = now + dt.timedelta(seconds=wait)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:40]
