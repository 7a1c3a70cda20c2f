"""The plugins: which there are, their state, why, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_host.core.api.fresh import require_fresh
from plugin_host.core.documents import plan_document, plugin_list, plugin_row
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.routing import get, post

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView
    from plugin_host.plugins.plan import Plan


def plugin_routes(host: HostView) -> list[Any]:
    """Make the handlers for those who look after the host."""

    @get("/plugins", permission="core.plugins.view")
    async def list_plugins() -> dict[str, Any]:
        """List every plugin that was found, in the order in which they run, then the parked ones."""
        generation = host.standing.generation
        return plugin_list(generation.plan, generation.routes, generation.timings, host.account, await host.sizes())

    @get("/plugins/{plugin_id:str}", permission="core.plugins.view")
    async def show_plugin(plugin_id: str) -> dict[str, Any]:
        """Show one plugin."""
        generation = host.standing.generation
        entry = generation.plan.entry(plugin_id)
        if entry is None:
            raise Problem(404, "not_found", f"There is no plugin {plugin_id!r}.")
        size = (await host.sizes()).get(plugin_id)
        return plugin_row(entry, generation.routes, generation.timings, host.account(plugin_id), size)

    @get("/plan", permission="core.plugins.view")
    async def show_plan() -> dict[str, Any]:
        """Say what starting now would do."""
        return plan_document(await host.plan())

    @post("/plugins/{plugin_id:str}/enable", permission="core.plugins.manage", status_code=200)
    async def enable_plugin(plugin_id: str, actor: Actor) -> dict[str, Any]:
        """Switch a plugin on, in this and every other process."""
        require_fresh(actor, host.settings)
        return _row(await host.wish(plugin_id, "enabled", actor), plugin_id)

    @post("/plugins/{plugin_id:str}/disable", permission="core.plugins.manage", status_code=200)
    async def disable_plugin(plugin_id: str, actor: Actor) -> dict[str, Any]:
        """Switch a plugin off, in this and every other process; nothing of its data is lost."""
        require_fresh(actor, host.settings)
        return _row(await host.wish(plugin_id, "disabled", actor), plugin_id)

    @post("/plugins/{plugin_id:str}/retry", permission="core.plugins.manage", status_code=200)
    async def retry_plugin(plugin_id: str, actor: Actor) -> dict[str, Any]:
        """Try a plugin again that failed, in this and every other process."""
        require_fresh(actor, host.settings)
        return _row(await host.retry(plugin_id, actor), plugin_id)

    @post("/plugins/{plugin_id:str}/consent", permission="core.plugins.manage", status_code=200)
    async def consent_to_plugin(plugin_id: str, actor: Actor) -> dict[str, Any]:
        """Approve of all that a plugin asks for, in this and every other process."""
        require_fresh(actor, host.settings)
        return _row(await host.consent(plugin_id, actor), plugin_id)

    def _row(plan: Plan, plugin_id: str) -> dict[str, Any]:
        generation = host.standing.generation
        entry = plan.entry(plugin_id)
        if entry is None:
            raise Problem(404, "not_found", f"There is no plugin {plugin_id!r}.")
        return plugin_row(entry, generation.routes, generation.timings, host.account(plugin_id))

    return [list_plugins, show_plugin, show_plan, enable_plugin, disable_plugin, retry_plugin, consent_to_plugin]
