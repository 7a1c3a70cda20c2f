"""The tables: companies, the people who work there, and notes on people."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plugin_host.sdk import PluginBase, object_id


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Base(PluginBase, plugin="contacts"):
    """Every table of this plugin begins with `contacts_`."""


class Company(Base):
    """A company; its name is unique, so that an import finds it again."""

    __tablename__ = "contacts_company"

    id: Mapped[str] = object_id()
    name: Mapped[str] = mapped_column(String(200), unique=True)
    website: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[dt.datetime] = mapped_column(default=_now)


class Person(Base):
    """A person: the object that `contacts.person.view` and `contacts.person.edit` are asked about."""

    __tablename__ = "contacts_person"
    __object__ = "contacts.person"

    id: Mapped[str] = object_id()
    name: Mapped[str] = mapped_column(String(200), index=True)
    email: Mapped[str | None] = mapped_column(String(254))
    phone: Mapped[str | None] = mapped_column(String(40))
    company_id: Mapped[str | None] = mapped_column(ForeignKey("contacts_company.id", ondelete="SET NULL"), index=True)
    # A user's id is an opaque text of the host: no foreign key.
    owner_id: Mapped[str | None] = mapped_column(String(64), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=_now)

    # Joined, since a lazy load would need the database after the query has ended.
    company: Mapped[Company | None] = relationship(lazy="joined")

    @property
    def company_name(self) -> str | None:
        """The company's name, for lists."""
        return self.company.name if self.company is not None else None


class Note(Base):
    """What somebody wrote about a person; it is deleted with the person."""

    __tablename__ = "contacts_note"
    __table_args__ = (Index(None, "person_id", "created_at"),)

    id: Mapped[str] = object_id()
    person_id: Mapped[str] = mapped_column(ForeignKey("contacts_person.id", ondelete="CASCADE"))
    author_id: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[dt.datetime] = mapped_column(default=_now)
