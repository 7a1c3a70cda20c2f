"""`plugin-host doctor` as an operator calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Doctor:
    """Call plugin-host in a folder of its own."""

    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
        return subprocess.run(
            [sys.executable, "-m", "plugin_host", *words],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def items(done: subprocess.CompletedProcess[str], check: str) -> list[dict[str, Any]]:
    assert "Traceback" not in done.stderr
    return [item for item in json.loads(done.stdout)["items"] if item["check"] == check]


def test_an_installation_that_runs_is_well(command: Doctor, database: str) -> None:
    variables = {"PLUGIN_HOST_DATABASE": database, "PLUGIN_HOST_DATA_DIR": "data"}
    assert command("migrate", **variables).returncode == 0
    done = command("doctor", **variables)
    assert done.returncode == 0, done.stdout
    assert "up to date" in done.stdout
    assert "error" not in done.stdout


def test_looking_changes_nothing(command: Doctor, tmp_path: Path) -> None:
    command("migrate")
    data = tmp_path / "plugin-host-data"
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    command("doctor")
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_plugin_at_fault_is_an_error_with_its_way_out(command: Doctor, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("bad", requires={"core": ">=9"})
    done = command("doctor", "--json", PLUGIN_HOST_LOADER__FOLDERS='["./plugins"]')
    assert done.returncode == 1
    (bad,) = [item for item in items(done, "plugins") if item["level"] == "error"]
    assert "bad is refused (core_incompatible)" in bad["text"]
    assert bad["way_out"]
    assert json.loads(done.stdout)["ok"] is False


def test_broken_settings_are_findings_and_no_traceback(command: Doctor, tmp_path: Path) -> None:
    (tmp_path / "plugin-host.toml").write_text("[server\n")
    done = command("doctor", "--json", PLUGIN_HOST_RUBBISH="{")
    assert done.returncode == 1
    assert "not valid TOML" in items(done, "settings")[0]["text"]


def test_a_database_that_does_not_answer_is_a_finding(command: Doctor) -> None:
    done = command("doctor", "--json", PLUGIN_HOST_DATABASE="postgresql://ann:secret@127.0.0.1:1/x")
    assert done.returncode == 1
    assert items(done, "database")[0]["level"] == "error"
    assert "secret" not in done.stdout + done.stderr


def test_settings_of_an_absent_plugin_are_a_note_with_the_nearest_name(
    command: Doctor, tmp_path: Path, folder_plugin: Callable[..., Path]
) -> None:
    folder_plugin("hello")
    (tmp_path / "plugin-host.toml").write_text("[loader]\nfolders = ['plugins']\n[plugins.helo]\nlevel = 1\n")
    done = command("doctor", "--json")
    assert done.returncode == 0, done.stdout
    note = next(item for item in items(done, "settings") if item["level"] == "note")
    assert note["way_out"] == "Did you mean [plugins.hello]?"


def test_the_host_of_an_application_is_looked_at(command: Doctor, tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(
        "from plugin_host import PluginHost, Settings\nhost = PluginHost(Settings(data_dir='own'))\n"
    )
    done = command("doctor", "--json", "--app", "application:host")
    assert done.returncode == 0, done.stdout
    assert "own/host.db" in items(done, "database")[0]["text"]


@pytest.mark.parametrize("code", ["raise RuntimeError('half done')", "host = 7"])
def test_an_application_that_cannot_be_imported_is_a_finding(command: Doctor, tmp_path: Path, code: str) -> None:
    (tmp_path / "application.py").write_text(code)
    done = command("doctor", "--json", "--app", "application:host")
    assert done.returncode == 1
    assert "application:host" in items(done, "settings")[0]["text"]
