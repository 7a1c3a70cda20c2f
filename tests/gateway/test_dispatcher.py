"""The dispatcher: which address is whose, in every spelling, and how applications come and go."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from plugin_host.gateway.dispatcher import Dispatcher, Table

from .conftest import Socket, answer, client, page

pytestmark = pytest.mark.anyio


def application(name: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        keys = ("path", "root_path", "plugin_host.base")
        body = " ".join([name, *(scope[key] or "-" for key in keys)])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


def table(**apps: Any) -> Table:
    made = apps or {"crm": application("crm"), "shop": application("shop")}
    return Table(
        made, answer, page, page, {"/health/live": application("live"), "/ui/core/frame.js": application("frame")}
    )


def dispatcher(**apps: Any) -> Dispatcher:
    made = Dispatcher()
    made.swap(table(**apps))
    return made


async def ask(path: str, method: str = "GET", *, root_path: str = "", app: Any = None) -> httpx.Response:
    """Ask by hand: httpx would tidy the path."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": [], "state": {"a": 1}}
    await (app or dispatcher())(scope, receive, send)
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/crm/people", "crm /api/crm/people - -"),
        ("/api/crm", "crm /api/crm - -"),
        ("/api/crm/", "crm /api/crm/ - -"),
        ("/health/live", "live /health/live - -"),
        ("/ui/core/frame.js", "frame /ui/core/frame.js - -"),
        ("/ui/crm/abc123/people.js", "page  crm abc123 people.js"),
        ("/ui/crm/abc123/deep/people.js", "page  crm abc123 deep/people.js"),
        ("/", "page "),
        ("/crm/people/7", "page "),
        ("/login", "page "),
        ("/crm/john.doe", "page "),
    ],
)
async def test_each_address_has_its_owner(path: str, body: str) -> None:
    assert (await ask(path)).text == body


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/unknown", 404, "not_found"),
        ("/api/broken/x", 503, "import_failed"),
        ("/api", 404, "not_found"),
        ("/api/", 404, "not_found"),
        ("/ui", 404, "not_found"),
        ("/ui/crm/people.js", 404, "not_found"),
        ("/health", 404, "not_found"),
        ("/health/details", 404, "not_found"),
        ("/metrics", 404, "not_found"),
        ("/schema", 404, "not_found"),
        ("/static/x", 404, "not_found"),
        ("/.well-known/jwks.json", 404, "not_found"),
        ("/favicon.ico", 404, "not_found"),
    ],
)
async def test_what_nobody_answers_is_a_problem(path: str, status: int, code: str) -> None:
    refused = await ask(path)
    assert (refused.status_code, refused.json()["type"]) == (status, f"urn:plugin-host:problem:{code}")


@pytest.mark.security
@pytest.mark.parametrize(
    "path",
    [
        "/api/crmfoo/people",
        "/api/crm-admin/people",
        "/api/crm/../shop/secret",
        "/api/crm/./people",
        "/api/crm/..",
        "/api/crm//people",
        "//api/crm/people",
        "/api//crm/people",
        "/api/crm;x/people",
        "/api/crm/people;x=1",
        "/api/crm\\people",
        "/api/crm/people\x00",
        "/api/crm/\x7f",
        "/api/crm/\npeople",
        "/API/crm/people",
        "/Api/crm/people",
        "/api/CRM/people",
        "/UI/crm/abc123/people.js",
        "/ui/crm/abc123/../secret.js",
    ],
)
async def test_other_spellings_are_not_found(path: str) -> None:
    assert (await ask(path)).status_code == 404


@pytest.mark.security
@given(st.lists(st.sampled_from(["api", "crm", "shop", "..", ".", "", "crmx", ";", "\\", "API", "a"]), max_size=6))
async def test_no_spelling_reaches_another_plugin(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    body = (await ask(path)).text
    for plugin in ("crm", "shop"):
        if body.startswith(f"{plugin} "):
            assert parts[:2] == ["api", plugin]
            assert not {"..", ".", ";", "\\"} & set(parts)


@pytest.mark.parametrize(
    ("path", "root_path", "body"),
    [
        ("/base/api/crm/x", "/base", "crm /api/crm/x - /base"),
        ("/api/crm/x", "/base", "crm /api/crm/x - /base"),
        ("/base/api/crm/x", "/base/", "crm /api/crm/x - /base"),
        ("/api/crm/base/x", "/base", "crm /api/crm/base/x - /base"),
        ("/base", "/base", "page /base"),
        ("/base/", "/base", "page /base"),
        ("/baseball", "/base", "page /base"),
        ("/a/b/api/crm", "/a/b", "crm /api/crm - /a/b"),
    ],
)
async def test_the_base_path_is_taken_off_by_whole_segments(path: str, root_path: str, body: str) -> None:
    assert (await ask(path, root_path=root_path)).text == body


async def test_pages_answer_get_only() -> None:
    refused = await ask("/crm/people", "POST")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_files_answer_get_only() -> None:
    assert (await ask("/ui/crm/abc123/people.js", "DELETE")).status_code == 405


@pytest.mark.security
async def test_exact_paths_answer_get_only() -> None:
    assert (await ask("/health/live", "POST")).status_code == 405


@pytest.mark.security
async def test_a_socket_at_an_exact_path_is_refused() -> None:
    socket = Socket()
    await socket.open(dispatcher(), "/health/live")
    assert socket.status == 404


@pytest.mark.security
async def test_what_is_no_path_is_not_found() -> None:
    assert (await ask("*", "OPTIONS")).status_code == 404


async def test_a_socket_outside_the_api_is_refused() -> None:
    socket = Socket()
    await socket.open(dispatcher(), "/crm/people")
    assert socket.status == 404


async def test_before_the_first_table_the_host_is_starting() -> None:
    made = Dispatcher()
    assert not made.open
    refused = await ask("/", app=made)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:plugin-host:problem:starting")


async def test_a_closed_host_is_stopping_but_still_tells_its_health() -> None:
    made = dispatcher()
    assert made.open
    made.close()
    assert not made.open
    refused = await ask("/api/crm/x", app=made)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:plugin-host:problem:stopping")
    assert (await ask("/health/live", app=made)).status_code == 200


async def test_the_state_of_an_outer_application_is_not_shared() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["state"])
        await application("crm")(scope, receive, send)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await dispatcher(crm=app)({**scope, "state": {"db": 1, "_ls_connection_state": 2}}, receive, send)

    async with client(outer) as browser:
        await browser.get("/api/crm/x")
    assert seen == [{"db": 1}]


# -- coming and going -------------------------------------------------------------------------------------


class Slow:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.entered.set()
        await self.go.wait()
        await application("slow")(scope, receive, send)


async def test_a_swap_is_one_step() -> None:
    made = dispatcher(crm=application("old"))
    made.swap(table(crm=application("new")))
    assert (await ask("/api/crm", app=made)).text.startswith("new")


async def test_requests_under_way_end_where_they_began() -> None:
    slow = Slow()
    made = dispatcher(crm=slow)
    call = asyncio.create_task(ask("/api/crm", app=made))
    await slow.entered.wait()
    made.swap(table(shop=application("shop")))
    assert (await ask("/api/crm", app=made)).status_code == 404
    slow.go.set()
    assert (await call).text.startswith("slow")


async def test_a_drain_waits_for_what_is_under_way() -> None:
    slow = Slow()
    made = dispatcher(crm=slow)
    calls = [asyncio.create_task(ask("/api/crm", app=made)) for _ in range(2)]
    await slow.entered.wait()
    made.swap(table())
    drain = asyncio.create_task(made.drain("crm", 60))
    await asyncio.sleep(0)
    assert not drain.done()
    slow.go.set()
    assert await drain is True
    await asyncio.wait(calls)


async def test_a_drain_does_not_wait_for_ever() -> None:
    slow = Slow()
    made = dispatcher(crm=slow)
    call = asyncio.create_task(ask("/api/crm", app=made))
    await slow.entered.wait()
    made.close()
    assert await made.drain("crm", 0.01) is False
    slow.go.set()
    await call


async def test_an_application_that_stays_is_not_waited_for() -> None:
    slow = Slow()
    made = dispatcher(crm=slow)
    call = asyncio.create_task(ask("/api/crm", app=made))
    await slow.entered.wait()
    made.swap(table(crm=slow))
    assert await made.drain("crm", 60) is True
    slow.go.set()
    await call


async def test_nothing_is_under_way_in_what_never_was() -> None:
    assert await dispatcher().drain("nobody", 60) is True
