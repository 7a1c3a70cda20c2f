"""A running host looks after its plugins: limits, quarantine, blame, accounts and metrics."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

pytestmark = pytest.mark.anyio

CODE = """
import asyncio
import time
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

@get("/crash", permission="signed-in")
async def crash() -> None:
    raise RuntimeError("no such luck")

@get("/exit", permission="signed-in")
async def leave() -> None:
    raise SystemExit(3)

@get("/wait", permission="signed-in")
async def wait() -> None:
    await asyncio.sleep(60)

@get("/block", permission="signed-in")
async def block() -> str:
    time.sleep(0.6)
    return "done"

@get("/sync", permission="signed-in", sync_to_thread=True)
def sync() -> str:
    time.sleep(0.5)
    return "done"

@hookimpl
def register_routes():
    return [hello, crash, leave, wait, block, sync]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings on SQLite: nothing here is about the database."""
    return Settings(data_dir=str(tmp_path / "data"))


@pytest.fixture
def limited(settings: Settings, folder_plugin: Callable[..., Path]) -> Callable[..., PluginHost]:
    """Make a host with the plugin `hello` and these limits."""

    def make(**limits: Any) -> PluginHost:
        loader = msgspec.structs.replace(settings.loader, folders=(str(folder_plugin("hello", CODE)),))
        return PluginHost(
            msgspec.structs.replace(settings, loader=loader, limits=msgspec.structs.replace(settings.limits, **limits))
        )

    return make


async def until(host: PluginHost, plugin: str, state: str) -> Any:
    for _ in range(80):
        entry = host.standing.generation.plan.entry(plugin)
        if entry is not None and entry.state == state:
            return entry
        await asyncio.sleep(0.1)
    return pytest.fail(f"{plugin} never became {state}")


@pytest.mark.parametrize("path", ["crash", "exit"])
async def test_a_plugin_that_fails_too_often_is_quarantined_and_the_others_serve(
    limited: Callable[..., PluginHost], path: str
) -> None:
    async with running(limited(errors_per_minute=5)) as host, signed_in(host) as admin:
        await asyncio.sleep(1.1)  # the first look is what the others are compared with
        for _ in range(8):
            assert (await admin.get(f"/api/hello/{path}")).status_code == 500
        entry = await until(host, "hello", "quarantined")
        assert entry.reason.code == "runtime_errors"
        assert "hello" in entry.reason.culprits
        assert "plugins retry hello" in entry.reason.way_out
        refused = await admin.get("/api/hello/")
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (503, "runtime_errors")
        assert (await admin.get("/api/contacts/people")).status_code == 200
        assert (await admin.get("/health/ready")).json() == {"status": "degraded"}
        assert (await admin.post("/api/core/plugins/hello/retry")).json()["state"] == "active"
        assert (await admin.get("/api/hello/")).status_code == 200


async def test_what_a_caller_does_wrong_is_no_fault_of_the_plugin(limited: Callable[..., PluginHost]) -> None:
    async with running(limited(errors_per_minute=2)) as host, signed_in(host) as admin, client(host) as nobody:
        for _ in range(8):
            assert (await admin.get("/api/hello/nothing")).status_code == 404
            assert (await nobody.get("/api/hello/")).status_code == 401
        await asyncio.sleep(2.2)
        assert host.standing.generation.plan.entry("hello").state == "active"  # type: ignore[union-attr]
        assert host.account("hello")["errors"] == 0


async def test_blocking_handlers_of_one_plugin_hold_up_nobody_else(limited: Callable[..., PluginHost]) -> None:
    async with running(limited(threads=2)) as host, signed_in(host) as admin:
        busy = [asyncio.create_task(admin.get("/api/hello/sync")) for _ in range(6)]
        await asyncio.sleep(0.1)
        assert (await admin.get("/api/contacts/people")).status_code == 200
        assert not all(task.done() for task in busy)
        assert {(await task).status_code for task in busy} == {200}


async def test_commands_show_what_a_host_wrote_down(limited: Callable[..., PluginHost], tmp_path: Path) -> None:
    async with running(limited()) as host, signed_in(host) as admin:
        await admin.get("/api/hello/crash")
    variables = {
        "PLUGIN_HOST_DATA_DIR": str(tmp_path / "data"),
        "PLUGIN_HOST_LOADER__FOLDERS": json.dumps([str(tmp_path / "plugins")]),
        "PATH": "/usr/bin:/bin",
    }
    shown = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "plugin_host", "plugins", "show", "hello"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "requests 1 (" in shown.stdout
    assert "errors 1" in shown.stdout
    assert "no such luck (hello/__init__.py:" in shown.stdout
