"""The reference of `plugin-host check`: every rule has its heading, its reason, and an example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from plugin_host.core.checking.rules import RULES

PAGE: Final = (Path(__file__).parents[2] / "docs" / "reference" / "check.md").read_text(encoding="utf-8")


def test_every_rule_has_its_heading() -> None:
    assert re.findall(r"^## `(.+)`$", PAGE, re.MULTILINE) == [f"{rule.code} {rule.name}" for rule in RULES.values()]


@pytest.mark.parametrize("code", RULES)
def test_every_rule_has_its_reason_and_an_example(code: str) -> None:
    rule = RULES[code]
    section = PAGE.split(f"## `{code} {rule.name}`\n")[1].split("\n## ")[0]
    assert f"*{rule.level}* — {rule.reason}" in section
    assert rule.wrong in section
    assert rule.right in section


def test_codes_and_names_are_used_once() -> None:
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert [code for code in RULES if not re.fullmatch(r"PH[1-9]\d\d", code)] == []
