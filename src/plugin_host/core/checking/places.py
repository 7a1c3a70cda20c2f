"""Where something stands in a JSON text: the line of each value by its path, and which keys stand twice."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_LAST_STEP: Final = re.compile(r"(\.[^.\[]*|\[[^\]]*\])$")


@dataclass(frozen=True)
class Places:
    """`lines` gives the line of each path (`$.items[0].id`), counted from 1; `doubles` the paths that stand twice."""

    lines: dict[str, int]
    doubles: tuple[tuple[str, int], ...]

    def line(self, path: str) -> int | None:
        """Give the line of a path; of one that is not there, that of the nearest thing around it."""
        known = path.partition("[...]")[0]
        while known:
            if known in self.lines:
                return self.lines[known]
            shorter = _LAST_STEP.sub("", known)
            if shorter == known:
                break
            known = shorter
        return self.lines.get("$")


@dataclass
class _Open:
    """An object or list that has begun and not ended yet."""

    path: str
    is_object: bool
    index: int = 0
    key: str | None = None
    seen: set[str] = field(default_factory=set)

    def inner(self) -> str:
        return f"{self.path}.{self.key}" if self.is_object else f"{self.path}[{self.index}]"

    def go_on(self) -> None:
        self.key = None
        self.index += 1


def places(text: str) -> Places:
    """Scan a JSON text that is known to be sound."""
    lines: dict[str, int] = {}
    doubles: list[tuple[str, int]] = []
    opened: list[_Open] = []
    line, at = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", at, match.start())
        at, part = match.start(), match[0]
        top = opened[-1] if opened else None
        if part in "]}":
            opened.pop()
        elif part == "," and top is not None:
            top.go_on()
        elif top is not None and top.is_object and top.key is None:
            top.key = json.loads(part)
            if top.key in top.seen:
                doubles.append((top.inner(), line))
            top.seen.add(top.key or "")
            lines[top.inner()] = line
        elif part != ":":
            here = top.inner() if top is not None else "$"
            lines.setdefault(here, line)
            if part in "[{":
                opened.append(_Open(here, part == "{"))
    return Places(lines, tuple(doubles))


def line_of_byte(content: bytes, offset: int) -> int:
    """Give the line of a byte, counted from 1."""
    return content.count(b"\n", 0, offset) + 1
