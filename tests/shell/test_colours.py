from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from plugin_host.shell.colours import DARK_SURFACE, LIGHT_SURFACE, MIN_CONTRAST, accent_css, contrast, readable, text_on

colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def test_black_on_white_has_the_highest_contrast() -> None:
    assert contrast("#000000", "#fff") == pytest.approx(21)


def test_a_colour_that_can_be_read_stays() -> None:
    assert readable("#0b6bcb", LIGHT_SURFACE) == "#0b6bcb"


@given(colours, st.sampled_from([LIGHT_SURFACE, DARK_SURFACE]))
def test_any_accent_can_be_read(colour: str, surface: str) -> None:
    assert contrast(readable(colour, surface), surface) >= MIN_CONTRAST


@given(colours, st.sampled_from([LIGHT_SURFACE, DARK_SURFACE]))
def test_text_on_any_accent_can_be_read(colour: str, surface: str) -> None:
    accent = readable(colour, surface)
    assert contrast(text_on(accent), accent) >= MIN_CONTRAST


@given(colours)
def test_a_style_sheet_holds_nothing_but_colours(colour: str) -> None:
    pair = r"light-dark\(#[0-9a-f]{6},#[0-9a-f]{6}\);"
    assert re.fullmatch(rf":root\{{--ph-accent:{pair}--ph-on-accent:{pair}\}}", accent_css(colour))
