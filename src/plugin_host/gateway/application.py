"""One Litestar application for each plugin: built off to the side, and refused before anybody can call it.

Litestar is known here and in the rooms beside; plugins hand over handlers, never an application, so that every
setting that guards the host is the host's.
"""

from __future__ import annotations

import contextlib
import inspect
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from litestar import Controller, Litestar, Router
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler, WebsocketListener
from litestar.routes import HTTPRoute

from plugin_host.gateway.answers import shorten
from plugin_host.gateway.entry import Application
from plugin_host.gateway.foreign import Foreign
from plugin_host.gateway.lifespans import Lifespans
from plugin_host.gateway.options import Options
from plugin_host.gateway.walk import Fault, RouteInfo, RouteRules, Walk, place_of
from plugin_host.sdk.contributions import AsgiApp
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from plugin_host.gateway.gate import Gate

__all__ = ["Built", "RouteInfo", "RouteRules", "build"]

_NAMED: Final = 10
"""So many things are named in one sentence."""

_DECLARE: Final = (
    'Give each route permission="<permission of this plugin or of one it requires>", or "signed-in", or "public" '
    "with an entry under public in permissions.json."
)


@dataclass(frozen=True)
class Built:
    """A plugin's application, and its routes as operators see them."""

    plugin: str
    app: Litestar
    routes: tuple[RouteInfo, ...]
    foreign: tuple[Foreign, ...] = ()

    def running(self, limit: float) -> AbstractAsyncContextManager[None]:
        """Run the lifespan of every `AsgiApp` in it, all in one task of their own.

        Each start and each stop may take `limit` seconds. Raises `PluginFault` (`startup_failed`,
        `time_limit`) on entry; what fails at the end is logged. The application's own is left out: nothing that
        a plugin hands over can add to it, and Litestar would keep a task for events that nobody can listen to.
        """
        if not self.foreign:
            return contextlib.nullcontext()
        return Lifespans(self.plugin, [(each.name, each.lifespan) for each in self.foreign], limit).running()


def build(plugin: str, handlers: Iterable[Any], *, names: RouteRules, gate: Gate, body_limit: int) -> Built:
    """Build the application of one plugin from what its `register_routes` returned.

    `names` says which permissions the routes may name; `body_limit` is in bytes. Raises `PluginFault` with all
    faulty handlers in its text, each with file and line.
    """
    values = list(handlers)
    _refuse_strangers(plugin, values)
    foreign = tuple(Foreign(plugin, value, body_limit) for value in values if isinstance(value, AsgiApp))
    routes = [value for value in values if not isinstance(value, AsgiApp)]
    app = _make(plugin, [*routes, *(each.handler() for each in foreign)], gate, body_limit)
    walk = Walk(names, foreign)
    walk.over(app)
    if walk.faults:
        raise PluginFault(_refusal(plugin, walk.faults))
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if not isinstance(handler, Options):
                shorten(handler)
    return Built(plugin, app, tuple(walk.routes), foreign)


def _refuse_strangers(plugin: str, values: Sequence[object]) -> None:
    strangers = [value for value in values if not _is_route(value)]
    if strangers:
        raise PluginFault(
            Reason(
                code="hook_invalid",
                text=f"register_routes of {plugin} returns {_some(_describe(value) for value in strangers)}.",
                culprits=(plugin,),
                way_out="Return functions decorated with get, post, ..., Controllers, Routers or AsgiApps. "
                "An application of your own goes in as AsgiApp(app, path=..., permission=...).",
            )
        )


def _some(texts: Iterable[str]) -> str:
    """Name each thing once, and no more than can be read."""
    named = list(dict.fromkeys(texts))
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def _is_route(value: object) -> bool:
    if inspect.isclass(value):
        return issubclass(value, Controller | WebsocketListener)
    return isinstance(value, BaseRouteHandler | Router | AsgiApp) and not isinstance(value, Litestar)


def _describe(value: object) -> str:
    if inspect.isroutine(value):
        return f"the bare function {value.__name__} ({place_of(value)})"
    return f"{value!r:.80}" if isinstance(value, str | None) else f"an object of {type(value).__qualname__}"


def _make(plugin: str, handlers: Sequence[Any], gate: Gate, body_limit: int) -> Litestar:
    try:
        with warnings.catch_warnings():
            # Handlers name what they want as parameters; that Litestar 3 wants it annotated is our affair.
            warnings.simplefilter("ignore", DeprecationWarning)
            return Application(plugin, handlers, gate, body_limit)
    except Exception as error:
        way_out = "Correct what register_routes returns."
        if isinstance(error, NameError):
            way_out = "Import what a handler's annotations name at run time, not under TYPE_CHECKING."
        raise PluginFault(
            Reason(
                code="hook_invalid",
                text=f"Litestar cannot build the routes of {plugin}{_where(error)}: {_message(error)}",
                culprits=(plugin,),
                way_out=way_out,
            )
        ) from error


def _where(error: Exception) -> str:
    """Name the handler that Litestar was busy with; its messages often do not."""
    trace = error.__traceback__
    found = ""
    while trace is not None:
        busy_with = trace.tb_frame.f_locals.get("self")
        if isinstance(busy_with, BaseRouteHandler) and hasattr(busy_with, "_fn"):
            found = f" at {place_of(busy_with.fn)} {busy_with.handler_name}"
        trace = trace.tb_next
    return found


def _message(error: Exception) -> str:
    return error.detail if isinstance(error, HTTPException) else f"{type(error).__name__}: {error}"


def _refusal(plugin: str, faults: Sequence[Fault]) -> Reason:
    many = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
    places = dict.fromkeys(fault.place for fault in faults)
    about_permissions = any(fault.code != "hook_invalid" for fault in faults)
    return Reason(
        code=faults[0].code,
        text=f"The routes of {plugin} have {many}: {'; '.join(fault.text for fault in faults)}.",
        culprits=(plugin, *places),
        way_out=_DECLARE if about_permissions else "Correct the routes at these places.",
    )
