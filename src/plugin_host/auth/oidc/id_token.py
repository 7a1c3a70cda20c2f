"""Holding an ID token to the rules: OpenID Connect Core 3.1.3.7 and ASVS 10.5, none of them left to the library."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any, Final

import jwt

from plugin_host.auth.oidc.fetching import read_object
from plugin_host.auth.oidc.keys import ALGORITHMS
from plugin_host.auth.oidc.provider import SignInError, unpadded

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.auth.oidc.keys import ProviderKeys

LEEWAY: Final = 60
MAX_BYTES: Final = 16 * 1024
MAX_SUBJECT: Final = 255
_PARTS: Final = 3


async def verify_id_token(  # noqa: PLR0913 - what the token is held against, by name
    token: object,
    *,
    keys: ProviderKeys,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str | None = None,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Give the claims of a token that keeps to every rule. Raises `SignInError`."""
    if not isinstance(token, str) or len(token) > MAX_BYTES or not token.isascii():
        raise SignInError("id_token_malformed")
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise SignInError("id_token_malformed")
    header, claims = _read(parts[0]), _read(parts[1])
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise SignInError("id_token_algorithm", str(algorithm))
    if str(header.get("typ", "JWT")).upper() != "JWT" or "crit" in header or "b64" in header:
        raise SignInError("id_token_type")
    key = await keys.find(header.get("kid"), algorithm)
    try:
        # Only the signature: each claim is looked at below, by rules that stand here.
        jwt.api_jws.decode(token, key, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise SignInError("id_token_signature", type(error).__name__) from error
    _check_times(claims, clock())
    if claims.get("iss") != issuer:
        raise SignInError("id_token_issuer", str(claims.get("iss")))
    _check_audience(claims, client_id)
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise SignInError("id_token_nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip() or len(subject) > MAX_SUBJECT or not subject.isascii():
        raise SignInError("id_token_subject")
    if "at_hash" in claims and claims["at_hash"] != _hash_of(access_token, algorithm):
        raise SignInError("id_token_access_token")
    return claims


def _read(part: str) -> dict[str, Any]:
    if "=" in part:
        raise SignInError("id_token_malformed")
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignInError("id_token_malformed") from error
    try:
        return read_object(raw, "id_token")
    except SignInError as error:
        raise SignInError("id_token_malformed") from error


def _check_times(claims: dict[str, Any], now: float) -> None:
    expires, issued, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    # bool is an int in Python, and 1e400 is a float.
    if any(type(moment) not in (int, float) for moment in (expires, issued, begins)):
        raise SignInError("id_token_times")
    assert isinstance(expires, int | float)  # noqa: S101 - said above, for the type checker
    assert isinstance(issued, int | float)  # noqa: S101
    if not (now - LEEWAY < expires < float("inf")):
        raise SignInError("id_token_expired")
    if not (0 < issued <= now + LEEWAY and begins <= now + LEEWAY):
        raise SignInError("id_token_times", "issued in the future")


def _check_audience(claims: dict[str, Any], client_id: str) -> None:
    said = claims.get("aud")
    audiences = [said] if isinstance(said, str) else said
    if not isinstance(audiences, list) or client_id not in audiences:
        raise SignInError("id_token_audience")
    party = claims.get("azp")
    if party != client_id and (party is not None or len(audiences) > 1):
        raise SignInError("id_token_audience", "the authorized party is another one")


def _hash_of(access_token: str | None, algorithm: str) -> str | None:
    if access_token is None:
        return None
    digest = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(access_token.encode()).digest()
    return unpadded(digest[: len(digest) // 2])
