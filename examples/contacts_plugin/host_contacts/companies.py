"""What can be done with companies. Each function takes the caller's session first; the host commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs
from sqlalchemy import func, select

from host_contacts.checks import faults, invalid
from host_contacts.models import Company, Person
from plugin_host.sdk import Problem, change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from host_contacts.schemas import CompanyChange, CompanyIn, CompanyOut
    from plugin_host.sdk import Access


async def get(db: AsyncSession, company_id: str) -> Company:
    """Load a company; `Problem` 404 if there is none of this id."""
    company = await db.get(Company, company_id)
    if company is None:
        raise Problem(404, "not_found", "There is no such company.")
    return company


async def create(db: AsyncSession, data: CompanyIn) -> Company:
    """Add a company. Raises `Problem` 422 for wrong fields, 409 if there is one of this name."""
    company = Company()
    await _apply(db, company, data)
    db.add(company)
    await db.flush()
    return company


async def update(db: AsyncSession, company: Company, data: CompanyChange) -> Company:
    """Set the fields that were sent; raises as `create`."""
    await _apply(db, company, data)
    await db.flush()
    return company


async def count_people(db: AsyncSession, access: Access, companies: Sequence[CompanyOut]) -> None:
    """Fill in how many people work there, of those whom the actor may see: one query for the whole page."""
    wanted = (
        access.permitted(select(Person), "contacts.person.view")
        .with_only_columns(Person.company_id, func.count())
        .where(Person.company_id.in_([company.id for company in companies]))
        .group_by(Person.company_id)
    )
    counts = dict((await db.execute(wanted)).all())
    for company in companies:
        company.people = counts.get(company.id, 0)


async def _apply(db: AsyncSession, company: Company, data: CompanyIn | CompanyChange) -> None:
    if wrong := faults(structs.asdict(data)):
        raise invalid(wrong)
    # Two calls at the same moment both pass here; then the unique key refuses one of them.
    taken = await db.scalar(select(Company).where(Company.name == data.name)) if isinstance(data.name, str) else None
    if taken is not None and taken is not company:
        raise Problem(409, "conflict", f"There is already a company called {taken.name}.")
    change(company, data)
