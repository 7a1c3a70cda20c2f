"""Rounding and the bounds of figures."""

from __future__ import annotations

from decimal import Decimal

import pytest
from host_invoicing.money import currency_fault, line_amount, price_fault, quantity_fault, total


@pytest.mark.parametrize(
    ("quantity", "price", "amount"),
    [
        ("1", "12.50", "12.50"),
        ("0.5", "0.01", "0.01"),  # half a cent goes up
        ("0.5", "0.03", "0.02"),  # and does not go to the even cent
        ("0.333", "1.00", "0.33"),
        ("9999999.999", "9999999.99", "99999999890000.00"),
    ],
)
def test_a_line_is_rounded_to_cents(quantity: str, price: str, amount: str) -> None:
    assert str(line_amount(Decimal(quantity), Decimal(price))) == amount


def test_a_total_adds_rounded_lines() -> None:
    assert total([line_amount(Decimal("0.5"), Decimal("0.01"))] * 3) == Decimal("0.03")


def test_a_total_of_nothing_has_cents() -> None:
    assert str(total([])) == "0.00"


@pytest.mark.parametrize("quantity", ["0", "-1", "10000000", "1e999999", "NaN", "Infinity", "0.0001", "1e-99999"])
def test_a_quantity_out_of_bounds_is_refused(quantity: str) -> None:
    assert quantity_fault(Decimal(quantity)) is not None


@pytest.mark.parametrize("quantity", ["0.001", "1", "9999999.999", "1.500000"])
def test_a_quantity_is_fine(quantity: str) -> None:
    assert quantity_fault(Decimal(quantity)) is None


@pytest.mark.parametrize("price", ["-0.01", "10000000", "NaN", "0.001"])
def test_a_price_out_of_bounds_is_refused(price: str) -> None:
    assert price_fault(Decimal(price)) is not None


@pytest.mark.parametrize("price", ["0", "0.01", "9999999.99", "1.500"])
def test_a_price_is_fine(price: str) -> None:
    assert price_fault(Decimal(price)) is None


@pytest.mark.parametrize("currency", ["eur", "EURO", "EU", "", "E1R", "JPY", "KWD"])
def test_a_currency_is_refused(currency: str) -> None:
    assert currency_fault(currency) is not None


@pytest.mark.parametrize("currency", ["EUR", "USD", "CHF"])
def test_a_currency_is_fine(currency: str) -> None:
    assert currency_fault(currency) is None
