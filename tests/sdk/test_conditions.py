"""The condition tree: what is read, what is refused and where, and that nothing else can happen."""

from __future__ import annotations

import math
import re
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from plugin_host.sdk.conditions import (
    ACTOR_FACTS,
    COMPARISONS,
    MAX_DEPTH,
    ActorFact,
    All,
    AnyOf,
    Compare,
    Condition,
    ConditionError,
    In,
    IsNull,
    Not,
    Row,
    Value,
    canonical,
    parse_condition,
    row_fields,
)

OWN = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
OWN_TREE = Compare("==", Row("owner_id"), ActorFact("id"))

LITERALS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
ANY_JSON = st.recursive(
    LITERALS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
)
OPERANDS = (
    LITERALS
    | st.builds(lambda name: {"row": name}, st.sampled_from(["owner_id", "state", "not a field"]))
    | st.builds(lambda name: {"actor": name}, st.sampled_from([*ACTOR_FACTS, "shoe_size"]))
    | st.lists(LITERALS, max_size=2)
)
LEAVES = st.builds(
    lambda operator, inner: {operator: inner},
    st.sampled_from([*COMPARISONS, "in", "is_null"]),
    OPERANDS | st.lists(OPERANDS, min_size=2, max_size=2),
)
# Nearly conditions: anything at all is refused at the door and would test no more than that.
LIKELY_JSON = st.recursive(
    LEAVES | ANY_JSON,
    lambda inner: st.builds(
        lambda operator, parts: {operator: parts},
        st.sampled_from(["and", "or", "not", "nor"]),
        inner | st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


def nested(depth: int) -> dict[str, Any]:
    raw: dict[str, Any] = OWN
    for _ in range(depth):
        raw = {"not": raw}
    return raw


@pytest.mark.parametrize(
    ("raw", "tree"),
    [
        (OWN, OWN_TREE),
        ({"<": [{"row": "total"}, 10]}, Compare("<", Row("total"), Value(10))),
        ({"!=": [{"row": "state"}, None]}, Compare("!=", Row("state"), Value(None))),
        ({"in": [{"row": "state"}, ["open", None]]}, In(Row("state"), Value(("open", None)))),
        ({"in": [{"row": "state"}, []]}, In(Row("state"), Value(()))),
        ({"in": [{"row": "group_id"}, {"actor": "groups"}]}, In(Row("group_id"), ActorFact("groups"))),
        ({"in": [{"actor": "id"}, ["7"]]}, In(ActorFact("id"), Value(("7",)))),
        ({"is_null": {"row": "owner_id"}}, IsNull(Row("owner_id"))),
        ({"and": [OWN]}, All((OWN_TREE,))),
        ({"or": [OWN, {"not": OWN}]}, AnyOf((OWN_TREE, Not(OWN_TREE)))),
    ],
)
def test_condition_is_read(raw: object, tree: Condition) -> None:
    assert parse_condition(raw) == tree


@pytest.mark.parametrize(
    ("raw", "pointer", "detail"),
    [
        (None, "", "an object with exactly one operator"),
        ([], "", "an object with exactly one operator"),
        ({}, "", "an object with exactly one operator"),
        ({**OWN, "is_null": {"row": "x"}}, "", "an object with exactly one operator"),
        ({"=": [1, 1]}, "", "unknown operator '='; known are ==, !="),
        ({"==": 1}, "/==", "a list of two operands"),
        ({"==": [1]}, "/==", "a list of two operands"),
        ({"==": [1, 2, 3]}, "/==", "a list of two operands"),
        ({"==": [1, [1]]}, "/==/1", "or a literal"),
        ({"==": [{"row": "a b"}, 1]}, "/==/0", "or a literal"),
        ({"==": [{"row": 1}, 1]}, "/==/0", "or a literal"),
        ({"==": [{"row": "a", "of": "b"}, 1]}, "/==/0", "or a literal"),
        ({"==": [{"actor": "name"}, 1]}, "/==/0", "one of id, groups, roles"),
        ({"==": [{"actor": "id", "of": "b"}, 1]}, "/==/0", "one of id, groups, roles"),
        ({"==": [{"row": "a"}, {"actor": "groups"}]}, "/==", 'use {"in": [..., {"actor": "groups"}]}'),
        ({"<": [{"row": "a"}, None]}, "/<", "null has no order"),
        ({">=": [None, {"row": "a"}]}, "/>=", "null has no order"),
        ({"in": [{"actor": "roles"}, ["x"]]}, "/in", "cannot stand on the left"),
        ({"in": [["a"], ["a"]]}, "/in/0", "or a literal"),
        ({"in": [{"row": "a"}, "abc"]}, "/in", "the right side of in"),
        ({"in": [{"row": "a"}, {"actor": "id"}]}, "/in", "the right side of in"),
        ({"in": [{"row": "a"}, {"row": "b"}]}, "/in", "the right side of in"),
        ({"in": [{"row": "a"}, [["b"]]]}, "/in/1", "or a literal"),
        ({"is_null": "owner_id"}, "/is_null", "is_null takes"),
        ({"and": []}, "/and", "at least one condition"),
        ({"or": OWN}, "/or", "at least one condition"),
        ({"and": [OWN, {"or": [1]}]}, "/and/1/or/0", "exactly one operator"),
        ({"not": [OWN]}, "/not", "exactly one operator"),
    ],
)
def test_place_of_what_is_no_condition(raw: object, pointer: str, detail: str) -> None:
    with pytest.raises(ConditionError, match=re.escape(detail)) as raised:
        parse_condition(raw)
    assert raised.value.pointer == pointer


def test_place_is_told_below_where_reading_began() -> None:
    with pytest.raises(ConditionError, match=re.escape("/roles/0/where/==: expected a list of two operands")):
        parse_condition({"==": 1}, "/roles/0/where")


def test_place_of_the_whole() -> None:
    with pytest.raises(ConditionError, match=r"^/: expected an object"):
        parse_condition(1)


def test_deepest_condition() -> None:
    assert isinstance(parse_condition(nested(MAX_DEPTH)), Not)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 5000])
def test_condition_that_is_too_deep(depth: int) -> None:
    with pytest.raises(ConditionError, match="nested deeper than 20 levels"):
        parse_condition(nested(depth))


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (OWN, {"owner_id"}),
        ({"==": [1, 1]}, set()),
        ({"in": [{"row": "state"}, ["open"]]}, {"state"}),
        ({"is_null": {"row": "due"}}, {"due"}),
        ({"and": [OWN, {"or": [{"not": {"<": [{"row": "a"}, {"row": "b"}]}}]}]}, {"owner_id", "a", "b"}),
    ],
)
def test_fields_that_a_condition_reads(raw: object, fields: set[str]) -> None:
    assert row_fields(parse_condition(raw)) == fields


def test_one_condition_has_one_text() -> None:
    assert canonical({"b": 1, "a": {"d": None, "c": [True]}}) == canonical({"a": {"c": [True], "d": None}, "b": 1})


@hypothesis.settings(max_examples=200)
@hypothesis.given(raw=LIKELY_JSON)
def test_any_json_is_a_condition_or_a_condition_error(raw: object) -> None:
    try:
        tree = parse_condition(raw)
    except ConditionError as error:
        assert error.detail  # noqa: PT017 - both outcomes are right
    else:
        assert all(field.isidentifier() for field in row_fields(tree))


@hypothesis.settings(max_examples=100)
@hypothesis.given(raw=ANY_JSON)
def test_text_of_a_condition_says_the_same(raw: object) -> None:
    hypothesis.assume(not _has_odd_numbers(raw))
    assert msgspec.json.decode(canonical(raw)) == raw


def _has_odd_numbers(raw: object) -> bool:
    """Tell of numbers that JSON cannot hold, or that come back as another kind."""
    if isinstance(raw, list | dict):
        return any(_has_odd_numbers(item) for item in (raw.values() if isinstance(raw, dict) else raw))
    return isinstance(raw, float) and not math.isfinite(raw)
