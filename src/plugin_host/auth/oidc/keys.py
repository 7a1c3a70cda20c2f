"""The keys that a provider signs with: fetched when they are needed, and not more often than every half minute."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from plugin_host.auth.oidc.provider import SignInError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEEP: Final = 3600.0
COOLDOWN: Final = 30.0
ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Ours, whatever a provider lists: neither `none` nor a shared secret."""
_MOST: Final = 64
_RSA_BITS: Final = 2048


class ProviderKeys:
    """Keeps the keys for an hour; `fetch` gives the provider's JWK set. Unknown keys are asked for once a cooldown."""

    def __init__(
        self, fetch: Callable[[], Awaitable[dict[str, Any]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: list[dict[str, Any]] = []
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: object, algorithm: str) -> Any:
        """Give the key of that name that may be used with the algorithm. Raises `SignInError`."""
        if kid is not None and not isinstance(kid, str):
            raise SignInError("id_token_key", "kid is no text")
        found = self._pick(kid) if self._fresh() else None
        if found is None:
            async with self._lock:
                # Whoever waited here may find what the one before has fetched.
                found = self._pick(kid) if self._fresh() else None
                if found is None and self._clock() - self._tried >= COOLDOWN:
                    await self._load()
                    found = self._pick(kid)
        if found is None:
            raise SignInError("id_token_key", "signed with a key that the provider does not publish")
        return _public_key(found, algorithm)

    def _fresh(self) -> bool:
        return self._clock() - self._fetched < KEEP

    def _pick(self, kid: str | None) -> dict[str, Any] | None:
        if kid is not None:
            return next((key for key in self._keys if key.get("kid") == kid), None)
        # OpenID Connect Core 10.1: it may be left out where there is only one.
        return self._keys[0] if len(self._keys) == 1 else None

    async def _load(self) -> None:
        self._tried = self._clock()
        said = (await self._fetch()).get("keys")
        if not isinstance(said, list):
            raise SignInError("provider_malformed", "jwks_uri: no list of keys", off=True)
        self._keys = [key for key in said[:_MOST] if isinstance(key, dict) and _signs(key)]
        self._fetched = self._clock()


def _signs(key: dict[str, Any]) -> bool:
    operations = key.get("key_ops")
    for_verifying = operations is None or (isinstance(operations, list) and "verify" in operations)
    return key.get("use", "sig") == "sig" and for_verifying and key.get("kty") in ("RSA", "EC", "OKP")


def _public_key(said: dict[str, Any], algorithm: str) -> Any:
    """Make the key, and hold it to the algorithm: a key is for one kind of signature only."""
    if said.get("alg", algorithm) != algorithm or "d" in said:
        raise SignInError("id_token_key", f"the key is not for {algorithm}")
    try:
        key = jwt.PyJWK(said, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise SignInError("id_token_key", f"the key cannot be used: {type(error).__name__}") from error
    fits = {
        "RS256": isinstance(key, RSAPublicKey) and key.key_size >= _RSA_BITS,
        "PS256": isinstance(key, RSAPublicKey) and key.key_size >= _RSA_BITS,
        "ES256": isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1),
        "EdDSA": isinstance(key, Ed25519PublicKey),
    }
    if not fits[algorithm]:
        raise SignInError("id_token_key", f"the key is not for {algorithm}, or too weak")
    return key
