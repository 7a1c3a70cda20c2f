"""Would a package manager install the wheel here? Judged on written wheels; nothing is installed."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from plugin_host.plugins.fitness import Fitness, judge, names_of
from plugin_host.plugins.plan import Candidate
from plugin_host.plugins.preflight import takes_the_place, unpack

from .building import make_distribution, make_package, manifest_keys, wheel_members

POINTS = "[plugin_host.plugins]\nhello = host_hello.hooks\n"


def build(
    folder: Path, *lines: str, name: str = "host_hello-1.0-py3-none-any.whl", **members: str
) -> tuple[Path, Path]:
    """Write a wheel with more lines of METADATA, and unpack it; gives the file and the folder."""
    metadata = "\n".join(["Metadata-Version: 2.1", "Name: host-hello", "Version: 1.0", *lines, ""])
    info = {"METADATA": metadata, "entry_points.txt": POINTS}
    with zipfile.ZipFile(folder / name, "w") as file:
        for path, text in wheel_members("host_hello", "hello").items():
            file.writestr(path, text)
        for path, text in {f"host_hello-1.0.dist-info/{key}": text for key, text in info.items()}.items():
            file.writestr(path, text)
        for path, text in members.items():
            file.writestr(path.replace("__", "/").replace("_dot_", "."), text)
    unpack(folder / name, folder / "into")
    return folder / name, folder / "into"


def judged(built: tuple[Path, Path], *, beside: Any = None, replaced: Any = ()) -> Fitness:
    return judge(*built, "hello", beside=beside or {}, replaced=replaced)


def reason(fitness: Fitness) -> tuple[str, str]:
    assert fitness.reason is not None
    assert fitness.reason.way_out
    return fitness.reason.code, fitness.reason.text


def test_a_plain_wheel_fits(tmp_path: Path) -> None:
    assert judged(build(tmp_path)) == Fitness(None, ())


# -- name, tags, Python ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hello.whl", "hello.zip", "host_hello-x-py3-none-any.whl"])
def test_a_file_that_is_not_named_like_a_wheel(tmp_path: Path, name: str) -> None:
    code, text = reason(judged(build(tmp_path, name=name)))
    assert (code, text.startswith(f"{name} is no name of a wheel")) == ("manifest_invalid", True)


@pytest.mark.security
@pytest.mark.parametrize("name", ["host_hello-2.0-py3-none-any.whl", "contacts-1.0-py3-none-any.whl"])
def test_a_file_that_is_named_like_another_wheel(tmp_path: Path, name: str) -> None:
    assert reason(judged(build(tmp_path, name=name))) == (
        "version_mismatch",
        f"{name} is not the file of host-hello 1.0, which it holds.",
    )


def test_a_wheel_for_another_system(tmp_path: Path) -> None:
    code, text = reason(judged(build(tmp_path, name="host_hello-1.0-cp27-cp27m-win32.whl")))
    assert (code, "another Python or another system" in text) == ("dependency_incompatible", True)


@pytest.mark.parametrize(
    ("wanted", "expected"), [(">=99", "dependency_incompatible"), ("newest", "manifest_invalid"), (">=3.11", None)]
)
def test_a_wheel_says_which_python_it_requires(tmp_path: Path, wanted: str, expected: str | None) -> None:
    fitness = judged(build(tmp_path, f"Requires-Python: {wanted}"))
    assert (fitness.reason.code if fitness.reason is not None else None) == expected


# -- what it requires --------------------------------------------------------------------------------------------


def test_what_is_missing_is_noted(tmp_path: Path) -> None:
    fitness = judged(build(tmp_path, "Requires-Dist: no-such-thing>=2"))
    assert fitness == Fitness(
        None,
        ("host_hello-1.0-py3-none-any.whl requires no-such-thing>=2, which is not installed: install that with it.",),
    )


def test_what_is_there_in_another_version_is_noted(tmp_path: Path) -> None:
    (note,) = judged(build(tmp_path, "Requires-Dist: msgspec<0.1")).notes
    assert "requires msgspec<0.1, and " in note
    assert note.endswith(" is installed: install that with it.")


@pytest.mark.parametrize(
    "line",
    [
        "msgspec",
        "msgspec>=0.18",
        "no-such-thing; sys_platform == 'none'",
        "no-such-thing; extra == 'pdf'",
        "plugin-host",
    ],
)
def test_what_is_met_is_not_noted(tmp_path: Path, line: str) -> None:
    assert judged(build(tmp_path, f"Requires-Dist: {line}")) == Fitness(None, ())


@pytest.mark.parametrize(("version", "told"), [("2.5", []), ("1.0", ["1.0 is planned"]), (None, [])])
def test_what_would_be_installed_with_it_counts(tmp_path: Path, version: str | None, told: list[str]) -> None:
    notes = judged(build(tmp_path, "Requires-Dist: host.Other>=2"), beside={"host-other": version}).notes
    assert len(notes) == len(told)
    assert all(part in note for part, note in zip(told, notes, strict=True))


def test_another_host_is_no_host_for_it(tmp_path: Path) -> None:
    code, text = reason(judged(build(tmp_path, "Requires-Dist: plugin-host>=99")))
    assert (code, "requires plugin-host>=99, and " in text) == ("core_incompatible", True)


def test_a_requirement_that_nobody_understands(tmp_path: Path) -> None:
    code, text = reason(judged(build(tmp_path, "Requires-Dist: what is this")))
    assert (code, "no package manager understands" in text) == ("manifest_invalid", True)


# -- whose files it would touch ----------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    make_package(folder / "host_hello", **manifest_keys("hello"))
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


def test_the_package_of_somebody_else_is_a_clash(tmp_path: Path, site: Path) -> None:
    code, text = reason(judged(build(tmp_path)))
    assert (code, str(site / "host_hello") in text) == ("name_clash", True)


def test_the_package_that_it_replaces_is_no_clash(tmp_path: Path, site: Path) -> None:
    assert judged(build(tmp_path), replaced={"host_hello"}) == Fitness(None, ())


@pytest.mark.security
def test_a_wheel_must_not_write_into_the_host(tmp_path: Path) -> None:
    code, text = reason(judged(build(tmp_path, plugin_host__hook_dot_py="")))
    assert (code, "would write into 'plugin_host'" in text) == ("name_clash", True)


@pytest.mark.parametrize(("member", "named"), [("json_dot_py", "json"), ("sys_dot_py", "sys")])
def test_other_names_that_are_taken_are_noted(tmp_path: Path, member: str, named: str) -> None:
    fitness = judged(build(tmp_path, **{member: ""}))
    assert fitness.reason is None
    assert f"brings {named!r}, which " in fitness.notes[0]


@pytest.mark.security
@pytest.mark.parametrize("member", ["evil_dot_pth", "host_hello-1.0.data__purelib__evil_dot_pth"])
def test_lines_that_run_whenever_python_starts_are_noted(tmp_path: Path, member: str) -> None:
    (note,) = judged(build(tmp_path, **{member: "import os"})).notes
    assert "brings evil.pth: its lines run whenever" in note


def test_a_finder_that_fails_is_no_fault_of_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @staticmethod
        def find_spec(*_: object) -> None:
            raise OSError("stale handle")

    built = build(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [Broken, *sys.meta_path])
    assert judged(built).reason is None


def test_an_installed_distribution_tells_its_names(tmp_path: Path, site: Path) -> None:
    info = make_distribution(site, {"hello": "host_hello.hooks"})
    (info / "RECORD").write_text(f"host_hello/__init__.py,,\nother.py,,\n{info.name}/METADATA,,\n")
    assert set(names_of(["host-hello", "no-such-thing"])) == {"host_hello", "other"}


# -- whose place it takes ----------------------------------------------------------------------------------------


def candidate(**keys: Any) -> Candidate:
    return Candidate(**{"id": "hello", "source": "wheel", "place": "x", "distribution": "host-hello", **keys})


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        ({}, True),
        ({"distribution": "Host.Hello", "id": "other"}, True),
        ({"distribution": "hello-ng"}, False),
        ({"distribution": None}, True),
        ({"distribution": None, "id": "other"}, False),
        ({"source": "folder", "distribution": None}, False),
    ],
)
def test_a_wheel_takes_the_place_of_its_distribution(old: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    assert takes_the_place(candidate(), candidate(**old)) is expected


def test_a_folder_takes_the_place_of_the_folder_of_its_id() -> None:
    folder = candidate(source="folder", distribution=None)
    assert takes_the_place(folder, folder)
    assert not takes_the_place(folder, candidate(source="folder", distribution=None, id="other"))
