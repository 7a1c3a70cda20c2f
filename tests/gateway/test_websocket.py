"""WebSockets: refused in HTTP where the server can, closed with 4000 + status where not or where it is too late."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from litestar import WebSocket
from litestar.exceptions import WebSocketException
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.sdk import Access, Problem, get, websocket

from .conftest import Socket, Stage

pytestmark = pytest.mark.anyio


@websocket("/echo", permission="shop.view")
async def echo(socket: WebSocket[Any, Any, Any], db: AsyncSession) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


@websocket("/late", permission="shop.view")
async def late(socket: WebSocket[Any, Any, Any], db: AsyncSession) -> None:
    await socket.accept()
    raise Problem(403, "forbidden", "Not this one.")


@websocket("/early", permission="shop.view")
async def early(socket: WebSocket[Any, Any, Any]) -> None:
    raise Problem(404, "not_found", "No such room.")


@websocket("/crash", permission="shop.view")
async def crash(socket: WebSocket[Any, Any, Any], db: AsyncSession) -> None:
    await socket.accept()
    raise RuntimeError("secret")


@websocket("/listen", permission="shop.view")
async def listen(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    while True:
        await socket.receive_text()


@websocket("/own-code", permission="shop.view")
async def own_code(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    raise WebSocketException(code=4321, detail="mine")


@websocket("/edit", permission="shop.item.edit")
async def edit(socket: WebSocket[Any, Any, Any], db: AsyncSession) -> None:
    await socket.accept()


@websocket("/edit-asking", permission="shop.item.edit")
async def edit_asking(socket: WebSocket[Any, Any, Any], db: AsyncSession, access: Access) -> None:
    await access.require("shop.item.edit", object())
    await socket.accept()


@get("/page", permission="shop.view")
async def a_page() -> str:
    return "page"


async def talk(stage: Stage, handler: Any, path: str, *texts: str, **options: Any) -> Socket:
    socket = Socket(*texts, **options)
    await socket.open(stage.edge(stage.build(handler)), f"/api/shop{path}")
    return socket


async def test_a_conversation_is_one_unit_of_work(stage: Stage) -> None:
    socket = await talk(stage, echo, "/echo", "hello")
    assert [m.get("text") for m in socket.messages] == [None, "hello", None]
    assert (stage.did, stage.wrote) == (["commit", "close"], [False])  # it locks nothing before it writes


@pytest.mark.security
async def test_nobody_is_refused_in_http(nobody: Stage) -> None:
    assert (await talk(nobody, echo, "/echo")).status == 401


@pytest.mark.security
async def test_nobody_is_closed_out_where_the_server_cannot_answer(nobody: Stage) -> None:
    assert (await talk(nobody, echo, "/echo", offers_http=False)).code == 4401


@pytest.mark.security
async def test_whoever_lacks_the_permission_is_refused(stage: Stage) -> None:
    stage.held.clear()
    assert (await talk(stage, echo, "/echo")).status == 403


@pytest.mark.security
@pytest.mark.parametrize("headers", [{"origin": "https://evil.test"}, {}], ids=["another origin", "no origin"])
async def test_a_handshake_with_a_cookie_from_elsewhere_is_refused(stage: Stage, headers: dict[str, str]) -> None:
    socket = await talk(stage, echo, "/echo", headers={"cookie": "ph_session=x", **headers})
    assert socket.status == 403
    assert stage.works == []


async def test_a_problem_after_the_handshake_is_the_close_code(stage: Stage) -> None:
    socket = await talk(stage, late, "/late")
    assert socket.code == 4403
    assert socket.messages[-1]["reason"] == "Not this one."
    assert stage.did == ["close"]


async def test_a_problem_before_the_handshake_refuses_it(stage: Stage) -> None:
    assert (await talk(stage, early, "/early")).status == 404


async def test_a_crash_is_logged_and_told_as_nothing(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    socket = await talk(stage, crash, "/crash")
    assert socket.code == 4500
    assert "secret" not in socket.messages[-1]["reason"]
    assert "plugin shop failed" in caplog.text
    assert stage.did == ["close"]


async def test_hanging_up_is_no_error(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await talk(stage, listen, "/listen", "one")
    assert caplog.text == ""


async def test_a_handlers_own_close_code_is_kept(stage: Stage) -> None:
    assert (await talk(stage, own_code, "/own-code")).code == 4321


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/page", 400)])
async def test_an_address_without_a_socket_is_refused(stage: Stage, path: str, status: int) -> None:
    assert (await talk(stage, a_page, path)).status == status


@pytest.mark.security
async def test_object_scope_that_never_asked_is_undone(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await talk(stage, edit, "/edit")
    assert stage.did == ["close"]
    assert "asked for no decision" in caplog.text


async def test_object_scope_that_asked_is_committed(stage: Stage) -> None:
    await talk(stage, edit_asking, "/edit-asking")
    assert stage.did == ["commit", "close"]


async def test_a_failed_commit_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.commit_error = RuntimeError("disk full")
    socket = await talk(stage, echo, "/echo", "hello")
    assert "disk full" in caplog.text
    assert [m["type"] for m in socket.messages] == ["websocket.accept", "websocket.send", "websocket.close"]
