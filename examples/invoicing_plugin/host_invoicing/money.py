"""Sums of money: pure, exact, and the only place where anything is rounded."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CENT: Final = Decimal("0.01")
MILLI: Final = Decimal("0.001")
ZERO: Final = Decimal("0.00")
MOST: Final = Decimal(10_000_000)  # a hundred lines of most times most still fit the 18 digits of a column

# Of ISO 4217: what is not divided into hundredths. Rounding to cents would be wrong there, so it is refused.
_OTHER_UNITS: Final = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF BHD IQD JOD KWD LYD OMR TND CLF UYW".split()
)


def line_amount(quantity: Decimal, unit_price: Decimal) -> Decimal:
    """Multiply, rounded to cents; half a cent is rounded up."""
    return (quantity * unit_price).quantize(CENT, ROUND_HALF_UP)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Add amounts that are rounded already."""
    return sum(amounts, ZERO)


def quantity_fault(quantity: Decimal) -> str | None:
    """Tell what is wrong with a quantity: more than 0, below ten million, at most 3 decimals."""
    if not quantity.is_finite() or not 0 < quantity < MOST:
        return f"must be more than 0 and less than {MOST:,}"
    return None if quantity == quantity.quantize(MILLI) else "must have at most 3 decimals"


def price_fault(price: Decimal) -> str | None:
    """Tell what is wrong with a price: 0 or more, below ten million, at most 2 decimals."""
    if not price.is_finite() or not 0 <= price < MOST:
        return f"must be at least 0 and less than {MOST:,}"
    return None if price == price.quantize(CENT) else "must have at most 2 decimals"


def currency_fault(currency: str) -> str | None:
    """Tell what is wrong with a currency: three capital letters of ISO 4217, divided into hundredths."""
    if not re.fullmatch(r"[A-Z]{3}", currency):
        return "must be three capital letters of ISO 4217, such as EUR"
    return f"{currency} is not divided into hundredths" if currency in _OTHER_UNITS else None
