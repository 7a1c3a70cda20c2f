"""The text of personal and service tokens."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from plugin_host.auth.api_tokens import LENGTH, PREFIXES, is_well_formed, make_text, scopes_of


@pytest.mark.parametrize("prefix", PREFIXES.values())
def test_a_token_has_its_prefix_and_a_checksum(prefix: str) -> None:
    text = make_text(prefix)
    assert (text[:4], len(text), is_well_formed(text.encode())) == (prefix, LENGTH, True)


def test_no_two_are_alike() -> None:
    assert len({make_text("php_") for _ in range(1000)}) == 1000


@given(st.integers(0, LENGTH - 1), st.sampled_from("0aZ_"))
def test_one_letter_changed_is_found_without_a_database(place: int, letter: str) -> None:
    text = make_text("php_")
    changed = text[:place] + letter + text[place + 1 :]
    assert is_well_formed(changed.encode()) is (changed == text)


@given(st.binary(max_size=60))
def test_any_bytes_are_none(text: bytes) -> None:
    assert not is_well_formed(text)


def test_no_scopes_is_no_limit_and_an_empty_list_is_nothing() -> None:
    assert (scopes_of(None), scopes_of("[]"), scopes_of('["a.b"]')) == (None, frozenset(), frozenset({"a.b"}))
