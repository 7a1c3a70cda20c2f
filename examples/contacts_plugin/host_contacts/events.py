"""What contacts tells other plugins: what they need to know, and the keys of the rest."""

from __future__ import annotations

import msgspec


class PersonCreated(msgspec.Struct, frozen=True, tag="contacts.person.created"):
    """Somebody was added. The event's key is the person's id."""

    person_id: str
    name: str
    company_id: str | None = None
    owner_id: str | None = None
