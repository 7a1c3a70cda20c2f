"""Every case has its test, or stands in the list of those that have none yet."""

from __future__ import annotations

import re
from pathlib import Path

from .cases import CASES
from .missing import MISSING


def test_every_case_is_tested_or_known_to_be_missing() -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    tested = {name.upper() for name in re.findall(r"def test_([a-k]\d\d)_", text)}
    assert len(CASES) == 100
    assert tested | MISSING == set(CASES)
    assert not tested & MISSING
