"""The plugins: which there are, their state, why, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_host.sdk.errors import Problem
from plugin_host.sdk.models import METADATA
from plugin_host.sdk.routing import get

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plugin_host.core.standing import HostView
    from plugin_host.plugins.plan import Plan, PlanEntry


def plugin_routes(host: HostView) -> list[Any]:
    """Make the handlers for those who look after the host."""

    @get("/plugins", permission="core.plugins.view")
    async def list_plugins() -> dict[str, Any]:
        """List every plugin that was found, in the order in which they run, then the parked ones."""
        generation = host.standing.generation
        return plugin_list(generation.plan, generation.routes, generation.timings)

    @get("/plugins/{plugin_id:str}", permission="core.plugins.view")
    async def show_plugin(plugin_id: str) -> dict[str, Any]:
        """Show one plugin."""
        generation = host.standing.generation
        entry = generation.plan.entry(plugin_id)
        if entry is None:
            raise Problem(404, "not_found", f"There is no plugin {plugin_id!r}.")
        return plugin_row(entry, generation.routes, generation.timings)

    @get("/plan", permission="core.plugins.view")
    async def show_plan() -> dict[str, Any]:
        """Say what starting now would do."""
        return plan_document(await host.plan())

    return [list_plugins, show_plugin, show_plan]


def plan_document(plan: Plan) -> dict[str, Any]:
    """Give the plan in the shape of the API and of `plugin-host plan --json`."""
    return {"items": list(plan.entries), "next": None}


def plugin_list(
    plan: Plan,
    routes: Mapping[str, Sequence[Any]] | None = None,
    timings: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Give the plugins in the shape of the API and of `plugin-host plugins list --json`."""
    return {"items": [plugin_row(entry, routes, timings) for entry in plan.entries], "next": None}


def plugin_row(
    entry: PlanEntry,
    routes: Mapping[str, Sequence[Any]] | None = None,
    timings: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Give one plugin. `routes`, `tables` and `timings` are null where the plugin was not imported."""
    built = routes is not None and entry.id in routes
    return {
        "id": entry.id,
        "name": entry.name,
        "version": entry.version,
        "state": entry.state,
        "reason": entry.reason,
        "awaiting": [],
        "requires": entry.requires,
        "permissions": entry.permissions,
        "routes": routes[entry.id] if built and routes is not None else None,
        "tables": sorted(name for name in METADATA.tables if name.startswith(f"{entry.id}_")) if built else None,
        "timings": dict(timings[entry.id]) if timings is not None and entry.id in timings else None,
        "source": entry.source,
        "place": entry.place,
    }
