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
    """

    plugin: str
    id: str
    path: str
    kind: str
    title: str
    permission: str
    entry: str = ""
    styles: tuple[str, ...] = ()


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
        }
        for screen in screens
        if can(screen.permission)
    ]
