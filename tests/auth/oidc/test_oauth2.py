"""Plain OAuth 2, in GitHub's shape: an access token, and who it is of."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from plugin_host.auth.oidc.oauth2 import OAuth2Provider
from plugin_host.auth.oidc.provider import Assertion, SignInError, Transaction
from plugin_host.settings import SettingsError
from plugin_host.settings.oidc import IdentityProvider

from .conftest import BACK, ISSUER, Lying

pytestmark = pytest.mark.anyio
GITHUB: dict[str, Any] = {
    "issuer": ISSUER,
    "client_id": "us",
    "client_secret": "a secret of tests",
    "kind": "oauth2",
    "authorization_endpoint": f"{ISSUER}/login/oauth/authorize",
    "token_endpoint": f"{ISSUER}/login/oauth/access_token",
    "userinfo_endpoint": f"{ISSUER}/me",
}


@pytest.fixture
def github(lying: Lying) -> Lying:
    lying.userinfo = {"id": 583231, "login": "octocat", "name": "The Octocat", "email": None, "type": "User"}
    return lying


async def complete(provider: Lying, **answer: str) -> Assertion:
    client, transaction = OAuth2Provider(IdentityProvider(**GITHUB), provider), Transaction.make(BACK)
    return await client.complete(transaction, {"code": "a-code", "state": transaction.state, **answer})


async def test_somebody_is_their_number(github: Lying) -> None:
    found = await complete(github)
    assert (found.issuer, found.subject) == (ISSUER, "583231")
    assert (found.username, found.display, found.email) == ("octocat", "The Octocat", None)
    assert github.form["code_verifier"]
    assert github.form["client_secret"] == ["a secret of tests"]


async def test_the_way_there(github: Lying) -> None:
    client, transaction = (
        OAuth2Provider(IdentityProvider(**GITHUB, scopes=("read:user",)), github),
        Transaction.make("x"),
    )
    address = urlsplit(await client.begin(transaction))
    asked = parse_qs(address.query)
    assert address.path == "/login/oauth/authorize"
    assert (asked["scope"], asked["state"]) == (["read:user"], [transaction.state])
    assert "nonce" not in asked


@pytest.mark.security
@pytest.mark.parametrize("number", [None, True, "", " ", 1.5, ["1"], {"id": 1}, "x" * 300, "1\u0662"])
async def test_without_a_number_it_is_nobody(github: Lying, number: object) -> None:
    github.userinfo["id"] = number
    with pytest.raises(SignInError, match="userinfo_subject"):
        await complete(github)


@pytest.mark.security
async def test_a_refusal_that_looks_like_success_is_one(github: Lying) -> None:
    github.tokens = {"error": "bad_verification_code"}
    with pytest.raises(SignInError, match="code"):
        await complete(github)
    github.tokens = {}
    with pytest.raises(SignInError, match="provider_malformed"):
        await complete(github)


@pytest.mark.security
@pytest.mark.parametrize("answer", [{"state": "another"}, {"iss": "https://evil.test"}, {"error": "access_denied"}])
async def test_a_wrong_answer_makes_us_ask_for_nothing(github: Lying, answer: dict[str, str]) -> None:
    with pytest.raises(SignInError):
        await complete(github, **answer)
    assert github.asked == []


@pytest.mark.parametrize(
    "said",
    [
        {**GITHUB, "token_endpoint": None},
        {**GITHUB, "kind": "oidc"},
        {**GITHUB, "issuer": "http://github.com"},
        {**GITHUB, "issuer": "https://github.com?x=1"},
        {**GITHUB, "issuer": "https://a:b@github.com"},
        {**GITHUB, "issuer": "https://github.com\n"},
        {**GITHUB, "userinfo_endpoint": "http://api.github.com/user"},
        {**GITHUB, "client_secret": ""},
    ],
)
def test_settings_that_cannot_work_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        IdentityProvider(**said)
