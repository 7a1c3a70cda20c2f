"""What invoicing adds to the host. Each function is called once, at activation; none of them during a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from host_invoicing import sample
from host_invoicing.events import InvoicePaid
from host_invoicing.routes import HANDLERS
from host_invoicing.settings import InvoicingSettings
from plugin_host.sdk import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin_host.sdk import PluginContext


@hookimpl
def register_settings() -> type[InvoicingSettings]:
    """Take `[plugins.invoicing]` from the settings."""
    return InvoicingSettings


@hookimpl
def register_events() -> Sequence[type[InvoicePaid]]:
    """Tell others what was paid."""
    return [InvoicePaid]


@hookimpl
def register_routes() -> Sequence[Any]:
    """Answer below `/api/invoicing`."""
    return HANDLERS


@hookimpl
async def sample_data(context: PluginContext[InvoicingSettings]) -> None:
    """Fill the tables for `serve --demo`."""
    await sample.fill(context)
