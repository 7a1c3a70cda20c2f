"""All that a plugin may import. The names are loaded when first used.

Reading a manifest must import neither SQLAlchemy nor Litestar, so this face is a table of names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugin_host.sdk.context import (
        Access as Access,
        Actor as Actor,
        Events as Events,
        Identity as Identity,
        Jobs as Jobs,
        PluginContext as PluginContext,
        Services as Services,
        UserRecord as UserRecord,
        Users as Users,
        Work as Work,
    )
    from plugin_host.sdk.contributions import (
        AsgiApp as AsgiApp,
        DeadLetter as DeadLetter,
        Discard as Discard,
        EventHandler as EventHandler,
        Health as Health,
        Job as Job,
        Migrations as Migrations,
        Retry as Retry,
        Service as Service,
        ServiceKey as ServiceKey,
    )
    from plugin_host.sdk.delivery import Delivery as Delivery
    from plugin_host.sdk.errors import FieldError as FieldError, Problem as Problem
    from plugin_host.sdk.hookspecs import hookimpl as hookimpl
    from plugin_host.sdk.listing import Listing as Listing, Page as Page
    from plugin_host.sdk.manifest import MenuItem as MenuItem, Permission as Permission
    from plugin_host.sdk.models import (
        ExactDecimal as ExactDecimal,
        PluginBase as PluginBase,
        UtcDateTime as UtcDateTime,
        change as change,
        new_id as new_id,
        object_id as object_id,
        to as to,
    )
    from plugin_host.sdk.routing import (
        delete as delete,
        get as get,
        patch as patch,
        post as post,
        put as put,
        websocket as websocket,
    )
    from plugin_host.sdk.services import FILES as FILES, MAIL as MAIL, USERS as USERS

_WHERE = {
    "context": "Access Actor Events Identity Jobs PluginContext Services UserRecord Users Work",
    "contributions": "AsgiApp DeadLetter Discard EventHandler Health Job Migrations Retry Service ServiceKey",
    "delivery": "Delivery",
    "errors": "FieldError Problem",
    "hookspecs": "hookimpl",
    "listing": "Listing Page",
    "manifest": "MenuItem Permission",
    "models": "ExactDecimal PluginBase UtcDateTime change new_id object_id to",
    "routing": "delete get patch post put websocket",
    "services": "FILES MAIL USERS",
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names.split()}

__all__ = sorted(_MODULE)  # noqa: PLE0605 - the table above is the list


def __getattr__(name: str) -> Any:
    """Load the module of a name when it is first asked for."""
    module = _MODULE.get(name)
    if module is None:
        msg = f"plugin_host.sdk has no {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"plugin_host.sdk.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Show every name, loaded or not."""
    return sorted({*globals(), *__all__})
