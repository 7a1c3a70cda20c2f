"""The gate: who is let in, and that an answer leaves only when its work is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from litestar import Response
from litestar.response import Redirect, Stream
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.gateway.gate import NEED
from plugin_host.sdk import Access, Actor, Problem, delete, get, post
from plugin_host.sdk.manifest import PublicRoute

from .conftest import Stage, client

pytestmark = pytest.mark.anyio


class Item(msgspec.Struct, forbid_unknown_fields=True):
    name: str


@get("/items", permission="shop.view")
async def list_items() -> dict[str, str]:
    return {"items": "all"}


@post("/items", permission="shop.view")
async def add_item(data: Item, db: AsyncSession) -> Item:
    return data


@post("/fail", permission="shop.view")
async def fail(db: AsyncSession) -> None:
    raise Problem(409, "sold_out", "There is none left.")


@post("/crash", permission="shop.view")
async def crash(db: AsyncSession) -> None:
    raise RuntimeError("secret detail")


@post("/edit", permission="shop.item.edit")
async def edit_asking(access: Access, db: AsyncSession) -> None:
    await access.require("shop.item.edit", object())


@post("/forget", permission="shop.item.edit")
async def edit_forgetting(db: AsyncSession) -> None:
    """Forget to ask."""


@get("/me", permission="signed-in")
async def me(actor: Actor) -> str:
    return actor.username


@get("/hello", permission="public")
async def hello() -> str:
    return "hello"


HELLO = PublicRoute(method="GET", path="/hello", reason="shown before sign-in")


async def test_whoever_holds_the_permission_is_let_in(stage: Stage) -> None:
    async with stage.client(list_items) as browser:
        assert (await browser.get("/api/shop/items")).json() == {"items": "all"}


async def test_nobody_is_told_to_sign_in(nobody: Stage) -> None:
    async with nobody.client(list_items) as browser:
        refused = await browser.get("/api/shop/items")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:plugin-host:problem:not_signed_in"


async def test_a_session_that_ended_by_time_is_named(nobody: Stage) -> None:
    edge = nobody.edge(nobody.build(list_items))

    async def with_expired_session(scope: dict[str, object], receive: object, send: object) -> None:
        await edge({**scope, "plugin_host.session_expired": True}, receive, send)

    async with client(with_expired_session) as browser:
        refused = await browser.get("/api/shop/items")
    assert refused.json()["type"] == "urn:plugin-host:problem:session_expired"


async def test_a_missing_permission_is_named(stage: Stage) -> None:
    stage.held.clear()
    async with stage.client(list_items) as browser:
        refused = await browser.get("/api/shop/items")
    assert refused.status_code == 403
    assert "'shop.view'" in refused.json()["detail"]


async def test_signed_in_is_enough_where_the_route_says_so(stage: Stage) -> None:
    stage.held.clear()
    async with stage.client(me) as browser:
        assert (await browser.get("/api/shop/me")).text == "ann"


async def test_signed_in_is_not_nobody(nobody: Stage) -> None:
    async with nobody.client(me) as browser:
        assert (await browser.get("/api/shop/me")).status_code == 401


async def test_a_public_route_answers_nobody(nobody: Stage) -> None:
    async with nobody.client(hello, public=[HELLO]) as browser:
        assert (await browser.get("/api/shop/hello")).text == "hello"


@pytest.mark.security
async def test_a_handler_that_was_never_looked_at_lets_nobody_in(stage: Stage) -> None:
    built = stage.build(list_items)
    for route in built.app.routes:
        for handler in route.route_handlers:  # type: ignore[union-attr] # HTTP routes only
            del handler.opt[NEED]
    async with client(stage.edge(built)) as browser:
        refused = await browser.get("/api/shop/items")
    assert (refused.status_code, refused.json()["detail"]) == (403, "This route declares no permission.")


@pytest.mark.security
@pytest.mark.parametrize("failing", [RuntimeError("no"), LookupError("no")])
async def test_who_cannot_be_judged_is_not_let_in(
    stage: Stage, failing: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    stage.failing = failing
    async with stage.client(list_items) as browser:
        refused = await browser.get("/api/shop/items")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:plugin-host:problem:unavailable")
    assert "cannot tell who asks" in caplog.text


async def test_a_busy_database_during_sign_in_is_said_to_be_busy(stage: Stage) -> None:
    stage.failing = OperationalError("SELECT", {}, Exception("database is locked"))
    async with stage.client(list_items) as browser:
        refused = await browser.get("/api/shop/items")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


async def test_work_is_committed_and_given_back(stage: Stage) -> None:
    async with stage.client(add_item) as browser:
        assert (await browser.post("/api/shop/items", json={"name": "lamp"})).status_code == 201
    assert stage.did == ["commit", "close"]


async def test_work_that_was_never_opened_is_left_alone(stage: Stage) -> None:
    async with stage.client(list_items) as browser:
        await browser.get("/api/shop/items")
    assert stage.did == []


@pytest.mark.parametrize(("method", "writes"), [("GET", False), ("HEAD", False), ("POST", True), ("DELETE", True)])
async def test_only_unsafe_methods_open_a_writing_unit(stage: Stage, method: str, writes: bool) -> None:  # noqa: FBT001
    @get("/x", permission="shop.view")
    async def read() -> None:
        """Read."""

    @post("/x", permission="shop.view")
    async def create() -> None:
        """Create."""

    @delete("/x", permission="shop.view")
    async def remove() -> None:
        """Remove."""

    async with stage.client(read, create, remove) as browser:
        await browser.request(method, "/api/shop/x")
    assert stage.wrote == [writes]


async def test_the_commit_comes_before_the_first_byte(stage: Stage) -> None:
    order: list[str] = []
    edge = stage.edge(stage.build(add_item))

    async def watched(scope: object, receive: object, send: object) -> None:
        async def watch(message: dict[str, object]) -> None:
            order.append(f"{message['type']} after {stage.did}")
            await send(message)  # type: ignore[operator] # an ASGI callable

        await edge(scope, receive, watch)

    async with client(watched) as browser:
        await browser.post("/api/shop/items", json={"name": "lamp"})
    assert order[0] == "http.response.start after ['commit']"


async def test_an_error_answer_rolls_back(stage: Stage) -> None:
    async with stage.client(fail) as browser:
        failed = await browser.post("/api/shop/fail")
    assert failed.json() == {
        "type": "urn:plugin-host:problem:sold_out",
        "title": "Conflict",
        "status": 409,
        "detail": "There is none left.",
        "instance": failed.headers["x-request-id"],
    }
    assert stage.did == ["rollback", "close"]


async def test_an_answer_that_the_handler_words_as_an_error_rolls_back(stage: Stage) -> None:
    @post("/teapot", permission="shop.view")
    async def teapot(db: AsyncSession) -> Response[str]:
        return Response("no coffee", status_code=418)

    async with stage.client(teapot) as browser:
        assert (await browser.post("/api/shop/teapot")).text == "no coffee"
    assert stage.did == ["rollback", "close"]


@pytest.mark.security
async def test_a_crash_tells_its_caller_nothing_and_the_log_everything(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage.client(crash) as browser:
        failed = await browser.post("/api/shop/crash")
    assert failed.status_code == 500
    assert failed.json()["type"] == "urn:plugin-host:problem:internal_error"
    assert "secret detail" not in failed.text
    assert "plugin shop failed" in caplog.text
    assert failed.headers["x-request-id"] in caplog.text
    assert "secret detail" in caplog.text
    assert stage.did == ["rollback", "close"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (IntegrityError("INSERT", {}, Exception("UNIQUE")), 409, "conflict"),
        (OperationalError("COMMIT", {}, Exception("database is locked")), 503, "busy"),
        (RuntimeError("disk full"), 500, "internal_error"),
    ],
)
async def test_a_failed_commit_is_the_answer(stage: Stage, error: Exception, status: int, code: str) -> None:
    stage.commit_error = error
    async with stage.client(add_item) as browser:
        failed = await browser.post("/api/shop/items", json={"name": "lamp"})
    assert (failed.status_code, failed.json()["type"]) == (status, f"urn:plugin-host:problem:{code}")
    assert "lamp" not in failed.text
    assert stage.did == ["commit", "rollback", "close"]


async def test_a_stream_whose_commit_failed_is_dropped_whole(stage: Stage) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    @post("/stream", permission="shop.view")
    async def stream(db: AsyncSession) -> Stream:
        return Stream(parts())

    stage.commit_error = RuntimeError("disk full")
    async with stage.client(stream) as browser:
        failed = await browser.post("/api/shop/stream")
    assert failed.status_code == 500
    assert "one" not in failed.text


async def test_object_scope_that_asked_is_committed(stage: Stage) -> None:
    async with stage.client(edit_asking) as browser:
        assert (await browser.post("/api/shop/edit")).status_code == 201
    assert stage.did == ["commit", "close"]


@pytest.mark.security
async def test_object_scope_that_never_asked_is_undone(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async with stage.client(edit_forgetting) as browser:
        failed = await browser.post("/api/shop/forget")
    assert (failed.status_code, failed.json()["type"]) == (500, "urn:plugin-host:problem:undecided")
    assert stage.did == ["rollback", "close"]
    assert "'shop.item.edit'" in caplog.text


@pytest.mark.security
async def test_object_scope_in_a_thread_must_ask_too(stage: Stage) -> None:
    @get("/peek", permission="shop.item.edit")
    def peek() -> str:
        return "secret"

    async with stage.client(peek) as browser:
        failed = await browser.get("/api/shop/peek")
    assert (failed.status_code, failed.json()["type"]) == (500, "urn:plugin-host:problem:undecided")


@pytest.mark.security
async def test_a_redirect_without_a_decision_is_undone(stage: Stage) -> None:
    @get("/go", permission="shop.item.edit")
    async def go() -> Redirect:
        return Redirect("/elsewhere?secret=1")

    async with stage.client(go) as browser:
        failed = await browser.get("/api/shop/go")
    assert failed.status_code == 500
    assert "location" not in failed.headers


@pytest.mark.security
async def test_a_stream_without_a_decision_never_begins(stage: Stage) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"secret"

    @get("/stream", permission="shop.item.edit")
    async def stream() -> Stream:
        return Stream(parts())

    async with stage.client(stream) as browser:
        failed = await browser.get("/api/shop/stream")
    assert failed.status_code == 500
    assert "secret" not in failed.text


@pytest.mark.security
async def test_a_refusal_needs_no_decision(stage: Stage) -> None:
    @get("/gone", permission="shop.item.edit")
    async def gone() -> None:
        raise Problem(404, "not_found")

    async with stage.client(gone) as browser:
        assert (await browser.get("/api/shop/gone")).status_code == 404


@pytest.mark.security
async def test_object_scope_without_any_database_must_ask_too(stage: Stage) -> None:
    @get("/peek", permission="shop.item.edit")
    async def peek() -> str:
        return "secret"

    async with stage.client(peek) as browser:
        failed = await browser.get("/api/shop/peek")
    assert failed.status_code == 500
    assert "secret" not in failed.text


async def test_work_is_given_back_when_the_caller_hangs_up(stage: Stage) -> None:
    entered = asyncio.Event()

    @post("/slow", permission="shop.view")
    async def slow(db: AsyncSession) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with stage.client(slow) as browser:
        call = asyncio.create_task(browser.post("/api/shop/slow"))
        await entered.wait()
        call.cancel()
        await asyncio.wait([call])
    assert stage.did == ["close"]


@pytest.mark.security
async def test_a_cross_origin_call_does_not_run_the_handler(stage: Stage) -> None:
    headers = {"cookie": "ph_session=x", "sec-fetch-site": "cross-site"}
    async with stage.client(add_item) as browser:
        refused = await browser.post("/api/shop/items", json={"name": "lamp"}, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:plugin-host:problem:cross_origin")
    assert stage.works == []


@pytest.mark.security
async def test_options_needs_what_the_path_needs(nobody: Stage) -> None:
    async with nobody.client(list_items, add_item) as browser:
        assert (await browser.options("/api/shop/items")).status_code == 401


async def test_options_is_answered_to_whoever_may_do_one_of_the_things(stage: Stage) -> None:
    @post("/items", permission="shop.create")
    async def create() -> None:
        """Create."""

    async with stage.client(list_items, create) as browser:
        assert (await browser.options("/api/shop/items")).status_code == 204


@pytest.mark.security
async def test_a_preflight_runs_nothing_and_allows_nothing(nobody: Stage) -> None:
    headers = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    async with nobody.client(add_item) as browser:
        preflight = await browser.options("/api/shop/items", headers=headers)
    assert preflight.status_code == 204
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert nobody.scopes == []


@pytest.mark.security
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_a_body_that_does_not_say_json_is_refused(stage: Stage, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    async with stage.client(add_item) as browser:
        refused = await browser.post("/api/shop/items", content=b'{"name": "lamp"}', headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (415, "urn:plugin-host:problem:unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.shop+json"])
async def test_json_may_be_spelled_in_several_ways(stage: Stage, kind: str) -> None:
    async with stage.client(add_item) as browser:
        added = await browser.post("/api/shop/items", content=b'{"name": "lamp"}', headers={"content-type": kind})
    assert added.status_code == 201


async def test_a_missing_body_is_invalid_and_not_of_the_wrong_type(stage: Stage) -> None:
    async with stage.client(add_item) as browser:
        assert (await browser.post("/api/shop/items")).status_code == 422


@pytest.mark.security
async def test_a_plugin_cannot_reword_a_refusal(nobody: Stage) -> None:
    from litestar import Router

    def open_door(request: object, exc: Exception) -> Response[str]:
        return Response("come in", status_code=200)

    router = Router("/", route_handlers=[list_items], exception_handlers={Problem: open_door, Exception: open_door})
    async with nobody.client(router) as browser:
        assert (await browser.get("/api/shop/items")).status_code == 401


async def test_the_constraint_that_refused_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    stage.commit_error = IntegrityError("INSERT", {}, Exception("uq_shop_item_name"))
    async with stage.client(add_item) as browser:
        await browser.post("/api/shop/items", json={"name": "lamp"})
    assert "uq_shop_item_name" in caplog.text


async def test_a_change_of_the_policy_answers_its_revision(stage: Stage) -> None:
    @post("/share", permission="shop.view")
    async def share(db: AsyncSession) -> None:
        unit: Any = stage.works[-1].unit
        unit.policy_revision = 12

    async with stage.client(share) as browser:
        answer = await browser.post("/api/shop/share")
    assert answer.headers["policy-revision"] == "12"


async def test_a_change_that_was_undone_answers_no_revision(stage: Stage) -> None:
    @post("/share", permission="shop.view")
    async def share(db: AsyncSession) -> None:
        unit: Any = stage.works[-1].unit
        unit.policy_revision = 12
        raise Problem(409, "conflict")

    async with stage.client(share) as browser:
        assert "policy-revision" not in (await browser.post("/api/shop/share")).headers


@pytest.mark.parametrize(
    ("said", "status"), [("7", 201), ("0", 201), ("8", 503), ("-1", 400), ("x", 400), ("9" * 40, 400)]
)
async def test_whoever_has_seen_a_revision_is_answered_by_no_older_one(stage: Stage, said: str, status: int) -> None:
    async with stage.client(add_item) as browser:
        answer = await browser.post("/api/shop/items", json={"name": "lamp"}, headers={"policy-revision": said})
    assert answer.status_code == status
    assert len(stage.works) == (status == 201)
