"""Checks of what people see: menu.json, and the screens and slots of plugin.json."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from plugin_host.plugins.findings import Finding, Findings, first_cycle, nearest
from plugin_host.plugins.permission_checks import check_reference
from plugin_host.sdk.screens import UI_CONTRACTS, DeclaredScreen, shown_operations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from plugin_host.sdk.manifest import MenuItem, PluginManifest
    from plugin_host.sdk.screens import Screen, Slot, Ui

_ITEM: Final = re.compile(r"[a-z][a-z0-9]*\.[a-z][a-z0-9_-]*")
_PART: Final = re.compile(r"list|form|detail|(cell|field):\w+")
_SEGMENTS: Final = re.compile(r"([A-Za-z0-9._~:{}-]+(/[A-Za-z0-9._~:{}-]+)*)?")


def check_menu(
    manifest: PluginManifest, known: Collection[str], items: Sequence[MenuItem], label: str, findings: Findings
) -> None:
    """Check the menu items of one plugin; `known` are the names of its permissions."""
    ids = [item.id for item in items]
    screens = {screen.id for screen in manifest.ui.screens} if manifest.ui is not None else set()
    parents = {item.parent for item in items}
    for n, item in enumerate(items):
        path = f"$.items[{n}]"
        if _ITEM.fullmatch(item.id) is None or not item.id.startswith(f"{manifest.id}."):
            text = f"{item.id!r} is no id of a menu item of {manifest.id}"
            findings.add(Finding(label, f"{path}.id", text, f"Name it {manifest.id}.<word>."))
        if item.id in ids[:n]:
            findings.add(Finding(label, f"{path}.id", f"{item.id!r} stands there twice", "Remove one."))
        if item.screen is not None:
            if item.screen not in screens:
                text = f"there is no screen {item.screen!r} in plugin.json"
                findings.add(Finding(label, f"{path}.screen", text, nearest(item.screen, screens, "screens")))
        else:
            _check_whole(item, parents, path, label, findings)
        _check_target(manifest.id, item, path, label, findings)
        if item.permission is not None:
            where = (label, f"{path}.permission")
            check_reference(manifest.id, item.permission, known, _needed(manifest), where, findings)
    _check_places(manifest.id, items, label, findings)


def check_ui(
    manifest: PluginManifest, known: Collection[str], folder: Path | None, label: str, findings: Findings
) -> None:
    """Check screens and slots: that the shell speaks their contract, and that their files are there."""
    if manifest.ui is None:
        return
    if manifest.ui.contract not in UI_CONTRACTS:
        text = f"the host speaks browser contract {', '.join(map(str, UI_CONTRACTS))}, not {manifest.ui.contract}"
        way_out = "Use a version of the plugin for this host, or upgrade the host."
        findings.add(Finding(label, "$.ui.contract", text, way_out, "ui_contract_unknown"))
        return
    ids = [screen.id for screen in manifest.ui.screens]
    paths = [screen.path.strip("/") for screen in manifest.ui.screens]
    for n, screen in enumerate(manifest.ui.screens):
        here = f"$.ui.screens[{n}]"
        if screen.id in ids[:n]:
            findings.add(_invalid(label, f"{here}.id", f"{screen.id!r} stands there twice", "Remove one."))
        if paths[n] in paths[:n]:
            text = f"the path {paths[n]!r} is another screen's too"
            findings.add(_invalid(label, f"{here}.path", text, "Give each screen a path of its own."))
        elif not _is_below(paths[n]):
            text = f"{screen.path!r} is no path below /{manifest.id}/"
            findings.add(_invalid(label, f"{here}.path", text, 'Write for example "people".'))
    for here, part in _parts(manifest.ui):
        check_reference(manifest.id, part.permission, known, _needed(manifest), (label, f"{here}.permission"), findings)
        for path, file in _files(here, part):
            _check_file(folder, file, path, label, findings)
        if isinstance(part, DeclaredScreen):
            _check_declared(manifest, part, here, label, findings)
        elif _kind(part) == "federation":
            _check_remote(part, here, label, findings)


def _kind(part: Screen | Slot) -> str:
    """Name the kind of a screen or slot."""
    return str(getattr(part, "kind", None) or part.__struct_config__.tag)


def _check_remote(part: Any, here: str, label: str, findings: Findings) -> None:
    """Check that a federated remote says what it is called and what of it is shown: slots need not, by their struct."""
    for key in ("name", "expose"):
        if not getattr(part, key):
            findings.add(_invalid(label, here, f"a federated remote has no {key!r}", f"Add {key!r}."))


def _check_declared(
    manifest: PluginManifest, screen: DeclaredScreen, here: str, label: str, findings: Findings
) -> None:
    """Check what a declared screen says without its plugin being there: whose operations, and which parts."""
    for place, name in shown_operations(screen):
        owner, dot, _ = name.rpartition(".")
        if dot and owner != manifest.id and owner not in _needed(manifest):
            text = f"{name!r} is an operation of {owner!r}, which the plugin does not need"
            findings.add(_invalid(label, f"{here}.{place}", text, f"Add {owner!r} to `requires` or `optional`."))
    for key in screen.parts:
        if _PART.fullmatch(key) is None:
            text = f"{key!r} is no part of a declared screen"
            way_out = "Parts are list, form, detail, cell:<field> and field:<field>."
            findings.add(_invalid(label, f"{here}.parts", text, way_out))
    tabs = [tab.id for tab in screen.tabs]
    for n, tab in enumerate(tabs):
        if tab in tabs[:n]:
            findings.add(_invalid(label, f"{here}.tabs[{n}].id", f"{tab!r} stands there twice", "Rename one."))


def _check_whole(item: MenuItem, parents: Collection[str | None], path: str, label: str, findings: Findings) -> None:
    """Check that an item without a screen says everything itself; only a heading above others leads nowhere."""
    for key in ("title", "permission", "to"):
        if getattr(item, key) is None and not (key == "to" and item.id in parents):
            way_out = f"Add {key!r}, or `screen` with the id of a screen in plugin.json."
            findings.add(Finding(label, path, f"{item.id!r} has no {key!r}", way_out))


def _check_target(plugin: str, item: MenuItem, path: str, label: str, findings: Findings) -> None:
    if item.to is None:
        return
    head, _, rest = item.to.removeprefix("/").partition("?")[0].partition("/")
    if not (item.to.startswith("/") and head == plugin and _is_below(rest)):
        text = f"{item.to!r} is no page of {plugin}"
        findings.add(Finding(label, f"{path}.to", text, f'Write "/{plugin}" or a path below it.'))


def _check_places(plugin: str, items: Sequence[MenuItem], label: str, findings: Findings) -> None:
    """Check that the own items that others stand under or after are there, and that there is no circle."""
    ids = [item.id for item in items]
    for n, item in enumerate(items):
        named = [("parent", item.parent)] if item.parent is not None else []
        for key, other in [*named, *((f"after[{m}]", after) for m, after in enumerate(item.after))]:
            if other.startswith(f"{plugin}.") and other not in ids:
                text = f"there is no menu item {other!r}"
                findings.add(Finding(label, f"$.items[{n}].{key}", text, nearest(other, ids, "items")))
    for key, graph in (
        ("parent", {item.id: [item.parent] if item.parent else [] for item in items}),
        ("after", {item.id: list(item.after) for item in items}),
    ):
        circle = first_cycle(graph)
        if circle is not None:
            text = f"{key!r} goes in a circle: {' → '.join(circle)}"
            findings.add(Finding(label, "$.items", text, f"Take one {key!r} out."))


def _parts(ui: Ui) -> Iterator[tuple[str, Any]]:
    yield from ((f"$.ui.screens[{n}]", screen) for n, screen in enumerate(ui.screens))
    yield from ((f"$.ui.slots[{n}]", slot) for n, slot in enumerate(ui.slots))


def _files(here: str, part: Screen | Any) -> Iterator[tuple[str, str]]:
    """Name the files that a screen or slot is made of, below the package."""
    if isinstance(part, DeclaredScreen):
        for key, module in part.parts.items():
            yield f"{here}.parts.{key}", f"ui/{module.partition('#')[0].removeprefix('./')}"
    else:
        yield f"{here}.entry", part.entry
    for n, style in enumerate(getattr(part, "styles", ())):
        yield f"{here}.styles[{n}]", style


def _check_file(folder: Path | None, file: str, path: str, label: str, findings: Findings) -> None:
    parts = PurePosixPath(file).parts
    if parts[:1] != ("ui",) or ".." in parts or "\\" in file:
        text = f"{file!r} is no file in the package's folder ui/"
        findings.add(_invalid(label, path, text, 'Put it there and write for example "ui/people.js".'))
    elif folder is None or not folder.joinpath(*parts).is_file():
        way_out = "Correct the name. In a wheel: see that the build packs the file (setuptools leaves it out)."
        findings.add(_invalid(label, path, f"there is no file {file!r} in the package", way_out))


def _invalid(label: str, path: str, text: str, way_out: str) -> Finding:
    return Finding(label, path, text, way_out, "ui_invalid")


def _is_below(path: str) -> bool:
    return _SEGMENTS.fullmatch(path) is not None and not {".", ".."} & set(path.split("/"))


def _needed(manifest: PluginManifest) -> frozenset[str]:
    return frozenset({*manifest.requires, *manifest.optional})
