"""People over HTTP: adding, listing, changing, deleting, and who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio


async def add(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/people", json={"name": "Zoe", **fields})
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


async def names(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/people", params=query)
    assert answer.status_code == 200, answer.text
    return [person["name"] for person in answer.json()["items"]]


async def test_whoever_adds_a_person_owns_them(ann: httpx.AsyncClient) -> None:
    person = await add(ann, email="zoe@example.org")

    assert {key: person[key] for key in ("name", "email", "owner_id", "owner", "editable")} == {
        "name": "Zoe",
        "email": "zoe@example.org",
        "owner_id": "1",
        "owner": "Ann",
        "editable": True,
    }


async def test_blanks_around_a_text_are_cut(ann: httpx.AsyncClient) -> None:
    person = await add(ann, name="  Zoe ", email=" ")

    assert (person["name"], person["email"]) == ("Zoe", None)


async def test_all_wrong_fields_are_named_at_once(ann: httpx.AsyncClient) -> None:
    answer = await ann.post("/people", json={"name": " ", "email": "x", "company_id": "nope"})

    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/name", "/email", "/company_id"}


async def test_an_unknown_field_is_refused(ann: httpx.AsyncClient) -> None:
    assert (await ann.post("/people", json={"name": "Zoe", "owner_id": "2"})).status_code == 422


async def test_a_person_without_a_name_is_refused(ann: httpx.AsyncClient) -> None:
    assert (await ann.post("/people", json={"email": "zoe@example.org"})).status_code == 422


async def test_a_viewer_cannot_add(eve: httpx.AsyncClient) -> None:
    assert (await eve.post("/people", json={"name": "Zoe"})).status_code == 403


async def test_people_are_listed_by_name(ann: httpx.AsyncClient) -> None:
    for name in ("bea", "Cy", "Al"):
        await add(ann, name=name)

    assert await names(ann) == ["Al", "bea", "Cy"]


async def test_a_list_can_be_turned_round(ann: httpx.AsyncClient) -> None:
    for name in ("Bea", "Al"):
        await add(ann, name=name)

    assert await names(ann, sort="-name") == ["Bea", "Al"]


async def test_a_search_finds_addresses_as_well(ann: httpx.AsyncClient) -> None:
    await add(ann, name="Bea", email="office@example.org")
    await add(ann, name="Al")

    assert await names(ann, q="OFFICE") == ["Bea"]


async def test_a_long_list_comes_in_pages(ann: httpx.AsyncClient) -> None:
    for name in ("Al", "Bea", "Cy"):
        await add(ann, name=name)
    first = (await ann.get("/people", params={"limit": 2})).json()

    assert await names(ann, limit=2, cursor=first["next"]) == ["Cy"]


async def test_people_of_one_company_can_be_listed(ann: httpx.AsyncClient) -> None:
    company = (await ann.post("/companies", json={"name": "Acme"})).json()
    await add(ann, name="Bea", company_id=company["id"])
    await add(ann, name="Al")

    assert await names(ann, company_id=company["id"]) == ["Bea"]


async def test_a_list_names_company_and_owner(ann: httpx.AsyncClient) -> None:
    company = (await ann.post("/companies", json={"name": "Acme"})).json()
    await add(ann, company_id=company["id"])
    (person,) = (await ann.get("/people")).json()["items"]

    assert (person["company_name"], person["owner"]) == ("Acme", "Ann")


async def test_a_viewer_sees_everybody(ann: httpx.AsyncClient, eve: httpx.AsyncClient) -> None:
    await add(ann, name="Bea")

    assert await names(eve) == ["Bea"]


async def test_somebody_without_a_role_sees_nothing(nobody: httpx.AsyncClient) -> None:
    assert (await nobody.get("/people")).status_code == 403


async def test_an_owner_can_change_a_person(ann: httpx.AsyncClient) -> None:
    person = await add(ann, email="zoe@example.org")
    answer = await ann.patch(f"/people/{person['id']}", json={"name": "Zora"})

    assert (answer.json()["name"], answer.json()["email"]) == ("Zora", "zoe@example.org")


async def test_another_editor_cannot_change_them(ann: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    person = await add(ann)

    assert (await bob.patch(f"/people/{person['id']}", json={"name": "Zora"})).status_code == 403


async def test_another_editor_is_told_that_they_cannot(ann: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    person = await add(ann)

    assert (await bob.get(f"/people/{person['id']}")).json()["editable"] is False


async def test_a_person_can_be_handed_over(ann: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    person = await add(ann)
    await ann.patch(f"/people/{person['id']}", json={"owner_id": "2"})

    assert (await bob.patch(f"/people/{person['id']}", json={"name": "Zora"})).status_code == 200


async def test_a_person_cannot_be_handed_over_to_somebody_who_is_not_there(ann: httpx.AsyncClient) -> None:
    person = await add(ann)
    answer = await ann.patch(f"/people/{person['id']}", json={"owner_id": "99"})

    assert [error["pointer"] for error in answer.json()["errors"]] == ["/owner_id"]


async def test_a_person_can_leave_a_company(ann: httpx.AsyncClient) -> None:
    company = (await ann.post("/companies", json={"name": "Acme"})).json()
    person = await add(ann, company_id=company["id"])
    answer = await ann.patch(f"/people/{person['id']}", json={"company_id": None})

    assert answer.json()["company_name"] is None


async def test_a_person_who_is_not_there_is_404(ann: httpx.AsyncClient) -> None:
    assert (await ann.get("/people/nope")).status_code == 404


async def test_a_deleted_person_is_gone(ann: httpx.AsyncClient) -> None:
    person = await add(ann)
    answer = await ann.delete(f"/people/{person['id']}")

    assert (answer.status_code, await names(ann)) == (204, [])


async def test_a_person_with_notes_can_be_deleted(ann: httpx.AsyncClient) -> None:
    person = await add(ann)
    await ann.post(f"/people/{person['id']}/notes", json={"text": "Likes tea."})

    assert (await ann.delete(f"/people/{person['id']}")).status_code == 204


async def test_another_editor_cannot_delete(ann: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    person = await add(ann)

    assert (await bob.delete(f"/people/{person['id']}")).status_code == 403


async def test_notes_come_newest_first_with_their_author(ann: httpx.AsyncClient, eve: httpx.AsyncClient) -> None:
    path = f"/people/{(await add(ann))['id']}/notes"
    await ann.post(path, json={"text": "First."})
    await ann.post(path, json={"text": "Second."})
    notes = (await eve.get(path)).json()["items"]

    assert [(note["text"], note["author"]) for note in notes] == [("Second.", "Ann"), ("First.", "Ann")]


async def test_an_empty_note_is_refused(ann: httpx.AsyncClient) -> None:
    answer = await ann.post(f"/people/{(await add(ann))['id']}/notes", json={"text": "  "})

    assert [error["pointer"] for error in answer.json()["errors"]] == ["/text"]


async def test_a_viewer_writes_no_notes(ann: httpx.AsyncClient, eve: httpx.AsyncClient) -> None:
    person = await add(ann)

    assert (await eve.post(f"/people/{person['id']}/notes", json={"text": "Hm."})).status_code == 403
