"""Looking after people, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from plugin_host.access.members import roles_of
from plugin_host.auth.tables import User
from plugin_host.core.accounts import show_users

pytestmark = pytest.mark.anyio
GOOD = "four plain words here"
OTHER = "five other words are here"


@pytest.fixture
async def admin(site: Any) -> str:
    """Sign in the browser of the site's administrator, and give their id."""
    user_id: str = await site.add("ada", GOOD, "core.admin")
    await site.login("ada")
    return user_id


def code_of(answer: Any) -> str:
    return str(answer.json()["type"]).removeprefix("urn:plugin-host:problem:")


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


async def add(site: Any, **said: Any) -> Any:
    return await site.client.post("/users", json={"username": "ann", "password": GOOD, **said})


@pytest.mark.usefixtures("admin")
async def test_a_person_is_added_with_names_and_roles(site: Any) -> None:
    answer = await add(
        site, display="Ann Example", email="ann@example.org", roles=["contacts.viewer", "contacts.editor"]
    )
    body = answer.json()
    assert (answer.status_code, body.pop("id") != "") == (201, True)
    assert body == {
        "username": "ann",
        "display": "Ann Example",
        "email": "ann@example.org",
        "status": "active",
        "roles": ["contacts.editor", "contacts.viewer"],
        "groups": [],
    }


@pytest.mark.usefixtures("admin")
async def test_who_was_added_can_sign_in(site: Any) -> None:
    await add(site)
    assert (await site.login("ann")).status_code == 200


@pytest.mark.usefixtures("admin")
async def test_a_name_is_given_once(site: Any) -> None:
    await add(site)
    answer = await add(site, username="ANN")
    assert (answer.status_code, code_of(answer), pointers(answer)) == (409, "username_taken", ["/username"])


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"username": ""}, "/username"),
        ({"email": "nobody"}, "/email"),
        ({"display": " "}, "/display"),
        ({"password": "short"}, "/password"),
        ({"kind": "service"}, "/password"),
        ({"roles": ["contacts.viewer", "contacts.boss"]}, "/roles/1"),
    ],
)
async def test_a_person_with_a_fault_is_not_added(site: Any, said: dict[str, Any], pointer: str) -> None:
    answer = await add(site, **said)
    assert (answer.status_code, pointers(answer)) == (422, [pointer])
    assert await site.people.credentials("ann") is None


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize("said", [{"id": "7"}, {"status": "disabled"}, {"password_hash": "x"}])
async def test_a_field_that_is_not_offered_is_refused(site: Any, said: dict[str, Any]) -> None:
    assert (await add(site, **said)).status_code == 422


async def test_people_are_listed_by_name_with_their_roles(site: Any, admin: str) -> None:
    await site.add("Zoe")
    ann = await site.add("ann", GOOD, "contacts.editor", "contacts.viewer")
    body = (await site.client.get("/users", params={"limit": 2})).json()
    assert [(row["id"], row["roles"]) for row in body["items"]] == [
        (admin, ["core.admin"]),
        (ann, ["contacts.editor", "contacts.viewer"]),
    ]
    rest = (await site.client.get("/users", params={"limit": 2, "cursor": body["next"]})).json()
    assert ([row["username"] for row in rest["items"]], rest["next"]) == (["Zoe"], None)


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize("query", [{"q": "zo"}, {"status": "active", "sort": "-username", "limit": "1"}])
async def test_the_list_is_searched_filtered_and_sorted(site: Any, query: dict[str, str]) -> None:
    await site.add("Zoe")
    body = (await site.client.get("/users", params=query)).json()
    assert [row["username"] for row in body["items"]] == ["Zoe"]


@pytest.mark.usefixtures("admin")
async def test_no_answer_tells_a_hash(site: Any) -> None:
    user_id = await site.add("ann")
    answers = [await site.client.get(path) for path in ("/users", f"/users/{user_id}", "/auth/me")]
    assert not any("argon2" in answer.text or "password" in answer.text for answer in answers)


async def test_one_person_is_shown(site: Any, admin: str) -> None:
    assert (await site.client.get(f"/users/{admin}")).json()["username"] == "ada"


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/users/nobody", None),
        ("PATCH", "/users/nobody", {"display": "x"}),
        ("PATCH", "/users/nobody", {"password": OTHER}),
        ("DELETE", "/users/nobody", None),
        ("PUT", "/users/nobody/roles", {"roles": []}),
    ],
)
async def test_who_does_not_exist_is_not_found(site: Any, method: str, path: str, body: Any) -> None:
    answer = await site.client.request(method, path, json=body)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"display": "Ann E."}, ("Ann E.", "ann@example.org")),
        ({"email": None}, ("Ann", None)),
        ({"email": "a@example.org", "display": "A"}, ("A", "a@example.org")),
        ({}, ("Ann", "ann@example.org")),
    ],
)
async def test_only_what_is_said_changes(site: Any, said: dict[str, Any], names: tuple[str, str | None]) -> None:
    user_id = (await add(site, display="Ann", email="ann@example.org")).json()["id"]
    body = (await site.client.patch(f"/users/{user_id}", json=said)).json()
    assert (body["display"], body["email"]) == names


async def test_a_new_name_shows_at_the_next_request(site: Any, admin: str) -> None:
    await site.client.patch(f"/users/{admin}", json={"display": "Ada L."})
    assert (await site.client.get("/auth/me")).json()["user"]["display"] == "Ada L."


@pytest.mark.usefixtures("admin")
async def test_who_is_disabled_is_out_at_once_and_stays_out_when_enabled(site: Any) -> None:
    user_id = await site.add("ann")
    async with site.browser() as hers:
        await hers.post("/auth/login", json={"username": "ann", "password": GOOD})
        await site.client.patch(f"/users/{user_id}", json={"status": "disabled"})
        disabled = await hers.get("/auth/me")
        await site.client.patch(f"/users/{user_id}", json={"status": "active"})
        enabled = await hers.get("/auth/me")
    assert (disabled.status_code, enabled.status_code) == (401, 401)
    assert (await site.login("ann")).status_code == 200


async def test_nobody_disables_or_deletes_themselves(site: Any, admin: str) -> None:
    await site.add("bob", GOOD, "core.admin")
    disable = await site.client.patch(f"/users/{admin}", json={"status": "disabled"})
    delete = await site.client.delete(f"/users/{admin}")
    assert [(each.status_code, code_of(each)) for each in (disable, delete)] == [(409, "own_account")] * 2


@pytest.fixture
async def lone_admin(site: Any) -> str:
    """Sign in a helper who may look after people; the only administrator who can sign in is another."""
    gone = await site.add("bob", GOOD, "core.admin")
    lone: str = await site.add("ada", GOOD, "core.admin")
    await site.add("eve")
    await site.login("eve")
    await site.client.patch(f"/users/{gone}", json={"status": "disabled"})
    return lone


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/{id}", {"status": "disabled"}),
        ("DELETE", "/users/{id}", None),
        ("PUT", "/users/{id}/roles", {"roles": ["contacts.viewer"]}),
    ],
)
async def test_an_administrator_is_beyond_those_who_hold_less(
    site: Any, lone_admin: str, method: str, path: str, body: Any
) -> None:
    answer = await site.client.request(method, path.format(id=lone_admin), json=body)
    assert (answer.status_code, code_of(answer)) == (403, "beyond_own_rights")
    assert (await site.login("ada")).status_code == 200


async def test_with_another_one_an_administrator_can_go(site: Any, admin: str) -> None:
    other = await site.add("bob", GOOD, "core.admin")
    assert (await site.client.put(f"/users/{other}/roles", json={"roles": []})).json()["roles"] == []
    assert (await site.client.get(f"/users/{admin}")).status_code == 200


@pytest.mark.usefixtures("admin")
async def test_who_is_deleted_is_gone_with_roles_and_sessions(site: Any) -> None:
    user_id = await site.add("ann", GOOD, "contacts.editor")
    async with site.browser() as hers:
        await hers.post("/auth/login", json={"username": "ann", "password": GOOD})
        answer = await site.client.delete(f"/users/{user_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await hers.get("/auth/me")).status_code == 401
    assert (await site.client.get(f"/users/{user_id}")).status_code == 404
    unit = site.database.unit(write=False)
    assert await roles_of(await unit.session.connection(), user_id) == ()
    await unit.close()


@pytest.mark.usefixtures("admin")
async def test_a_new_password_ends_the_sessions_of_the_old(site: Any) -> None:
    user_id = await site.add("ann")
    async with site.browser() as hers:
        await hers.post("/auth/login", json={"username": "ann", "password": GOOD})
        await site.client.patch(f"/users/{user_id}", json={"password": OTHER})
        assert (await hers.get("/auth/me")).status_code == 401
    assert [(await site.login("ann", word)).status_code for word in (GOOD, OTHER)] == [401, 200]


async def test_a_new_password_of_one_s_own_leaves_the_session_that_asks(site: Any, admin: str) -> None:
    await site.client.patch(f"/users/{admin}", json={"password": OTHER})
    assert (await site.client.get("/auth/me")).status_code == 200


async def test_a_weak_new_password_is_refused(site: Any, admin: str) -> None:
    answer = await site.client.patch(f"/users/{admin}", json={"password": "ada"})
    assert (answer.status_code, code_of(answer)) == (422, "weak_password")


@pytest.mark.usefixtures("admin")
async def test_roles_are_replaced_and_hold_at_once(site: Any) -> None:
    user_id = await site.add("ann", GOOD, "contacts.editor")
    async with site.browser() as hers:
        await hers.post("/auth/login", json={"username": "ann", "password": GOOD})
        await hers.get("/auth/me")
        answer = await site.client.put(f"/users/{user_id}/roles", json={"roles": ["contacts.viewer"]})
        mine = (await hers.get("/auth/me")).json()["roles"]
    assert (answer.status_code, answer.json()["roles"], mine) == (200, ["contacts.viewer"], ["contacts.viewer"])


async def test_an_administrator_may_be_given_more(site: Any, admin: str) -> None:
    answer = await site.client.put(f"/users/{admin}/roles", json={"roles": ["core.admin", "contacts.editor"]})
    assert (answer.status_code, answer.json()["roles"]) == (200, ["contacts.editor", "core.admin"])


async def test_commands_show_people_as_the_api_does(site: Any, admin: str) -> None:
    unit = site.database.unit(write=False)
    shown = await show_users(unit.session, [await unit.session.get_one(User, admin)])
    await unit.close()
    assert shown == (await site.client.get("/users")).json()["items"]


@pytest.mark.usefixtures("admin")
async def test_an_unknown_role_is_given_to_nobody(site: Any) -> None:
    user_id = await site.add("ann", GOOD, "contacts.editor")
    answer = await site.client.put(f"/users/{user_id}/roles", json={"roles": ["contacts.boss"]})
    shown = await site.client.get(f"/users/{user_id}")
    assert (answer.status_code, pointers(answer)) == (422, ["/roles/0"])
    assert shown.json()["roles"] == ["contacts.editor"]


@pytest.mark.usefixtures("admin")
async def test_a_role_of_a_parked_plugin_can_stay(site: Any) -> None:
    user_id = await site.add("ann", GOOD, "invoicing.clerk")
    answer = await site.client.put(f"/users/{user_id}/roles", json={"roles": ["invoicing.clerk", "contacts.viewer"]})
    assert answer.json()["roles"] == ["contacts.viewer", "invoicing.clerk"]
