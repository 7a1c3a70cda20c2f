"""Setting up, signing in and out, over HTTP."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest
from sqlalchemy import func, select

from plugin_host.auth.passwords import Passwords
from plugin_host.auth.sessions import digest
from plugin_host.auth.tables import Session, User

pytestmark = pytest.mark.anyio
GOOD = "four plain words here"


class Watched(Passwords):
    """Counts the hashes that are compared."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_kib=64, threads=1)
        self.compared = 0

    def matches(self, known: str | None, password: bytes) -> bool:
        self.compared += 1
        return super().matches(known, password)


async def count(site: Any, model: Any) -> int:
    unit = site.database.unit(write=False)
    number: int = (await unit.session.execute(select(func.count()).select_from(model))).scalar_one()
    await unit.close()
    return number


def code_of(answer: Any) -> str:
    return str(answer.json()["type"]).removeprefix("urn:plugin-host:problem:")


# -- set-up ----------------------------------------------------------------------------------------------


async def set_up(site: Any, code: str, **said: str) -> Any:
    return await site.client.post("/setup", json={"code": code, "username": "ada", "password": GOOD, **said})


async def test_the_code_makes_an_administrator(site: Any) -> None:
    answer = await set_up(site, await site.setup.code())
    assert (answer.status_code, answer.json()["user"]["username"]) == (201, "ada")
    await site.login("ada")
    assert (await site.client.get("/auth/me")).json()["roles"] == ["core.admin"]


async def test_a_wrong_code_makes_nobody(site: Any) -> None:
    await site.setup.code()
    answer = await set_up(site, "AAAA-AAAA")
    assert (answer.status_code, code_of(answer), await count(site, User)) == (403, "wrong_code", 0)


async def test_five_wrong_codes_print_a_new_one(site: Any) -> None:
    old = await site.setup.code()
    for _ in range(5):
        await set_up(site, "AAAA-AAAA")
    assert (await set_up(site, old)).status_code == 403
    assert (await set_up(site, site.printed[0])).status_code == 201


async def test_afterwards_there_is_no_set_up(site: Any) -> None:
    code = await site.setup.code()
    await set_up(site, code)
    answer = await set_up(site, code, username="eve")
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


async def test_of_two_at_once_one_is_the_administrator(site: Any) -> None:
    code = await site.setup.code()
    answers = await asyncio.gather(set_up(site, code, username="ada"), set_up(site, code, username="bob"))
    assert sorted(answer.status_code for answer in answers) == [201, 404]
    assert await count(site, User) == 1


@pytest.mark.parametrize(("said", "code"), [({"password": "short"}, "weak_password"), ({"username": " "}, "invalid")])
async def test_a_mistake_spends_no_code(site: Any, said: dict[str, str], code: str) -> None:
    printed = await site.setup.code()
    answer = await set_up(site, printed, **said)
    assert (answer.status_code, code_of(answer)) == (422, code)
    assert (await set_up(site, printed)).status_code == 201


# -- signing in ------------------------------------------------------------------------------------------


async def test_signing_in_answers_the_person_and_a_cookie(site: Any) -> None:
    user_id = await site.add("ann")
    answer = await site.login("ANN")
    token = site.client.cookies["ph_session"]
    assert (answer.status_code, answer.json()) == (
        200,
        {"user": {"id": user_id, "username": "ann", "display": "ann"}},
    )
    cookies = answer.headers.get_list("set-cookie")
    assert cookies[0] == f"ph_session={token}; Path=/; HttpOnly; SameSite=Lax"
    assert cookies[1].startswith("ph_device=")


async def test_over_https_the_cookie_is_bound_to_this_host(site: Any) -> None:
    await site.add("ann")
    body = {"username": "ann", "password": GOOD, "client": "browser"}
    answer = await site.client.post("https://localhost/auth/login", json=body)
    name, _, rest = answer.headers.get_list("set-cookie")[0].partition("=")
    assert name == "__Host-ph_session"
    assert rest.split("; ")[1:] == ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"]


async def test_a_browser_is_what_signs_in_unless_said_otherwise(site: Any) -> None:
    await site.add("ann")
    answer = await site.client.post("/auth/login", json={"username": "ann", "password": GOOD, "otp": "123456"})
    assert answer.status_code == 200


async def test_an_application_gets_tokens_and_no_cookie(site: Any) -> None:
    await site.add("ann")
    answer = await site.client.post("/auth/login", json={"username": "ann", "password": GOOD, "client": "app"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
    assert set(answer.json()) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 600)


async def test_all_who_fail_are_told_the_same(site: Any) -> None:
    await site.add("ann")
    gone = await site.add("bob")
    unit = site.database.unit()
    user = await unit.session.get_one(User, gone)
    await site.people.set_status(unit.session, user, "disabled")
    await unit.commit()
    await unit.close()
    answers = [await site.login("ann", "wrong"), await site.login("nobody"), await site.login("bob")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(answer.headers) for answer in answers}) == 1
    assert code_of(answers[0]) == "invalid_credentials"


async def test_all_who_fail_cost_the_same_work(database: Any, clock: Any, site: Any, add_user: Any) -> None:
    watched = Watched()
    other = type(site)(database, clock, watched, site.settings)
    await add_user(database, "ann", await watched.hash(GOOD))
    await add_user(database, "bob", await watched.hash(GOOD), status="disabled")
    await add_user(database, "cid", None)
    for name in ("ann", "bob", "cid", "nobody"):
        await other.login(name, "wrong")
    await other.close()
    watched.close()
    assert watched.compared == 4


async def test_a_password_without_end_is_refused_unread(site: Any) -> None:
    answer = await site.login("ann", "x" * 1025)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")


@pytest.mark.parametrize("said", [{"role": "core.admin"}, {"client": "robot"}, {"username": None}])
async def test_what_login_does_not_know_is_refused(site: Any, said: dict[str, Any]) -> None:
    answer = await site.client.post("/auth/login", json={"username": "ann", "password": GOOD, **said})
    assert answer.status_code == 422


async def test_a_value_that_a_browser_brings_is_never_signed_in(site: Any) -> None:
    await site.add("ann")
    chosen = "x" * 43
    site.client.cookies.set("ph_session", chosen)
    answer = await site.login("ann")
    assert f"ph_session={chosen}" not in answer.headers["set-cookie"]
    unit = site.database.unit(write=False)
    assert digest(chosen.encode()) not in list(await unit.session.scalars(select(Session.hash)))
    await unit.close()


async def test_signing_in_again_ends_the_session_before(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    old = site.client.cookies["ph_session"]
    await site.login("ann")
    async with site.browser() as other:
        answer = await other.get("/auth/me", headers={"cookie": f"ph_session={old}"})
    assert (answer.status_code, await count(site, Session)) == (401, 1)


async def test_a_failed_sign_in_leaves_the_session_as_it_is(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    await site.login("ann", "wrong")
    assert (await site.client.get("/auth/me")).status_code == 200


async def test_an_older_hash_is_made_anew_once(database: Any, site: Any, add_user: Any) -> None:
    older = Passwords(time_cost=2, memory_kib=64, threads=1)
    hashed = await older.hash(GOOD)
    older.close()
    await add_user(database, "ann", hashed)
    await site.login("ann")
    first = await site.people.credentials("ann")
    await site.login("ann")
    second = await site.people.credentials("ann")
    assert first.password_hash != hashed
    assert first == second


async def test_who_is_disabled_while_the_password_is_verified_is_not_signed_in(
    database: Any, clock: Any, site: Any, add_user: Any
) -> None:
    class Slow(Passwords):
        """Meanwhile somebody else disables the account."""

        def matches(self, known: str | None, password: bytes) -> bool:
            with sqlite3.connect(database.path) as other_process:
                other_process.execute("UPDATE core_user SET status = 'disabled'")
            return super().matches(known, password)

    slow = Slow(time_cost=1, memory_kib=64, threads=1)
    other = type(site)(database, clock, slow, site.settings)
    await add_user(database, "ann", await slow.hash(GOOD))
    answer = await other.login("ann")
    await other.close()
    slow.close()
    assert (answer.status_code, await count(site, Session)) == (401, 0)


# -- me, and signing out ---------------------------------------------------------------------------------


async def test_me_tells_who_one_is_and_what_one_may_do(site: Any) -> None:
    user_id = await site.add("ann", GOOD, "contacts.viewer", "contacts.editor")
    await site.login("ann")
    assert (await site.client.get("/auth/me")).json() == {
        "user": {"id": user_id, "username": "ann", "display": "ann"},
        "permissions": ["contacts.editor.use", "contacts.viewer.use"],
        "roles": ["contacts.editor", "contacts.viewer"],
    }


async def test_me_is_for_those_who_signed_in(site: Any) -> None:
    assert (await site.client.get("/auth/me")).status_code == 401


async def test_signing_out_ends_the_session_and_the_cookie(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    token = site.client.cookies["ph_session"]
    answer = await site.client.post("/auth/logout")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["set-cookie"] == "ph_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    async with site.browser() as other:
        replayed = await other.get("/auth/me", headers={"cookie": f"ph_session={token}"})
    assert replayed.status_code == 401


async def test_who_came_without_a_session_has_none_to_end(site: Any) -> None:
    await site.add("ann")
    await site.login("ann")
    before = await count(site, Session)
    async with site.browser() as other:
        await other.post("/auth/logout")
    assert await count(site, Session) == before


# -- what the routes declare -----------------------------------------------------------------------------


PUBLIC = {
    ("POST", "/setup"),
    ("POST", "/auth/login"),
    ("POST", "/auth/password/forgot"),
    ("POST", "/auth/password/reset"),
    ("POST", "/auth/invitation"),
}


async def test_every_route_says_who_may_call_it(site: Any) -> None:
    said = {(min(h.http_methods), next(iter(h.paths))): h.opt["permission"] for h in site.handlers}
    rules = {"/auth/": "signed-in", "/users": "core.users.manage"}
    expected = {
        route: "public" if route in PUBLIC else next(need for path, need in rules.items() if route[1].startswith(path))
        for route in said
    }
    assert said == expected
    assert set(said) >= PUBLIC
