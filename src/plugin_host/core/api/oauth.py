"""What applications call with a form, as RFC 6749 and 7009 have it; and the public keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.sdk.routing import post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plugin_host.auth.keys import KeyRing
    from plugin_host.core.signing_in import SignIn

_FORM: Final = b"application/x-www-form-urlencoded"
_MAX_BYTES: Final = 16_384
_MAX_FIELDS: Final = 20
JWKS_PATH: Final = "/.well-known/jwks.json"


def oauth_routes(sign_in: SignIn) -> list[Any]:
    """Make the handlers of refreshing and revoking."""

    @post("/auth/token", permission="public", status_code=200)
    async def refresh_token(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Give an application its next access token and refresh token: `grant_type=refresh_token`."""
        form = await _form(request)
        if form is None:
            return _error("invalid_request", "Send a form with grant_type and refresh_token, each once.")
        grant = form.get("grant_type")
        if grant != "refresh_token":
            wrong = "unsupported_grant_type" if grant else "invalid_request"
            return _error(wrong, "Only grant_type=refresh_token is served; sign in with /api/core/auth/login.")
        token = form.get("refresh_token")
        if not token:
            return _error("invalid_request", "refresh_token is missing.")
        tokens = await sign_in.refresh(token)
        if tokens is None:
            return _error("invalid_grant", "The refresh token is unknown, used, or has ended: sign in again.")
        return Response(msgspec.to_builtins(tokens), headers=_PRIVATE)

    @post("/auth/revoke", permission="public", status_code=200)
    async def revoke_token(request: Request[Any, Any, Any], db: AsyncSession) -> Response[dict[str, Any]]:
        """Revoke a token of any kind: whoever holds it may. An unknown one is answered in the same way."""
        form = await _form(request)
        token = form.get("token") if form is not None else None
        if not token:
            return _error("invalid_request", "Send a form with token.")
        await sign_in.revoke(db, token)
        return Response({}, headers=_PRIVATE)

    return [refresh_token, revoke_token]


def jwks_endpoint(ring: KeyRing) -> dict[str, Callable[[Any, Any, Any], Awaitable[None]]]:
    """Give the ASGI application of the exact path, for the dispatcher."""

    async def jwks(scope: Any, receive: Any, send: Any) -> None:
        body = msgspec.json.encode({"keys": await ring.published()})
        headers = [
            (b"content-type", b"application/jwk-set+json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"public, max-age=300"),
            # Public keys are for everybody, also for pages of other origins.
            (b"access-control-allow-origin", b"*"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return {JWKS_PATH: jwks}


_PRIVATE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


async def _form(request: Request[Any, Any, Any]) -> dict[str, str] | None:
    """Read a form; None if it is none, too large, or says something twice."""
    said = [value for name, value in request.scope["headers"] if name == b"content-type"]
    body = await request.body()
    if [value.partition(b";")[0].strip().lower() for value in said] != [_FORM] or len(body) > _MAX_BYTES:
        return None
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        return None
    form = dict(pairs)
    return form if len(form) == len(pairs) else None


def _error(code: str, text: str) -> Response[dict[str, Any]]:
    return Response({"error": code, "error_description": text}, status_code=400, headers=_PRIVATE)
