"""The roles and permissions there are: what an administrator can give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_host.sdk.routing import get

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView


def role_routes(host: HostView) -> list[Any]:
    """Make the handlers for those who manage access."""

    @get("/roles", permission="core.access.manage")
    async def list_roles() -> dict[str, Any]:
        """List the roles of the active plugins, each with its permissions and conditions."""
        found = host.standing.generation.plan.found
        items = [
            {
                "name": role.name,
                "title": role.title,
                "description": role.description,
                "plugin": plugin,
                "grants": [{"permission": grant.permission, "where": grant.where} for grant in role.grants],
            }
            for plugin in host.standing.generation.declared
            for role in found[plugin].permissions.roles
        ]
        return {"items": items, "next": None, "revision": (await host.database.revision()).policy}

    @get("/permissions", permission="core.access.manage")
    async def list_permissions() -> dict[str, Any]:
        """List what the active plugins let people do."""
        items = [
            {
                "name": permission.name,
                "title": permission.title,
                "description": permission.description,
                "scope": permission.scope,
                "implies": permission.implies,
                "plugin": plugin,
            }
            for plugin, part in host.standing.generation.declared.items()
            for permission in part.permissions
        ]
        return {"items": items, "next": None, "revision": (await host.database.revision()).policy}

    return [list_roles, list_permissions]
