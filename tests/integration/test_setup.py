"""The first start: nothing works but making the first administrator with the console's code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin_host import PluginHost, Settings

from .conftest import PASSWORD, client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def host(settings: Settings) -> AsyncIterator[PluginHost]:
    host = PluginHost(settings)
    async with host.lifespan():
        yield host


async def test_everything_but_shell_and_health_waits_for_set_up(host: PluginHost) -> None:
    async with client(host) as stranger:
        waiting = await stranger.get("/api/core/auth/me")
        assert waiting.status_code == 503
        assert waiting.json()["type"] == "urn:plugin-host:problem:setup_required"
        assert (await stranger.get("/api/core/shell")).json()["setup_required"] is True
        assert (await stranger.get("/health/live")).status_code == 200


async def test_the_code_makes_one_administrator_once(host: PluginHost) -> None:
    code = await host.core.setup_code()
    first = {"code": code, "username": "ada", "password": PASSWORD}
    async with client(host) as stranger:
        assert (await stranger.post("/api/core/setup", json=first)).status_code == 201
        assert (await stranger.post("/api/core/setup", json=first)).status_code == 404
        login = await stranger.post("/api/core/auth/login", json={"username": "ada", "password": PASSWORD})
        assert login.status_code == 200
        assert "core.admin" in (await stranger.get("/api/core/auth/me")).json()["roles"]
        assert (await stranger.get("/api/core/shell")).json()["setup_required"] is False


async def test_a_wrong_code_makes_nobody(host: PluginHost) -> None:
    await host.core.setup_code()
    wrong = {"code": "AAAA-AAAA", "username": "eve", "password": PASSWORD}
    async with client(host) as stranger:
        assert (await stranger.post("/api/core/setup", json=wrong)).status_code == 403
        assert (await stranger.get("/api/core/shell")).json()["setup_required"] is True
