"""The look through the installed distributions: what it remembers, and what it notices."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from plugin_host.plugins.installed import Point, Scanner

from .building import HOOKS, make_distribution, make_package, manifest_keys

HELLO = Point("hello", "host_hello.hooks", "host-hello", "1.0")

_opened: list[str] | None = None


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if _opened is not None and event in {"open", "os.listdir", "os.scandir"}:
        _opened.append(str(args[0]))


sys.addaudithook(_listen)  # it stays for good, and is deaf outside of `listening`


@contextmanager
def listening() -> Iterator[list[str]]:
    """Give the files and folders that Python opens meanwhile."""
    global _opened  # noqa: PLW0603 - an audit hook cannot be taken back
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder that is the only one on the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


@pytest.fixture
def scanner() -> Scanner:
    return Scanner()


def settle(*roots: Path) -> None:
    """Let everything be as old as if it had been installed yesterday."""
    for root in roots:
        for path in (root, *root.rglob("*")):
            stat = path.stat()
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 86_400 * 1_000_000_000))


def names(scanner: Scanner) -> list[str]:
    return sorted(point.name for point in scanner.scan().points)


def test_a_distribution_is_told_with_its_name_and_version(place: Path, scanner: Scanner) -> None:
    make_distribution(place, {"hello": "host_hello.hooks"})
    assert scanner.scan().points == (HELLO,)


def test_the_host_is_told_its_version(place: Path, scanner: Scanner) -> None:
    make_distribution(place, {}, name="plugin-host", version="7.1")
    assert scanner.scan().host == "7.1"


def test_a_host_that_is_not_installed_has_no_version(place: Path, scanner: Scanner) -> None:
    assert scanner.scan().host is None


def test_a_second_scan_opens_no_file(place: Path, scanner: Scanner) -> None:
    for n in range(5):
        make_distribution(place, {f"plug{chr(97 + n)}": "a.b"}, name=f"host-{n}")
    settle(place)
    with listening() as cold:
        first = scanner.scan()
    with listening() as warm:
        second = scanner.scan()
    assert (len(first.points), second) == (5, first)
    assert len(cold) > 5
    assert warm == []


def test_an_unreadable_distribution_is_remembered_too(place: Path, scanner: Scanner) -> None:
    (make_distribution(place, {}, name="broken") / "entry_points.txt").write_bytes(b"[plugin_host.plugins]\nx = \xff\n")
    make_distribution(place, {"hello": "host_hello.hooks"})
    settle(place)
    first = scanner.scan()
    with listening() as warm:
        assert scanner.scan() == first
    assert (first.points, len(first.warnings), warm) == ((HELLO,), 1, [])


def test_a_broken_distribution_does_not_bring_back_an_older_one_of_a_name(
    tmp_path: Path, place: Path, scanner: Scanner
) -> None:
    """As everywhere in Python, the first one on the path counts."""
    sys.path.append(str(tmp_path / "older"))
    make_distribution(tmp_path / "older", {"hello": "older.hooks"}, version="0.9")
    make_distribution(place, {"hello": "host_hello.hooks"})
    (make_distribution(place, {}, name="broken") / "entry_points.txt").write_bytes(b"[plugin_host.plugins]\nx = \xff\n")
    assert scanner.scan().points == (HELLO,)


# -- what is noticed ---------------------------------------------------------------------------------------------


def install(place: Path) -> None:
    make_distribution(place, {"other": "host_other.hooks"}, name="host-other")


def remove(place: Path) -> None:
    shutil.rmtree(place / "host_hello-1.0.dist-info")


def upgrade(place: Path) -> None:
    remove(place)
    make_distribution(place, {"hello": "host_hello.hooks"}, version="1.1")


def reinstall(place: Path) -> None:
    remove(place)
    make_distribution(place, {"hallo": "host_hello.hooks"})


def edit(place: Path) -> None:
    (place / "host_hello-1.0.dist-info" / "entry_points.txt").write_text("[plugin_host.plugins]\nedited = a.b\n")


def lose(place: Path) -> None:
    (place / "host_hello-1.0.dist-info" / "entry_points.txt").unlink()


def edit_version(place: Path) -> None:
    (place / "host_hello-1.0.dist-info" / "METADATA").write_text("Name: host-hello\nVersion: 1.0.1\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (install, [("hello", "1.0"), ("other", "1.0")]),
        (remove, []),
        (upgrade, [("hello", "1.1")]),
        (reinstall, [("hallo", "1.0")]),
        (edit, [("edited", "1.0")]),
        (lose, []),
        (edit_version, [("hello", "1.0.1")]),
    ],
)
@pytest.mark.parametrize("age", ["old", "young"])
def test_a_change_is_seen_by_the_next_scan(
    place: Path, scanner: Scanner, change: Callable[[Path], None], expected: list[tuple[str, str]], age: str
) -> None:
    make_distribution(place, {"hello": "host_hello.hooks"})
    if age == "old":
        settle(place)
    scanner.scan()
    change(place)
    assert [(point.name, point.version) for point in sorted(scanner.scan().points)] == expected


def test_a_change_within_the_grain_of_the_clock_is_seen(place: Path, scanner: Scanner) -> None:
    make_distribution(place, {"hello": "host_hello.hooks"})
    stat = place.stat()
    scanner.scan()
    install(place)
    os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert names(scanner) == ["hello", "other"]


def test_a_folder_on_the_path_that_is_made_later_is_seen(tmp_path: Path, place: Path, scanner: Scanner) -> None:
    sys.path.append(str(tmp_path / "later"))
    settle(place)
    assert names(scanner) == []
    make_distribution(tmp_path / "later", {"hello": "host_hello.hooks"})
    settle(tmp_path / "later")
    assert names(scanner) == ["hello"]


def test_another_path_is_another_question(tmp_path: Path, place: Path, scanner: Scanner) -> None:
    make_distribution(tmp_path / "other", {"hello": "host_hello.hooks"})
    settle(place, tmp_path / "other")
    assert names(scanner) == []
    sys.path.append(str(tmp_path / "other"))
    assert names(scanner) == ["hello"]


def test_the_working_folder_on_the_path_is_the_one_there_is_now(
    tmp_path: Path, place: Path, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_distribution(tmp_path / "other", {"hello": "host_hello.hooks"})
    settle(tmp_path)
    monkeypatch.setattr(sys, "path", [""])
    monkeypatch.chdir(place)
    assert names(scanner) == []
    monkeypatch.chdir(tmp_path / "other")
    assert names(scanner) == ["hello"]


def make_archive(path: Path, plugin: str) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("host_hello-1.0.dist-info/METADATA", "Name: host-hello\nVersion: 1.0\n")
        file.writestr(
            "host_hello-1.0.dist-info/entry_points.txt", f"[plugin_host.plugins]\n{plugin} = host_hello.hooks\n"
        )


def test_an_archive_on_the_path_is_looked_into(tmp_path: Path, place: Path, scanner: Scanner) -> None:
    make_archive(tmp_path / "all.zip", "hello")
    sys.path.append(str(tmp_path / "all.zip"))
    settle(tmp_path)
    assert scanner.scan().points == (HELLO,)
    with listening() as warm:
        scanner.scan()
    assert warm == []
    make_archive(tmp_path / "all.zip", "hallo")
    assert names(scanner) == ["hallo"]


@pytest.mark.parametrize("entry", [None, 7, b"x", "\0", Path("nowhere")], ids=repr)
def test_whatever_stands_on_the_path_is_lived_with(place: Path, scanner: Scanner, entry: object) -> None:
    make_distribution(place, {"hello": "host_hello.hooks"})
    sys.path.append(entry)  # type: ignore[arg-type]
    assert scanner.scan().points == (HELLO,)


class _Elsewhere:
    """A finder whose distributions are on no path: nobody can tell when they change."""

    points = "[plugin_host.plugins]\nhello = host_hello.hooks\n"

    @classmethod
    def find_distributions(cls, *_: object) -> list[metadata.Distribution]:
        class One(metadata.Distribution):
            def read_text(self, filename: str) -> str | None:
                return cls.points if filename == "entry_points.txt" else "Name: host-hello\nVersion: 1.0\n"

            def locate_file(self, path: object) -> Path:
                return Path("/nowhere")

        return [One()]


def test_what_another_finder_says_is_asked_each_time(
    place: Path, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _Elsewhere])
    settle(place)
    assert names(scanner) == ["hello"]
    monkeypatch.setattr(_Elsewhere, "points", "")
    assert names(scanner) == []


def test_a_finder_that_fails_hides_nothing(place: Path, scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @staticmethod
        def invalidate_caches() -> None:
            raise OSError("stale handle")

    make_distribution(place, {"hello": "host_hello.hooks"})
    monkeypatch.setattr(sys, "meta_path", [Broken, *sys.meta_path])
    assert names(scanner) == ["hello"]


# -- for real ----------------------------------------------------------------------------------------------------

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "host-hello"
version = "{version}"
[project.entry-points."plugin_host.plugins"]
hello = "host_hello.hooks"
[tool.hatch.build.targets.wheel]
packages = ["host_hello"]
"""


@pytest.mark.slow
def test_pip_is_followed(tmp_path: Path, place: Path, scanner: Scanner) -> None:
    project = tmp_path / "project"
    make_package(project / "host_hello", {"hooks.py": HOOKS}, **manifest_keys("hello"))

    def pip(*words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": "", "PIP_TARGET": str(place), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
        subprocess.run([*command, *words], check=True, env=environment)

    seen = []
    for version in ("1.0", "1.1"):
        (project / "pyproject.toml").write_text(PROJECT.format(version=version))
        pip("--upgrade", str(project))
        seen.append([point.version for point in scanner.scan().points])
    assert seen == [["1.0"], ["1.1"]]
