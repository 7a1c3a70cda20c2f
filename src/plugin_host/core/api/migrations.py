"""Migrations, for those who look after the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_host.core.migrating.telling import Migrations
from plugin_host.sdk.routing import get

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView


def migration_routes(host: HostView) -> list[Any]:
    """Make the handler."""

    @get("/migrations", permission="core.plugins.view")
    async def show_migrations() -> Migrations:
        """Show where the tables of each plugin stand, what waits, and whose tables are here without a package."""
        return await host.migrations()

    return [show_migrations]
