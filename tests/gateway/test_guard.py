"""The guard: what a plugin does is counted, and it is held to its limits without being hurt by them."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st
from litestar import WebSocket
from litestar.response import Stream
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.gateway.edge import Edge
from plugin_host.gateway.gate import WORK
from plugin_host.gateway.guard import STATUS, Guard, Usage, call_off_late
from plugin_host.sdk import Problem, get, websocket

from .conftest import Socket, Stage, client

pytestmark = pytest.mark.anyio

LIMIT = 60.0


class Call:
    """One request, spoken by hand, in a task of its own as a server would run it."""

    def __init__(self, app: Any, path: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self._sent_body = False
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"host.test")],
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    @property
    def status(self) -> int | None:
        return next((m["status"] for m in self.messages if m["type"] == "http.response.start"), None)

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages)

    async def _receive(self) -> dict[str, Any]:
        if not self._sent_body:
            self._sent_body = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


class Guarded:
    """One plugin behind its guard, and all that is in front of it."""

    def __init__(self, stage: Stage, *handlers: Any, concurrency: int | None = None, **options: Any) -> None:
        self.usage = Usage()
        built = stage.build(*handlers, **options)
        guard: Any = Guard(built.app, self.usage, concurrency=concurrency)
        self.edge: Edge = stage.edge(dataclasses.replace(built, app=guard))

    def call(self, path: str) -> Call:
        return Call(self.edge, f"/api/shop{path}")

    async def get(self, path: str) -> Any:
        async with client(self.edge) as opened:
            return await opened.get(f"/api/shop{path}")

    def late(self, after: float = LIMIT) -> int:
        return call_off_late(self.usage, LIMIT, time.monotonic() + after)

    @property
    def counted(self) -> dict[str, int]:
        names = ("requests", "errors", "timeouts", "overloads", "in_flight", "sockets")
        return {name: getattr(self.usage, name) for name in names if getattr(self.usage, name)}


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


@get("/fine", permission="shop.view")
async def fine() -> dict[str, str]:
    return {"is": "fine"}


@get("/crash", permission="shop.view")
async def crash() -> None:
    raise KeyError("secret")


@get("/down", permission="shop.view")
async def down() -> None:
    raise Problem(503, "upstream_down", "The mail server does not answer.")


@get("/billing", permission="contacts.view")
async def withheld() -> None: ...


@get("/hang", permission="shop.view")
async def hang(db: AsyncSession) -> None:
    await asyncio.Event().wait()


@get("/hang-on", permission="shop.view")
async def hang_on() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


@get("/turn", permission="shop.view")
async def turn() -> dict[str, str]:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return {"is": "late"}
    return {}


@get("/translate", permission="shop.view")
async def translate() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        raise ValueError("no") from error


@get("/stream", permission="shop.view")
async def stream() -> Stream:
    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b"tick "
            await asyncio.sleep(0.01)

    return Stream(forever)


@get("/cancel", permission="shop.view")
async def cancel() -> None:
    raise asyncio.CancelledError


@get("/exit", permission="shop.view")
async def leave() -> None:
    raise SystemExit(1)


@get("/interrupt", permission="shop.view")
async def interrupt() -> None:
    raise KeyboardInterrupt


@websocket("/wait", permission="shop.view")
async def wait_for_it(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.receive_text()
    await socket.close()


@websocket("/break", permission="shop.view")
async def break_off(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    raise RuntimeError("secret")


async def test_an_answer_is_counted_with_its_time(stage: Stage) -> None:
    shop = Guarded(stage, fine)
    assert (await shop.get("/fine")).status_code == 200
    assert shop.counted == {"requests": 1}
    assert 0 < shop.usage.seconds < 10


async def test_an_exception_is_an_error_and_is_described(stage: Stage) -> None:
    shop = Guarded(stage, crash)
    assert (await shop.get("/crash")).status_code == 500
    assert shop.counted == {"requests": 1, "errors": 1}
    assert shop.usage.last_error == "KeyError('secret') at GET /api/shop/crash"


async def test_what_says_that_it_is_away_for_a_while_is_no_error(stage: Stage) -> None:
    shop = Guarded(stage, down)
    assert (await shop.get("/down")).status_code == 503
    assert shop.counted == {"requests": 1}


async def test_a_database_that_is_away_is_no_fault_of_the_plugin(stage: Stage) -> None:
    @get("/rows", permission="shop.view")
    async def rows() -> None:
        raise OperationalError("SELECT 1", {}, ConnectionError("connection refused"))

    shop = Guarded(stage, rows)
    assert (await shop.get("/rows")).status_code == 500
    assert shop.counted == {"requests": 1}


async def test_a_commit_that_fails_is_an_error(stage: Stage) -> None:
    @get("/keep", permission="shop.view")
    async def keep(db: AsyncSession) -> dict[str, str]:
        return {}

    stage.commit_error = RuntimeError("disk full")
    shop = Guarded(stage, keep)
    assert (await shop.get("/keep")).status_code == 500
    assert shop.counted == {"requests": 1, "errors": 1}
    assert "disk full" in shop.usage.last_error


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/billing", 403)])
async def test_what_the_host_refuses_is_no_error(stage: Stage, path: str, status: int) -> None:
    shop = Guarded(stage, withheld)
    assert (await shop.get(path)).status_code == status
    assert shop.counted == {"requests": 1}


async def test_a_sign_in_that_cannot_be_checked_is_not_the_plugins_error(stage: Stage) -> None:
    shop = Guarded(stage, fine)
    stage.failing = RuntimeError("no database")
    assert (await shop.get("/fine")).status_code == 503
    assert shop.counted == {"requests": 1}


async def test_one_error_a_second_is_described(stage: Stage) -> None:
    shop = Guarded(stage, crash, down)
    for path in ("/crash", "/down"):
        await shop.get(path)
    assert shop.usage.last_error.startswith("KeyError")


async def test_too_many_at_once_are_told_to_come_again(stage: Stage) -> None:
    shop = Guarded(stage, hang, fine, concurrency=2)
    under_way = [shop.call("/hang") for _ in range(2)]
    await until(lambda: len(stage.works) == 2)
    refused = await shop.get("/fine")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["type"] == "urn:plugin-host:problem:overloaded"
    assert shop.counted == {"requests": 2, "overloads": 1, "in_flight": 2}
    shop.late()
    await asyncio.gather(*(call.task for call in under_way))
    assert (await shop.get("/fine")).status_code == 200


async def test_an_answer_that_does_not_begin_in_time_is_called_off(stage: Stage) -> None:
    shop = Guarded(stage, hang)
    call = shop.call("/hang")
    await until(lambda: stage.works)
    assert shop.late(LIMIT - 1) == 0
    assert shop.late() == 1
    await call.task
    assert call.status == 503
    assert b"problem:time_limit" in call.body
    assert stage.did == ["close"]  # what it had begun to do is undone
    assert shop.counted == {"requests": 1, "timeouts": 1}
    assert call.task.cancelling() == 0


async def test_one_that_cannot_be_called_off_is_answered_all_the_same(stage: Stage) -> None:
    shop = Guarded(stage, hang_on)
    call = shop.call("/hang-on")
    await until(lambda: stage.works)
    shop.late()
    await asyncio.sleep(0.01)
    assert shop.late() == 0
    await until(lambda: call.status)
    assert call.status == 503
    assert shop.counted == {"requests": 1, "timeouts": 1, "in_flight": 1}
    shop.late(3 * LIMIT)  # and called off again
    await call.task
    assert [message["type"] for message in call.messages] == ["http.response.start", "http.response.body"]
    assert shop.counted == {"requests": 1, "timeouts": 1}


async def test_one_that_answers_when_it_is_called_off_is_left_to_it(stage: Stage) -> None:
    shop = Guarded(stage, turn)
    call = shop.call("/turn")
    await until(lambda: stage.works)
    shop.late()
    await call.task
    assert call.status == 200
    assert shop.counted == {"requests": 1, "timeouts": 1}
    assert call.task.cancelling() == 0


async def test_one_that_fails_when_it_is_called_off_is_no_error_on_top(stage: Stage) -> None:
    shop = Guarded(stage, translate)
    call = shop.call("/translate")
    await until(lambda: stage.works)
    shop.late()
    await call.task
    assert call.status == 500
    assert shop.counted == {"requests": 1, "timeouts": 1}


async def test_a_stream_that_has_begun_is_never_cut(stage: Stage) -> None:
    shop = Guarded(stage, stream)
    call = shop.call("/stream")
    await until(lambda: call.body)
    assert shop.late(1e6) == 0
    before = call.body
    await until(lambda: len(call.body) > len(before) + 10)
    assert shop.counted == {"requests": 1, "in_flight": 1}
    call.gone.set()
    await call.task
    assert shop.counted == {"requests": 1}


async def test_a_client_that_goes_away_is_no_error(stage: Stage) -> None:
    shop = Guarded(stage, hang)
    call = shop.call("/hang")
    await until(lambda: stage.works)
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.task
    assert shop.counted == {"requests": 1}


async def test_the_servers_own_cancelling_is_not_swallowed(stage: Stage) -> None:
    shop = Guarded(stage, hang)
    call = shop.call("/hang")
    await until(lambda: stage.works)
    shop.late()
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.task
    assert shop.counted == {"requests": 1, "timeouts": 1}


@pytest.mark.parametrize("path", ["/cancel", "/exit", "/interrupt"])
async def test_nothing_that_a_handler_raises_ends_the_host(stage: Stage, path: str) -> None:
    shop = Guarded(stage, cancel, leave, interrupt, fine)
    call = shop.call(path)
    await call.task
    assert call.status == 500
    assert shop.counted == {"requests": 1, "errors": 1}
    assert (await shop.get("/fine")).status_code == 200


async def test_a_conversation_is_counted_and_neither_limited_nor_called_off(stage: Stage) -> None:
    shop = Guarded(stage, wait_for_it, hang, concurrency=1)
    held = asyncio.Event()

    class Slow(Socket):
        async def _receive(self) -> dict[str, Any]:
            message = await super()._receive()
            if message["type"] == "websocket.receive":
                await held.wait()
            return message

    sockets = [Slow("hello") for _ in range(3)]
    tasks = [asyncio.create_task(socket.open(shop.edge, "/api/shop/wait")) for socket in sockets]
    await until(lambda: all(socket.messages for socket in sockets))
    assert shop.late(1e6) == 0
    assert shop.counted == {"requests": 3, "sockets": 3}
    held.set()
    await asyncio.gather(*tasks)
    assert [socket.code for socket in sockets] == [1000] * 3
    assert shop.counted == {"requests": 3}
    assert shop.usage.seconds == 0


async def test_a_conversation_that_breaks_off_is_an_error(stage: Stage) -> None:
    shop = Guarded(stage, break_off)
    socket = Socket()
    await socket.open(shop.edge, "/api/shop/break")
    assert socket.code == 4500
    assert shop.counted == {"requests": 1, "errors": 1}


async def test_a_usage_outlives_the_application(stage: Stage) -> None:
    shop = Guarded(stage, fine)
    await shop.get("/fine")
    built = stage.build(fine)
    again: Any = Guard(built.app, shop.usage)
    async with client(stage.edge(dataclasses.replace(built, app=again))) as opened:
        await opened.get("/api/shop/fine")
    assert shop.counted == {"requests": 2}


Act = Callable[[], Awaitable[None]]


async def _raise_error() -> None:
    raise ValueError("no")


async def _raise_exit() -> None:
    raise SystemExit


async def _cancel_itself() -> None:
    raise asyncio.CancelledError


async def _pass() -> None: ...


async def _wait() -> None:
    await asyncio.sleep(0)


async def _hang() -> None:
    await asyncio.Event().wait()


async def _swallow() -> None:
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()


ACTS = st.sampled_from([_raise_error, _raise_exit, _cancel_itself, _pass, _wait, _hang, _swallow])
DONE_TO_IT = st.sampled_from(["late", "later", "cancel", "turn"])


@given(st.lists(st.lists(ACTS, min_size=1, max_size=3), max_size=6), st.lists(DONE_TO_IT, max_size=6))
def test_nothing_is_left_under_way_whatever_happens(plays: list[list[Act]], doings: list[str]) -> None:
    usage = Usage()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for act in scope["acts"]:
            await act()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def play() -> None:
        guard = Guard(app, usage, concurrency=4)
        scopes = [{"type": "http", "path": "/", "method": "GET", WORK: None, "acts": acts} for acts in plays]
        tasks = [asyncio.create_task(edge(guard, scope)) for scope in scopes]
        now = time.monotonic()
        for doing in (*doings, "cancel", "cancel", "cancel"):
            await asyncio.sleep(0)
            if doing in ("late", "later"):
                now += LIMIT
                call_off_late(usage, LIMIT, now)
            elif doing == "cancel":
                for task in tasks:
                    task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())
    assert (usage.in_flight, usage.sockets, len(usage.late)) == (0, 0, 0)
    assert 0 <= usage.errors <= usage.requests
    assert 0 <= usage.timeouts <= usage.requests
    assert usage.requests + usage.overloads <= len(plays)
    assert usage.seconds >= 0


async def edge(guard: Guard, scope: dict[str, Any]) -> None:
    async def send(message: Any) -> None:
        scope[STATUS] = message.get("status")

    await guard(scope, None, send)
