"""Roles, rules, grants and groups through the API: who may change what, what holds at once, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

pytestmark = pytest.mark.anyio

MINE = {"==": [{"row": "owner_id"}, {"actor": "id"}]}


BOTH = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
"""For what differs between databases; the rest is asked of SQLite."""


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty database."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'host.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[PluginHost]:
    async with running(PluginHost(settings)) as host:
        yield host


class Desk:
    """The administrator at work, and others beside."""

    def __init__(self, host: PluginHost, admin: httpx.AsyncClient, stack: AsyncExitStack) -> None:
        self.host = host
        self.admin = admin
        self._stack = stack

    async def person(self, name: str, *roles: str) -> tuple[httpx.AsyncClient, str]:
        browser = await self._stack.enter_async_context(signed_in(self.host, name, roles))
        return browser, str((await browser.get("/api/core/auth/me")).json()["user"]["id"])

    async def make(self, path: str, /, **body: Any) -> dict[str, Any]:
        answer = await self.admin.post(f"/api/core/{path}", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


@pytest.fixture
async def desk(host: PluginHost) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield Desk(host, await stack.enter_async_context(signed_in(host)), stack)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


# -- what holds at the next request -----------------------------------------------------------------------------


@BOTH
async def test_a_role_of_an_administrators_making(desk: Desk) -> None:
    browser, user = await desk.person("rolf")
    made = await desk.make("roles", name="Sales, EMEA", title="Sales", grants=[{"permission": "contacts.view"}])
    assert made["revision"] > 0
    assert (await browser.get("/api/contacts/people")).status_code == 403
    given = await desk.admin.put(f"/api/core/users/{user}/roles", json={"roles": ["Sales, EMEA"]})
    assert given.json()["roles"] == ["Sales, EMEA"]
    assert (await browser.get("/api/contacts/people")).status_code == 200
    changed = await desk.admin.patch("/api/core/roles/Sales, EMEA", json={"grants": []})
    assert changed.json()["revision"] == int(changed.headers["policy-revision"])
    assert (await browser.get("/api/contacts/people")).status_code == 403
    gone = await desk.admin.delete("/api/core/roles/Sales, EMEA")
    assert (gone.status_code, int(gone.headers["policy-revision"]) > made["revision"]) == (204, True)
    assert (await desk.admin.get(f"/api/core/users/{user}")).json()["roles"] == []


async def test_a_role_that_includes_others_gives_what_they_give(desk: Desk) -> None:
    browser, user = await desk.person("rolf")
    await desk.make("roles", name="inner", grants=[{"permission": "contacts.view"}])
    await desk.make("roles", name="outer", includes=["inner"])
    await desk.admin.patch("/api/core/roles/inner", json={"includes": ["outer"]})  # a circle
    await desk.admin.put(f"/api/core/users/{user}/roles", json={"roles": ["outer"]})
    assert (await browser.get("/api/contacts/people")).status_code == 200


@BOTH
async def test_a_group_gives_its_members_its_roles(desk: Desk) -> None:
    browser, user = await desk.person("rolf")
    group = await desk.make("groups", name='O"Brien, admin', members=[user], roles=["contacts.viewer"])
    assert (group["members"], group["roles"]) == ([user], ["contacts.viewer"])
    assert (await browser.get("/api/contacts/people")).status_code == 200
    assert (await desk.admin.get(f"/api/core/users/{user}")).json()["groups"] == [group["id"]]
    left = await desk.admin.patch(f"/api/core/groups/{group['id']}", json={"members": []})
    assert left.json()["members"] == []
    assert (await browser.get("/api/contacts/people")).status_code == 403
    assert (await desk.admin.delete(f"/api/core/groups/{group['id']}")).status_code == 204
    assert (await desk.admin.get(f"/api/core/groups/{group['id']}")).status_code == 404


async def test_a_rule_that_denies_beats_every_role(desk: Desk) -> None:
    browser, user = await desk.person("rolf", "contacts.editor")
    rule = await desk.make("rules", subject=f"user:{user}", permission="contacts.*", effect="deny")
    assert (await browser.get("/api/contacts/people")).status_code == 403
    await desk.admin.patch(f"/api/core/rules/{rule['id']}", json={"permission": "contacts.create"})
    assert (await browser.get("/api/contacts/people")).status_code == 200
    assert (await browser.post("/api/contacts/people", json={"name": "X"})).status_code == 403
    assert (await desk.admin.delete(f"/api/core/rules/{rule['id']}")).status_code == 204
    assert (await browser.post("/api/contacts/people", json={"name": "X"})).status_code == 201


async def test_a_rule_may_depend_on_the_row(desk: Desk) -> None:
    browser, user = await desk.person("rolf", "contacts.viewer")
    theirs = (await desk.admin.post("/api/contacts/people", json={"name": "Theirs"})).json()["id"]
    rule = await desk.make("rules", subject=f"user:{user}", permission="contacts.person.edit", where=MINE)
    assert rule["where"] == MINE
    path = f"/api/contacts/people/{theirs}"
    assert (await browser.patch(path, json={"name": "Mine"})).status_code == 403
    assert (await desk.admin.patch(path, json={"owner_id": user})).status_code == 200
    assert (await browser.patch(path, json={"name": "Mine"})).status_code == 200


@BOTH
async def test_a_grant_on_one_object(desk: Desk) -> None:
    browser, user = await desk.person("rolf", "contacts.viewer")
    one = (await desk.admin.post("/api/contacts/people", json={"name": "One"})).json()["id"]
    other = (await desk.admin.post("/api/contacts/people", json={"name": "Other"})).json()["id"]
    grant = await desk.make("grants", subject=f"user:{user}", permission="contacts.person.edit", object=one)
    assert (grant["effect"], grant["until"]) == ("allow", None)
    assert (await browser.patch(f"/api/contacts/people/{one}", json={"name": "1"})).status_code == 200
    assert (await browser.patch(f"/api/contacts/people/{other}", json={"name": "2"})).status_code == 403
    denied = await desk.admin.patch(f"/api/core/grants/{grant['id']}", json={"effect": "deny"})
    assert denied.json()["effect"] == "deny"
    assert (await browser.patch(f"/api/contacts/people/{one}", json={"name": "1"})).status_code == 403
    assert (await desk.admin.delete(f"/api/core/grants/{grant['id']}")).status_code == 204
    assert (await desk.admin.get("/api/core/grants")).json()["items"] == []


# -- nobody gives what they do not hold ---------------------------------------------------------------------------


async def manager(desk: Desk) -> tuple[httpx.AsyncClient, str]:
    """Sign somebody in who may manage people and access, and nothing else."""
    await desk.make(
        "roles",
        name="manager",
        grants=[{"permission": "core.users.manage"}, {"permission": "core.access.manage"}],
    )
    return await desk.person("mia", "manager")


@pytest.mark.security
async def test_a_manager_makes_nobody_an_administrator(desk: Desk) -> None:
    mia, own = await manager(desk)
    _, user = await desk.person("rolf")
    root = (await desk.admin.get("/api/core/auth/me")).json()["user"]["id"]
    group = await desk.make("groups", name="admins", roles=["core.admin"])
    rule = await desk.make("rules", subject="role:manager", permission="core.plugins.manage", effect="deny")
    person = (await desk.admin.post("/api/contacts/people", json={"name": "One"})).json()["id"]
    tries = [
        mia.put(f"/api/core/users/{own}/roles", json={"roles": ["manager", "core.admin"]}),
        mia.put(f"/api/core/users/{user}/roles", json={"roles": ["contacts.viewer"]}),
        mia.put(f"/api/core/users/{root}/roles", json={"roles": []}),
        mia.post("/api/core/users", json={"username": "eve", "password": "correct-horse", "roles": ["core.admin"]}),
        mia.patch(f"/api/core/users/{root}", json={"password": "correct-horse-battery-2"}),
        mia.patch(f"/api/core/users/{root}", json={"status": "disabled"}),
        mia.delete(f"/api/core/users/{root}"),
        mia.post("/api/core/roles", json={"name": "x", "grants": [{"permission": "contacts.view"}]}),
        mia.post("/api/core/roles", json={"name": "x", "includes": ["core.admin"]}),
        mia.patch("/api/core/roles/manager", json={"grants": [{"permission": "contacts.view"}]}),
        mia.post("/api/core/groups", json={"name": "x", "members": [own], "roles": ["core.admin"]}),
        mia.patch(f"/api/core/groups/{group['id']}", json={"members": [own]}),
        mia.delete(f"/api/core/groups/{group['id']}"),
        mia.post("/api/core/rules", json={"subject": f"user:{own}", "permission": "*"}),
        mia.post("/api/core/rules", json={"subject": f"user:{own}", "permission": "core.*"}),
        mia.post("/api/core/rules", json={"subject": "role:core.admin", "permission": "*", "effect": "deny"}),
        mia.delete(f"/api/core/rules/{rule['id']}"),
        mia.post(
            "/api/core/grants", json={"subject": f"user:{own}", "permission": "contacts.person.edit", "object": person}
        ),
    ]
    for number, attempt in enumerate(tries):
        assert code(await attempt) == (403, "beyond_own_rights"), number
    assert (await mia.get("/api/core/auth/me")).json()["permissions"] == ["core.access.manage", "core.users.manage"]


async def test_a_manager_gives_what_they_hold(desk: Desk) -> None:
    mia, _ = await manager(desk)
    _, user = await desk.person("rolf")
    made = await mia.post("/api/core/roles", json={"name": "helper", "grants": [{"permission": "core.users.manage"}]})
    assert made.status_code == 201
    given = await mia.put(f"/api/core/users/{user}/roles", json={"roles": ["helper"]})
    assert given.status_code == 200
    added = await mia.post("/api/core/users", json={"username": "nina", "password": "correct-horse-battery"})
    assert added.status_code == 201


# -- the last administrator ---------------------------------------------------------------------------------------


@BOTH
@pytest.mark.security
async def test_the_last_administrator_is_not_locked_out(desk: Desk) -> None:
    root = (await desk.admin.get("/api/core/auth/me")).json()["user"]["id"]
    tries = [
        desk.admin.put(f"/api/core/users/{root}/roles", json={"roles": ["contacts.viewer"]}),
        desk.admin.post("/api/core/rules", json={"subject": f"user:{root}", "permission": "*", "effect": "deny"}),
        desk.admin.post(
            "/api/core/rules", json={"subject": "role:core.admin", "permission": "core.access.*", "effect": "deny"}
        ),
        desk.admin.post(
            "/api/core/rules", json={"subject": f"user:{root}", "permission": "core.users.manage", "effect": "deny"}
        ),
    ]
    for number, attempt in enumerate(tries):
        assert code(await attempt) == (409, "last_administrator"), number
    assert (await desk.admin.get("/api/core/rules")).json()["items"] == []


async def test_an_administrator_through_a_group_counts(desk: Desk) -> None:
    root = (await desk.admin.get("/api/core/auth/me")).json()["user"]["id"]
    _, user = await desk.person("rolf")
    group = await desk.make("groups", name="admins", members=[user], roles=["core.admin"])
    assert (await desk.admin.put(f"/api/core/users/{root}/roles", json={"roles": []})).status_code == 200
    async with signed_in(desk.host, "zoe", ("core.admin",)):
        pass
    rolf = client(desk.host)
    said = {"username": "rolf", "password": "correct-horse-battery"}
    assert (await rolf.post("/api/core/auth/login", json=said)).status_code == 200
    zoe = next(each for each in (await rolf.get("/api/core/users")).json()["items"] if each["username"] == "zoe")
    assert (await rolf.delete(f"/api/core/users/{zoe['id']}")).status_code == 204
    assert code(await rolf.patch(f"/api/core/groups/{group['id']}", json={"members": []})) == (
        409,
        "last_administrator",
    )
    await rolf.aclose()


# -- what cannot be -----------------------------------------------------------------------------------------------

LONG = "x" * 10_000
BAD_ROLES = [
    {"name": ""},
    {"name": " x"},
    {"name": "a\nb"},
    {"name": "*"},
    {"name": "a/b"},
    {"name": ".."},
    {"name": LONG},
    {"name": "nul\0"},
    {"name": "contacts.auditor"},
    {"name": "x", "title": LONG},
    {"name": "x", "grants": [{"permission": "contacts.veiw"}]},
    {"name": "x", "grants": [{"permission": "*"}]},
    {"name": "x", "grants": [{"permission": LONG}]},
    {"name": "x", "grants": [{"permission": "contacts.view", "where": MINE}]},
    {"name": "x", "grants": [{"permission": "contacts.person.edit", "where": {"==": [{"row": "nothing"}, 1]}}]},
    {"name": "x", "grants": [{"permission": "contacts.person.edit", "where": {"eval": "1"}}]},
    {"name": "x", "includes": ["nobody"]},
    {"name": "x", "more": 1},
]
BAD_RULES = [
    {"subject": "user:nobody", "permission": "contacts.view"},
    {"subject": "group:nobody", "permission": "contacts.view"},
    {"subject": "role:nobody", "permission": "contacts.view"},
    {"subject": "*", "permission": "contacts.view"},
    {"subject": "user:*", "permission": "contacts.view"},
    {"subject": "user:a, admin", "permission": "contacts.view"},
    {"subject": f"user:{LONG}", "permission": "contacts.view"},
    {"subject": "role:core.admin", "permission": "contacts.veiw"},
    {"subject": "role:core.admin", "permission": "nothing.*"},
    {"subject": "role:core.admin", "permission": "cont*"},
    {"subject": "role:core.admin", "permission": ""},
    {"subject": "role:core.admin", "permission": "contacts.view", "effect": "maybe"},
    {"subject": "role:core.admin", "permission": "contacts.*", "where": MINE},
    {"subject": "role:core.admin", "permission": "contacts.person.view", "where": {"==": [{"row": "no"}, 1]}},
    {"subject": "role:core.admin", "permission": "contacts.person.view", "where": {"and": []}},
]
BAD_GRANTS = [
    {"subject": "role:core.admin", "permission": "contacts.view", "object": "1"},
    {"subject": "role:core.admin", "permission": "contacts.person.view", "object": "nobody"},
    {"subject": "role:core.admin", "permission": "contacts.person.view", "object": "*"},
    {"subject": "role:core.admin", "permission": "contacts.person.view", "object": LONG},
    {"subject": "role:core.admin", "permission": "contacts.person.*", "object": "1"},
    {"subject": "nobody", "permission": "contacts.person.view", "object": "1"},
    {
        "subject": "role:core.admin",
        "permission": "contacts.person.view",
        "object": "1",
        "until": "2001-01-01T00:00:00Z",
    },
    {"subject": "role:core.admin", "permission": "contacts.person.view", "object": "1", "until": "2999-01-01T00:00:00"},
]
BAD_GROUPS = [
    {"name": ""},
    {"name": LONG},
    {"name": "a\nb"},
    {"name": "x", "members": ["nobody"]},
    {"name": "x", "roles": ["nobody"]},
    {"name": "x", "members": [LONG]},
]


@pytest.mark.security
async def test_what_cannot_be_is_refused_with_its_field(desk: Desk) -> None:
    bodies = [
        *(("roles", body) for body in BAD_ROLES),
        *(("rules", body) for body in BAD_RULES),
        *(("grants", body) for body in BAD_GRANTS),
        *(("groups", body) for body in BAD_GROUPS),
    ]
    for path, body in bodies:
        answer = await desk.admin.post(f"/api/core/{path}", json=body)
        assert code(answer) == (422, "invalid"), (path, str(body)[:100], answer.text[:300])
        assert answer.json()["errors"], (path, str(body)[:100])
    for path in ("roles?q=x", "rules", "grants", "groups"):
        listed = (await desk.admin.get(f"/api/core/{path}")).json()
        assert [item for item in listed["items"] if not item.get("plugin")] == [], path


async def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    for path in ("roles/nobody", "rules/nobody", "grants/nobody", "groups/nobody"):
        assert (await desk.admin.get(f"/api/core/{path}")).status_code == 404
        assert (await desk.admin.patch(f"/api/core/{path}", json={})).status_code == 404
        assert (await desk.admin.delete(f"/api/core/{path}")).status_code == 404


async def test_roles_of_plugins_stay_as_they_are(desk: Desk) -> None:
    assert code(await desk.admin.patch("/api/core/roles/contacts.viewer", json={"grants": []})) == (
        409,
        "role_of_plugin",
    )
    assert code(await desk.admin.delete("/api/core/roles/core.admin")) == (409, "role_of_plugin")
    shown = (await desk.admin.get("/api/core/roles/contacts.viewer")).json()
    assert (shown["plugin"], len(shown["grants"])) == ("contacts", 2)


async def test_a_role_or_group_is_there_once(desk: Desk) -> None:
    await desk.make("roles", name="sales")
    await desk.make("groups", name="Sales")
    assert code(await desk.admin.post("/api/core/roles", json={"name": "sales"})) == (409, "role_exists")
    assert code(await desk.admin.post("/api/core/groups", json={"name": "SALES"})) == (409, "group_exists")


# -- lists ----------------------------------------------------------------------------------------------------------


@BOTH
async def test_lists_are_searched_sorted_filtered_and_paged(desk: Desk) -> None:
    for name in ("beta", "Alpha", "gamma"):
        await desk.make("roles", name=name, title=f"The {name}")
        await desk.make("groups", name=name)
        await desk.make("rules", subject=f"role:{name}", permission="contacts.view")

    async def names(path: str, key: str = "name") -> list[str]:
        return [item[key] for item in (await desk.admin.get(f"/api/core/{path}")).json()["items"]]

    assert await names("roles?plugin=") == ["Alpha", "beta", "gamma"]
    assert await names("roles?q=the&sort=-name") == ["gamma", "beta", "Alpha"]
    assert await names("roles?name=beta") == ["beta"]
    assert await names("groups?q=et") == ["beta"]
    assert await names("groups?sort=-name") == ["gamma", "beta", "Alpha"]
    assert await names("rules?subject=role:beta", "subject") == ["role:beta"]
    assert await names("rules?sort=subject&limit=1", "subject") == ["role:Alpha"]
    assert "contacts.view" in await names("permissions?plugin=contacts")
    assert await names("permissions?scope=object&plugin=contacts") == ["contacts.person.edit", "contacts.person.view"]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await desk.admin.get(f"/api/core/roles?plugin=&limit=2{cursor}")).json()
        seen += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ["Alpha", "beta", "gamma"]
    for query in ("sort=colour", "colour=red", "cursor=%21", "limit=0"):
        assert (await desk.admin.get(f"/api/core/roles?{query}")).status_code == 422, query
        assert (await desk.admin.get(f"/api/core/grants?{query}")).status_code == 422, query


@pytest.mark.security
async def test_the_policy_is_for_those_who_manage_access(desk: Desk) -> None:
    other, _ = await desk.person("rolf", "contacts.editor")
    async with client(desk.host) as stranger:
        for path in ("permissions", "roles", "rules", "grants", "groups", "roles/core.admin"):
            assert (await other.get(f"/api/core/{path}")).status_code == 403, path
            assert (await stranger.get(f"/api/core/{path}")).status_code == 401, path
        for path in ("roles", "rules", "grants", "groups"):
            assert (await other.post(f"/api/core/{path}", json={})).status_code == 403, path


async def test_every_change_is_written_down(desk: Desk) -> None:
    _, user = await desk.person("rolf")
    await desk.make("roles", name="sales", grants=[{"permission": "contacts.view"}])
    await desk.admin.put(f"/api/core/users/{user}/roles", json={"roles": ["sales"]})
    await desk.make("rules", subject="role:sales", permission="contacts.create")
    await desk.make("groups", name="Sales", members=[user])
    await desk.admin.post("/api/core/roles", json={"name": "sales"})  # refused, so nothing was done
    entries = await _entries(desk.host)
    assert [action for action, _ in entries if action.split(".")[1] in ("role", "rule", "group", "user")][-4:] == [
        "core.role.created",
        "core.user.roles_changed",
        "core.rule.created",
        "core.group.created",
    ]
    assert ("core.user.roles_changed", f"user:{user}") in entries


async def _entries(host: PluginHost) -> list[tuple[str, str]]:
    import sqlalchemy as sa

    async with host.work() as work:
        rows = await work.db.execute(sa.text("SELECT action, object FROM core_audit ORDER BY id"))
        return [(action, said) for action, said in rows]


@BOTH
@pytest.mark.security
async def test_of_two_who_take_the_role_from_each_other_at_once_one_stays(desk: Desk) -> None:
    root = (await desk.admin.get("/api/core/auth/me")).json()["user"]["id"]
    zoe, other = await desk.person("zoe", "core.admin")
    answers = await asyncio.gather(
        desk.admin.put(f"/api/core/users/{other}/roles", json={"roles": []}),
        zoe.put(f"/api/core/users/{root}/roles", json={"roles": []}),
    )
    first, second = sorted(answer.status_code for answer in answers)
    assert (first, second in (403, 409)) == (200, True)
    left = [await browser.get("/api/core/roles") for browser in (desk.admin, zoe)]
    assert sorted(answer.status_code for answer in left) == [200, 403]
