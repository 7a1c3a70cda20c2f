"""Core in an application that signs people in itself: what is about core's own people is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from plugin_host.plugins.plan import Found

_SCREENS: Final = frozenset({"users", "groups", "account"})
"""Screens of which the routes are core's own sign-in; see `CorePlugin.register_routes`."""


def without_people(found: Found) -> Found:
    """Take the screens and menu items of core's own people out of what was read of core."""
    manifest, menu = found.manifest, found.menu
    if found.id != "core" or manifest is None or manifest.ui is None:
        return found
    screens = tuple(each for each in manifest.ui.screens if each.id not in _SCREENS)
    ui = msgspec.structs.replace(manifest.ui, screens=screens)
    items = tuple(each for each in menu.items if each.screen not in _SCREENS)
    return msgspec.structs.replace(
        found,
        manifest=msgspec.structs.replace(manifest, ui=ui),
        menu=msgspec.structs.replace(menu, items=items),
    )
