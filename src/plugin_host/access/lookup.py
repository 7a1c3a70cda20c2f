"""What one call finds out about the grants of its actor: by what is remembered, and else in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_host.access.book import Found
from plugin_host.access.judge import ANY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.access.book import Book, Overview
    from plugin_host.access.books import Books
    from plugin_host.access.catalogue import Entry
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.sdk.context import UnitOfWork


class Lookup:
    """Asks in the call's own transaction where the objects are in its database, and beside it where they are not.

    `home` is a type, or plugin, whose objects are in the unit's own database.
    """

    __slots__ = ("_books", "_home", "_unit")

    def __init__(self, books: Books, unit: UnitOfWork, home: str) -> None:
        self._books = books
        self._unit = unit
        self._home = home

    def holds(self, snapshot: Snapshot, subjects: frozenset[str], permission: str) -> bool:
        """Tell whether it is held by rules, or granted on some object; see `Books.holds`."""
        return self._books.holds(snapshot, subjects, permission)

    async def learn(self, subjects: frozenset[str], typ: str) -> None:
        """Find out what somebody was granted, where it is not remembered: `holds` asks nobody."""
        await self._overview(subjects, typ)

    def known(self, subjects: frozenset[str], typ: str) -> Overview | None:
        """Give what is remembered of somebody's grants, if it is true in this call."""
        return None if self._has_changed() else self._books.of(typ).known(subjects)

    def session(self, typ: str) -> AsyncSession:
        """Give the session that is to hold a grant. Raises `ValueError` if the objects are in another database."""
        if self._books.of(typ) is not self._books.of(self._home):
            raise ValueError(f"{typ!r} is kept in a database of its plugin's own: share it there")
        return self._unit.session

    async def effects(
        self, snapshot: Snapshot, subjects: frozenset[str], entry: Entry, objs: Iterable[object]
    ) -> Mapping[object, frozenset[tuple[str, str]]]:
        """Give who is granted and who is denied a permission on objects, by their ids."""
        ids = {id_ for obj in objs if isinstance(id_ := getattr(obj, "id", None), str)}
        if not ids:
            return {}
        acts = snapshot.catalogue.acts(entry.name)
        if not self._has_changed():
            known = await self._overview(subjects, entry.typ)
            subjects = known.of(entry.typ, acts, "allow")[0] | known.of(entry.typ, (entry.act, ANY), "deny")[0]
            if not subjects:
                return {}
        found = await self._look(subjects, entry.typ, ids)
        return {
            id_: frozenset((each.subject, each.effect) for each in some if _matters(each, acts, entry.act))
            for id_, some in found.items()
        }

    async def on(self, snapshot: Snapshot, subjects: frozenset[str], entry: Entry, obj: Any | None) -> Sequence[Found]:
        """Give the grants that bring or deny a permission on one row; without a row those that bring it on any."""
        acts = snapshot.catalogue.acts(entry.name)
        if obj is None:
            known = await self._overview(subjects, entry.typ)
            return [Found(subject, entry.act, "allow") for subject in sorted(known.of(entry.typ, acts, "allow")[0])]
        found = await self._look(subjects, entry.typ, {obj.id}) if isinstance(obj.id, str) else {}
        return [each for each in found.get(obj.id, ()) if _matters(each, acts, entry.act)]

    async def _overview(self, subjects: frozenset[str], typ: str) -> Overview:
        book = self._books.of(typ)
        known = book.known(subjects)
        return known if known is not None else await self._books.overview(book, subjects)

    async def _look(self, subjects: frozenset[str], typ: str, ids: Collection[str]) -> Mapping[str, tuple[Found, ...]]:
        book: Book = self._books.of(typ)
        if book is self._books.of(self._home):
            return await book.on(self._unit.session, subjects, typ, ids, keep=not self._has_changed())
        async with book.engine.connect() as connection:
            return await book.on(connection, subjects, typ, ids)

    def _has_changed(self) -> bool:
        """Tell whether this unit has changed grants or rules itself: then nothing remembered is true in it."""
        return self._unit.policy_revision is not None


def _matters(found: Found, acts: Collection[str], act: str) -> bool:
    """Tell whether a grant brings the permission, or denies just that."""
    return found.act in (acts if found.effect == "allow" else (act, ANY))
