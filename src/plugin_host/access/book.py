"""What a process remembers of the grants of one database: little, and only as long as it is true.

Grants stay in SQL. Of an actor it is remembered how many there are of which kind (`Overview`): whether there is
anything to ask about, and which plan a list takes. Of an object that was asked about, what was found. Both end when
a change touches a subject of theirs, and when a grant in them ends. What a query found is kept only if the same
query saw the revision that the book is at: a transaction may look back into the past.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import and_, column, func, literal, or_, select, table

from plugin_host.access.tables import Grant, PolicyChange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

    Reader: TypeAlias = AsyncConnection | AsyncSession

K = TypeVar("K")
V = TypeVar("V")

KEPT: Final = 10_000
"""Actors, and objects, that are remembered at most."""
LIGHT: Final = 5_000
"""With at most these grants a list is made from the grants; with more, each row is looked up among them."""
COUNTED: Final = 100_000
"""Grants that are counted at most; whoever has more has many of each kind."""
TOUCHED: Final = 500
_AT_ONCE: Final = 500

_REVISION: Final = table("core_revision", column("id"), column("policy"))


class Kind(NamedTuple):
    """How many grants a subject has of one action, with one effect."""

    subject: str
    typ: str
    act: str
    effect: str
    number: int


class Found(NamedTuple):
    """A grant on one object, as far as a verdict needs it."""

    subject: str
    act: str
    effect: str


class Overview:
    """Which grants there are of some subjects. `names` are permissions that are allowed on some object.

    `ends` is the moment (seconds since 1970) at which one of them ends.
    """

    __slots__ = ("_by_type", "ends", "names")

    def __init__(self, kinds: Iterable[Kind], ends: float) -> None:
        by_type: dict[str, list[Kind]] = {}
        for kind in kinds:
            by_type.setdefault(kind.typ, []).append(kind)
        self._by_type = by_type
        self.names = frozenset(
            f"{kind.typ}.{kind.act}" for some in by_type.values() for kind in some if kind.effect == "allow"
        )
        self.ends = ends

    def of(self, typ: str, acts: Collection[str], effect: str) -> tuple[frozenset[str], int]:
        """Give the subjects that have grants of these actions with that effect, and how many they are together."""
        some = [kind for kind in self._by_type.get(typ, ()) if kind.effect == effect and kind.act in acts]
        return frozenset(kind.subject for kind in some), sum(kind.number for kind in some)


NONE: Final = Overview((), float("inf"))


class Book:
    """The book of one database. `revision` is the policy revision of that database, as far as it was followed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.revision = -1
        self.empty = False
        self._overviews: dict[frozenset[str], Overview] = {}
        self._objects: dict[tuple[frozenset[str], str, str], tuple[tuple[Found, ...], float]] = {}

    # -- following what others change ----------------------------------------------------------------------------

    async def follow(self, reader: Reader, revision: int) -> None:
        """Forget what changes up to that revision have touched, as this transaction sees it."""
        if revision <= self.revision:
            return
        changes = (
            select(PolicyChange.subject)
            .where(PolicyChange.revision > self.revision, PolicyChange.kind == "grant")
            .distinct()
            .limit(TOUCHED + 1)
        )
        touched = set((await reader.execute(changes)).scalars()) if self.revision >= 0 else {"*"}
        if touched:
            self.empty = (await reader.execute(select(literal(1)).select_from(Grant).limit(1))).first() is None
        if "*" in touched or len(touched) > TOUCHED:
            self._overviews.clear()
            self._objects.clear()
        elif touched:
            self._overviews = {who: kept for who, kept in self._overviews.items() if touched.isdisjoint(who)}
            self._objects = {key: kept for key, kept in self._objects.items() if touched.isdisjoint(key[0])}
        self.revision = max(revision, self.revision)

    # -- what an actor has -----------------------------------------------------------------------------------------

    def known(self, subjects: frozenset[str]) -> Overview | None:
        """Give the overview if it is remembered; of an empty database it always is."""
        if self.empty:
            return NONE
        overview = self._overviews.get(subjects)
        return overview if overview is not None and time.time() < overview.ends else None

    async def overview(self, reader: Reader, subjects: frozenset[str], *, keep: bool = True) -> Overview:
        """Count the grants of some subjects; `keep` is for a transaction that has changed none itself."""
        now = dt.datetime.now(dt.UTC)
        kinds: list[Kind] = []
        ends, revision = float("inf"), None
        for some in _parts(sorted(subjects)):
            asked = (await reader.execute(_counting(some, now))).all()
            revision = asked[0].policy if revision in (None, asked[0].policy) else -2
            counted = [row for row in asked if row.subject is not None]
            kinds += [Kind(*row[1:6]) for row in counted]
            ends = min([ends, *(row.ends.timestamp() for row in counted if row.ends is not None)])
            if sum(row.number for row in counted) > COUNTED:
                distinct = (await reader.execute(_distinct(some, now))).all()
                kinds += [Kind(who, typ, act, effect, COUNTED) for who, typ, act, effect in distinct]
                ends = min(ends, time.time() + 60)
        overview = Overview(kinds, ends)
        if keep and revision == self.revision:
            _room(self._overviews)[subjects] = overview
        return overview

    # -- what is granted on objects ----------------------------------------------------------------------------------

    async def on(
        self, reader: Reader, subjects: frozenset[str], typ: str, objects: Collection[str], *, keep: bool = True
    ) -> Mapping[str, tuple[Found, ...]]:
        """Give the grants on objects of one type: one query for those that are not remembered."""
        found: dict[str, tuple[Found, ...]] = {}
        for id_ in objects if keep else ():
            kept = self._objects.get((subjects, typ, id_))
            if kept is not None and time.time() < kept[1]:
                found[id_] = kept[0]
        missing = sorted(id_ for id_ in objects if id_ not in found)
        for some in _parts(missing):
            found |= await self._look(reader, subjects, typ, some, keep=keep)
        return found

    async def _look(
        self, reader: Reader, subjects: frozenset[str], typ: str, objects: list[str], *, keep: bool
    ) -> dict[str, tuple[Found, ...]]:
        now = dt.datetime.now(dt.UTC)
        matches = and_(Grant.typ == typ, Grant.object.in_(objects), Grant.subject.in_(sorted(subjects)), _holds_at(now))
        asked = (
            select(_REVISION.c.policy, Grant.object, Grant.subject, Grant.act, Grant.effect, Grant.until)
            .select_from(_REVISION)
            .outerjoin(Grant, matches)
            .where(_REVISION.c.id == 1)
        )
        rows = (await reader.execute(asked)).all()
        found: dict[str, list[Found]] = {id_: [] for id_ in objects}
        ends = dict.fromkeys(objects, float("inf"))
        for row in rows:
            if row.object is not None:
                found[row.object].append(Found(row.subject, row.act, row.effect))
                if row.until is not None:
                    ends[row.object] = min(ends[row.object], row.until.timestamp())
        given = {id_: tuple(some) for id_, some in found.items()}
        if keep and rows[0].policy == self.revision:
            for id_, some in given.items():
                _room(self._objects)[subjects, typ, id_] = some, ends[id_]
        return given


def _holds_at(now: dt.datetime) -> ColumnElement[bool]:
    return or_(Grant.until.is_(None), Grant.until > now)


def _counting(subjects: list[str], now: dt.datetime) -> Any:
    one = select(Grant.subject, Grant.typ, Grant.act, Grant.effect, Grant.until)
    some = one.where(Grant.subject.in_(subjects), _holds_at(now)).limit(COUNTED + 1).subquery()
    grouped = (
        select(
            some.c.subject,
            some.c.typ,
            some.c.act,
            some.c.effect,
            func.count().label("number"),
            func.min(some.c.until).label("ends"),
        )
        .group_by(some.c.subject, some.c.typ, some.c.act, some.c.effect)
        .subquery()
    )
    # Seen from the revision row: there is always an answer, and it says as of when it is.
    return (
        select(_REVISION.c.policy, grouped)
        .select_from(_REVISION)
        .outerjoin(grouped, literal(1) == 1)
        .where(_REVISION.c.id == 1)
    )


def _distinct(subjects: list[str], now: dt.datetime) -> Any:
    kinds = select(Grant.subject, Grant.typ, Grant.act, Grant.effect).distinct()
    return kinds.where(Grant.subject.in_(subjects), _holds_at(now))


def _parts(names: list[str]) -> Iterable[list[str]]:
    return [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]


def _room(cache: dict[K, V]) -> dict[K, V]:
    """Empty a full cache: what was in it is soon found again."""
    if len(cache) >= KEPT:
        cache.clear()
    return cache
