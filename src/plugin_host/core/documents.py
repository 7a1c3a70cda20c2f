"""Plans and plugins in the shape of the API: what the commands print with `--json` as well."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from plugin_host.sdk.models import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plugin_host.plugins.plan import Plan, PlanEntry


def _no_account(_plugin: str) -> None:
    return None


def plan_document(plan: Plan) -> dict[str, Any]:
    """Give the plan in the shape of the API and of `plugin-host plan --json`."""
    return {"items": list(plan.entries), "next": None}


def plugin_list(
    plan: Plan,
    routes: Mapping[str, Sequence[Any]] | None = None,
    timings: Mapping[str, Mapping[str, float]] | None = None,
    accounts: Callable[[str], dict[str, Any] | None] = _no_account,
    sizes: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Give the plugins in the shape of the API and of `plugin-host plugins list --json`."""
    rows = [plugin_row(entry, routes, timings, accounts(entry.id), sizes.get(entry.id)) for entry in plan.entries]
    return {"items": rows, "next": None}


def plugin_row(
    entry: PlanEntry,
    routes: Mapping[str, Sequence[Any]] | None = None,
    timings: Mapping[str, Mapping[str, float]] | None = None,
    account: dict[str, Any] | None = None,
    size: Any = None,
) -> dict[str, Any]:
    """Give one plugin. `routes`, `tables` and `timings` are null where the plugin was not imported.

    `account` is what it took (see `Supervisor.accounting`); `size` is what its tables hold, where that was looked up.
    """
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
        "isolation": entry.isolation,
        "dependents": entry.dependents,
        "restart_needed": entry.restart_needed,
        "account": account,
        "slow": account["slow"] if account is not None else [],
        "size": size,
    }
