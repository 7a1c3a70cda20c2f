"""What only a plugin's routes show of its screens: whether the operations are there that declared ones name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin_host.plugins.blame import fault
from plugin_host.plugins.findings import nearest
from plugin_host.sdk.screens import DeclaredScreen, shown_operations

if TYPE_CHECKING:
    from plugin_host.gateway.application import Built
    from plugin_host.plugins.plan import Found


def check_screens(plugin: str, found: Found, built: Built) -> None:
    """See that the plugin's declared screens name routes that it has; those of others may not stand yet.

    core's own are left out: where an application signs people in, core has no routes for groups. Raises `PluginFault`.
    """
    if plugin == "core":
        return
    ui = found.manifest.ui if found.manifest is not None else None
    known = {name for route in built.routes for name in (route.handler, route.operation) if name}
    for screen in ui.screens if ui is not None else ():
        for place, name in shown_operations(screen) if isinstance(screen, DeclaredScreen) else ():
            if "." not in name and name not in known:
                text = f"plugin.json: the screen {screen.id!r} names {name!r} in {place}, and no route is called so."
                raise fault("ui_invalid", plugin, text, f"Write a function's name. {nearest(name, known, 'routes')}")
