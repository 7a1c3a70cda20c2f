"""Which installed distributions say that they bring a plugin: looked up once, and again when something changed.

`importlib.metadata` opens a file of every distribution, on every call. So what it said is kept, together with the
`stat` of all that it depends on: the folders and archives of `sys.path`, which a package manager touches whenever
it adds or removes a distribution, and the metadata of the plugins found, which may be edited in place.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GROUP: Final = "plugin_host.plugins"

# Some file systems keep times of two seconds' grain: what changed a moment ago may change again unseen.
_SETTLED: Final = 2_000_000_000

# These look at nothing but `sys.path`; what any other finder of distributions depends on cannot be known.
_PATH_FINDERS: Final = frozenset({"_frozen_importlib_external", "importlib_metadata"})

_FILES: Final = ("entry_points.txt", "METADATA", "PKG-INFO")

# The two headers as every build tool writes them. Anything else is left to the parser of e-mail, which is dear: it
# took a third of the time that looking at a plugin takes.
_HEADER: Final = {
    name: re.compile(rf"\A(?:[A-Za-z-]+:[^\n]*\n)*?{name}: ([^\s;]+)\r?\n") for name in ("Name", "Version")
}

Mark: TypeAlias = tuple[int, int, int, int] | None


class Point(NamedTuple):
    """An entry point of the group: `name = value`, and which distribution says so, as far as it can be told."""

    name: str
    value: str
    distribution: str | None
    version: str | None


class Scan(NamedTuple):
    """All entry points of the group, and sentences about distributions that could not be looked at.

    `host` is the version of the host itself; None if it runs from a source folder that is not installed.
    """

    points: tuple[Point, ...]
    host: str | None = None
    warnings: tuple[str, ...] = ()


class _Kept(NamedTuple):
    path: tuple[object, ...]
    files: tuple[str, ...]
    marks: tuple[Mark, ...]
    scan: Scan


class Scanner:
    """Looks through the installed distributions, and remembers what it saw. Threads may share it."""

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def scan(self) -> Scan:
        """Give what is installed now. Never raises."""
        kept = self._kept
        path = tuple(sys.path)
        if kept is not None and kept.path == path and kept.marks == _marks((*path, *kept.files)) and _knowable():
            return kept.scan
        began = time.time_ns()
        before = _marks(path)  # of before the look: what changes meanwhile is seen by the next one
        scan, files = _look()
        marks = (*before, *_marks(files))
        settled = all(mark is None or mark[0] < began - _SETTLED for mark in marks)
        self._kept = _Kept(path, files, marks, scan) if settled and _knowable() else None
        return scan


def _look() -> tuple[Scan, tuple[str, ...]]:
    """Ask all distributions; give the files on which the answer depends, too."""
    with contextlib.suppress(Exception):  # a finder may be foreign code
        importlib.invalidate_caches()
    metadata.MetadataPathFinder().invalidate_caches()  # it compares times itself, and less exactly than we do
    warnings: list[str] = []
    try:
        found = tuple(metadata.entry_points(group=GROUP))
    except Exception:  # noqa: BLE001 - one distribution with broken files must not hide all others
        found = tuple(_readable(warnings))
    points = tuple(Point(point.name, point.value, *_distribution(point)) for point in found)
    return Scan(points, _host(), tuple(warnings)), tuple(file for point in found for file in _files_of(point))


def _host() -> str | None:
    try:
        return metadata.version("plugin-host")
    except Exception:  # noqa: BLE001 - not installed, or the path holds what importlib.metadata cannot live with
        return None


def _readable(warnings: list[str]) -> Iterator[metadata.EntryPoint]:
    """Give what the readable distributions say; of two of one name the first on the path counts, as for pip."""
    seen: set[str] = set()
    for distribution in _distributions():
        try:
            name = canonicalize_name(distribution.name)
            if name not in seen:
                seen.add(name)
                yield from distribution.entry_points.select(group=GROUP)
        except Exception as error:  # noqa: BLE001 - as above
            place = distribution.locate_file("")
            warnings.append(
                f"A distribution in {place} has an entry_points.txt that cannot be read ({error}): "
                "its plugins, if any, were not found. Reinstall it."
            )


def _distributions() -> Iterator[metadata.Distribution]:
    for entry in sys.path:
        # `sys.path` may hold anything; the import system passes over what is no name of a folder or archive.
        with contextlib.suppress(Exception):
            yield from tuple(metadata.distributions(path=[entry]))


def _distribution(point: metadata.EntryPoint) -> tuple[str | None, str | None]:
    try:
        if point.dist is None:
            return None, None
        said = point.dist.read_text("METADATA") or ""
        name, version = _HEADER["Name"].search(said), _HEADER["Version"].search(said)
        if name and version:
            return name[1], version[1]
        # Once: `name` and `version` would read and parse the file again each.
        whole = point.dist.metadata
        return whole["Name"], whole["Version"]
    except Exception:  # noqa: BLE001 - metadata is foreign, and may be half uninstalled
        return None, None


def _files_of(point: metadata.EntryPoint) -> Iterator[str]:
    folder = getattr(point.dist, "_path", None)  # no public name gives it; in an archive it is no Path
    if isinstance(folder, Path):
        yield from (str(folder / name) for name in _FILES)


def _marks(paths: Iterable[object]) -> tuple[Mark, ...]:
    return tuple(map(_mark, paths))


def _mark(path: object) -> Mark:
    """Tell one state of a file or folder from the next; None if it is not there."""
    try:
        stat = os.stat(path or ".")  # type: ignore[arg-type]  # noqa: PTH116 - sys.path may hold anything
    except (OSError, TypeError, ValueError):
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev


def _knowable() -> bool:
    finders: Sequence[object] = sys.meta_path
    return all(
        _module_of(finder).rpartition(".")[2] in _PATH_FINDERS
        for finder in finders
        if hasattr(finder, "find_distributions")
    )


def _module_of(finder: object) -> str:
    return str((finder if isinstance(finder, type) else type(finder)).__module__)
