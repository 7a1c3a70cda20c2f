"""The host inside other applications: one prefix, one lifespan, and the application's own people."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from plugin_host import PluginHost, Settings, embed
from plugin_host.sdk import Actor, Identity, UserRecord, Users, get, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Greeter:
    """A plugin handed over as an object."""

    manifest: ClassVar = {"id": "greeter", "name": "Greeter", "version": "1.0", "requires": {"core": ">=1.0,<2"}}

    @hookimpl
    def register_routes(self) -> list[Any]:
        @get("/hello", permission="signed-in")
        async def hello(actor: Actor) -> dict[str, str]:
            return {"hello": actor.display}

        return [hello]


class HeaderUsers(Users):
    """The application's sign-in: a header says who it is."""

    async def authenticate(self, connection: Any) -> Identity | None:
        name = connection.headers.get("x-user")
        return Identity(name, name, name.title(), roles=("core.admin",)) if name else None

    async def get(self, ids: Sequence[str]) -> Mapping[str, UserRecord]:
        return {name: UserRecord(name, name, name.title()) for name in ids}

    async def search(self, text: str, limit: int = 20) -> Sequence[UserRecord]:
        return []


@pytest.fixture
def host(tmp_path: Path) -> PluginHost:
    return PluginHost(Settings(data_dir=str(tmp_path / "data")), plugins=[Greeter()], users=HeaderUsers())


async def own_page(request: Any) -> PlainTextResponse:
    return PlainTextResponse("the application's own")


def starlette_app() -> Any:
    return Starlette(routes=[Route("/own", own_page)])


def fastapi_app() -> Any:
    app = FastAPI()
    app.add_route("/own", own_page)
    return app


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run an application with its lifespan, as a server would."""
    import asyncio

    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, outbox.put)
    )
    await inbox.put({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as browser:
            yield browser
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
        await task


BRIDGES = {"starlette": (starlette_app, embed.starlette), "fastapi": (fastapi_app, embed.fastapi)}


@pytest.mark.parametrize("framework", BRIDGES)
async def test_the_host_answers_below_its_prefix_and_the_application_elsewhere(
    framework: str, host: PluginHost
) -> None:
    make, bridge = BRIDGES[framework]
    async with served(bridge(make(), host, "/plugins")) as browser:
        answer = await browser.get("/plugins/api/greeter/hello", headers={"x-user": "ada"})
        assert answer.json() == {"hello": "Ada"}
        assert (await browser.get("/own")).text == "the application's own"


@pytest.mark.parametrize("framework", BRIDGES)
async def test_the_page_of_an_embedded_host_names_its_prefix(framework: str, host: PluginHost) -> None:
    make, bridge = BRIDGES[framework]
    async with served(bridge(make(), host, "/plugins")) as browser:
        page = await browser.get("/plugins/")
        assert page.status_code == 200
        assert 'data-base="/plugins"' in page.text
        assert "/plugins/ui/core/" in page.text


async def test_nobody_is_let_in_without_the_applications_word(host: PluginHost) -> None:
    async with served(embed.starlette(starlette_app(), host, "/plugins")) as browser:
        assert (await browser.get("/plugins/api/greeter/hello")).status_code == 401


async def test_core_signs_nobody_in_when_the_application_does(host: PluginHost) -> None:
    async with served(embed.starlette(starlette_app(), host, "/plugins")) as browser:
        login = await browser.post("/plugins/api/core/auth/login", json={"username": "a", "password": "b"})
        assert login.status_code == 404
        shell = (await browser.get("/plugins/api/core/shell")).json()
        assert shell["setup_required"] is False


async def test_a_prefix_is_a_whole_segment(host: PluginHost) -> None:
    async with served(embed.starlette(starlette_app(), host, "/plugins")) as browser:
        assert (await browser.get("/pluginsfoo/api/greeter/hello", headers={"x-user": "ada"})).status_code == 404


async def test_a_request_before_the_lifespan_says_what_is_missing(host: PluginHost) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url="http://127.0.0.1") as browser:
        with pytest.raises(RuntimeError, match=r"enter `async with host.lifespan\(\):`"):
            await browser.get("/api/greeter/hello")


async def test_work_outside_a_route_has_the_names_of_a_route(host: PluginHost) -> None:
    async with host.lifespan(), host.work() as work:
        assert work.actor.kind == "system"
        assert await work.access.can("core.plugins.view")
