"""What plugins show, put in its place: screens, parts for slots, menu items, and the files of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plugin_host.menu import PlacedItem
from plugin_host.shell.assets import Assets
from plugin_host.shell.screens import PlacedScreen, PlacedSlot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plugin_host.plugins.plan import Found
    from plugin_host.sdk.manifest import MenuItem


def scan(plugin: str, found: Found) -> Assets | None:
    """Read the UI files of a plugin that has screens."""
    folder = found.candidate.folder
    if folder is None or found.manifest is None or found.manifest.ui is None or not (folder / "ui").is_dir():
        return None
    return Assets.scan(plugin, folder / "ui", folder / "locales")


def screens_of(plugin: str, found: Found, scanned: Mapping[str, Assets]) -> Iterable[PlacedScreen]:
    """Place the screens of a plugin; `files` are its UI files. Without any, only those that need none."""
    ui = found.manifest.ui if found.manifest is not None else None
    files = scanned.get(plugin)
    for screen in ui.screens if ui is not None else ():
        kind = str(screen.__struct_config__.tag)
        if files is not None or kind == "declared":
            yield PlacedScreen(
                plugin=plugin,
                id=screen.id,
                path=screen.path.strip("/"),
                kind=kind,
                title=screen.title,
                permission=screen.permission,
                entry=_url(files, getattr(screen, "entry", None)),
                styles=tuple(_url(files, style) for style in screen.styles),
                options=_options(screen, kind),
            )


def slots_of(plugin: str, found: Found, scanned: Mapping[str, Assets]) -> Iterable[PlacedSlot]:
    """Place what a plugin puts into slots."""
    ui = found.manifest.ui if found.manifest is not None else None
    files = scanned.get(plugin)
    for slot in ui.slots if ui is not None and files is not None else ():
        yield PlacedSlot(
            plugin=plugin,
            slot=slot.slot,
            kind=slot.kind,
            title=slot.title,
            permission=slot.permission,
            entry=_url(files, slot.entry),
            styles=tuple(_url(files, style) for style in slot.styles),
            options=_options(slot, slot.kind),
        )


_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "federation": ("name", "expose", "format", "share"),
    "iframe": ("capabilities",),
}


def _options(part: object, kind: str) -> dict[str, Any]:
    """Give what a kind needs besides its entry; of a frame the folder of its files, too, "" for all."""
    options = {name: getattr(part, name) for name in _OPTIONS.get(kind, ())}
    if kind == "iframe":
        options["folder"] = _below_ui(part.entry).rpartition("/")[0]  # type: ignore[attr-defined] # each frame has one
        options["folder"] += "/" if options["folder"] else ""
    return options


def _url(files: Assets | None, path: str | None) -> str:
    return files.url(_below_ui(path)) if files is not None and path else ""


def _below_ui(path: str) -> str:
    return path.removeprefix("ui/")


def menu_of(declared: Mapping[str, object], found: Mapping[str, Found]) -> Iterable[PlacedItem]:
    """Place the menu items of plugins, with what their screens say filled in."""
    for plugin, part in declared.items():
        manifest = found[plugin].manifest
        screens = {screen.id: screen for screen in manifest.ui.screens} if manifest and manifest.ui else {}
        items: Iterable[MenuItem] = part.menu  # type: ignore[attr-defined]
        for item in items:
            screen = screens.get(item.screen or "")
            to = item.to or (f"/{plugin}/{screen.path.strip('/')}".rstrip("/") if screen else None)
            yield PlacedItem(
                plugin=plugin,
                id=item.id,
                title=item.title or (screen.title if screen else item.id),
                icon=item.icon,
                to=to,
                permission=item.permission or (screen.permission if screen else "signed-in"),
                group=item.group,
                parent=item.parent,
                after=item.after,
            )
