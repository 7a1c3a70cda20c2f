"""`[plugins.invoicing]`."""

from __future__ import annotations

import msgspec
import pytest
from host_invoicing.settings import InvoicingSettings


def test_a_currency_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="JPY is not divided into hundredths"):
        msgspec.convert({"currency": "JPY"}, InvoicingSettings)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="curency"):
        msgspec.convert({"curency": "EUR"}, InvoicingSettings)
