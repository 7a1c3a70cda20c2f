"""What kinds of values conditions can compare, and how a literal of JSON is read as one of a kind.

Both compilers of `conditions` read literals here: that is half of why they agree. Only column types that
hold the same value on SQLite and PostgreSQL are known; any other is refused by name.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import TEXT, VARCHAR, BigInteger, Boolean, Date, Float, Integer, SmallInteger, String, Text, inspect
from sqlalchemy.types import REAL, Unicode, UnicodeText

from plugin_host.sdk.conditions import ConditionError
from plugin_host.sdk.models import ExactDecimal, UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.types import TypeEngine

KNOWN: Final = "text, whole numbers, Float, ExactDecimal, Boolean, Date and UtcDateTime"
# Exactly these: CHAR pads, CITEXT folds case, and what Enum keeps is not what it hands out.
_TEXT: Final = frozenset({String, Text, Unicode, UnicodeText, VARCHAR, TEXT})
_DOUBLE: Final = 53  # bits of a float of 8 bytes; one of 4 bytes is another number on the way back


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of values. `number` is exact: whole, or with `scale` decimals, and at most `limit` in a column.

    `collated` is text whose column has an order or equality of its own.
    """

    name: Literal["text", "truth", "number", "float", "moment", "day"]
    scale: int = 0
    limit: Decimal | None = None
    collated: bool = False


def column_of(model: Any, field: str) -> InstrumentedAttribute[Any]:
    """Give the mapped column of a model, or of an alias of it. Raises `ConditionError` if there is none."""
    mapper = inspect(model).mapper
    if field not in mapper.column_attrs:
        has = ", ".join(sorted(mapper.column_attrs.keys()))
        raise ConditionError("", f"{mapper.class_.__name__} has no column {field!r}; it has: {has}")
    column: InstrumentedAttribute[Any] = getattr(model, field)
    return column


def kind_of_column(column: InstrumentedAttribute[Any]) -> Kind:
    """Give the kind of a column's values. Raises `ConditionError` for a type that conditions cannot compare."""
    kind = _kind_of_type(column.type)
    if kind is None:
        raise ConditionError("", f"column {column.key!r} is {column.type!r}; conditions can compare {KNOWN}")
    return kind


def kind_of_value(value: object) -> Kind:
    """Give the kind of a value that a row or an actor holds. Raises `ConditionError` for any other value."""
    match value:
        case bool():
            return Kind("truth")
        case int() | Decimal():
            return Kind("number")
        case float():
            return Kind("float")
        case str():
            return Kind("text")
        case dt.datetime():
            return Kind("moment")
        case dt.date():
            return Kind("day")
    raise ConditionError("", f"{value!r} is of a kind that conditions cannot compare; they can compare {KNOWN}")


def read(literal: object, kind: Kind) -> Any:
    """Read a literal of JSON as a value of the kind. Raises `ConditionError` if it is none."""
    try:
        value = _read(literal, kind)
    except (ValueError, InvalidOperation):
        value = None
    if value is None:
        raise ConditionError("", f"{literal!r} cannot be compared with a {kind.name}: {_HOW[kind.name]}")
    return value


_HOW: Final = {
    "text": "write text",
    "truth": "write true or false",
    "number": "write a number, or its digits as text",
    "float": "write a number",
    "moment": 'write ISO text with a time zone: "2026-03-01T09:00:00Z"',
    "day": 'write ISO text: "2026-03-01"',
}


def _read(literal: object, kind: Kind) -> object | None:
    match kind.name, literal:
        case ("text", str()) | ("truth", bool()):
            return literal
        case "number" | "float", bool():
            return None  # a truth value is a number to Python only
        case "number", int() | float() | str():
            number = Decimal(str(literal))  # by its digits: 0.1 is one tenth, not the nearest float
            return number if number.is_finite() else None
        case "float", int() | float():
            return float(literal)
        case "moment", str(text):
            moment = dt.datetime.fromisoformat(text)
            return moment if moment.tzinfo is not None else None
        case "day", str(text):
            return dt.date.fromisoformat(text)
    return None


def _kind_of_type(kept: TypeEngine[Any]) -> Kind | None:
    match kept:
        case Boolean():
            return Kind("truth")
        case SmallInteger():
            return Kind("number", limit=Decimal(2**15 - 1))
        case BigInteger():
            return Kind("number", limit=Decimal(2**63 - 1))
        case Integer():
            return Kind("number", limit=Decimal(2**31 - 1))
        case ExactDecimal():
            return Kind("number", kept.scale, Decimal(10) ** (kept.precision - kept.scale) - 1)
        case Float() if not kept.asdecimal and not isinstance(kept, REAL) and kept.precision in (None, _DOUBLE):
            return Kind("float")
        case UtcDateTime():
            return Kind("moment")
        case Date():
            return Kind("day")
        case String() if type(kept) in _TEXT:
            return Kind("text", collated=kept.collation is not None)
    return None
