"""One's own account over HTTP: passwords, links, second factors, and proving again who one is."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import pyotp
import pytest
from sqlalchemy import select, text, update

from plugin_host.auth.tables import Session, User

pytestmark = pytest.mark.anyio
GOOD = "four plain words here"
BETTER = "five rather plain words here"


def code_of(answer: Any) -> str:
    return str(answer.json()["type"]).removeprefix("urn:plugin-host:problem:")


def token_of(url: str) -> str:
    return url.partition("#")[2]


async def run(site: Any, statement: Any) -> Any:
    unit = site.database.unit()
    try:
        result = await unit.session.execute(statement)
        await unit.commit()
    finally:
        await unit.close()
    return result


async def sign_in(site: Any, browser: Any, password: str = GOOD, **said: Any) -> Any:
    return await browser.post("/auth/login", json={"username": "ann", "password": password, **said})


# -- changing the password -------------------------------------------------------------------------------


async def test_a_new_password_ends_every_other_session_and_renews_this_one(site: Any) -> None:  # A13
    await site.add("ann")
    await site.login("ann")
    before = site.client.cookies["ph_session"]
    async with site.browser() as other:
        await sign_in(site, other)
        answer = await site.client.post("/auth/password", json={"password": GOOD, "new_password": BETTER})
        after = site.client.cookies["ph_session"]
        seen = [(await each.get("/auth/me")).status_code for each in (site.client, other)]
        replayed = await other.get("/auth/me", headers={"cookie": f"ph_session={before}"})
        old, new = await sign_in(site, other), await sign_in(site, other, BETTER)
    assert (answer.status_code, before != after, seen) == (204, True, [200, 401])
    assert (replayed.status_code, old.status_code, new.status_code) == (401, 401, 200)


async def test_a_new_password_needs_the_old_one(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    answer = await site.client.post("/auth/password", json={"password": "wrong", "new_password": BETTER})
    assert (answer.status_code, code_of(answer)) == (401, "invalid_credentials")


@pytest.mark.parametrize("new", [GOOD, "short", "password1234567"])
async def test_a_bad_new_password_is_refused(site: Any, new: str) -> None:
    await site.add("ann")
    await site.login("ann")
    answer = await site.client.post("/auth/password", json={"password": GOOD, "new_password": new})
    assert answer.status_code == 422


# -- forgotten -------------------------------------------------------------------------------------------


async def test_a_letter_brings_a_link_that_works_once(site: Any) -> None:  # A14, A15
    site.mail.set_up = True
    user_id = await site.add("ann")
    await run(site, update(User).where(User.id == user_id).values(email="ann@example.org"))
    known = await site.client.post("/auth/password/forgot", json={"username": "Ann@example.org"})
    unknown = await site.client.post("/auth/password/forgot", json={"username": "nobody"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (202, b"{}")
    ((to, _subject, letter),) = site.mail.sent
    token = token_of(letter.split()[-1])
    bodies = [{"token": token, "password": BETTER}, {"token": token, "password": BETTER}]
    answers = [await site.client.post("/auth/password/reset", json=body) for body in bodies]
    assert (to, [answer.status_code for answer in answers]) == ("ann@example.org", [204, 400])
    assert code_of(answers[1]) == "invalid_token"
    assert (await sign_in(site, site.client, BETTER)).status_code == 200


@pytest.mark.parametrize("why", ["late", "changed", "disabled", "made up"])
async def test_a_link_that_has_ended_is_refused(site: Any, clock: Any, why: str) -> None:  # A15
    site.mail.set_up = True
    user_id = await site.add("ann")
    await run(site, update(User).where(User.id == user_id).values(email="ann@example.org"))
    await site.client.post("/auth/password/forgot", json={"username": "ann"})
    token = token_of(site.mail.sent[0][2].split()[-1])
    if why == "late":
        clock.forward(minutes=31)
    elif why == "changed":
        await site.login("ann")
        await site.client.post("/auth/password", json={"password": GOOD, "new_password": BETTER})
    elif why == "disabled":
        await run(site, update(User).values(status="disabled"))
    else:
        token = "phl_" + "x" * 43
    answer = await site.client.post("/auth/password/reset", json={"token": token, "password": BETTER + "!"})
    assert (answer.status_code, code_of(answer)) == (400, "invalid_token")


async def test_three_letters_an_hour_are_enough(site: Any) -> None:  # A14
    answers = [await site.client.post("/auth/password/forgot", json={"username": "ann"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 202, 429]


async def test_the_link_leads_to_the_public_address(site: Any) -> None:  # A16
    site.mail.set_up = True
    await run(site, update(User).where(User.id == await site.add("ann")).values(email="ann@example.org"))
    await site.client.post("/auth/password/forgot", json={"username": "ann"}, headers={"host": "evil.test"})
    assert "evil" not in site.mail.sent[0][2]
    assert "http://127.0.0.1:8000/login/reset#phl_" in site.mail.sent[0][2]


# -- invitations -----------------------------------------------------------------------------------------


@pytest.fixture
async def admin(site: Any) -> None:
    await site.add("root", GOOD, "core.admin")
    await site.login("root")


@pytest.mark.usefixtures("admin")
async def test_who_is_added_without_a_password_is_invited(site: Any) -> None:
    made = (await site.client.post("/users", json={"username": "ann"})).json()
    url = made["invitation"]["url"]
    assert (made["invitation"]["mailed"], "/login/invitation#" in url) == (False, True)
    async with site.browser() as other:
        early = await sign_in(site, other)
        body = {"token": token_of(url), "password": GOOD, "display": "Ann Example"}
        accepted = await other.post("/auth/invitation", json=body)
        late = await sign_in(site, other)
        again = await other.post("/auth/invitation", json=body)
    assert [answer.status_code for answer in (early, accepted, late, again)] == [401, 200, 200, 400]
    assert accepted.json()["user"]["display"] == "Ann Example"


@pytest.mark.usefixtures("admin")
async def test_an_invitation_is_mailed_where_mail_is_set_up(site: Any) -> None:
    site.mail.set_up = True
    body = {"username": "ann", "email": "ann@example.org"}
    made = (await site.client.post("/users", json=body)).json()
    assert made["invitation"]["mailed"]
    assert made["invitation"]["url"] in site.mail.sent[0][2]


@pytest.mark.usefixtures("admin")
async def test_a_new_invitation_voids_the_old_one(site: Any) -> None:
    made = (await site.client.post("/users", json={"username": "ann"})).json()
    again = (await site.client.post(f"/users/{made['id']}/invitation")).json()
    bodies = [{"token": token_of(url), "password": GOOD} for url in (made["invitation"]["url"], again["url"])]
    answers = [await site.client.post("/auth/invitation", json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [400, 200]


@pytest.mark.usefixtures("admin")
async def test_a_machine_has_no_password_and_no_invitation(site: Any) -> None:
    made = (await site.client.post("/users", json={"username": "robot", "kind": "service"})).json()
    asked = await site.client.post(f"/users/{made['id']}/reset")
    given = await site.client.patch(f"/users/{made['id']}", json={"password": GOOD})
    assert (made["kind"], "invitation" in made) == ("service", False)
    assert [(answer.status_code, code_of(answer)) for answer in (asked, given)] == [(409, "no_sign_in")] * 2


# -- waits -----------------------------------------------------------------------------------------------


async def test_the_sixth_failure_waits_also_with_the_right_password(site: Any, clock: Any) -> None:  # A03, A06
    await site.add("ann")
    async with site.browser() as other:
        answers = []
        for number in range(6):
            headers = {"x-forwarded-for": f"10.0.0.{number}"}
            body = {"username": "ann", "password": "wrong"}
            answers.append(await other.post("/auth/login", json=body, headers=headers))
        right = await sign_in(site, other)
        clock.forward(seconds=61)
        later = await sign_in(site, other)
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert (code_of(answers[5]), answers[5].headers["retry-after"]) == ("too_many_attempts", "60")
    assert (right.status_code, later.status_code) == (429, 200)


async def test_a_browser_that_is_known_does_not_wait_for_others(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    async with site.browser() as stranger:
        for _ in range(6):
            await sign_in(site, stranger, "wrong")
        assert (await sign_in(site, stranger)).status_code == 429
    assert (await sign_in(site, site.client)).status_code == 200


# -- the second factor -----------------------------------------------------------------------------------


async def enrol(site: Any, clock: Any) -> tuple[pyotp.TOTP, list[str]]:
    await site.add("ann")
    await site.login("ann")
    seed = (await site.client.post("/auth/mfa/totp")).json()
    totp = pyotp.parse_uri(seed["uri"])
    assert isinstance(totp, pyotp.TOTP)
    answer = await site.client.post("/auth/mfa/totp/confirm", json={"otp": totp.at(int(clock.now))})
    assert answer.status_code == 200, answer.text
    clock.forward(seconds=60)
    return totp, answer.json()["recovery_codes"]


async def test_a_second_factor_is_asked_for_and_works_once(site: Any, clock: Any) -> None:
    totp, _ = await enrol(site, clock)
    code = totp.at(int(clock.now))
    async with site.browser() as other:
        without = await sign_in(site, other)
        wrong = await sign_in(site, other, otp="000000" if code != "000000" else "111111")
        right = await sign_in(site, other, otp=code)
        again = await sign_in(site, other, otp=code)
    assert [answer.status_code for answer in (without, wrong, right, again)] == [401, 401, 200, 401]
    assert [code_of(answer) for answer in (without, wrong, again)] == ["otp_required", "invalid_otp", "invalid_otp"]


async def test_a_code_says_nothing_to_whoever_has_not_the_password(site: Any, clock: Any) -> None:
    totp, _ = await enrol(site, clock)
    async with site.browser() as other:
        answer = await sign_in(site, other, "wrong", otp=totp.at(int(clock.now)))
    assert code_of(answer) == "invalid_credentials"


async def test_codes_cannot_be_guessed(site: Any, clock: Any) -> None:
    await enrol(site, clock)
    async with site.browser() as other:
        answers = [await sign_in(site, other, otp=f"{number:06}") for number in range(7)]
    assert answers[-1].status_code == 429


async def test_a_recovery_code_works_once_however_it_is_written(site: Any, clock: Any) -> None:
    _, codes = await enrol(site, clock)
    async with site.browser() as other:
        first = await sign_in(site, other, otp=codes[0].lower().replace("-", " "))
        second = await sign_in(site, other, otp=codes[0])
        left = (await other.get("/auth/mfa")).json()
    assert (len(set(codes)), first.status_code, second.status_code) == (10, 200, 401)
    assert left == {"enabled": True, "required": False, "recovery_codes": 9}


async def test_the_session_is_renewed_and_others_end_when_a_factor_is_added(site: Any, clock: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    before = site.client.cookies["ph_session"]
    async with site.browser() as other:
        await sign_in(site, other)
        seed = (await site.client.post("/auth/mfa/totp")).json()
        code = pyotp.TOTP(seed["secret"]).at(int(clock.now))
        await site.client.post("/auth/mfa/totp/confirm", json={"otp": code})
        seen = [(await each.get("/auth/me")).status_code for each in (site.client, other)]
    assert (site.client.cookies["ph_session"] != before, seen) == (True, [200, 401])


async def test_a_reset_does_not_take_the_second_factor_away(site: Any, clock: Any) -> None:  # A17
    site.mail.set_up = True
    totp, _ = await enrol(site, clock)
    await run(site, update(User).values(email="ann@example.org"))
    await site.client.post("/auth/password/forgot", json={"username": "ann"})
    token = token_of(site.mail.sent[-1][2].split()[-1])
    await site.client.post("/auth/password/reset", json={"token": token, "password": BETTER})
    async with site.browser() as other:
        without = await sign_in(site, other, BETTER)
        right = await sign_in(site, other, BETTER, otp=totp.at(int(clock.now)))
    assert (code_of(without), right.status_code) == ("otp_required", 200)


async def test_a_second_factor_is_taken_away_by_its_owner(site: Any, clock: Any) -> None:
    await enrol(site, clock)
    answer = await site.client.delete("/auth/mfa/totp")
    async with site.browser() as other:
        assert (answer.status_code, (await sign_in(site, other)).status_code) == (204, 200)


async def test_a_wrong_code_confirms_nothing(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    early = await site.client.post("/auth/mfa/totp/confirm", json={"otp": "123456"})
    await site.client.post("/auth/mfa/totp")
    wrong = await site.client.post("/auth/mfa/totp/confirm", json={"otp": "letters"})
    assert (early.status_code, code_of(early), wrong.status_code) == (409, "mfa_not_begun", 422)
    assert not (await site.client.get("/auth/mfa")).json()["enabled"]


# -- proving again ---------------------------------------------------------------------------------------


async def test_what_is_dangerous_asks_again_who_one_is(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    await run(site, update(Session).values(authenticated_at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)))
    await run(site, text("UPDATE core_revision SET auth = auth + 1"))
    before = site.client.cookies["ph_session"]
    stale = await site.client.post("/auth/tokens", json={"name": "x"})
    wrong = await site.client.post("/auth/reauthenticate", json={"password": "wrong"})
    right = await site.client.post("/auth/reauthenticate", json={"password": GOOD})
    fresh = await site.client.post("/auth/tokens", json={"name": "x"})
    assert (stale.status_code, code_of(stale)) == (403, "reauthentication_required")
    assert [answer.status_code for answer in (wrong, right, fresh)] == [401, 200, 201]
    assert site.client.cookies["ph_session"] != before


async def test_nothing_secret_is_logged(site: Any, clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    totp, codes = await enrol(site, clock)
    made = (await site.client.post("/auth/tokens", json={"name": "x"})).json()["token"]
    app = (await sign_in(site, site.browser(), client="app", otp=codes[0])).json()
    await site.login("ann", "a wrong password of mine")
    device = site.client.cookies["ph_device"]
    used = [
        GOOD,
        made,
        device,
        *codes,
        *app.values(),
        totp.secret,
        site.client.cookies["ph_session"],
        "a wrong password",
    ]
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("plugin_host"))
    assert [secret for secret in used if isinstance(secret, str) and len(secret) > 8 and secret in said] == []


async def test_every_step_is_written_down_and_nothing_secret(site: Any, clock: Any) -> None:
    from plugin_host.audit.tables import AuditEntry

    totp, codes = await enrol(site, clock)
    await site.login("ann", "a wrong password of mine")
    made = (await site.client.post("/auth/tokens", json={"name": "x"})).json()["token"]
    await site.auditing.write()
    rows = (await run(site, select(AuditEntry.__table__))).mappings().all()
    said = [(row["action"], row["outcome"]) for row in rows]
    assert said == [
        ("core.session.begun", "done"),
        ("core.mfa.added", "done"),
        ("core.token.created", "done"),
        ("core.session.refused", "refused"),
    ]
    kept = "\n".join(str(dict(row)) for row in rows)
    assert [secret for secret in (made, totp.secret, *codes, GOOD, "a wrong password") if secret in kept] == []
