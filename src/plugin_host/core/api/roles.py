"""Roles and permissions: those that plugins bring, and administrators' own roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.tables import KnownPermission
from plugin_host.core.api.policy import MANAGE, Grounds, PolicyPage, RoleAnswer, answer, revision_of
from plugin_host.core.governing.roles import RoleChange, RoleIn, add_role, all_roles, drop_role, edit_role, show_role
from plugin_host.core.governing.shapes import PermissionOut, RoleOut
from plugin_host.core.lists import page_of
from plugin_host.sdk.context import Actor
from plugin_host.sdk.listing import Listing
from plugin_host.sdk.routing import delete, get, patch, post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugin_host.core.standing import HostView, Standing


def role_routes(host: HostView, grounds: Grounds) -> list[Any]:
    """Make the handlers for those who manage access."""

    @get("/roles", permission=MANAGE)
    async def list_roles(listing: Listing, db: AsyncSession) -> PolicyPage[RoleOut]:
        """List the roles of the active plugins and those of administrators, with their permissions and conditions."""
        revision = await revision_of(host, db)
        roles = await all_roles(db, grounds.now())
        items, more = page_of(
            listing, roles, key="name", search=["name", "title"], sort=["title", "plugin"], filters=["name", "plugin"]
        )
        return PolicyPage(items, more, revision)

    @get("/roles/{name:str}", permission=MANAGE)
    async def get_role(name: str, db: AsyncSession) -> RoleAnswer:
        """Show one role."""
        revision = await revision_of(host, db)
        return answer(await show_role(db, grounds.now(), name), RoleAnswer, revision)

    @post("/roles", permission=MANAGE)
    async def create_role(data: RoleIn, actor: Actor, db: AsyncSession) -> RoleAnswer:
        """Make a role of what you hold yourself."""
        authority = await grounds.open(db, actor)
        made = await add_role(authority, data)
        await authority.close()
        return answer(made, RoleAnswer, authority.revision)

    @patch("/roles/{name:str}", permission=MANAGE)
    async def update_role(name: str, data: RoleChange, actor: Actor, db: AsyncSession) -> RoleAnswer:
        """Change a role that an administrator made; everybody who has it has it so from the next request on."""
        authority = await grounds.open(db, actor)
        changed = await edit_role(authority, name, data)
        await authority.close()
        return answer(changed, RoleAnswer, authority.revision)

    @delete("/roles/{name:str}", permission=MANAGE)
    async def delete_role(name: str, actor: Actor, db: AsyncSession) -> None:
        """Delete a role that an administrator made, from everybody who has it."""
        authority = await grounds.open(db, actor)
        await drop_role(authority, name)
        await authority.close()

    return [list_roles, get_role, create_role, update_role, delete_role, _permissions(host)]


def _permissions(host: HostView) -> Any:
    @get("/permissions", permission=MANAGE)
    async def list_permissions(listing: Listing, db: AsyncSession) -> PolicyPage[PermissionOut]:
        """List what the plugins let people do; what plugins did that are not active now is orphaned."""
        revision = await revision_of(host, db)
        active = {each.name: each for each in _active(host.standing)}
        known = (await db.scalars(select(KnownPermission))).all()
        orphans = [_orphan(each) for each in known if each.name not in active]
        items, more = page_of(
            listing,
            [*active.values(), *orphans],
            key="name",
            search=["name", "title"],
            sort=["title", "plugin", "scope"],
            filters=["name", "plugin", "scope", "state"],
        )
        return PolicyPage(items, more, revision)

    return list_permissions


def _active(standing: Standing) -> Iterable[PermissionOut]:
    for plugin, part in standing.generation.declared.items():
        for each in part.permissions:
            yield PermissionOut(each.name, each.title, each.description, each.scope, list(each.implies), plugin)


def _orphan(known: KnownPermission) -> PermissionOut:
    return PermissionOut(known.name, known.title, "", known.scope, [], known.plugin, "orphaned")
