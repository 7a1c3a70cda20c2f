"""What a host writes down of what people do, and who may read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from plugin_host import PluginHost, Settings
from plugin_host.cli.main import cli

from .conftest import PASSWORD, client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[PluginHost]:
    async with running(PluginHost(settings)) as host:
        yield host


async def entries(browser: httpx.AsyncClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = await browser.get("/api/core/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_what_people_do_can_be_read(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        made = (await browser.post("/api/core/users", json={"username": "ann", "password": PASSWORD})).json()
        await browser.put(f"/api/core/users/{made['id']}/roles", json={"roles": ["contacts.viewer"]})
        await browser.patch(f"/api/core/users/{made['id']}", json={"display": "Ann A.", "status": "disabled"})
        answer = await browser.delete(f"/api/core/users/{made['id']}")
        await browser.post("/api/core/plugins/contacts/disable")
        found = await entries(browser)
        root = (await browser.get("/api/core/auth/me")).json()["user"]["id"]
        mine = await entries(browser, actor=root, action="core.user.*")
        page = (await browser.get("/api/core/audit", params={"limit": 2, "actor": root})).json()
        rest = (await browser.get("/api/core/audit", params={"cursor": page["next"], "actor": root})).json()
    assert [entry["action"] for entry in reversed(found)] == [
        "core.user.created",  # by the command, before
        "core.session.begun",
        "core.user.created",
        "core.user.roles_changed",
        "core.user.changed",
        "core.user.disabled",
        "core.user.deleted",
        "core.plugin.disabled",
    ]
    assert [entry["kind"] for entry in found if entry["actor"] == root] == ["user"] * 7
    assert [entry["action"].rpartition(".")[2] for entry in mine] == [
        "deleted",
        "disabled",
        "changed",
        "roles_changed",
        "created",
    ]
    roles = next(entry for entry in found if entry["action"] == "core.user.roles_changed")
    assert (roles["object"], roles["detail"]["after"]) == (f"user:{made['id']}", ["contacts.viewer"])
    deleted = next(entry for entry in found if entry["action"] == "core.user.deleted")
    assert deleted["request"] == answer.headers["x-request-id"]
    assert [entry["id"] for entry in (*page["items"], *rest["items"])] == [e["id"] for e in found if e["actor"] == root]


@pytest.mark.security
async def test_failed_sign_ins_are_written_down_or_counted_and_never_what_was_typed(host: PluginHost) -> None:
    async with client(host) as stranger:
        for name in ("root", "nobody at all"):
            body = {"username": name, "password": "not the password"}
            assert (await stranger.post("/api/core/auth/login", json=body)).status_code == 401
    await host.core.auditing.write()
    async with signed_in(host) as browser:
        refused = await entries(browser, action="core.session.refused")
        counted = (await browser.get("/api/core/audit/refusals")).json()["items"]
        everything = (await browser.get("/api/core/audit")).text
    assert [(entry["kind"], entry["outcome"]) for entry in refused] == [("anonymous", "refused")]
    assert [(row["action"], row["code"], row["count"]) for row in counted] == [
        ("core.session.refused", "unknown_user", 1)
    ]
    assert "nobody at all" not in everything
    assert "not the password" not in everything


@pytest.mark.security
async def test_the_audit_log_is_for_those_who_may_read_it(host: PluginHost) -> None:
    async with client(host) as stranger, signed_in(host, "vera", ("contacts.viewer",)) as browser:
        assert (await stranger.get("/api/core/audit")).status_code == 401
        for path in ("/api/core/audit", "/api/core/audit/refusals"):
            assert (await browser.get(path)).status_code == 403


@pytest.mark.security
async def test_rubbish_is_refused_or_finds_nothing(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        for query in (
            "since=yesterday",
            "limit=0",
            "sort=detail",
            "cursor=rubbish",
            "password=x",
            "kind=%00&actor=%00",
        ):
            answer = await browser.get(f"/api/core/audit?{query}")
            assert answer.status_code in (400, 422) or answer.json()["items"] == [], query


async def test_commands_list_and_verify(host: PluginHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "plugin-host.toml"
    config.write_text(f'data_dir = "{host.settings.data_dir}"\ndatabase = "{host.settings.database}"\n')

    import asyncio

    async def command(*words: str) -> tuple[int, Any]:
        code = await asyncio.to_thread(
            cli.main, ["audit", *words, "--config", str(config), "--json"], standalone_mode=False
        )
        return code or 0, json.loads(capsys.readouterr().out)

    await host.core.auditing.seal()
    code, found = await command("list", "--action", "core.user.*")
    assert (code, [entry["action"] for entry in found["items"]]) == (0, ["core.user.created"])
    code, found = await command("verify")
    assert (code, found["ok"], found["entries"]) == (0, True, 1)
    head = f"{found['head']['position'] + 3}:{found['head']['hash']}"
    code, found = await command("verify", "--head", head)
    assert (code, [fault["kind"] for fault in found["faults"]]) == (1, ["end"])


async def test_what_waits_is_written_and_sealed_when_the_host_ends(settings: Settings) -> None:
    host = PluginHost(settings)
    async with running(host), client(host) as stranger:
        await stranger.post("/api/core/auth/login", json={"username": "root", "password": "not the password"})
    async with running_again(settings) as again, signed_in(again) as browser:
        (refused,) = await entries(browser, action="core.session.refused")
    assert refused["position"] is not None


def running_again(settings: Settings) -> Any:
    return PluginHost(settings).lifespan()
