"""Routes: Litestar's own handlers, with the permission where the host looks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litestar.handlers import WebsocketRouteHandler

from plugin_host.sdk.routing import delete, get, patch, post, put, websocket

KINDS: dict[str, Callable[..., Any]] = {"GET": get, "POST": post, "PUT": put, "PATCH": patch, "DELETE": delete}


async def act() -> None:
    """Stand in for a handler."""


def block() -> None:
    """Stand in for a handler that may block."""


def blocks(handler: Any) -> bool:
    """Tell whether the handler goes to a thread."""
    return bool(handler.sync_to_thread)


@pytest.mark.parametrize("method", KINDS)
def test_route_has_its_method_path_and_permission(method: str) -> None:
    made = KINDS[method]("/people", permission="contacts.view")(act)
    assert (made.http_methods, made.paths, made.opt) == ({method}, {"/people"}, {"permission": "contacts.view"})


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_route_without_a_permission_says_none(kind: Callable[..., Any]) -> None:
    assert "permission" not in kind("/people")(act).opt


def test_operation_is_named_after_the_function() -> None:
    assert get("/people")(act).operation_id == "act"


def test_operation_with_a_name_of_its_own() -> None:
    assert get("/people", operation_id="list_people")(act).operation_id == "list_people"


def test_options_of_the_author_are_kept() -> None:
    made = post("/people", permission="contacts.create", opt={"mine": 1}, status_code=202)(act)
    assert (made.opt, made.status_code) == ({"mine": 1, "permission": "contacts.create"}, 202)


def test_options_of_the_author_are_not_changed() -> None:
    mine = {"mine": 1}
    get("/people", permission="contacts.view", opt=mine)(act)
    assert mine == {"mine": 1}


def test_function_that_may_block_goes_to_a_thread() -> None:
    assert blocks(get("/people")(block))


def test_function_that_says_it_does_not_block_stays() -> None:
    assert not blocks(get("/people", sync_to_thread=False)(block))


def test_decorator_may_serve_a_blocking_function_and_then_another() -> None:
    decorate = get("/people")
    decorate(block)
    assert not blocks(decorate(act))


@pytest.mark.parametrize(
    ("said", "opt"),
    [({}, {}), ({"permission": "contacts.view"}, {"permission": "contacts.view"}), ({"opt": {"mine": 1}}, {"mine": 1})],
)
def test_websocket_says_its_permission(said: dict[str, Any], opt: dict[str, Any]) -> None:
    async def listen(socket: Any) -> None:
        """Stand in for a handler."""

    made = websocket("/live", **said)(listen)
    assert isinstance(made, WebsocketRouteHandler)
    assert made.opt == opt
