"""What can be done with people. Each function takes the caller's session first; the host commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, structs
from sqlalchemy import select

from host_contacts.checks import faults, invalid
from host_contacts.models import Company, Note, Person
from plugin_host.sdk import USERS, change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from host_contacts.schemas import NoteIn, NoteOut, PersonChange, PersonIn, PersonOut
    from plugin_host.sdk import Actor, Services


async def create(db: AsyncSession, data: PersonIn, owner_id: str | None) -> Person:
    """Add a person who belongs to this user. Raises `Problem` 422 with all wrong fields."""
    person = Person(owner_id=owner_id)
    await _apply(db, person, data)
    db.add(person)
    await db.flush()
    return person


async def update(db: AsyncSession, services: Services, person: Person, data: PersonChange) -> Person:
    """Set the fields that were sent. Raises `Problem` 422 with all wrong fields."""
    wrong = {}
    if isinstance(data.owner_id, str) and data.owner_id not in await services.get(USERS).get([data.owner_id]):
        wrong["owner_id"] = "there is no such user"
    await _apply(db, person, data, wrong)
    await db.flush()
    return person


async def notes_of(db: AsyncSession, person: Person) -> Sequence[Note]:
    """Give the notes on a person, the newest first."""
    wanted = select(Note).where(Note.person_id == person.id).order_by(Note.created_at.desc(), Note.id.desc())
    return (await db.scalars(wanted)).all()


async def add_note(db: AsyncSession, actor: Actor, person: Person, data: NoteIn) -> Note:
    """Write a note on a person. Raises `Problem` 422 if it is empty."""
    if wrong := faults(structs.asdict(data)):
        raise invalid(wrong)
    note = Note(person_id=person.id, author_id=actor.id, text=data.text)
    db.add(note)
    await db.flush()
    return note


async def name_owners(services: Services, people: Sequence[PersonOut]) -> None:
    """Fill in how the owners are called: one question for the whole page."""
    users = await services.get(USERS).get([person.owner_id for person in people if person.owner_id is not None])
    for person in people:
        user = users.get(person.owner_id or "")
        person.owner = user.display if user is not None else None


async def name_authors(services: Services, notes: Sequence[NoteOut]) -> None:
    """Fill in how the authors are called."""
    users = await services.get(USERS).get([note.author_id for note in notes])
    for note in notes:
        user = users.get(note.author_id)
        note.author = user.display if user is not None else None


async def _apply(
    db: AsyncSession, person: Person, data: PersonIn | PersonChange, wrong: dict[str, str] | None = None
) -> None:
    wrong = {**(wrong or {}), **faults(structs.asdict(data))}
    if data.company_id is not UNSET:
        # The relationship is set, not only its column, so that the answer can tell the company's name.
        company = await db.get(Company, data.company_id) if data.company_id is not None else None
        if data.company_id is not None and company is None:
            wrong["company_id"] = "there is no such company"
    if wrong:
        raise invalid(wrong)
    change(person, data)
    if data.company_id is not UNSET:
        person.company = company
