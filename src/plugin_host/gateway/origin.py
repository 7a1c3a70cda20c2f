"""The cross-origin check: no tokens, only what browsers say of themselves and scripts in them cannot forge.

A browser sends cookies along whoever wrote the page; so a call that changes something, and every WebSocket
handshake, must come from a page of this origin. `Sec-Fetch-Site` says so, or else `Origin` does. With an
Authorization header nothing is sent along by itself, and there is nothing to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_WEB_SCHEMES: Final = {"ws": "http", "wss": "https"}
_READ: Final = frozenset({b"authorization", b"cookie", b"host", b"origin", b"sec-fetch-site"})


def check_origin(scope: dict[str, Any], public_origin: str | None = None) -> None:
    """Raise `Problem` 403 `cross_origin` if a page of another origin may have sent this.

    For WebSocket handshakes, and for calls whose method is not one of `SAFE_METHODS`.

    `public_origin` (`https://apps.example.org`) is where browsers see the host; without it, the scheme and
    the Host header of the request say so.
    """
    said = {name: value for name, value in scope["headers"] if name in _READ}
    if b"authorization" not in said and not _is_own(scope, said, public_origin):
        raise Problem(
            403,
            "cross_origin",
            "This was sent by a page of another origin, or by a program that shows a cookie without saying where "
            "it comes from: send an Origin header of this host, or an Authorization header instead of the cookie.",
        )


def normalize_origin(origin: str) -> str:
    """Write an origin as browsers do: lower case, without the port that goes without saying."""
    scheme, _, host = origin.strip().rstrip("/").lower().partition("://")
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def _is_own(scope: dict[str, Any], said: Mapping[bytes, bytes], public_origin: str | None) -> bool:
    site = said.get(b"sec-fetch-site")
    origin = said.get(b"origin")
    if scope["type"] == "http" and site is not None:
        return site in (b"same-origin", b"none")
    if origin is not None:
        # Compared as text: "null" (a sandboxed frame) is nobody's origin.
        own = normalize_origin(public_origin or _requested(scope, said))
        return normalize_origin(origin.decode("latin-1")) == own and site in (None, b"same-origin")
    # Not a browser of today. Without a cookie it has nothing that somebody else's page could use.
    return b"cookie" not in said and site is None


def _requested(scope: dict[str, Any], said: Mapping[bytes, bytes]) -> str:
    scheme = scope.get("scheme", "http")
    return f"{_WEB_SCHEMES.get(scheme, scheme)}://{said.get(b'host', b'').decode('latin-1')}"
