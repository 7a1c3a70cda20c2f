"""Look at a plugin that is not installed: a wheel file, a package folder, or a project folder.

Looking never raises for what it finds there: what is wrong is the `fault` of the candidate.
"""

from __future__ import annotations

import tomllib
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from packaging.utils import canonicalize_name

from plugin_host.plugins import archive, importing
from plugin_host.plugins.discovery import clip, folder_candidate, parse_entry
from plugin_host.plugins.installed import GROUP
from plugin_host.plugins.plan import Candidate
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from pathlib import Path

MAX_METADATA: Final = 5_000_000
"""Bytes that METADATA, with the whole README in it, and entry_points.txt may have: they are parsed as a whole."""


def unpack(wheel: Path, into: Path) -> Candidate:
    """Unpack a wheel file into a folder (made if need be), and give the one plugin that it brings.

    The archive is judged by its directory before anything is written: see `archive`. Its code is not run.
    To import the candidate, put `into` on `sys.path`.
    """
    guess = clip(wheel.name.partition("-")[0]) or "?"
    try:
        archive.extract(wheel, into)
        distribution = metadata_of(into)
        points = {point.name: point.value for point in distribution.entry_points.select(group=GROUP)}
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
    except archive.BadArchive as error:
        return _faulty(guess, wheel, f"{wheel.name} {error}", "Build the wheel again; do not install this one.")
    except Exception as error:  # noqa: BLE001 - importlib.metadata raises whatever its parsing stumbles over
        told = error.strerror if isinstance(error, OSError) else f"its metadata is broken: {error}"
        return _faulty(guess, wheel, f"{wheel.name} cannot be read: {told}", "Build it again with `python -m build`.")
    return _one(points, wheel, [into], name, version, guess)


def candidate_of(place: Path, into: Path) -> Candidate:
    """Give the plugin of whatever somebody named: a wheel file, which is unpacked into a folder, or a folder."""
    return read_path(place) if place.is_dir() else unpack(place, into)


def metadata_of(into: Path) -> metadata.Distribution:
    """Give the metadata of an unpacked wheel. Raises `BadArchive` if it is none, or is unreasonably large."""
    infos = [path for path in into.iterdir() if path.is_dir() and path.suffix == ".dist-info"]
    if len(infos) != 1:
        raise archive.BadArchive(f"is no wheel: it holds {len(infos)} folders .dist-info, not one")
    for name in ("METADATA", "entry_points.txt"):
        file = infos[0] / name
        if file.is_file() and file.stat().st_size > MAX_METADATA:
            raise archive.BadArchive(f"holds a {name} of more than {MAX_METADATA:,} bytes")
    distribution = metadata.PathDistribution(infos[0])
    if not ((infos[0] / "METADATA").is_file() and {"Name", "Version"} <= {*distribution.metadata}):
        raise archive.BadArchive("is no wheel: its METADATA does not say its name and version")
    return distribution


def takes_the_place(new: Candidate, old: Candidate) -> bool:
    """Tell whether installing one plugin would take away another: a distribution takes the place of its own name.

    A folder plugin takes the place of the folder plugin of its id. Other plugins stay, though they have the same id.
    """
    if new.source != old.source:
        return False
    if new.source == "wheel" and new.distribution is not None and old.distribution is not None:
        return canonicalize_name(new.distribution) == canonicalize_name(old.distribution)
    return new.id == old.id


def read_path(path: Path) -> Candidate:
    """Give the plugin of a folder: a package with plugin.json, or a project with pyproject.toml.

    A package that belongs to a project beside or above it (`src/` or not) is what the project says: the entry point
    and the version are there. Every other package is a folder plugin.
    """
    folder = path.resolve()
    if not folder.is_dir():
        return _faulty(clip(folder.stem), path, f"{path} is no folder", "Name a package, a project or a wheel.")
    if (folder / "plugin.json").is_file():
        for project in (folder.parent, folder.parent.parent):
            if (project / "pyproject.toml").is_file():
                candidate = _project(project)
                if candidate.folder == folder:
                    return candidate
        return folder_candidate(folder)
    if (folder / "pyproject.toml").is_file():
        return _project(folder)
    if (folder / "__init__.py").is_file():
        return folder_candidate(folder)
    text = f"{path} holds neither plugin.json nor pyproject.toml"
    return _faulty(clip(folder.name), path, text, "Name the folder of a plugin's package, or of its project.")


def _project(folder: Path) -> Candidate:
    """Give the plugin of a project: its entry point says where the package is."""
    guess = clip(folder.name) or "?"
    try:
        said: Any = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return _faulty(guess, folder, f"{folder / 'pyproject.toml'} cannot be read: {error}", "Correct it.")
    project = _table(said, "project")
    points = _table(_table(project, "entry-points"), GROUP)
    name, version = project.get("name"), project.get("version")
    roots = [folder, folder / "src"]
    return _one(points, folder, roots, name, version, guess)


def _one(
    points: dict[str, Any], place: Path, roots: list[Path], name: str | None, version: str | None, guess: str
) -> Candidate:
    """Make the candidate of the one entry point there should be, and find its package below one of the roots."""
    if len(points) != 1:
        names = ", ".join(sorted(points)) or "none"
        text = f"{place} should bring one plugin; its entry points in the group {GROUP!r} are: {names}"
        way_out = f'Write [project.entry-points."{GROUP}"] with one line, {guess} = "host_{guess}.hooks".'
        if points:
            way_out = "Install it and check the plugins one by one, by their ids."
        return _faulty(guess, place, text, way_out)
    ((plugin, entry),) = points.items()
    plugin = clip(plugin) or "?"
    if not (isinstance(entry, str) and parse_entry(entry)):
        text = f"{place}: the entry point {plugin!r} says {entry!r}, which names no module"
        return _faulty(plugin, place, text, f'Write {plugin} = "host_{plugin}.hooks".')
    folder, fault = _locate(plugin, entry, roots)
    return Candidate(
        id=plugin,
        source="wheel",
        place=str(place),
        folder=folder,
        entry=entry,
        distribution=name if isinstance(name, str) else None,
        version=version if isinstance(version, str) else None,
        fault=fault,
    )


def _locate(plugin: str, entry: str, roots: list[Path]) -> tuple[Path | None, Reason | None]:
    """Give the first place that has a plugin.json, else the first place, else what was wrong with looking."""
    places: list[Path] = []
    fault = None
    for root in roots:
        try:
            places.append(importing.locate(plugin, entry.partition(":")[0], root))
        except PluginFault as error:
            fault = fault or error.reason
    holding = [place for place in places if (place / "plugin.json").is_file()]
    folder = next(iter([*holding, *places]), None)
    return folder, None if folder is not None else fault


def _table(said: Any, key: str) -> dict[str, Any]:
    inner = said.get(key) if isinstance(said, dict) else None
    return inner if isinstance(inner, dict) else {}


def _faulty(plugin: str, place: Path, text: str, way_out: str) -> Candidate:
    reason = Reason(code="manifest_invalid", text=f"{text}.", culprits=(str(place),), way_out=way_out)
    return Candidate(id=plugin, source="wheel", place=str(place), fault=reason, claimed=False)
