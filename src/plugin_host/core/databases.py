"""The host's databases, as the settings and the manifests of the plugins say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from plugin_host.database import Address, Database, Databases, PoolLimits

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from plugin_host.plugins.plan import Plan
    from plugin_host.settings import Settings


def host_database(settings: Settings, engine: AsyncEngine | None = None) -> Database:
    """Name the host's own database; `engine` is one that an embedding application already has."""
    return Database(settings.database_url, schema=settings.schema, engine=engine, pool=_pool(settings))


def all_databases(settings: Settings, default: Database) -> Databases:
    """Name every database that the host may have: its own, and those of plugins."""
    addresses = {plugin: Address(own.url, own.schema) for plugin, own in settings.databases.items()}
    return Databases(default, folder=Path(settings.data_dir), addresses=addresses, pool=_pool(settings))


def separate_in(plan: Plan) -> frozenset[str]:
    """Name the plugins of a plan whose manifest says that they have a database of their own."""
    return frozenset(
        plugin
        for plugin, found in plan.found.items()
        if found.manifest is not None and found.manifest.data.database == "own"
    )


def _pool(settings: Settings) -> PoolLimits:
    return PoolLimits(settings.pool.size, settings.pool.overflow, settings.pool.timeout)
