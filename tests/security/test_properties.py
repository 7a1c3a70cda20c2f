"""What must hold always: of any path, and of any routes that a plugin can make."""

from __future__ import annotations

import asyncio
import functools
import urllib.parse
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from plugin_host.gateway.application import RouteRules, build
from plugin_host.gateway.dispatcher import Dispatcher, Table
from plugin_host.gateway.edge import Edge
from plugin_host.gateway.gate import NEED, Gate, Need
from plugin_host.sdk import delete, get, patch, post, put, websocket
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import PluginFault
from plugin_host.sdk.manifest import PublicRoute

pytestmark = pytest.mark.security

OPEN: Final = PublicRoute(method="*", path="/open", reason="testing")
RULES: Final = RouteRules(
    plugin="shop",
    own={"shop.view": "type"},
    required={},
    known={"shop.view": "shop", "other.view": "other"},
    public=(OPEN,),
)


async def nobody(_scope: Any) -> Actor:
    return ANONYMOUS


def gate() -> Gate:
    def never(*_: Any) -> Any:
        raise AssertionError("a handler ran for nobody")

    return Gate(authenticate=nobody, holds=lambda *_: False, open_work=never)


@get("/guarded/{name:str}", permission="shop.view")
async def guarded(name: str) -> str:
    return name


@get("/guarded", permission="signed-in")
async def listed() -> str:
    return ""


async def page(scope: Any, receive: Any, send: Any, *_: str) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@functools.cache
def stage() -> Edge:
    """Give an edge before a plugin whose every route is guarded; 299 is the shell's page."""
    built = build("shop", [guarded, listed], names=RULES, gate=gate(), body_limit=1000)
    dispatcher = Dispatcher()
    dispatcher.swap(Table({"shop": built.app}, lambda _: (404, "not_found"), page, page, {}))
    return Edge(dispatcher)


async def decide(raw: bytes, method: str) -> int:
    """Give the status of a path as a server hands it on."""
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    path = urllib.parse.unquote(raw.decode("ascii"))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": raw,
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"host.test"), (b"sec-fetch-site", b"same-origin")],
        "client": ("10.0.0.1", 1),
        "server": ("host.test", 80),
    }
    await stage()(scope, receive, send)
    return statuses[0]


WORDS: Final = (
    "api shop guarded API Shop .. . %2e%2e %2e %2f %5c \\ ;x %00 %20 core x %67uarded guarded; guarded%2f %c0%ae "
    "%25%32%65 ~ * a+b %e2%80%ae"
)
PIECES: Final = st.sampled_from([*WORDS.split(), ""])
SPELLINGS: Final = st.builds(
    lambda pieces, end: "/" + "/".join(pieces) + end,
    st.one_of(
        st.lists(PIECES, max_size=6),
        st.lists(PIECES, max_size=3).map(lambda more: ["api", "shop", "guarded", *more]),
        st.lists(PIECES, max_size=3).map(lambda more: [*more, "api", "shop", "guarded"]),
    ),
    st.sampled_from(["", "/", "//", ";", "%2f", "?"]),
)


@settings(max_examples=300)
@given(SPELLINGS, st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE"]))
def test_any_spelling_of_a_path_gets_the_decision_of_its_canonical_form_or_none(path: str, method: str) -> None:
    status = asyncio.run(decide(path.encode(), method))
    # 401 is the decision about nobody; otherwise there is nothing there, or it is a page of the shell, never an answer.
    assert status in (401, 404, 405, 299)
    if status == 299:
        assert not urllib.parse.unquote(path).lower().startswith("/api/")
    canonical = urllib.parse.unquote(path).rstrip("/")
    if canonical in ("/api/shop/guarded", "/api/shop/guarded/x") and path.startswith("/api/shop/"):
        assert status in (401, 404, 405)


@pytest.mark.proof
@settings(max_examples=20_000, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=60).map(lambda raw: "/api/shop/" + urllib.parse.quote(raw, safe="/;\\.%~")),
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
)
def test_any_bytes_at_all_as_a_path_let_nobody_in(path: str, method: str) -> None:
    assert asyncio.run(decide(path.encode("ascii", "ignore"), method)) in (401, 404, 405)


# -- any routes ------------------------------------------------------------------------------------------------

METHODS: Final = {"get": get, "post": post, "put": put, "patch": patch, "delete": delete}
PERMISSIONS: Final = st.sampled_from(["shop.view", "signed-in", "public", "other.view", "shop.nothing", "", None])
PATHS: Final = st.sampled_from(["/", "/open", "/a", "/a/b", "/{x:str}", "/{x:int}/b", "/{x:path}", "a", "//a", "/a/"])


@st.composite
def handlers(draw: st.DrawFn) -> Any:
    """Make a handler as a plugin could: of any kind, with any permission, or none, in any of its places."""
    permission, path = draw(PERMISSIONS), draw(PATHS)
    said: dict[str, Any] = {}
    where = draw(st.sampled_from(["keyword", "opt", "nowhere"]))
    if where == "keyword" and permission is not None:
        said["permission"] = permission
    elif where == "opt":
        said["opt"] = {"permission": permission}
    parameter = draw(st.booleans())
    if draw(st.integers(0, 5)) == 0:

        async def socket(socket: Any) -> None:
            return None

        return websocket(path, **said)(socket)
    kind = draw(st.sampled_from(sorted(METHODS)))

    async def plain() -> None:
        return None

    async def with_parameter(x: str) -> None:
        return None

    return METHODS[kind](path, **said)(with_parameter if parameter and "{x" in path else plain)


def check_table(made: list[Any]) -> None:
    try:
        built = build("shop", made, names=RULES, gate=gate(), body_limit=1000)
    except PluginFault:
        return  # refused as a whole: nothing of it answers
    for route in built.app.routes:
        assert route.path == "/api/shop" or route.path.startswith("/api/shop/")
        found = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in found:
            need = handler.opt.get(NEED)
            assert isinstance(need, Need), handler
            assert need.plugin == "shop"
            assert need.permissions
            assert set(need.permissions) <= {"shop.view", "signed-in", "public"}
            if "public" in need.permissions and "OPTIONS" not in getattr(handler, "http_methods", ()):
                assert need.public  # OPTIONS of a path only names its methods
    for info in built.routes:
        assert info.permission in ("shop.view", "signed-in", "public")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(handlers(), max_size=5))
def test_any_routes_of_a_plugin_have_a_decision_each_or_there_are_none(made: list[Any]) -> None:
    check_table(made)


@pytest.mark.proof
@settings(max_examples=3000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(handlers(), max_size=8))
def test_many_more_routes_have_a_decision_each(made: list[Any]) -> None:
    check_table(made)
