"""What core answers, on each database, with the example plugins installed beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

VIEWER = ("contacts.viewer",)
EDITOR = ("contacts.editor",)


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[PluginHost]:
    async with running(PluginHost(settings)) as host:
        yield host


async def test_the_shell_tells_nobody_anything(host: PluginHost) -> None:
    async with client(host) as stranger:
        shell = (await stranger.get("/api/core/shell")).json()
    assert shell["user"] is None
    assert (shell["permissions"], shell["menu"], shell["screens"], shell["plugins"]) == ([], {"items": []}, [], {})


async def test_the_shell_tells_a_viewer_what_a_viewer_may_see(host: PluginHost) -> None:
    async with signed_in(host, "vera", VIEWER) as browser:
        shell = (await browser.get("/api/core/shell")).json()
    assert shell["permissions"] == ["contacts.person.view", "contacts.view"]
    assert [item["id"] for item in shell["menu"]["items"]] == ["contacts.people", "contacts.companies"]
    assert list(shell["plugins"]) == ["core", "contacts"]
    screens = [(screen["plugin"], screen["id"]) for screen in shell["screens"]]
    assert screens == [("core", "account"), ("contacts", "people"), ("contacts", "companies")]


async def test_the_menu_is_the_shells_menu(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        shell = (await browser.get("/api/core/shell")).json()
        assert (await browser.get("/api/core/menu")).json() == shell["menu"]


async def test_files_of_a_plugin_are_not_for_those_who_may_see_none_of_its_screens(host: PluginHost) -> None:
    async with signed_in(host, "vera", ["invoicing.viewer"]) as browser:
        screens = (await browser.get("/api/core/shell")).json()["screens"]
        (entry, *_) = [screen["entry"] for screen in screens if screen["plugin"] == "invoicing"]
        assert (await browser.get(entry)).headers["content-type"].startswith("text/javascript")
    async with client(host) as stranger:
        assert (await stranger.get(entry)).status_code == 401
    async with signed_in(host, "otto") as other:
        assert (await other.get(entry)).status_code == 403


async def test_files_of_the_shell_are_for_everybody(host: PluginHost) -> None:
    async with client(host) as stranger:
        page = (await stranger.get("/contacts/people")).text
        script = page.partition('type="module" src="')[2].partition('"')[0]
        answer = await stranger.get(script)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]


async def test_plugins_are_for_those_who_may_see_plugins(host: PluginHost) -> None:
    async with signed_in(host, "vera", VIEWER) as browser:
        assert (await browser.get("/api/core/plugins")).status_code == 403
    async with signed_in(host) as browser:
        items = (await browser.get("/api/core/plugins")).json()["items"]
    assert [item["id"] for item in items] == ["core", "contacts", "invoicing"]
    contacts = items[1]
    assert contacts["state"] == "active"
    assert {"method": "GET", "path": "/api/contacts/people"}.items() <= contacts["routes"][0].items() or any(
        route["path"] == "/api/contacts/people" for route in contacts["routes"]
    )
    assert "contacts_person" in contacts["tables"]
    assert contacts["timings"]["import"] >= 0


async def test_an_unknown_plugin_is_not_found(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        assert (await browser.get("/api/core/plugins/nothing")).status_code == 404
        assert (await browser.get("/api/nothing/people")).status_code == 404


async def test_the_plan_is_the_same_as_the_commands(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        items = (await browser.get("/api/core/plan")).json()["items"]
    assert [(item["id"], item["order"], item["verified"]) for item in items] == [
        ("core", 1, "built"),
        ("contacts", 2, "built"),
        ("invoicing", 3, "built"),
    ]
    assert any("contacts" in why for why in items[2]["why"])


async def test_several_questions_are_answered_at_once(host: PluginHost) -> None:
    async with signed_in(host, "emil", EDITOR) as browser:
        mine = (await browser.post("/api/contacts/people", json={"name": "Mine"})).json()["id"]
        checks = [
            {"permission": "contacts.create"},
            {"permission": "core.users.manage"},
            {"permission": "contacts.person.edit", "object": mine},
            {"permission": "contacts.person.edit", "object": "nobody"},
            {"permission": "contacts.no.such"},
        ]
        answer = (await browser.post("/api/core/access/check", json={"checks": checks})).json()
    assert answer["results"] == [True, False, True, False, False]
    assert answer["revision"] >= 1


async def test_roles_and_permissions_are_for_those_who_manage_access(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        roles = (await browser.get("/api/core/roles")).json()["items"]
        permissions = (await browser.get("/api/core/permissions")).json()["items"]
    assert {"core.admin", "contacts.editor", "invoicing.viewer"} <= {role["name"] for role in roles}
    assert {"contacts.view", "core.users.manage"} <= {permission["name"] for permission in permissions}


async def test_a_role_that_is_taken_away_is_gone_at_the_next_request(host: PluginHost) -> None:
    async with signed_in(host) as admin, signed_in(host, "vera", VIEWER) as browser:
        assert (await browser.get("/api/contacts/people")).status_code == 200
        vera = (await browser.get("/api/core/auth/me")).json()["user"]["id"]
        assert (await admin.put(f"/api/core/users/{vera}/roles", json={"roles": []})).status_code == 200
        assert (await browser.get("/api/contacts/people")).status_code == 403


async def test_somebody_who_is_disabled_is_signed_out_at_the_next_request(host: PluginHost) -> None:
    async with signed_in(host) as admin, signed_in(host, "vera", VIEWER) as browser:
        vera = (await browser.get("/api/core/auth/me")).json()["user"]["id"]
        assert (await admin.patch(f"/api/core/users/{vera}", json={"status": "disabled"})).status_code == 200
        assert (await browser.get("/api/core/auth/me")).status_code == 401


async def test_every_answer_has_the_headers_that_protect_it(host: PluginHost) -> None:
    async with client(host) as stranger:
        for path in ("/", "/api/core/shell", "/api/nothing/x", "/health/live", "/nowhere.txt"):
            headers = (await stranger.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert "content-security-policy" in headers, path
            assert headers["referrer-policy"] == "no-referrer", path


async def test_a_call_from_another_origin_is_refused(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        answer = await browser.post(
            "/api/contacts/people",
            json={"name": "Eve"},
            headers={"sec-fetch-site": "cross-site", "origin": "https://evil.test"},
        )
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:plugin-host:problem:cross_origin"
