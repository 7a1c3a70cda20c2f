"""The decisions of one call: one actor, the rules as they stand, one unit of work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import false, inspect

from plugin_host.access import filters
from plugin_host.access.book import NONE
from plugin_host.access.explain import explain
from plugin_host.access.grants import give, grants_on, take
from plugin_host.access.lookup import Lookup
from plugin_host.access.sharing import SHARE, check_share, ends_of, invalid, kind_of
from plugin_host.sdk.context import Access, Fields
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.access.book import Found, Overview
    from plugin_host.access.books import Books
    from plugin_host.access.catalogue import Entry
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.access.tables import Grant
    from plugin_host.sdk.context import Actor, UnitOfWork
    from plugin_host.sdk.explanation import Explanation

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
    database. `refresh` sees that the rules and books are as new as the databases are; `tell` writes down what is
    shared.
    """

    __slots__ = (
        "_actor",
        "_grants",
        "_refresh",
        "_seen",
        "_standing",
        "_tell",
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
        tell: Callable[[str, AsyncSession, Grant], Awaitable[None]] | None = None,
    ) -> None:
        self._actor = actor
        self._standing = standing
        self._unit = unit
        self._within = within
        self._grants = None if books is None else Lookup(books, unit, at_home)
        self._refresh = refresh
        self._seen = seen
        self._tell = tell or _nobody
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
            return self._pass(permission, obj) if await self._may(snapshot, entry) else False
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
            return [await self._may(snapshot, entry)] * len(objs)
        for obj in objs:
            _check_object(entry, obj)
        return await self._judge(snapshot, entry, objs)

    def permitted(self, statement: S, permission: str) -> S:
        """Limit a select to the rows for which the actor holds the permission, see `filters.permitted`."""
        self.asked = True
        snapshot = self._standing()
        known: Overview | None = NONE
        if self._grants is not None:
            known = self._grants.known(snapshot.closure(self._actor.subjects), permission)
        limited = filters.permitted(statement, snapshot, snapshot.effective(self._actor), permission, known)
        return limited if self._reaches(permission) else limited.where(false())

    async def fields(self, obj: object) -> Fields:
        """Give the columns that the actor may read and write: all that no permission guards, and those it opens."""
        self.asked = True
        await self._look_up()
        snapshot = self._standing()
        columns = frozenset(inspect(type(obj)).column_attrs.keys())
        guarding = snapshot.catalogue.guarding(kind_of(obj))
        held = [entry for entry in guarding if (await self._judge(snapshot, entry, [obj]))[0]]
        closed_read = {name for entry in guarding for name in entry.reads}
        closed_write = {name for entry in guarding for name in entry.writes}
        return Fields(
            read=columns - (closed_read - {name for entry in held for name in entry.reads}),
            write=columns - (closed_write - {name for entry in held for name in entry.writes}),
        )

    async def share(self, obj: object, with_: str, actions: Sequence[str], until: dt.datetime | None = None) -> None:
        """Let somebody do with the row what the actor may do, see `Access.share`.

        Where the plugin declares the action `share`, the actor needs it too. Whoever was given something until a
        moment gives it until that moment at most.
        """
        names = await self._may_share(obj, with_, actions, until)
        session = self._session(obj)
        for name in names:
            ends = await self._ends(session, name, obj)
            if ends is not None and (until is None or until > ends):
                raise invalid("/until", f"{name} is the actor's only until {ends.isoformat()}: share it no longer")
        for name in names:
            grant = await give(session, with_, name, _id(obj), self._actor.id, until=until)
            await self._tell("created", session, grant)

    async def unshare(self, obj: object, with_: str, actions: Sequence[str]) -> None:
        """Take back what was shared; the actor must be somebody who might share it."""
        names = await self._may_share(obj, with_, actions, None)
        session = self._session(obj)
        acts = [name.rpartition(".")[2] for name in names]
        for grant in await grants_on(session, frozenset({with_}), kind_of(obj), _id(obj)):
            if grant.act in acts and grant.effect == "allow":
                await take(session, grant.id, self._actor.id)
                await self._tell("deleted", session, grant)

    async def explain(self, permission: str, obj: object | None = None) -> Explanation:
        """Say whether the actor may, and why."""
        self.asked = True
        await self._look_up()
        snapshot = self._standing()
        grants: Sequence[Found] = ()
        allowed = False
        if permission in snapshot.catalogue and permission not in snapshot.withheld:
            entry = snapshot.catalogue.entry(permission)
            if obj is not None and entry.of_objects:
                _check_object(entry, obj)
                (allowed,) = await self._judge(snapshot, entry, [obj])
            else:
                obj, allowed = None, await self._may(snapshot, entry)
            if self._grants is not None:
                grants = await self._grants.on(snapshot, snapshot.closure(self._actor.subjects), entry, obj)
        revision = snapshot.policy.revision
        return explain(snapshot, self._actor, permission, obj, grants, allowed=allowed, revision=revision)

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

    async def _may(self, snapshot: Snapshot, entry: Entry) -> bool:
        """Tell whether the actor holds it, on some object at least."""
        if not self._reaches(entry.name):
            return False
        if self._grants is None:
            return snapshot.holds(self._actor.subjects, entry.name)
        await self._grants.learn(snapshot.closure(self._actor.subjects), entry.typ)
        return self._grants.holds(snapshot, self._actor.subjects, entry.name)

    async def _judge(self, snapshot: Snapshot, entry: Entry, objs: Sequence[Any]) -> list[bool]:
        if not self._reaches(entry.name):
            return [False] * len(objs)
        actor = snapshot.effective(self._actor)
        granted: Mapping[object, frozenset[tuple[str, str]]] = {}
        if self._grants is not None:
            granted = await self._grants.effects(snapshot, actor.subjects, entry, objs)
        nothing: frozenset[tuple[str, str]] = frozenset()
        return [
            snapshot.judge(actor.subjects, entry.name, obj, actor, granted.get(getattr(obj, "id", None), nothing))
            for obj in objs
        ]

    async def _may_share(self, obj: object, with_: str, actions: Sequence[str], until: dt.datetime | None) -> list[str]:
        """Give the permissions that are shared; goes on only if the actor holds each."""
        if not self._actor.signed_in:
            raise Problem(401, "not_signed_in", "Sign in first.")
        typ = kind_of(obj)
        catalogue = self._standing().catalogue
        names = check_share(catalogue, typ, with_, actions, until)
        for name in (f"{typ}.{SHARE}", *names):
            if name in catalogue:
                await self.require(name, obj)
        return names

    async def _ends(self, session: AsyncSession, name: str, obj: object) -> dt.datetime | None:
        """Give the moment until which the actor holds it, if only grants allow it and all of them end."""
        snapshot = self._standing()
        actor = snapshot.effective(self._actor)
        if snapshot.judge(actor.subjects, name, obj, actor):
            return None
        found = await grants_on(session, actor.subjects, kind_of(obj), _id(obj))
        return ends_of(found, snapshot.catalogue.acts(name))

    def _session(self, obj: object) -> AsyncSession:
        return self._unit.session if self._grants is None else self._grants.session(kind_of(obj))

    async def _seen_by_actor(self, row: object) -> bool:
        view = f"{_kind(row)}.view"
        snapshot = self._standing()
        if view not in snapshot.catalogue:
            return True
        entry = snapshot.catalogue.entry(view)
        if not entry.of_objects:
            return await self._may(snapshot, entry)
        (seen,) = await self._judge(snapshot, entry, [row])
        return seen


async def _nobody(_what: str, _session: AsyncSession, _grant: Grant) -> None:
    return None


def _id(obj: Any) -> str:
    return str(obj.id)


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
