"""Passwords that everybody knows."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from plugin_host.auth.common_passwords import common_part, common_passwords


@pytest.mark.parametrize(
    "password",
    [
        "password1234567",
        "PasswordPassword",
        "qwertyuiopasdf",
        "123456789012345",
        "iloveyouiloveyou",
        "xx-password-y"[3:],
    ],
)
def test_what_everybody_tries_is_common(password: str) -> None:
    assert common_part(password) is not None


@pytest.mark.parametrize(
    "password", ["four plain words here", "correct-horse-battery", " " * 64, "a-long-password", "🐎" * 5]
)
def test_what_is_somebody_s_own_is_not(password: str) -> None:
    assert common_part(password) is None


@given(st.sampled_from(sorted(common_passwords())), st.text(max_size=4))
def test_a_common_one_with_a_few_letters_is_still_common(word: str, more: str) -> None:
    assert common_part(word + more) is not None or (word + more).casefold() != word + more


@given(st.text(max_size=200))
def test_any_text_is_judged(password: str) -> None:
    assert common_part(password) is None or common_part(password) in common_passwords()
