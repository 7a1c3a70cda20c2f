"""A host that is really served, with somebody in every part, and a plugin that tells what reaches it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: making it takes longer than a request, and nothing here is encrypted."""
PASSWORD: Final = "correct-horse-battery-" + secrets.token_hex(4)

PROBE: Final = """
import msgspec
from litestar import Request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from plugin_host.sdk import Access, Actor, PluginBase, delete, get, hookimpl, object_id, post, to, websocket

class Thing(msgspec.Struct, forbid_unknown_fields=True):
    name: str

class Base(PluginBase, plugin="probe"):
    pass

class Note(Base):
    __tablename__ = "probe_note"
    __object__ = "probe.note"
    id: Mapped[str] = object_id()
    owner_id: Mapped[str]
    text: Mapped[str]

class NoteOut(msgspec.Struct):
    id: str
    owner_id: str
    text: str

@post("/notes", permission="probe.write")
async def write(data: Thing, actor: Actor, db: AsyncSession) -> NoteOut:
    note = Note(owner_id=actor.id, text=data.name)
    db.add(note)
    await db.flush()
    return to(note, NoteOut)

@get("/notes/{note_id:str}", permission="probe.note.view")
async def read(note_id: str, access: Access) -> NoteOut:
    return to(await access.get(Note, note_id, "probe.note.view"), NoteOut)

@delete("/notes/{note_id:str}", permission="probe.note.view")
async def throw_away(note_id: str, access: Access, db: AsyncSession) -> None:
    await db.delete(await access.get(Note, note_id, "probe.note.view"))

@get("/open", permission="public")
async def open_() -> dict[str, str]:
    return {"hello": "world"}

@get("/said", permission="public")
async def said(request: Request) -> dict[str, object]:
    client, scheme = request.scope["client"], request.scope["scheme"]
    return {"headers": {k: v for k, v in request.headers.items()}, "client": client[0], "scheme": scheme}

@get("/guarded", permission="probe.view")
async def guarded() -> dict[str, str]:
    return {"hello": "guarded"}

@post("/echo", permission="probe.view")
async def echo(data: Thing) -> Thing:
    return data

@post("/small", permission="public", request_max_body_size=100)
async def small(data: Thing) -> Thing:
    return data

@get("/crash", permission="public")
async def crash() -> None:
    raise RuntimeError("SELECT password_hash FROM core_user; /srv/app/secret.py")

@get("/crash-database", permission="public")
async def crash_database(db: AsyncSession) -> None:
    await db.execute(text("SELECT nothing_there FROM core_nowhere"))

@websocket("/chat", permission="signed-in")
async def chat(socket: "WebSocket") -> None:
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())

@hookimpl
def register_routes():
    return [write, read, throw_away, open_, said, guarded, echo, small, crash, crash_database, chat]
""".replace('"WebSocket"', "__import__('litestar').WebSocket")


NOTES: Final = """
import sqlalchemy as sa
from alembic import op

def upgrade() -> None:
    op.create_table(
        "probe_note",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("owner_id", sa.String(64), nullable=False),
        sa.Column("text", sa.String(2000), nullable=False),
    )
"""


@dataclass
class Served:
    """A server process; `printed` is all that it wrote until now."""

    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[str] | None = None
    port: int = 0
    reader: threading.Thread | None = None
    printed: list[str] = field(default_factory=list)

    def run(self, *words: str, given: str | None = None) -> str:
        """Run a command of the host; gives what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "plugin_host", *words],
            input=given,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.printed += [done.stdout, done.stderr]
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Start the server and wait until it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plugin_host", "serve", "--port", "0"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            if (found := re.search(r":(\d+) \(Ctrl", line)) is not None:
                self.port = int(found[1])
                break
        assert self.port, "".join(self.printed)
        self.reader = threading.Thread(target=self.printed.extend, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            if self.reader is not None:
                self.reader.join(5)
            if self.process.stdout is not None:
                self.process.stdout.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """Open a browser-like client that comes from an address of its own."""
        own = f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"
        said = {"sec-fetch-site": "same-origin", "x-forwarded-for": own, **headers}
        return httpx.Client(base_url=self.address, headers=said, timeout=20, trust_env=False, verify=NO_TLS)

    def signed_in(self, name: str = "root", password: str = PASSWORD) -> httpx.Client:
        """Open a client with a session of that person."""
        with self.client() as browser:
            answer = browser.post("/api/core/auth/login", json={"username": name, "password": password})
        assert answer.status_code == 200, answer.text
        signed_in = self.client()
        signed_in.cookies = answer.cookies  # the client makes a jar of its own from them
        return signed_in

    def app(self, name: str = "root", password: str = PASSWORD) -> dict[str, Any]:
        """Sign an application in; gives its tokens."""
        with self.client() as caller:
            said = {"username": name, "password": password, "client": "app"}
            answer = caller.post("/api/core/auth/login", json=said)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def bearer(self, token: str) -> httpx.Client:
        """Open a client that shows this token."""
        return self.client(authorization=f"Bearer {token}")

    def execute(self, statement: str, *values: object) -> list[Any]:
        """Run a statement on the database file, behind the host's back."""
        with (
            contextlib.closing(sqlite3.connect(self.folder / "plugin-host-data" / "host.db", timeout=20)) as file,
            file,
        ):
            return file.execute(statement, values).fetchall()

    def person(self, *roles: str) -> tuple[str, str]:
        """Add somebody; gives id and user name."""
        name = f"p{secrets.token_hex(5)}"
        with self.signed_in() as root:
            said = {"username": name, "password": PASSWORD, "roles": list(roles)}
            answer = root.post("/api/core/users", json=said)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"]), name

    def talk(self, *parts: bytes, patience: float = 5.0, pause: float = 0.0) -> tuple[bytes, bool]:
        """Send bytes as they are; gives what came back, and whether the connection was closed by the host."""
        came = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as line:
            with contextlib.suppress(OSError):  # it may be closed while we still talk
                for part in parts:
                    line.sendall(part)
                    if pause:
                        threading.Event().wait(pause)
            try:
                while some := line.recv(65536):
                    came += some
            except TimeoutError:
                return came, False
            except OSError:
                pass
        return came, True


def request(
    path: str, *headers: bytes, method: str = "GET", host: str | None = "127.0.0.1", body: bytes = b""
) -> bytes:
    """Write a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1".encode(), *headers]
    if host is not None:
        lines.insert(1, b"Host: " + host.encode())
    return b"\r\n".join(lines) + b"\r\n\r\n"


def problem(raw: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Take an answer apart that is a problem; gives status, headers and members."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert headers["content-type"] == "application/problem+json", raw
    return int(status.split(" ")[1]), headers, json.loads(body[: int(headers["content-length"])])


def code(answer: httpx.Response) -> tuple[int, str]:
    """Give status and code of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def write_plugin(folder: Path, plugin: str, python: str, permissions: Mapping[str, Any] | None = None) -> None:
    """Write a folder plugin."""
    place = folder / plugin
    place.mkdir(parents=True)
    keys = {"id": plugin, "name": plugin.title(), "version": "1.0", "requires": {"core": ">=1.0,<2"}}
    (place / "plugin.json").write_text(json.dumps(keys))
    (place / "__init__.py").write_text(python)
    if permissions is not None:
        (place / "permissions.json").write_text(json.dumps(permissions))


def outcome(folder: Path, default: str = "enable") -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Run a host once with the plugins of a folder; gives the entries of the plan, and the paths of the routes."""
    from plugin_host import PluginHost, Settings

    async def run() -> tuple[dict[str, Any], dict[str, list[str]]]:
        loader = {"folders": [str(folder / "plugins")], "disabled": ["contacts", "invoicing"], "default": default}
        said = {"PLUGIN_HOST_LOADER": json.dumps(loader), "PLUGIN_HOST_DATA_DIR": str(folder / "data")}
        async with PluginHost(Settings.load(None, said)).lifespan() as host:
            generation = host.standing.generation
            paths = {plugin: [route.path for route in routes] for plugin, routes in generation.routes.items()}
            return {entry.id: entry for entry in generation.plan.entries}, paths

    return asyncio.run(run())


@contextlib.contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Served]:
    """Serve a host with the probe and somebody called root, in a folder of its own."""
    public = [{"method": "*", "path": f"/{one}", "reason": "probing"} for one in PUBLIC]
    permissions = {
        "permissions": [
            {"name": "probe.view", "title": "See"},
            {"name": "probe.write", "title": "Write"},
            {"name": "probe.note.view", "title": "See a note", "scope": "object"},
        ],
        "roles": [
            {"name": "probe.viewer", "title": "Viewer", "grants": [{"permission": "probe.view"}]},
            {
                "name": "probe.writer",
                "title": "Writer",
                "grants": [
                    {"permission": "probe.write"},
                    {"permission": "probe.note.view", "where": {"==": [{"row": "owner_id"}, {"actor": "id"}]}},
                ],
            },
        ],
        "public": public,
    }
    write_plugin(folder / "plugins", "probe", PROBE, permissions)
    (folder / "plugins" / "probe" / "migrations").mkdir()
    (folder / "plugins" / "probe" / "migrations" / "0001_note.py").write_text(NOTES)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
    said = {f"PLUGIN_HOST_{key.upper()}": value for key, value in {**SETTINGS, **variables}.items()}
    served = Served(folder, {**kept, **said})
    served.run("users", "create", "root", "--role", "core.admin", "--password-file", "-", given=PASSWORD)
    served.start()
    try:
        yield served
    finally:
        served.stop()


PUBLIC: Final = ("open", "said", "small", "crash", "crash-database")
SETTINGS: Final = {
    "loader__folders": '["plugins"]',
    "server__hosts": '["127.0.0.1", "localhost", "[::1]"]',
    "server__trusted_proxies": '["127.0.0.1"]',
    "server__header_timeout": "1",
    "server__body_timeout": "1.5",
    "limits__body": "100000",
    "auth__refresh_grace": "2",
    "limits__errors_per_minute": "100000",
}


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The host that most cases are about."""
    with serving(tmp_path_factory.mktemp("served")) as host:
        yield host
