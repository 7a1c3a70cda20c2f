"""The chain: entries are sealed in batches, each with the hash of the one before, so that changes show.

`hash = sha256(position, hash before, digest)` and `digest = sha256(the entry as JSON)`. An entry is sealed some
seconds after it was written: to seal it with the change itself would make all who write wait for each other.
Whoever may write to the database can make the whole chain anew: only who has noted its end elsewhere (it is in
the log, and `verify` gives it) can tell. What is removed before it is sealed leaves no trace.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from plugin_host.audit.tables import AuditChain, AuditEntry

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.ext.asyncio import AsyncSession

AT_ONCE: Final = 500
"""Entries of one batch: a transaction that others wait for must be short."""

NOTHING: Final = "0" * 64

_ENTRY: Final = AuditEntry.__table__.c
SEALED_COLUMNS: Final = (
    _ENTRY.id,
    _ENTRY.at,
    _ENTRY.actor,
    _ENTRY.kind,
    _ENTRY.username,
    _ENTRY.via,
    _ENTRY.plugin,
    _ENTRY.action,
    _ENTRY.object,
    _ENTRY.outcome,
    _ENTRY.detail,
    _ENTRY.request,
)
_SEAL: Final = (
    update(AuditEntry.__table__)  # type: ignore[arg-type] # a table
    .where(_ENTRY.id == bindparam("entry"))
    .values(position=bindparam("at_position"), digest=bindparam("its_digest"), hash=bindparam("its_hash"))
)


class Head(msgspec.Struct, frozen=True):
    """Where the chain ends: to be noted elsewhere, and compared later."""

    position: int
    hash: str


def digest_of(row: Any) -> str:
    """Hash an entry; `row` begins with `SEALED_COLUMNS`."""
    said = [row[0], row[1].isoformat(), *row[2 : len(SEALED_COLUMNS)]]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def link(position: int, before: str, digest: str) -> str:
    """Give the hash of the entry at `position`."""
    return hashlib.sha256(f"{position}:{before}:{digest}".encode()).hexdigest()


async def waits(session: AsyncSession) -> bool:
    """Tell whether there are entries to be sealed."""
    return (await session.scalar(select(_ENTRY.id).where(_ENTRY.position.is_(None)).limit(1))) is not None


async def seal(session: AsyncSession, most: int = AT_ONCE) -> int:
    """Seal the entries that are not sealed, `most` at a time, and give how many they were.

    Of several processes at once one seals, and the others wait for it: they all lock the row of the chain first.
    """
    locked = update(AuditChain).where(AuditChain.id == 1).values(id=1)
    chain = (await session.execute(locked.returning(AuditChain.position, AuditChain.hash))).one()
    position, before = chain.position, chain.hash
    rows = (
        await session.execute(
            select(*SEALED_COLUMNS).where(_ENTRY.position.is_(None)).order_by(_ENTRY.at, _ENTRY.id).limit(most)
        )
    ).all()
    seals = []
    for row in rows:
        position += 1
        digest = digest_of(row)
        before = link(position, before, digest)
        seals.append({"entry": row.id, "at_position": position, "its_digest": digest, "its_hash": before})
    if seals:
        connection = await session.connection()
        await connection.execute(_SEAL, seals)
        await session.execute(update(AuditChain).where(AuditChain.id == 1).values(position=position, hash=before))
    return len(seals)


async def expire(session: AsyncSession, before: dt.datetime, most: int = AT_ONCE) -> int:
    """Remove the sealed entries from before a moment, `most` at a time, oldest first; gives how many.

    Only from the beginning of the chain, which then begins later: what is left can be verified as before.
    """
    locked = update(AuditChain).where(AuditChain.id == 1).values(id=1)
    base = (await session.execute(locked.returning(AuditChain.base_position))).scalar_one()
    first_to_stay = await session.scalar(
        select(func.min(_ENTRY.position)).where(_ENTRY.position > base, _ENTRY.at >= before)
    )
    last = base + most if first_to_stay is None else min(base + most, first_to_stay - 1)
    edge = (
        await session.execute(
            select(_ENTRY.position, _ENTRY.hash)
            .where(_ENTRY.position > base, _ENTRY.position <= last)
            .order_by(_ENTRY.position.desc())
            .limit(1)
        )
    ).one_or_none()
    if edge is None:
        return 0
    begins = update(AuditChain).where(AuditChain.id == 1)
    await session.execute(begins.values(base_position=edge.position, base_hash=edge.hash))
    gone = await session.execute(delete(AuditEntry).where(_ENTRY.position <= edge.position))
    return gone.rowcount  # type: ignore[no-any-return, attr-defined]
