"""Generations at run time: what differs is built beside what stands, and what stands stays until it is whole."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

pytestmark = pytest.mark.anyio

GOOD = """
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "VERSION"}

@hookimpl
def register_routes():
    return [hello]
"""


def with_folder(settings: Settings, folder: Path, **limits: Any) -> Settings:
    loader = msgspec.structs.replace(settings.loader, folders=(str(folder),))
    return msgspec.structs.replace(settings, loader=loader, limits=msgspec.structs.replace(settings.limits, **limits))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings on SQLite: what differs between databases is tested beside this."""
    return Settings(data_dir=str(tmp_path / "data"))


FAULTY = {
    "import_failed": GOOD + "\nraise RuntimeError('no')\n",
    "hook_failed": GOOD.replace("return [hello]", "raise RuntimeError('no')"),
    "permission_undeclared": GOOD.replace(', permission="signed-in"', ""),
    "startup_failed": GOOD + "\n@hookimpl\nasync def startup():\n    raise RuntimeError('no')\n",
}


@pytest.mark.parametrize("code", FAULTY)
async def test_a_plugin_that_fails_comes_once_it_is_mended_and_somebody_says_retry(
    settings: Settings, folder_plugin: Callable[..., Path], code: str
) -> None:
    folder = folder_plugin("hello", FAULTY[code])
    async with running(PluginHost(with_folder(settings, folder))) as host, signed_in(host) as admin:
        shown = (await admin.get("/api/core/plugins/hello")).json()
        assert shown["reason"]["code"] == code
        again = await admin.post("/api/core/plugins/hello/retry")
        assert (again.status_code, again.json()["reason"]["code"]) == (200, code)
        folder_plugin("hello", GOOD)
        mended = await admin.post("/api/core/plugins/hello/retry")
        assert (mended.json()["state"], mended.json()["restart_needed"]) == ("active", False)
        assert (await admin.get("/api/hello/")).json() == {"hello": "VERSION"}


async def test_what_failed_is_not_tried_again_at_every_change(
    settings: Settings, folder_plugin: Callable[..., Path], tmp_path: Path
) -> None:
    count = f"with open({str(tmp_path / 'count')!r}, 'a') as file:\n    file.write('x')\n"
    folder = folder_plugin("hello", count + "raise RuntimeError('no')")
    async with running(PluginHost(with_folder(settings, folder))) as host:
        await host.wish("contacts", "disabled")
        await host.wish("contacts", "enabled")
        assert (tmp_path / "count").read_text() == "x"
        entry = host.standing.generation.plan.entry("hello")
        assert entry is not None
        assert entry.state == "quarantined"
        await host.retry("hello")
        assert (tmp_path / "count").read_text() == "xx"


async def test_there_is_nothing_to_retry(settings: Settings) -> None:
    async with running(PluginHost(settings)) as host, signed_in(host) as admin:
        assert (await admin.post("/api/core/plugins/contacts/retry")).status_code == 409
        assert (await admin.post("/api/core/plugins/gone/retry")).status_code == 404


async def test_files_that_change_under_a_running_plugin_ask_for_a_restart(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    folder = folder_plugin("hello", GOOD)
    async with running(PluginHost(with_folder(settings, folder))) as host, signed_in(host) as admin:
        view = {"permissions": [{"name": "hello.view", "title": "See"}]}
        folder_plugin("hello", GOOD.replace("VERSION", "second"), version="2.0", permissions=view)
        await host.reconcile()
        shown = (await admin.get("/api/core/plugins/hello")).json()
        assert (shown["state"], shown["version"], shown["restart_needed"]) == ("active", "1.0", True)
        assert shown["permissions"] == []  # nothing of the new files is in force
        assert (await admin.get("/api/hello/")).json() == {"hello": "VERSION"}
        planned = (await admin.get("/api/core/plan")).json()["items"]
        assert {entry["id"]: entry["version"] for entry in planned}["hello"] == "2.0"
        # Files in a folder are the host's own to import: off and on again is enough.
        await host.wish("hello", "disabled")
        await host.wish("hello", "enabled")
        shown = (await admin.get("/api/core/plugins/hello")).json()
        assert (shown["version"], shown["restart_needed"]) == ("2.0", False)
        assert (await admin.get("/api/hello/")).json() == {"hello": "second"}


async def test_new_migrations_of_a_changed_plugin_wait_for_its_code(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    folder = folder_plugin("hello", GOOD)
    async with running(PluginHost(with_folder(settings, folder))) as host:
        revision = folder / "hello" / "migrations" / "0001_x.py"
        revision.parent.mkdir()
        revision.write_text("def upgrade():\n    raise RuntimeError('too early')\n")
        folder_plugin("hello", GOOD + "\n# changed\n")
        plan = await host.reconcile()
        entry = plan.entry("hello")
        assert entry is not None
        assert (entry.state, entry.restart_needed) == ("active", True)


async def test_an_import_that_hangs_is_left_behind(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    folder = folder_plugin("hello", GOOD)
    folder_plugin("stuck", "import time\ntime.sleep(20)\n")
    async with running(PluginHost(with_folder(settings, folder, import_timeout=2))) as host, signed_in(host) as admin:
        shown = (await admin.get("/api/core/plugins/stuck")).json()
        assert (shown["state"], shown["reason"]["code"], shown["restart_needed"]) == ("quarantined", "time_limit", True)
        assert "importing it took more than 2 seconds" in shown["reason"]["text"]
        assert (await admin.get("/api/hello/")).status_code == 200
        again = (await admin.post("/api/core/plugins/stuck/retry")).json()  # in this process there is no other try
        assert (again["state"], again["restart_needed"]) == ("quarantined", True)


async def test_the_loop_turns_while_a_plugin_is_imported(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    folder = folder_plugin("hello", GOOD)
    async with running(PluginHost(with_folder(settings, folder))) as host, signed_in(host) as admin:
        await host.wish("hello", "disabled")
        folder_plugin("hello", "import time\ntime.sleep(0.5)\n" + GOOD)
        switching = asyncio.create_task(host.wish("hello", "enabled"))
        answers = 0
        while not switching.done():
            assert (await admin.get("/api/contacts/people")).status_code == 200
            answers += 1
        assert answers > 5
        assert (await admin.get("/api/hello/")).status_code == 200


async def test_a_failing_start_leaves_the_others_as_they_were(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    folder = folder_plugin("hello", GOOD + "\n@hookimpl\nasync def startup():\n    raise RuntimeError('no')\n")
    loader = msgspec.structs.replace(settings.loader, folders=(str(folder),))
    async with running(PluginHost(msgspec.structs.replace(settings, loader=loader))) as host:
        before = host.standing.generation.apps
        await host.retry("hello")
        assert host.standing.generation.apps == before


async def test_behind_is_not_ready(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    folder = folder_plugin("hello", GOOD)
    async with running(PluginHost(with_folder(settings, folder))) as host, client(host) as nobody:
        await host.wish("hello", "disabled")
        assert (await nobody.get("/health/ready")).json() == {"status": "ok"}
        folder_plugin("hello", "import time\ntime.sleep(0.5)\n" + GOOD)
        switching = asyncio.create_task(host.wish("hello", "enabled"))
        seen = set()
        while not switching.done():
            answer = await nobody.get("/health/ready")
            seen.add((answer.status_code, answer.json()["status"]))
            await asyncio.sleep(0.01)
        assert (503, "behind") in seen
        assert (await nobody.get("/health/ready")).status_code == 200


async def test_a_quarantine_ends_by_itself_or_by_a_word(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    from plugin_host.sdk.errors import Reason

    reason = Reason(code="runtime_errors", text="hello failed too often.", culprits=("hello",), way_out="retry")
    folder = folder_plugin("hello", GOOD)
    async with running(PluginHost(with_folder(settings, folder))) as host, signed_in(host) as admin:
        waits: list[int] = []

        def delay(attempt: int) -> float:
            waits.append(attempt)
            return 0.5 if attempt == 1 else 3600

        assert await host.wishes.quarantine("hello", reason, delay)
        assert not await host.wishes.quarantine("hello", reason, delay)  # another process was faster
        await host.reconcile()
        refused = await admin.get("/api/hello/")
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (503, "runtime_errors")
        for _ in range(60):
            await asyncio.sleep(0.1)
            if (await admin.get("/api/hello/")).status_code == 200:
                break
        assert (await admin.get("/api/hello/")).status_code == 200
        await host.wishes.quarantine("hello", reason, delay)
        await host.reconcile()
        assert waits == [1, 2]
        assert (await admin.get("/api/hello/")).status_code == 503
        assert (await admin.post("/api/core/plugins/hello/retry")).json()["state"] == "active"


async def test_another_version_ends_a_quarantine(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    from plugin_host.sdk.errors import Reason

    reason = Reason(code="runtime_errors", text="hello failed too often.", culprits=("hello",), way_out="retry")
    settings = with_folder(settings, folder_plugin("hello", GOOD))
    async with running(PluginHost(settings)) as host:
        await host.wishes.quarantine("hello", reason, lambda _: 3600.0)
    again = PluginHost(settings)
    async with again.lifespan():
        assert again.standing.generation.plan.entry("hello").state == "quarantined"  # type: ignore[union-attr]
    folder_plugin("hello", GOOD, version="1.1")
    last = PluginHost(settings)
    async with last.lifespan():
        assert last.standing.generation.plan.entry("hello").state == "active"  # type: ignore[union-attr]


async def test_a_request_under_way_ends_with_the_rights_it_began_with(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    slow = """
import asyncio
from plugin_host.sdk import Access, get, hookimpl

@get("/", permission="slow.view")
async def hello(access: Access) -> dict[str, bool]:
    await asyncio.sleep(0.5)
    return {"may": await access.can("slow.view")}

@hookimpl
def register_routes():
    return [hello]
"""
    view = {"permissions": [{"name": "slow.view", "title": "See"}]}
    folder = folder_plugin("slow", slow, permissions=view)
    async with running(PluginHost(with_folder(settings, folder))) as host, signed_in(host) as admin:
        answer = asyncio.create_task(admin.get("/api/slow/"))
        await asyncio.sleep(0.1)
        await host.wish("slow", "disabled")
        assert (await answer).json() == {"may": True}
        assert (await admin.get("/api/slow/")).status_code == 404


async def test_touching_a_file_is_noticed(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    folder = folder_plugin("hello", GOOD)
    async with running(PluginHost(with_folder(settings, folder))) as host:
        os.utime(folder / "hello" / "__init__.py", ns=(1, 1))
        entry = (await host.reconcile()).entry("hello")
        assert entry is not None
        assert entry.restart_needed


STREAM = """
import asyncio
from collections.abc import AsyncIterator
from litestar import WebSocket
from litestar.response import ServerSentEvent
from plugin_host.sdk import get, hookimpl, websocket

async def ticks() -> AsyncIterator[str]:
    while True:
        yield "tick"
        await asyncio.sleep(0.05)

@get("/ticks", permission="signed-in")
async def stream() -> ServerSentEvent:
    return ServerSentEvent(ticks())

@websocket("/talk", permission="signed-in")
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()

@hookimpl
def register_routes():
    return [stream, talk]
"""


async def test_streams_of_a_plugin_that_is_switched_off_end_with_the_grace_period(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    settings = with_folder(settings, folder_plugin("stream", STREAM))
    server = msgspec.structs.replace(settings.server, graceful_timeout=1)
    async with (
        running(PluginHost(msgspec.structs.replace(settings, server=server))) as host,
        signed_in(host) as admin,
    ):
        cookie = "; ".join(f"{name}={value}" for name, value in admin.cookies.items()).encode()
        begun: dict[str, asyncio.Event] = {"http": asyncio.Event(), "websocket": asyncio.Event()}

        async def call(kind: str, path: str) -> None:
            async def receive() -> dict[str, Any]:
                if begun[kind].is_set():
                    await asyncio.Event().wait()
                return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request"}

            async def send(message: dict[str, Any]) -> None:
                begun[kind].set()

            scope = {
                "type": kind,
                **({"method": "GET"} if kind == "http" else {}),
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"",
                "root_path": "",
                "scheme": "http",
                "server": ("127.0.0.1", 8000),
                "client": ("127.0.0.1", 1),
                "headers": [(b"host", b"127.0.0.1:8000"), (b"cookie", cookie), (b"origin", b"http://127.0.0.1:8000")],
                "subprotocols": [],
                "http_version": "1.1",
                "asgi": {"version": "3.0"},
            }
            await host.asgi(scope, receive, send)

        calls = [
            asyncio.create_task(call("http", "/api/stream/ticks")),
            asyncio.create_task(call("websocket", "/api/stream/talk")),
        ]
        await asyncio.gather(*(each.wait() for each in begun.values()))
        assert host.account("stream")["in_flight"] + host.account("stream")["sockets"] == 2
        async with asyncio.timeout(5):
            await host.wish("stream", "disabled")
            await asyncio.wait(calls)
        assert all(task.done() for task in calls)
