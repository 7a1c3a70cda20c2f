"""What a request shows to prove who sends it: the session cookie, or a bearer token, and never both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from plugin_host.auth.api_tokens import LENGTH
from plugin_host.auth.sessions import PLAIN_NAME, SECURE_NAME, is_secure
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSION_COOKIE: Final = "session"
ACCESS: Final = "access"
PERSONAL: Final = "personal"
SERVICE: Final = "service"
COOKIE_LENGTH: Final = 43  # 32 random bytes in base64: anything else is not ours, and not worth a query
_SECURE: Final = SECURE_NAME.encode() + b"="
_PLAIN: Final = PLAIN_NAME.encode() + b"="
_BEARER: Final = b"bearer "
_PREFIXES: Final = {b"php_": PERSONAL, b"phs_": SERVICE}


class Presented(NamedTuple):
    """A credential as it was sent; whether it is good for anything is not known yet."""

    kind: str
    value: bytes


def present(scope: Mapping[str, Any], *, https: bool) -> Presented | None:
    """Cut the credential out of the headers, without parsing any other.

    Raises `Problem` 400 `ambiguous_credentials` if there are two.
    """
    prefix = _SECURE if is_secure(scope, https=https) else _PLAIN
    cookie: bytes | None = None
    authorization: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"cookie":
            if cookie is None and prefix in value:
                cookie = _value(value, prefix)
        elif name == b"authorization":
            if authorization is not None:
                raise _ambiguous("two Authorization headers")
            authorization = value
    if authorization is None:
        return Presented(SESSION_COOKIE, cookie) if cookie is not None and len(cookie) == COOKIE_LENGTH else None
    if cookie is not None:
        raise _ambiguous("a session cookie and an Authorization header")
    if authorization[:7].lower() != _BEARER:
        return None  # some other scheme: meant for a proxy, or for nobody
    token = authorization[7:].strip()
    kind = _PREFIXES.get(token[:4])
    if kind is None or len(token) != LENGTH:
        return Presented(ACCESS, token)  # whatever it is, it will be judged as one, and is worth no query
    return Presented(kind, token)


def _ambiguous(what: str) -> Problem:
    return Problem(400, "ambiguous_credentials", f"The request has {what}: send only one of them.")


def _value(header: bytes, prefix: bytes) -> bytes | None:
    """Give the value of the first cookie of that name in a Cookie header."""
    for part in header.split(b";"):
        cookie = part.strip()
        if cookie.startswith(prefix):
            return cookie[len(prefix) :]
    return None
