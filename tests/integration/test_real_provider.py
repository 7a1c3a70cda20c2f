"""Signing in against a real, certified provider: npm's `oidc-provider`, in a process of its own on loopback."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from sqlalchemy import select

from plugin_host import PluginHost, Settings
from plugin_host.audit.tables import AuditEntry
from plugin_host.settings.auth import Auth
from plugin_host.settings.oidc import IdentityProvider

from .conftest import client, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent / "oidc_provider"
ALGORITHMS = ("rs256", "es256", "eddsa")
PROPER = {"rs256": "RS256", "es256": "ES256", "eddsa": "EdDSA"}


@pytest.fixture(scope="module")
def issuer(oidc_provider: Path) -> Iterator[str]:
    """Start the provider."""
    process = subprocess.Popen(
        [shutil.which("node") or "node", str(HERE / "provider.mjs"), str(oidc_provider)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        found = re.match(r"listening (\S+)", process.stdout.readline() if process.stdout else "")
        assert found, "the provider did not start"
        yield found[1]
    finally:
        process.kill()
        process.communicate(timeout=20)


@asynccontextmanager
async def hosting(tmp_path: Path, issuer: str, **said: Any) -> AsyncIterator[PluginHost]:
    providers = {
        name: IdentityProvider(
            issuer=issuer,
            client_id=f"host-{PROPER[name]}",
            client_secret="a secret of tests",
            role_map={"staff": "contacts.viewer"},
            auto_create=True,
            **said,
        )
        for name in ALGORITHMS
    }
    url = f"sqlite:///{tmp_path / 'data' / 'host.db'}"
    async with running(
        PluginHost(Settings(data_dir=str(tmp_path / "data"), database=url, auth=Auth(oidc=providers)))
    ) as host:
        yield host


@pytest.fixture
async def host(tmp_path: Path, issuer: str) -> AsyncIterator[PluginHost]:
    async with hosting(tmp_path, issuer) as host:
        yield host


async def start(browser: httpx.AsyncClient, name: str) -> str:
    answer = await browser.get(f"/api/core/auth/oidc/{name}/start")
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def agree(address: str, person: str) -> dict[str, str]:
    """Do at the provider what a person does there; gives what it sends back to the host."""
    async with httpx.AsyncClient() as browser:
        for _ in range(12):
            answer = await browser.get(address)
            while answer.is_redirect:
                address = urljoin(str(answer.url), answer.headers["location"])
                if "/api/core/auth/oidc/" in address:
                    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
                answer = await browser.get(address)
            form = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert form is not None, answer.text[:500]
            assert prompt is not None, answer.text[:500]
            said = {"prompt": prompt[1], "login": person, "password": "anything"}
            sent = await browser.post(urljoin(str(answer.url), form[1]), data=said)
            address = urljoin(str(sent.url), sent.headers["location"])
    return pytest.fail("the provider asks and asks")


async def come_back(browser: httpx.AsyncClient, name: str, answer: dict[str, str]) -> httpx.Response:
    return await browser.get(f"/api/core/auth/oidc/{name}/callback", params=answer)


async def sign_in(browser: httpx.AsyncClient, name: str, person: str = "ann") -> httpx.Response:
    return await come_back(browser, name, await agree(await start(browser, name), person))


@pytest.mark.parametrize("name", ALGORITHMS)
async def test_f01_people_sign_in_whatever_the_provider_signs_with(host: PluginHost, name: str) -> None:
    async with client(host) as browser:
        answer = await sign_in(browser, name)
        assert (answer.status_code, answer.headers["location"]) == (302, "/"), answer.text
        me = (await browser.get("/api/core/auth/me")).json()
    assert (me["user"]["username"], me["user"]["email"]) == ("ann", "ann@example.test")
    assert me["roles"] == ["contacts.viewer"]


@pytest.mark.security
async def test_replay_and_mix_up(host: PluginHost) -> None:
    async with client(host) as browser, client(host) as thief:
        answer = await agree(await start(browser, "es256"), "ann")
        sealed = browser.cookies["ph_oidc"]
        assert (await come_back(thief, "es256", answer)).status_code == 400  # another browser
        assert (await come_back(browser, "rs256", answer)).status_code == 400  # as if of another provider
        assert (await come_back(browser, "es256", {**answer, "iss": "https://evil.test"})).status_code == 400
        # The state is spent by that: the code, though it is still good at the provider, is worth nothing here.
        assert (await come_back(browser, "es256", answer)).status_code == 400
        thief.cookies.set("ph_oidc", sealed)
        assert (await come_back(thief, "es256", answer)).status_code == 400
        assert (await sign_in(browser, "es256")).status_code == 302


@pytest.mark.security
async def test_f08_an_answer_without_the_providers_name_is_refused(host: PluginHost) -> None:
    async with client(host) as browser:
        answer = await agree(await start(browser, "es256"), "ann")
        assert answer.pop("iss")
        assert (await come_back(browser, "es256", answer)).status_code == 400


@pytest.mark.security
async def test_f03_the_code_of_somebody_else_is_refused(host: PluginHost) -> None:
    async with client(host) as browser, client(host) as mallory:
        theirs = await agree(await start(mallory, "es256"), "mallory")
        mine = await agree(await start(browser, "es256"), "ann")
        assert (await come_back(browser, "es256", {**mine, "code": theirs["code"]})).status_code == 400
        assert (await browser.get("/api/core/auth/me")).status_code == 401


@pytest.mark.security
async def test_f10_keys_change_with_and_without_an_overlap(
    host: PluginHost, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugin_host.auth.oidc.keys.COOLDOWN", 0.0)
    async with client(host) as browser, httpx.AsyncClient(base_url=issuer) as control:
        assert (await sign_in(browser, "eddsa")).status_code == 302
        for how in ("", "?drop"):
            await control.post(f"/test/rotate{how}")
            assert (await sign_in(browser, "eddsa", "bob")).status_code == 302


@pytest.mark.security
async def test_a_wrong_secret_signs_nobody_in(host: PluginHost, tmp_path: Path, issuer: str) -> None:
    host.core.providers._settings = {
        "es256": IdentityProvider(issuer=issuer, client_id="host-ES256", client_secret="another", auto_create=True)
    }
    async with client(host) as browser:
        assert (await sign_in(browser, "es256")).status_code == 400


@pytest.mark.security
async def test_f09_a_provider_with_another_name_is_off_and_passwords_still_work(tmp_path: Path, issuer: str) -> None:
    async with hosting(tmp_path, f"{issuer}/") as host, client(host) as browser:
        answer = await browser.get("/api/core/auth/oidc/es256/start")
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:plugin-host:problem:provider_unavailable"
        said = {"username": "root", "password": "correct-horse-battery"}
        assert (await browser.post("/api/core/auth/login", json=said)).status_code == 200


@pytest.mark.security
async def test_nothing_secret_is_in_a_log(host: PluginHost, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        async with client(host) as browser:
            answer = await agree(await start(browser, "es256"), "ann")
            sealed = browser.cookies["ph_oidc"]
            assert (await come_back(browser, "es256", {**answer, "iss": "https://evil.test"})).status_code == 400
            good = await agree(await start(browser, "es256"), "ann")
            assert (await come_back(browser, "es256", good)).status_code == 302
            session = browser.cookies["ph_session"]
        await host.core.auditing.write()
    async with host.work() as work:
        kept = [f"{row.object} {row.detail}" for row in await work.db.scalars(select(AuditEntry))]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("plugin_host")]
    everything = "\n".join([*ours, *kept])
    secrets = ["a secret of tests", sealed, session, good["code"], answer["code"], good["state"], answer["state"]]
    assert [secret for secret in secrets if secret in everything] == []
