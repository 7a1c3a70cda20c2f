"""The host inside a FastAPI application with a sign-in of its own: one cookie, one set of people."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from plugin_host import PluginHost, Settings, embed
from plugin_host.sdk import (
    USERS,
    Actor,
    Identity,
    PluginContext,
    Services,
    UserRecord,
    Users,
    get,
    hookimpl,
    post,
    websocket,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Shop:
    """What the application knows: people, and who is signed in under which cookie."""

    def __init__(self) -> None:
        self.people = {
            "7": Identity("7", "ada", "Ada Lovelace", "ada@shop.test", roles=("core.admin",)),
            "8": Identity("8", "bob", "Bob Builder"),
        }
        self.sessions: dict[str, str] = {}


class ShopUsers(Users):
    """The application's people, as the host asks for them."""

    sign_in_url = "/login"
    sign_out_url = "/logout"

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.broken: Any = None

    async def authenticate(self, connection: Any) -> Identity | None:
        if self.broken is not None:
            if isinstance(self.broken, Exception):
                raise self.broken
            return self.broken  # type: ignore[no-any-return]
        return self.shop.people.get(self.shop.sessions.get(connection.cookies.get("shop", ""), ""))

    async def get(self, ids: Sequence[str]) -> Mapping[str, UserRecord]:
        found = {key: self.shop.people[key] for key in ids if key in self.shop.people}
        return {key: UserRecord(who.id, who.username, who.display) for key, who in found.items()}

    async def search(self, text: str, limit: int = 20) -> Sequence[UserRecord]:
        everybody = await self.get(list(self.shop.people))
        return [who for who in everybody.values() if text.lower() in who.display.lower()][:limit]


class Guests:
    """A plugin that asks who people are."""

    manifest: ClassVar = {"id": "guests", "name": "Guests", "version": "1.0", "requires": {"core": ">=1.0,<2"}}

    @hookimpl
    def register_routes(self, context: PluginContext[Any]) -> list[Any]:
        @get("/{text:str}", permission="signed-in")
        async def look(text: str, services: Services) -> dict[str, Any]:
            users = services.get(USERS)
            found = await users.search(text)
            return {"found": [each.username for each in found], "eight": (await users.get(["8", "99"])).get("8")}

        @post("/sign", permission="signed-in")
        async def sign(actor: Actor) -> dict[str, str]:
            return {"by": actor.id}

        @websocket("/live", permission="signed-in")
        async def live(socket: Any) -> None:
            await socket.accept()
            await socket.close()

        return [look, sign, live]


def shop_application(shop: Shop) -> FastAPI:
    app = FastAPI()

    @app.post("/login")
    async def login(request: Request, response: Response) -> dict[str, bool]:
        who = (await request.json())["who"]
        key = secrets.token_urlsafe(16)
        shop.sessions[key] = who
        response.set_cookie("shop", key, httponly=True)
        return {"ok": True}

    @app.post("/logout")
    async def logout(request: Request) -> dict[str, bool]:
        shop.sessions.pop(request.cookies.get("shop", ""), None)
        return {"ok": True}

    return app


class Stage:
    """The application with the host inside, and browsers of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.shop = Shop()
        self.users = ShopUsers(self.shop)
        self.host = PluginHost(Settings(data_dir=str(tmp_path / "data")), plugins=[Guests()], users=self.users)
        self.app = embed.fastapi(shop_application(self.shop), self.host, "/apps")

    @asynccontextmanager
    async def browser(self, who: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"sec-fetch-site": "same-origin"}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test", headers=headers) as browser:
            if who is not None:
                assert (await browser.post("/login", json={"who": who})).status_code == 200
            yield browser

    async def handshake(self, cookie: str, origin: str) -> list[dict[str, Any]]:
        """Open a WebSocket as a browser does; gives what the host answered."""
        said: list[dict[str, Any]] = []
        headers = [(b"host", b"shop.test"), (b"cookie", f"shop={cookie}".encode()), (b"origin", origin.encode())]
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "path": "/apps/api/guests/live",
            "raw_path": b"/apps/api/guests/live",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "client": ("127.0.0.1", 1),
            "server": ("shop.test", 80),
            "state": {},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        await self.app(scope, receive, send)
        return said


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    async with stage.host.lifespan():
        yield stage


async def test_whoever_is_signed_in_to_the_application_is_signed_in_here(stage: Stage) -> None:
    async with stage.browser("7") as browser:
        me = (await browser.get("/apps/api/core/auth/me")).json()
        assert (me["user"]["id"], me["user"]["display"], me["roles"]) == ("7", "Ada Lovelace", ["core.admin"])
        assert "core.audit.view" in me["permissions"]
        assert (await browser.get("/apps/api/core/plugins")).status_code == 200
        await browser.post("/logout")
        assert (await browser.get("/apps/api/core/auth/me")).status_code == 401


async def test_roles_are_what_the_application_says_now(stage: Stage) -> None:
    async with stage.browser("8") as browser:
        assert (await browser.get("/apps/api/core/plugins")).status_code == 403
        stage.shop.people["8"] = Identity("8", "bob", "Bob Builder", roles=("core.admin",))
        assert (await browser.get("/apps/api/core/plugins")).status_code == 200
        del stage.shop.people["8"]
        assert (await browser.get("/apps/api/core/plugins")).status_code == 401


async def test_there_is_no_set_up_state_and_the_shell_knows_where_people_sign_in(stage: Stage) -> None:
    async with stage.browser() as browser:
        shell = (await browser.get("/apps/api/core/shell")).json()
        ready = await browser.get("/apps/health/ready")
    assert (shell["setup_required"], shell["user"]) == (False, None)
    assert (shell["sign_in_url"], shell["sign_out_url"]) == ("/login", "/logout")
    assert ready.json() == {"status": "ok"}


ABSENT = [
    "POST /setup",
    "POST /auth/login",
    "POST /auth/logout",
    "POST /auth/token",
    "POST /auth/revoke",
    "POST /auth/reauthenticate",
    "GET /auth/sessions",
    "GET /auth/tokens",
    "GET /auth/providers",
    "GET /auth/oidc/main/start",
    "GET /auth/identities",
    "GET /users",
    "POST /users",
    "GET /users/7",
    "PUT /users/7/roles",
]


async def test_the_hosts_own_sign_in_and_people_are_not_there(stage: Stage) -> None:
    async with stage.browser("7") as browser:
        for call in ABSENT:
            method, path = call.split()
            answer = await browser.request(method, f"/apps/api/core{path}", json={} if method != "GET" else None)
            assert answer.status_code == 404, call


async def test_there_are_no_keys_to_sign_tokens_with(stage: Stage) -> None:
    async with stage.browser() as browser:
        answer = await browser.get("/apps/.well-known/jwks.json")
    assert '"keys"' not in answer.text


@pytest.mark.security
async def test_pages_of_others_are_refused_as_ever(stage: Stage) -> None:
    async with stage.browser("8") as browser:
        assert (await browser.post("/apps/api/guests/sign")).json() == {"by": "8"}
        for site in ("cross-site", "same-site"):
            answer = await browser.post("/apps/api/guests/sign", headers={"sec-fetch-site": site})
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:plugin-host:problem:cross_origin")
        cookie = browser.cookies["shop"]
    refused = await stage.handshake(cookie, "https://evil.test")
    assert (refused[0]["type"], refused[0]["status"]) == ("websocket.http.response.start", 403)
    assert (await stage.handshake(cookie, "http://shop.test"))[0]["type"] == "websocket.accept"


async def test_plugins_look_up_the_applications_people(stage: Stage) -> None:
    async with stage.browser("7") as browser:
        answer = await browser.get("/apps/api/guests/build")
    assert answer.json() == {"found": ["bob"], "eight": {"id": "8", "username": "bob", "display": "Bob Builder"}}


@pytest.mark.security
async def test_what_the_application_cannot_say_lets_nobody_in(stage: Stage) -> None:
    closed = RuntimeError("the shop is closed")
    number: Any = 7
    async with stage.browser("7") as browser:
        for broken in (closed, {"id": "7"}, Identity(number, "ada", "Ada"), Identity("x" * 65, "ada", "Ada")):
            stage.users.broken = broken
            answer = await browser.get("/apps/api/core/plugins")
            assert answer.status_code == 503, broken
            assert "shop is closed" not in answer.text
