"""What invoicing tells other plugins."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec


class InvoicePaid(msgspec.Struct, frozen=True, tag="invoicing.invoice.paid"):
    """An invoice was paid. The event's key is the invoice's id."""

    invoice_id: str
    number: str
    customer_id: str
    customer_name: str
    currency: str
    total: Decimal
    paid_at: dt.datetime
