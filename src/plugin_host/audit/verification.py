"""Verifying the chain: which entries were changed, removed or moved since they were sealed, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
from sqlalchemy import func, select

from plugin_host.audit.chain import SEALED_COLUMNS, Head, digest_of, link
from plugin_host.audit.tables import AuditChain, AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy.ext.asyncio import AsyncSession

_PAGE: Final = 1000
_MOST: Final = 100
"""Faults that are told: who makes the chain anew by hand breaks all of it."""
_SUSPECTS: Final = 40

_ENTRY: Final = AuditEntry.__table__.c


class Fault(msgspec.Struct, frozen=True):
    """What is wrong at one position.

    `changed`: the entry is not what was sealed. `removed`: entries were sealed there, up to `last`, and are gone.
    `moved`: the entry was sealed elsewhere, at `sealed_at` where that could be found out. `end`: the chain does
    not end as the row says that keeps its end, or not as was noted.
    """

    kind: Literal["changed", "removed", "moved", "end"]
    position: int
    text: str
    entry: str | None = None
    last: int | None = None
    sealed_at: int | None = None


class Verification(msgspec.Struct, frozen=True):
    """How the chain was found: `entries` that are sealed, `unsealed` ones that are to be, and every fault.

    `first` is the position of the oldest that is kept. `head` is to be noted elsewhere, and given next time.
    """

    ok: bool
    entries: int
    unsealed: int
    first: int
    head: Head
    faults: tuple[Fault, ...]


class _Sealed(NamedTuple):
    """An entry as it stands: where, what it hashes to, and the seal that was put on it."""

    position: int
    entry: str
    digest: str
    sealed_digest: str | None
    hash: str | None


async def verify(
    session: AsyncSession, noted: Head | None = None, progress: Callable[[int], None] | None = None
) -> Verification:
    """Read the whole chain and tell what is wrong with it.

    `noted` is a head that somebody noted before: it must still be in the chain, unless its time has passed.
    `progress` is called with the number of entries that were read.
    """
    if session.get_bind().dialect.name == "postgresql" and not session.in_transaction():
        # One view of all of it, though others seal meanwhile.
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    chain = (await session.execute(select(AuditChain).where(AuditChain.id == 1))).scalar_one()
    unsealed = await session.scalar(select(func.count()).where(_ENTRY.position.is_(None))) or 0
    reading = _Reading(chain.base_position, chain.base_hash, noted)
    last = chain.base_position
    while True:
        page = await session.execute(
            select(*SEALED_COLUMNS, _ENTRY.position, _ENTRY.digest, _ENTRY.hash)
            .where(_ENTRY.position > last)
            .order_by(_ENTRY.position)
            .limit(_PAGE)
        )
        rows = [_Sealed(row.position, row.id, digest_of(row), row.digest, row.hash) for row in page]
        if not rows:
            break
        reading.read(rows)
        last = rows[-1].position
        if progress is not None:
            progress(reading.count)
    faults = reading.finish(Head(chain.position, chain.hash))
    return Verification(
        ok=not faults,
        entries=reading.count,
        unsealed=unsealed,
        first=chain.base_position + 1,
        head=Head(chain.position, chain.hash),
        faults=tuple(faults[:_MOST]),
    )


class _Reading:
    """What was seen of the chain so far."""

    def __init__(self, position: int, before: str, noted: Head | None) -> None:
        self.count = 0
        self._base = position
        self._position = position
        self._before: str | None = before
        self._noted = noted
        self._faults: list[Fault] = []
        self._suspects: list[tuple[_Sealed, str | None]] = []

    def read(self, rows: Iterable[_Sealed]) -> None:
        for row in rows:
            self.count += 1
            if row.position != self._position + 1:
                self._gap(row.position)
                self._before = None  # the hash that this one was linked to is gone with its entry
            self._look(row)
            self._position, self._before = row.position, row.hash
            if self._noted is not None and row.position == self._noted.position and row.hash != self._noted.hash:
                text = f"At {row.position} the chain is not the one that was noted: it was made anew."
                self._faults.append(Fault("end", row.position, text, row.entry))

    def finish(self, head: Head) -> list[Fault]:
        if self._position < head.position:
            self._gap(head.position + 1)
        elif (self._position, self._before) != (head.position, head.hash) and not self._suspects:
            text = f"The chain ends at {self._position}, and not as the row in core_audit_chain says."
            self._faults.append(Fault("end", self._position, text))
        if self._noted is not None and self._noted.position > self._position:
            text = f"The chain ends at {self._position}; it was noted to go on to {self._noted.position}."
            self._faults.append(Fault("end", self._position, text))
        return sorted([*self._faults, *self._judge()], key=lambda fault: fault.position)

    def _gap(self, until: int) -> None:
        first, last = self._position + 1, until - 1
        where = (
            f"At {first} an entry is" if first == last else f"From {first} to {last}, {last - first + 1} entries are"
        )
        self._faults.append(Fault("removed", first, f"{where} missing.", last=last))

    def _look(self, row: _Sealed) -> None:
        if row.digest != row.sealed_digest:
            text = f"The entry {row.entry} at {row.position} was changed after it was sealed."
            self._faults.append(Fault("changed", row.position, text, row.entry))
        elif self._before is not None and link(row.position, self._before, row.digest) != row.hash:
            self._suspects.append((row, self._before))

    def _judge(self) -> Iterator[Fault]:
        """Tell of each entry that does not fit to its place whether it is of another one, or only its neighbour is."""
        few = self._suspects[:_SUSPECTS]
        hashes = {each for row, before in few for each in (row.hash, before) if each is not None}
        for row, _before in self._suspects:
            if any(link(row.position, before, row.digest) == row.hash for before in hashes):
                continue  # it stands where it was sealed: the one before it does not
            places = (other.position for other, _ in few if other is not row)
            found = next((p for p in places for h in hashes if link(p, h, row.digest) == row.hash), None)
            if found is not None:
                text = f"The entry {row.entry} at {row.position} was sealed at {found}: entries changed places."
                yield Fault("moved", row.position, text, row.entry, sealed_at=found)
            else:
                text = f"The entry {row.entry} at {row.position} is not what was sealed there: changed, moved or added."
                yield Fault("changed", row.position, text, row.entry)
