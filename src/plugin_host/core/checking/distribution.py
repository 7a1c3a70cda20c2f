"""What a plugin's distribution says of itself: an unpacked wheel, a project's pyproject.toml, or installed metadata."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugin_host.plugins.plan import Candidate


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The facts that the rules ask for.

    `label` is the file that says so. `points` are the entry points by group. `root` and `recorded` are where the
    files of an installed or unpacked distribution lie and what RECORD names, `backend` what builds a project.
    `packs_data` tells whether a project says something about files that are no Python.
    """

    label: str
    name: str
    requires: tuple[str, ...] = ()
    python: str | None = None
    description: bool = False
    licence: bool = False
    documented: bool = False
    points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    root: Path | None = None
    recorded: tuple[str, ...] = ()
    backend: str | None = None
    packs_data: bool = True
    text: str = ""

    def line(self, word: str) -> int | None:
        """Give the line on which a word stands first in the file."""
        at = self.text.find(word)
        return self.text.count("\n", 0, at) + 1 if at >= 0 else None


def distribution_of(candidate: Candidate, unpacked: Path | None) -> Distribution | None:
    """Look the distribution of a candidate up; None if there is none, or nothing can be read."""
    try:
        if unpacked is not None and unpacked.is_dir():
            infos = [path for path in unpacked.iterdir() if path.suffix == ".dist-info" and path.is_dir()]
            return _installed(metadata.PathDistribution(infos[0]), unpacked) if len(infos) == 1 else None
        project = project_of(candidate)
        if project is not None:
            return _project(project)
        if candidate.source == "wheel" and candidate.distribution is not None:
            found = metadata.distribution(candidate.distribution)
            return _installed(found, None if _is_editable(found) else Path(str(found.locate_file(""))))
    except (OSError, ValueError, metadata.PackageNotFoundError):
        pass  # what is wrong with it, finding the plugin has told
    return None


def project_of(candidate: Candidate) -> Path | None:
    """Give the project folder of a candidate that was named by its project."""
    place = Path(candidate.place)
    return place if candidate.source == "wheel" and (place / "pyproject.toml").is_file() else None


def _installed(found: metadata.Distribution, root: Path | None) -> Distribution:
    said = found.metadata
    points: dict[str, dict[str, str]] = {}
    for point in found.entry_points:
        points.setdefault(point.group, {})[point.name] = point.value
    classifiers = said.get_all("Classifier") or []
    info = getattr(found, "_path", None)
    return Distribution(
        label=f"{Path(str(info)).name}/METADATA" if info is not None else "METADATA",
        name=said["Name"] or "",
        requires=tuple(found.requires or ()),
        python=said["Requires-Python"],
        description=_says(said["Summary"]),
        licence=any(_says(said[key]) for key in ("License", "License-Expression", "License-File"))
        or any(each.startswith("License ::") for each in classifiers),
        documented=bool(said.get_all("Project-URL") or _says(said["Home-page"]) or _has_body(said)),
        points=points,
        root=root,
        recorded=tuple(line.rpartition(",")[0].rpartition(",")[0] for line in _record(found)) if root else (),
    )


def _project(folder: Path) -> Distribution:
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    whole: Any = tomllib.loads(text)
    said = _table(whole, "project")
    dynamic = said.get("dynamic", ())
    points = _table(said, "entry-points")
    setuptools = _table(_table(whole, "tool"), "setuptools")
    return Distribution(
        label=f"{folder.name}/pyproject.toml",
        name=str(said.get("name", "")),
        requires=("plugin-host",) if "dependencies" in dynamic else tuple(map(str, said.get("dependencies", ()))),
        python=said.get("requires-python") or ("?" if "requires-python" in dynamic else None),
        description=bool(said.get("description")) or "description" in dynamic,
        licence=any(said.get(key) for key in ("license", "license-files"))
        or "license" in dynamic
        or any(str(each).startswith("License ::") for each in said.get("classifiers", ())),
        documented=any(said.get(key) for key in ("readme", "urls")) or "readme" in dynamic,
        points={group: dict(table) for group, table in points.items() if isinstance(table, dict)},
        backend=str(_table(whole, "build-system").get("build-backend", "setuptools.build_meta")),
        packs_data="package-data" in setuptools or (folder / "MANIFEST.in").is_file(),
        text=text,
    )


def _is_editable(found: metadata.Distribution) -> bool:
    """Tell whether only a pointer to a source folder is installed: then RECORD does not list the package."""
    said = json.loads(found.read_text("direct_url.json") or "{}")
    return bool(_table(said, "dir_info").get("editable"))


def _record(found: metadata.Distribution) -> list[str]:
    return (found.read_text("RECORD") or "").splitlines()


def _has_body(said: Any) -> bool:
    return bool(str(said.get_payload() or "").strip())


def _says(value: str | None) -> bool:
    return bool(value) and value != "UNKNOWN"


def _table(said: Any, key: str) -> dict[str, Any]:
    inner = said.get(key) if isinstance(said, dict) else None
    return inner if isinstance(inner, dict) else {}
