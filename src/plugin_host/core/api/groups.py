"""Groups of people, who have roles and objects together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.tables import Group
from plugin_host.core.api.policy import Grounds, GroupAnswer, PolicyPage, answer, revision_of
from plugin_host.core.governing.groups import (
    GroupChange,
    GroupIn,
    drop_group,
    edit_group,
    make_group,
    show_group,
    show_groups,
)
from plugin_host.core.governing.shapes import GroupOut
from plugin_host.sdk.context import Actor
from plugin_host.sdk.listing import Listing
from plugin_host.sdk.routing import delete, get, patch, post

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView

MANAGE = "core.users.manage"


def group_routes(host: HostView, grounds: Grounds) -> list[Any]:
    """Make the handlers of groups, for those who manage people."""

    @get("/groups", permission=MANAGE)
    async def list_groups(listing: Listing, db: AsyncSession) -> PolicyPage[GroupOut]:
        """List the groups."""
        revision = await revision_of(host, db)
        rows, more = await listing.rows(
            db, select(Group), search=[Group.name], sort=[Group.name, Group.created_at], filters=[Group.name]
        )
        return PolicyPage(await show_groups(db, rows), more, revision)

    @get("/groups/{group_id:str}", permission=MANAGE)
    async def get_group(group_id: str, db: AsyncSession) -> GroupAnswer:
        """Show one group."""
        revision = await revision_of(host, db)
        return answer(await show_group(db, group_id), GroupAnswer, revision)

    @post("/groups", permission=MANAGE)
    async def create_group(data: GroupIn, actor: Actor, db: AsyncSession) -> GroupAnswer:
        """Make a group; what its roles give you must hold yourself."""
        authority = await grounds.open(db, actor)
        made = await make_group(authority, data)
        await authority.close()
        return answer(made, GroupAnswer, authority.revision)

    @patch("/groups/{group_id:str}", permission=MANAGE)
    async def update_group(group_id: str, data: GroupChange, actor: Actor, db: AsyncSession) -> GroupAnswer:
        """Change a group: its name, its members, its roles."""
        authority = await grounds.open(db, actor)
        changed = await edit_group(authority, group_id, data)
        await authority.close()
        return answer(changed, GroupAnswer, authority.revision)

    @delete("/groups/{group_id:str}", permission=MANAGE)
    async def delete_group(group_id: str, actor: Actor, db: AsyncSession) -> None:
        """Delete a group with all that it was given."""
        authority = await grounds.open(db, actor)
        await drop_group(authority, group_id)
        await authority.close()

    return [list_groups, get_group, create_group, update_group, delete_group]
