"""The life of an invoice: written, sent, paid. Each function takes the caller's session first; the host commits."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from host_contacts.services import LOOKUP
from msgspec import UNSET
from sqlalchemy import func, select

from host_invoicing import money
from host_invoicing.models import Invoice, Line
from host_invoicing.numbering import next_number
from host_invoicing.schemas import StateTotal
from plugin_host.sdk import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from host_contacts.services import Customer
    from msgspec import UnsetType
    from sqlalchemy.ext.asyncio import AsyncSession

    from host_invoicing.models import State
    from host_invoicing.schemas import InvoiceChange, InvoiceIn, LineIn
    from plugin_host.sdk import Access, Actor, Services

NEXT_STATE: Final[dict[State, State]] = {"draft": "sent", "sent": "paid"}
_STANDS: Final[dict[State, str]] = {
    "draft": "is a draft: send it first",
    "sent": "was sent already: now it can only be paid",
    "paid": "was paid already: it stays as it is",
}


async def find_customer(
    db: AsyncSession, access: Access, services: Services, customer_id: str | UnsetType
) -> Customer | None:
    """Look a customer up in contacts: None if nobody is meant, or nobody whom the actor may see."""
    if customer_id is UNSET:
        return None
    return (await services.get(LOOKUP).get(db, access, [customer_id])).get(customer_id)


async def create(db: AsyncSession, actor: Actor, data: InvoiceIn, customer: Customer | None, currency: str) -> Invoice:
    """Write a draft; `currency` is used if the body names none. Raises `Problem` 422 with all wrong fields."""
    invoice = Invoice(created_by=actor.id, state="draft", currency=currency)
    _write(invoice, data, customer)
    db.add(invoice)
    await db.flush()
    return invoice


async def update(db: AsyncSession, invoice: Invoice, data: InvoiceChange, customer: Customer | None) -> Invoice:
    """Change a draft. Raises `Problem` 409 if it was sent, 422 with all wrong fields."""
    await hold(db, invoice)
    _require_draft(invoice, "changed")
    _write(invoice, data, customer)
    await db.flush()
    return invoice


async def send(db: AsyncSession, invoice: Invoice, now: dt.datetime, payment_days: int) -> Invoice:
    """Give a draft its number and, if it has none, its due date. Raises `Problem` 409 if it was sent already."""
    await hold(db, invoice)
    require_step(invoice, "sent")
    # The number first: asking for it writes to the database what has been set by then.
    invoice.number = await next_number(db, now.year)
    invoice.state = "sent"
    invoice.sent_at = now
    invoice.due_on = invoice.due_on or now.date() + dt.timedelta(days=payment_days)
    await db.flush()
    return invoice


async def pay(db: AsyncSession, invoice: Invoice, now: dt.datetime) -> Invoice:
    """Note that an invoice was paid. Raises `Problem` 409 if it was not sent, or paid already."""
    await hold(db, invoice)
    require_step(invoice, "paid")
    invoice.state = "paid"
    invoice.paid_at = now
    await db.flush()
    return invoice


async def remove(db: AsyncSession, invoice: Invoice) -> None:
    """Delete a draft. Raises `Problem` 409 if it was sent: its number must stay accounted for."""
    await hold(db, invoice)
    _require_draft(invoice, "deleted")
    await db.delete(invoice)


async def hold(db: AsyncSession, invoice: Invoice) -> None:
    """Read the row anew and keep others off until the transaction ends: two calls may want to send it at once.

    On SQLite the host has begun the transaction as a writing one, which does the same for the whole database.
    """
    again = select(Invoice).where(Invoice.id == invoice.id).with_for_update()
    if await db.scalar(again, execution_options={"populate_existing": True}) is None:
        raise Problem(404, "not_found", "This invoice has just been deleted.")


def require_step(invoice: Invoice, state: State) -> None:
    """Go on only if this state is the next one: draft, sent, paid. Otherwise raise `Problem` 409."""
    if NEXT_STATE.get(invoice.state) != state:
        raise Problem(409, "conflict", f"{_called(invoice)} {_STANDS[invoice.state]}.")


async def totals(db: AsyncSession, access: Access) -> list[StateTotal]:
    """Add up the invoices that the actor may see, by state and currency."""
    wanted = (
        access.permitted(select(Invoice), "invoicing.invoice.view")
        .with_only_columns(Invoice.state, Invoice.currency, func.count(), func.sum(Invoice.total))
        .group_by(Invoice.state, Invoice.currency)
        .order_by(Invoice.currency, Invoice.state)
    )
    rows = await db.execute(wanted)
    return [
        StateTotal(state=state, currency=currency, count=count, total=total) for state, currency, count, total in rows
    ]


def _called(invoice: Invoice) -> str:
    return f"Invoice {invoice.number}" if invoice.number is not None else "This invoice"


def _require_draft(invoice: Invoice, done: str) -> None:
    if invoice.state != "draft":
        raise Problem(409, "conflict", f"{_called(invoice)} was {invoice.state} already: only drafts can be {done}.")


def _write(invoice: Invoice, data: InvoiceIn | InvoiceChange, customer: Customer | None) -> None:
    """Set what was sent, or raise `Problem` 422 with all that is wrong with it."""
    if errors := _errors(data, customer):
        raise Problem(422, "invalid", "Some fields are not right.", errors=errors)
    if customer is not None:
        invoice.customer_id = customer.id
        invoice.customer_name = customer.name
    if isinstance(data.currency, str):
        invoice.currency = data.currency
    if data.due_on is not UNSET:
        invoice.due_on = data.due_on
    if data.lines is not UNSET:
        invoice.lines = [_line(position, line) for position, line in enumerate(data.lines)]
        invoice.total = money.total(line.amount for line in invoice.lines)


def _line(position: int, line: LineIn) -> Line:
    return Line(
        position=position,
        description=line.description.strip(),
        quantity=line.quantity.quantize(money.MILLI),
        unit_price=line.unit_price.quantize(money.CENT),
        amount=money.line_amount(line.quantity, line.unit_price),
    )


def _errors(data: InvoiceIn | InvoiceChange, customer: Customer | None) -> list[FieldError]:
    errors: list[FieldError] = []
    if data.customer_id is not UNSET and customer is None:
        errors.append(FieldError("/customer_id", "there is no such customer, or you may not see them"))
    if isinstance(data.currency, str) and (fault := money.currency_fault(data.currency)):
        errors.append(FieldError("/currency", fault))
    for number, line in enumerate(data.lines or ()):
        errors += [FieldError(f"/lines/{number}/{field}", fault) for field, fault in _line_faults(line)]
    return errors


def _line_faults(line: LineIn) -> Iterator[tuple[str, str]]:
    if not line.description.strip():
        yield "description", "must not be empty"
    if fault := money.quantity_fault(line.quantity):
        yield "quantity", fault
    if fault := money.price_fault(line.unit_price):
        yield "unit_price", fault
