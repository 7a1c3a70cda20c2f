"""The edge: what every answer carries, and what never comes in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plugin_host.gateway.edge import Edge

from .conftest import Socket, client

pytestmark = pytest.mark.anyio

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class App:
    """Answers with these headers, and remembers the scope."""

    def __init__(self, *headers: tuple[bytes, bytes], status: int = 200, path: str | None = None) -> None:
        self.headers = list(headers)
        self.status = status
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"body", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def crash(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("secret")


async def crash_late(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("secret")


@pytest.mark.security
@pytest.mark.parametrize("status", [200, 404, 413, 500])
async def test_every_answer_carries_the_security_headers(status: int) -> None:
    async with client(Edge(App(status=status))) as browser:
        answer = await browser.get("/x")
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


@pytest.mark.security
async def test_answers_of_the_api_are_kept_by_no_cache() -> None:
    async with client(Edge(App())) as browser:
        assert (await browser.get("/api/x")).headers["cache-control"] == "no-store"
        assert "cache-control" not in (await browser.get("/x/api/")).headers


async def test_an_answer_may_say_how_it_is_cached_framed_and_contained() -> None:
    own = [(b"Cache-Control", b"max-age=5"), (b"X-Frame-Options", b"SAMEORIGIN"), (b"content-security-policy", b"x")]
    async with client(Edge(App(*own))) as browser:
        answer = await browser.get("/api/x")
    said = [answer.headers.get_list(name) for name in ("cache-control", "x-frame-options", "content-security-policy")]
    assert said == [["max-age=5"], ["SAMEORIGIN"], ["x"]]


@pytest.mark.security
async def test_an_answer_cannot_weaken_the_others() -> None:
    own = [
        (b"X-Content-Type-Options", b"sniff"),
        (b"cross-origin-opener-policy", b"unsafe-none"),
        (b"server", b"shop/1.0"),
        (b"x-request-id", b"mine"),
    ]
    async with client(Edge(App(*own))) as browser:
        answer = await browser.get("/x")
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("cross-origin-opener-policy") == ["same-origin"]
    assert "server" not in answer.headers
    assert answer.headers["x-request-id"] != "mine"


@pytest.mark.parametrize(
    ("https", "scheme", "sent"), [(False, "http", False), (True, "http", True), (False, "https", True)]
)
async def test_https_is_remembered_by_browsers(https: bool, scheme: str, sent: bool) -> None:  # noqa: FBT001
    async with client(Edge(App(), https=https)) as browser:
        answer = await browser.get(f"{scheme}://host.test/x")
    assert ("strict-transport-security" in answer.headers) is sent


async def test_cookies_are_all_kept() -> None:
    cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"server", b"x")]
    async with client(Edge(App(*cookies))) as browser:
        assert (await browser.get("/x")).headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_a_request_has_an_id_that_its_client_did_not_choose() -> None:
    app = App()
    async with client(Edge(app)) as browser:
        first, second = [(await browser.get("/x", headers={"x-request-id": "mine"})).headers for _ in range(2)]
    assert len(first["x-request-id"]) == 16
    assert first["x-request-id"] != second["x-request-id"]
    assert app.scope["plugin_host.request_id"] == second["x-request-id"]


@pytest.mark.security
@pytest.mark.parametrize("name", ["x-plugin-host-user", "X-Plugin-Host-Identity", "x_plugin_host_user"])
async def test_headers_of_the_host_do_not_come_in(name: str) -> None:
    app = App()
    async with client(Edge(app)) as browser:
        await browser.get("/x", headers={name: "admin", "x-plugin": "stays"})
    assert [value for key, value in app.scope["headers"] if key.lower().startswith((b"x-p", b"x_p"))] == [b"stays"]


async def test_head_is_get_without_a_body() -> None:
    app = App((b"content-length", b"4"))
    async with client(Edge(app)) as browser:
        answer = await browser.head("/x")
    assert (answer.content, answer.headers["content-length"]) == (b"", "4")
    assert app.scope["method"] == "GET"


async def test_head_of_an_endless_stream_is_answered_at_once() -> None:
    answered = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await answered.wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not message["more_body"]:
            answered.set()

    scope = {"type": "http", "method": "HEAD", "path": "/x", "headers": []}
    await Edge(endless)(scope, send, send)
    assert scope["method"] == "HEAD"


@pytest.mark.security
async def test_what_escapes_is_a_problem_without_a_detail(caplog: pytest.LogCaptureFixture) -> None:
    async with client(Edge(crash)) as browser:
        answer = await browser.get("/x")
    assert (answer.status_code, answer.json()["instance"]) == (500, answer.headers["x-request-id"])
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_what_would_end_a_process_or_a_task_is_an_error_like_others(error: BaseException) -> None:
    async def leave(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async with client(Edge(leave)) as browser:
        answer = await browser.get("/x")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")


async def test_a_request_that_the_server_calls_off_ends() -> None:
    started = asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        raise AssertionError(message)

    task = asyncio.ensure_future(Edge(wait)({"type": "http", "method": "GET", "path": "/x", "headers": []}, send, send))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_half_an_answer_is_cut_off() -> None:
    async with client(Edge(crash_late)) as browser:
        with pytest.raises(RuntimeError):
            await browser.get("/x")


async def test_what_escapes_from_a_handshake_refuses_it() -> None:
    socket = Socket()
    await socket.open(Edge(crash), "/x")
    assert socket.status == 500


@pytest.mark.security
@pytest.mark.parametrize(
    "host",
    ["host.test", "host.test:8000", "HOST.TEST", "host.test.", "host.test.:8000", "a.sub.test", "[::1]", "[::1]:8000"],
)
@pytest.mark.parametrize("path", ["/api/known", "/unknown"])
async def test_allowed_hosts_are_answered(host: str, path: str) -> None:
    edge = Edge(App(), allowed_hosts=["host.test", "*.Sub.test", "[::1]"])
    async with client(edge) as browser:
        assert (await browser.get(path, headers={"host": host})).status_code == 200


@pytest.mark.security
@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "host.test.evil.test",
        "xhost.test",
        "sub.test",
        "",
        "host.test@evil.test",
        "host.test:evil",
        "host.test:80:evil",
        "host.test..",
        "evil.test/.sub.test",
    ],
)
@pytest.mark.parametrize("path", ["/api/known", "/unknown"])
async def test_other_hosts_are_refused_at_every_path(host: str, path: str) -> None:
    app = App()
    async with client(Edge(app, allowed_hosts=["host.test", "*.sub.test"])) as browser:
        answer = await browser.get(path, headers={"host": host})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:plugin-host:problem:bad_host")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert app.scope == {}


@pytest.mark.security
@pytest.mark.parametrize("hosts", [[], [b"host.test", b"evil.test"]], ids=["none", "two"])
async def test_there_must_be_exactly_one_host(hosts: list[bytes]) -> None:
    statuses: list[int] = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [(b"host", host) for host in hosts]}
    await Edge(App(), allowed_hosts=["host.test"])(scope, send, send)
    assert statuses[0] == 400


async def test_any_host_may_be_allowed() -> None:
    async with client(Edge(App(), allowed_hosts=["*"])) as browser:
        assert (await browser.get("/x", headers={"host": "anything"})).status_code == 200
