"""What the API takes and gives. Money is a text in JSON ("12.50"): a number there is a binary fraction to many.

A field that is not known is refused (422). What is more than the shape of a body, `invoices` and `money` say.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from host_invoicing.models import State


class LineIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A line to be written."""

    description: Annotated[str, Meta(max_length=500)]
    quantity: Decimal
    unit_price: Decimal


Lines: TypeAlias = Annotated[list[LineIn], Meta(min_length=1, max_length=100)]


class InvoiceIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new draft; without a currency it is in the one of the settings."""

    customer_id: str
    lines: Lines
    currency: str | None = None
    due_on: dt.date | None = None


class InvoiceChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a draft; what is left out stays, and `lines` replaces all lines."""

    customer_id: str | UnsetType = UNSET
    lines: Lines | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    due_on: dt.date | UnsetType | None = UNSET


class InvoiceRow(msgspec.Struct, kw_only=True):
    """An invoice in a list. `number` is null until it is sent."""

    id: str
    number: str | None
    state: State
    customer_id: str
    customer_name: str
    currency: str
    total: Decimal
    due_on: dt.date | None
    created_at: dt.datetime
    sent_at: dt.datetime | None
    paid_at: dt.datetime | None


class LineOut(msgspec.Struct, kw_only=True):
    """A line, with its amount rounded to cents."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal


class InvoiceOut(InvoiceRow, kw_only=True):
    """One invoice with its lines, and whether the reader may change it."""

    lines: list[LineOut]
    editable: bool = False


class StateTotal(msgspec.Struct, kw_only=True):
    """What the invoices of one state and currency come to."""

    state: State
    currency: str
    count: int
    total: Decimal


class CustomerOut(msgspec.Struct, kw_only=True):
    """Somebody who can be sent an invoice."""

    id: str
    name: str
    email: str | None
    company: str | None
