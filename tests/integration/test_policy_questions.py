"""May I, why not, who may: what is asked of the policy, and what a change would mean."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from plugin_host import PluginHost, Settings

from .conftest import running, signed_in
from .test_policy_api import BOTH, MINE, Desk, code, database

__all__ = ["database"]

pytestmark = pytest.mark.anyio

KEYS = {"allowed", "reason", "path", "rules", "conditions", "would_allow"}
EDIT = "contacts.person.edit"


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    async with running(PluginHost(settings)) as host, AsyncExitStack() as stack:
        yield Desk(host, await stack.enter_async_context(signed_in(host)), stack)


async def explain(desk: Desk, actor: str, permission: str, obj: str | None = None) -> dict[str, Any]:
    body = {"actor": actor, "permission": permission, **({} if obj is None else {"object": obj})}
    answer = await desk.admin.post("/api/core/access/explain", json=body)
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["policy-revision"]) > 0
    said: dict[str, Any] = answer.json()
    assert set(said) == KEYS
    return said


@BOTH
async def test_every_reason_is_given_with_what_would_help(desk: Desk) -> None:
    _, user = await desk.person("rolf")
    theirs = (await desk.admin.post("/api/contacts/people", json={"name": "Theirs"})).json()["id"]
    assert (await explain(desk, "rolf", "contacts.veiw"))["reason"] == "unknown_permission"
    nothing = await explain(desk, user, EDIT, theirs)
    assert (nothing["allowed"], nothing["reason"], nothing["rules"]) == (False, "no_grant", [])
    assert "core.admin" in nothing["would_allow"]

    group = await desk.make("groups", name="Sales", members=[user], roles=["contacts.editor"])
    false = await explain(desk, "rolf", EDIT, theirs)
    assert (false["allowed"], false["reason"]) == (False, "condition_false")
    assert (false["conditions"][0]["where"], false["conditions"][0]["holds"]) == (MINE, False)
    assert false["conditions"][0]["values"]["actor.id"] == user

    allowed = await explain(desk, "rolf", "contacts.create")
    assert (allowed["allowed"], allowed["reason"]) == (True, "allowed")
    assert allowed["path"] == [f"user:{user}", f"group:{group['id']}", "role:contacts.editor"]

    await desk.make("rules", subject=f"user:{user}", permission="contacts.*", effect="deny")
    assert (await explain(desk, "rolf", "contacts.create"))["reason"] == "explicit_deny"
    assert code(await desk.admin.post("/api/core/access/explain", json={"actor": "nobody", "permission": EDIT})) == (
        404,
        "not_found",
    )
    gone = {"actor": "rolf", "permission": EDIT, "object": "nothing"}
    assert code(await desk.admin.post("/api/core/access/explain", json=gone)) == (404, "not_found")


async def test_a_role_is_asked_like_a_person(desk: Desk) -> None:
    assert (await explain(desk, "role:contacts.viewer", "contacts.view"))["allowed"]
    assert not (await explain(desk, "role:contacts.viewer", "contacts.create"))["allowed"]


@pytest.mark.security
async def test_only_who_manages_access_asks_about_others(desk: Desk) -> None:
    rolf, user = await desk.person("rolf", "contacts.viewer")
    root = (await desk.admin.get("/api/core/auth/me")).json()["user"]["id"]
    checks = [{"permission": "contacts.view"}, {"permission": "contacts.create"}, {"permission": "no.such"}]
    about = {"checks": checks, "actor": user}
    assert (await desk.admin.post("/api/core/access/check", json=about)).json()["results"] == [True, False, False]
    assert (await rolf.post("/api/core/access/check", json=about)).json()["results"] == [True, False, False]
    asked = await rolf.post("/api/core/access/check", json={"checks": checks, "actor": root})
    assert code(asked) == (403, "forbidden")
    for path, body in (("explain", {"actor": user, "permission": EDIT}), ("who-can", {"permission": EDIT})):
        assert (await rolf.post(f"/api/core/access/{path}", json=body)).status_code == 403
    assert code(await rolf.post("/api/core/access/check", json={"checks": checks * 100})) == (422, "invalid")


@BOTH
async def test_who_may_is_listed_with_how_and_paged(desk: Desk) -> None:
    _, ann = await desk.person("ann", "contacts.editor")
    _, bob = await desk.person("bob")
    _, _eve = await desk.person("eve", "contacts.viewer")
    _, zoe = await desk.person("zoe", "contacts.editor")
    one = (await desk.admin.post("/api/contacts/people", json={"name": "One"})).json()["id"]
    await desk.make("grants", subject=f"user:{bob}", permission=EDIT, object=one)
    await desk.make("rules", subject=f"user:{zoe}", permission=EDIT, effect="deny")

    async def who(**body: Any) -> list[str]:
        answer = await desk.admin.post("/api/core/access/who-can", json={"permission": EDIT, **body})
        assert answer.status_code == 200, answer.text
        return [each["username"] for each in answer.json()["items"]]

    assert await who() == ["ann", "bob", "root"]
    assert await who(object=one) == ["bob", "root"]  # ann's role is for what she owns
    page = (await desk.admin.post("/api/core/access/who-can", json={"permission": EDIT, "limit": 1})).json()
    assert page["items"][0] == {
        "id": ann,
        "username": "ann",
        "display": "ann",
        "through": ["role:contacts.editor"],
    }
    assert await who(limit=2, cursor=page["next"]) == ["bob", "root"]
    assert code(await desk.admin.post("/api/core/access/who-can", json={"permission": "x.y"})) == (422, "invalid")


async def test_a_change_on_trial_says_who_gains_and_loses_and_leaves_nothing(desk: Desk) -> None:
    _, ann = await desk.person("ann", "contacts.viewer")
    _, bob = await desk.person("bob", "contacts.editor")
    await desk.make("roles", name="helper")
    before = (await desk.admin.get("/api/core/roles")).json()["revision"]
    changes = [
        {"method": "PATCH", "path": "/roles/helper", "body": {"grants": [{"permission": "core.api.view"}]}},
        {"method": "PUT", "path": f"/users/{ann}/roles", "body": {"roles": ["helper"]}},
        {
            "method": "POST",
            "path": "/rules",
            "body": {"subject": f"user:{bob}", "permission": "contacts.create", "effect": "deny"},
        },
    ]
    answer = await desk.admin.post("/api/core/access/simulate", json={"changes": changes})
    assert answer.status_code == 200, answer.text
    found = {each["username"]: (each["gains"], each["loses"]) for each in answer.json()["items"]}
    assert found == {
        "ann": (["core.api.view"], ["contacts.person.view", "contacts.view"]),
        "bob": ([], ["contacts.create"]),
    }
    assert "policy-revision" not in answer.headers
    assert (await desk.admin.get("/api/core/roles")).json()["revision"] == before
    assert (await desk.admin.get("/api/core/rules")).json()["items"] == []
    wrong = [
        {"method": "POST", "path": "/plugins"},
        {"method": "DELETE", "path": "/roles"},
        {"method": "POST", "path": "/rules", "body": {"subject": 1}},
        {"method": "DELETE", "path": "/roles/nobody"},
        {"method": "PUT", "path": "/users/nobody/roles", "body": {"roles": []}},
    ]
    for change in wrong:
        refused = await desk.admin.post("/api/core/access/simulate", json={"changes": [change]})
        assert refused.status_code in (404, 422), (change, refused.text)


async def test_what_was_changed_and_what_is_of_no_use_is_listed(desk: Desk) -> None:
    _, user = await desk.person("rolf")
    since = (await desk.admin.get("/api/core/roles")).json()["revision"]
    await desk.make("roles", name="idle", grants=[{"permission": "contacts.view"}])
    await desk.make("rules", subject=f"user:{user}", permission="contacts.view", effect="deny")
    changed = (await desk.admin.get(f"/api/core/access/diff?since={since}")).json()
    assert [(each["kind"], each["subject"]) for each in changed["items"]] == [
        ("role", "role:idle"),
        ("rule", f"user:{user}"),
    ]
    report = (await desk.admin.get("/api/core/access/report")).json()["items"]
    assert ("role", "idle", "unused") in {(each["kind"], each["id"], each["why"]) for each in report}
    exported = (await desk.admin.get("/api/core/access/export")).json()
    assert [role["name"] for role in exported["roles"]] == ["idle"]
    rule = {"subject": "user:rolf", "permission": "contacts.view", "effect": "deny", "where": None}
    assert exported["rules"] == [rule]
    emptied = {"policy": {"format": 1, "rules": []}, "replace": True}
    tried = await desk.admin.post("/api/core/access/import", json={**emptied, "dry_run": True})
    assert (tried.status_code, "policy-revision" in tried.headers) == (200, False)
    assert len((await desk.admin.get("/api/core/rules")).json()["items"]) == 1
    done = await desk.admin.post("/api/core/access/import", json=emptied)
    assert int(done.headers["policy-revision"]) == done.json()["revision"]
    assert (await desk.admin.get("/api/core/rules")).json()["items"] == []
    back = await desk.admin.post("/api/core/access/import", json={"policy": exported})
    assert back.status_code == 200, back.text
    assert len((await desk.admin.get("/api/core/rules")).json()["items"]) == 1
    wrong = {"policy": {"format": 1, "rules": [{"subject": "user:nobody", "permission": "contacts.view"}]}}
    refused = await desk.admin.post("/api/core/access/import", json=wrong)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/policy/rules/0/subject")


async def test_a_contact_is_shared_by_whoever_may_change_it_and_taken_back(desk: Desk) -> None:
    ann, _ = await desk.person("ann", "contacts.editor")
    bob, other = await desk.person("bob", "contacts.viewer")
    mine = (await ann.post("/api/contacts/people", json={"name": "Mine"})).json()["id"]
    path = f"/api/contacts/people/{mine}"
    share = {"with": f"user:{other}", "actions": ["edit"]}
    assert (await bob.post(f"{path}/share", json=share)).status_code == 403
    assert (await ann.post(f"{path}/share", json=share)).status_code == 204
    assert (await bob.patch(path, json={"name": "Ours"})).status_code == 200
    assert (await bob.get(path)).json()["editable"] is True
    assert (await ann.post(f"{path}/unshare", json=share)).status_code == 204
    assert (await bob.patch(path, json={"name": "Mine again"})).status_code == 403
    wrong = [{"with": "nobody"}, {"with": "*"}, {"with": f"user:{other}", "actions": ["fly"]}, {"with": "user:x" * 99}]
    for body in wrong:
        assert (await ann.post(f"{path}/share", json=body)).status_code == 422, body
