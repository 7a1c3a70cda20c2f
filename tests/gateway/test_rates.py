"""Rates: exactly as many pass as may, in memory and in Redis, and the rest hear when to come again."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from plugin_host.gateway.edge import Edge
from plugin_host.gateway.rates import Rates
from plugin_host.sdk import get
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import Problem
from plugin_host.settings import Rates as RateSettings, SettingsError

from .conftest import Stage, client

pytestmark = [pytest.mark.anyio, pytest.mark.security]

REDIS = os.environ.get("PLUGIN_HOST_TEST_REDIS", "redis://127.0.0.1:6379/9")


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give each store in turn."""
    if request.param == "memory":
        yield "memory"
        return
    import redis

    try:
        with redis.Redis.from_url(REDIS, socket_timeout=2) as server:
            server.ping()
    except redis.RedisError as error:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(f"no Redis answers ({error}): start one, or name one in PLUGIN_HOST_TEST_REDIS")
    yield REDIS


@pytest.fixture
async def rates(store: str) -> AsyncIterator[Rates]:
    made = Rates(RateSettings(address="20/day", account="10/day", token="5/day", plugin="30/day", store=store))
    yield made
    await made.close()


async def passed(calls: list[Any]) -> int:
    """Make them all at once; gives how many passed."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    problems = [each for each in outcomes if each is not None]
    assert all(isinstance(each, Problem) and each.status == 429 for each in problems), problems
    return len(outcomes) - len(problems)


async def test_of_many_at_once_exactly_as_many_pass_as_may(rates: Rates) -> None:
    address = secrets.token_hex(8)
    assert await passed([rates.count_address(address) for _ in range(100)]) == 20
    assert await passed([rates.count_address(address + "x")]) == 1


def somebody(credential: Any = "session", credential_id: str = "") -> Actor:
    name = secrets.token_hex(8)
    return Actor(id=name, username=name, display=name, credential=credential, credential_id=credential_id)


async def test_a_person_a_token_and_a_plugin_have_each_their_own(rates: Rates) -> None:
    plugin = secrets.token_hex(8)
    script = somebody("personal", secrets.token_hex(8))
    assert await passed([rates.count_call(script, "core") for _ in range(20)]) == 5
    person = somebody()
    assert await passed([rates.count_call(person, "core") for _ in range(20)]) == 10
    many = [somebody() for _ in range(50)]
    assert await passed([rates.count_call(each, plugin) for each in many]) == 30
    assert await passed([rates.count_call(ANONYMOUS, "core") for _ in range(50)]) == 50


async def test_two_processes_count_together_in_redis_and_alone_in_memory(store: str) -> None:
    address = secrets.token_hex(8)
    both = [Rates(RateSettings(address="20/day", store=store)) for _ in range(2)]
    total = await passed([one.count_address(address) for one in both for _ in range(30)])
    assert total == (40 if store == "memory" else 20)
    for one in both:
        await one.close()


async def test_while_redis_is_away_each_process_counts_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    alone = Rates(RateSettings(address="20/day", store="redis://127.0.0.1:1/0"))
    assert await passed([alone.count_address("10.0.0.1") for _ in range(5)]) == 5
    assert await passed([alone.count_address("10.0.0.1") for _ in range(50)]) == 15
    assert len(caplog.records) == 1
    await alone.close()


async def test_who_is_over_it_hears_when_to_come_again(store: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    rates = Rates(RateSettings(address="1/day", store=store))
    name = f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}"
    for last, path, status in (("::1", "/", 200), ("::2", "/", 429), ("::2", "/health/live", 200)):
        edge = client(Edge(app, rates=rates))
        edge._transport = type(edge._transport)(Edge(app, rates=rates), client=(name + last, 1))  # type: ignore[call-arg]
        async with edge as browser:
            answer = await browser.get(path)
        assert answer.status_code == status
        if status == 429:
            assert answer.json()["type"] == "urn:plugin-host:problem:too_many_requests"
            assert 1 <= int(answer.headers["retry-after"]) <= 86_400
            assert answer.headers["x-content-type-options"] == "nosniff"
    await rates.close()


async def test_the_gate_counts_what_it_lets_in_and_nothing_else() -> None:
    counted: list[tuple[str, str]] = []

    async def count(actor: Actor, plugin: str) -> None:
        counted.append((actor.username, plugin))
        if len(counted) > 2:
            raise Problem(429, "too_many_requests")

    @get("/x", permission="shop.view")
    async def show() -> str:
        return "shown"

    stage = Stage()
    gate = stage.gate()
    gate._count = count
    stage.gate = lambda *_: gate  # type: ignore[method-assign]
    async with stage.client(show) as browser:
        statuses = [(await browser.get("/api/shop/x")).status_code for _ in range(3)]
        stage.held.clear()
        refused = (await browser.get("/api/shop/x")).status_code
    assert (statuses, refused, counted) == ([200, 200, 429], 403, [("ann", "shop")] * 3)


@pytest.mark.parametrize("said", ["0/minute", "10", "10/fortnight", "-1/day", "10/minute\n"])
def test_a_rate_is_a_number_in_a_time(said: str) -> None:
    with pytest.raises(SettingsError):
        RateSettings(account=said)
