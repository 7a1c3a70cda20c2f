"""The line of each value of a JSON text."""

from __future__ import annotations

import json

from hypothesis import given, strategies as st

from plugin_host.core.checking.places import line_of_byte, places

TEXT = """{
  "a": 1,
  "b": [
    {"c": "x, } ] \\" :"},
    [true,
     null]
  ]
}"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_each_value_has_its_line() -> None:
    lines = places(TEXT).lines
    assert {path: lines[path] for path in ("$", "$.a", "$.b", "$.b[0].c", "$.b[1]", "$.b[1][1]")} == {
        "$": 1,
        "$.a": 2,
        "$.b": 3,
        "$.b[0].c": 4,
        "$.b[1]": 5,
        "$.b[1][1]": 6,
    }


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    assert [places(TEXT).line(path) for path in ("$.b[0].nothing", "$.b[7].x", "$.z", "$.b[...]")] == [4, 3, 1, 3]


def test_keys_that_stand_twice_are_named() -> None:
    assert places('{"a": {"b": 1,\n"b": 2},\n"a": 3, "c": "a"}').doubles == (("$.a.b", 2), ("$.a", 3))


@given(VALUES)
def test_any_json_has_a_line_for_each_value(value: object) -> None:
    text = json.dumps(value, indent=1)
    found = places(text)
    assert found.doubles == ()
    assert found.lines["$"] == 1
    assert max(found.lines.values()) <= text.count("\n") + 1


def test_a_byte_has_its_line() -> None:
    assert [line_of_byte(b"a\nb\nc", at) for at in (0, 1, 2, 4)] == [1, 1, 2, 3]
