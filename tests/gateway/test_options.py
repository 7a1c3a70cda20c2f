"""OPTIONS: one for each path, with all its methods, whoever declared them."""

from __future__ import annotations

import pytest
from litestar import Controller, HttpMethod, Response, Router, WebSocket, route
from litestar.routes import HTTPRoute

from plugin_host.gateway.options import Options
from plugin_host.sdk import get, post, put, websocket

from .conftest import Stage

pytestmark = pytest.mark.anyio


@get("/things", permission="shop.view")
async def list_things() -> None:
    """Do nothing."""


class Things(Controller):
    path = "/things"

    @post("/", permission="shop.create")
    async def add(self) -> None:
        """Do nothing."""


@put("/", permission="shop.view")
async def replace() -> None:
    """Do nothing."""


async def test_handlers_of_a_controller_and_a_router_are_among_the_methods(stage: Stage) -> None:
    router = Router("/things", route_handlers=[replace])
    async with stage.client(list_things, Things, router) as browser:
        answer = await browser.options("/api/shop/things")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST, PUT")
    assert answer.content == b""


def test_a_path_has_one_of_it_however_many_handlers_it_has(stage: Stage) -> None:
    built = stage.build(list_things, Things, Router("/things", route_handlers=[replace]))
    (only,) = built.app.routes
    assert isinstance(only, HTTPRoute)
    assert [type(handler) for handler in only.route_handlers].count(Options) == 1
    assert len(only.route_handlers) == 4


async def test_a_plugin_may_answer_it_by_itself(stage: Stage) -> None:
    @route("/things", http_method=[HttpMethod.OPTIONS], permission="shop.create", sync_to_thread=False)
    def own() -> Response[None]:
        return Response(None, status_code=204, headers={"allow": "GET", "x-by": "the plugin"})

    async with stage.client(list_things, own) as browser:
        assert (await browser.options("/api/shop/things")).status_code == 403
        stage.held.add("shop.create")
        assert (await browser.options("/api/shop/things")).headers["x-by"] == "the plugin"


async def test_a_path_that_only_speaks_websocket_has_none(stage: Stage) -> None:
    @websocket("/feed", permission="shop.view")
    async def feed(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    async with stage.client(list_things, feed) as browser:
        assert (await browser.options("/api/shop/feed")).status_code == 405


async def test_guards_of_a_router_hold_for_it_too(stage: Stage) -> None:
    def nobody(*_: object) -> None:
        raise PermissionError

    router = Router("/things", route_handlers=[replace], guards=[nobody])
    async with stage.client(router) as browser:
        assert (await browser.options("/api/shop/things")).status_code == 500
