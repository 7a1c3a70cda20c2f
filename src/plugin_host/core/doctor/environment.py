"""Python and the libraries, held against what the distributions themselves say that they need."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from plugin_host.core.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from plugin_host.core.doctor.findings import Level

HOST: Final = "plugin-host"


def installed_version(name: str) -> str | None:
    """Give the version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_python() -> Iterator[Finding]:
    """Hold the running Python against the range that the host is made for."""
    here = platform.python_version()
    wanted = str(metadata.metadata(HOST).json.get("requires_python", ""))
    if SpecifierSet(wanted).contains(here, prereleases=True):
        yield Finding(check="python", level="ok", text=f"Python {here} (the host needs {wanted or 'any'}).")
    else:
        yield Finding(
            check="python",
            level="error",
            text=f"This is Python {here}; the host needs {wanted}.",
            way_out=f"Make a virtual environment with Python {wanted}, and install the host there.",
        )


def check_host(extras: Collection[str] = ()) -> Iterator[Finding]:
    """Hold the installed libraries against what the host's own distribution requires, with these extras."""
    unmet = list(unmet_needs(HOST, metadata.requires(HOST) or (), installed_version, "error", extras))
    yield from unmet
    yield from check_casbin(installed_version)
    if not unmet:
        text = f"plugin-host {metadata.version(HOST)} and all libraries that it requires are there."
        yield Finding(check="versions", level="ok", text=text)


def check_distributions(names: Iterable[str]) -> Iterator[Finding]:
    """Hold the installed libraries against what the distributions of plugins require."""
    for name in names:
        try:
            needs = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            continue
        yield from unmet_needs(name, needs, installed_version, "warning")


def unmet_needs(
    owner: str,
    requirements: Iterable[str],
    installed: Callable[[str], str | None],
    level: Level,
    extras: Collection[str] = (),
) -> Iterator[Finding]:
    """Tell which requirements (lines as in a distribution's metadata) are not met by what is installed."""
    for line in requirements:
        try:
            need = Requirement(line)
        except InvalidRequirement:
            continue  # pip has let it pass
        if need.marker is not None and not any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        version = installed(need.name)
        if version is not None and need.specifier.contains(version, prereleases=True):
            continue
        has = "it is not installed" if version is None else f"{version} is installed"
        wanted = f"{need.name}{need.specifier}"
        text = f"{owner} requires {wanted}, and {has}."
        yield Finding(check="versions", level=level, text=text, way_out=f"Run: pip install '{wanted}'")


def check_casbin(installed: Callable[[str], str | None]) -> Iterator[Finding]:
    """Tell when two distributions have written into one package, which is then a mixture of both."""
    if installed("casbin") is not None and installed("pycasbin") is not None:
        yield Finding(
            check="versions",
            level="error",
            text="casbin and pycasbin are both installed, and both install the package `casbin`: it is a mixture.",
            way_out="Run: pip uninstall -y casbin pycasbin; pip install pycasbin (and find out what brought casbin).",
        )
