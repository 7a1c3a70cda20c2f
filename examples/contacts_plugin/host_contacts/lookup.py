"""The service behind `services.LOOKUP`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select

from host_contacts.models import Company, Person
from host_contacts.services import Customer, Lookup

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk import Access


class PermittedLookup(Lookup):
    """Reads people through `access.permitted`: no caller gets around it."""

    async def search(self, db: AsyncSession, access: Access, text: str, limit: int = 20) -> Sequence[Customer]:
        """See `Lookup.search`."""
        wanted = (
            access.permitted(select(Person), "contacts.person.view")
            .outerjoin(Company, Person.company_id == Company.id)
            .where(or_(Person.name.icontains(text, autoescape=True), Company.name.icontains(text, autoescape=True)))
            .order_by(func.lower(Person.name), Person.id)
            .limit(limit)
        )
        return [_customer(person) for person in await db.scalars(wanted)]

    async def get(self, db: AsyncSession, access: Access, ids: Collection[str]) -> Mapping[str, Customer]:
        """See `Lookup.get`."""
        wanted = access.permitted(select(Person), "contacts.person.view").where(Person.id.in_(ids))
        return {person.id: _customer(person) for person in await db.scalars(wanted)}


def _customer(person: Person) -> Customer:
    return Customer(id=person.id, name=person.name, email=person.email, company=person.company_name)
