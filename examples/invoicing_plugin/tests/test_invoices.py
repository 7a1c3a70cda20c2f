"""Invoices over HTTP: writing, sending, paying, and who may."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from plugin_host import PluginHost

pytestmark = pytest.mark.anyio

INVOICES = "/invoicing/invoices"


def line(**fields: Any) -> dict[str, Any]:
    return {"description": "Tea", "quantity": "2", "unit_price": "1.50", **fields}


def pointers(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    return {error["pointer"] for error in answer.json()["errors"]}


async def test_a_draft_adds_up_its_lines(ann: httpx.AsyncClient, customer: str) -> None:
    lines = [line(), line(quantity="0.5", unit_price="0.01")]
    answer = await ann.post(INVOICES, json={"customer_id": customer, "lines": lines})
    body = answer.json()

    assert answer.status_code == 201
    assert [each["amount"] for each in body["lines"]] == ["3.00", "0.01"]
    assert {key: body[key] for key in ("state", "number", "total", "currency", "customer_name", "editable")} == {
        "state": "draft",
        "number": None,
        "total": "3.01",
        "currency": "EUR",
        "customer_name": "Zoe",
        "editable": True,
    }


async def test_what_is_stored_is_what_was_answered(ann: httpx.AsyncClient, customer: str) -> None:
    lines = [line(quantity="0.333", unit_price="9.99")]
    written = (await ann.post(INVOICES, json={"customer_id": customer, "lines": lines})).json()

    assert (await ann.get(f"{INVOICES}/{written['id']}")).json() == written


async def test_a_customer_who_is_not_there_is_refused(ann: httpx.AsyncClient) -> None:
    assert pointers(await ann.post(INVOICES, json={"customer_id": "nope", "lines": [line()]})) == {"/customer_id"}


async def test_a_customer_whom_one_may_not_see_is_refused(kim: httpx.AsyncClient, customer: str) -> None:
    assert pointers(await kim.post(INVOICES, json={"customer_id": customer, "lines": [line()]})) == {"/customer_id"}


async def test_all_wrong_fields_are_named_at_once(ann: httpx.AsyncClient, customer: str) -> None:
    lines = [line(), line(description=" ", quantity="0", unit_price="0.001")]
    answer = await ann.post(INVOICES, json={"customer_id": customer, "currency": "JPY", "lines": lines})

    assert pointers(answer) == {"/currency", "/lines/1/description", "/lines/1/quantity", "/lines/1/unit_price"}


async def test_an_invoice_without_lines_is_refused(ann: httpx.AsyncClient, customer: str) -> None:
    assert pointers(await ann.post(INVOICES, json={"customer_id": customer, "lines": []})) == {"/lines"}


async def test_an_unknown_field_is_refused(ann: httpx.AsyncClient, customer: str) -> None:
    body = {"customer_id": customer, "lines": [line()], "total": "1.00"}

    assert (await ann.post(INVOICES, json=body)).status_code == 422


async def test_a_viewer_writes_no_invoices(eve: httpx.AsyncClient, customer: str) -> None:
    assert (await eve.post(INVOICES, json={"customer_id": customer, "lines": [line()]})).status_code == 403


async def test_the_lines_of_a_draft_can_be_replaced(ann: httpx.AsyncClient, draft: str) -> None:
    await ann.patch(draft, json={"lines": [line(description="Cake"), line()]})
    body = (await ann.get(draft)).json()

    assert ([each["description"] for each in body["lines"]], body["total"]) == (["Cake", "Tea"], "6.00")


async def test_what_a_change_leaves_out_stays(ann: httpx.AsyncClient, draft: str) -> None:
    body = (await ann.patch(draft, json={"due_on": "2031-05-01"})).json()

    assert (body["due_on"], body["total"], body["customer_name"]) == ("2031-05-01", "12.50", "Zoe")


async def test_a_viewer_changes_no_draft(eve: httpx.AsyncClient, draft: str) -> None:
    assert (await eve.patch(draft, json={"due_on": None})).status_code == 403


async def test_sending_gives_a_number_and_a_due_date(ann: httpx.AsyncClient, draft: str) -> None:
    body = (await ann.post(f"{draft}/send")).json()
    sent = dt.datetime.fromisoformat(body["sent_at"])

    assert (body["state"], body["number"]) == ("sent", f"{sent.year}-0001")
    assert dt.date.fromisoformat(body["due_on"]) == sent.date() + dt.timedelta(days=30)


async def test_a_due_date_of_ones_own_stays(ann: httpx.AsyncClient, draft: str) -> None:
    await ann.patch(draft, json={"due_on": "2031-05-01"})

    assert (await ann.post(f"{draft}/send")).json()["due_on"] == "2031-05-01"


async def test_a_viewer_sends_nothing(eve: httpx.AsyncClient, draft: str) -> None:
    assert (await eve.post(f"{draft}/send")).status_code == 403


@pytest.mark.parametrize("done", [["send", "send"], ["pay"], ["send", "pay", "pay"], ["send", "pay", "send"]])
async def test_any_other_step_is_a_conflict(ann: httpx.AsyncClient, draft: str, done: list[str]) -> None:
    for step in done[:-1]:
        assert (await ann.post(f"{draft}/{step}")).status_code == 200

    assert (await ann.post(f"{draft}/{done[-1]}")).status_code == 409


async def test_a_conflict_says_what_is_possible(ann: httpx.AsyncClient, draft: str) -> None:
    number = (await ann.post(f"{draft}/send")).json()["number"]
    answer = await ann.post(f"{draft}/send")

    assert answer.json()["detail"] == f"Invoice {number} was sent already: now it can only be paid."


async def test_what_was_sent_cannot_be_changed(ann: httpx.AsyncClient, draft: str) -> None:
    await ann.post(f"{draft}/send")

    assert (await ann.patch(draft, json={"lines": [line()]})).status_code == 409


async def test_what_was_sent_cannot_be_deleted(ann: httpx.AsyncClient, draft: str) -> None:
    await ann.post(f"{draft}/send")

    assert (await ann.delete(draft)).status_code == 409


async def test_a_draft_can_be_deleted(ann: httpx.AsyncClient, draft: str) -> None:
    assert (await ann.delete(draft)).status_code == 204
    assert (await ann.get(draft)).status_code == 404


async def test_an_invoice_stays_when_its_customer_goes(ann: httpx.AsyncClient, customer: str, draft: str) -> None:
    await ann.delete(f"/contacts/people/{customer}")

    assert (await ann.post(f"{draft}/send")).json()["customer_name"] == "Zoe"


async def test_the_list_can_be_narrowed_to_a_state(ann: httpx.AsyncClient, customer: str, draft: str) -> None:
    await ann.post(INVOICES, json={"customer_id": customer, "lines": [line()]})
    await ann.post(f"{draft}/send")
    items = (await ann.get(INVOICES, params={"state": "sent"})).json()["items"]

    assert [item["total"] for item in items] == ["12.50"]


async def test_the_list_can_be_sorted_by_amount(ann: httpx.AsyncClient, customer: str, draft: str) -> None:
    for price in ("9.00", "100.00"):
        await ann.post(INVOICES, json={"customer_id": customer, "lines": [line(quantity="1", unit_price=price)]})
    items = (await ann.get(INVOICES, params={"sort": "-total"})).json()["items"]

    assert [item["total"] for item in items] == ["100.00", "12.50", "9.00"]


async def test_totals_are_told_by_state_and_currency(
    eve: httpx.AsyncClient, ann: httpx.AsyncClient, draft: str
) -> None:
    await ann.post(f"{draft}/send")
    items = (await eve.get("/invoicing/totals")).json()["items"]

    assert items == [{"state": "sent", "currency": "EUR", "count": 1, "total": "12.50"}]


async def test_customers_are_found(eve: httpx.AsyncClient, customer: str) -> None:
    items = (await eve.get("/invoicing/customers", params={"q": "zo"})).json()["items"]

    assert items == [{"id": customer, "name": "Zoe", "email": "zoe@example.org", "company": None}]


async def test_customers_whom_one_may_not_see_are_not_found(kim: httpx.AsyncClient, customer: str) -> None:
    assert (await kim.get("/invoicing/customers")).json()["items"] == []


async def test_sample_invoices_are_there_once_in_all_states(host: PluginHost, ann: httpx.AsyncClient) -> None:
    await host.sample_data()
    await host.sample_data()
    items = (await ann.get("/invoicing/totals")).json()["items"]

    assert {item["state"]: item["count"] for item in items} == {"draft": 4, "sent": 4, "paid": 4}
