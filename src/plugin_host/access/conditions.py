"""One condition tree, two compilers: a Python predicate for one row, a SQL expression for lists.

Both give the same answer for every row, on SQLite and PostgreSQL alike. What a condition means:

1. Every condition is true or false, never unknown; `not` is plain negation.
2. A comparison, and `in`, is false where a side has no value: `null` in the row, an actor without an id,
   or a number that is none (NaN). Only a written `null` asks for absence: `==` null, `!=` null, `is_null`.
3. Text is compared code point by code point: case counts, and no language's order is used.
4. Numbers are compared exactly: a column of whole numbers or decimals meets 0.1 as one tenth. Decimals may
   be written as text (`"99.90"`), which keeps every digit.
5. Moments and days are written as ISO text (`"2026-03-01T09:00:00Z"`, `"2026-03-01"`); a moment has a zone.
6. Truth values are only equal or not. What cannot be compared is a `ConditionError`, never a quiet "no".
   `check_fields` finds it at start.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import String, and_, false, not_, or_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from plugin_host.access.kinds import Kind, column_of, kind_of_column, kind_of_value, read
from plugin_host.sdk.conditions import (
    ActorFact,
    All,
    AnyOf,
    Compare,
    Condition,
    ConditionError,
    In,
    IsNull,
    Operand,
    Row,
    Value,
)
from plugin_host.sdk.context import SYSTEM, Actor

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.compiler import SQLCompiler

Predicate: TypeAlias = Callable[[object, Actor], bool]

_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_EQUALITY: Final = ("==", "!=")


def compile_predicate(condition: Condition) -> Predicate:
    """Make the function that tells for one row (an object with the fields as attributes) and one actor.

    The function raises `ConditionError` for values that cannot be compared, `AttributeError` for a field
    that the row has not.
    """
    match condition:
        case Compare():
            return lambda row, actor: _compare(condition, row, actor)
        case In(left, right):
            return lambda row, actor: _is_in(_value(left, row, actor), right, actor)
        case IsNull(operand):
            return lambda row, _actor: getattr(row, operand.field) is None
        case All(parts):
            every = [compile_predicate(part) for part in parts]
            return lambda row, actor: all(part(row, actor) for part in every)
        case AnyOf(parts):
            some = [compile_predicate(part) for part in parts]
            return lambda row, actor: any(part(row, actor) for part in some)
    inner = compile_predicate(condition.part)
    return lambda row, actor: not inner(row, actor)


def compile_sql(condition: Condition, model: Any, actor: Actor) -> ColumnElement[bool]:
    """Make the SQL expression that is true for the rows of the model, a class or an alias of one.

    It is never null, so that it may stand under `not_`. Raises `ConditionError` for a field, a type or a
    literal that cannot be compared.
    """
    match condition:
        case Compare():
            return _compare_sql(condition, model, actor)
        case In(left, right):
            return _in_sql(left, right, model, actor)
        case IsNull(operand):
            return column_of(model, operand.field).is_(None)
        # Seeded: SQLAlchemy drops an empty group from the query, which would then give every row.
        case All(parts):
            return and_(true(), *(compile_sql(part, model, actor) for part in parts))
        case AnyOf(parts):
            return or_(false(), *(compile_sql(part, model, actor) for part in parts))
    return not_(compile_sql(condition.part, model, actor))


def check_fields(condition: Condition, model: Any) -> None:
    """Go on only if both compilers can serve the condition for the model; raises `ConditionError`."""
    compile_sql(condition, model, SYSTEM)


# -- one row ----------------------------------------------------------------------------------------------


def _value(operand: Operand, row: object, actor: Actor) -> Any:
    if isinstance(operand, Value):
        return operand.value
    if isinstance(operand, Row):
        return getattr(row, operand.field)
    return getattr(actor, operand.name) or None  # nobody has an id of no letters


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _compare(condition: Compare, row: object, actor: Actor) -> bool:
    left, right = _value(condition.left, row, actor), _value(condition.right, row, actor)
    if _asks_for_absence(condition):
        return (left is None and right is None) is (condition.operator == "==")
    if _absent(left) or _absent(right):
        return False
    # A literal is read as what it meets; it never makes the row's value something else.
    if isinstance(condition.right, Value):
        right = read(right, kind_of_value(left))
    elif isinstance(condition.left, Value):
        left = read(left, kind_of_value(right))
    _check_order(condition.operator, _shared_kind(left, right))
    return bool(_COMPARE[condition.operator](left, right))


def _is_in(left: Any, right: Operand, actor: Actor) -> bool:
    if _absent(left):
        return False
    if isinstance(right, ActorFact):
        names = getattr(actor, right.name)
        _shared_kind(left, "")
        return left in names
    kind = kind_of_value(left)
    return any([left == read(option, kind) for option in _options(right)])  # noqa: C419 - each option is checked


def _shared_kind(left: object, right: object) -> Kind:
    kind, other = kind_of_value(left), kind_of_value(right)
    # A row that was not read back from the database may hold 1 where its column keeps 1.0.
    if kind.name != other.name and not {kind.name, other.name} <= {"number", "float"}:
        raise ConditionError("", f"a {kind.name} ({left!r}) cannot be compared with a {other.name} ({right!r})")
    return kind


# -- SQL --------------------------------------------------------------------------------------------------


class _CodePoints(FunctionElement[str]):
    """Text in the order of its code points, whatever the column's or the database's own order is."""

    name = "code_points"
    type = String()
    inherit_cache = True


@compiles(_CodePoints)
def _binary(element: _CodePoints, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)} COLLATE BINARY)"


@compiles(_CodePoints, "postgresql")
def _c(element: _CodePoints, compiler: SQLCompiler, **options: Any) -> str:
    return f'({compiler.process(element.clauses, **options)} COLLATE "C")'


def _compare_sql(condition: Compare, model: Any, actor: Actor) -> ColumnElement[bool]:
    symbol, left, right = condition.operator, condition.left, condition.right
    if not isinstance(left, Row):
        if not isinstance(right, Row):
            return true() if _compare(condition, None, actor) else false()
        symbol, left, right = _MIRRORED[symbol], right, left
    column = column_of(model, left.field)
    if _asks_for_absence(condition):
        return column.is_(None) if symbol == "==" else column.is_not(None)
    kind = kind_of_column(column)
    _check_order(symbol, kind)
    if isinstance(right, Row):
        return _two_columns(symbol, column, column_of(model, right.field))
    value = _value(right, None, actor)
    if isinstance(right, ActorFact):
        _check_text(column, kind)
        if value is None:
            return false()
    return and_(_present(column, kind), _compare_value(symbol, column, kind, read(value, kind)))


def _compare_value(symbol: str, column: Any, kind: Kind, value: Any) -> ColumnElement[bool]:
    compare = _COMPARE[symbol]
    if kind.name == "text":
        exact = symbol in _EQUALITY and not kind.collated
        return compare(column if exact else _CodePoints(column), value)  # type: ignore[no-any-return]
    if kind.name != "number":
        return compare(column, value)  # type: ignore[no-any-return]
    kept, exact = _kept(kind, value)
    if exact:
        return compare(column, kept)  # type: ignore[no-any-return]
    # The column has no such number: everything it has is at most the one below, or beyond it.
    if symbol in _EQUALITY:
        return true() if symbol == "!=" else false()
    return column <= kept if symbol in ("<", "<=") else column > kept  # type: ignore[no-any-return]


def _kept(kind: Kind, value: Decimal) -> tuple[Decimal | int, bool]:
    """Give the number as the column could keep it, rounded down, and whether it is the same number."""
    low = value.quantize(Decimal(1).scaleb(-kind.scale), ROUND_FLOOR) if abs(value) < kind.limit else value
    if abs(low) >= kind.limit:
        raise ConditionError("", f"{value} is more than the column can hold: its limit is {kind.limit}")
    return (low if kind.scale else int(low)), low == value


def _two_columns(symbol: str, left: Any, right: Any) -> ColumnElement[bool]:
    kind, other = kind_of_column(left), kind_of_column(right)
    if (kind.name, kind.scale) != (other.name, other.scale):
        raise ConditionError("", f"columns {left.key!r} and {right.key!r} are not of one kind")
    present = _present(left, kind), _present(right, other)
    if kind.name == "text" and (symbol not in _EQUALITY or kind.collated or other.collated):
        left, right = _CodePoints(left), _CodePoints(right)
    return and_(*present, _COMPARE[symbol](left, right))


def _in_sql(left: Operand, right: Operand, model: Any, actor: Actor) -> ColumnElement[bool]:
    if not isinstance(left, Row):
        return true() if _is_in(_value(left, None, actor), right, actor) else false()
    column = column_of(model, left.field)
    kind = kind_of_column(column)
    if isinstance(right, ActorFact):
        _check_text(column, kind)
        values = list(getattr(actor, right.name))
    else:
        values = [read(option, kind) for option in _options(right)]
    if kind.name == "number":
        values = [number for number, exact in (_kept(kind, value) for value in values) if exact]
    subject = _CodePoints(column) if kind.collated else column
    return and_(_present(column, kind), subject.in_(values)) if values else false()


def _present(column: InstrumentedAttribute[Any], kind: Kind) -> ColumnElement[bool]:
    """Tell whether there is a value; as a part of `and_` it keeps the column's index in use."""
    if kind.name == "float":
        return and_(column.is_not(None), column <= math.inf)  # to PostgreSQL NaN is greater than everything
    return column.is_not(None)


# -- both -------------------------------------------------------------------------------------------------


def _asks_for_absence(condition: Compare) -> bool:
    return Value(None) in (condition.left, condition.right)


def _options(right: Operand) -> list[Any]:
    """Give what `in` compares with: null is equal to nothing."""
    listed = right.value if isinstance(right, Value) and isinstance(right.value, tuple) else ()
    return [option for option in listed if option is not None]


def _check_order(symbol: str, kind: Kind) -> None:
    if kind.name == "truth" and symbol not in _EQUALITY:
        raise ConditionError("", f"true and false have no order: use == instead of {symbol}")


def _check_text(column: InstrumentedAttribute[Any], kind: Kind) -> None:
    if kind.name != "text":
        raise ConditionError("", f"column {column.key!r} is no text: ids, groups and roles of the actor are")
