"""Applications, scripts and machines: their tokens on a whole host, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from plugin_host import PluginHost, Settings
from tests.integration.conftest import PASSWORD, client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
# What does not depend on the kind of database is tested on one.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[PluginHost]:
    async with running(PluginHost(settings, safe=True)) as host:
        yield host


def app(host: PluginHost, token: str = "") -> httpx.AsyncClient:
    """Make a client that is no browser."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(host.asgi), base_url="http://127.0.0.1:8000", headers=headers
    )


async def login(host: PluginHost, username: str = "root") -> dict[str, Any]:
    async with app(host) as fresh:
        body = {"username": username, "password": PASSWORD, "client": "app"}
        answer = await fresh.post("/api/core/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def me(host: PluginHost, token: str) -> httpx.Response:
    async with app(host, token) as one:
        return await one.get("/api/core/auth/me")


async def refresh(host: PluginHost, token: str) -> httpx.Response:
    async with app(host) as one:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await one.post("/api/core/auth/token", data=form)


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("urn:plugin-host:problem:")


async def sql(host: PluginHost, text: str, **said: Any) -> Any:
    async with host.database.engine.begin() as connection:
        return await connection.execute(sa.text(text), said)


@on_sqlite
async def test_an_access_token_says_who_asks(host: PluginHost) -> None:
    answer = await me(host, (await login(host))["access_token"])
    assert (answer.status_code, answer.json()["user"]["username"]) == (200, "root")


async def test_a_refresh_token_gives_the_next_pair(host: PluginHost) -> None:
    first = await login(host)
    answer = await refresh(host, first["refresh_token"])
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != first["refresh_token"]
    assert (await me(host, answer.json()["access_token"])).status_code == 200


async def test_twenty_refreshes_at_once_get_one_answer(host: PluginHost) -> None:  # D14
    first = await login(host)
    answers = await asyncio.gather(*(refresh(host, first["refresh_token"]) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert (await sql(host, "SELECT count(*) FROM core_refresh")).scalar_one() == 2


async def test_an_old_refresh_token_ends_the_family(host: PluginHost) -> None:  # D15
    first = await login(host)
    second = (await refresh(host, first["refresh_token"])).json()
    third = (await refresh(host, second["refresh_token"])).json()
    answer = await refresh(host, first["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await refresh(host, third["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await me(host, third["access_token"])).status_code == 401


@on_sqlite
async def test_a_form_that_says_something_else_is_refused_in_the_form_of_oauth(host: PluginHost) -> None:
    async with app(host) as one:
        answers = [
            await one.post("/api/core/auth/token", data={"grant_type": "password", "username": "root"}),
            await one.post("/api/core/auth/token", json={"grant_type": "refresh_token"}),
            await one.post("/api/core/auth/token", data={"grant_type": "refresh_token", "refresh_token": "phr_no"}),
        ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [
        (400, "unsupported_grant_type"),
        (400, "invalid_request"),
        (400, "invalid_grant"),
    ]


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_whoever_holds_a_token_may_revoke_it(host: PluginHost, which: str) -> None:
    tokens = await login(host)
    async with app(host) as one:
        answers = [await one.post("/api/core/auth/revoke", data={"token": tokens[which]}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await me(host, tokens["access_token"])).status_code == 401
    assert (await refresh(host, tokens["refresh_token"])).status_code == 400


@on_sqlite
async def test_signing_out_ends_access_and_refreshing(host: PluginHost) -> None:  # C02
    tokens = await login(host)
    async with app(host, tokens["access_token"]) as one:
        assert (await one.post("/api/core/auth/logout")).status_code == 204
        answer = await one.get("/api/core/auth/me")
    assert (answer.status_code, code_of(answer)) == (401, "invalid_token")
    assert (await refresh(host, tokens["refresh_token"])).json()["error"] == "invalid_grant"


@on_sqlite
async def test_the_public_keys_are_published(host: PluginHost) -> None:  # D13
    await login(host)
    async with client(host) as one:
        answer = await one.get("/.well-known/jwks.json")
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["alg"], answer.headers["cache-control"]) == ("EdDSA", "public, max-age=300")


async def test_disabling_somebody_ends_every_credential_at_once(host: PluginHost) -> None:  # C03
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(signed_in(host))
        bob = await stack.enter_async_context(signed_in(host, "bob"))
        made = (await bob.post("/api/core/auth/tokens", json={"name": "script"})).json()
        tokens = await login(host, "bob")
        user = (await bob.get("/api/core/auth/me")).json()["user"]["id"]
        before = [(await me(host, each)).status_code for each in (made["token"], tokens["access_token"])]
        await admin.patch(f"/api/core/users/{user}", json={"status": "disabled"})
        after = [(await me(host, each)).status_code for each in (made["token"], tokens["access_token"])]
        seen = (await bob.get("/api/core/auth/me")).status_code
    assert (before, after, seen) == ([200, 200], [401, 401], 401)
    assert (await refresh(host, tokens["refresh_token"])).status_code == 400


@on_sqlite
async def test_a_personal_token_is_shown_once(host: PluginHost) -> None:  # E06
    async with signed_in(host) as browser:
        made = (await browser.post("/api/core/auth/tokens", json={"name": "backup", "days": 30})).json()
        listed = (await browser.get("/api/core/auth/tokens")).json()["items"]
    assert made["token"].startswith("php_")
    assert (listed[0]["name"], listed[0]["last4"], "token" in listed[0]) == ("backup", made["token"][-4:], False)


@on_sqlite
async def test_a_token_of_fewer_scopes_may_do_less(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        body = {"name": "watch", "scopes": ["core.plugins.view"]}
        token = (await browser.post("/api/core/auth/tokens", json=body)).json()["token"]
    async with app(host, token) as script:
        held = (await script.get("/api/core/auth/me")).json()["permissions"]
        answers = [await script.get("/api/core/plugins"), await script.get("/api/core/users")]
    assert held == ["core.plugins.view"]
    assert [answer.status_code for answer in answers] == [200, 403]


@on_sqlite
async def test_nobody_can_make_a_token_for_more_than_they_may(host: PluginHost) -> None:  # E01
    async with signed_in(host, "bob") as bob:
        answer = await bob.post("/api/core/auth/tokens", json={"name": "x", "scopes": ["core.users.manage"]})
    assert answer.status_code == 403


async def test_a_token_loses_what_its_owner_loses(host: PluginHost) -> None:  # E02
    async with signed_in(host) as admin, signed_in(host, "bob", ("core.admin",)) as bob:
        token = (await bob.post("/api/core/auth/tokens", json={"name": "x"})).json()["token"]
        user = (await bob.get("/api/core/auth/me")).json()["user"]["id"]
        async with app(host, token) as script:
            before = (await script.get("/api/core/users")).status_code
            await admin.put(f"/api/core/users/{user}/roles", json={"roles": []})
            after = (await script.get("/api/core/users")).status_code
    assert (before, after) == (200, 403)


@on_sqlite
async def test_a_token_makes_no_tokens(host: PluginHost) -> None:  # E03
    async with signed_in(host) as browser:
        token = (await browser.post("/api/core/auth/tokens", json={"name": "x"})).json()["token"]
    async with app(host, token) as script:
        answer = await script.post("/api/core/auth/tokens", json={"name": "y"})
    assert (answer.status_code, code_of(answer)) == (403, "interactive_session_required")


async def test_a_revoked_token_is_nobody_s(host: PluginHost) -> None:  # E04
    async with signed_in(host) as browser:
        made = (await browser.post("/api/core/auth/tokens", json={"name": "x"})).json()
        assert (await browser.delete(f"/api/core/auth/tokens/{made['id']}")).status_code == 204
        again = await browser.delete(f"/api/core/auth/tokens/{made['id']}")
    assert ((await me(host, made["token"])).status_code, again.status_code) == (401, 404)


async def test_an_expired_token_is_told_so(host: PluginHost) -> None:  # E04
    async with signed_in(host) as browser:
        made = (await browser.post("/api/core/auth/tokens", json={"name": "x"})).json()
    await sql(host, "UPDATE core_token SET expires_at = '2020-01-01 00:00:00+00:00'")
    await sql(host, "UPDATE core_revision SET auth = auth + 1")
    answer = await me(host, made["token"])
    assert (answer.status_code, code_of(answer)) == (401, "session_expired")


@on_sqlite
async def test_own_sessions_are_listed_and_ended_from_afar(host: PluginHost) -> None:
    async with signed_in(host) as here, client(host) as there:
        await there.post("/api/core/auth/login", json={"username": "root", "password": PASSWORD})
        listed = (await here.get("/api/core/auth/sessions")).json()["items"]
        (other,) = (item["id"] for item in listed if not item["current"])
        ended = await here.delete(f"/api/core/auth/sessions/{other}")
        seen = [(await each.get("/api/core/auth/me")).status_code for each in (here, there)]
    assert (len(listed), ended.status_code, seen) == (2, 204, [200, 401])


@on_sqlite
async def test_nobody_ends_the_session_of_another(host: PluginHost) -> None:  # C20
    async with signed_in(host) as admin, signed_in(host, "bob") as bob:
        (theirs,) = (await bob.get("/api/core/auth/sessions")).json()["items"]
        answer = await admin.delete(f"/api/core/auth/sessions/{theirs['id']}")
        seen = (await bob.get("/api/core/auth/me")).status_code
    assert (answer.status_code, seen) == (404, 200)


@on_sqlite
async def test_a_cookie_and_a_token_are_ambiguous(host: PluginHost) -> None:  # C13
    async with signed_in(host) as browser:
        token = (await browser.post("/api/core/auth/tokens", json={"name": "x"})).json()["token"]
        answer = await browser.get("/api/core/auth/me", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, code_of(answer)) == (400, "ambiguous_credentials")


async def test_the_database_holds_nothing_to_sign_in_with(host: PluginHost) -> None:  # D17
    tokens = await login(host)
    async with signed_in(host) as browser:
        made = (await browser.post("/api/core/auth/tokens", json={"name": "x"})).json()["token"]
        cookie = browser.cookies["ph_session"]
    secrets = [tokens["refresh_token"], tokens["access_token"], made, cookie, PASSWORD, "PRIVATE KEY"]
    dump = ""
    async with host.database.engine.connect() as connection:
        names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        for name in names:
            rows = await connection.execute(sa.select(sa.text("*")).select_from(sa.table(name)))
            dump += "\n".join(str(tuple(row)) for row in rows)
    assert [secret for secret in secrets if secret in dump] == []


async def test_two_hosts_on_one_database_agree(host: PluginHost, settings: Settings) -> None:
    other = PluginHost(settings, safe=True)
    async with other.lifespan():
        tokens = await login(host)
        there = (await me(other, tokens["access_token"])).status_code
        renewed = (await refresh(other, tokens["refresh_token"])).json()
        here = (await me(host, renewed["access_token"])).status_code
        await host.core.credentials.ring.rotate()
        fresh = await login(host)
        crossed = [(await me(other, each["access_token"])).status_code for each in (fresh, renewed)]
        async with app(other) as one:
            await one.post("/api/core/auth/revoke", data={"token": fresh["refresh_token"]})
        ended = (await me(host, fresh["access_token"])).status_code
    assert (there, here, crossed, ended) == (200, 200, [200, 200], 401)


async def test_a_withdrawn_key_signs_nobody_in(host: PluginHost, settings: Settings) -> None:  # D09
    other = PluginHost(settings, safe=True)
    async with other.lifespan():
        tokens = await login(host)
        before = (await me(other, tokens["access_token"])).status_code
        await host.core.credentials.ring.rotate(revoke=True)
        after = [(await me(each, tokens["access_token"])).status_code for each in (host, other)]
    assert (before, after) == (200, [401, 401])
