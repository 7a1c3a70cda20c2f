"""Switching plugins on and off while the host runs, in this process and from another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from plugin_host import PluginHost, Settings

from .conftest import running, signed_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[PluginHost]:
    async with running(PluginHost(settings)) as host:
        yield host


async def test_a_plugin_that_is_switched_off_is_gone_and_comes_back_with_its_data(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        made = await browser.post("/api/invoicing/invoices", json={"customer_id": "nobody", "lines": []})
        assert made.status_code == 422  # it runs
        await browser.post("/api/contacts/people", json={"name": "Ada"})
        off = await browser.post("/api/core/plugins/contacts/disable")
        assert (off.status_code, off.json()["state"], off.json()["reason"]["code"]) == (
            200,
            "disabled",
            "disabled_by_operator",
        )
        assert (await browser.get("/api/contacts/people")).status_code == 404
        items = (await browser.get("/api/core/menu")).json()["items"]
        assert {item["id"].partition(".")[0] for item in items} == {"core"}
        on = await browser.post("/api/core/plugins/contacts/enable")
        assert on.json()["state"] == "active"
        assert [item["name"] for item in (await browser.get("/api/contacts/people")).json()["items"]] == ["Ada"]


async def test_those_that_require_it_are_blocked_and_come_back(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        await browser.post("/api/core/plugins/contacts/disable")
        invoicing = (await browser.get("/api/core/plugins/invoicing")).json()
        assert (invoicing["state"], invoicing["reason"]["culprits"]) == ("blocked", ["contacts"])
        assert (await browser.get("/api/invoicing/invoices")).status_code == 503
        await browser.post("/api/core/plugins/contacts/enable")
        assert (await browser.get("/api/invoicing/invoices")).status_code == 200


async def test_core_cannot_be_switched_off(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        assert (await browser.post("/api/core/plugins/core/disable")).status_code == 409
        assert (await browser.post("/api/core/plugins/nothing/disable")).status_code == 404


async def test_only_those_who_may_switch_plugins(host: PluginHost) -> None:
    async with signed_in(host, "vera", ("contacts.viewer",)) as browser:
        assert (await browser.post("/api/core/plugins/contacts/disable")).status_code == 403
        assert (await browser.get("/api/contacts/people")).status_code == 200


async def test_a_wish_outlives_the_host(settings: Settings) -> None:
    async with running(PluginHost(settings)) as host:
        await host.wish("contacts", "disabled")
    again = PluginHost(settings)
    async with again.lifespan():
        entry = again.standing.generation.plan.entry("contacts")
    assert entry is not None
    assert entry.state == "disabled"


async def test_a_running_host_follows_a_wish_that_was_made_elsewhere(host: PluginHost, settings: Settings) -> None:
    elsewhere = PluginHost(settings)
    try:
        await elsewhere.wishes.wish("contacts", "disabled")
    finally:
        await elsewhere.core.close()
        await elsewhere.database.close()
    async with signed_in(host) as browser:
        for _ in range(100):
            if (await browser.get("/api/contacts/people")).status_code == 404:
                break
            await asyncio.sleep(0.1)
        assert (await browser.get("/api/core/plugins/contacts")).json()["state"] == "disabled"


async def test_a_request_under_way_ends_where_it_began(host: PluginHost) -> None:
    async with signed_in(host) as browser:
        answers = [asyncio.create_task(browser.get("/api/contacts/people")) for _ in range(20)]
        await asyncio.sleep(0)
        await host.wish("contacts", "disabled")
        assert {(await answer).status_code for answer in answers} <= {200, 404}
        assert (await browser.get("/api/contacts/people")).status_code == 404
