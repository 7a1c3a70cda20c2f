"""What contacts adds to the host. Each function is called once, at activation; none of them during a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from host_contacts import sample
from host_contacts.commands import import_people
from host_contacts.events import PersonCreated
from host_contacts.lookup import PermittedLookup
from host_contacts.routes import HANDLERS
from host_contacts.services import LOOKUP
from plugin_host.sdk import Service, hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from plugin_host.sdk import PluginContext


@hookimpl
def register_services() -> Sequence[Service[Any]]:
    """Offer the look-up of people to other plugins."""
    return [Service(LOOKUP, PermittedLookup())]


@hookimpl
def register_events() -> Sequence[type[PersonCreated]]:
    """Tell others who was added."""
    return [PersonCreated]


@hookimpl
def register_routes() -> Sequence[Any]:
    """Answer below `/api/contacts`."""
    return HANDLERS


@hookimpl
def register_commands() -> Sequence[click.Command]:
    """Add `plugin-host contacts import`."""
    return [import_people]


@hookimpl
async def sample_data(context: PluginContext[Any]) -> None:
    """Fill the tables for `serve --demo`."""
    await sample.fill(context)
