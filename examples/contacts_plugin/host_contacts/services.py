"""What contacts offers to other plugins: the only module of this package that they import.

After `from host_contacts.services import LOOKUP`, a route of another plugin says
`await services.get(LOOKUP).search(db, access, "ann")`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import msgspec

from plugin_host.sdk import ServiceKey

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk import Access


class Customer(msgspec.Struct, frozen=True):
    """What other plugins learn of a person."""

    id: str
    name: str
    email: str | None
    company: str | None


class Lookup(ABC):
    """Finds people, and hands out those only whom the caller's actor may see (`contacts.person.view`).

    Both take the caller's own session and access: the rows are read in the caller's transaction and with
    the caller's rights. A plugin that uses this service lists the permission under `asks` in plugin.json.
    """

    @abstractmethod
    async def search(self, db: AsyncSession, access: Access, text: str, limit: int = 20) -> Sequence[Customer]:
        """Give up to `limit` people whose name or company contains the text, by name; "" finds everybody."""

    @abstractmethod
    async def get(self, db: AsyncSession, access: Access, ids: Collection[str]) -> Mapping[str, Customer]:
        """Give the people of these ids by id; who is missing does not exist, or may not be seen."""


LOOKUP: Final = ServiceKey[Lookup]("contacts.lookup", 1)
