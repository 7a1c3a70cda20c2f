"""The decisions of one call: one actor, the rules as they stand, one unit of work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import false

from plugin_host.access import filters
from plugin_host.access.book import NONE
from plugin_host.access.judge import ANY
from plugin_host.database.revision import BUMPED
from plugin_host.sdk.context import Access
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Select

    from plugin_host.access.book import Book, Found, Overview
    from plugin_host.access.books import Books
    from plugin_host.access.catalogue import Entry
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.sdk.context import Actor, UnitOfWork

T = TypeVar("T")
S = TypeVar("S", bound="Select[*tuple[Any, ...]]")

OLD: Final = 0.1
"""Seconds after which a call asks again whether the rules have moved: a conversation may last for hours."""

_PASSED: Final = 10_000


class Decisions(Access):
    """What this actor may do. `asked` tells whether anybody asked: the gate wants to know.

    Every method raises `UnknownPermission` for a name that no active plugin declares. A permission of object
    scope is asked with a row of its class, else `TypeError` says which. One of type scope holds for all rows
    alike: it may be asked with a row, which then makes no difference.

    `standing` gives the rules as they stand. `within` are the permissions that the plugin that asks may use on
    somebody's behalf: what it was not given nobody may do through it. None: no bounds, for the host itself.
    `books` know of grants on single objects, `at_home` is the type (or plugin) whose objects are in the unit's own
    database. `refresh` sees that the rules and books are as new as the databases are.
    """

    __slots__ = (
        "_actor",
        "_at_home",
        "_books",
        "_refresh",
        "_seen",
        "_standing",
        "_unit",
        "_within",
        "asked",
        "passed",
    )

    def __init__(  # noqa: PLR0913 - what a decision depends on, by name
        self,
        actor: Actor,
        standing: Callable[[], Snapshot],
        unit: UnitOfWork,
        within: Collection[str] | None = None,
        *,
        books: Books | None = None,
        at_home: str = "",
        refresh: Callable[[], Awaitable[None]] | None = None,
        seen: float = 0.0,
    ) -> None:
        self._actor = actor
        self._standing = standing
        self._unit = unit
        self._within = within
        self._books = books
        self._at_home = at_home
        self._refresh = refresh
        self._seen = seen
        self.asked = False
        self.passed: list[tuple[str, object | None]] = []
        """What was allowed: permission and row, the latest `10,000`."""

    async def can(self, permission: str, obj: object | None = None) -> bool:
        """Tell whether the actor may; with object scope `obj` is the row that is asked about."""
        self.asked = True
        await self._look_up()
        snapshot = self._standing()
        entry = snapshot.catalogue.entry(permission)
        if not entry.of_objects:
            return self._pass(permission, obj) if self._may(snapshot, entry) else False
        _check_object(entry, obj)
        (may,) = await self._judge(snapshot, entry, [obj])
        return self._pass(permission, obj) if may else False

    async def require(self, permission: str, obj: object | None = None) -> None:
        """Go on only if the actor may: otherwise `Problem` 403, or 404 if `obj` may not even be seen.

        Nobody in particular gets 401: signing in may help.
        """
        if not await self.can(permission, obj):
            if not self._actor.signed_in:
                raise Problem(401, "not_signed_in", "Sign in first.")
            raise forbidden(permission) if obj is None or await self._seen_by_actor(obj) else _not_found()

    async def get(self, model: type[T], id: str, permission: str) -> T:  # noqa: A002 - the contract's name
        """Load the row by its key: 404 if it is not there or may not be seen, else 403 if it may not be done.

        A row that may not be seen is not handed out, whatever else may be done with it: let permissions imply
        `<id>.<object>.view`. Where no such permission is declared, every row may be seen.
        """
        self.asked = True
        entry = self._standing().catalogue.entry(permission)
        if entry.of_objects:
            _check_class(entry, model)
        row = await self._unit.session.get(model, id)
        if row is None or not await self._seen_by_actor(row):
            raise _not_found()
        if not await self.can(permission, row):
            raise forbidden(permission)
        return row

    async def can_many(self, permission: str, objs: Sequence[object]) -> list[bool]:
        """Answer `can` for the rows of a page, in their order: their grants come in one query."""
        self.asked = True
        await self._look_up()
        snapshot = self._standing()
        entry = snapshot.catalogue.entry(permission)
        if not entry.of_objects:
            return [self._may(snapshot, entry)] * len(objs)
        for obj in objs:
            _check_object(entry, obj)
        return await self._judge(snapshot, entry, objs)

    def permitted(self, statement: S, permission: str) -> S:
        """Limit a select to the rows for which the actor holds the permission, see `filters.permitted`."""
        self.asked = True
        snapshot = self._standing()
        known: Overview | None = NONE
        if self._books is not None:
            book = self._books.of(permission)
            known = None if self._has_changed() else book.known(snapshot.closure(self._actor.subjects))
        limited = filters.permitted(statement, snapshot, snapshot.effective(self._actor), permission, known)
        return limited if self._reaches(permission) else limited.where(false())

    async def recheck(self, actor: Actor) -> bool:
        """Tell whether all that was allowed in this call is still allowed, to whoever the actor is by now."""
        self._actor = actor
        for permission, obj in list(self.passed):
            if not await self.can(permission, obj):
                return False
        return True

    # -- how -----------------------------------------------------------------------------------------------------

    async def _look_up(self) -> None:
        """See that the rules are of now: a request has done so when it came in."""
        if self._refresh is not None and time.monotonic() - self._seen > OLD:
            await self._refresh()
            self._seen = time.monotonic()

    def _pass(self, permission: str, obj: object | None) -> bool:
        if len(self.passed) < _PASSED:
            self.passed.append((permission, obj))
        return True

    def _reaches(self, permission: str) -> bool:
        return self._within is None or permission in self._within

    def _may(self, snapshot: Snapshot, entry: Entry) -> bool:
        if not self._reaches(entry.name):
            return False
        if self._books is None:
            return snapshot.holds(self._actor.subjects, entry.name)
        return self._books.holds(snapshot, self._actor.subjects, entry.name)

    async def _judge(self, snapshot: Snapshot, entry: Entry, objs: Sequence[Any]) -> list[bool]:
        if not self._reaches(entry.name):
            return [False] * len(objs)
        actor = snapshot.effective(self._actor)
        granted = await self._granted(snapshot, entry, objs)
        nothing: frozenset[tuple[str, str]] = frozenset()
        return [
            snapshot.judge(actor.subjects, entry.name, obj, actor, granted.get(getattr(obj, "id", None), nothing))
            for obj in objs
        ]

    async def _granted(
        self, snapshot: Snapshot, entry: Entry, objs: Iterable[Any]
    ) -> Mapping[Any, frozenset[tuple[str, str]]]:
        """Give what is granted and denied of a permission on objects, by their ids."""
        ids = {id_ for obj in objs if isinstance(id_ := getattr(obj, "id", None), str)}
        if self._books is None or not ids:
            return {}
        book, keep = self._books.of(entry.typ), not self._has_changed()
        subjects = snapshot.closure(self._actor.subjects)
        acts = snapshot.catalogue.acts(entry.name)
        if keep:
            known = book.known(subjects)
            if known is None:
                known = await self._books.overview(book, subjects)
            allowing, _ = known.of(entry.typ, acts, "allow")
            denying, _ = known.of(entry.typ, (entry.act, ANY), "deny")
            subjects = allowing | denying
            if not subjects:
                return {}
        found = await self._look(book, subjects, entry.typ, ids, keep=keep)
        return {id_: _effects(some, acts, entry.act) for id_, some in found.items()}

    async def _look(
        self, book: Book, subjects: frozenset[str], typ: str, ids: set[str], *, keep: bool
    ) -> Mapping[str, tuple[Found, ...]]:
        if self._books is not None and book is self._books.of(self._at_home):
            return await book.on(self._unit.session, subjects, typ, ids, keep=keep)
        async with book.engine.connect() as connection:
            return await book.on(connection, subjects, typ, ids)

    def _has_changed(self) -> bool:
        """Tell whether this unit has changed grants or rules itself: then nothing remembered is true in it."""
        return self._unit.opened and "policy" in self._unit.session.info.get(BUMPED, ())

    async def _seen_by_actor(self, row: object) -> bool:
        view = f"{_kind(row)}.view"
        snapshot = self._standing()
        if view not in snapshot.catalogue:
            return True
        entry = snapshot.catalogue.entry(view)
        if not entry.of_objects:
            return self._may(snapshot, entry)
        (seen,) = await self._judge(snapshot, entry, [row])
        return seen


def _effects(found: Iterable[Found], acts: Collection[str], act: str) -> frozenset[tuple[str, str]]:
    denying = (act, ANY)
    return frozenset(
        (each.subject, each.effect) for each in found if each.act in (acts if each.effect == "allow" else denying)
    )


def _kind(row: object) -> str | None:
    return getattr(type(row), "__object__", None)


def _check_object(entry: Entry, obj: object | None) -> None:
    if obj is None:
        raise TypeError(
            f"{entry.name!r} has object scope: ask with the row that is meant, a row of the class with "
            f"__object__ = {entry.typ!r}, as in `can({entry.name!r}, row)`"
        )
    _check_class(entry, type(obj))


def _check_class(entry: Entry, cls: type[Any]) -> None:
    if getattr(cls, "__object__", None) != entry.typ:
        raise TypeError(
            f"{entry.name!r} is asked of rows of the class with __object__ = {entry.typ!r}, not of {cls.__name__}"
        )


def forbidden(permission: str) -> Problem:
    """Make the refusal of something that may be seen."""
    return Problem(403, "forbidden", f"This needs the permission {permission}.")


def _not_found() -> Problem:
    return Problem(404, "not_found", "There is no such object, or none that you may see.")
