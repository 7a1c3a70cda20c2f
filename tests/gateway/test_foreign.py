"""Foreign applications below a plugin's API: Starlette, FastAPI and plain ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from plugin_host.sdk import AsgiApp, get
from plugin_host.sdk.errors import PluginFault

from .conftest import Socket, Stage, client

pytestmark = pytest.mark.anyio


async def show(request: Request) -> JSONResponse:
    scope = request.scope
    return JSONResponse(
        {
            "path": scope["path"],
            "root_path": scope["root_path"],
            "user": scope["user"].username,
            "parameters": scope["path_params"],
            "url": str(request.url_for("show")),
        }
    )


async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def chat(socket: Any) -> None:
    await socket.accept()
    await socket.send_text(socket.url.path)
    await socket.close()


def starlette(**options: Any) -> Starlette:
    routes: list[Any] = [
        Route("/", PlainTextResponse("home")),
        Route("/show", show, name="show"),
        Route("/read", read, methods=["POST"]),
        Mount("/sub", routes=[Route("/deep", show)]),
        WebSocketRoute("/chat", chat),
    ]
    return Starlette(routes=routes, **options)


def mounted(app: Any = None, path: str = "/app") -> AsgiApp:
    return AsgiApp(app or starlette(), path=path, permission="shop.view")


async def test_it_is_called_as_if_a_server_ran_it_there(stage: Stage) -> None:
    async with stage.client(mounted()) as browser:
        answer = await browser.get("/api/shop/app/show")
    assert answer.json() == {
        "path": "/api/shop/app/show",
        "root_path": "/api/shop/app",
        "user": "ann",
        "parameters": {},
        "url": "http://host.test/api/shop/app/show",
    }


async def test_its_mounts_and_trailing_slashes_work(stage: Stage) -> None:
    async with stage.client(mounted()) as browser:
        assert (await browser.get("/api/shop/app/sub/deep")).status_code == 200
        assert (await browser.get("/api/shop/app/")).text == "home"


async def test_it_knows_the_base_path_of_the_host(stage: Stage) -> None:
    edge = stage.edge(stage.build(mounted()))
    async with client(edge, root_path="/base") as browser:
        shown = (await browser.get("/base/api/shop/app/show")).json()
    assert (shown["root_path"], shown["path"]) == ("/base/api/shop/app", "/base/api/shop/app/show")


async def test_it_may_stand_at_the_root_beside_routes(stage: Stage) -> None:
    @get("/own", permission="shop.view")
    async def own() -> str:
        return "own"

    async with stage.client(own, mounted(path="/")) as browser:
        assert (await browser.get("/api/shop/own")).text == "own"
        assert (await browser.get("/api/shop/show")).json()["root_path"] == "/api/shop"


@pytest.mark.security
@pytest.mark.parametrize("path", ["/api/shop/apps", "/api/shop/appfoo/show", "/api/shop/ap"])
async def test_paths_that_only_begin_alike_are_not_its(stage: Stage, path: str) -> None:
    async with stage.client(mounted()) as browser:
        assert (await browser.get(path)).status_code == 404


@pytest.mark.security
@pytest.mark.parametrize("path", ["/app", "/app/", "/app/show", "/app/sub/deep"])
async def test_all_of_it_needs_the_permission(nobody: Stage, path: str) -> None:
    async with nobody.client(mounted()) as browser:
        assert (await browser.get(f"/api/shop{path}")).status_code == 401


@pytest.mark.security
async def test_its_sockets_need_the_permission_too(nobody: Stage) -> None:
    socket = Socket()
    await socket.open(nobody.edge(nobody.build(mounted())), "/api/shop/app/chat")
    assert socket.status == 401


async def test_its_sockets_work(stage: Stage) -> None:
    socket = Socket()
    await socket.open(stage.edge(stage.build(mounted())), "/api/shop/app/chat")
    assert socket.messages[1]["text"] == "/api/shop/app/chat"


@pytest.mark.security
async def test_it_is_held_to_the_limit_of_the_body(stage: Stage) -> None:
    async with stage.client(mounted(), body_limit=10) as browser:
        assert (await browser.post("/api/shop/app/read", content=b"x" * 10)).text == "10"
        assert (await browser.post("/api/shop/app/read", content=b"x" * 11)).status_code == 413


@pytest.mark.security
async def test_it_is_held_to_the_limit_of_a_body_without_a_length(stage: Stage) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"xxx"

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    async with stage.client(mounted(plain), body_limit=10) as browser:
        assert (await browser.post("/api/shop/app/read", content=chunks())).status_code == 413


async def test_fastapi_works_with_its_lifespan_and_state(stage: Stage) -> None:
    did: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        did.append("up")
        yield {"greeting": "hello"}
        did.append("down")

    app = FastAPI(lifespan=lifespan)

    @app.get("/greet/{name}")
    async def greet(name: str, request: Request) -> str:
        return f"{request.state.greeting} {name}"

    # FastAPI reads annotations from the module: hand it what they name.
    built = stage.build(mounted(app))
    async with built.running(5), client(stage.edge(built)) as browser:
        assert (await browser.get("/api/shop/app/greet/ann")).json() == "hello ann"
    assert did == ["up", "down"]


async def test_what_it_raises_is_a_problem(stage: Stage) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("secret")

    async with stage.client(mounted(broken)) as browser:
        failed = await browser.get("/api/shop/app/x")
    assert failed.status_code == 500
    assert "secret" not in failed.text


def test_its_routes_are_one_line_for_operators(stage: Stage) -> None:
    (info,) = stage.build(mounted()).routes
    assert (info.method, info.path, info.handler, info.place) == (
        "*",
        "/api/shop/app/*",
        "Starlette",
        "AsgiApp(Starlette)",
    )


@pytest.mark.parametrize("path", ["app", "/app/", "//app"])
def test_its_path_may_be_spelled_loosely(stage: Stage, path: str) -> None:
    assert stage.build(mounted(path=path)).routes[0].path == "/api/shop/app/*"


@pytest.mark.security
def test_a_foreign_application_cannot_ask_about_objects(stage: Stage) -> None:
    with pytest.raises(PluginFault, match="a foreign application cannot ask"):
        stage.build(AsgiApp(starlette(), path="/app", permission="shop.item.edit"))
