"""Access tokens: what is signed by one of our keys, says our names and has not ended; all else is nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings, strategies as st

from plugin_host.auth import access_tokens as module
from plugin_host.auth.access_tokens import AUDIENCE, AccessTokens, Verified
from plugin_host.auth.keys import KeyRing
from plugin_host.auth.vault import Vault
from plugin_host.database import Database

pytestmark = pytest.mark.anyio
ISSUER = "https://apps.example.org"
VAULT = Vault("a key of tests, long enough for them", Path())


@pytest.fixture(params=["EdDSA", "ES256"])
async def tokens(request: pytest.FixtureRequest, database: Database, clock: Any) -> AccessTokens:
    ring = KeyRing(database, VAULT, algorithm=request.param, clock=clock)
    await ring.signing()
    return AccessTokens(ring, issuer=ISSUER, clock=clock)


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def forge(tokens: AccessTokens, **claims: Any) -> bytes:
    """Sign whatever claims with a key of ours."""
    key = await tokens.ring.signing()
    now = int(tokens._clock())
    said = {"iss": ISSUER, "sub": "u", "aud": AUDIENCE, "iat": now, "exp": now + 600, "jti": "j", "sid": "s", **claims}
    private: Any = key.private
    kept = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(kept, private, key.alg, headers={"kid": key.kid, "typ": "at+jwt"}).encode()


async def test_what_was_signed_is_read_again(tokens: AccessTokens, clock: Any) -> None:
    token = await tokens.sign("ann", "session")
    assert tokens.verify(token.encode()) == Verified("ann", "session", clock.now + 600)


async def test_a_token_says_nothing_of_roles(tokens: AccessTokens) -> None:
    said = jwt.decode(await tokens.sign("ann", "s"), options={"verify_signature": False})
    assert set(said) == {"iss", "sub", "aud", "iat", "exp", "jti", "sid"}


async def test_anybody_can_verify_it_with_the_published_key(tokens: AccessTokens) -> None:
    token = await tokens.sign("ann", "s")
    header = jwt.get_unverified_header(token)
    (found,) = await tokens.ring.published()
    checked = {"verify_exp": False, "verify_iat": False}
    said = jwt.decode(token, jwt.PyJWK(found), [found["alg"]], audience=AUDIENCE, issuer=ISSUER, options=checked)  # type: ignore[arg-type]
    assert (header["typ"], header["kid"], said["sub"]) == ("at+jwt", found["kid"], "ann")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "plugin:contacts"},
        {"aud": None},
        {"iss": "https://evil.test"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": 1e400},
        {"exp": True},
        {"iat": None},
        {"iat": 99999999999},
        {"sub": None},
        {"sub": 7},
        {"jti": None},
        {"sid": None},
        {"sid": ["s"]},
    ],
    ids=str,
)
async def test_d07_claims_that_are_not_ours(tokens: AccessTokens, claims: dict[str, Any]) -> None:
    assert tokens.verify(await forge(tokens, **claims)) is None


@pytest.mark.parametrize("alg", ["none", "nOnE", "HS256", None])
async def test_d01_d02_other_algorithms(tokens: AccessTokens, alg: str | None) -> None:
    key = await tokens.ring.signing()
    pem = key.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _, payload, _ = (await forge(tokens)).decode().split(".")
    header = {"alg": alg, "kid": key.kid, "typ": "at+jwt"} if alg else {"kid": key.kid, "typ": "at+jwt"}
    signed = f"{b64(header)}.{payload}"
    import hashlib
    import hmac

    for secret in (b"", pem, json.dumps(key.jwk).encode()):
        signature = b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
        assert tokens.verify(f"{signed}.{signature}".encode()) is None
    assert tokens.verify(f"{signed}.".encode()) is None


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": {"kty": "OKP"}},
        {"jku": "https://evil.test/jwks"},
        {"x5u": "https://evil.test"},
        {"crit": ["b64"], "b64": False},
        {"typ": "JWT"},
        {"typ": "ph-call+jwt"},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": "x" * 10_000},
        {"kid": ["a"]},
        {"kid": None},
    ],
    ids=lambda more: str(more)[:40],
)
async def test_d03_to_d06_other_headers(tokens: AccessTokens, more: dict[str, Any]) -> None:
    key = await tokens.ring.signing()
    _, payload, signature = (await forge(tokens)).decode().split(".")
    header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt", **more}
    assert tokens.verify(f"{b64(header)}.{payload}.{signature}".encode()) is None


async def test_d10_a_claim_that_is_said_twice(tokens: AccessTokens) -> None:
    key = await tokens.ring.signing()
    now = int(tokens._clock())
    text = (
        f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","iat":{now},"exp":{now + 600},"jti":"j","sid":"s",'
        '"sub":"ann","sub":"root"}'
    )
    private: Any = key.private
    headers = {"kid": key.kid, "typ": "at+jwt"}
    token = jwt.api_jws.encode(text.encode(), private, key.alg, headers=headers)
    assert tokens.verify(token.encode()) is None


async def test_d10_what_is_too_long_or_too_deep(tokens: AccessTokens) -> None:
    header = (await forge(tokens)).decode().split(".")[0]
    deep = b64(b'{"a":' * 900 + b"1" + b"}" * 900)
    assert tokens.verify(b"a" * 1_000_000) is None
    assert tokens.verify(f"{b64(b'[' * 5000)}.{deep}.AAAA".encode()) is None
    assert tokens.verify(f"{header}.{deep}.AAAA".encode()) is None


async def test_d11_one_letter_changed_also_with_a_warm_cache(tokens: AccessTokens) -> None:
    token = await tokens.sign("ann", "s")
    assert tokens.verify(token.encode()) is not None
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        assert tokens.verify((token[:place] + other + token[place + 1 :]).encode()) is None, place


async def test_few_are_remembered(tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHED", 2)
    for number in range(5):
        assert tokens.verify((await tokens.sign("ann", str(number))).encode()) is not None
    assert len(tokens._known) == 2


async def test_any_bytes_are_nothing(database: Database, clock: Any) -> None:
    ring = KeyRing(database, VAULT, clock=clock)
    tokens = AccessTokens(ring, issuer=ISSUER, clock=clock)
    good = await tokens.sign("ann", "s")
    header, payload, signature = good.split(".")
    part = st.one_of(
        st.sampled_from([header, payload, signature, "", "e30"]),
        st.text("abcXYZ019-_=.+/ é\0", max_size=60),
        st.binary(max_size=80).map(b64),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5).map(b64),
    )
    shape = st.one_of(
        st.binary(max_size=300),
        st.lists(part, min_size=1, max_size=5).map(lambda parts: ".".join(parts).encode()),
        st.tuples(st.just(header), part, part).map(lambda parts: ".".join(parts).encode()),
    )

    @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
    @given(shape)
    def nothing(token: bytes) -> None:
        assert token == good.encode() or tokens.verify(token) is None

    nothing()
    assert tokens.verify(good.encode()) is not None
