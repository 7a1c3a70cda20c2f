"""Plans and plugins in the shape of the API: what the commands print with `--json` as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_host.sdk.models import METADATA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plugin_host.plugins.plan import Plan, PlanEntry


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
        "awaiting": entry.awaiting,
        "requires": entry.requires,
        "permissions": entry.permissions,
        "routes": routes[entry.id] if built and routes is not None else None,
        "tables": sorted(name for name in METADATA.tables if name.startswith(f"{entry.id}_")) if built else None,
        "timings": dict(timings[entry.id]) if timings is not None and entry.id in timings else None,
        "source": entry.source,
        "place": entry.place,
        "dependents": entry.dependents,
        "restart_needed": entry.restart_needed,
    }
