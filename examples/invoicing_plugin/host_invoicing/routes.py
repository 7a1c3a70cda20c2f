"""The API below `/api/invoicing`. Handlers stay thin: they ask for access and call the use cases."""

from __future__ import annotations

import datetime as dt
from typing import Final

from host_contacts.services import LOOKUP
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import raiseload

from host_invoicing import invoices
from host_invoicing.events import InvoicePaid
from host_invoicing.models import Invoice
from host_invoicing.schemas import CustomerOut, InvoiceChange, InvoiceIn, InvoiceOut, InvoiceRow, StateTotal
from host_invoicing.settings import InvoicingSettings
from plugin_host.sdk import Access, Actor, Events, Listing, Page, Services, delete, get, patch, post, to

VIEW: Final = "invoicing.view"
CREATE: Final = "invoicing.create"
SEE: Final = "invoicing.invoice.view"
EDIT: Final = "invoicing.invoice.edit"


@get("/invoices", permission=VIEW)
async def list_invoices(listing: Listing, access: Access, db: AsyncSession) -> Page[InvoiceRow]:
    """List the invoices that the actor may see, without their lines."""
    return await listing.page(
        db,
        access.permitted(select(Invoice).options(raiseload(Invoice.lines)), SEE),
        InvoiceRow,
        search=[Invoice.number, Invoice.customer_name],
        sort=[Invoice.created_at, Invoice.number, Invoice.customer_name, Invoice.due_on, Invoice.total],
        filters=[Invoice.state, Invoice.customer_id, Invoice.currency],
    )


@get("/totals", permission=VIEW)
async def list_totals(access: Access, db: AsyncSession) -> Page[StateTotal]:
    """Add up the invoices that the actor may see, by state and currency."""
    return Page(await invoices.totals(db, access))


@get("/customers", permission=VIEW)
async def list_customers(access: Access, db: AsyncSession, services: Services, q: str = "") -> Page[CustomerOut]:
    """Find customers whom the actor may see in contacts; up to 20."""
    found = await services.get(LOOKUP).search(db, access, q)
    return Page([to(customer, CustomerOut) for customer in found])


@post("/invoices", permission=CREATE)
async def create_invoice(
    *, data: InvoiceIn, actor: Actor, access: Access, db: AsyncSession, services: Services, settings: InvoicingSettings
) -> InvoiceOut:
    """Write a draft."""
    customer = await invoices.find_customer(db, access, services, data.customer_id)
    return await _out(await invoices.create(db, actor, data, customer, settings.currency), access)


@get("/invoices/{invoice_id:str}", permission=SEE)
async def get_invoice(invoice_id: str, access: Access) -> InvoiceOut:
    """Read an invoice with its lines."""
    return await _out(await access.get(Invoice, invoice_id, SEE), access)


@patch("/invoices/{invoice_id:str}", permission=EDIT)
async def update_invoice(
    invoice_id: str, data: InvoiceChange, access: Access, db: AsyncSession, services: Services
) -> InvoiceOut:
    """Change the fields of a draft that were sent."""
    invoice = await access.get(Invoice, invoice_id, EDIT)
    customer = await invoices.find_customer(db, access, services, data.customer_id)
    return await _out(await invoices.update(db, invoice, data, customer), access)


@delete("/invoices/{invoice_id:str}", permission=EDIT)
async def delete_invoice(invoice_id: str, access: Access, db: AsyncSession) -> None:
    """Delete a draft."""
    await invoices.remove(db, await access.get(Invoice, invoice_id, EDIT))


@post("/invoices/{invoice_id:str}/send", permission=EDIT, status_code=200)
async def send_invoice(invoice_id: str, access: Access, db: AsyncSession, settings: InvoicingSettings) -> InvoiceOut:
    """Send a draft: it gets its number, and cannot be changed any more."""
    invoice = await access.get(Invoice, invoice_id, EDIT)
    return await _out(await invoices.send(db, invoice, dt.datetime.now(dt.UTC), settings.payment_days), access)


@post("/invoices/{invoice_id:str}/pay", permission=EDIT, status_code=200)
async def pay_invoice(invoice_id: str, access: Access, db: AsyncSession, events: Events) -> InvoiceOut:
    """Note that an invoice was paid."""
    now = dt.datetime.now(dt.UTC)
    invoice = await invoices.pay(db, await access.get(Invoice, invoice_id, EDIT), now)
    paid = InvoicePaid(
        invoice_id=invoice.id,
        number=invoice.number or "",
        customer_id=invoice.customer_id,
        customer_name=invoice.customer_name,
        currency=invoice.currency,
        total=invoice.total,
        paid_at=now,
    )
    await events.publish(db, paid, key=invoice.id)
    return await _out(invoice, access)


HANDLERS: Final = (
    list_invoices,
    list_totals,
    list_customers,
    create_invoice,
    get_invoice,
    update_invoice,
    delete_invoice,
    send_invoice,
    pay_invoice,
)


async def _out(invoice: Invoice, access: Access) -> InvoiceOut:
    out = to(invoice, InvoiceOut)
    out.editable = await access.can(EDIT, invoice)
    return out
