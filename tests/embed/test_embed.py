"""The bridges: a switch on whole segments, and two lifespans in the right order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, get
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from plugin_host import embed

pytestmark = pytest.mark.anyio


class FakeHost:
    """What the bridges use of a host; `did` is what happened to it, in order."""

    def __init__(
        self, did: list[str], start_error: Exception | None = None, end_error: Exception | None = None
    ) -> None:
        self.did = did
        self.running = False
        self._start_error = start_error
        self._end_error = end_error

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[FakeHost]:
        if self._start_error is not None:
            raise self._start_error
        self.did.append("host up")
        task = asyncio.current_task()
        self.running = True
        yield self
        self.running = False
        assert asyncio.current_task() is task
        self.did.append("host down")
        if self._end_error is not None:
            raise self._end_error

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if not self.running:
            msg = "PluginHost is not running: enter `async with host.lifespan():`"
            raise RuntimeError(msg)
        await reply(send, f"host {scope['root_path']} {scope['path']}")


async def reply(send: Any, text: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode(), "more_body": False})


def outer_lifespan(did: list[str]) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        did.append("outer up")
        yield
        did.append("outer down")

    return lifespan


def make_starlette(did: list[str]) -> Any:
    return Starlette(routes=[Route("/{rest:path}", PlainTextResponse("outer"))], lifespan=outer_lifespan(did))


def make_fastapi(did: list[str]) -> Any:
    app = FastAPI(lifespan=outer_lifespan(did))
    app.add_route("/{rest:path}", PlainTextResponse("outer"))  # type: ignore[arg-type] # an ASGI application will do
    return app


def make_litestar(did: list[str]) -> Any:
    @get(["/", "/apps-foo", "/other"], sync_to_thread=False)
    def outer() -> str:
        return "outer"

    return Litestar([outer], lifespan=[outer_lifespan(did)], openapi_config=None, logging_config=None)


def make_plain(did: list[str]) -> Any:
    """Write an application as Quart's is seen from outside."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            did.append("outer up")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            did.append("outer down")
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await reply(send, "outer")

    return app


def make_django(did: list[str]) -> Any:
    """Write an application as Django's is seen from outside: it knows no lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            msg = f"Django can only handle ASGI/HTTP connections, not {scope['type']}."
            raise ValueError(msg)
        await reply(send, "outer")

    return app


BRIDGES = {
    "litestar": (embed.litestar, make_litestar),
    "starlette": (embed.starlette, make_starlette),
    "fastapi": (embed.fastapi, make_fastapi),
    "quart": (embed.quart, make_plain),
    "django": (embed.django, make_django),
}


@pytest.fixture(params=BRIDGES)
def bridged(request: pytest.FixtureRequest) -> tuple[Any, FakeHost, list[str]]:
    bridge, make = BRIDGES[request.param]
    did: list[str] = []
    host: Any = FakeHost(did)
    return bridge(make(did), host, "/apps"), host, did


class Server:
    """Speaks the lifespan protocol as a server does."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._asked: asyncio.Queue[Any] = asyncio.Queue()
        self._answered: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, Any]:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.create_task(self._app(scope, self._asked.get, self._answered.put))
        await self._asked.put({"type": "lifespan.startup"})
        return dict(await self._answered.get())

    async def stop(self) -> dict[str, Any]:
        await self._asked.put({"type": "lifespan.shutdown"})
        return dict(await self._answered.get())

    async def ended(self) -> BaseException | None:
        assert self._task is not None
        await asyncio.wait([self._task])
        return self._task.exception()


async def ask(app: Any, path: str, root_path: str = "") -> str:
    transport = httpx.ASGITransport(app, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://host.test") as browser:
        return (await browser.get(path)).text


async def test_the_outer_application_starts_first_and_stops_last(bridged: tuple[Any, FakeHost, list[str]]) -> None:
    app, _, did = bridged
    server = Server(app)
    assert (await server.start())["type"] == "lifespan.startup.complete"
    assert (await server.stop())["type"] == "lifespan.shutdown.complete"
    assert await server.ended() is None
    assert [step for step in did if step.startswith("host")] == ["host up", "host down"]
    assert did in (["host up", "host down"], ["outer up", "host up", "host down", "outer down"])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/apps", "host /apps /apps"),
        ("/apps/", "host /apps /apps/"),
        ("/apps/api/crm", "host /apps /apps/api/crm"),
        ("/apps-foo", "outer"),
        ("/other", "outer"),
        ("/", "outer"),
    ],
)
async def test_whole_segments_decide(bridged: tuple[Any, FakeHost, list[str]], path: str, text: str) -> None:
    app, host, _ = bridged
    host.running = True
    assert await ask(app, path) == text


@pytest.mark.parametrize("path", ["/base/apps/x", "/apps/x"])
async def test_a_root_path_of_the_server_is_kept(path: str) -> None:
    host: Any = FakeHost([])
    host.running = True
    app = embed.starlette(make_starlette([]), host, "/apps")
    assert await ask(app, path, root_path="/base") == "host /base/apps /base/apps/x"


async def test_sockets_are_switched_too() -> None:
    seen: list[str] = []

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        seen.append("outer")

    class Host(FakeHost):
        async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append("host")

    host: Any = Host([])
    app = embed.quart(outer, host, "/apps")
    for path in ("/apps/chat", "/appsx/chat"):
        await app({"type": "websocket", "path": path, "headers": []}, None, None)
    assert seen == ["host", "outer"]


async def test_a_request_before_the_lifespan_fails_with_the_hosts_sentence(
    bridged: tuple[Any, FakeHost, list[str]],
) -> None:
    app, _, _ = bridged
    with pytest.raises(RuntimeError, match="is not running"):
        await ask(app, "/apps/x")


async def test_a_host_that_cannot_start_stops_the_server_and_the_outer_application() -> None:
    did: list[str] = []
    host: Any = FakeHost(did, start_error=ValueError("no database"))
    server = Server(embed.starlette(make_starlette(did), host, "/apps"))
    assert await server.start() == {"type": "lifespan.startup.failed", "message": "no database"}
    assert isinstance(await server.ended(), ValueError)
    assert did == ["outer up", "outer down"]


async def test_an_outer_application_that_cannot_start_never_starts_the_host() -> None:
    did: list[str] = []

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no licence"})

    host: Any = FakeHost(did)
    server = Server(embed.quart(outer, host, "/apps"))
    assert await server.start() == {"type": "lifespan.startup.failed", "message": "no licence"}
    assert str(await server.ended()) == "no licence"
    assert did == []


async def test_a_host_that_fails_at_the_end_says_so() -> None:
    did: list[str] = []
    host: Any = FakeHost(did, end_error=ValueError("still busy"))
    server = Server(embed.starlette(make_starlette(did), host, "/apps"))
    await server.start()
    assert await server.stop() == {"type": "lifespan.shutdown.failed", "message": "still busy"}
    assert isinstance(await server.ended(), ValueError)
    assert did[-1] == "outer down"


async def test_an_outer_application_that_knows_no_lifespan_is_left_alone() -> None:
    did: list[str] = []
    host: Any = FakeHost(did)
    server = Server(embed.quart(make_django(did), host, "/apps"))
    assert (await server.start())["type"] == "lifespan.startup.complete"


@pytest.mark.parametrize("prefix", ["", "/", "apps", "/apps/", "/a//b", "/a b", "/{x}"])
def test_a_prefix_is_a_path(prefix: str) -> None:
    host: Any = FakeHost([])
    with pytest.raises(ValueError, match="is no path to put a host under"):
        embed.litestar(make_plain([]), host, prefix)
