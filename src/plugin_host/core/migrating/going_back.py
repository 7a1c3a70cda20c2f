"""The ways out that an operator says: go back, say how an unfinished revision stands, take tables over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plugin_host.core.migrating.sources import home
from plugin_host.migrations import resolving
from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.revisions import revision_files
from plugin_host.migrations.runner import Runner
from plugin_host.migrations.schedule import revision_id, revision_number
from plugin_host.migrations.scratch import wanted_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.core.migrating.sources import Home
    from plugin_host.core.planner import Planner
    from plugin_host.migrations.resolving import Descent


async def goes_back(planner: Planner, plugin: str, to: str) -> bool:
    """Tell whether a revision lies before the one where the tables of a plugin stand."""
    where = await home(planner, plugin)
    head = (await asyncio.to_thread(Runner(where.database).state)).get(plugin)
    if head is None:
        return False
    at = revision_number(head.revision)
    most = max(at, len(revision_files(where.source)))
    return resolving.target_number(plugin, to, most) < at


async def preview(planner: Planner, plugin: str, to: str) -> Descent:
    """Say what going back would take away. Raises `MigrationError` where it cannot be done."""
    where = await home(planner, plugin)
    return await asyncio.to_thread(resolving.preview_descent, where.database, where.source, to, where.others)


async def go_back(planner: Planner, plugin: str, to: str, progress: Callable[[str], None]) -> tuple[str, ...]:
    """Take revisions back, newest first, and name them. Raises `MigrationError` for the first that fails."""
    where = await home(planner, plugin)
    return await asyncio.to_thread(resolving.descend, where.database, where.source, to, where.others, progress=progress)


async def resolve(planner: Planner, plugin: str, *, applied: bool) -> str:
    """Say of a revision that was not finished that it is done, or is to be tried again; gives the revision."""
    where = await home(planner, plugin)
    return await asyncio.to_thread(resolving.resolve, where.database, where.source, applied=applied)


async def adopt(planner: Planner, plugin: str, at: str) -> str:
    """Write down that tables which are there without a ledger are what a revision makes; gives the revision."""
    where = await home(planner, plugin)
    return await asyncio.to_thread(_adopt, where, at)


def _adopt(where: Home, at: str) -> str:
    number = resolving.target_number(where.plugin, at, len(revision_files(where.source)))
    if number == 0:
        raise MigrationError(f"name the revision that made the tables: --at {revision_id(where.plugin, 1)}")
    wanted = wanted_shape(where.database, where.sources, where.plugin, str(number))
    return resolving.adopt(where.database, where.source, at, wanted)
