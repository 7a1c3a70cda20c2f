"""D: access tokens that are forged, and refresh tokens that are used again."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .conftest import Served, code

pytestmark = pytest.mark.security

ME: Final = "/api/core/auth/me"
NULL: Final[Any] = None


def encode(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    """Give a good access token."""
    return str(served.app()["access_token"])


def refused(served: Served, token: str) -> None:
    """See that it is no way in, and that the host says no more than that."""
    with served.bearer(token) as caller:
        answer = caller.get(ME)
    assert answer.status_code == 401, answer.text
    assert code(answer)[0] == 401
    assert "bearer" in answer.headers["www-authenticate"].lower()


def signed_by(key: Any, header: dict[str, Any], claims: dict[str, Any]) -> str:
    body = f"{encode(header)}.{encode(claims)}"
    return f"{body}.{encode(key.sign(body.encode()))}"


@pytest.mark.parametrize("alg", ["none", "nOnE", "NONE", "", NULL], ids=repr)
def test_d01_a_token_without_a_signature_is_refused(served: Served, token: str, alg: str | None) -> None:
    header, payload, signature = token.split(".")
    forged = {**decode(header), "alg": alg}
    if alg is None:
        del forged["alg"]
    for end in ("", signature):
        refused(served, f"{encode(forged)}.{payload}.{end}")


def public_keys(served: Served) -> list[dict[str, Any]]:
    with served.client() as caller:
        return list(caller.get("/.well-known/jwks.json").json()["keys"])


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "x", "empty"])
def test_d02_the_public_key_is_no_secret_to_sign_with(served: Served, token: str, form: str) -> None:
    import hashlib
    import hmac

    jwk = public_keys(served)[0]
    key = jwt.PyJWK(jwk).key
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = {
        "pem": key.public_bytes(pem, spki),
        "der": key.public_bytes(der, spki),
        "jwk": json.dumps(jwk).encode(),
        "x": jwk["x"].encode(),
        "empty": b"",
    }[form]
    header, payload, _ = token.split(".")
    for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        body = f"{encode({**decode(header), 'alg': algorithm})}.{payload}"
        refused(served, f"{body}.{encode(hmac.new(secret, body.encode(), digest).digest())}")


def test_d03_a_token_cannot_bring_its_own_key(served: Served, token: str) -> None:
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(raw), "kid": "mine"}
    header, payload, _ = token.split(".")
    for brought in ({"jwk": jwk}, {"jku": f"{served.address}/evil"}, {"x5u": f"{served.address}/evil"}, {"x5c": ["x"]}):
        refused(served, signed_by(key, {**decode(header), **brought}, decode(payload)))
        refused(served, signed_by(key, {**decode(header), "kid": "mine", **brought}, decode(payload)))
    assert "evil" not in "".join(served.printed)


@pytest.mark.parametrize(
    "kid", ["unknown", "../../dev/null", "' OR 1=1 --", "k" * 10_000, ["a"], {"a": 1}, 7, NULL, ""], ids=repr
)
def test_d04_a_key_id_is_a_name_and_nothing_else(served: Served, token: str, kid: Any) -> None:
    key = Ed25519PrivateKey.generate()
    header, payload, _ = token.split(".")
    forged = {**decode(header), "kid": kid}
    if kid is None:
        del forged["kid"]
    refused(served, signed_by(key, forged, decode(payload)))
    assert max(map(len, served.printed), default=0) < 5000


@pytest.mark.parametrize("more", [{"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": False}, {"crit": "exp"}])
def test_d05_what_is_critical_and_unknown_is_refused(served: Served, token: str, more: dict[str, Any]) -> None:
    header, payload, signature = token.split(".")
    refused(served, f"{encode({**decode(header), **more})}.{payload}.{signature}")


def test_d06_another_kind_of_token_is_no_access_token(served: Served, token: str) -> None:
    tokens = served.app()
    header, payload, signature = token.split(".")
    refused(served, tokens["refresh_token"])
    for kind in ("JWT", "ph-call+jwt", "id+jwt", ""):
        refused(served, f"{encode({**decode(header), 'typ': kind})}.{payload}.{signature}")


CHANGES: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "aud": lambda claims: claims.update(aud="somebody else"),
    "iss": lambda claims: claims.update(iss="https://evil.test"),
    "exp as text": lambda claims: claims.update(exp="9999999999"),
    "exp is not a number": lambda claims: claims.update(exp=float("nan")),
    "exp is endless": lambda claims: claims.update(exp=float("inf")),
    **{f"no {name}": lambda claims, name=name: claims.pop(name, None) for name in ("exp", "iat", "sub", "jti", "sid")},
}


@pytest.mark.anyio
async def test_d07_odd_claims_are_refused_even_if_we_have_signed_them(tmp_path: Any) -> None:
    from plugin_host import PluginHost, Settings

    async with PluginHost(Settings(data_dir=str(tmp_path / "d"))).lifespan() as host:
        access = host.core.sign_in._access_tokens
        header, payload, _ = (await access.sign("user", "session")).split(".")
        key = (await access.ring.signing()).private
        taken = {}
        for name, change in {"nothing": lambda _: None, **CHANGES}.items():
            claims = decode(payload)
            change(claims)
            taken[name] = access.verify(signed_by(key, decode(header), claims).encode()) is not None
    assert [name for name, is_taken in taken.items() if is_taken] == ["nothing"]


def test_d10_a_token_that_is_huge_deep_or_doubled_is_refused(served: Served, token: str) -> None:
    header, payload, signature = token.split(".")
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    twice = json.dumps(decode(payload))[:-1].encode() + b',"sub":"somebody"}'
    refused(served, f"{header}.{encode(b'a' * 9000)}.{signature}")
    refused(served, f"{encode(deep)}.{payload}.{signature}")
    refused(served, f"{header}.{encode(twice)}.{signature}")
    refused(served, "." * 8000)
    with served.bearer("a" * 1_000_000) as caller:
        assert code(caller.get(ME)) == (431, "headers_too_large")


def test_d11_one_byte_that_is_changed_is_enough(served: Served, token: str) -> None:
    with served.bearer(token) as caller:
        assert caller.get(ME).status_code == 200  # it is cached from here on
    for place in range(0, len(token), 17):
        # The last bits of a part mean nothing; a letter is turned into one that differs in the first bit.
        other = "A" if token[place] != "A" else "g"
        if token[place] != ".":
            refused(served, token[:place] + other + token[place + 1 :])
    with served.bearer(token) as caller:
        assert caller.get(ME).status_code == 200


def test_d13_only_public_keys_are_public(served: Served) -> None:
    keys = public_keys(served)
    assert keys
    for key in keys:
        assert key["kty"] in ("OKP", "EC")
        assert not {"d", "k", "p", "q"} & set(key)


def refresh(served: Served, token: str) -> tuple[int, dict[str, Any]]:
    with served.client() as caller:
        said = {"grant_type": "refresh_token", "refresh_token": token}
        answer = caller.post("/api/core/auth/token", data=said)
    return answer.status_code, answer.json()


def test_d14_twenty_refreshes_at_once_give_one_new_token(served: Served) -> None:
    first = served.app()["refresh_token"]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: refresh(served, first), range(20)))
    assert [status for status, _ in answers] == [200] * 20
    assert len({tokens["refresh_token"] for _, tokens in answers}) == 1


def test_d15_a_used_token_is_good_for_a_retry_and_nothing_else(served: Served) -> None:
    first = served.app()["refresh_token"]
    second = refresh(served, first)[1]["refresh_token"]
    assert refresh(served, first)[1]["refresh_token"] == second
    third = refresh(served, second)[1]["refresh_token"]
    assert refresh(served, first)[0] == 400  # two generations old: somebody has stolen it
    assert refresh(served, third)[0] == 400
    late = served.app()["refresh_token"]
    newest = refresh(served, late)[1]["refresh_token"]
    time.sleep(2.2)
    assert refresh(served, late)[0] == 400
    assert refresh(served, newest)[0] == 400


def test_d16_a_refresh_token_ends_with_its_session(served: Served) -> None:
    tokens = served.app()
    with served.bearer(tokens["access_token"]) as app:
        assert app.post("/api/core/auth/logout").status_code == 204
    for token in (tokens["refresh_token"], "phr_" + secrets.token_urlsafe(32), "", "x" * 20_000):
        status, members = refresh(served, token)
        assert (status, members["error"]) in ((400, "invalid_grant"), (400, "invalid_request"))


def test_d17_the_database_has_nothing_that_could_be_used(served: Served) -> None:
    tokens = served.app()
    with served.signed_in() as root:
        personal = root.post("/api/core/auth/tokens", json={"name": "script"}).json()["token"]
        cookies = list(root.cookies.values())
    raw = b"".join(path.read_bytes() for path in (served.folder / "plugin-host-data").glob("host.db*"))
    from .conftest import PASSWORD

    for secret in (PASSWORD, personal, *cookies, tokens["access_token"], tokens["refresh_token"]):
        assert secret.encode() not in raw
    for (private,) in served.execute("SELECT private FROM core_signing_key"):
        assert b"PRIVATE KEY" not in (private if isinstance(private, bytes) else private.encode())


@pytest.mark.anyio
async def test_d09_a_replaced_key_holds_for_the_overlap_and_a_withdrawn_one_not(tmp_path: Any) -> None:
    from plugin_host import PluginHost, Settings

    async with PluginHost(Settings(data_dir=str(tmp_path / "d"))).lifespan() as host:
        access = host.core.sign_in._access_tokens
        first = await access.sign("user", "session")
        await access.ring.rotate()
        second = await access.sign("user", "session")
        assert first.split(".")[0] != second.split(".")[0]
        assert access.verify(first.encode()) is not None
        assert access.verify(second.encode()) is not None
        await access.ring.rotate(revoke=True)
        await access.ring.follow()
        assert access.verify(second.encode()) is None
        assert access.verify(first.encode()) is None


@pytest.mark.anyio
async def test_d12_a_token_that_ends_while_it_is_cached_ends(tmp_path: Any) -> None:
    import httpx

    from plugin_host import PluginHost, Settings

    from .conftest import PASSWORD

    async with PluginHost(Settings(data_dir=str(tmp_path / "d"))).lifespan() as host:
        await host.core.accounts.add("root", PASSWORD, roles=["core.admin"])
        transport = httpx.ASGITransport(host.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as app:
            said = {"username": "root", "password": PASSWORD, "client": "app"}
            token = (await app.post("/api/core/auth/login", json=said)).json()["access_token"]
            app.headers["authorization"] = f"Bearer {token}"
            assert [(await app.get(ME)).status_code for _ in range(2)] == [200, 200]
            clock = host.core.principals._clock
            host.core.principals._clock = lambda: clock() + 601
            assert (await app.get(ME)).status_code == 401
