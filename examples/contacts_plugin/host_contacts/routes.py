"""The API below `/api/contacts`. Handlers stay thin: they ask for access and call the use cases."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from host_contacts import companies, people
from host_contacts.events import PersonCreated
from host_contacts.models import Company, Person
from host_contacts.schemas import (
    CompanyChange,
    CompanyIn,
    CompanyOut,
    NoteIn,
    NoteOut,
    PersonChange,
    PersonDetail,
    PersonIn,
    PersonOut,
    ShareIn,
)
from plugin_host.sdk import Access, Actor, Events, Listing, Page, Services, delete, get, patch, post, to

VIEW: Final = "contacts.view"
CREATE: Final = "contacts.create"
SEE_PERSON: Final = "contacts.person.view"
EDIT_PERSON: Final = "contacts.person.edit"


@get("/people", permission=VIEW)
async def list_people(listing: Listing, access: Access, db: AsyncSession, services: Services) -> Page[PersonOut]:
    """List the people whom the actor may see."""
    page = await listing.page(
        db,
        access.permitted(select(Person), SEE_PERSON),
        PersonOut,
        search=[Person.name, Person.email, Person.phone],
        sort=[Person.name, Person.email, Person.created_at],
        filters=[Person.company_id, Person.owner_id],
    )
    await people.name_owners(services, page.items)
    return page


@post("/people", permission=CREATE, summary="Add person")
async def create_person(
    *, data: PersonIn, actor: Actor, access: Access, db: AsyncSession, events: Events, services: Services
) -> PersonDetail:
    """Add a person; whoever does becomes the owner."""
    person = await people.create(db, data, actor.id)
    await events.publish(db, PersonCreated(person.id, person.name, person.company_id, person.owner_id), key=person.id)
    return await _detail(person, access, services)


@get("/people/{person_id:str}", permission=SEE_PERSON)
async def get_person(person_id: str, access: Access, services: Services) -> PersonDetail:
    """Read a person."""
    person = await access.get(Person, person_id, SEE_PERSON)
    return await _detail(person, access, services)


@patch("/people/{person_id:str}", permission=EDIT_PERSON)
async def update_person(
    person_id: str, data: PersonChange, access: Access, db: AsyncSession, services: Services
) -> PersonDetail:
    """Change the fields that were sent."""
    person = await access.get(Person, person_id, EDIT_PERSON)
    await people.update(db, services, person, data)
    return await _detail(person, access, services)


@delete("/people/{person_id:str}", permission=EDIT_PERSON)
async def delete_person(person_id: str, access: Access, db: AsyncSession) -> None:
    """Delete a person with all notes."""
    await db.delete(await access.get(Person, person_id, EDIT_PERSON))


@post("/people/{person_id:str}/share", permission=EDIT_PERSON, status_code=204)
async def share_person(person_id: str, data: ShareIn, access: Access) -> None:
    """Let others see or change a person whom one may change; nobody shares what they may not do themselves."""
    person = await access.get(Person, person_id, EDIT_PERSON)
    await access.share(person, data.with_, data.actions, data.until)


@post("/people/{person_id:str}/unshare", permission=EDIT_PERSON, status_code=204)
async def unshare_person(person_id: str, data: ShareIn, access: Access) -> None:
    """Take back what was shared."""
    person = await access.get(Person, person_id, EDIT_PERSON)
    await access.unshare(person, data.with_, data.actions)


@get("/people/{person_id:str}/notes", permission=SEE_PERSON)
async def list_notes(person_id: str, access: Access, db: AsyncSession, services: Services) -> Page[NoteOut]:
    """List the notes on a person, the newest first."""
    person = await access.get(Person, person_id, SEE_PERSON)
    notes = [to(note, NoteOut) for note in await people.notes_of(db, person)]
    await people.name_authors(services, notes)
    return Page(notes)


@post("/people/{person_id:str}/notes", permission=EDIT_PERSON, summary="Add note")
async def create_note(person_id: str, data: NoteIn, actor: Actor, access: Access, db: AsyncSession) -> NoteOut:
    """Write a note on a person."""
    person = await access.get(Person, person_id, EDIT_PERSON)
    note = to(await people.add_note(db, actor, person, data), NoteOut)
    note.author = actor.display
    return note


@get("/companies", permission=VIEW)
async def list_companies(listing: Listing, access: Access, db: AsyncSession) -> Page[CompanyOut]:
    """List the companies; all of them may be seen."""
    page = await listing.page(
        db, select(Company), CompanyOut, search=[Company.name], sort=[Company.name, Company.created_at]
    )
    await companies.count_people(db, access, page.items)
    return page


@post("/companies", permission=CREATE, summary="Add company")
async def create_company(data: CompanyIn, db: AsyncSession) -> CompanyOut:
    """Add a company."""
    return to(await companies.create(db, data), CompanyOut)


@get("/companies/{company_id:str}", permission=VIEW)
async def get_company(company_id: str, access: Access, db: AsyncSession) -> CompanyOut:
    """Read a company."""
    return await _company(await companies.get(db, company_id), access, db)


@patch("/companies/{company_id:str}", permission=CREATE)
async def update_company(company_id: str, data: CompanyChange, access: Access, db: AsyncSession) -> CompanyOut:
    """Change the fields that were sent."""
    company = await companies.get(db, company_id)
    return await _company(await companies.update(db, company, data), access, db)


HANDLERS: Final = (
    list_people,
    create_person,
    get_person,
    update_person,
    delete_person,
    share_person,
    unshare_person,
    list_notes,
    create_note,
    list_companies,
    create_company,
    get_company,
    update_company,
)


async def _detail(person: Person, access: Access, services: Services) -> PersonDetail:
    out = to(person, PersonDetail)
    out.editable = await access.can(EDIT_PERSON, person)
    await people.name_owners(services, [out])
    return out


async def _company(company: Company, access: Access, db: AsyncSession) -> CompanyOut:
    out = to(company, CompanyOut)
    await companies.count_people(db, access, [out])
    return out
