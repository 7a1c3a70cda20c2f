"""What a name, an address and the like must be: pure rules, the same for the API and the import."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from plugin_host.sdk import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Only a letter sent there can tell more than that.
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE: Final = re.compile(r"\+?[\d\s()./-]{3,40}")
_WEBSITE: Final = re.compile(r"https?://[^\s/]+\.[^\s]+", re.IGNORECASE)
_LONGEST: Final = {"name": 200, "email": 254, "phone": 40, "website": 200, "company": 200}


def faults(fields: Mapping[str, object]) -> dict[str, str]:
    """Tell for each wrong field what it should be; fields without a rule, and those left out, are fine."""
    found: dict[str, str] = {}
    for field, value in fields.items():
        if value is None or value is UNSET:
            continue
        text = str(value)
        rule = _RULES.get(field)
        if field in _LONGEST and len(text) > _LONGEST[field]:
            found[field] = f"at most {_LONGEST[field]} characters"
        elif rule is not None and not rule[0](text):
            found[field] = rule[1]
    return found


def invalid(errors: Mapping[str, str]) -> Problem:
    """Make the 422 answer for wrong fields, all at once."""
    wrong = [FieldError(f"/{field}", detail) for field, detail in errors.items()]
    return Problem(422, "invalid", "Some fields are not right.", errors=wrong)


_RULES: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "name": (bool, "must not be empty"),
    "text": (bool, "must not be empty"),
    "email": (_EMAIL.fullmatch, "must be an e-mail address, such as ann@example.org"),
    "phone": (_PHONE.fullmatch, "must be a phone number, such as +44 20 7946 0123"),
    # The page makes a link of it: `javascript:` would be a way in.
    "website": (_WEBSITE.fullmatch, "must be a web address that begins with https:// or http://"),
}
