"""`plugin-host contacts import`, called as the host calls it: with what its callback names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest
from host_contacts.commands import import_people
from host_contacts.sample import PEOPLE

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from plugin_host import PluginHost

pytestmark = pytest.mark.anyio

GOOD = "name,email,phone,company\nZoe,zoe@example.org,,Acme\nYan,,,acme\nXi,,,\n"


@pytest.fixture
def people_csv(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    file.write_text(GOOD, encoding="utf-8")
    return file


async def run(host: PluginHost, file: Path, **options: Any) -> None:
    callback: Any = import_people.callback
    said = {"owner": None, "dry_run": False, **options}
    async with host.work(plugin="contacts") as work:
        await callback(file=file, db=work.db, services=work.services, log=work.log, **said)


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get("/people")).json()["items"]
    return items


async def test_people_are_added_with_their_companies(
    host: PluginHost, ann: httpx.AsyncClient, people_csv: Path
) -> None:
    await run(host, people_csv)

    assert [(person["name"], person["company_name"]) for person in await listed(ann)] == [
        ("Xi", None),
        ("Yan", "Acme"),
        ("Zoe", "Acme"),
    ]


async def test_it_tells_what_it_did(host: PluginHost, people_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await run(host, people_csv)

    assert "3 people and 1 company added." in capsys.readouterr().out


async def test_a_company_that_is_there_is_used(host: PluginHost, ann: httpx.AsyncClient, people_csv: Path) -> None:
    await ann.post("/companies", json={"name": "ACME"})
    await run(host, people_csv)

    assert [company["name"] for company in (await ann.get("/companies")).json()["items"]] == ["ACME"]


async def test_they_can_belong_to_somebody(host: PluginHost, ann: httpx.AsyncClient, people_csv: Path) -> None:
    await run(host, people_csv, owner="bob")

    assert {person["owner"] for person in await listed(ann)} == {"Bob"}


async def test_an_owner_who_is_not_there_is_refused(host: PluginHost, people_csv: Path) -> None:
    with pytest.raises(click.ClickException, match="There is no user called 'bo'"):
        await run(host, people_csv, owner="bo")


async def test_a_dry_run_writes_nothing(
    host: PluginHost, ann: httpx.AsyncClient, people_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(host, people_csv, dry_run=True)

    assert (await listed(ann), capsys.readouterr().out) == (
        [],
        "3 people and 1 company would be added. Nothing was written.\n",
    )


async def test_a_wrong_line_stops_it_all(host: PluginHost, ann: httpx.AsyncClient, people_csv: Path) -> None:
    people_csv.write_text(GOOD + "Al,nonsense,,\n", encoding="utf-8")
    with pytest.raises(click.ClickException, match="line 5: email 'nonsense'"):
        await run(host, people_csv)

    assert await listed(ann) == []


async def test_only_the_first_errors_are_shown(host: PluginHost, people_csv: Path) -> None:
    people_csv.write_text("name,email\n" + "Al,nonsense\n" * 30, encoding="utf-8")
    with pytest.raises(click.ClickException, match="and 10 more"):
        await run(host, people_csv)


async def test_a_file_in_another_encoding_is_refused(host: PluginHost, people_csv: Path) -> None:
    people_csv.write_bytes("name\nJürgen\n".encode("latin-1"))
    with pytest.raises(click.ClickException, match="is not UTF-8"):
        await run(host, people_csv)


async def test_sample_people_are_there_once(host: PluginHost, ann: httpx.AsyncClient) -> None:
    await host.sample_data()
    await host.sample_data()

    assert len((await ann.get("/people", params={"limit": 200})).json()["items"]) == len(PEOPLE)
