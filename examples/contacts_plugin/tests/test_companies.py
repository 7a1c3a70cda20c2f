"""Companies over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio


async def test_a_company_is_added(ann: httpx.AsyncClient) -> None:
    answer = await ann.post("/companies", json={"name": "Acme", "website": "https://acme.example"})

    assert (answer.status_code, answer.json()["website"]) == (201, "https://acme.example")


async def test_a_name_is_taken_once(ann: httpx.AsyncClient) -> None:
    await ann.post("/companies", json={"name": "Acme"})
    answer = await ann.post("/companies", json={"name": "Acme"})

    assert (answer.status_code, answer.json()["detail"]) == (409, "There is already a company called Acme.")


async def test_a_company_may_keep_its_name(ann: httpx.AsyncClient) -> None:
    company = (await ann.post("/companies", json={"name": "Acme"})).json()

    assert (await ann.patch(f"/companies/{company['id']}", json={"name": "Acme"})).status_code == 200


async def test_a_link_that_would_run_is_refused(ann: httpx.AsyncClient) -> None:
    answer = await ann.post("/companies", json={"name": "Acme", "website": "javascript:alert(1)"})

    assert [error["pointer"] for error in answer.json()["errors"]] == ["/website"]


async def test_people_are_counted(ann: httpx.AsyncClient, eve: httpx.AsyncClient) -> None:
    company = (await ann.post("/companies", json={"name": "Acme"})).json()
    await ann.post("/companies", json={"name": "Bluebird"})
    await ann.post("/people", json={"name": "Zoe", "company_id": company["id"]})
    items = (await eve.get("/companies")).json()["items"]

    assert [(item["name"], item["people"]) for item in items] == [("Acme", 1), ("Bluebird", 0)]


async def test_a_company_that_is_not_there_is_404(ann: httpx.AsyncClient) -> None:
    assert (await ann.get("/companies/nope")).status_code == 404


async def test_a_viewer_changes_nothing(ann: httpx.AsyncClient, eve: httpx.AsyncClient) -> None:
    company = (await ann.post("/companies", json={"name": "Acme"})).json()

    assert (await eve.patch(f"/companies/{company['id']}", json={"name": "Emca"})).status_code == 403
