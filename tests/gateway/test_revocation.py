"""What is open is judged again: streams and WebSockets end when the right to them is gone, and for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from litestar import WebSocket
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.gateway.revocation import end_revoked, is_open
from plugin_host.sdk import Access, get, websocket
from plugin_host.sdk.context import ANONYMOUS
from plugin_host.sdk.manifest import PublicRoute

from .conftest import Socket, Stage
from .test_guard import Call, Guarded, until

pytestmark = [pytest.mark.anyio, pytest.mark.security]

OPEN_TO_ALL = PublicRoute(method="WS", path="/hall", reason="Open to all.")


async def drops() -> AsyncIterator[bytes]:
    yield b"one"
    await asyncio.Event().wait()


@get("/stream", permission="shop.view")
async def stream(db: AsyncSession) -> Stream:
    return Stream(drops())


@get("/edit", permission="shop.item.edit")
async def edit(access: Access) -> Stream:
    await access.require("shop.item.edit", object())
    return Stream(drops())


@get("/slow", permission="shop.view")
async def slow() -> str:
    await asyncio.sleep(0.05)
    return "done"


@websocket("/room", permission="shop.view")
async def room(socket: WebSocket[Any, Any, Any], db: AsyncSession) -> None:
    await socket.accept()
    await socket.receive_text()
    await asyncio.Event().wait()


@websocket("/door", permission="shop.view")
async def door(socket: WebSocket[Any, Any, Any]) -> None:
    await asyncio.Event().wait()


@websocket("/hall", permission="public")
async def hall(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await asyncio.Event().wait()


@websocket("/stubborn", permission="shop.view")
async def stubborn(socket: WebSocket[Any, Any, Any], db: AsyncSession) -> None:
    await socket.accept()
    for _ in range(3):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


class Open(Guarded):
    """A plugin with something open in it, and its gate to be asked anew."""

    def __init__(self, stage: Stage, *handlers: Any, **options: Any) -> None:
        super().__init__(stage, *handlers, **options)
        self._gate = stage.gate()

    async def talk(self, path: str) -> tuple[Socket, asyncio.Task[Any]]:
        socket = Socket("hello")
        task = asyncio.create_task(socket.open(self.edge, f"/api/shop{path}"))
        await until(lambda: is_open(self.usage))
        await asyncio.sleep(0.01)
        return socket, task

    async def listen(self, path: str) -> Call:
        call = self.call(path)
        await until(lambda: call.body)
        return call

    async def judge(self) -> int:
        return await end_revoked(self.usage, self._gate.judge)


async def test_a_socket_goes_on_while_the_right_is_there(stage: Stage) -> None:
    shop = Open(stage, room)
    socket, task = await shop.talk("/room")
    assert await shop.judge() == 0
    await asyncio.sleep(0.01)
    assert [m["type"] for m in socket.messages] == ["websocket.accept"]
    task.cancel()


async def test_a_socket_is_closed_when_the_right_is_gone_and_its_work_is_undone(stage: Stage) -> None:
    shop = Open(stage, room)
    socket, task = await shop.talk("/room")
    stage.held.clear()
    await shop.judge()
    await task
    assert socket.code == 4403
    assert stage.did == ["close"]
    assert shop.counted == {"requests": 1}  # no error of the plugin's


async def test_a_socket_is_closed_when_nobody_is_signed_in_any_more(stage: Stage) -> None:
    shop = Open(stage, room)
    socket, task = await shop.talk("/room")
    stage.actor = ANONYMOUS
    await shop.judge()
    await task
    assert socket.code == 4401


async def test_a_public_socket_of_somebody_ends_with_their_session(stage: Stage) -> None:
    shop = Open(stage, hall, public=[OPEN_TO_ALL])
    socket, task = await shop.talk("/hall")
    stage.actor = ANONYMOUS
    await shop.judge()
    await task
    assert socket.code == 4401


async def test_a_public_socket_of_nobody_goes_on(nobody: Stage) -> None:
    shop = Open(nobody, hall, public=[OPEN_TO_ALL])
    socket, task = await shop.talk("/hall")
    await shop.judge()
    await asyncio.sleep(0.01)
    assert [m["type"] for m in socket.messages] == ["websocket.accept"]
    task.cancel()


async def test_a_handshake_under_way_is_refused(stage: Stage) -> None:
    shop = Open(stage, door)
    socket, task = await shop.talk("/door")
    stage.held.clear()
    await shop.judge()
    await task
    assert socket.status == 403


async def test_a_socket_that_does_not_let_itself_be_cancelled_is_closed_from_outside(stage: Stage) -> None:
    shop = Open(stage, stubborn)
    socket, task = await shop.talk("/stubborn")
    stage.held.clear()
    await shop.judge()
    await asyncio.sleep(0.01)
    assert [m["type"] for m in socket.messages] == ["websocket.accept"]
    await shop.judge()
    assert socket.code == 4403
    await asyncio.sleep(0.01)
    await shop.judge()
    await task
    assert [m["type"] for m in socket.messages] == ["websocket.accept", "websocket.close"]
    assert stage.did == ["close"]  # what it wrote is not kept


async def test_a_stream_is_cut_without_its_end(stage: Stage) -> None:
    shop = Open(stage, stream)
    call = await shop.listen("/stream")
    stage.held.clear()
    await shop.judge()
    await call.task
    assert (call.status, call.body) == (200, b"one")
    assert all(m.get("more_body", True) for m in call.messages)
    assert shop.counted == {"requests": 1}


async def test_a_stream_about_an_object_ends_when_the_right_to_that_object_is_gone(stage: Stage) -> None:
    shop = Open(stage, edit)
    call = await shop.listen("/edit")
    await shop.judge()
    assert not call.task.done()
    stage.still = False
    await shop.judge()
    await call.task
    assert call.status == 200


async def test_an_answer_that_has_not_begun_ends_with_the_right_it_came_with(stage: Stage) -> None:
    shop = Open(stage, slow)
    call = shop.call("/slow")
    await until(lambda: shop.usage.in_flight)
    stage.held.clear()
    await shop.judge()
    await call.task
    assert (call.status, call.body) == (200, b"done")


async def test_what_cannot_be_judged_goes_on_and_is_judged_later(stage: Stage) -> None:
    shop = Open(stage, room, stream)
    socket, task = await shop.talk("/room")
    call = await shop.listen("/stream")
    stage.failing = RuntimeError("the database is away")
    assert await shop.judge() == 2
    stage.failing = None
    stage.held.clear()
    assert await shop.judge() == 0
    await asyncio.wait_for(asyncio.gather(task, call.task), 5)
    assert socket.code == 4403


async def test_whoever_is_judged_again_was_not_seen_again(stage: Stage) -> None:
    shop = Open(stage, room)
    _, task = await shop.talk("/room")
    await shop.judge()
    assert ["plugin_host.again" in scope for scope in stage.scopes] == [False, True]
    task.cancel()


async def test_the_servers_own_cancelling_is_not_swallowed(stage: Stage) -> None:
    shop = Open(stage, stream)
    call = await shop.listen("/stream")
    stage.held.clear()
    call.task.cancel()
    await shop.judge()
    with pytest.raises(asyncio.CancelledError):
        await call.task
