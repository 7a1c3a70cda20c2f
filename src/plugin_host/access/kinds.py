"""What kinds of values conditions can compare, and how a literal of JSON is read as one of a kind.

Both compilers of `conditions` read literals here: that is half of why they agree. Only column types that
hold the same value on SQLite and PostgreSQL are known; any other is refused by name.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import TEXT, VARCHAR, BigInteger, Boolean, Date, Float, Integer, SmallInteger, String, Text, inspect
from sqlalchemy.types import REAL, Unicode, UnicodeText

from plugin_host.sdk.conditions import ConditionError
from plugin_host.sdk.models import ExactDecimal, UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.types import TypeEngine

KNOWN: Final = "text, whole numbers, Float, ExactDecimal, Boolean, Date and UtcDateTime (without variants)"
# Exactly these: CHAR pads, CITEXT folds case, and what Enum keeps is not what it hands out.
_TEXT: Final = frozenset({String, Text, Unicode, UnicodeText, VARCHAR, TEXT})
_DOUBLE: Final = 53  # bits of a float of 8 bytes; one of 4 bytes is another number on the way back


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of values. `number` is exact: whole, or with `scale` decimals; a column holds less than `limit`.

    `collated` is text whose column has an order or equality of its own.
    """

    name: Literal["text", "truth", "number", "float", "moment", "day"]
    scale: int = 0
    limit: Decimal = Decimal("Infinity")
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
    kind = next((make(column.type) for known, make in _KINDS if isinstance(column.type, known)), None)
    # A variant may compare in its own way on one of the databases.
    if kind is None or column.type._variant_mapping:  # noqa: SLF001 - there is no public word for it
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
    accepted, reader, how = _READERS[kind.name]
    value = None
    # A truth value is a number to Python only.
    if isinstance(literal, accepted) and isinstance(literal, bool) == (kind.name == "truth"):
        with contextlib.suppress(ValueError, ArithmeticError):
            value = reader(literal)
    if value is None:
        raise ConditionError("", f"{literal!r} cannot be compared with a {kind.name}: {how}")
    return value


def _number(literal: float | str) -> Decimal | None:
    number = Decimal(str(literal))  # by its digits: 0.1 is one tenth, not the nearest float
    return number if number.is_finite() else None


def _moment(literal: str) -> dt.datetime | None:
    moment = dt.datetime.fromisoformat(literal)
    return moment if moment.tzinfo is not None else None


_READERS: Final[dict[str, tuple[tuple[type, ...], Callable[[Any], object], str]]] = {
    "text": ((str,), str, "write text"),
    "truth": ((bool,), bool, "write true or false"),
    "number": ((int, float, str), _number, "write a number, or its digits as text"),
    "float": ((int, float), float, "write a number"),
    "moment": ((str,), _moment, 'write ISO text with a time zone: "2026-03-01T09:00:00Z"'),
    "day": ((str,), dt.date.fromisoformat, 'write ISO text: "2026-03-01"'),
}


def _whole(bits: int) -> Kind:
    return Kind("number", limit=Decimal(2 ** (bits - 1)))


def _decimal(kept: ExactDecimal) -> Kind:
    return Kind("number", kept.scale, Decimal(10) ** (kept.precision - kept.scale))


def _float(kept: Float[Any]) -> Kind | None:
    odd = kept.asdecimal or isinstance(kept, REAL) or kept.precision not in (None, _DOUBLE)
    return None if odd else Kind("float")


def _text(kept: String) -> Kind | None:
    return Kind("text", collated=kept.collation is not None) if type(kept) in _TEXT else None


# The first that fits: the small and the big integers are Integers too.
_KINDS: Final[tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Kind | None]], ...]] = (
    (Boolean, lambda _: Kind("truth")),
    (SmallInteger, lambda _: _whole(16)),
    (BigInteger, lambda _: _whole(64)),
    (Integer, lambda _: _whole(32)),
    (ExactDecimal, _decimal),
    (Float, _float),
    (UtcDateTime, lambda _: Kind("moment")),
    (Date, lambda _: Kind("day")),
    (String, _text),
)
