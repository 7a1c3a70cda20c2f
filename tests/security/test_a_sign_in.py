"""A: passwords, guessing them, and getting around them."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from plugin_host import PluginHost, Settings
from plugin_host.auth.tables import User

from .conftest import PASSWORD, Served, code

pytestmark = pytest.mark.security

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # making one takes longer than a request
LOGIN: Final = "/api/core/auth/login"
ME: Final = "/api/core/auth/me"
WRONG: Final = "a wrong password of somebody"
BETTER: Final = "five rather plain words here"


@asynccontextmanager
async def hosting(folder: Path) -> AsyncIterator[tuple[PluginHost, httpx.AsyncClient]]:
    """Run a host in this process, with somebody called ann."""
    loader = json.dumps(["contacts", "invoicing"])
    said = {"PLUGIN_HOST_DATA_DIR": str(folder / "d"), "PLUGIN_HOST_LOADER__DISABLED": loader}
    async with PluginHost(Settings.load(None, said)).lifespan() as host:
        await host.core.accounts.add("root", PASSWORD, roles=["core.admin"])
        await host.core.accounts.add("ann", PASSWORD)
        transport = httpx.ASGITransport(host.asgi, client=("10.1.1.1", 1))
        headers = {"sec-fetch-site": "same-origin"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as browser:
            yield host, browser


def body(answer: httpx.Response) -> dict[str, Any]:
    """Give the members of a problem, without the request's id."""
    return {key: value for key, value in answer.json().items() if key != "instance"}


@pytest.mark.anyio
async def test_a01_a_wrong_password_and_a_wrong_name_are_answered_alike_for_the_same_work(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (host, browser):
        hashed: list[object] = []
        matches = host.core.passwords.matches
        host.core.passwords.matches = lambda *known: hashed.append(known) or matches(*known)  # type: ignore[func-returns-value]
        known = await browser.post(LOGIN, json={"username": "ann", "password": WRONG})
        first = len(hashed)
        unknown = await browser.post(LOGIN, json={"username": "nobody", "password": WRONG})
    assert (known.status_code, body(known), set(known.headers)) == (401, body(unknown), set(unknown.headers))
    assert (first, len(hashed)) == (1, 2)


@pytest.mark.anyio
async def test_a02_who_is_disabled_or_gone_hears_no_more_than_anybody(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (host, browser):
        wrong = await browser.post(LOGIN, json={"username": "ann", "password": WRONG})
        async with host.work() as work:
            await work.db.execute(update(User).where(User.username == "ann").values(status="disabled"))
        disabled = await browser.post(LOGIN, json={"username": "ann", "password": PASSWORD})
        async with host.work() as work:
            await work.db.delete((await work.db.scalars(select(User).where(User.username == "ann"))).one())
        gone = await browser.post(LOGIN, json={"username": "ann", "password": PASSWORD})
    assert (wrong.status_code, body(wrong)) == (401, body(disabled))
    assert (gone.status_code, body(gone)) == (401, body(wrong))


def test_a03_after_five_failures_there_is_a_wait_also_for_the_right_password(served: Served) -> None:
    _, name = served.person()
    with served.client() as browser:
        answers = [browser.post(LOGIN, json={"username": name, "password": WRONG}) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        right = browser.post(LOGIN, json={"username": name, "password": PASSWORD})
    for answer in (answers[-1], right):
        assert code(answer) == (429, "too_many_attempts")
        assert 0 < int(answer.headers["retry-after"]) <= 900


@pytest.mark.anyio
async def test_a06_an_address_of_ones_own_choice_helps_nobody(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (_, browser):
        statuses = []
        for number in range(6):
            headers = {"x-forwarded-for": f"192.0.2.{number}", "forwarded": f"for=192.0.2.{number}"}
            said = {"username": "ann", "password": WRONG}
            statuses.append((await browser.post(LOGIN, json=said, headers=headers)).status_code)
    assert statuses == [401] * 5 + [429]


def test_a07_of_two_hundred_at_once_most_are_told_to_come_again(served: Served) -> None:
    async def crowd() -> tuple[list[httpx.Response], int]:
        limits = httpx.Limits(max_connections=300)
        headers = {"sec-fetch-site": "same-origin"}
        async with httpx.AsyncClient(
            base_url=served.address, headers=headers, limits=limits, timeout=60, verify=NO_TLS
        ) as many:

            async def one() -> httpx.Response:
                said = {"username": secrets.token_hex(6), "password": WRONG}
                own = {"x-forwarded-for": f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"}
                return await many.post(LOGIN, json=said, headers=own)

            tasks = [asyncio.create_task(one()) for _ in range(200)]
            await asyncio.sleep(0.05)
            meanwhile = (await many.get("/api/probe/open")).status_code
            return list(await asyncio.gather(*tasks)), meanwhile

    answers, meanwhile = asyncio.run(crowd())
    assert meanwhile == 200
    busy = [answer for answer in answers if answer.status_code == 503]
    assert busy
    assert {answer.status_code for answer in answers} == {401, 503}
    assert {code(answer) for answer in busy} == {(503, "busy")}
    assert all(answer.headers["retry-after"] for answer in busy)


def test_a08_passwords_are_taken_as_they_are_or_not_at_all(served: Served) -> None:
    with served.client() as browser:
        answer = browser.post(LOGIN, json={"username": "root", "password": "a" * 1025})
        assert code(answer) == (422, "invalid")
    odd = ["with a \x00 NUL in it", " " * 64, "\N{PILE OF POO}" * 12, "trailing spaces   ", "x" * 1024]
    with served.signed_in() as root:
        for password in odd:
            name = f"p{secrets.token_hex(5)}"
            made = root.post("/api/core/users", json={"username": name, "password": password})
            assert made.status_code == 201, made.text
            with served.client() as browser:
                assert browser.post(LOGIN, json={"username": name, "password": password}).status_code == 200
                cut = password[:-1]
                assert browser.post(LOGIN, json={"username": name, "password": cut}).status_code == 401


def test_a09_a_password_that_everybody_knows_is_refused_with_the_rule(served: Served) -> None:
    with served.signed_in() as root:
        for name, password in (
            ("annabella", "password1234567"),
            ("annabella", "annabella2024"),
            ("annabella", "plugin-host-1"),
            ("annabella", "short"),
        ):
            answer = root.post("/api/core/users", json={"username": name, "password": password})
            assert code(answer) == (422, "weak_password")
            assert re.match(r"[a-z_]+: ", answer.json()["errors"][0]["detail"])


@pytest.mark.anyio
async def test_a10_a_hash_of_older_costs_is_made_anew_at_the_next_sign_in(tmp_path: Path) -> None:
    old = PasswordHasher(1, 8192, 1).hash(PASSWORD)
    async with hosting(tmp_path) as (host, browser):
        seen = []
        async with host.work() as work:
            await work.db.execute(update(User).where(User.username == "ann").values(password_hash=old))
        for _ in range(2):
            said = {"username": "ann", "password": PASSWORD}
            assert (await browser.post(LOGIN, json=said)).status_code == 200
            async with host.work() as work:
                seen.append(await work.db.scalar(select(User.password_hash).where(User.username == "ann")))
    assert seen[0] != old
    assert "m=19456,t=2,p=1" in str(seen[0])
    assert seen[0] == seen[1]


def test_a13_a_new_password_ends_all_that_was_signed_in_with_the_old(served: Served) -> None:
    _, name = served.person()
    tokens = served.app(name)
    with served.signed_in(name) as other, served.signed_in(name) as browser:
        before = dict(browser.cookies)
        answer = browser.post("/api/core/auth/password", json={"password": PASSWORD, "new_password": BETTER})
        assert answer.status_code == 204
        assert browser.get(ME).status_code == 200
        assert dict(browser.cookies) != before
        assert other.get(ME).status_code == 401
    with served.bearer(tokens["access_token"]) as app:
        assert app.get(ME).status_code == 401
    with served.client() as caller:
        caller.cookies.update(before)
        assert caller.get(ME).status_code == 401
        said = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert caller.post("/api/core/auth/token", data=said).status_code == 400


def test_a14_asking_for_a_new_password_tells_nobody_who_is_there(served: Served) -> None:
    user_id, name = served.person()
    with served.signed_in() as root:
        assert root.patch(f"/api/core/users/{user_id}", json={"email": f"{name}@example.org"}).status_code == 200
    with served.client() as stranger:
        answers = [
            stranger.post("/api/core/auth/password/forgot", json={"username": each}) for each in (name, "nobody-at-all")
        ]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].content == answers[1].content
        assert set(answers[0].headers) == set(answers[1].headers)
        many = [stranger.post("/api/core/auth/password/forgot", json={"username": name}) for _ in range(4)]
    assert code(many[-1])[0] == 429
    with served.signed_in() as root:
        begun = root.get("/api/core/audit", params={"action": "core.user.reset_begun"}).json()["items"]
    assert user_id in str(begun)
    assert "nobody-at-all" not in str(begun)


@pytest.mark.anyio
async def test_a15_a_link_for_a_new_password_is_good_once_and_for_its_owner(tmp_path: Path) -> None:
    reset = "/api/core/auth/password/reset"
    async with hosting(tmp_path) as (host, browser):

        async def link() -> str:
            async with host.work() as work:
                user = (await work.db.scalars(select(User).where(User.username == "ann"))).one()
                return str((await host.core.credentials.links.make(work.db, "reset", user.id)).token)

        token = await link()
        said = {"token": token, "password": BETTER}
        assert (await browser.post(reset, json=said)).status_code == 204
        assert code(await browser.post(reset, json=said)) == (400, "invalid_token")
        older = await link()
        assert (await browser.post(reset, json={"token": await link(), "password": PASSWORD})).status_code == 204
        assert code(await browser.post(reset, json={"token": older, "password": BETTER})) == (400, "invalid_token")
        late = await link()
        clock = host.core.credentials.links._clock
        host.core.credentials.links._clock = lambda: clock() + 31 * 60
        assert code(await browser.post(reset, json={"token": late, "password": BETTER})) == (400, "invalid_token")
        assert code(await browser.post(reset, json={"token": "rubbish", "password": BETTER})) == (400, "invalid_token")
        assert (await browser.post(LOGIN, json={"username": "ann", "password": PASSWORD})).status_code == 200


def test_a16_another_host_name_is_in_no_letter(served: Served) -> None:
    raw, _ = served.talk(
        b"POST /api/core/auth/password/forgot HTTP/1.1\r\nHost: evil.test\r\nContent-Type: application/json\r\n"
        b'Content-Length: 20\r\n\r\n{"username": "root"}'
    )
    assert raw.startswith(b"HTTP/1.1 400")
    with served.client(**{"x-forwarded-host": "evil.test"}) as browser:
        assert code(browser.post("/api/core/auth/password/forgot", json={"username": "root"})) == (400, "bad_host")


@pytest.mark.anyio
async def test_a17_a_new_password_is_no_way_around_the_second_factor(tmp_path: Path) -> None:
    async with hosting(tmp_path) as (host, browser):
        assert (await browser.post(LOGIN, json={"username": "ann", "password": PASSWORD})).status_code == 200
        seed = (await browser.post("/api/core/auth/mfa/totp")).json()["secret"]
        otp = pyotp.TOTP(seed).now()
        assert (await browser.post("/api/core/auth/mfa/totp/confirm", json={"otp": otp})).status_code == 200
        async with host.work() as work:
            user = (await work.db.scalars(select(User).where(User.username == "ann"))).one()
            token = (await host.core.credentials.links.make(work.db, "reset", user.id)).token
        browser.cookies.clear()
        said = {"token": token, "password": BETTER}
        assert (await browser.post("/api/core/auth/password/reset", json=said)).status_code == 204
        answer = await browser.post(LOGIN, json={"username": "ann", "password": BETTER})
        assert code(answer) == (401, "otp_required")
