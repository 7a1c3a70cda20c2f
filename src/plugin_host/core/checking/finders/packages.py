"""The package: its distribution's metadata, its entry point, and whether all its files are packed."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement

from plugin_host.core.checking.finding import Finding, finding
from plugin_host.plugins.installed import GROUP
from plugin_host.plugins.preflight import read_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.checking.distribution import Distribution
    from plugin_host.core.checking.subject import Subject

_BUILD: Final = "See that the build packs it: hatchling does, setuptools needs package-data for it."
_FILES: Final = ("*.json", "locales/*.json", "migrations/*.py", "ui/**/*")
_NAMED: Final = 5


def find(subject: Subject) -> Iterator[Finding]:
    """Find what is wrong with the package around the plugin."""
    said = subject.distribution
    fault = subject.candidate.fault
    if fault is not None and fault.code in ("manifest_invalid", "package_missing", "import_failed"):
        entry = said is not None and len(said.points.get(GROUP, {})) != 1
        near = difflib.get_close_matches(GROUP, said.points, 1, 0.8) if entry and said is not None else []
        hint = f" (there is a group {near[0]!r})" if near and near[0] != GROUP else ""
        label = said.label if said is not None else ""
        yield finding("PH502" if entry else "PH501", f"{fault.text.rstrip('.')}{hint}", fault.way_out, label)
    if said is None:
        return
    yield from _metadata(subject, said)
    yield from _recorded(said)
    yield from _dropped(subject, said)
    yield from _lacking(subject, said)
    yield from _taken(subject, said)


def _metadata(subject: Subject, said: Distribution) -> Iterator[Finding]:
    line = said.line("[project]")
    if "plugin-host" not in {_name(text) for text in said.requires}:
        way_out = 'Add it: dependencies = ["plugin-host"].'
        yield finding(
            "PH506", "it does not require plugin-host", way_out, said.label, said.line("dependencies") or line
        )
    if said.python is None:
        text, way_out = "it does not say for which Python it is", 'Add it: requires-python = ">=3.11".'
        yield finding("PH507", text, way_out, said.label, line)
    described = said.description or (subject.manifest is not None and bool(subject.manifest.description))
    linked = said.documented or (subject.manifest is not None and bool(subject.manifest.links))
    for there, text, way_out in (
        (described, "it does not say what it is", 'Add a sentence: description = "…".'),
        (said.licence, "it does not say under which licence it is", 'Add it: license = "MIT".'),
        (linked, "it does not say where to read more", 'Add readme = "README.md", or [project.urls].'),
    ):
        if not there:
            yield finding("PH508", text, way_out, said.label, line)


def _name(requirement: str) -> str:
    try:
        return _plain(Requirement(requirement).name)
    except InvalidRequirement:
        return ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# -- files -----------------------------------------------------------------------------------------------------


def _recorded(said: Distribution) -> Iterator[Finding]:
    """Find what RECORD names and is not there."""
    if said.root is None:
        return
    missing = [
        name
        for each in said.recorded
        if (name := each.strip('"')) and not name.endswith((".pyc", "RECORD")) and not (said.root / name).exists()
    ]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        text = f"RECORD names {', '.join(missing[:_NAMED])}{more}, and there is no such file"
        label = said.label.replace("METADATA", "RECORD")
        yield finding("PH504", text, "Build and install it again.", label)


def _dropped(subject: Subject, said: Distribution) -> Iterator[Finding]:
    """Find a project whose build leaves out what is no Python."""
    if said.backend is None or not said.backend.startswith("setuptools") or said.packs_data:
        return
    files = [subject.label(path) for path in _packed(subject.folder)]
    if files:
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        text = f"setuptools will not pack {', '.join(files[:_NAMED])}{more}"
        way_out = "Use hatchling, or list the files under [tool.setuptools.package-data]."
        yield finding("PH505", text, way_out, said.label, said.line("build-backend") or said.line("[build-system]"))


def _lacking(subject: Subject, said: Distribution) -> Iterator[Finding]:
    """Find what the source folder beside a wheel has and the wheel has not."""
    if subject.unpacked is None or subject.folder is None:
        return
    source = _source_of(Path(subject.candidate.place), said.name)
    if source is None:
        return
    for path in _packed(source):
        below = path.relative_to(source)
        if not (subject.folder / below).is_file():
            text = f"the wheel lacks it, {source} has it"
            yield finding("PH503", text, _BUILD, f"{subject.folder.name}/{below}")


def _source_of(wheel: Path, name: str) -> Path | None:
    """Give the package that a wheel was built from, if it lies in its project (`dist/`, or beside it)."""
    for project in list(wheel.resolve().parents)[:2]:
        try:
            said = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if _plain(str(said.get("project", {}).get("name", ""))) == _plain(name):
            return read_path(project).folder
    return None


def _packed(folder: Path | None) -> list[Path]:
    """List the files of a package that a build may forget."""
    if folder is None:
        return []
    found = {path for pattern in _FILES for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if "__pycache__" not in path.parts and path.name != "__init__.py")


def _taken(subject: Subject, said: Distribution) -> Iterator[Finding]:
    """Find an installed distribution of another name that installs the same package."""
    for other in subject.others.values():
        theirs = other.candidate
        same = theirs.source == "wheel" and theirs.package == subject.candidate.package != ""
        if same and theirs.distribution is not None and _plain(theirs.distribution) != _plain(said.name):
            text = f"{theirs.distribution} ({other.id}) installs the package {theirs.package!r} too"
            way_out = f"Name yours host_{subject.id}, or uninstall {theirs.distribution}."
            yield finding("PH804", text, way_out, said.label)
