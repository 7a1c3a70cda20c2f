"""Rights that are gone are gone at the next request, in every process, and of what is open within two seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from plugin_host import PluginHost, Settings

from .conftest import running, signed_in

pytestmark = [pytest.mark.anyio, pytest.mark.security]

ROOMS = """
import asyncio
from litestar import WebSocket
from litestar.response import Stream
from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from plugin_host.sdk import Access, PluginBase, get, hookimpl, object_id, post, websocket

class Base(PluginBase, plugin="rooms"): ...

class Room(Base):
    __tablename__ = "rooms_room"
    __object__ = "rooms.room"
    id: Mapped[str] = object_id()
    name: Mapped[str] = mapped_column(String(100))

@post("/rooms", permission="rooms.enter")
async def build(db: AsyncSession) -> dict[str, str]:
    room = Room(name="hall")
    db.add(room)
    await db.flush()
    return {"id": room.id}

@websocket("/watch/{room_id:str}", permission="rooms.room.watch")
async def watch(socket: WebSocket, room_id: str, access: Access, db: AsyncSession) -> None:
    await access.get(Room, room_id, "rooms.room.watch")
    await socket.accept()
    await asyncio.Event().wait()

@websocket("/room", permission="rooms.enter")
async def room(socket: WebSocket) -> None:
    await socket.accept()
    await asyncio.Event().wait()

async def drops():
    yield b"one"
    await asyncio.Event().wait()

@get("/stream", permission="rooms.enter")
async def stream() -> Stream:
    return Stream(drops())

@post("/paint", permission="rooms.room.paint")
def paint() -> dict[str, str]:
    return {"painted": "without asking"}

@hookimpl
def register_routes():
    return [build, watch, room, stream, paint]
"""
TABLE = """
import sqlalchemy as sa
from alembic import op

phase = "expand"

def upgrade() -> None:
    op.create_table("rooms_room", sa.Column("id", sa.String(26), primary_key=True), sa.Column("name", sa.String(100)))
"""
PERMISSIONS = {
    "permissions": [
        {"name": "rooms.enter", "title": "Enter"},
        {"name": "rooms.room.paint", "title": "Paint", "scope": "object"},
        {"name": "rooms.room.watch", "title": "Watch", "scope": "object"},
    ],
    "roles": [
        {
            "name": "rooms.guest",
            "title": "Guest",
            "grants": [{"permission": "rooms.enter"}, {"permission": "rooms.room.paint"}],
        }
    ],
}
GUEST = ("rooms.guest",)


class Wire:
    """One connection, spoken by hand: `messages` are what the host sent."""

    def __init__(self, host: PluginHost, browser: httpx.AsyncClient, path: str, kind: str) -> None:
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        headers = {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000", "cookie": cookie}
        self.messages: list[dict[str, Any]] = []
        self._first = {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request", "body": b""}
        scope = {
            "type": kind,
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws" if kind == "websocket" else "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            **({"method": "GET"} if kind == "http" else {}),
        }
        self.task = asyncio.create_task(host.asgi(scope, self._receive, self._send))

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                for message in self.messages:
                    if message["type"] == kind:
                        return message
                await asyncio.sleep(0.01)

    async def _receive(self) -> dict[str, Any]:
        if self._first:
            first, self._first = self._first, {}
            return first
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


@pytest.fixture
def rooms(settings: Settings, folder_plugin: Callable[..., Path]) -> Settings:
    folder = folder_plugin("rooms", ROOMS, permissions=PERMISSIONS)
    (folder / "rooms" / "migrations").mkdir()
    (folder / "rooms" / "migrations" / "0001_rooms.py").write_text(TABLE)
    return msgspec.structs.replace(settings, loader=msgspec.structs.replace(settings.loader, folders=(str(folder),)))


async def ids(browser: httpx.AsyncClient) -> str:
    return str((await browser.get("/api/core/auth/me")).json()["user"]["id"])


async def test_a_role_taken_in_one_process_ends_what_is_open_in_another(rooms: Settings) -> None:
    async with (
        running(PluginHost(rooms)) as one,
        PluginHost(rooms).lifespan() as two,
        signed_in(one) as admin,
        signed_in(one, "gus", GUEST) as gus,
    ):
        room = Wire(two, gus, "/api/rooms/room", "websocket")
        stream = Wire(two, gus, "/api/rooms/stream", "http")
        await room.until("websocket.accept")
        await stream.until("http.response.body")
        taken = await admin.put(f"/api/core/users/{await ids(gus)}/roles", json={"roles": []})
        assert taken.status_code == 200
        assert (await room.until("websocket.close"))["code"] == 4403
        async with asyncio.timeout(10):
            await asyncio.gather(room.task, stream.task)
    assert all(message.get("more_body", True) for message in stream.messages)


async def test_signing_out_closes_what_is_open(rooms: Settings) -> None:
    async with running(PluginHost(rooms)) as host, signed_in(host, "gus", GUEST) as gus:
        room = Wire(host, gus, "/api/rooms/room", "websocket")
        await room.until("websocket.accept")
        assert (await gus.post("/api/core/auth/logout")).status_code == 204
        assert (await room.until("websocket.close"))["code"] == 4401
        await room.task


async def test_a_grant_taken_back_ends_what_is_open_about_that_object(rooms: Settings) -> None:
    async with running(PluginHost(rooms)) as host, signed_in(host) as admin, signed_in(host, "gus", GUEST) as gus:
        ids_of = [(await gus.post("/api/rooms/rooms")).json()["id"] for _ in range(2)]
        user = f"user:{await ids(gus)}"
        given = [
            (
                await admin.post(
                    "/api/core/grants", json={"subject": user, "permission": "rooms.room.watch", "object": room}
                )
            ).json()["id"]
            for room in ids_of
        ]
        one, other = (Wire(host, gus, f"/api/rooms/watch/{room}", "websocket") for room in ids_of)
        await one.until("websocket.accept")
        await other.until("websocket.accept")
        assert (await admin.delete(f"/api/core/grants/{given[0]}")).status_code == 204
        assert (await one.until("websocket.close"))["code"] == 4403
        assert [message["type"] for message in other.messages] == ["websocket.accept"]
        other.task.cancel()


async def test_a_change_of_others_ends_nothing(rooms: Settings) -> None:
    async with (
        running(PluginHost(rooms)) as host,
        signed_in(host) as admin,
        signed_in(host, "gus", GUEST) as gus,
        signed_in(host, "eve", GUEST) as eve,
    ):
        mine = Wire(host, gus, "/api/rooms/room", "websocket")
        hers = Wire(host, eve, "/api/rooms/room", "websocket")
        await mine.until("websocket.accept")
        await hers.until("websocket.accept")
        await admin.put(f"/api/core/users/{await ids(eve)}/roles", json={"roles": []})
        await hers.until("websocket.close")
        assert [message["type"] for message in mine.messages] == ["websocket.accept"]
        mine.task.cancel()


async def test_a_revision_that_was_answered_holds_in_every_process(rooms: Settings) -> None:
    async with (
        running(PluginHost(rooms)) as one,
        PluginHost(rooms).lifespan() as two,
        signed_in(one) as admin,
        signed_in(one, "gus") as gus,
    ):
        given = await admin.put(f"/api/core/users/{await ids(gus)}/roles", json={"roles": list(GUEST)})
        revision = int(given.headers["policy-revision"])
        async with _browser(two, gus) as there:
            seen = await there.get("/api/core/auth/me", headers={"policy-revision": str(revision)})
            ahead = await there.get("/api/core/auth/me", headers={"policy-revision": str(revision + 1)})
    assert "rooms.enter" in seen.json()["permissions"]
    assert (ahead.status_code, ahead.json()["type"]) == (503, "urn:plugin-host:problem:policy_behind")
    assert ahead.headers["retry-after"] == "1"


async def test_a_function_in_a_thread_that_asked_for_no_decision_is_undone(rooms: Settings) -> None:
    async with running(PluginHost(rooms)) as host, signed_in(host, "gus", GUEST) as gus:
        answer = await gus.post("/api/rooms/paint")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:plugin-host:problem:undecided")


async def test_where_the_policy_cannot_be_read_nobody_is_let_in(rooms: Settings) -> None:
    async with running(PluginHost(rooms)) as host, signed_in(host, "gus", GUEST) as gus:
        async with host.work() as work:
            await work.db.execute(sa.text("UPDATE core_revision SET policy = policy + 1"))
            await work.db.execute(sa.text("ALTER TABLE core_policy_change RENAME TO gone"))
        try:
            refused = await gus.post("/api/rooms/rooms")
        finally:
            # Beside the host: it cannot tell who may do that any more.
            unit = host.database.unit()
            await unit.session.execute(sa.text("ALTER TABLE gone RENAME TO core_policy_change"))
            await unit.commit()
            await unit.close()
        again = await gus.post("/api/rooms/rooms")
    assert [refused.status_code, again.status_code] == [503, 201]


def _browser(host: PluginHost, other: httpx.AsyncClient) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(host.asgi)
    return httpx.AsyncClient(transport=transport, base_url=other.base_url, headers=other.headers, cookies=other.cookies)
