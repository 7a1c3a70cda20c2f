"""Grants on single objects, wherever the plugin that owns them keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.grants import find_grant
from plugin_host.core.api.policy import MANAGE, GrantAnswer, Grounds, PolicyPage, answer, revision_of
from plugin_host.core.governing.grants import (
    GrantChange,
    GrantIn,
    Place,
    drop_grant,
    edit_grant,
    grant_out,
    make_grant,
)
from plugin_host.core.governing.places import Places
from plugin_host.core.governing.shapes import GrantOut
from plugin_host.sdk.context import Access, Actor
from plugin_host.sdk.listing import Listing
from plugin_host.sdk.routing import delete, get, patch, post

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView


def grant_routes(host: HostView, grounds: Grounds) -> list[Any]:
    """Make the handlers of grants."""
    places = Places(host)

    @get("/grants", permission=MANAGE)
    async def list_grants(listing: Listing, db: AsyncSession) -> PolicyPage[GrantOut]:
        """List the grants: of one plugin with `plugin=`, of one permission with `permission=`, else of every database.

        A page ends where a database does: it may be shorter than `limit`, and `next` says whether it was the last.
        """
        revision = await revision_of(host, db)
        rows, more = await places.rows(listing, db)
        return PolicyPage([grant_out(row) for row in rows], more, revision)

    @get("/grants/{grant_id:str}", permission=MANAGE)
    async def get_grant(grant_id: str, actor: Actor, access: Access, db: AsyncSession) -> GrantAnswer:
        """Show one grant."""
        revision = await revision_of(host, db)
        async with places.of_grant(grant_id, actor, Place(db, access)) as place:
            return answer(grant_out(await find_grant(place.db, grant_id)), GrantAnswer, revision)

    @post("/grants", permission=MANAGE)
    async def create_grant(data: GrantIn, actor: Actor, access: Access, db: AsyncSession) -> GrantAnswer:
        """Give, or deny, somebody a permission that you hold yourself on one object."""
        authority = await grounds.open(db, actor)
        async with places.of(data.permission, actor, Place(db, access)) as place:
            made = await make_grant(authority, place, data)
        return answer(made, GrantAnswer, authority.revision)

    @patch("/grants/{grant_id:str}", permission=MANAGE)
    async def update_grant(
        grant_id: str, data: GrantChange, actor: Actor, access: Access, db: AsyncSession
    ) -> GrantAnswer:
        """Change whether a grant allows or denies, or when it ends."""
        authority = await grounds.open(db, actor)
        async with places.of_grant(grant_id, actor, Place(db, access)) as place:
            changed = await edit_grant(authority, place, grant_id, data)
        return answer(changed, GrantAnswer, authority.revision)

    @delete("/grants/{grant_id:str}", permission=MANAGE)
    async def delete_grant(grant_id: str, actor: Actor, access: Access, db: AsyncSession) -> None:
        """Take a grant back."""
        authority = await grounds.open(db, actor)
        async with places.of_grant(grant_id, actor, Place(db, access)) as place:
            await drop_grant(authority, place, grant_id)

    return [list_grants, get_grant, create_grant, update_grant, delete_grant]
