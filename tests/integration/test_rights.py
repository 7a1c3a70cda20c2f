"""Rights at work in running hosts: what is given and taken counts from the next request on, in every process."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa

from plugin_host import PluginHost, Settings
from plugin_host.access.grants import give, take
from plugin_host.access.groups import create_group, set_members
from plugin_host.access.members import set_roles, set_subject_roles
from plugin_host.access.roles import create_role, delete_role
from plugin_host.access.rules import add_rule
from plugin_host.sdk.manifest import RoleGrant

from .conftest import PASSWORD, client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def do(host: PluginHost, act: Callable[[Any], Any]) -> Any:
    unit = host.database.unit()
    try:
        result = await act(unit.session)
        await unit.commit()
    finally:
        await unit.close()
    return result


async def user(host: PluginHost, name: str) -> str:
    async with host.work() as work:
        found = await host.core.people.search(name)
        assert work.db is not None
    return found[0].id


async def held(browser: Any) -> list[str]:
    me = (await browser.get("/api/core/auth/me")).json()
    return [name for name in me["permissions"] if name.startswith("contacts.")]


async def test_a_role_of_administrators_a_group_and_a_rule(settings: Settings) -> None:
    async with running(PluginHost(settings)) as host, signed_in(host, "vera") as browser:
        vera = await user(host, "vera")
        assert await held(browser) == []
        grants = (RoleGrant(permission="contacts.person.edit"), RoleGrant(permission="contacts.view"))
        await do(host, lambda db: create_role(db, "sales", "Sales", grants, "1"))
        group = await do(host, lambda db: create_group(db, "Team", "1"))
        await do(host, lambda db: set_members(db, group.id, [vera], "1"))
        await do(host, lambda db: set_subject_roles(db, f"group:{group.id}", ["sales"], "1"))
        assert await held(browser) == ["contacts.person.edit", "contacts.person.view", "contacts.view"]
        assert (await browser.get("/api/contacts/people")).status_code == 200
        await do(host, lambda db: add_rule(db, f"user:{vera}", "contacts.*", "deny", None, "1"))
        assert await held(browser) == []
        assert (await browser.get("/api/contacts/people")).status_code == 403
        await do(host, lambda db: delete_role(db, "sales", "1"))
        assert (await browser.get("/api/contacts/people")).status_code == 403


async def test_a_shared_object_can_be_reached_until_it_is_taken_back(settings: Settings) -> None:
    async with running(PluginHost(settings)) as host, signed_in(host) as admin, signed_in(host, "vera") as browser:
        ids = [(await admin.post("/api/contacts/people", json={"name": name})).json()["id"] for name in ("Ada", "Bo")]
        vera = await user(host, "vera")
        assert (await browser.get(f"/api/contacts/people/{ids[0]}")).status_code == 403
        grant = await do(host, lambda db: give(db, f"user:{vera}", "contacts.person.view", ids[0], "1"))
        assert (await browser.get(f"/api/contacts/people/{ids[0]}")).status_code == 200
        assert (await browser.get(f"/api/contacts/people/{ids[1]}")).status_code == 404
        assert (await browser.patch(f"/api/contacts/people/{ids[0]}", json={"name": "X"})).status_code == 403
        await do(host, lambda db: take(db, grant.id, "1"))
        assert (await browser.get(f"/api/contacts/people/{ids[0]}")).status_code == 403


async def test_another_process_knows_at_its_next_request(settings: Settings) -> None:
    async with running(PluginHost(settings)) as one, signed_in(one, "vera") as browser:
        vera = await user(one, "vera")
        other = PluginHost(msgspec.structs.replace(settings))
        async with other.lifespan(), client(other) as elsewhere:
            await elsewhere.post("/api/core/auth/login", json={"username": "vera", "password": PASSWORD})
            for roles in (["contacts.viewer"], [], ["contacts.editor"], []):
                await do(one, lambda db, roles=roles: set_roles(db, vera, roles, "1"))
                expected = 200 if roles else 403
                assert (await elsewhere.get("/api/contacts/people")).status_code == expected
                assert (await browser.get("/api/contacts/people")).status_code == expected
            rule = await do(other, lambda db: add_rule(db, f"user:{vera}", "contacts.*", "allow", None, "1"))
            assert rule.subject == f"user:{vera}"
            assert (await browser.get("/api/contacts/people")).status_code == 200


SLOW = """
import asyncio
from plugin_host.sdk import Access, hookimpl, post
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

entered, go = asyncio.Event(), asyncio.Event()

@post("/write", permission="slow.write")
async def write(access: Access, db: AsyncSession) -> dict[str, bool]:
    entered.set()
    await go.wait()
    await db.execute(text("UPDATE core_user SET display = 'changed' WHERE username = 'root'"))
    return {"done": True}

@hookimpl
def register_routes():
    return [write]
"""


@pytest.mark.security
@pytest.mark.parametrize("revoke", [True, False])
async def test_a_right_that_is_taken_while_somebody_writes_stops_the_write(
    settings: Settings,
    folder_plugin: Callable[..., Path],
    revoke: bool,  # noqa: FBT001 - a case
) -> None:
    permissions = {
        "permissions": [{"name": "slow.write", "title": "Write"}],
        "roles": [{"name": "slow.writer", "title": "Writer", "grants": [{"permission": "slow.write"}]}],
    }
    folder = folder_plugin("slow", SLOW, permissions=permissions)
    loader = msgspec.structs.replace(settings.loader, folders=(str(folder),))
    host = PluginHost(msgspec.structs.replace(settings, loader=loader))
    async with running(host), signed_in(host, "vera", roles=("slow.writer",)) as browser:
        vera = await user(host, "vera")
        writing = asyncio.create_task(browser.post("/api/slow/write", json={}))
        module = sys.modules["slow"]
        await asyncio.wait_for(module.entered.wait(), 10)
        await do(host, lambda db: set_roles(db, vera, [] if revoke else ["slow.writer", "contacts.viewer"], "1"))
        module.go.set()
        answer = await writing
        async with host.work() as work:
            display = await work.db.scalar(sa.text("SELECT display FROM core_user WHERE username = 'root'"))
        assert (answer.status_code, display == "changed") == ((403, False) if revoke else (201, True))


@pytest.mark.security
async def test_a_store_that_fails_allows_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_reader: Any, _policy: Any) -> Any:
        raise sa.exc.OperationalError("SELECT", {}, Exception("disk I/O error"))

    async with running(PluginHost(settings)) as host, signed_in(host, "vera", roles=("contacts.viewer",)) as browser:
        assert (await browser.get("/api/contacts/people")).status_code == 200
        vera = await user(host, "vera")
        await do(host, lambda db: add_rule(db, f"user:{vera}", "contacts.*", "deny", None, "1"))
        monkeypatch.setattr("plugin_host.core.ruling.follow_policy", fail)
        assert (await browser.get("/api/contacts/people")).status_code == 503
        monkeypatch.undo()
        assert (await browser.get("/api/contacts/people")).status_code == 403


async def test_the_catalogue_is_kept_when_a_plugin_goes_and_revived_when_it_comes_back(settings: Settings) -> None:
    async def states(host: PluginHost) -> set[tuple[str, str]]:
        rows = await do(host, lambda db: db.execute(sa.text("SELECT name, state FROM core_permission")))
        return {(name, state) for name, state in rows if name == "contacts.view"}

    async with running(PluginHost(settings)) as host, signed_in(host, "vera") as browser:
        vera = await user(host, "vera")
        await do(host, lambda db: add_rule(db, f"user:{vera}", "contacts.*", "allow", None, "1"))
        assert await states(host) == {("contacts.view", "active")}
        await host.wish("contacts", "disabled")
        assert await states(host) == {("contacts.view", "orphaned")}
        assert await held(browser) == []
        await host.wish("contacts", "enabled")
        assert await states(host) == {("contacts.view", "active")}
        assert "contacts.view" in await held(browser)
