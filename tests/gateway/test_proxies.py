"""Proxies: what they say is believed if they are on the list, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest

from plugin_host.gateway.edge import Edge
from plugin_host.gateway.proxies import Proxies
from plugin_host.settings import SettingsError

pytestmark = [pytest.mark.anyio, pytest.mark.security]


async def seen(
    *headers: tuple[str, str], client: str = "10.0.0.1", trusted: tuple[str, ...] = ("10.0.0.0/8",), **scope: Any
) -> dict[str, Any]:
    """Give the scope that comes out of the edge."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    async def unused(*_: Any) -> None:
        raise AssertionError

    raw = [(b"host", b"inner"), *((name.encode(), value.encode()) for name, value in headers)]
    call = {"type": "http", "method": "GET", "path": "/x", "scheme": "http", "client": (client, 1), "headers": raw}
    await Edge(app, proxies=Proxies(trusted))({**call, **scope}, unused, unused)
    return found


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the left one is the client's own word
        ("203.0.113.9, 10.2.0.1", "203.0.113.9"),
        ("10.3.0.1, 10.2.0.1", "10.3.0.1"),
        ("rubbish, 10.2.0.1", "10.2.0.1"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("", "10.0.0.1"),
        ("rubbish", "10.0.0.1"),
    ],
)
async def test_the_client_is_the_first_from_the_right_that_is_no_proxy(said: str, client: str) -> None:
    assert (await seen(("x-forwarded-for", said)))["client"][0] == client


async def test_several_headers_are_one_list() -> None:
    found = await seen(("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "10.2.0.1"))
    assert found["client"][0] == "203.0.113.9"


async def test_scheme_and_host_are_taken_from_a_trusted_proxy() -> None:
    found = await seen(("x-forwarded-proto", "https"), ("x-forwarded-host", "apps.example.org"))
    assert found["scheme"] == "https"
    assert [value for name, value in found["headers"] if name == b"host"] == [b"apps.example.org"]


async def test_a_socket_behind_https_is_wss() -> None:
    assert (await seen(("x-forwarded-proto", "https"), type="websocket", scheme="ws"))["scheme"] == "wss"


@pytest.mark.parametrize("trusted", [(), ("10.0.0.9",), ("2001:db8::/32",)])
async def test_everybody_else_is_not_believed(trusted: tuple[str, ...]) -> None:
    spoofed = (("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.test"))
    found = await seen(*spoofed, trusted=trusted)
    assert (found["client"][0], found["scheme"], found["headers"]) == ("10.0.0.1", "http", [(b"host", b"inner")])


@pytest.mark.parametrize(
    "name", ["x-forwarded-for", "X_Forwarded_Proto", "forwarded", "x-real-ip", "X-Original-URL", "proxy", "Proxy"]
)
async def test_nothing_below_sees_what_a_client_may_not_say(name: str) -> None:
    found = await seen((name, "1"), ("x-shop", "stays"), ("from", "stays"), ("prefer", "stays"), trusted=())
    assert [key for key, _ in found["headers"]] == [b"host", b"x-shop", b"from", b"prefer"]


async def test_a_mapped_address_is_the_one_it_maps() -> None:
    assert (await seen(("x-forwarded-for", "203.0.113.9"), client="::ffff:10.0.0.1"))["client"][0] == "203.0.113.9"


def test_a_name_is_no_address() -> None:
    with pytest.raises(SettingsError, match="'nginx' is no address"):
        Proxies(["nginx"])
