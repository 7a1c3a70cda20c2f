from __future__ import annotations

import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from plugin_host.plugins import archive, preflight
from plugin_host.plugins.archive import BadArchive
from plugin_host.plugins.manifests import read
from plugin_host.plugins.plan import Candidate
from plugin_host.plugins.preflight import candidate_of, read_path, unpack
from plugin_host.sdk.errors import Reason

from .building import HOOKS, make_folder_plugin, make_package, make_wheel, manifest_keys, wheel_members


def fault(candidate: Candidate) -> Reason:
    assert candidate.fault is not None
    return candidate.fault


# -- wheels ------------------------------------------------------------------------------------------------------


def test_the_plugin_of_a_wheel_is_found_in_the_folder(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "h.whl", wheel_members("host_hello", "hello"), {"hello": "host_hello.hooks"})
    candidate = unpack(wheel, tmp_path / "into")
    assert candidate == Candidate(
        id="hello",
        source="wheel",
        place=str(wheel),
        folder=tmp_path / "into" / "host_hello",
        entry="host_hello.hooks",
        distribution="host-hello",
        version="1.0",
    )
    assert read(candidate).fault is None


def test_a_wheel_with_a_shared_namespace_is_found_below_it(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "h.whl", wheel_members("acme/hello", "hello"), {"hello": "acme.hello.hooks"})
    assert unpack(wheel, tmp_path / "into").folder == tmp_path / "into" / "acme" / "hello"


def test_folders_in_an_archive_are_made(tmp_path: Path) -> None:
    members = {**wheel_members("host_hello", "hello"), "host_hello/empty/": ""}
    unpack(make_wheel(tmp_path / "h.whl", members, {"hello": "host_hello.hooks"}), tmp_path / "into")
    assert (tmp_path / "into" / "host_hello" / "empty").is_dir()


@pytest.mark.parametrize(
    ("points", "text", "way_out"),
    [
        ({}, "its entry points in the group 'plugin_host.plugins' are: none.", "Write [project.entry-points."),
        ({"aa": "x", "bb": "y"}, "are: aa, bb.", "Install it and check the plugins one by one, by their ids."),
    ],
)
def test_a_wheel_brings_one_plugin(tmp_path: Path, points: dict[str, str], text: str, way_out: str) -> None:
    wheel = make_wheel(tmp_path / "host_hello-1.0-py3-none-any.whl", {"x.py": ""}, points)
    candidate = unpack(wheel, tmp_path / "into")
    assert (candidate.id, candidate.claimed) == ("host_hello", False)
    assert text in fault(candidate).text
    assert fault(candidate).way_out.startswith(way_out)


def test_an_entry_point_that_names_no_module_is_a_fault(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "h.whl", {}, {"hello": "not a module"})
    assert "says 'not a module', which names no module" in fault(unpack(wheel, tmp_path / "into")).text


def test_a_wheel_without_its_package_is_a_fault(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "h.whl", {}, {"hello": "host_hello.hooks"})
    assert fault(unpack(wheel, tmp_path / "into")).code == "package_missing"


def test_an_archive_without_metadata_is_no_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "h.whl", "w") as file:
        file.writestr("x.py", "")
    assert "is no wheel: it holds 0 folders .dist-info" in fault(unpack(tmp_path / "h.whl", tmp_path / "into")).text


def test_a_file_that_is_a_folder_too_is_a_fault(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "h.whl", {"a": "", "a/b": ""}, {"hello": "host_hello.hooks"})
    assert "cannot be read" in fault(unpack(wheel, tmp_path / "into")).text


def test_a_wheel_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert "cannot be read" in fault(unpack(tmp_path / "gone.whl", tmp_path / "into")).text


# -- hostile archives --------------------------------------------------------------------------------------------


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def linked(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


def refuse(path: Path) -> str:
    """Unpack what must not be unpacked; give the sentence, having made sure that nothing was written."""
    into = path.parent / "into"
    with pytest.raises(BadArchive) as caught:
        archive.extract(path, into)
    assert not into.exists()
    return str(caught.value)


@pytest.mark.security
@pytest.mark.parametrize(
    "name", ["../evil.py", "a/../../evil.py", "/etc/evil.py", "..\\evil.py", "C:evil.py", "a/b|c.py", "."]
)
def test_no_file_leaves_the_folder(tmp_path: Path, name: str) -> None:
    assert "no plain path inside of it" in refuse(zipped(tmp_path / "x.whl", (name, b"")))


@pytest.mark.security
@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    assert "a link or a device" in refuse(zipped(tmp_path / "x.whl", (linked("a.py", kind), b"/etc/passwd")))


@pytest.mark.security
def test_a_bomb_is_refused(tmp_path: Path) -> None:
    assert "a zip bomb" in refuse(zipped(tmp_path / "x.whl", ("a.py", b"0" * 1_000_000)))


@pytest.mark.security
def test_files_that_are_too_large_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    assert "more than 10 bytes" in refuse(zipped(tmp_path / "x.whl", ("a.py", b"123456"), ("b.py", b"123456")))


@pytest.mark.security
def test_too_many_files_are_refused_before_the_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 1)
    assert "more than 1 files, or" in refuse(zipped(tmp_path / "x.whl", ("a.py", b""), ("b.py", b"")))


@pytest.mark.security
def test_a_directory_that_lies_about_its_number_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 1)
    path = zipped(tmp_path / "x.whl", ("a.py", b""), ("b.py", b""))
    content = bytearray(path.read_bytes())
    struct.pack_into("<2H", content, content.rfind(b"PK\x05\x06") + 8, 1, 1)
    path.write_bytes(content)
    assert refuse(path) == "holds more than 1 files"


@pytest.mark.security
def test_the_large_format_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.whl", ("a.py", b""))
    content = path.read_bytes()
    at = content.rfind(b"PK\x05\x06")
    path.write_bytes(content[:at] + b"PK\x06\x07" + bytes(16) + content[at:])
    assert "a directory as large as that" in refuse(path)


@pytest.mark.security
@pytest.mark.parametrize("names", [("a.py", "A.PY"), ("a/b.py", "a//b.py")])
def test_names_that_some_systems_take_for_one_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    assert "two names that some systems take for one" in refuse(
        zipped(tmp_path / "x.whl", *((name, b"") for name in names))
    )


@pytest.mark.security
def test_encrypted_files_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.whl", ("a.py", b""))
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, content.find(b"PK\x01\x02") + 8, 1)
    path.write_bytes(content)
    assert "is encrypted" in refuse(path)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06short"])
def test_what_is_no_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.whl").write_bytes(content)
    assert refuse(tmp_path / "x.whl") == "is no zip file"


def test_a_damaged_zip_file_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.whl", ("a.py", b"1234567890"))
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02")] = 0
    path.write_bytes(content)
    assert refuse(path).startswith("is no sound zip file")


def test_a_bad_wheel_is_a_fault_with_a_way_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "host_hello-1.0.whl", ("../evil.py", b""))
    reason = fault(unpack(path, tmp_path / "into"))
    assert (reason.code, reason.way_out) == ("manifest_invalid", "Build the wheel again; do not install this one.")
    assert reason.text.startswith("host_hello-1.0.whl holds '../evil.py'")


# -- folders -----------------------------------------------------------------------------------------------------

PROJECT = """
[project]
name = "host-hello"
version = "2.0"
[project.entry-points."plugin_host.plugins"]
hello = "host_hello.hooks"
"""


def project(tmp_path: Path, layout: str = "host_hello", text: str = PROJECT, **keys: Any) -> Path:
    folder = tmp_path / "project"
    make_package(folder / layout, {"hooks.py": HOOKS}, **manifest_keys("hello", **keys))
    (folder / "pyproject.toml").write_text(text)
    return folder


@pytest.mark.parametrize("layout", ["host_hello", "src/host_hello"])
@pytest.mark.parametrize("named", ["project", "package"])
def test_a_project_is_read_as_its_wheel_would_be(tmp_path: Path, layout: str, named: str) -> None:
    folder = project(tmp_path, layout)
    candidate = read_path(folder if named == "project" else folder / layout)
    assert candidate == Candidate(
        id="hello",
        source="wheel",
        place=str(folder),
        folder=folder / layout,
        entry="host_hello.hooks",
        distribution="host-hello",
        version="2.0",
    )


def test_a_namesake_without_a_manifest_is_passed_over(tmp_path: Path) -> None:
    folder = project(tmp_path, "src/host_hello")
    (folder / "host_hello").mkdir()
    assert read_path(folder).folder == folder / "src" / "host_hello"


def test_a_project_of_another_package_does_not_speak_for_a_folder_plugin(tmp_path: Path) -> None:
    folder = project(tmp_path)
    package = make_folder_plugin(folder / "plugins", "other")
    assert (read_path(package).source, read_path(package).id) == ("folder", "other")


def test_a_package_without_a_project_is_a_folder_plugin(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path / "plugins", "hello")
    assert (read_path(package).source, read_path(package).folder) == ("folder", package)


def test_a_package_without_a_manifest_is_read_and_found_wanting(tmp_path: Path) -> None:
    package = make_package(tmp_path / "host_hello")
    (package / "plugin.json").unlink(missing_ok=True)
    reason = read(read_path(package)).fault
    assert reason is not None
    assert "plugin.json is missing" in reason.text


def test_a_version_that_the_build_finds_out_is_not_known(tmp_path: Path) -> None:
    text = PROJECT.replace('version = "2.0"', 'dynamic = ["version"]').replace('name = "host-hello"', "")
    candidate = read_path(project(tmp_path, text=text))
    assert (candidate.version, candidate.distribution, candidate.fault) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[project", "cannot be read"),
        ("", "are: none"),
        ("project = 5", "are: none"),
        (PROJECT.replace("host_hello.hooks", "host_gone.hooks"), "names the package 'host_gone', and there is none"),
        (PROJECT.replace('"host_hello.hooks"', "5"), "says 5, which names no module"),
    ],
)
def test_a_project_at_fault_says_so(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in fault(read_path(project(tmp_path, text=text))).text


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    assert "holds neither plugin.json nor pyproject.toml" in fault(read_path(tmp_path)).text


def test_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("")
    assert "x.txt is no folder" in fault(read_path(tmp_path / "x.txt")).text


# -- what is no wheel --------------------------------------------------------------------------------------------

INFO = "host_hello-1.0.dist-info"
METADATA = (f"{INFO}/METADATA", b"Name: host-hello\nVersion: 1.0\n")
POINTS = (f"{INFO}/entry_points.txt", b"[plugin_host.plugins]\nhello = host_hello.hooks\n")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([POINTS], "is no wheel: its METADATA does not say its name and version"),
        ([POINTS, (f"{INFO}/METADATA", b"Name: host-hello\n")], "does not say its name and version"),
        ([POINTS, (f"{INFO}/METADATA/x", b"")], "does not say its name and version"),
        ([POINTS, (f"{INFO}/METADATA", b"\xff\xfe")], "its metadata is broken"),
        ([METADATA, (f"{INFO}/entry_points.txt", b"[plugin_host.plugins]\nhello\n")], "its metadata is broken"),
        ([METADATA, (f"{INFO}/entry_points.txt", b"hello = x\n")], "should bring one plugin"),
        ([METADATA, POINTS, ("a" * 300, b"")], "cannot be read: File name too long"),
    ],
)
def test_broken_metadata_is_a_fault(tmp_path: Path, members: list[tuple[str, bytes]], text: str) -> None:
    candidate = unpack(zipped(tmp_path / "x.whl", *members), tmp_path / "into")
    assert text in fault(candidate).text
    assert candidate.claimed is False


@pytest.mark.security
@pytest.mark.parametrize("name", ["METADATA", "entry_points.txt"])
def test_metadata_that_is_too_large_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(preflight, "MAX_METADATA", 100)
    members = dict([METADATA, POINTS])
    members[f"{INFO}/{name}"] += b"x" * 101
    candidate = unpack(zipped(tmp_path / "x.whl", *members.items()), tmp_path / "into")
    assert f"holds a {name} of more than 100 bytes" in fault(candidate).text


@pytest.mark.security
def test_a_file_in_too_many_folders_is_refused(tmp_path: Path) -> None:
    assert "in more than 30 folders" in refuse(zipped(tmp_path / "x.whl", ("a/" * 500 + "b", b"")))


@pytest.mark.security
@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_wheels_do_not_have_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w", method) as file:
        file.writestr("a.py", "")
    assert "in a way that wheels are not" in refuse(tmp_path / "x.whl")


@pytest.mark.security
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.whl")
    assert refuse(tmp_path / "x.whl") == "is no regular file"


def test_whatever_is_named_is_looked_at(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "h.whl", wheel_members("host_hello", "hello"), {"hello": "host_hello.hooks"})
    package = make_folder_plugin(tmp_path, "other")
    assert [candidate_of(place, tmp_path / "into").id for place in (wheel, package)] == ["hello", "other"]
