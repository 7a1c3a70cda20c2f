"""Numbers: no gaps and no doubles, also when many send at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from host_invoicing.numbering import next_number

if TYPE_CHECKING:
    import httpx

    from plugin_host import PluginHost

pytestmark = pytest.mark.anyio

MANY = 8


async def write(client: httpx.AsyncClient, customer: str) -> str:
    lines = [{"description": "Tea", "quantity": "1", "unit_price": "1.00"}]
    answer = await client.post("/invoicing/invoices", json={"customer_id": customer, "lines": lines})
    return f"/invoicing/invoices/{answer.json()['id']}"


async def take_and_fail(host: PluginHost) -> None:
    async with host.work(plugin="invoicing") as work:
        await next_number(work.db, 2026)
        raise ZeroDivisionError


async def test_many_who_send_at_once_get_numbers_without_gaps(ann: httpx.AsyncClient, customer: str) -> None:
    drafts = [await write(ann, customer) for _ in range(MANY)]
    answers = await asyncio.gather(*(ann.post(f"{draft}/send") for draft in drafts))

    assert sorted(answer.json()["number"][5:] for answer in answers) == [f"{n:04}" for n in range(1, MANY + 1)]


async def test_one_draft_that_is_sent_by_many_takes_one_number(
    ann: httpx.AsyncClient, customer: str, draft: str
) -> None:
    answers = await asyncio.gather(*(ann.post(f"{draft}/send") for _ in range(MANY)))
    after = await ann.post(f"{await write(ann, customer)}/send")

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * (MANY - 1)
    assert after.json()["number"][5:] == "0002"


async def test_a_number_comes_back_when_its_transaction_fails(host: PluginHost) -> None:
    with pytest.raises(ZeroDivisionError):
        await take_and_fail(host)
    async with host.work(plugin="invoicing") as work:
        number = await next_number(work.db, 2026)

    assert number == "2026-0001"


async def test_each_year_begins_anew(host: PluginHost) -> None:
    async with host.work(plugin="invoicing") as work:
        numbers = [await next_number(work.db, year) for year in (2026, 2026, 2027)]

    assert numbers == ["2026-0001", "2026-0002", "2027-0001"]
