"""`[plugins.invoicing]` of the host's settings."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from host_invoicing.money import currency_fault


class InvoicingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose."""

    currency: Annotated[str, Meta(description="Currency of an invoice that names none (ISO 4217).")] = "EUR"
    payment_days: Annotated[
        int, Meta(ge=0, le=365, description="Days from sending to the due date, where the draft names none.")
    ] = 30

    def __post_init__(self) -> None:
        """Refuse a currency that no invoice could have; the host shows the sentence with the key."""
        if fault := currency_fault(self.currency):
            msg = f"currency {fault}"
            raise ValueError(msg)
