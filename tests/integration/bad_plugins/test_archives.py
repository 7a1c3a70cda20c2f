"""Wheels that are none, or would be dangerous to unpack: planned before they are installed, and refused."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from plugin_host.cli.main import main

from .making import Bad, make_wheel

SOUND = Bad(plugin="parcel", what="", state="active")


def cut(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:200])


def no_archive(wheel: Path) -> None:
    wheel.write_text("<html>404 Not Found</html>")


def climbs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("../../climbed.py", "x = 1")


def absolute(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(str(wheel.parent / "climbed.py"), "x = 1")


def link(wheel: Path) -> None:
    member = zipfile.ZipInfo("host_parcel/secrets.txt")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(member, "/etc/passwd")


def bomb(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("host_parcel/zeros.bin", bytes(64_000_000))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "half a file": cut,
    "no archive at all": no_archive,
    "a path that climbs out": climbs,
    "an absolute path": absolute,
    "a link out of the package": link,
    "a bomb": bomb,
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_dangerous_wheel_is_refused_before_anything_is_unpacked(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "down" / "load"
    folder.mkdir(parents=True)
    wheel = make_wheel(folder, SOUND)
    DAMAGE[what](wheel)
    assert run("plan", "--with", str(wheel)) == 1
    told = capsys.readouterr()
    assert wheel.name in told.out + told.err
    assert "Traceback" not in told.out + told.err
    assert not list(tmp_path.rglob("climbed.py"))


def test_a_sound_wheel_is_planned_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trap = Bad(plugin="parcel", what="", state="active", hooks="raise SystemExit(9)")
    assert run("plan", "--with", str(make_wheel(tmp_path, trap)), "--json") == 0


def run(*words: str) -> int:
    """Call a command, and give its exit code."""
    try:
        main([*words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0
