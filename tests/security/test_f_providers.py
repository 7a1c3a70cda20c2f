"""F: providers that lie, and answers that belong to somebody else. The provider is the one of tests/auth/oidc."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from plugin_host.auth.oidc.provider import SignInError

from ..auth.oidc.conftest import KEYS, OTHER, Lying, Stage, Ticking, jwk  # noqa: TID252 - lives with what it is for
from ..auth.oidc.test_lying_provider import LIES  # noqa: TID252 - as above
from ..integration.conftest import client, signed_in  # noqa: TID252 - as above
from ..integration.test_provider_sign_in import begin, come_back, hosting, me, sign_in  # noqa: TID252 - as above

pytestmark = [pytest.mark.anyio, pytest.mark.security]

CODES: Final = {
    "f04": {"id_token_nonce"},
    "f05": {"id_token_audience"},
    "f06": {"id_token_issuer", "id_token_expired", "id_token_times", "id_token_subject"},
    "f07": {"id_token_algorithm"},
    "f09": {"provider_issuer", "provider_address", "provider_insecure", "provider_malformed"},
}


async def all_refused(case: str) -> None:
    """See that every lie of a kind signs nobody in."""
    lies = {name: lie for name, (code, lie) in LIES.items() if code in CODES[case]}
    assert len(lies) >= 3
    for name, lie in lies.items():
        stage = Stage(Lying(), Ticking())
        lie(stage.provider)
        with pytest.raises(SignInError) as refused:
            await stage.complete()
        assert refused.value.code in CODES[case], name


def local(folder: Path, **said: Any) -> Any:
    return hosting(folder, f"sqlite:///{folder / 'data' / 'host.db'}", **said)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_f01_who_keeps_to_the_rules_is_known_by_issuer_and_subject(algorithm: str) -> None:
    stage = Stage(Lying(), Ticking())
    stage.provider.header = {"alg": algorithm, "kid": algorithm}
    found = await stage.complete()
    assert (found.issuer, found.subject) == (stage.provider.claims["iss"], "42")


async def test_f02_a_state_is_for_one_browser_once(tmp_path: Path) -> None:
    async with local(tmp_path) as (host, provider), client(host) as browser:
        for wrong in ("", "another"):
            await begin(browser)
            assert (await come_back(browser, wrong)).status_code == 400
        assert provider.completed == 0
        state = await begin(browser)
        assert (await come_back(browser, state)).status_code == 302
        assert (await come_back(browser, state)).status_code == 400
        assert provider.completed == 1


async def test_f03_somebody_elses_code_comes_with_another_nonce() -> None:
    stage, theirs = Stage(Lying(), Ticking()), Stage(Lying(), Ticking())
    stage.provider.claims["nonce"] = theirs.transaction.nonce
    with pytest.raises(SignInError, match="id_token_nonce"):
        await stage.complete(nonce=False)
    # and the exchange carries the verifier of this attempt, which the provider holds against the challenge of theirs
    assert stage.provider.form["code_verifier"] != [theirs.transaction.verifier]


async def test_f04_an_id_token_is_for_this_attempt() -> None:
    await all_refused("f04")


async def test_f05_an_id_token_is_for_this_client() -> None:
    await all_refused("f05")


async def test_f06_an_id_token_is_of_this_issuer_of_now_and_of_somebody() -> None:
    await all_refused("f06")


async def test_f07_our_own_list_of_algorithms_decides() -> None:
    await all_refused("f07")
    for algorithm in ("none", "HS256"):
        stage = Stage(Lying(), Ticking())
        stage.provider.metadata["id_token_signing_alg_values_supported"] = [algorithm]
        stage.provider.header["alg"] = algorithm
        stage.provider.token = f"{stage.provider.sign(b'x' * 32 if algorithm == 'HS256' else None)}"
        with pytest.raises(SignInError, match="id_token_algorithm"):
            await stage.complete()


async def test_f08_an_answer_says_whose_it_is() -> None:
    stage = Stage(Lying(), Ticking())
    stage.provider.metadata["authorization_response_iss_parameter_supported"] = True
    for answer in ({}, {"iss": "https://evil.test"}, {"iss": ""}):
        with pytest.raises(SignInError, match="response_issuer"):
            await stage.complete(**answer)
    assert stage.provider.count("/token") == 0


async def test_f09_a_description_that_lies_switches_its_provider_off(tmp_path: Path) -> None:
    await all_refused("f09")
    async with local(tmp_path) as (host, provider), client(host) as browser:

        async def lies(_: object) -> str:
            raise SignInError("provider_issuer", "The provider says that it is another one.")

        provider.begin = lies
        answer = await browser.get("/api/core/auth/oidc/main/start")
        assert answer.status_code in (400, 502, 503)
        async with signed_in(host) as root:  # by password, as ever
            assert (await root.get("/api/core/auth/me")).status_code == 200


async def test_f10_keys_may_change() -> None:
    ticking = Ticking()
    stage = Stage(Lying(), ticking)
    await stage.complete()
    old = stage.provider.sign
    stage.provider.keys = [jwk(OTHER, "ES256", "new")]
    stage.provider.header["kid"] = "new"
    stage.provider.sign = lambda _key=None, raw=None: old(OTHER, raw)  # type: ignore[method-assign]
    ticking.now += 31
    assert (await stage.complete()).subject == "42"
    stage.provider.header["kid"] = "ES256"
    stage.provider.sign = lambda _key=None, raw=None: old(KEYS["ES256"], raw)  # type: ignore[method-assign]
    with pytest.raises(SignInError):
        await stage.complete()


async def test_f11_a_hundred_unknown_keys_are_asked_for_once() -> None:
    stage = Stage(Lying(), Ticking())
    for number in range(100):
        stage.provider.header["kid"] = f"unknown-{number}"
        with pytest.raises(SignInError):
            await stage.complete()
    assert stage.provider.count("/keys") == 1


async def test_f12_the_same_mail_is_not_the_same_person(tmp_path: Path) -> None:
    async with local(tmp_path) as (host, provider), client(host) as browser, signed_in(host) as root:
        mine = (await me(root))["user"]["id"]
        await root.patch(f"/api/core/users/{mine}", json={"email": "root@example.test"})
        for verified in (True, False):
            provider.username, provider.email = "root", "root@example.test"
            provider.claims = {"email_verified": verified}
            await sign_in(browser)
            theirs = await me(browser)
            assert theirs["user"]["id"] != mine
            assert theirs["roles"] == []


async def test_f14_a_claim_that_nobody_has_mapped_gives_nothing(tmp_path: Path) -> None:
    async with local(tmp_path) as (host, provider), client(host) as browser:
        provider.claims = {"groups": ["admin", "core.admin", "contacts.editor", "unknown", 7, None, {"a": 1}]}
        await sign_in(browser)
        assert (await me(browser))["roles"] == []
        provider.claims = {"groups": ["bosses"]}  # which is mapped to it, in so many words
        await sign_in(browser)
        assert (await me(browser))["roles"] == ["core.admin"]


async def test_f17_a_browser_that_did_not_begin_cannot_finish(tmp_path: Path) -> None:
    async with local(tmp_path) as (host, provider), client(host) as attacker, client(host) as victim:
        state = await begin(attacker)
        assert (await come_back(victim, state)).status_code == 400
        await begin(victim)
        assert (await come_back(victim, state)).status_code == 400
        assert (await victim.get("/api/core/auth/me")).status_code == 401
    assert provider.completed == 0
