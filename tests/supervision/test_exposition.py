"""The text format: what Prometheus reads, with whatever a label may hold."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, strategies as st

from plugin_host.supervision.exposition import Family, Sample, expose

REQUESTS = Family("requests_total", "counter", "Requests of a plugin.")
LOAD = Family("load", "gauge", "How much\nis \\ under way.")

LINE = re.compile(r'[a-z_]+(?:\{[a-z]+="((?:[^"\\\n]|\\[\\"n])*)"\})? (\S+)')


def test_a_family_is_told_once_with_all_its_samples() -> None:
    page = expose(
        [
            Sample(REQUESTS, 3, {"plugin": "shop"}),
            Sample(LOAD, 0.25, {}),
            Sample(REQUESTS, 4, {"plugin": "crm", "way": "in"}),
        ]
    )
    assert page == (
        "# HELP requests_total Requests of a plugin.\n"
        "# TYPE requests_total counter\n"
        'requests_total{plugin="shop"} 3\n'
        'requests_total{plugin="crm",way="in"} 4\n'
        "# HELP load How much\\nis \\\\ under way.\n"
        "# TYPE load gauge\n"
        "load 0.25\n"
    )


def test_nothing_is_an_empty_page() -> None:
    assert expose([]) == ""


@pytest.mark.parametrize(
    ("value", "written"),
    [(math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (2.0, "2"), (1e300, "1e+300"), (0.1, "0.1")],
)
def test_numbers_are_written_as_prometheus_reads_them(value: float, written: str) -> None:
    assert expose([Sample(LOAD, value, {})]).splitlines()[-1] == f"load {written}"


@pytest.mark.parametrize(("name", "kind"), [("requests", "counter"), ("load_total", "gauge")])
def test_counters_and_they_alone_end_in_total(name: str, kind: str) -> None:
    with pytest.raises(ValueError, match="_total"):
        Family(name, kind, "No.")  # type: ignore[arg-type] # of the right two words


@given(st.text(), st.floats(allow_nan=False))
def test_any_label_and_number_come_back(label: str, value: float) -> None:
    line = expose([Sample(REQUESTS, value, {"plugin": label})]).split("\n", 2)[2].removesuffix("\n")
    found = LINE.fullmatch(line)
    assert found is not None
    unescaped = re.sub(r"\\(.)", lambda at: {"n": "\n"}.get(at[1], at[1]), found[1])
    assert (unescaped, float(found[2])) == (label, value)
