"""Which screens belong to whom, in the words of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class PlacedScreen(msgspec.Struct, frozen=True):
    """A screen of an active plugin with the addresses of its files.

    `path` stands below `/<plugin>/`, and "" is the plugin's root. `permission` is a name, `signed-in` or
    `public`. `entry` and `styles` are addresses below the host's base path; a screen without code has entry "".
    `options` is what its kind needs besides: of a federated remote its name, of a frame what it may ask for.
    """

    plugin: str
    id: str
    path: str
    kind: str
    title: str
    permission: str
    entry: str = ""
    styles: tuple[str, ...] = ()
    options: dict[str, Any] = {}


class PlacedSlot(msgspec.Struct, frozen=True):
    """What an active plugin puts into a place that is left open; the fields are those of `PlacedScreen`."""

    plugin: str
    slot: str
    kind: str
    title: str
    permission: str
    entry: str
    styles: tuple[str, ...] = ()
    options: dict[str, Any] = {}


def visible_screens(screens: Iterable[PlacedScreen], can: Callable[[str], bool]) -> list[dict[str, Any]]:
    """Give the screens that a person may open, as the page takes them; `can` answers for that person.

    What somebody may not open is left out whole: neither its title nor the address of its code is told.
    """
    return [
        {
            "plugin": screen.plugin,
            "id": screen.id,
            "path": f"/{screen.plugin}/{screen.path.strip('/')}".rstrip("/"),
            "kind": screen.kind,
            "title": screen.title,
            "entry": screen.entry,
            "styles": list(screen.styles),
            **screen.options,
        }
        for screen in screens
        if can(screen.permission)
    ]


def visible_slots(slots: Iterable[PlacedSlot], can: Callable[[str], bool]) -> list[dict[str, Any]]:
    """Give what a person may see of what is put into open places, by the plugins' order."""
    return [
        {
            "plugin": slot.plugin,
            "slot": slot.slot,
            "kind": slot.kind,
            "title": slot.title,
            "entry": slot.entry,
            "styles": list(slot.styles),
            **slot.options,
        }
        for slot in slots
        if can(slot.permission)
    ]
