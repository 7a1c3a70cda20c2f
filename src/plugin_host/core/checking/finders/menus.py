"""The menu against the screens: whether a page answers, and whether whoever sees the item may open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin_host.core.checking.finding import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.checking.subject import Subject
    from plugin_host.sdk.manifest import MenuItem, Role
    from plugin_host.sdk.screens import Screen


def find(subject: Subject) -> Iterator[Finding]:
    """Find menu items that lead nowhere, or to where their reader may not go."""
    if subject.manifest is None:
        return
    screens = subject.manifest.ui.screens if subject.manifest.ui is not None else ()
    for n, item in enumerate(subject.menu.items):
        if item.screen is None and item.to is None:
            continue
        screen = _screen_of(subject.id, item, screens)
        if screen is None:
            if item.screen is None:
                text = f"{item.id!r} leads to {item.to}, which no screen answers"
                known = ", ".join(f"/{subject.id}/{each.path.strip('/')}".rstrip("/") for each in screens)
                way_out = f"Screens answer below: {known}." if known else "Add a screen to plugin.json."
                yield finding("PH212", text, way_out, *subject.documents.at("menu", f"$.items[{n}].to"))
        elif item.permission is not None and _sees_in_vain(subject, item.permission, screen.permission):
            text = f"{item.id!r} is seen with {item.permission!r}, its screen {screen.id!r} needs {screen.permission!r}"
            way_out = "Give both the same permission, or let every role that grants the first grant the second."
            yield finding("PH213", text, way_out, *subject.documents.at("menu", f"$.items[{n}].permission"))


def _screen_of(plugin: str, item: MenuItem, screens: tuple[Screen, ...]) -> Screen | None:
    """Give the screen that answers the page of an item: the longest path, by whole segments."""
    if item.screen is not None:
        return next((screen for screen in screens if screen.id == item.screen), None)
    page = (item.to or "").partition("?")[0].strip("/").removeprefix(plugin).strip("/")
    fitting = [
        screen
        for screen in screens
        if not screen.path.strip("/") or f"{page}/".startswith(f"{screen.path.strip('/')}/")
    ]
    return max(fitting, key=lambda screen: len(screen.path.strip("/")), default=None)


def _sees_in_vain(subject: Subject, seen_with: str, needed: str) -> bool:
    """Tell whether somebody may hold the item's permission without the screen's."""
    if needed in {seen_with, "public"} or (needed == "signed-in" and seen_with != "public"):
        return False
    if seen_with in ("public", "signed-in"):
        return True
    implies = {permission.name: permission.implies for permission in subject.permissions.permissions}
    roles = [_held(role, implies) for role in subject.permissions.roles]
    return any(seen_with in held and needed not in held for held in roles)


def _held(role: Role, implies: dict[str, tuple[str, ...]]) -> set[str]:
    held: set[str] = set()
    todo = [grant.permission for grant in role.grants]
    while todo:
        name = todo.pop()
        if name not in held:
            held.add(name)
            todo += implies.get(name, ())
    return held
