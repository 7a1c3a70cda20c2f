"""Questions about the policy: may somebody, why, and who may. Asked of what stands now; nothing is written.

Objects are looked up in the database of the plugin that owns them, each in a short transaction of its own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from plugin_host.access.comparing import who_can
from plugin_host.access.decisions import Decisions
from plugin_host.access.members import memberships_of
from plugin_host.auth.people import ACTIVE, People
from plugin_host.auth.tables import User
from plugin_host.core.governing.naming import named_group, named_user
from plugin_host.core.lists import wrong
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.standing import HostView
    from plugin_host.sdk.context import Users
    from plugin_host.sdk.explanation import Explanation

_AT_ONCE = 500


class HolderOut(msgspec.Struct, frozen=True):
    """Somebody who may, and through which groups and roles; `through` is empty for what was given to them by name."""

    id: str
    username: str
    display: str
    through: list[str]


class Asking:
    """Asks what stands now; `users` are the people."""

    def __init__(self, host: HostView, users: Users) -> None:
        self._host = host
        self._users = users

    async def somebody(self, db: AsyncSession, who: str) -> Actor:
        """Give an actor by user name or id; also `user:<…>`, `group:<…>` and `role:<…>`. Raises `Problem` 404."""
        kind, colon, name = who.partition(":")
        if colon and kind == "role":
            if name not in self._host.standing.snapshot.role_names:
                raise Problem(404, "not_found", f"There is no role {name[:200]!r}.")
            return Actor("", who, who, roles=(name,), subjects=frozenset({who}))
        if colon and kind == "group":
            group = await named_group(db, name)
            return Actor("", who, group.name, groups=(group.id,), subjects=frozenset({f"group:{group.id}"}))
        named = name if colon and kind == "user" else who
        if isinstance(self._users, People):
            user = await named_user(db, self._users, named)
            user_id, username, display = user.id, user.username, user.display
        else:
            record = (await self._users.get([named])).get(named)
            if record is None:
                raise Problem(404, "not_found", f"There is no user {named[:200]!r}.")
            user_id, username, display = record.id, record.username, record.display
        known = await memberships_of(db, user_id)
        return Actor(user_id, username, display, roles=known.roles, groups=known.groups)

    @contextlib.asynccontextmanager
    async def decisions(self, actor: Actor, plugin: str) -> AsyncIterator[tuple[Decisions, AsyncSession]]:
        """Give the decisions of somebody where the objects of a plugin are, and a session there."""
        standing = self._host.standing
        active = plugin in standing.generation.apps
        unit = (self._host.databases.of(plugin) if active else self._host.database).unit(write=False)
        within = None if actor.scopes is None else standing.within(actor.scopes)
        books = standing.books
        await books.overview(books.of(plugin), standing.snapshot.closure(actor.subjects))
        try:
            made = Decisions(actor, lambda: standing.snapshot, unit, within, books=books, at_home=plugin)
            yield made, unit.session
        finally:
            await unit.close()

    async def may(self, actor: Actor, questions: Sequence[tuple[str, str | None]]) -> list[bool]:
        """Answer questions: permission and object, or None for "on some object at least".

        An unknown permission or object is a no, as it is to whoever may not see it.
        """
        standing = self._host.standing
        opened: dict[str, Decisions] = {}
        async with contextlib.AsyncExitStack() as stack:
            answers = []
            for permission, object_id in questions:
                if permission not in standing.snapshot.catalogue:
                    answers.append(False)
                    continue
                plugin = permission.partition(".")[0]
                if plugin not in opened:
                    opened[plugin], _ = await stack.enter_async_context(self.decisions(actor, plugin))
                answers.append(await self._may(opened[plugin], actor, permission, object_id))
        return answers

    async def _may(self, decisions: Decisions, actor: Actor, permission: str, object_id: str | None) -> bool:
        standing = self._host.standing
        model = standing.objects.get(permission.rpartition(".")[0])
        if object_id is None or model is None:
            return standing.may(actor, permission)
        try:
            await decisions.get(model, object_id, permission)
        except Problem:
            return False
        return True

    async def explain(self, actor: Actor, permission: str, object_id: str | None) -> Explanation:
        """Say whether somebody may, and why. Raises `Problem` 404 for an object that is not there."""
        async with self.decisions(actor, permission.partition(".")[0]) as (decisions, db):
            row = await self._row(db, permission, object_id)
            return await decisions.explain(permission, row)

    async def who_can(
        self, db: AsyncSession, permission: str, object_id: str | None, limit: int, cursor: str | None = None
    ) -> tuple[list[HolderOut], str | None]:
        """Give the people who may, by user name, `limit` at a time; `cursor` is the user name to go on behind.

        Raises `Problem` 422 for a permission that is not there, 404 for an object that is not.
        """
        snapshot = self._host.standing.snapshot
        if permission not in snapshot.catalogue:
            near = snapshot.catalogue.nearest(permission)
            hint = f"; did you mean {near!r}?" if near else ""
            raise wrong("permission", f"there is no permission {permission[:200]!r}{hint}")
        nobody = Actor("", "", "", kind="anonymous")
        async with self.decisions(nobody, permission.partition(".")[0]) as (_, there):
            await self._row(there, permission, object_id)
            ids = await who_can(db, snapshot, permission, object=object_id, grants=there)
        found: list[HolderOut] = []
        for user_id, username, display in await self._people(db, ids):
            if cursor is not None and (username.casefold(), username) <= (cursor.casefold(), cursor):
                continue
            if len(found) == limit:
                return found, found[-1].username
            known = await memberships_of(db, user_id)
            actor = Actor(user_id, username, display, roles=known.roles, groups=known.groups)
            why = await self.explain(actor, permission, object_id)
            if why.allowed:
                found.append(HolderOut(user_id, username, display, list(why.path[1:])))
        return found, None

    async def _row(self, db: AsyncSession, permission: str, object_id: str | None) -> object | None:
        kind = permission.rpartition(".")[0]
        model = self._host.standing.objects.get(kind)
        if object_id is None or model is None:
            return None
        row = await db.get(model, object_id)
        if row is None:
            raise Problem(404, "not_found", f"There is no {kind} with the id {object_id[:200]!r}.")
        return row

    async def _people(self, db: AsyncSession, ids: Collection[str]) -> Sequence[tuple[str, str, str]]:
        """Give those of these people who can sign in, by user name."""
        found: list[tuple[str, str, str]] = []
        ordered = sorted(ids)
        for start in range(0, len(ordered), _AT_ONCE):
            some = ordered[start : start + _AT_ONCE]
            if isinstance(self._users, People):
                asked = select(User.id, User.username, User.display).where(User.id.in_(some), User.status == ACTIVE)
                found += [(each.id, each.username, each.display) for each in await db.execute(asked)]
            else:
                found += [(each.id, each.username, each.display) for each in (await self._users.get(some)).values()]
        return sorted(found, key=lambda each: (each[1].casefold(), each[1]))
