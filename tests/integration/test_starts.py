"""A plugin that ends the process at every start: the host comes up without it, and says which one it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.test_commands import GOOD

DIES: Final = """
import os
from plugin_host.sdk import hookimpl

@hookimpl
def startup(context):
    os._exit(3)
"""
# Ends the process when all plugins have been started, and what became of them is written down.
DIES_LATER: Final = """
import os
from plugin_host.sdk import hookimpl
from sqlalchemy import Engine, event

@hookimpl
def startup(context):
    @event.listens_for(Engine, "before_cursor_execute")
    def listen(connection, cursor, statement, *rest):
        if statement.startswith("INSERT INTO core_plugin"):
            os._exit(3)
"""
SLOW: Final = """
import sys, time
from plugin_host.sdk import hookimpl

@hookimpl
def startup(context):
    print("slow", flush=True)
    time.sleep(30)
"""


class Host:
    """`plugin-host` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
        self.variables["PLUGIN_HOST_LOADER__FOLDERS"] = '["./plugins"]'

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*words), cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False
        )

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "plugin_host", *words]

    def serve(self, *words: str) -> bool:
        """Start the server and end it in order; False if it died before it was up."""
        with subprocess.Popen(
            self.words("serve", "--port", "0", *words),
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as server:
            assert server.stdout is not None
            for line in server.stdout:
                if "is running at" in line:
                    server.send_signal(signal.SIGTERM)
                    server.communicate(timeout=30)
                    return True
        return False

    def parked(self) -> dict[str, Any]:
        items = json.loads(self.run("plugins", "list", "--json").stdout)["items"]
        return {item["id"]: item["reason"] for item in items if item["state"] == "quarantined"}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.slow
def test_a_plugin_that_ends_the_process_in_its_step_is_named(host: Host, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("aa_good", GOOD)
    folder_plugin("bad", DIES)
    assert not host.serve()
    assert host.parked() == {}
    assert not host.serve()
    assert host.serve()
    assert list(host.parked()) == ["bad"]
    reason = host.parked()["bad"]
    assert reason["code"] == "startup_failed"
    assert reason["text"] == "The process died twice while bad was being activated (start)."
    assert "plugin-host plugins retry bad" in reason["way_out"]
    assert host.serve()  # it is kept

    (host.folder / "plugins" / "bad" / "__init__.py").write_text(GOOD)
    assert host.run("plugins", "retry", "bad").returncode == 0
    assert host.serve()
    assert host.parked() == {}


@pytest.mark.slow
def test_a_plugin_that_ends_the_process_later_is_found_by_halves(
    host: Host, folder_plugin: Callable[..., Path]
) -> None:
    for plugin in ("aa", "cc", "dd"):
        folder_plugin(plugin, GOOD)
    folder_plugin("bb", DIES_LATER)
    outcomes = [host.serve() for _ in range(2)]
    while len(host.parked()) != 1 and len(outcomes) < 8:
        outcomes.append(host.serve())
    assert outcomes[:2] == [False, False]
    assert list(host.parked()) == ["bb"]
    assert "came up without it" in host.parked()["bb"]["text"]
    assert host.serve()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_is_stopped_by_a_signal_is_no_death(
    host: Host, folder_plugin: Callable[..., Path], number: signal.Signals
) -> None:
    folder_plugin("slow", SLOW)
    for _ in range(3):
        with subprocess.Popen(
            host.words("serve", "--port", "0"), cwd=host.folder, env=host.variables, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            assert next(line for line in server.stdout if line == "slow\n")
            server.send_signal(number)
            server.communicate(timeout=30)
    assert host.parked() == {}
    assert "No start is known to have ended with the process" in host.run("doctor").stdout


@pytest.mark.slow
def test_safe_mode_starts_without_learning_anything(host: Host, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("bad", DIES)
    for _ in range(2):
        assert not host.serve()
    assert host.serve("--safe")
    assert host.serve("--safe=bad")
    assert list(host.parked()) == ["bad"]
