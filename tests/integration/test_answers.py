"""What a handler returns is answered as Litestar would, also where the host takes the short way."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import litestar
import msgspec
import pytest
from litestar import Response, get
from litestar.datastructures import Cookie, ResponseHeader

from plugin_host import PluginHost, Settings
from plugin_host.sdk import hookimpl

from .conftest import running, signed_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Thing(msgspec.Struct):
    name: str
    price: Decimal
    seen: dt.datetime


@dataclasses.dataclass
class Point:
    x: int
    y: int


THING = Thing("lamp", Decimal("12.50"), dt.datetime(2026, 1, 2, tzinfo=dt.UTC))


class Secret:
    """Nothing that JSON knows."""


def handlers() -> list[Any]:
    """Make a handler for each kind of answer; new ones each time, since Litestar keeps them."""

    def answering(path: str, value: Callable[[], Any], returns: Any, **options: Any) -> Any:
        async def handler() -> Any:
            return value()

        handler.__annotations__["return"] = returns
        handler.__name__ = path.strip("/")
        return get(path, opt={"permission": "signed-in"}, **options)(handler)

    async def shout(response: Response[Any]) -> Response[Any]:
        response.headers["x-after"] = "yes"
        return response

    return [
        answering("/struct", lambda: THING, Thing),
        answering("/list", lambda: [THING, THING], list[Thing]),
        answering("/mapping", lambda: {"a": [1, 2.5, None, True]}, dict[str, Any]),
        answering("/empty", dict, dict[str, Any]),
        answering("/text", lambda: "plain text", str),
        answering("/bytes", lambda: b"raw", bytes),
        answering("/nothing", lambda: None, None),
        answering("/point", lambda: Point(1, 2), Point),
        answering(
            "/response", lambda: Response({"a": 1}, status_code=202, headers={"x-own": "1"}), Response[dict[str, int]]
        ),
        answering("/any", lambda: Response({"a": 1}, status_code=203), Any),
        answering("/status", lambda: {"a": 1}, dict[str, int], status_code=206),
        answering("/headers", lambda: {"a": 1}, dict[str, int], response_headers=[ResponseHeader("x-own", value="1")]),
        answering("/cookies", lambda: {"a": 1}, dict[str, int], response_cookies=[Cookie("own", "1")]),
        answering("/after", lambda: {"a": 1}, dict[str, int], after_request=shout),
        answering("/html", lambda: "<p>hello", str, media_type="text/html"),
    ]


class Plugin:
    manifest: ClassVar = {"id": "answers", "name": "Answers", "version": "1.0", "requires": {"core": ">=1.0,<2"}}

    @hookimpl
    def register_routes(self) -> list[Any]:
        async def unwritable() -> Any:
            return {"secret": Secret()}

        return [*handlers(), get("/unwritable", opt={"permission": "signed-in"})(unwritable)]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    host = PluginHost(Settings(data_dir=str(tmp_path / "data")), plugins=[Plugin()])
    async with running(host), signed_in(host) as browser:
        yield browser


PATHS = [next(iter(handler.paths)) for handler in handlers()]


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_is_litestars_answer(path: str, browser: httpx.AsyncClient) -> None:
    bare = litestar.Litestar(handlers(), openapi_config=None, logging_config=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(bare), base_url="http://127.0.0.1") as peer:
        wanted = await peer.get(path)
    got = await browser.get(f"/api/answers{path}")
    assert (got.status_code, got.content) == (wanted.status_code, wanted.content)
    assert wanted.headers.items() <= got.headers.items()


async def test_what_cannot_be_written_is_the_handlers_fault(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/api/answers/unwritable")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:plugin-host:problem:internal_error"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/struct", 405)])
async def test_what_cannot_be_routed_is_a_problem(
    method: str, path: str, status: int, browser: httpx.AsyncClient
) -> None:
    answer = await browser.request(method, f"/api/answers{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_host_header_that_is_none_is_refused(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/api/answers/struct", headers={"host": "a<b"})).status_code == 400
