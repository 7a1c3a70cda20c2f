"""Small written builders of plugins: on disk, installed by hand, as wheels, and as values."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import plugin_host
from plugin_host.plugins.plan import Candidate, Found
from plugin_host.sdk.manifest import MenuFile, PermissionsFile, PluginManifest

CORE: Final = Path(plugin_host.__file__).parent / "core"
HOOKS: Final = "from plugin_host.sdk import hookimpl\n\n@hookimpl\ndef register_routes():\n    return []\n"


def manifest_keys(plugin: str, **keys: Any) -> dict[str, Any]:
    """Give the keys of a sound plugin.json; a key that is None is left out."""
    whole = {"id": plugin, "name": plugin.title(), "requires": {"core": ">=1.0,<2"}, **keys}
    return {key: value for key, value in whole.items() if value is not None}


def make_package(
    folder: Path, files: Mapping[str, str] | None = None, *, permissions: Any = None, menu: Any = None, **keys: Any
) -> Path:
    """Write a package: `keys` are those of plugin.json, `files` the texts of other files by their path."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = {"plugin": keys, "permissions": permissions, "menu": menu}
    texts = {f"{word}.json": json.dumps(said) for word, said in documents.items() if said is not None}
    for path, text in {"__init__.py": "", **texts, **(files or {})}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def make_folder_plugin(folder: Path, plugin: str, code: str = "", *, package: str | None = None, **rest: Any) -> Path:
    """Write a folder plugin below `folder`, with `code` in its `__init__.py`; gives the package."""
    files = {"__init__.py": code, **rest.pop("files", {})}
    said = {key: rest.pop(key, None) for key in ("permissions", "menu")}
    return make_package(
        folder / (package or plugin), files, **said, **manifest_keys(plugin, **{"version": "1.0", **rest})
    )


def make_distribution(
    site: Path, points: Mapping[str, str], *, name: str = "host-hello", version: str = "1.0", pth: str | None = None
) -> Path:
    """Write the metadata of an installed distribution with entry points; `pth` is the text of a .pth file."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "".join(f"{point} = {value}\n" for point, value in points.items())
    (info / "entry_points.txt").write_text(f"[plugin_host.plugins]\n{lines}")
    if pth is not None:
        (site / f"{name}.pth").write_text(pth)
    return info


def make_wheel(path: Path, members: Mapping[str, str], points: Mapping[str, str] | None = None) -> Path:
    """Write a wheel file with the members, and metadata with the entry points."""
    lines = "".join(f"{point} = {value}\n" for point, value in (points or {}).items())
    info = {
        "host_hello-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: host-hello\nVersion: 1.0\n",
        "host_hello-1.0.dist-info/entry_points.txt": f"[plugin_host.plugins]\n{lines}",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, text in {**members, **info}.items():
            wheel.writestr(member, text)
    return path


def wheel_members(package: str, plugin: str, code: str = HOOKS, **keys: Any) -> dict[str, str]:
    """Give the members of a wheel with one package: manifest and hooks."""
    return {
        f"{package}/__init__.py": "",
        f"{package}/plugin.json": json.dumps(manifest_keys(plugin, **keys)),
        f"{package}/hooks.py": code,
    }


def found(
    plugin: str,
    requires: Mapping[str, str] | None = None,
    *,
    version: str | None = "1.0",
    source: Any = "wheel",
    place: str | None = None,
    permissions: tuple[Any, ...] = (),
    menu: tuple[Any, ...] = (),
    **keys: Any,
) -> Found:
    """Give a plugin that was found and read without fault."""
    manifest = PluginManifest(id=plugin, name=plugin.title(), requires={"core": ">=1", **(requires or {})}, **keys)
    candidate = Candidate(
        id=plugin,
        source=source,
        place=place or f"host-{plugin} {version}",
        folder=Path(f"/site/host_{plugin}"),
        entry=f"host_{plugin}.hooks",
        distribution=f"host-{plugin}",
        version=version,
    )
    return Found(
        candidate=candidate,
        manifest=manifest,
        permissions=PermissionsFile(permissions=permissions),
        menu=MenuFile(items=menu),
    )
