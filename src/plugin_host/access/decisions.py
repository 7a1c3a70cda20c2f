"""The decisions of one call: one actor, the rules of one moment, one unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import false

from plugin_host.access import filters
from plugin_host.sdk.context import Access
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Select

    from plugin_host.access.catalogue import Entry
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.sdk.context import Actor, UnitOfWork

T = TypeVar("T")
S = TypeVar("S", bound="Select[*tuple[Any, ...]]")


class Decisions(Access):
    """What this actor may do. `asked` tells whether anybody asked: the gate wants to know.

    Every method raises `UnknownPermission` for a name that no active plugin declares. A permission of object
    scope is asked with a row of its class, else `TypeError` says which. One of type scope holds for all rows
    alike: it may be asked with a row, which then makes no difference.

    `within` are the permissions that the plugin that asks may use on somebody's behalf: what it was not given
    nobody may do through it. None: no bounds, for the host itself.
    """

    __slots__ = ("_actor", "_snapshot", "_unit", "_within", "asked")

    def __init__(
        self, actor: Actor, snapshot: Snapshot, unit: UnitOfWork, within: Collection[str] | None = None
    ) -> None:
        self._actor = actor
        self._snapshot = snapshot
        self._unit = unit
        self._within = within
        self.asked = False

    async def can(self, permission: str, obj: object | None = None) -> bool:
        """Tell whether the actor may; with object scope `obj` is the row that is asked about."""
        self.asked = True
        return self._may(self._snapshot.catalogue.entry(permission), obj)

    async def require(self, permission: str, obj: object | None = None) -> None:
        """Go on only if the actor may: otherwise `Problem` 403, or 404 if `obj` may not even be seen.

        Nobody in particular gets 401: signing in may help.
        """
        if not await self.can(permission, obj):
            if not self._actor.signed_in:
                raise Problem(401, "not_signed_in", "Sign in first.")
            raise _forbidden(permission) if obj is None or self._seen(obj) else _not_found()

    async def get(self, model: type[T], id: str, permission: str) -> T:  # noqa: A002 - the contract's name
        """Load the row by its key: 404 if it is not there or may not be seen, else 403 if it may not be done.

        A row that may not be seen is not handed out, whatever else may be done with it: let permissions imply
        `<id>.<object>.view`. Where no such permission is declared, every row may be seen.
        """
        self.asked = True
        entry = self._snapshot.catalogue.entry(permission)
        if entry.of_objects:
            _check_class(entry, model)
        row = await self._unit.session.get(model, id)
        if row is None or not self._seen(row):
            raise _not_found()
        if not self._may(entry, row):
            raise _forbidden(permission)
        return row

    async def can_many(self, permission: str, objs: Sequence[object]) -> list[bool]:
        """Answer `can` for the rows of a page, in their order."""
        self.asked = True
        entry = self._snapshot.catalogue.entry(permission)
        return [self._may(entry, obj) for obj in objs]

    def permitted(self, statement: S, permission: str) -> S:
        """Limit a select to the rows for which the actor holds the permission, see `filters.permitted`."""
        self.asked = True
        limited = filters.permitted(statement, self._snapshot, self._actor, permission)
        return limited if self._reaches(permission) else limited.where(false())

    def _reaches(self, permission: str) -> bool:
        return self._within is None or permission in self._within

    def _may(self, entry: Entry, obj: object | None) -> bool:
        if not entry.of_objects:
            return self._reaches(entry.name) and self._snapshot.holds(self._actor.subjects, entry.name)
        _check_object(entry, obj)
        return self._reaches(entry.name) and self._snapshot.judge(self._actor.subjects, entry.name, obj, self._actor)

    def _seen(self, row: object) -> bool:
        view = f"{_kind(row)}.view"
        catalogue = self._snapshot.catalogue
        return view not in catalogue or self._may(catalogue.entry(view), row)


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


def _forbidden(permission: str) -> Problem:
    return Problem(403, "forbidden", f"This needs the permission {permission}.")


def _not_found() -> Problem:
    return Problem(404, "not_found", "There is no such object, or none that you may see.")
