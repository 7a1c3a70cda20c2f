"""At run time: a plugin that fails, hangs or blocks is taken off or called off, and whoever looks sees why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

pytestmark = pytest.mark.anyio

SHOP = """
import asyncio
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from plugin_host.sdk import get, hookimpl

@get("/fine", permission="signed-in")
async def fine(db: AsyncSession) -> dict[str, int]:
    return {"one": (await db.execute(text("SELECT 1"))).scalar_one()}

@get("/crash", permission="signed-in")
async def crash() -> None:
    raise RuntimeError("no such luck")

@get("/hang", permission="signed-in")
async def hang() -> None:
    await asyncio.Event().wait()

@get("/block", permission="signed-in")
async def block() -> None:
    time.sleep(0.5)

@hookimpl
def register_routes():
    return [fine, crash, hang, block]
"""
BLOCKS = SHOP.splitlines().index("    time.sleep(0.5)") + 1


@pytest.fixture
def shop(settings: Settings, folder_plugin: Callable[..., Path]) -> Callable[..., PluginHost]:
    """Give hosts of one plugin, with limits."""
    folder = str(folder_plugin("shop", SHOP))

    def host(**limits: Any) -> PluginHost:
        loader = msgspec.structs.replace(settings.loader, folders=(folder,))
        given = msgspec.structs.replace(settings.limits, **limits)
        return PluginHost(msgspec.structs.replace(settings, loader=loader, limits=given))

    return host


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


async def test_a_plugin_that_fails_too_often_is_taken_off_until_somebody_says_retry(
    shop: Callable[..., PluginHost],
) -> None:
    async with running(shop(errors_per_minute=5)) as host, signed_in(host) as admin:
        await asyncio.sleep(1.2)  # the first look, with which the others are compared
        for _ in range(6):
            assert (await admin.get("/api/shop/crash")).status_code == 500
        await until(lambda: host.standing.generation.plan.entry("shop").state == "quarantined")  # type: ignore[union-attr] # it was found
        refused = await admin.get("/api/shop/fine")
        assert (refused.status_code, "problem:runtime_errors" in refused.text) == (503, True)
        shown = (await admin.get("/api/core/plugins/shop")).json()
        assert shown["reason"]["code"] == "runtime_errors"
        assert "RuntimeError: no such luck (shop/__init__.py:" in shown["reason"]["text"]
        assert "plugins retry shop" in shown["reason"]["way_out"]
        again = await admin.post("/api/core/plugins/shop/retry")
        assert again.json()["state"] == "active"
        assert (await admin.get("/api/shop/fine")).json() == {"one": 1}


async def test_a_request_that_hangs_is_called_off(shop: Callable[..., PluginHost]) -> None:
    async with running(shop(request_timeout=0.2)) as host, signed_in(host) as admin:
        late = await admin.get("/api/shop/hang")
        assert (late.status_code, "problem:time_limit" in late.text) == (503, True)
        assert host.account("shop")["timeouts"] == 1


async def test_more_than_may_be_at_once_are_told_to_come_again(shop: Callable[..., PluginHost]) -> None:
    async with running(shop(concurrency=2, request_timeout=0.5)) as host, signed_in(host) as admin:
        hanging = [asyncio.create_task(admin.get("/api/shop/hang")) for _ in range(2)]
        await until(lambda: host.account("shop")["in_flight"] == 2)
        refused = await admin.get("/api/shop/fine")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        await asyncio.gather(*hanging)
        assert (await admin.get("/api/shop/fine")).status_code == 200


async def test_queries_are_counted_for_the_plugin_that_makes_them(shop: Callable[..., PluginHost]) -> None:
    async with running(shop()) as host, signed_in(host) as admin:
        for _ in range(3):
            await admin.get("/api/shop/fine")
        account = host.account("shop")
        assert (account["requests"], account["queries"]) == (3, 3)
        assert 0 < account["query_time"] < account["request_time"]


async def test_who_blocks_the_event_loop_is_named_in_the_metrics(shop: Callable[..., PluginHost]) -> None:
    async with running(shop()) as host, signed_in(host) as admin:
        await asyncio.sleep(0.2)
        await admin.get("/api/shop/block")
        await until(lambda: host.account("shop")["lag"]["count"] == 1)
        page = await admin.get("/metrics")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'plugin_host_loop_blocks_total{plugin="shop"} 1' in page.text.splitlines()
        assert host.account("shop")["lag"]["place"] == f"shop/__init__.py:{BLOCKS}"


@pytest.mark.security
async def test_the_metrics_are_only_for_those_who_may_see_them(shop: Callable[..., PluginHost]) -> None:
    async with running(shop()) as host, signed_in(host, "ann") as ann, client(host) as nobody:
        assert (await ann.get("/metrics")).status_code == 403
        assert (await nobody.get("/metrics")).status_code == 401
