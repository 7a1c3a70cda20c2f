"""Made-up people for `serve --demo`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from host_contacts.models import Company, Note, Person
from plugin_host.sdk import USERS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk import PluginContext

COMPANIES: Final = {
    "Alder & Finch": "https://alder-finch.example",
    "Blue Harbour Shipping": "https://blueharbour.example",
    "Copperfield Bakery": None,
    "Driftwood Studio": "https://driftwood.example",
    "Evergreen Energy": "https://evergreen.example",
    "Fernhill Clinic": "https://fernhill.example",
}
PEOPLE: Final = (
    ("Ada Brooks", "Alder & Finch"),
    ("Amir Haddad", "Blue Harbour Shipping"),
    ("Beatriz Costa", "Copperfield Bakery"),
    ("Chen Wei", "Evergreen Energy"),
    ("Clara Lindqvist", "Driftwood Studio"),
    ("Daniel Okafor", "Evergreen Energy"),
    ("Elena Petrova", "Alder & Finch"),
    ("Emil Sørensen", None),
    ("Fatima Zahra", "Fernhill Clinic"),
    ("George Whitman", "Blue Harbour Shipping"),
    ("Hana Novák", "Driftwood Studio"),
    ("Hugo Lefèvre", "Copperfield Bakery"),
    ("Ines Moreau", "Fernhill Clinic"),
    ("Jonas Becker", "Evergreen Energy"),
    ("Kwame Mensah", "Blue Harbour Shipping"),
    ("Laura Rossi", None),
    ("Mateo Vargas", "Alder & Finch"),
    ("Mei Tanaka", "Driftwood Studio"),
    ("Nadia Rahman", "Fernhill Clinic"),
    ("Oliver Grant", "Evergreen Energy"),
    ("Priya Nair", "Alder & Finch"),
    ("Rosa Jiménez", "Copperfield Bakery"),
    ("Samuel Adeyemi", "Blue Harbour Shipping"),
    ("Tomasz Zieliński", None),
    ("Yara Silva", "Fernhill Clinic"),
)
NOTES: Final = (
    "Met at the spring fair; wants an offer for next year.",
    "Prefers to be called in the morning.",
    "Asked for a copy of the last contract.",
)
OWNERS: Final = ("editor", "admin")


async def fill(context: PluginContext[Any]) -> None:
    """Add companies, people and notes, owned in turn by the users of the demo; does nothing if people are there."""
    users = {user.username: user.id for name in OWNERS for user in await context.services.get(USERS).search(name)}
    owners: list[str | None] = [users[name] for name in OWNERS if name in users] or [None]
    async with context.work() as work:
        if await work.db.scalar(select(Person).limit(1)) is not None:
            return
        companies = {name: Company(name=name, website=website) for name, website in COMPANIES.items()}
        work.db.add_all(companies.values())
        people = [
            _person(index, name, companies.get(company or ""), owners[index % len(owners)])
            for index, (name, company) in enumerate(PEOPLE)
        ]
        work.db.add_all(people)
        await work.db.flush()
        _add_notes(work.db, people)


def _person(index: int, name: str, company: Company | None, owner_id: str | None) -> Person:
    user = name.partition(" ")[0].lower()
    domain = (company.website or "").removeprefix("https://") if company is not None else ""
    return Person(
        name=name,
        email=f"{user}@{domain or 'mail.example'}",
        phone=f"+44 20 7946 {index + 100:04}",
        company=company,
        owner_id=owner_id,
        created_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=3 * index + 1),
    )


def _add_notes(db: AsyncSession, people: list[Person]) -> None:
    for index, text in enumerate(NOTES):
        person = people[index * 4]
        db.add(Note(person_id=person.id, author_id=person.owner_id or "system", text=text))
