"""The books of all databases: which one knows of a type's objects, and what an actor was granted in any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin_host.access.book import NONE, Book

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from plugin_host.access.book import Overview
    from plugin_host.access.snapshot import Snapshot


class Books:
    """`engine_of` gives the engine of the database that holds a plugin's objects; most are in the same."""

    def __init__(self, engine_of: Callable[[str], AsyncEngine]) -> None:
        self._engine_of = engine_of
        self._books: dict[AsyncEngine, Book] = {}

    def of(self, typ: str) -> Book:
        """Give the book of the database with the objects of a type (or of a plugin)."""
        engine = self._engine_of(typ.partition(".")[0])
        book = self._books.get(engine)
        if book is None:
            book = self._books[engine] = Book(engine)
        return book

    def holds(self, snapshot: Snapshot, subjects: frozenset[str], permission: str) -> bool:
        """Tell whether somebody holds a permission, on some object at least, by rules or by a grant.

        Of grants only what is remembered counts: see `overview`. Raises `UnknownPermission`.
        """
        return snapshot.holds(subjects, permission) or (
            self.granted(snapshot, subjects, permission) and snapshot.holds_granted(subjects, permission)
        )

    def granted(self, snapshot: Snapshot, subjects: frozenset[str], permission: str) -> bool:
        """Tell whether it is granted on some object, as far as is remembered."""
        known = self.of(permission).known(snapshot.closure(subjects)) or NONE
        return bool(known.names) and not known.names.isdisjoint(snapshot.catalogue.granting(permission))

    async def overview(self, book: Book, subjects: frozenset[str]) -> Overview:
        """Give what is remembered of somebody's grants in one database, or find it out."""
        known = book.known(subjects)
        if known is None:
            async with book.engine.connect() as connection:
                known = await book.overview(connection, subjects)
        return known
