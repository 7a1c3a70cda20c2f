"""The server as a process: two databases, several processes at the first start, and being killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Start = "Callable[..., tuple[subprocess.Popen[str], str]]"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start servers on free ports in one folder; gives the process and its address."""
    processes: list[subprocess.Popen[str]] = []

    def run(*words: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "plugin_host", "serve", "--port", "0", *words],
            cwd=tmp_path,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        printed = ""
        for line in process.stdout or ():
            printed += line
            if found := re.search(r"running at (http://\S+)", line):
                return process, found[1]
        return pytest.fail(f"did not listen:\n{printed}")

    yield run
    for process in processes:
        process.kill()
        process.communicate(timeout=20)


def ready(address: str) -> str:
    return str(httpx.get(f"{address}/health/ready", timeout=10).json()["status"])


def test_a_server_ends_cleanly_when_it_is_asked_to(start: Start) -> None:
    process, address = start()
    assert ready(address) == "ok"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_server_that_was_killed_starts_again(start: Start) -> None:
    process, _ = start()
    process.kill()
    process.wait(20)
    _, address = start()
    assert ready(address) == "ok"


def test_two_servers_start_at_once_on_one_empty_folder(start: Start) -> None:
    _, one = start()
    _, other = start()
    assert (ready(one), ready(other)) == ("ok", "ok")


@pytest.mark.postgres
def test_a_server_runs_on_postgresql(start: Start, postgres_url: str) -> None:
    process, address = start(PLUGIN_HOST_DATABASE=postgres_url)
    assert ready(address) == "ok"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.postgres
def test_a_schema_holds_all_tables(start: Start, postgres_url: str) -> None:
    import psycopg

    process, address = start(PLUGIN_HOST_DATABASE=postgres_url, PLUGIN_HOST_SCHEMA="apps")
    assert ready(address) == "ok"
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute("SELECT schemaname, count(*) FROM pg_tables WHERE tablename LIKE 'co%' GROUP BY 1")
        assert [schema for schema, _ in rows] == ["apps"]


def test_several_workers_share_one_session(start: Start, tmp_path: Path) -> None:
    port = str(free_port())
    process = subprocess.Popen(
        [sys.executable, "-m", "plugin_host", "serve", "--port", port, "--workers", "2"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        assert eventually(lambda: ready(address)) == "ok"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(ask: Callable[[], str]) -> str:
    until = time.monotonic() + 30
    while True:
        try:
            return ask()
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_a_background_task_of_a_plugin_cannot_end_the_server(
    start: Start, folder_plugin: Callable[..., Path], error: str
) -> None:
    code = f"""
import asyncio
from plugin_host.sdk import hookimpl

async def wait_and_end():
    await asyncio.sleep(0.3)
    raise {error}

@hookimpl
async def startup():
    global task
    task = asyncio.create_task(wait_and_end())
"""
    folder = folder_plugin("ends", code)
    process, address = start(PLUGIN_HOST_LOADER__FOLDERS=f'["{folder}"]')
    time.sleep(1)
    assert ready(address) == "ok"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


def test_an_interrupt_while_it_starts_stops_it(tmp_path: Path, folder_plugin: Callable[..., Path]) -> None:
    folder = folder_plugin("slow", "import time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "plugin_host", "serve", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PLUGIN_HOST_LOADER__FOLDERS": f'["{folder}"]'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert "Traceback" not in process.stdout.read()
    finally:
        process.kill()
        process.communicate(timeout=20)


def becomes(address: str, status: str) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if eventually(lambda: ready(address)) == status:
            return True
        time.sleep(0.2)
    return False


def test_a_change_of_a_plugins_file_restarts_the_server_in_development(
    start: Start, folder_plugin: Callable[..., Path]
) -> None:
    folder = folder_plugin("hello", "")
    process, address = start("--reload", PLUGIN_HOST_LOADER__FOLDERS=f'["{folder}"]')
    assert becomes(address, "ok")
    time.sleep(1)  # it has to look once before it can see a change
    folder_plugin("hello", "raise RuntimeError('no such luck')")
    assert becomes(address, "degraded")
    time.sleep(1)
    (folder / "hello" / "__init__.py").write_text("")
    assert becomes(address, "ok")
    time.sleep(1)
    folder_plugin("hello", "", requires={"core": ">=9"})  # a manifest counts as well
    assert becomes(address, "degraded")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
