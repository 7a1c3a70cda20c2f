"""The table of contents: every hook a plugin may implement, in the order in which the host calls them.

The life of a plugin in the host:
1. its files are read, without importing it;  2. `resolve` decides whether and in which order it runs;
3. `migrations` are run;  4. it is imported and its `register_…` hooks are called once: they must have no
side effects but return what they add;  5. `startup` is called; from here its routes answer;
6. `shutdown` is called, after the last request has ended. No hook is called during a request.

All are optional. An implementation takes only the arguments it names.
"""

# A specification has no body.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import click
    import msgspec

    from plugin_host.sdk.context import Identity, PluginContext
    from plugin_host.sdk.contributions import EventHandler, Health, Job, Migrations, Service
    from plugin_host.sdk.manifest import MenuItem, Permission

PROJECT = "plugin_host"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_permissions() -> Iterable[Permission]:
    """Add permissions that permissions.json cannot know, for example one for each kind of document."""


@hookspec
def register_menu() -> Iterable[MenuItem]:
    """Add menu items that menu.json cannot know."""


@hookspec
def register_settings() -> type[msgspec.Struct]:
    """Return the struct that `[plugins.<id>]` must fit; `context.settings` is one of it."""


@hookspec
def migrations() -> Migrations:
    """Say where the revisions are, when they are not in `migrations/` beside plugin.json."""


@hookspec
def register_services(context: PluginContext[Any]) -> Iterable[Service[Any]]:
    """Return the services that other plugins may use: `Service(KEY, obj)`."""


@hookspec
def register_routes(context: PluginContext[Any]) -> Iterable[Any]:
    """Return Litestar handlers, Controllers, Routers and `AsgiApp`s; each declares its permission."""


@hookspec
def register_events() -> Iterable[type[msgspec.Struct]]:
    """Return the event types that the plugin owns: frozen structs tagged `<id>.<object>.<past verb>`."""


@hookspec
def register_event_handlers(context: PluginContext[Any]) -> Iterable[EventHandler]:
    """Return handlers for events of this and other plugins."""


@hookspec
def register_jobs(context: PluginContext[Any]) -> Iterable[Job]:
    """Return background work, once or on a schedule."""


@hookspec
def register_commands(context: PluginContext[Any]) -> Iterable[click.Command]:
    """Return click commands for `plugin-host <id> …`; callbacks may be async and name what they need."""


@hookspec
def register_authenticators(context: PluginContext[Any]) -> Iterable[Callable[[Any], Awaitable[Identity | None]]]:
    """Return `async authenticate(connection)`: it names who is there, never makes a session or a user."""


@hookspec
def register_health(context: PluginContext[Any]) -> Iterable[Callable[[], Awaitable[Health]]]:
    """Return checks that tell whether the plugin can do its work."""


@hookspec
def startup(context: PluginContext[Any]) -> Awaitable[None] | None:
    """Open what the plugin needs; the first request comes after it returned."""


@hookspec
def shutdown(context: PluginContext[Any]) -> Awaitable[None] | None:
    """Close what `startup` opened; also called after a `startup` that failed half way."""


@hookspec
def sample_data(context: PluginContext[Any]) -> Awaitable[None] | None:
    """Fill an empty database with made-up data; called by `serve --demo` only."""
