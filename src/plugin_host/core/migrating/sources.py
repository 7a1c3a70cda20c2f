"""Where the revisions of one plugin are, and in which database its tables: also of one that would not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugin_host.migrations.planning import MigrationError

if TYPE_CHECKING:
    from plugin_host.core.planner import Planner
    from plugin_host.database import Database
    from plugin_host.migrations.places import Place
    from plugin_host.migrations.revisions import Source
    from plugin_host.plugins.plan import Plan


@dataclass(frozen=True)
class Home:
    """One plugin, its database, and all that live in it."""

    plugin: str
    database: Database
    source: Source
    sources: tuple[Source, ...]

    @property
    def others(self) -> tuple[str, ...]:
        """The other plugins in the database."""
        return tuple(source.plugin for source in self.sources if source.plugin != self.plugin)


async def homes(planner: Planner) -> list[Home]:
    """Find the home of every plugin that is installed, core first."""
    plan = await planner.plan()
    return [
        Home(source.plugin, place.database, source, place.sources)
        for place in places(planner, plan)
        for source in place.sources
        if source.plugin != "core" or place.database is planner.database
    ]


async def home(planner: Planner, plugin: str) -> Home:
    """Find the home of one plugin. Raises `MigrationError` where none of that id is installed."""
    found = await homes(planner)
    for each in found:
        if each.plugin == plugin:
            return each
    known = ", ".join(each.plugin for each in found)
    raise MigrationError(f"there is no plugin {plugin!r} whose package is here; there are: {known}")


def places(planner: Planner, plan: Plan) -> list[Place]:
    """Say which database holds whose tables, of all that are installed."""
    entries = [entry for entry in plan.entries if entry.id in plan.found]
    return planner.tables.places(plan, entries)
