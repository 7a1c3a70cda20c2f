"""Run the Python examples of README.md and docs/: `pytest README.md docs`."""

from __future__ import annotations

from typing import Any

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser


def _as_script(namespace: dict[str, Any]) -> None:
    """Give the examples of a page a module: Litestar looks up the names of annotations in it."""
    namespace["__name__"] = "__main__"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    exclude="docs/reference/check.md",  # half of its examples are wrong on purpose; each rule's test runs them
    setup=_as_script,
).pytest()
