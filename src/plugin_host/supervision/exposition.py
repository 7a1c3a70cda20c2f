"""Prometheus' text format, version 0.0.4: plain values in, one page out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. The name of a counter ends in `_total`, and `help` is a sentence for whoever reads the page."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str

    def __post_init__(self) -> None:
        """Hold counters to their ending."""
        if (self.kind == "counter") != self.name.endswith("_total"):
            msg = f"{self.name} is a {self.kind}: counters, and they alone, end in _total"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, told from the others by its labels."""

    family: Family
    value: float
    labels: Mapping[str, str]


def expose(samples: Iterable[Sample]) -> str:
    """Write the page: each family once, with all of its samples below it, in the order in which they first came."""
    families: dict[Family, list[str]] = {}
    for sample in samples:
        families.setdefault(sample.family, []).append(_line(sample))
    parts = []
    for family, lines in families.items():
        parts += [f"# HELP {family.name} {_escape_help(family.help)}", f"# TYPE {family.name} {family.kind}", *lines]
    return "".join(f"{line}\n" for line in parts)


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escape_label(value)}"' for name, value in sample.labels.items())
    return (
        f"{sample.family.name}{{{labels}}} {_number(sample.value)}"
        if labels
        else (f"{sample.family.name} {_number(sample.value)}")
    )


def _number(value: float) -> str:
    """Write a number as Go reads it; whole ones without a point."""
    if value != value:  # noqa: PLR0124 - this is what tells NaN
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))  # noqa: PLR2004 - exact


def _escape_label(text: str) -> str:
    return _escape_help(text).replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
