"""What the API takes and gives. Output structs list their fields: nothing else of a row leaves the server.

A field that is not known is refused (422), so that a typo is an error and not a silence. What is more than
the shape of a body, `checks` says.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

ShortText: TypeAlias = Annotated[str, Meta(max_length=200)]
Email: TypeAlias = Annotated[str, Meta(max_length=254)]
Phone: TypeAlias = Annotated[str, Meta(max_length=40)]


class _Input(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    def __post_init__(self) -> None:
        """Cut blanks around texts; an empty text is none, save for a name, which must not be empty."""
        for field in self.__struct_fields__:
            text = getattr(self, field)
            if isinstance(text, str):
                setattr(self, field, text.strip() or ("" if field in ("name", "text") else None))


class PersonIn(_Input, kw_only=True):
    """A new person; only the name is needed."""

    name: ShortText
    email: Email | None = None
    phone: Phone | None = None
    company_id: str | None = None


class PersonChange(_Input, kw_only=True):
    """Changes of a person; what is left out stays. `owner_id` hands the person over to another user."""

    name: ShortText | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    company_id: str | UnsetType | None = UNSET
    owner_id: str | UnsetType | None = UNSET


class ShareIn(_Input, kw_only=True):
    """With whom a person is shared (`user:7`, `group:3` or `role:x`), what for, and until when."""

    with_: Annotated[str, Meta(max_length=120)] = msgspec.field(name="with")
    actions: tuple[Literal["view", "edit"], ...] = ("view",)
    until: dt.datetime | None = None


class PersonOut(msgspec.Struct, kw_only=True):
    """A person. `owner` is how the owner is called, or null if nobody of this id is there (any more)."""

    id: str
    name: str
    email: str | None
    phone: str | None
    company_id: str | None
    company_name: str | None
    owner_id: str | None
    owner: str | None = None
    created_at: dt.datetime


class PersonDetail(PersonOut, kw_only=True):
    """One person, and whether the reader may change them."""

    editable: bool = False


class NoteIn(_Input, kw_only=True):
    """A new note."""

    text: Annotated[str, Meta(max_length=10_000)]


class NoteOut(msgspec.Struct, kw_only=True):
    """A note; `author` as `PersonOut.owner`."""

    id: str
    text: str
    author_id: str
    author: str | None = None
    created_at: dt.datetime


class CompanyIn(_Input, kw_only=True):
    """A new company."""

    name: ShortText
    website: ShortText | None = None


class CompanyChange(_Input, kw_only=True):
    """Changes of a company; what is left out stays."""

    name: ShortText | UnsetType = UNSET
    website: ShortText | UnsetType | None = UNSET


class CompanyOut(msgspec.Struct, kw_only=True):
    """A company, and how many of its people the reader may see."""

    id: str
    name: str
    website: str | None
    people: int = 0
    created_at: dt.datetime
