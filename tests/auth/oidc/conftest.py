"""A provider in this process that keeps to the rules until a test makes it lie, and a clock."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from plugin_host.auth.oidc.fetching import Fetcher
from plugin_host.auth.oidc.openid import OpenIdProvider
from plugin_host.auth.oidc.provider import Assertion, Transaction
from plugin_host.settings.oidc import IdentityProvider

ISSUER = "https://id.example.test"
CLIENT = "our-client"
NOW = 1_800_000_000.0
BACK = "https://apps.example.test/api/core/auth/oidc/main/callback"
KEYS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
OTHER = ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, algorithm: str, kid: str | None, **more: Any) -> dict[str, Any]:
    """Write the public half of a key as JSON."""
    kinds = {"RS256": "RSAAlgorithm", "PS256": "RSAAlgorithm", "ES256": "ECAlgorithm", "EdDSA": "OKPAlgorithm"}
    said: dict[str, Any] = json.loads(getattr(jwt.algorithms, kinds[algorithm]).to_jwk(key.public_key()))
    return {**said, "use": "sig", **({"kid": kid} if kid else {}), **more}


def encode(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Ticking:
    """A clock that tests turn."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Lying(Fetcher):
    """The provider, in the place of the network. A test changes what it says; `asked` are the addresses."""

    def __init__(self) -> None:
        super().__init__(ISSUER)
        self.asked: list[str] = []
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/me",
        }
        self.keys: list[dict[str, Any]] = [jwk(key, name, name, alg=name) for name, key in KEYS.items()]
        self.userinfo: dict[str, Any] = {"sub": "42", "groups": ["staff"]}
        self.header: dict[str, Any] = {"alg": "ES256", "kid": "ES256", "typ": "JWT"}
        self.claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "42",
            "aud": CLIENT,
            "iat": int(NOW),
            "exp": int(NOW) + 300,
            "preferred_username": "ann",
            "name": "Ann",
            "email": "ann@example.test",
        }
        self.tokens: dict[str, Any] = {"access_token": "an-access-token", "token_type": "Bearer"}
        self.status = 200
        self.token: str | None = None
        self.form: dict[str, list[str]] = {}

    def sign(self, key: Any = None, raw: bytes | None = None) -> str:
        """Sign what is in `header` and `claims`, as whatever the header says; `raw` replaces the claims."""
        algorithm = self.header.get("alg")
        signed = f"{encode(self.header)}.{encode(raw if raw is not None else self.claims)}"
        name = algorithm if algorithm in ("RS256", "PS256", "ES256", "EdDSA", "HS256") else "ES256"
        key = key or KEYS.get({"PS256": "RS256"}.get(name, name))
        signature = jwt.get_algorithm_by_name(name).sign(signed.encode(), key)
        return f"{signed}.{encode(signature)}"

    async def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        self.require_address(url)
        self.asked.append(url)
        path = urlsplit(url).path
        if path.startswith("/.well-known"):
            return 200, self.metadata
        if path == "/keys":
            return 200, {"keys": self.keys}
        if path == "/me":
            return 200, self.userinfo
        self.form = parse_qs((body or b"").decode())
        if self.status != 200:
            return self.status, {"error": "invalid_grant"}
        return 200, {"id_token": self.token or self.sign(), **self.tokens}

    def count(self, end: str) -> int:
        return sum(url.endswith(end) for url in self.asked)


@pytest.fixture
def lying() -> Lying:
    return Lying()


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


class Stage:
    """A client of the provider, and one attempt to sign in."""

    def __init__(self, provider: Lying, clock: Ticking, **said: Any) -> None:
        settings = IdentityProvider(issuer=ISSUER, client_id=CLIENT, client_secret="a secret of tests", **said)
        self.provider = provider
        self.client = OpenIdProvider(settings, provider, clock=clock, ticks=clock)
        self.transaction = Transaction.make(BACK)

    async def complete(self, *, nonce: bool = True, **answer: str) -> Assertion:
        """Bring back a code, as a browser does."""
        if nonce:
            self.provider.claims.setdefault("nonce", self.transaction.nonce)
        said = {"code": "a-code", "state": self.transaction.state, **answer}
        return await self.client.complete(self.transaction, said)


@pytest.fixture
def stage(lying: Lying, ticking: Ticking) -> Stage:
    return Stage(lying, ticking)
