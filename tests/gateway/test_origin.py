"""Which calls may come from a page of this origin: a table of what browsers, frames and programs send."""

from __future__ import annotations

from typing import Any

import pytest

from plugin_host.gateway.origin import check_origin, normalize_origin
from plugin_host.sdk.errors import Problem

OWN = "https://host.test"
COOKIE = {"cookie": "ph_session=x"}

ALLOWED: dict[str, tuple[str, dict[str, str]]] = {
    "same-origin POST": ("http", {"sec-fetch-site": "same-origin", "origin": OWN, **COOKIE}),
    "typed by the user": ("http", {"sec-fetch-site": "none", **COOKIE}),
    "old browser, right origin": ("http", {"origin": OWN, **COOKIE}),
    "a port that goes without saying": ("http", {"origin": f"{OWN}:443", **COOKIE}),
    "an Authorization header": ("http", {"authorization": "Bearer x", "origin": "https://evil.test"}),
    "a program without a cookie": ("http", {}),
    "WebSocket of the same origin": ("websocket", {"sec-fetch-site": "same-origin", "origin": OWN, **COOKIE}),
    "WebSocket, no fetch metadata": ("websocket", {"origin": OWN, **COOKIE}),
    "WebSocket of a program without a cookie": ("websocket", {}),
}
REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "cross-site POST": ("http", {"sec-fetch-site": "cross-site", "origin": "https://evil.test", **COOKIE}),
    "cross-site sign-in, no cookie yet": ("http", {"sec-fetch-site": "cross-site", "origin": "https://evil.test"}),
    "sibling subdomain": ("http", {"sec-fetch-site": "same-site", "origin": "https://x.host.test", **COOKIE}),
    "sandboxed frame": ("http", {"sec-fetch-site": "cross-site", "origin": "null", **COOKIE}),
    "old browser, wrong origin": ("http", {"origin": "https://evil.test", **COOKIE}),
    "old browser, origin null": ("http", {"origin": "null", **COOKIE}),
    "http origin of the same host": ("http", {"origin": "http://host.test", **COOKIE}),
    "another port": ("http", {"origin": f"{OWN}:8443", **COOKIE}),
    "an origin that begins alike": ("http", {"origin": f"{OWN}.evil.test", **COOKIE}),
    "a cookie from nowhere": ("http", COOKIE),
    "WebSocket from another page": ("websocket", {"origin": "https://evil.test", **COOKIE}),
    "WebSocket without Origin": ("websocket", COOKIE),
    "WebSocket that says same-origin but no Origin": ("websocket", {"sec-fetch-site": "same-origin", **COOKIE}),
    "WebSocket of a sibling subdomain": ("websocket", {"sec-fetch-site": "same-site", "origin": OWN, **COOKIE}),
}


def scope(kind: str, headers: dict[str, str], scheme: str = "https") -> dict[str, Any]:
    spoken = scheme if kind == "http" else scheme.replace("http", "ws")
    pairs = [(b"host", b"host.test"), *((name.encode(), value.encode()) for name, value in headers.items())]
    return {"type": kind, "method": "POST", "scheme": spoken, "headers": pairs}


@pytest.mark.security
@pytest.mark.parametrize("case", ALLOWED)
@pytest.mark.parametrize("public_origin", [None, OWN], ids=["host header", "public origin"])
def test_calls_of_this_origin_pass(case: str, public_origin: str | None) -> None:
    kind, headers = ALLOWED[case]
    assert check_origin(scope(kind, headers), public_origin) is None  # type: ignore[func-returns-value] # does not raise


@pytest.mark.security
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("public_origin", [None, OWN], ids=["host header", "public origin"])
def test_calls_of_other_origins_are_refused(case: str, public_origin: str | None) -> None:
    kind, headers = REFUSED[case]
    with pytest.raises(Problem) as refused:
        check_origin(scope(kind, headers), public_origin)
    assert (refused.value.status, refused.value.code) == (403, "cross_origin")


def test_behind_a_proxy_the_public_origin_counts() -> None:
    behind_proxy = scope("http", {"origin": OWN, **COOKIE}, scheme="http")
    assert check_origin(behind_proxy, OWN) is None  # type: ignore[func-returns-value] # does not raise


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("HTTPS://Host.Test:443/", OWN),
        ("http://host.test:80", "http://host.test"),
        ("http://host.test:8080", "http://host.test:8080"),
        ("null", "null://"),
    ],
)
def test_origins_are_compared_as_browsers_write_them(written: str, normal: str) -> None:
    assert normalize_origin(written) == normal
