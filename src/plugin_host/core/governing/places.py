"""Where grants are: beside the objects, in the database of the plugin that owns them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from plugin_host.access.tables import Grant
from plugin_host.core.governing.grants import Place
from plugin_host.core.lists import wrong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.standing import HostView
    from plugin_host.sdk.context import Actor
    from plugin_host.sdk.listing import Listing

_SEARCH: Final = [Grant.subject, Grant.object]
_SORT: Final = [Grant.id, Grant.subject, Grant.object, Grant.given_at, Grant.until]
_FILTERS: Final = [Grant.subject, Grant.object, Grant.effect, Grant.given_by]


class Places:
    """Finds the database that a grant is in, or is to be in: that of the plugin whose object it is about.

    Where it is another one than the host's own, it is kept there first, and then written down in the host's: of the
    two commits the second may fail, and then there is a grant that the audit log does not know of, never the reverse.
    """

    def __init__(self, host: HostView) -> None:
        self._host = host

    @contextlib.asynccontextmanager
    async def of(self, permission: str, actor: Actor, here: Place) -> AsyncIterator[Place]:
        """Give the place of the objects of a permission; what is done there is kept at the end of the block."""
        plugin = permission.partition(".")[0]
        if plugin not in self._host.databases.separate or plugin not in self._host.standing.generation.apps:
            yield here
            return
        async with self._host.work(actor, plugin=plugin) as work:
            yield Place(work.db, work.access)

    @contextlib.asynccontextmanager
    async def of_grant(self, grant_id: str, actor: Actor, here: Place) -> AsyncIterator[Place]:
        """Give the place where a grant is; where there is none, that of the host."""
        if await here.db.scalar(select(Grant.id).where(Grant.id == grant_id)) is None:
            for plugin in sorted(self._host.databases.separate & self._host.standing.generation.apps.keys()):
                async with self._host.work(actor, plugin=plugin) as work:
                    if await work.db.scalar(select(Grant.id).where(Grant.id == grant_id)) is not None:
                        yield Place(work.db, work.access)
                        return
        yield here

    async def rows(self, listing: Listing, db: AsyncSession) -> tuple[list[Grant], str | None]:
        """Give a page of grants. Its cursor says in which database it goes on, if there are several."""
        query, wanted = select(Grant), listing.filters.pop("plugin", None)
        permission = listing.filters.pop("permission", None)
        if permission is not None:
            typ, _, act = permission.rpartition(".")
            query = query.where(Grant.typ == typ, Grant.act == act)
            wanted = wanted or permission.partition(".")[0]
        separate = sorted(self._host.databases.separate & self._host.standing.generation.apps.keys())
        if wanted is not None:
            query = query.where(Grant.typ.startswith(f"{wanted}.", autoescape=True))
            separate = [wanted] if wanted in separate else []
        stops = separate if wanted in separate else ["", *separate]
        number = self._stop(listing, len(stops))
        rows, more = await self._page(listing, query, db, stops[number])
        if more is None and number + 1 < len(stops):
            return rows, f"{number + 1}."
        return rows, more if more is None or len(stops) == 1 else f"{number}.{more}"

    async def _page(
        self, listing: Listing, query: Any, db: AsyncSession, plugin: str
    ) -> tuple[list[Grant], str | None]:
        if not plugin:
            return await listing.rows(db, query, search=_SEARCH, sort=_SORT, filters=_FILTERS)
        unit = self._host.databases.of(plugin).unit(write=False)
        try:
            return await listing.rows(unit.session, query, search=_SEARCH, sort=_SORT, filters=_FILTERS)
        finally:
            await unit.close()

    @staticmethod
    def _stop(listing: Listing, count: int) -> int:
        """Say in which of the databases the cursor goes on, and leave the cursor of that one."""
        if listing.cursor is None or count == 1:
            return 0
        number, dot, rest = listing.cursor.partition(".")
        if not dot or not number.isdecimal() or not number.isascii() or int(number[:9]) >= count:
            raise wrong("cursor", "not a cursor of this list; start again without it")
        listing.cursor = rest or None
        return int(number)
