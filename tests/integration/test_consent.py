"""Consent: a plugin runs with what somebody approved of, and the rest waits until somebody says yes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

pytestmark = pytest.mark.anyio

CODE = """
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

@get("/open", permission="public")
async def opened() -> str:
    return "open"

@get("/new", permission="public")
async def new() -> str:
    return "new"

@get("/secret", permission="notes.secret")
async def secret() -> str:
    return "secret"

@hookimpl
def register_routes():
    return ROUTES
"""
FIRST = CODE.replace("ROUTES", "[hello, opened]").replace('permission="notes.secret"', 'permission="signed-in"')
SECOND = CODE.replace("ROUTES", "[hello, opened, new, secret]")
VIEW = {"name": "notes.view", "title": "See notes"}
SECRET = {"name": "notes.secret", "title": "See secrets"}
OPEN = {"method": "GET", "path": "/open", "reason": "for all"}
NEW = {"method": "GET", "path": "/new", "reason": "for all too"}
BEFORE: dict[str, Any] = {"permissions": [VIEW], "public": [OPEN]}
AFTER: dict[str, Any] = {"permissions": [VIEW, SECRET], "public": [OPEN, NEW]}


def first(write: Callable[..., Path]) -> Path:
    return write("notes", FIRST, permissions=BEFORE)


def second(write: Callable[..., Path]) -> Path:
    return write("notes", SECOND, permissions=AFTER, version="2.0", events={"subscribes": ["contacts.person.created"]})


def looking_at(settings: Settings, folder: Path, **loader: Any) -> Settings:
    said = msgspec.structs.replace(settings.loader, folders=(str(folder),), **loader)
    return msgspec.structs.replace(settings, loader=said)


async def upgraded(settings: Settings, write: Callable[..., Path]) -> PluginHost:
    """Give a host that ran with the first version, and finds the second one."""
    settings = looking_at(settings, first(write))
    async with running(PluginHost(settings)) as host:
        assert host.standing.generation.plan.entry("notes").awaiting == ()  # type: ignore[union-attr]
    second(write)
    return PluginHost(settings)


async def test_an_upgrade_that_asks_for_more_runs_with_what_was_approved(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    host = await upgraded(settings, folder_plugin)
    planned = (await host.plan()).entry("notes")
    assert planned is not None
    assert (planned.added, planned.restart_needed) == (("notes.secret",), True)
    async with host.lifespan(), signed_in(host) as admin, client(host) as nobody:
        shown = (await admin.get("/api/core/plugins/notes")).json()
        assert shown["state"] == "active"
        assert shown["awaiting"] == ["notes.secret", "GET /new", "contacts.person.created"]
        assert (await admin.get("/api/notes/")).json() == {"hello": "world"}
        assert (await nobody.get("/api/notes/open")).text == "open"
        for browser in (nobody, admin):  # a new public route is not open to anybody
            withheld = await browser.get("/api/notes/new")
            assert (withheld.status_code, withheld.json()["type"].rpartition(":")[2]) == (503, "consent_required")
        assert (await admin.get("/api/notes/secret")).status_code == 403  # matches nobody, not even core.admin
        me = (await admin.get("/api/core/auth/me")).json()
        assert "notes.secret" not in me["permissions"]
        assert "notes.view" in me["permissions"]

        said = await admin.post("/api/core/plugins/notes/consent")
        assert (said.status_code, said.json()["awaiting"]) == (200, [])
        assert (await nobody.get("/api/notes/new")).text == "new"
        assert (await admin.get("/api/notes/secret")).text == "secret"


async def test_consent_outlives_a_restart(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    host = await upgraded(settings, folder_plugin)
    async with host.lifespan():
        await host.consent("notes")
    again = PluginHost(host.settings)
    async with again.lifespan(), client(again) as nobody:
        assert (await nobody.get("/api/notes/new")).text == "new"


async def test_consent_may_be_given_before_the_switch(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    host = await upgraded(settings, folder_plugin)
    await host.wishes.consent("notes")
    assert (await host.plan()).entry("notes").awaiting == ()  # type: ignore[union-attr]
    async with host.lifespan(), client(host) as nobody:
        assert (await nobody.get("/api/notes/new")).text == "new"
        assert host.standing.generation.plan.entry("notes").awaiting == ()  # type: ignore[union-attr]


async def test_whoever_is_to_be_asked_is_asked(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    host = PluginHost(looking_at(settings, first(folder_plugin), default="ask", disabled=("contacts", "invoicing")))
    async with running(host), signed_in(host) as admin:
        shown = (await admin.get("/api/core/plugins/notes")).json()
        assert (shown["state"], shown["reason"]["code"]) == ("consent", "consent_required")
        assert shown["awaiting"] == ["notes.view", "GET /open"]
        assert "notes.view" in shown["reason"]["text"]
        assert (await admin.get("/api/notes/")).status_code == 503
        assert (await admin.post("/api/core/plugins/notes/enable")).json()["state"] == "consent"  # no consent yet
        said = await admin.post("/api/core/plugins/notes/consent")
        assert said.json()["state"] == "active"
        assert (await admin.get("/api/notes/")).status_code == 200


async def test_a_plugin_that_ran_before_is_not_asked_about_again(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    settings = looking_at(settings, first(folder_plugin))
    async with running(PluginHost(settings)):
        pass
    host = PluginHost(looking_at(settings, first(folder_plugin), default="ask"))
    async with host.lifespan():
        assert host.standing.generation.plan.entry("notes").state == "active"  # type: ignore[union-attr]


async def test_what_a_hook_adds_beyond_the_files_needs_consent_too(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    settings = looking_at(settings, first(folder_plugin))
    async with running(PluginHost(settings)):
        pass
    more = """
from plugin_host.sdk import Permission

@hookimpl
def register_permissions():
    return [Permission(name="notes.extra", title="More")]
"""
    folder_plugin("notes", FIRST + more, permissions=BEFORE, version="1.1")
    host = PluginHost(settings)
    async with host.lifespan(), signed_in(host) as admin:
        assert (await admin.get("/api/core/plugins/notes")).json()["awaiting"] == ["notes.extra"]
        assert (await admin.post("/api/core/plugins/notes/consent")).json()["awaiting"] == []
        assert "notes.extra" in (await admin.get("/api/core/auth/me")).json()["permissions"]


async def test_only_those_who_manage_plugins_consent(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    host = await upgraded(settings, folder_plugin)
    async with host.lifespan(), signed_in(host, "vera") as browser, client(host) as nobody:
        assert (await browser.post("/api/core/plugins/notes/consent")).status_code == 403
        assert (await nobody.post("/api/core/plugins/notes/consent")).status_code == 401
        assert (await nobody.get("/api/notes/new")).status_code == 503


async def test_there_is_nothing_to_consent_to(settings: Settings) -> None:
    async with running(PluginHost(settings)) as host, signed_in(host) as admin:
        assert (await admin.post("/api/core/plugins/core/consent")).status_code == 409
        assert (await admin.post("/api/core/plugins/gone/consent")).status_code == 404


PEEKS = """
from host_contacts.models import Person
from plugin_host.sdk import Access, get, hookimpl
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

@get("/", permission="signed-in")
async def peek(access: Access, db: AsyncSession) -> dict[str, int | bool]:
    seen = await db.scalars(access.permitted(select(Person), "contacts.person.view"))
    return {"seen": len(list(seen)), "may": await access.can("contacts.create")}

@hookimpl
def register_routes():
    return [peek]
"""


@pytest.mark.parametrize(
    ("asks", "seen", "may"),
    [([], 0, False), (["contacts.person.view"], 1, False), (["contacts.person.edit", "contacts.create"], 1, True)],
)
async def test_a_plugin_does_for_a_person_only_what_it_asked_for(
    settings: Settings,
    folder_plugin: Callable[..., Path],
    asks: list[str],
    seen: int,
    may: bool,  # noqa: FBT001 - a case
) -> None:
    folder = folder_plugin("peek", PEEKS, requires={"core": ">=1.0", "contacts": ">=1.0"}, asks=asks)
    host = PluginHost(looking_at(settings, folder))
    async with running(host), signed_in(host) as admin:
        await admin.post("/api/contacts/people", json={"name": "Ada"})
        assert (await admin.get("/api/peek/")).json() == {"seen": seen, "may": may}


async def test_what_a_later_version_asks_of_others_waits(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    needs = {"core": ">=1.0", "contacts": ">=1.0"}
    settings = looking_at(settings, folder_plugin("peek", PEEKS, requires=needs))
    async with running(PluginHost(settings)) as host, signed_in(host) as admin:
        await admin.post("/api/contacts/people", json={"name": "Ada"})
    folder_plugin("peek", PEEKS, requires=needs, asks=["contacts.person.view"], version="2.0")
    host = PluginHost(settings)
    async with host.lifespan(), signed_in(host) as admin:
        assert (await admin.get("/api/core/plugins/peek")).json()["awaiting"] == ["contacts.person.view"]
        assert (await admin.get("/api/peek/")).json()["seen"] == 0
        await admin.post("/api/core/plugins/peek/consent")
        assert (await admin.get("/api/peek/")).json()["seen"] == 1


async def test_a_plan_names_what_is_gone(settings: Settings, folder_plugin: Callable[..., Path]) -> None:
    settings = looking_at(settings, second(folder_plugin))
    async with running(PluginHost(settings)):
        pass
    first(folder_plugin)
    host = PluginHost(settings)
    entry = (await host.plan()).entry("notes")
    async with host.lifespan():
        pass
    assert entry is not None
    assert (entry.added, entry.removed) == ((), ("notes.secret",))
    assert json.loads(msgspec.json.encode(entry))["removed"] == ["notes.secret"]
