"""Made-up invoices for `serve --demo`, for the made-up people of contacts."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from host_contacts.services import LOOKUP
from sqlalchemy import select

from host_invoicing import invoices
from host_invoicing.models import Invoice
from host_invoicing.schemas import InvoiceIn, LineIn

if TYPE_CHECKING:
    from host_contacts.services import Customer

    from host_invoicing.settings import InvoicingSettings
    from plugin_host.sdk import PluginContext, Work

WORK: Final = (
    ("Workshop, half a day", "1", "640.00"),
    ("Design of the new leaflet", "12.5", "78.00"),
    ("Printing, per thousand", "3", "149.90"),
    ("Travel, per kilometre", "184.2", "0.42"),
    ("Support, monthly", "2", "95.00"),
)
HOW_MANY: Final = 12
STATES: Final = ("paid", "sent", "draft")


async def fill(context: PluginContext[InvoicingSettings]) -> None:
    """Write twelve invoices, a third of them in each state; does nothing if there are any, or no customers."""
    async with context.work() as work:
        if await work.db.scalar(select(Invoice).limit(1)) is not None:
            return
        customers = await work.services.get(LOOKUP).search(work.db, work.access, "", limit=HOW_MANY)
        if not customers:
            context.log.info("no sample invoices: contacts has nobody to send them to")
            return
        for index in range(HOW_MANY):
            await _write(work, index, customers[index % len(customers)], context.settings)


async def _write(work: Work, index: int, customer: Customer, settings: InvoicingSettings) -> None:
    lines = [_line(*WORK[(index + step) % len(WORK)]) for step in range(1 + index % 3)]
    data = InvoiceIn(customer_id=customer.id, lines=lines)
    invoice = await invoices.create(work.db, work.actor, data, customer, settings.currency)
    sent = dt.datetime.now(dt.UTC) - dt.timedelta(days=6 * (HOW_MANY - index))
    invoice.created_at = sent - dt.timedelta(days=2)
    state = STATES[index % len(STATES)]
    if state != "draft":
        await invoices.send(work.db, invoice, sent, settings.payment_days)
    if state == "paid":
        await invoices.pay(work.db, invoice, sent + dt.timedelta(days=5))


def _line(description: str, quantity: str, unit_price: str) -> LineIn:
    return LineIn(description=description, quantity=Decimal(quantity), unit_price=Decimal(unit_price))
