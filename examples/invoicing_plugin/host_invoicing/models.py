"""The tables: invoices, their lines, and the last number given in each year."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal, TypeAlias

from sqlalchemy import CheckConstraint, Date, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plugin_host.sdk import ExactDecimal, PluginBase, object_id

State: TypeAlias = Literal["draft", "sent", "paid"]

QUANTITY = ExactDecimal(18, 3)
MONEY = ExactDecimal(18, 2)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Base(PluginBase, plugin="invoicing"):
    """Every table of this plugin begins with `invoicing_`."""


class Invoice(Base):
    """An invoice: the object that `invoicing.invoice.view` and `invoicing.invoice.edit` are asked about."""

    __tablename__ = "invoicing_invoice"
    __object__ = "invoicing.invoice"
    __table_args__ = (
        CheckConstraint("state IN ('draft', 'sent', 'paid')", name="state"),
        CheckConstraint("state = 'draft' OR due_on IS NOT NULL", name="due"),
    )

    id: Mapped[str] = object_id()
    number: Mapped[str | None] = mapped_column(String(20), unique=True)
    state: Mapped[State] = mapped_column(String(10), default="draft", index=True)
    # A person of contacts. No foreign key: contacts may be removed, and an invoice stays what it was, hence the name.
    customer_id: Mapped[str] = mapped_column(String(64), index=True)
    customer_name: Mapped[str] = mapped_column(String(200))
    currency: Mapped[str] = mapped_column(String(3))
    total: Mapped[Decimal] = mapped_column(MONEY)
    due_on: Mapped[dt.date | None] = mapped_column(Date, index=True)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[dt.datetime] = mapped_column(default=_now)
    sent_at: Mapped[dt.datetime | None]
    paid_at: Mapped[dt.datetime | None]

    lines: Mapped[list[Line]] = relationship(
        lazy="selectin", order_by="Line.position", cascade="all, delete-orphan", passive_deletes=True
    )


class Line(Base):
    """A line of an invoice, with the amount as it was rounded."""

    __tablename__ = "invoicing_line"

    id: Mapped[str] = object_id()
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoicing_invoice.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    description: Mapped[str] = mapped_column(String(500))
    quantity: Mapped[Decimal] = mapped_column(QUANTITY)
    unit_price: Mapped[Decimal] = mapped_column(MONEY)
    amount: Mapped[Decimal] = mapped_column(MONEY)


class Counter(Base):
    """The last number that was given in a year. `numbering.next_number` is the only one to write here."""

    __tablename__ = "invoicing_counter"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]
