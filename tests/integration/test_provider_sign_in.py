"""Signing in with a provider, through a whole host: accounts, links, roles, and what does not belong together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select, update

from plugin_host import PluginHost, Settings
from plugin_host.auth.oidc.answers import check_answer
from plugin_host.auth.oidc.identities import Identity
from plugin_host.auth.oidc.provider import Assertion, Provider, Transaction
from plugin_host.auth.tables import User
from plugin_host.core.provider_sign_in import safe_return
from plugin_host.settings.auth import Auth
from plugin_host.settings.oidc import IdentityProvider

from .conftest import PASSWORD, client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

pytestmark = pytest.mark.anyio
ISSUER = "https://id.example.test"


class Obliging(Provider):
    """A provider that says what the test wants of whoever comes; answers are held to the rules as ever."""

    def __init__(self, settings: IdentityProvider) -> None:
        self.issuer = settings.issuer
        self.subject = "42"
        self.username = "ann"
        self.email: str | None = "ann@example.test"
        self.claims: dict[str, Any] = {}
        self.completed = 0

    async def begin(self, transaction: Transaction) -> str:
        return f"{self.issuer}/authorize?state={transaction.state}&redirect_uri={transaction.redirect_uri}"

    async def complete(self, transaction: Transaction, answer: Mapping[str, str]) -> Assertion:
        check_answer(answer, transaction.state, self.issuer, names_itself=False)
        self.completed += 1
        return Assertion(self.issuer, self.subject, self.username, self.username.title(), self.email, self.claims)

    async def close(self) -> None:
        pass


ROLES = {"staff": "contacts.viewer", "bosses": "core.admin"}


def provider_settings(**said: Any) -> IdentityProvider:
    return IdentityProvider(**{"issuer": ISSUER, "client_id": "us", "role_map": ROLES, "auto_create": True, **said})


@asynccontextmanager
async def hosting(tmp_path: Any, database: str, **said: Any) -> AsyncIterator[tuple[PluginHost, Obliging]]:
    main, other = provider_settings(**said), provider_settings(issuer="https://other.example.test")
    host = PluginHost(
        Settings(data_dir=str(tmp_path / "data"), database=database, auth=Auth(oidc={"main": main, "other": other}))
    )
    provider = Obliging(main)
    host.core.providers._make = lambda settings: provider if settings.issuer == ISSUER else Obliging(settings)
    async with running(host):
        yield host, provider


@pytest.fixture
async def stage(tmp_path: Any, database: str) -> AsyncIterator[tuple[PluginHost, Obliging]]:
    async with hosting(tmp_path, database) as staged:
        yield staged


@pytest.fixture
async def local(tmp_path: Any) -> AsyncIterator[tuple[PluginHost, Obliging]]:
    async with hosting(tmp_path, f"sqlite:///{tmp_path / 'data' / 'host.db'}") as staged:
        yield staged


async def begin(browser: httpx.AsyncClient, name: str = "main", **query: str) -> str:
    """Press the button; gives the state that the provider is to bring back."""
    answer = await browser.get(f"/api/core/auth/oidc/{name}/start", params=query)
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]


async def come_back(browser: httpx.AsyncClient, state: str, name: str = "main", **more: str) -> httpx.Response:
    params = {"code": "a-code", "state": state, **more}
    return await browser.get(f"/api/core/auth/oidc/{name}/callback", params=params)


async def sign_in(browser: httpx.AsyncClient, name: str = "main", **query: str) -> httpx.Response:
    return await come_back(browser, await begin(browser, name, **query), name)


async def me(browser: httpx.AsyncClient) -> dict[str, Any]:
    said: dict[str, Any] = (await browser.get("/api/core/auth/me")).json()
    return said


async def test_somebody_new_gets_an_account_a_session_and_the_mapped_roles(stage: Any) -> None:
    host, provider = stage
    provider.claims = {"groups": ["staff", "nothing here", "core.admin", 7]}
    async with client(host) as browser:
        answer = await sign_in(browser, return_to="/contacts/people?q=1")
        said = await me(browser)
        async with client(host) as again:
            await sign_in(again)
            assert (await me(again))["user"]["id"] == said["user"]["id"]
    assert (answer.status_code, answer.headers["location"]) == (302, "/contacts/people?q=1")
    assert (said["user"]["username"], said["user"]["email"]) == ("ann", "ann@example.test")
    assert said["roles"] == ["contacts.viewer"]
    async with signed_in(host) as browser:
        entries = (await browser.get("/api/core/audit", params={"actor": said["user"]["id"]})).json()["items"]
    assert {entry["action"] for entry in entries} >= {
        "core.user.created",
        "core.user.roles_changed",
        "core.session.begun",
    }


async def test_the_buttons_are_for_everybody(local: Any) -> None:
    async with client(local[0]) as stranger:
        listed = (await stranger.get("/api/core/auth/providers")).json()
    assert listed == {
        "items": [
            {"name": "main", "title": "Main", "start": "/api/core/auth/oidc/main/start"},
            {"name": "other", "title": "Other", "start": "/api/core/auth/oidc/other/start"},
        ],
        "next": None,
    }


async def test_roles_of_the_provider_come_and_go_and_those_that_people_gave_stay(stage: Any) -> None:
    host, provider = stage
    provider.claims = {"groups": "staff"}
    async with client(host) as browser:
        await sign_in(browser)
        user = (await me(browser))["user"]["id"]
        async with signed_in(host) as root:
            roles = {"roles": ["contacts.viewer", "contacts.editor"]}
            assert (await root.put(f"/api/core/users/{user}/roles", json=roles)).status_code == 200
        provider.claims = {"groups": ["bosses"]}
        await sign_in(browser)
        assert (await me(browser))["roles"] == ["contacts.editor", "core.admin"]
        provider.claims = {}
        await sign_in(browser)
        assert (await me(browser))["roles"] == ["contacts.editor"]


@pytest.mark.security
async def test_f12_nobody_gets_an_account_because_the_mail_or_the_name_is_the_same(stage: Any) -> None:
    host, provider = stage
    provider.username, provider.email = "root", "root@example.test"
    async with client(host) as browser, signed_in(host) as root:
        mine = (await me(root))["user"]["id"]
        await root.patch(f"/api/core/users/{mine}", json={"email": "root@example.test"})
        await sign_in(browser)
        theirs = await me(browser)
    assert theirs["user"]["id"] != mine
    assert (theirs["user"]["username"], theirs["roles"]) == ("root-2", [])


@pytest.mark.security
async def test_without_auto_create_nobody_new_comes_in(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'host.db'}"
    async with hosting(tmp_path, url, auto_create=False) as (host, _), client(host) as browser:
        answer = await sign_in(browser)
        assert answer.json()["type"] == "urn:plugin-host:problem:identity_unknown"
        assert answer.status_code == 403
        assert (await browser.get("/api/core/auth/me")).status_code == 401
        async with host.work() as work:
            assert (await work.db.scalars(select(User.username))).all() == ["root"]


@pytest.mark.security
async def test_a_disabled_account_stays_out(local: Any) -> None:
    host, _ = local
    async with client(host) as browser:
        await sign_in(browser)
        async with host.work() as work:
            await work.db.execute(update(User).where(User.username == "ann").values(status="disabled"))
        assert (await sign_in(browser)).status_code == 401


@pytest.mark.security
@pytest.mark.parametrize("state", ["", "another", "\u00e4"])
async def test_f02_a_wrong_state_is_refused_and_the_provider_is_not_asked(local: Any, state: str) -> None:
    host, provider = local
    async with client(host) as browser:
        await begin(browser)
        answer = await come_back(browser, state)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:plugin-host:problem:sign_in_refused")
    assert provider.completed == 0


@pytest.mark.security
async def test_f02_a_state_is_good_once_in_whichever_process(stage: Any) -> None:
    host, provider = stage
    async with client(host) as browser:
        state = await begin(browser)
        kept = browser.cookies["ph_oidc"]
        assert (await come_back(browser, state)).status_code == 302
        async with client(host) as thief:
            thief.cookies.set("ph_oidc", kept)
            assert (await come_back(thief, state)).status_code == 400
    assert provider.completed == 1


@pytest.mark.security
async def test_f17_a_browser_that_did_not_begin_cannot_finish(local: Any) -> None:
    host, provider = local
    async with client(host) as attacker, client(host) as victim:
        state = await begin(attacker)
        assert (await come_back(victim, state)).status_code == 400
        await begin(victim)  # an attempt of its own does not help
        assert (await come_back(victim, state)).status_code == 400
        assert (await victim.get("/api/core/auth/me")).status_code == 401
    assert provider.completed == 0


@pytest.mark.security
async def test_f08_the_answer_of_another_provider_is_refused(local: Any) -> None:
    host, provider = local
    async with client(host) as browser:
        state = await begin(browser, "main")
        assert (await come_back(browser, state, "other")).status_code == 400
        state = await begin(browser, "main")
        assert (await come_back(browser, state, iss="https://other.example.test")).status_code == 400
        state = await begin(browser, "main")
        double = f"/api/core/auth/oidc/main/callback?code=a&state={state}&code=b"
        assert (await browser.get(double)).status_code == 400
    assert provider.completed == 0


@pytest.mark.security
async def test_an_attempt_ends_after_ten_minutes_and_cannot_be_forged(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, _ = local
    async with client(host) as browser:
        state = await begin(browser)
        monkeypatch.setattr("plugin_host.core.provider_sign_in.LIFE", -1.0)
        assert (await come_back(browser, state)).status_code == 400
        monkeypatch.undo()
        browser.cookies.clear()
        browser.cookies.set("ph_oidc", "bm90IHNlYWxlZCBieSB1cw==")
        assert (await come_back(browser, state)).status_code == 400


async def test_whoever_looks_at_it_is_sent_to_the_sign_in_page(local: Any) -> None:
    host, _ = local
    async with client(host) as browser:
        browser.headers["accept"] = "text/html"
        answer = await come_back(browser, await begin(browser), error="access_denied")
    assert (answer.status_code, answer.headers["location"]) == (302, "/?sign_in=access_denied")


async def test_an_account_is_linked_by_its_owner_and_unlinked(stage: Any) -> None:
    host, _ = stage
    async with signed_in(host) as root:
        before = (await me(root))["user"]["id"]
        begun = await root.post("/api/core/auth/identities", json={"provider": "main", "return_to": "/account"})
        state = parse_qs(urlsplit(begun.json()["url"]).query)["state"][0]
        answer = await come_back(root, state)
        assert (answer.status_code, answer.headers["location"]) == (302, "/account")
        (linked,) = (await root.get("/api/core/auth/identities")).json()["items"]
        async with client(host) as browser:
            await sign_in(browser)
            assert (await me(browser))["user"]["id"] == before
        assert (linked["provider"], linked["subject"], linked["email"]) == ("main", "42", "ann@example.test")
        async with signed_in(host, "otto") as other:
            assert (await other.delete(f"/api/core/auth/identities/{linked['id']}")).status_code == 404
        assert (await root.delete(f"/api/core/auth/identities/{linked['id']}")).status_code == 204
        async with client(host) as browser:
            await sign_in(browser)
            assert (await me(browser))["user"]["id"] != before


@pytest.mark.security
async def test_a_link_is_made_only_by_who_wanted_it_and_only_once(local: Any) -> None:
    host, _ = local
    async with signed_in(host) as root, client(host) as browser:
        begun = await root.post("/api/core/auth/identities", json={"provider": "main"})
        state = parse_qs(urlsplit(begun.json()["url"]).query)["state"][0]
        browser.cookies.set("ph_oidc", root.cookies["ph_oidc"])
        assert (await come_back(browser, state)).status_code == 400  # signed out meanwhile
        await sign_in(browser)  # by which 42 has an account
        begun = await root.post("/api/core/auth/identities", json={"provider": "main"})
        state = parse_qs(urlsplit(begun.json()["url"]).query)["state"][0]
        assert (await come_back(root, state)).status_code == 409
        async with host.work() as work:
            assert len((await work.db.scalars(select(Identity.id))).all()) == 1


@pytest.mark.security
async def test_linking_asks_who_one_is_after_a_while(local: Any) -> None:
    host, _ = local
    async with client(host) as browser:
        await browser.post("/api/core/auth/login", json={"username": "root", "password": PASSWORD})
        from plugin_host.auth.tables import Session

        async with host.work() as work:
            import datetime as dt

            from plugin_host.database import bump

            long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
            await work.db.execute(update(Session).values(authenticated_at=long_ago))
            await bump(work.db, "auth")
        answer = await browser.post("/api/core/auth/identities", json={"provider": "main"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "reauthentication_required")


@pytest.mark.security
async def test_the_last_administrator_stays_one_whatever_the_provider_says(local: Any) -> None:
    host, provider = local
    provider.claims = {"groups": ["bosses"]}
    async with client(host) as browser:
        await sign_in(browser)
        async with host.work() as work:
            await work.db.execute(update(User).where(User.username == "root").values(status="active"))
        boss = await me(browser)
        (root,) = [u for u in (await browser.get("/api/core/users")).json()["items"] if u["username"] == "root"]
        assert (await browser.delete(f"/api/core/users/{root['id']}")).status_code == 204
        provider.claims = {}
        await sign_in(browser)
        assert (await me(browser))["roles"] == boss["roles"] == ["core.admin"]


@pytest.mark.security
@pytest.mark.parametrize(
    "said",
    [
        "https://evil.test",
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/%09/evil.test",
        "/\t/evil.test",
        "javascript:alert(1)",
        "evil.test",
        "/a\r\nset-cookie: x=1",
        "/a//evil.test",
        "/%5cevil.test",
        "",
        "/\u00e4",
    ],
)
def test_c19_afterwards_one_stays_on_this_host(said: str) -> None:
    assert safe_return(said) == "/"


@pytest.mark.parametrize("said", ["/", "/contacts", "/contacts/people/7?q=a&b=//c", "/a/b#c"])
def test_afterwards_one_is_where_one_wanted_to_be(said: str) -> None:
    assert safe_return(said) == said


@pytest.mark.security
async def test_the_cookie_of_an_attempt_is_for_this_browser_only(local: Any) -> None:
    host, _ = local
    async with client(host) as browser:
        answer = await browser.get("/api/core/auth/oidc/main/start")
        secure = await browser.get("https://127.0.0.1:8000/api/core/auth/oidc/main/start")
    assert "HttpOnly" in answer.headers["set-cookie"]
    said = secure.headers["set-cookie"]
    assert said.startswith("__Host-ph_oidc=")
    assert all(word in said for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"))
    assert "Domain" not in said
