"""The rules for fields."""

from __future__ import annotations

import pytest
from host_contacts.checks import faults


@pytest.mark.parametrize("email", ["ann@example.org", "a+b@x.y.example", "jürgen@münchen.example"])
def test_an_address_is_fine(email: str) -> None:
    assert faults({"email": email}) == {}


@pytest.mark.parametrize("email", ["ann", "ann@", "@example.org", "a b@example.org", "ann@example", "a@b@c.org"])
def test_what_is_no_address_is_refused(email: str) -> None:
    assert "email" in faults({"email": email})


@pytest.mark.parametrize("website", ["javascript:alert(1)", "example.org", "https://", "ftp://example.org"])
def test_only_web_addresses_become_links(website: str) -> None:
    assert "website" in faults({"website": website})


def test_what_was_left_out_is_fine() -> None:
    assert faults({"email": None, "phone": None}) == {}


def test_all_faults_are_told_at_once() -> None:
    assert set(faults({"name": "", "email": "x", "phone": "call me"})) == {"name", "email", "phone"}
