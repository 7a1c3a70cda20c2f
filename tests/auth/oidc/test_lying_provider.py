"""A provider that lies in every way we could think of signs nobody in."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings as budget, strategies as st

from plugin_host.auth.oidc.id_token import verify_id_token
from plugin_host.auth.oidc.keys import ProviderKeys
from plugin_host.auth.oidc.provider import SignInError, Transaction

from .conftest import BACK, CLIENT, ISSUER, KEYS, NOW, OTHER, Lying, Stage, Ticking, encode, jwk

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.anyio, pytest.mark.security]

Lie = "Callable[[Lying], Any]"
PEM = (
    KEYS["RS256"].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


def claim(**said: Any) -> Callable[[Lying], None]:
    return lambda provider: provider.claims.update(said)


def without(*names: str) -> Callable[[Lying], None]:
    return lambda provider: [provider.claims.pop(name) for name in names] and None  # type: ignore[return-value]


def header(**said: Any) -> Callable[[Lying], None]:
    return lambda provider: provider.header.update(said)


def metadata(**said: Any) -> Callable[[Lying], None]:
    return lambda provider: provider.metadata.update(said)


def unsigned(provider: Lying) -> None:
    provider.metadata["id_token_signing_alg_values_supported"] = ["none", "HS256", "ES256"]
    provider.header = {"alg": "none"}
    provider.token = f"{encode(provider.header)}.{encode(provider.claims)}."


def with_public_key_as_secret(provider: Lying) -> None:
    provider.header = {"alg": "HS256", "kid": "RS256"}
    signed = f"{encode(provider.header)}.{encode(provider.claims)}"
    import hmac

    provider.token = f"{signed}.{encode(hmac.digest(PEM, signed.encode(), 'sha256'))}"


def by_somebody_else(provider: Lying) -> None:
    provider.token = provider.sign(OTHER)


def with_a_key_it_brings(provider: Lying) -> None:
    provider.header["jwk"] = jwk(OTHER, "ES256", "ES256")
    provider.token = provider.sign(OTHER)


def with_a_key_of_another_place(provider: Lying) -> None:
    provider.header |= {"jku": "https://evil.test/keys", "x5u": "https://evil.test/cert"}
    provider.token = provider.sign(OTHER)


def doubled(provider: Lying) -> None:
    text = json.dumps(provider.claims)
    provider.token = provider.sign(raw=text.replace('"sub"', '"sub": "1", "sub"', 1).encode())


def no_number(word: str) -> Callable[[Lying], None]:
    def lie(provider: Lying) -> None:
        text = json.dumps(provider.claims).replace(f'"exp": {provider.claims["exp"]}', f'"exp": {word}')
        provider.token = provider.sign(raw=text.encode())

    return lie


def weak(provider: Lying) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - on purpose
    provider.keys = [jwk(key, "RS256", "weak")]
    provider.header = {"alg": "RS256", "kid": "weak"}
    provider.token = provider.sign(key)


def on_another_curve(provider: Lying) -> None:
    provider.keys = [jwk(ec.generate_private_key(ec.SECP384R1()), "ES256", "ES256")]


def key_for_encryption(provider: Lying) -> None:
    for key in provider.keys:
        key["use"] = "enc"


def key_for_something_else(provider: Lying) -> None:
    for key in provider.keys:
        key["alg"] = "ES512" if key["kty"] == "EC" else "RS512"


def symmetric_key(provider: Lying) -> None:
    provider.keys = [{"kty": "oct", "kid": "ES256", "k": encode(b"x" * 32), "use": "sig"}]


LIES: dict[str, tuple[str, Any]] = {
    "no nonce": ("id_token_nonce", claim(nonce=None)),
    "another nonce": ("id_token_nonce", claim(nonce="another")),
    "a nonce that is a list": ("id_token_nonce", claim(nonce=["a"])),
    "another audience": ("id_token_audience", claim(aud="another-client")),
    "no audience": ("id_token_audience", without("aud")),
    "an audience that only contains ours": ("id_token_audience", claim(aud=f"{CLIENT}-2")),
    "two audiences and no party": ("id_token_audience", claim(aud=[CLIENT, "other"])),
    "another party": ("id_token_audience", claim(azp="other")),
    "a party that is a list": ("id_token_audience", claim(azp=[CLIENT])),
    "an audience that is an object": ("id_token_audience", claim(aud={CLIENT: 1})),
    "another issuer": ("id_token_issuer", claim(iss="https://evil.test")),
    "a slash behind the issuer": ("id_token_issuer", claim(iss=f"{ISSUER}/")),
    "an issuer in capitals": ("id_token_issuer", claim(iss=ISSUER.upper())),
    "no issuer": ("id_token_issuer", without("iss")),
    "a list of issuers": ("id_token_issuer", claim(iss=[ISSUER])),
    "expired": ("id_token_expired", claim(exp=int(NOW) - 61)),
    "no end": ("id_token_times", without("exp")),
    "an end that is text": ("id_token_times", claim(exp="1900000000")),
    "an end that is true": ("id_token_times", claim(exp=True)),
    "an end that is no number": ("id_token_malformed", no_number("NaN")),
    "an end that is endless": ("id_token_malformed", no_number("Infinity")),
    "an end beyond all numbers": ("id_token_expired", no_number("1e400")),
    "no beginning": ("id_token_times", without("iat")),
    "issued tomorrow": ("id_token_times", claim(iat=int(NOW) + 86400)),
    "issued before time began": ("id_token_times", claim(iat=-5)),
    "not valid yet": ("id_token_times", claim(nbf=int(NOW) + 86400)),
    "no subject": ("id_token_subject", without("sub")),
    "an empty subject": ("id_token_subject", claim(sub="")),
    "a blank subject": ("id_token_subject", claim(sub="  ")),
    "a subject that is a number": ("id_token_subject", claim(sub=42)),
    "a subject that is a list": ("id_token_subject", claim(sub=["42"])),
    "a subject that is too long": ("id_token_subject", claim(sub="x" * 256)),
    "a subject that looks like another": ("id_token_subject", claim(sub="4\u0662")),
    "the hash of another access token": ("id_token_access_token", claim(at_hash=encode(b"x" * 16))),
    "no signature": ("id_token_algorithm", unsigned),
    "no signature, oddly written": ("id_token_algorithm", header(alg="nOnE")),
    "no algorithm": ("id_token_algorithm", lambda provider: provider.header.pop("alg")),
    "an algorithm that is a list": (
        "id_token_algorithm",
        lambda p: setattr(p, "token", f"{encode({'alg': []})}.e30.x"),
    ),
    "our public key as the secret": ("id_token_algorithm", with_public_key_as_secret),
    "an algorithm that is not ours": ("id_token_algorithm", header(alg="ES384")),
    "signed by somebody else": ("id_token_signature", by_somebody_else),
    "with the key that it brings": ("id_token_signature", with_a_key_it_brings),
    "with a key from elsewhere": ("id_token_signature", with_a_key_of_another_place),
    "with the key of another algorithm": ("id_token_key", header(kid="RS256")),
    "with a key that is not published": ("id_token_key", header(kid="unknown")),
    "with a path for a key": ("id_token_key", header(kid="../../dev/null")),
    "with a list for a key": ("id_token_key", header(kid=["ES256"])),
    "without a key, of several": ("id_token_key", lambda provider: provider.header.pop("kid")),
    "with a weak key": ("id_token_key", weak),
    "with a key on another curve": ("id_token_key", on_another_curve),
    "with a key for encryption": ("id_token_key", key_for_encryption),
    "with a key for something else": ("id_token_key", key_for_something_else),
    "with a shared key": ("id_token_key", symmetric_key),
    "an access token": ("id_token_type", header(typ="at+jwt")),
    "a sign-out token": ("id_token_type", header(typ="logout+jwt")),
    "what must be understood": ("id_token_type", header(crit=["exp"])),
    "a payload that is not encoded": ("id_token_type", header(b64=False, crit=["b64"])),
    "claims that stand twice": ("id_token_malformed", doubled),
    "claims that are a list": ("id_token_malformed", lambda p: setattr(p, "token", p.sign(raw=b"[]"))),
    "claims of a hundred thousand levels": (
        "id_token_malformed",
        lambda p: setattr(p, "token", p.sign(raw=b"[" * 5000)),
    ),
    "a token of a megabyte": ("id_token_malformed", lambda p: setattr(p, "token", "e30." * 250_000)),
    "four parts": ("id_token_malformed", lambda p: setattr(p, "token", "e30.e30.e30.e30")),
    "no token": ("id_token_malformed", lambda p: p.tokens.update(id_token=None)),
    "a token that is a number": ("id_token_malformed", lambda p: p.tokens.update(id_token=7)),
    "discovery of another issuer": ("provider_issuer", metadata(issuer="https://evil.test")),
    "discovery with a slash more": ("provider_issuer", metadata(issuer=f"{ISSUER}/")),
    "no token endpoint": ("provider_address", metadata(token_endpoint=None)),
    "a token endpoint without TLS": ("provider_insecure", metadata(token_endpoint="http://id.example.test/token")),
    "a token endpoint on this machine": ("provider_insecure", metadata(token_endpoint="http://127.0.0.1/token")),
    "a token endpoint that is a file": ("provider_address", metadata(token_endpoint="file:///etc/passwd")),
    "keys from a file": ("provider_address", metadata(jwks_uri="file:///etc/passwd")),
    "a name and password in an address": ("provider_address", metadata(jwks_uri="https://a:b@id.example.test/keys")),
    "an address with a line feed": ("provider_address", metadata(jwks_uri="https://id.example.test/\r\nkeys")),
    "a port that is none": ("provider_address", metadata(jwks_uri="https://id.example.test:99999/keys")),
    "keys that are no list": ("provider_malformed", lambda p: setattr(p, "keys", {"kid": 1})),
    "no key at all": ("id_token_key", lambda p: setattr(p, "keys", [])),
    "keys that are rubbish": ("id_token_key", lambda p: setattr(p, "keys", [None, 7, {"kty": "EC", "kid": "ES256"}])),
    "a refusal": ("code", lambda p: setattr(p, "status", 400)),
    "a refusal that looks like success": ("code", lambda p: p.tokens.update(error="bad_verification_code")),
    "a token of another type": ("provider_malformed", lambda p: p.tokens.update(token_type="mac")),
}


@pytest.mark.parametrize("name", LIES)
async def test_whoever_lies_signs_nobody_in(stage: Stage, name: str) -> None:
    code, lie = LIES[name]
    lie(stage.provider)
    with pytest.raises(SignInError) as refused:
        await stage.complete()
    assert refused.value.code == code


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_whoever_keeps_to_the_rules_is_believed(stage: Stage, algorithm: str) -> None:
    kid = "RS256" if algorithm == "PS256" else algorithm
    stage.provider.header = {"alg": algorithm, "kid": kid}
    for key in stage.provider.keys:
        key.pop("alg")
    found = await stage.complete()
    assert (found.issuer, found.subject, found.username, found.email) == (ISSUER, "42", "ann", "ann@example.test")


async def test_a_single_key_needs_no_name(stage: Stage) -> None:
    stage.provider.keys = [jwk(KEYS["ES256"], "ES256", None)]
    stage.provider.header.pop("kid")
    assert (await stage.complete()).subject == "42"


async def test_several_audiences_are_fine_if_we_are_the_party(stage: Stage) -> None:
    stage.provider.claims |= {"aud": [CLIENT, "other"], "azp": CLIENT}
    assert (await stage.complete()).subject == "42"


async def test_the_right_hash_of_the_access_token_is_fine(stage: Stage) -> None:
    stage.provider.claims["at_hash"] = encode(hashlib.sha256(b"an-access-token").digest()[:16])
    assert (await stage.complete()).subject == "42"


async def test_the_way_there_says_all_that_protects_the_way_back(stage: Stage) -> None:
    asked = parse_qs(urlsplit(await stage.client.begin(stage.transaction)).query)
    await stage.complete()
    verifier = stage.provider.form["code_verifier"][0]
    assert asked["code_challenge"] == [encode(hashlib.sha256(verifier.encode()).digest())]
    assert asked["code_challenge_method"] == ["S256"]
    assert (asked["response_type"], asked["scope"]) == (["code"], ["openid profile email"])
    assert asked["redirect_uri"] == stage.provider.form["redirect_uri"] == [BACK]
    assert len({*asked["state"], *asked["nonce"], verifier}) == 3
    assert min(len(value) for value in (*asked["state"], *asked["nonce"], verifier)) >= 43


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"state": "another"}, "state"),
        ({"state": ""}, "state"),
        ({"state": "\u00e4"}, "state"),
        ({"iss": "https://evil.test"}, "response_issuer"),
        ({"iss": ""}, "response_issuer"),
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "server_error"}, "provider_error"),
        ({"code": ""}, "code"),
        ({"code": "x" * 5000}, "code"),
    ],
)
async def test_a_wrong_answer_makes_us_ask_for_nothing(stage: Stage, answer: dict[str, str], code: str) -> None:
    with pytest.raises(SignInError) as refused:
        await stage.complete(**answer)
    assert refused.value.code == code
    assert stage.provider.count("/token") == 0


async def test_a_provider_that_says_its_name_must_say_it_each_time(stage: Stage) -> None:
    stage.provider.metadata["authorization_response_iss_parameter_supported"] = True
    with pytest.raises(SignInError, match="response_issuer"):
        await stage.complete()
    assert (await stage.complete(iss=ISSUER)).subject == "42"


async def test_unknown_keys_are_asked_for_once_a_cooldown(stage: Stage, ticking: Ticking) -> None:
    stage.provider.header["kid"] = "unknown"
    for _ in range(100):
        with pytest.raises(SignInError):
            await stage.complete()
    assert stage.provider.count("/keys") == 1
    ticking.now += 31
    with pytest.raises(SignInError):
        await stage.complete()
    assert stage.provider.count("/keys") == 2


async def test_keys_change_with_and_without_an_overlap(stage: Stage, ticking: Ticking) -> None:
    old = stage.provider.sign
    await stage.complete()
    stage.provider.keys.insert(0, jwk(OTHER, "ES256", "new"))
    stage.provider.header["kid"] = "new"
    stage.provider.sign = lambda _key=None, raw=None: old(OTHER, raw)  # type: ignore[method-assign]
    with pytest.raises(SignInError):
        await stage.complete()  # asked a moment ago
    ticking.now += 31
    assert (await stage.complete()).subject == "42"
    stage.provider.keys = stage.provider.keys[:1]
    ticking.now += 200
    stage.provider.header["kid"] = "another unknown one"
    with pytest.raises(SignInError):
        await stage.complete()  # by which the keys are read anew
    stage.provider.header["kid"] = "ES256"
    stage.provider.sign = old  # type: ignore[method-assign]
    with pytest.raises(SignInError, match="id_token_key"):
        await stage.complete()


async def test_what_the_token_does_not_say_is_asked_for(lying: Lying, ticking: Ticking) -> None:
    stage = Stage(lying, ticking, role_map={"staff": "contacts.viewer"})
    assert (await stage.complete()).claims["groups"] == ["staff"]
    lying.userinfo["sub"] = "43"
    with pytest.raises(SignInError, match="userinfo_subject"):
        await stage.complete()


async def test_what_is_signed_beats_what_is_asked_for(lying: Lying, ticking: Ticking) -> None:
    stage = Stage(lying, ticking, role_map={"staff": "contacts.viewer"})
    lying.userinfo |= {"name": "Mallory", "email": "root@example.test"}
    assert (await stage.complete()).display == "Ann"


async def test_a_secret_goes_where_the_provider_takes_it(stage: Stage) -> None:
    await stage.complete()
    assert "client_secret" not in stage.provider.form
    assert "client_id" not in stage.provider.form
    stage.provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await stage.complete()
    assert stage.provider.form["client_secret"] == ["a secret of tests"]


async def test_a_provider_that_is_down_is_not_asked_again_at_once(stage: Stage, ticking: Ticking) -> None:
    stage.provider.metadata["issuer"] = "https://evil.test"
    for _ in range(20):
        with pytest.raises(SignInError) as refused:
            await stage.client.begin(Transaction.make(BACK))
        assert refused.value.off
    assert stage.provider.count("openid-configuration") == 1
    stage.provider.metadata["issuer"] = ISSUER
    ticking.now += 31
    assert (await stage.client.begin(Transaction.make(BACK))).startswith(f"{ISSUER}/authorize?")


@budget(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    token=st.one_of(
        st.text(),
        st.binary().map(encode),
        st.lists(st.binary(), max_size=4).map(lambda parts: ".".join(encode(part) for part in parts)),
    )
)
async def test_no_bytes_are_a_token_by_chance(token: str) -> None:
    async def fetch() -> dict[str, Any]:
        return {"keys": [jwk(KEYS["ES256"], "ES256", None)]}

    with pytest.raises(SignInError):
        await verify_id_token(token, keys=ProviderKeys(fetch), issuer=ISSUER, client_id=CLIENT, nonce="n")
