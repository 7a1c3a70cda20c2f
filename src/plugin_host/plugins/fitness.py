"""Would a package manager install this wheel here, beside what is installed? Nothing is installed to find out.

Asked are its name, the Python and the platforms it is built for, what it requires, and whose files it would touch.
"""

from __future__ import annotations

import contextlib
import platform
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from plugin_host.plugins import importing, installed
from plugin_host.plugins.preflight import metadata_of
from plugin_host.sdk.errors import Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

Versions: TypeAlias = "Mapping[str, str | None]"
"""Versions of distributions by their canonical names; None where the version is not known."""


class Fitness(NamedTuple):
    """What was found: why the wheel cannot be installed, if so, and sentences about what should be known."""

    reason: Reason | None
    notes: tuple[str, ...]


def judge(wheel: Path, into: Path, plugin: str, *, beside: Versions, replaced: Collection[str]) -> Fitness:
    """Judge a wheel that was unpacked `into` a folder.

    `beside` are distributions that would be installed with it; `replaced` are the import names of what it would
    take the place of. Whatever a package manager would fetch, or change, to install it is only noted.
    """
    distribution = metadata_of(into)
    fault = _Fault(plugin, wheel.name)
    reason = _misnamed(wheel, distribution, fault) or _other_python(distribution, fault)
    tops = sorted(path for path in into.iterdir() if path.suffix not in {".dist-info", ".data", ".pth"})
    clashes = {_import_name(top): where for top in tops if (where := _taken(_import_name(top), replaced)) is not None}
    notes = [f"{wheel.name} brings {name!r}, which {where} is already." for name, where in clashes.items()]
    notes += [
        f"{wheel.name} brings {path.name}: its lines run whenever a Python of this environment starts."
        for path in sorted({*into.glob("*.pth"), *into.glob("*.data/*lib/*.pth")})
    ]
    own = importing_name(distribution)
    for name in sorted({*own, "plugin_host"} & clashes.keys()):
        text = f"would write into {name!r}, which {clashes[name]} is already"
        reason = reason or fault("name_clash", text, f"Rename the package of {plugin}, for example to host_{plugin}.")
    try:
        needs = [Requirement(line) for line in distribution.requires or ()]
    except InvalidRequirement as error:
        needs = []
        text = f"requires what no package manager understands ({str(error).splitlines()[0]})"
        reason = reason or fault("manifest_invalid", text, "Correct `dependencies` in its pyproject.toml.")
    for need in needs:
        if (lack := _lacks(need, beside)) is None:
            continue
        if canonicalize_name(need.name) == "plugin-host":
            reason = reason or fault("core_incompatible", f"requires {lack}", "Install a version for this host.")
        else:
            notes.append(f"{wheel.name} requires {lack}: install that with it.")
    return Fitness(reason, tuple(notes))


def importing_name(distribution: metadata.Distribution) -> frozenset[str]:
    """Give the top-level names of what the plugins of a distribution are imported from."""
    points = distribution.entry_points.select(group=installed.GROUP)
    return frozenset(point.value.partition(":")[0].partition(".")[0] for point in points)


class _Fault(NamedTuple):
    plugin: str
    wheel: str

    def __call__(self, code: ReasonCode, text: str, way_out: str) -> Reason:
        return Reason(code=code, text=f"{self.wheel} {text}.", culprits=(self.plugin, self.wheel), way_out=way_out)


def _misnamed(wheel: Path, distribution: metadata.Distribution, fault: _Fault) -> Reason | None:
    """Say what is wrong with the name of the file: a package manager believes it, and refuses one that does not fit."""
    said = (distribution.metadata["Name"], distribution.metadata["Version"])
    try:
        name, version, _, tags = parse_wheel_filename(wheel.name)
        fits = (name, version) == (canonicalize_name(said[0]), Version(said[1]))
    except (InvalidWheelFilename, InvalidVersion) as error:
        return fault("manifest_invalid", f"is no name of a wheel: {error}", "Name the file as it was built.")
    if not fits:
        text = f"is not the file of {said[0]} {said[1]}, which it holds"
        return fault("version_mismatch", text, "Name the file as it was built, or build it again.")
    if tags.isdisjoint(sys_tags()):
        text = f"is built for another Python or another system than this one ({platform.python_version()})"
        return fault("dependency_incompatible", text, "Get the wheel for this one.")
    return None


def _other_python(distribution: metadata.Distribution, fault: _Fault) -> Reason | None:
    said = distribution.metadata
    wanted = said["Requires-Python"] if "Requires-Python" in said else ""  # noqa: SIM401 - not typed on 3.11
    here = platform.python_version()
    try:
        fits = SpecifierSet(wanted).contains(here, prereleases=True)
    except InvalidSpecifier:
        return fault("manifest_invalid", f"requires Python {wanted!r}, which is no range", "Correct `requires-python`.")
    if fits:
        return None
    text = f"requires Python {wanted}, and this is {here}"
    return fault("dependency_incompatible", text, "Get a version for this Python, or change the host's.")


def _lacks(need: Requirement, beside: Versions) -> str | None:
    """Word what is missing of a requirement; None if nothing is, or if it is for another system or an extra."""
    if need.marker is not None and not need.marker.evaluate({"extra": ""}):
        return None
    name = canonicalize_name(need.name)
    version = beside[name] if name in beside else _version(name)
    wanted = f"{need.name}{need.specifier}"
    if version is None:
        return None if name in beside or name == "plugin-host" else f"{wanted}, which is not installed"
    if need.specifier.contains(version, prereleases=True):
        return None
    return f"{wanted}, and {version} is {'planned' if name in beside else 'installed'}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except Exception:  # noqa: BLE001 - not installed, or half uninstalled
        return None


def _import_name(top: Path) -> str:
    return top.name.partition(".")[0]


def _taken(name: str, replaced: Collection[str]) -> str | None:
    """Say what has an import name already; a folder without code (a namespace) is nobody's."""
    if name in replaced:
        return None
    try:
        spec = importing.find_spec(name)
    except Exception:  # noqa: BLE001 - a broken finder of somebody else is no fault of this wheel
        return None
    if spec is None or spec.origin is None:
        return None
    return f"a module of Python ({spec.origin})" if spec.origin in {"built-in", "frozen"} else spec.origin


def names_of(distributions: Collection[str]) -> Iterator[str]:
    """Give the import names that installed distributions brought, as far as their lists of files tell."""
    for name in distributions:
        with contextlib.suppress(Exception):  # as `_version`
            files = metadata.distribution(name).files or ()
            yield from {file.parts[0].partition(".")[0] for file in files if not file.parts[0].endswith(".dist-info")}
