"""The service for other plugins: it hands out only what the actor may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from host_contacts.services import LOOKUP, Customer

from plugin_host.sdk import Actor

if TYPE_CHECKING:
    import httpx

    from plugin_host import PluginHost

pytestmark = pytest.mark.anyio

EVE = Actor(id="3", username="eve", display="Eve", roles=("contacts.viewer",))
MALLORY = Actor(id="9", username="mallory", display="Mallory")


@pytest.fixture
async def zoe(ann: httpx.AsyncClient) -> str:
    company = (await ann.post("/companies", json={"name": "Acme"})).json()
    body = {"name": "Zoe", "email": "zoe@example.org", "company_id": company["id"]}
    person: str = (await ann.post("/people", json=body)).json()["id"]
    return person


@pytest.mark.parametrize("text", ["zo", "ACM", ""])
async def test_people_are_found_by_name_and_by_company(host: PluginHost, zoe: str, text: str) -> None:
    async with host.work(EVE) as work:
        found = await host.services.get(LOOKUP).search(work.db, work.access, text)

    assert found == [Customer(zoe, "Zoe", "zoe@example.org", "Acme")]


async def test_nothing_is_found_for_somebody_who_may_see_nobody(host: PluginHost, zoe: str) -> None:
    async with host.work(MALLORY) as work:
        assert await host.services.get(LOOKUP).search(work.db, work.access, "") == []


async def test_people_are_given_by_id(host: PluginHost, zoe: str) -> None:
    async with host.work(EVE) as work:
        found = await host.services.get(LOOKUP).get(work.db, work.access, [zoe, "nope"])

    assert list(found) == [zoe]


async def test_nobody_is_given_to_somebody_who_may_see_nobody(host: PluginHost, zoe: str) -> None:
    async with host.work(MALLORY) as work:
        assert await host.services.get(LOOKUP).get(work.db, work.access, [zoe]) == {}
