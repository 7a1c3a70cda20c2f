"""Two worker processes of one host: what an operator switches reaches both, and a worker that dies is replaced."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
from psycopg import sql

pytestmark = pytest.mark.slow

PASSWORD: Final = "correct-horse-battery"
FOLLOWS: Final = 2.0
"""Seconds within which every worker has followed a wish."""
SLACK: Final = 1.0
"""Seconds more, for a machine that is busy."""

WHO: Final = """
import os
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def who() -> dict[str, int]:
    return {"pid": os.getpid()}

@hookimpl
def register_routes():
    return [who]
"""

OTHER: Final = """
import asyncio
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "other"}

@hookimpl
def register_routes():
    return [hello]

@hookimpl
async def startup():
    await asyncio.sleep(0.5)
"""


@dataclass
class Workers:
    """A server of two workers; `cookies` are those of its administrator."""

    folder: Path
    address: str
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def client(self) -> httpx.Client:
        """Open a client that keeps its one connection, and so talks to one worker."""
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        headers = {"sec-fetch-site": "same-origin"}
        return httpx.Client(base_url=self.address, headers=headers, cookies=self.cookies, timeout=30, limits=limits)

    @contextmanager
    def each(self, without: int = 0) -> Iterator[dict[int, httpx.Client]]:
        """Give a client for each of the two workers, by process id; `without` is one that has died."""
        found: dict[int, httpx.Client] = {}
        until = time.monotonic() + 60
        with ExitStack() as stack:
            while len(found) < 2:
                assert time.monotonic() < until, f"only one worker answers: {sorted(found)}"
                opened = [stack.enter_context(self.client()) for _ in range(8)]
                threads = [threading.Thread(target=self._ask, args=(client, found, without)) for client in opened]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            yield dict(found)

    def _ask(self, client: httpx.Client, found: dict[int, httpx.Client], without: int) -> None:
        try:
            answer = client.get("/api/who/")
        except httpx.TransportError:  # the worker that took the connection has died
            return
        if answer.status_code == 200 and answer.json()["pid"] != without:
            found.setdefault(answer.json()["pid"], client)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server."""
        return subprocess.run(
            [sys.executable, "-m", "plugin_host", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def shared_database(postgres_server: str) -> Iterator[str]:
    """Give the address of an empty PostgreSQL database for all tests here: a start takes seconds."""
    name = f"plugin_host_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{postgres_server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def workers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    folder = tmp_path_factory.mktemp("workers")
    for plugin, code in {"who": WHO, "other": OTHER}.items():
        package = folder / "plugins" / plugin
        package.mkdir(parents=True)
        keys = {"id": plugin, "name": plugin.title(), "version": "1.0", "requires": {"core": ">=1.0,<2"}}
        (package / "plugin.json").write_text(json.dumps(keys))
        (package / "__init__.py").write_text(code)
    database = "" if request.param == "sqlite" else f'database = "{request.getfixturevalue("shared_database")}"\n'
    loader = '[loader]\nfolders = ["plugins"]\ndisabled = ["contacts", "invoicing"]\n'
    (folder / "plugin-host.toml").write_text(f"{database}{loader}")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
    port = free_port()
    printed = folder / "printed"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "plugin_host", "serve", "--port", str(port), "--workers", "2"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    started = Workers(folder, f"http://127.0.0.1:{port}", process, environment)
    try:
        eventually(lambda: is_up(started), 60, lambda: printed.read_text(errors="replace"))
        code = re.search(r"Set-up code: (\S+)", printed.read_text())
        assert code is not None, printed.read_text()
        with started.client() as client:
            said = {"username": "root", "password": PASSWORD}
            assert client.post("/api/core/setup", json={**said, "code": code[1]}).status_code == 201
            answer = client.post("/api/core/auth/login", json=said)
            assert answer.status_code == 200
        started.cookies = answer.cookies
        yield started
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, printed.read_text()
    finally:
        process.kill()
        process.wait(20)


def test_both_workers_serve_one_session_and_the_same_plugins(workers: Workers) -> None:
    with workers.each() as clients:
        assert [client.get("/api/other/").json() for client in clients.values()] == [{"hello": "other"}] * 2


def test_a_switch_by_the_api_of_one_worker_reaches_the_other(workers: Workers) -> None:
    with workers.each() as clients:
        one, other = clients.values()
        assert one.post("/api/core/plugins/other/disable").json()["state"] == "disabled"
        assert one.get("/api/other/").status_code == 404
        assert follows(other, 404)
        assert other.post("/api/core/plugins/other/enable").json()["state"] == "active"
        assert follows(one, 200)


def test_a_switch_by_command_reaches_both(workers: Workers) -> None:
    with workers.each() as clients:
        done = workers.command("plugins", "disable", "other")
        assert done.returncode == 0, done.stderr
        assert [follows(client, 404) for client in clients.values()] == [True, True]
        done = workers.command("plugins", "enable", "other")
        assert done.returncode == 0, done.stderr
        assert [follows(client, 200) for client in clients.values()] == [True, True]


def test_a_worker_that_is_behind_is_not_ready(workers: Workers) -> None:
    with workers.each() as clients:
        one, other = clients.values()
        one.post("/api/core/plugins/other/disable")
        assert follows(other, 404)
        eventually(lambda: other.get("/health/ready").status_code == 200, 10)
        seen: list[tuple[int, str, int]] = []
        enough = threading.Event()

        def watch() -> None:
            while not enough.is_set():
                ready = other.get("/health/ready")
                seen.append((ready.status_code, ready.json()["status"], other.get("/api/other/").status_code))
                enough.wait(0.01)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            switched = one.post("/api/core/plugins/other/enable")
            number = len(seen) + 1
            time.sleep(FOLLOWS + SLACK)
        finally:
            enough.set()
            watching.join(30)
        assert switched.json()["state"] == "active"
        assert (503, "behind", 404) in seen  # it starts for half a second
        assert seen[-1] == (200, "ok", 200)
        assert [each for each in seen[number:] if each[0] == 200 and each[2] != 200] == []


def test_a_worker_that_dies_is_replaced_and_has_the_same_plugins(workers: Workers) -> None:
    with workers.each() as clients:
        dying, staying = clients
        clients[staying].post("/api/core/plugins/other/disable")
    os.kill(dying, signal.SIGKILL)
    with workers.each(without=dying) as clients:
        assert staying in clients
        assert dying not in clients
        assert [client.get("/api/other/").status_code for client in clients.values()] == [404, 404]
        assert [client.get("/health/ready").json() for client in clients.values()] == [{"status": "ok"}] * 2
        next(iter(clients.values())).post("/api/core/plugins/other/enable")
        assert [follows(client, 200) for client in clients.values()] == [True, True]


def follows(client: httpx.Client, status: int) -> bool:
    """Tell whether a worker answers like that within the time that it has."""
    until = time.monotonic() + FOLLOWS + SLACK
    while (now := client.get("/api/other/").status_code) != status and time.monotonic() < until:
        time.sleep(0.02)
    return now == status


def is_up(workers: Workers) -> bool:
    assert workers.process.poll() is None
    try:
        return httpx.get(f"{workers.address}/health/ready", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def eventually(ask: Callable[[], Any], seconds: float, otherwise: Callable[[], str] = str) -> None:
    until = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < until, otherwise()
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
