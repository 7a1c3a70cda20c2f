"""The condition tree of `where`: one JSON form, parsed once, compiled elsewhere.

`{"==": [{"row": "owner_id"}, {"actor": "id"}]}`: one operator an object; operands are a field of the
row, a fact of the actor (`id`, `groups`, `roles`) or a literal. A tree holds no code, so it can be
stored, shown, compared and compiled into Python and into SQL by the same rules (`access`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

Literal_: TypeAlias = str | int | float | bool | None

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
ACTOR_FACTS: Final = ("id", "groups", "roles")
MAX_DEPTH: Final = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A field of the object that is asked about."""

    field: str


@dataclass(frozen=True, slots=True)
class ActorFact:
    """A fact of the actor: `id` is one string, `groups` and `roles` are sets of strings."""

    name: str


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: text, number, truth value or null; inside `in`, a tuple of those."""

    value: Literal_ | tuple[Literal_, ...]


Operand: TypeAlias = Row | ActorFact | Value


@dataclass(frozen=True, slots=True)
class Compare:
    """`==` `!=` `<` `<=` `>` `>=` of two single operands; false where one side is null, but `==` null."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class In:
    """The left operand is one of the right: a list of literals, or the actor's groups or roles."""

    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class IsNull:
    """The row's field has no value."""

    operand: Row


@dataclass(frozen=True, slots=True)
class All:
    """`and`: true when every part is; an empty list is refused when parsed."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """`or`: true when one part is; an empty list is refused when parsed."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`not`: the part is not true."""

    part: Condition


Condition: TypeAlias = Compare | In | IsNull | All | AnyOf | Not


class ConditionError(ValueError):
    """A `where` that is no condition: `pointer` says where in it, `detail` what is wrong there."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or '/'}: {detail}")
        self.pointer = pointer
        self.detail = detail


def parse_condition(raw: object, pointer: str = "", depth: int = 0) -> Condition:
    """Read the JSON form (already decoded) into a tree, or raise `ConditionError` naming the place."""
    if depth > MAX_DEPTH:
        raise ConditionError(pointer, f"nested deeper than {MAX_DEPTH} levels")
    if not isinstance(raw, dict) or len(raw) != 1:
        raise ConditionError(pointer, "expected an object with exactly one operator")
    ((operator, inner),) = raw.items()
    here = f"{pointer}/{operator}"
    if operator in COMPARISONS:
        left, right = _pair(inner, here)
        return _comparison(operator, left, right, here)
    if operator == "in":
        left, right = _pair(inner, here, many=True)
        return _membership(left, right, here)
    if operator == "is_null":
        operand = _operand(inner, here)
        if not isinstance(operand, Row):
            raise ConditionError(here, 'is_null takes {"row": "<field>"}')
        return IsNull(operand)
    if operator in ("and", "or"):
        if not isinstance(inner, list) or not inner:
            raise ConditionError(here, "expected a list with at least one condition")
        parts = tuple(parse_condition(part, f"{here}/{n}", depth + 1) for n, part in enumerate(inner))
        return All(parts) if operator == "and" else AnyOf(parts)
    if operator == "not":
        return Not(parse_condition(inner, here, depth + 1))
    known = ", ".join((*COMPARISONS, "in", "is_null", "and", "or", "not"))
    raise ConditionError(pointer, f"unknown operator {operator!r}; known are {known}")


def canonical(raw: object) -> str:
    """Give the one text of a `where` (sorted keys): what Casbin is handed and what is compared."""
    return msgspec.json.encode(raw, order="sorted").decode()


def row_fields(condition: Condition) -> frozenset[str]:
    """Name the fields of the row that a condition reads: a model must have them all."""
    match condition:
        case Compare(_, left, right) | In(left, right):
            return frozenset(side.field for side in (left, right) if isinstance(side, Row))
        case IsNull(operand):
            return frozenset({operand.field})
        case All(parts) | AnyOf(parts):
            return frozenset().union(*(row_fields(part) for part in parts))
    return row_fields(condition.part)


def _pair(inner: object, pointer: str, *, many: bool = False) -> tuple[Operand, Operand]:
    if not isinstance(inner, list) or len(inner) != 2:  # noqa: PLR2004 - two operands
        raise ConditionError(pointer, "expected a list of two operands")
    return _operand(inner[0], f"{pointer}/0"), _operand(inner[1], f"{pointer}/1", many=many)


def _operand(raw: object, pointer: str, *, many: bool = False) -> Operand:
    match raw:
        case {"row": str(field), **rest} if not rest and field.isidentifier():
            return Row(field)
        case {"actor": str(name), **rest} if not rest and name in ACTOR_FACTS:
            return ActorFact(name)
        case None | bool() | int() | float() | str():
            return Value(raw)
        case list() if many and all(item is None or isinstance(item, str | int | float | bool) for item in raw):
            return Value(tuple(raw))
    facts = ", ".join(ACTOR_FACTS)
    raise ConditionError(pointer, f'expected {{"row": "<field>"}}, {{"actor": one of {facts}}} or a literal')


def _comparison(operator: str, left: Operand, right: Operand, pointer: str) -> Compare:
    for side in (left, right):
        if isinstance(side, ActorFact) and side.name != "id":
            raise ConditionError(
                pointer, f'actor.{side.name} is a set: use {{"in": [..., {{"actor": "{side.name}"}}]}}'
            )
        if isinstance(side, Value) and side.value is None and operator not in ("==", "!="):
            raise ConditionError(pointer, f"null has no order: use is_null instead of {operator}")
    return Compare(operator, left, right)


def _membership(left: Operand, right: Operand, pointer: str) -> In:
    if isinstance(left, ActorFact) and left.name != "id":
        raise ConditionError(pointer, f"actor.{left.name} is a set and cannot stand on the left of in")
    ok = isinstance(right, Value) and isinstance(right.value, tuple)
    if not ok and not (isinstance(right, ActorFact) and right.name in ("groups", "roles")):
        raise ConditionError(pointer, "the right side of in is a list of literals, or the actor's groups or roles")
    return In(left, right)
