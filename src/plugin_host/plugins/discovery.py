"""Find everything that says it is a plugin, without importing any of it.

Four places: installed distributions (entry points), folders, objects handed over by an embedding application,
and remote plugins. What is wrong with a candidate stands in its `fault`; looking never fails as a whole.
"""

from __future__ import annotations

import codecs
import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from plugin_host.plugins import importing, installed
from plugin_host.plugins.plan import Candidate
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


GROUP: Final = installed.GROUP
MAX_BYTES: Final = 1_000_000
"""The size that a file of a plugin may have."""

_SCANNER: Final = installed.Scanner()  # one for the process, as `sys.path` is
_MAX_ID: Final = 64  # a claim may be anything; what is shown and stored of it is not
_ENTRY: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found; iterating gives the candidates. `warnings` tell of places that could not be looked at."""

    candidates: tuple[Candidate, ...]
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)


def discover(
    *,
    core: Path,
    folders: Sequence[Path] = (),
    objects: Sequence[object] = (),
    remotes: Mapping[str, object] = MappingProxyType({}),
) -> Discovery:
    """Look at all places once.

    `core` is the folder of the host's own manifest; `folders` hold folder plugins; `objects` are plugins handed
    over by an embedding application; `remotes` names remote plugins by their id. Core comes first, the rest
    by id and place, whatever order the places answered in.
    """
    scan = _SCANNER.scan()
    warnings = [*scan.warnings]
    candidates = [
        *map(_wheel, scan.points),
        *_folders(folders, warnings),
        *map(_object, objects),
        *(_remote(plugin, target) for plugin, target in remotes.items()),
    ]
    candidates.sort(key=lambda candidate: (candidate.id, candidate.place))
    return Discovery((_core(core, scan.host), *candidates), tuple(warnings))


def folder_candidate(folder: Path) -> Candidate:
    """Make the candidate of one folder that is a plugin's package."""
    claim = claimed_id(folder)
    plugin = claim or clip(folder.name)
    taken = importing.foreign(folder.name, folder)
    return Candidate(
        id=plugin,
        source="folder",
        place=str(folder),
        folder=folder,
        entry=folder.name,
        fault=importing.name_clash(plugin, folder, taken) if taken is not None else None,
        claimed=claim is not None,
    )


def claimed_id(folder: Path) -> str | None:
    """Read which id the plugin.json in a folder claims; None if that cannot be told."""
    path = folder / "plugin.json"
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
        claim = msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8), type=_Claim).id
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return clip(claim) or None


def clip(claim: object) -> str:
    """Make a claimed id fit to be shown and stored: it may be anything."""
    return "".join(letter for letter in str(claim) if letter.isprintable()).strip()[:_MAX_ID]


def parse_entry(entry: str) -> bool:
    """Tell whether an entry reads `module` or `module:attribute`."""
    return _ENTRY.fullmatch(entry) is not None


class _Claim(msgspec.Struct):
    id: str


def _core(folder: Path, version: str | None) -> Candidate:
    return Candidate(
        id="core", source="core", place="plugin-host", folder=folder, entry="plugin_host.core.plugin", version=version
    )


# -- installed distributions ------------------------------------------------------------------------------


def _wheel(point: installed.Point) -> Candidate:
    plugin = clip(point.name) or "?"
    place = " ".join(filter(None, (point.distribution or "an unnamed distribution", point.version)))
    folder, fault = None, None
    try:
        folder = _wheel_folder(plugin, point.value, place)
    except PluginFault as found:
        fault = found.reason
    return Candidate(
        id=plugin,
        source="wheel",
        place=f"{place} ({folder})" if folder is not None else place,
        folder=folder,
        entry=point.value,
        distribution=point.distribution,
        version=point.version,
        fault=fault,
    )


def _wheel_folder(plugin: str, entry: str, place: str) -> Path:
    if not parse_entry(entry):
        raise PluginFault(
            Reason(
                code="manifest_invalid",
                text=f"{plugin}: the entry point of {place} says {entry!r}, which names no module.",
                culprits=(plugin,),
                way_out=f'Write {plugin} = "host_{plugin}.hooks" in its pyproject.toml, and reinstall it.',
            )
        )
    return importing.locate(plugin, entry.partition(":")[0])


# -- folders, objects, remote plugins -----------------------------------------------------------------------


def _folders(folders: Sequence[Path], warnings: list[str]) -> Iterator[Candidate]:
    for folder in dict.fromkeys(path.resolve() for path in folders):
        try:
            packages = [child for child in sorted(folder.iterdir()) if _is_package(child)]
        except OSError as error:
            warnings.append(
                f"loader.folders names {folder}, which cannot be looked at ({error.strerror}): "
                "make that folder, or take it out of loader.folders."
            )
            continue
        if _is_package(folder):
            warnings.append(
                f"loader.folders names {folder}, which is itself a plugin: name the folder that holds it, "
                f"{folder.parent}."
            )
        yield from map(folder_candidate, packages)


def _is_package(folder: Path) -> bool:
    """Tell whether a folder is a plugin's package, or looks as if it were meant to be one."""
    if folder.name.startswith(".") or folder.name == "__pycache__":
        return False
    return (folder / "plugin.json").is_file() or (folder / "__init__.py").is_file()


def _object(obj: object) -> Candidate:
    """Make the candidate of an object, a class or a module; its files lie beside the module of its class."""
    owner = obj if inspect.ismodule(obj) or inspect.isclass(obj) else type(obj)
    module = owner if inspect.ismodule(owner) else sys.modules.get(owner.__module__)
    name = owner.__name__ if inspect.ismodule(owner) else f"{owner.__module__}:{owner.__qualname__}"
    file = getattr(module, "__file__", None)
    claim = _object_claim(obj)
    return Candidate(
        id=claim or clip(owner.__name__.rpartition(".")[2].lower()),
        source="object",
        place=f"object {name}",
        folder=Path(file).parent if file else None,
        entry=name,
        obj=obj,
        claimed=claim is not None,
    )


def _object_claim(obj: object) -> str | None:
    try:
        claim = obj.manifest["id"]  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - reading says what is wrong with it
        return None
    return (clip(claim) or None) if isinstance(claim, str) else None


def _remote(plugin: str, target: object) -> Candidate:
    return Candidate(id=clip(plugin), source="remote", place=f"remote {target}")
