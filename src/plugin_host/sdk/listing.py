"""Lists: `q`, `sort`, `cursor`, `limit` and `<field>=` of a request, applied to a select.

Pages go by key, not by offset: the cursor holds the sort value and the id of the last row, so a row that
is added or deleted meanwhile moves nothing and hides nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec
from sqlalchemy import BigInteger, Enum, Integer, Numeric, SmallInteger, String, and_, func, inspect, literal, or_
from sqlalchemy.types import TypeDecorator

from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.models import to

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Dialect, Select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.types import TypeEngine

T = TypeVar("T")
Row = TypeVar("Row")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_SEARCH: Final = 1000  # SQLite refuses patterns of 50 000 bytes
RESERVED: Final = frozenset({"q", "sort", "cursor", "limit"})


class Page(msgspec.Struct, Generic[T]):
    """One page of a list: `next` is the cursor of the page after it, or null on the last."""

    items: list[T]
    next: str | None = None


class Listing:
    """What a list request asks for; `page` answers it, `rows` gives the rows for an answer of your own.

    `q` is searched in the columns the handler names, `sort` is a field name with `-` for descending,
    `limit` is 1 to 200 rows, every other query parameter must equal the column of that name.
    """

    __slots__ = ("cursor", "filters", "limit", "q", "sort")

    def __init__(
        self,
        q: str = "",
        sort: str = "",
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
        filters: Mapping[str, str] | None = None,
    ) -> None:
        self.q = q
        self.sort = sort
        self.cursor = cursor
        self.limit = limit
        self.filters = dict(filters or {})

    @classmethod
    def from_query(cls, query: Mapping[str, str], known: Collection[str] = ()) -> Listing:
        """Read a query; `known` are parameters that the handler takes itself. Raises `Problem` 422."""
        raw = query.get("limit", str(DEFAULT_LIMIT))
        # Python reads digits of every script, and refuses to read thousands of them.
        if not (raw.isascii() and raw.isdigit() and len(raw) <= len(str(MAX_LIMIT)) and 1 <= int(raw) <= MAX_LIMIT):
            raise _wrong("limit", f"a whole number from 1 to {MAX_LIMIT}")
        q = query.get("q", "").strip()
        if len(q) > MAX_SEARCH or "\0" in q:
            raise _wrong("q", f"at most {MAX_SEARCH} characters, none of them NUL")
        filters = {name: value for name, value in query.items() if name not in RESERVED and name not in known}
        return cls(q, query.get("sort", ""), query.get("cursor") or None, int(raw), filters)

    async def page(  # noqa: PLR0913 - what a list offers, by name
        self,
        db: AsyncSession,
        statement: Select[*tuple[Any, ...]],
        out: type[T],
        *,
        search: Sequence[InstrumentedAttribute[Any]] = (),
        sort: Sequence[InstrumentedAttribute[Any]],
        filters: Sequence[InstrumentedAttribute[Any]] = (),
        default: str = "",
    ) -> Page[T]:
        """Run the select for one page and turn the rows into `out` structs.

        `search`, `sort` and `filters` are columns of the class that is selected, which must have an `id`.
        `default` is the order when the request names none, as in `default="-created_at"`; without it, the first
        of `sort`, ascending. Rows without a value come last. Text sorts and is searched without regard to case
        (on SQLite, of the letters a to z). Raises `Problem` 422 for a field that is not offered, a value that
        the field cannot hold, or a cursor that is not of this list.
        """
        rows, more = await self.rows(db, statement, search=search, sort=sort, filters=filters, default=default)
        return Page([to(row, out) for row in rows], more)

    async def rows(
        self,
        db: AsyncSession,
        statement: Select[Row, *tuple[Any, ...]],
        *,
        search: Sequence[InstrumentedAttribute[Any]] = (),
        sort: Sequence[InstrumentedAttribute[Any]],
        filters: Sequence[InstrumentedAttribute[Any]] = (),
        default: str = "",
    ) -> tuple[list[Row], str | None]:
        """Run the select for one page and give its rows, and the cursor of the next page or None.

        For an answer that needs the rows: what `access.can_many` says of each, or what stands in other tables.
        The arguments and errors are those of `page`.
        """
        dialect = db.get_bind().dialect
        order = self._order(sort, default)
        statement = statement.where(*self._matches(search, filters, dialect))
        if self.cursor is not None:
            statement = statement.where(order.after(self.cursor, dialect))
        found = (await db.scalars(statement.order_by(*order.clauses()).limit(self.limit + 1))).all()
        rows = list(found[: self.limit])
        return rows, order.cursor(rows[-1]) if len(found) > self.limit else None

    def _order(self, sort: Sequence[InstrumentedAttribute[Any]], default: str) -> _Order:
        offered = {column.key: column for column in sort}
        said = self.sort or default or sort[0].key
        column = offered.get(said.removeprefix("-"))
        if column is None and not self.sort:
            raise ValueError(f"default={default!r} is not among the columns of sort: {', '.join(offered)}")
        if column is None:
            raise _wrong("sort", f"one of {', '.join(sorted(offered))}, with - in front for descending")
        return _Order(said, column)

    def _matches(
        self,
        search: Sequence[InstrumentedAttribute[Any]],
        filters: Sequence[InstrumentedAttribute[Any]],
        dialect: Dialect,
    ) -> list[ColumnElement[bool]]:
        clauses: list[ColumnElement[bool]] = []
        if self.q and search:
            clauses.append(or_(*(column.icontains(self.q, autoescape=True) for column in search)))
        offered = {column.key: column for column in filters}
        for name, text in self.filters.items():
            if name not in offered:
                known = ", ".join(sorted(offered)) or "none"
                raise _wrong(name, f"this list has no such filter; it has: {known}")
            clauses.append(offered[name] == _read(text, offered[name], name, dialect))
        return clauses


@dataclass(frozen=True, slots=True)
class _Order:
    """One order of a list, said as in `sort`: by a column, rows without a value last, ties by id."""

    said: str
    column: InstrumentedAttribute[Any]

    @property
    def key(self) -> InstrumentedAttribute[Any]:
        key: InstrumentedAttribute[Any] = inspect(self.column.class_).attrs.id.class_attribute
        return key

    @property
    def down(self) -> bool:
        return self.said.startswith("-")

    def clauses(self) -> tuple[ColumnElement[Any], ...]:
        by = self._fold(self.column.expression)
        return self.column.is_(None), by.desc() if self.down else by, self.key.expression

    def after(self, cursor: str, dialect: Dialect) -> ColumnElement[bool]:
        """Select what stands behind the cursor's row."""
        try:
            said, raw, raw_key = msgspec.json.decode(
                base64.urlsafe_b64decode(cursor.encode() + b"=="), type=tuple[str, Any, Any]
            )
            key = _value(raw_key, self.key, dialect)
            value = None if said != self.said or raw is None else _value(raw, self.column, dialect)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise _wrong("cursor", "not a cursor of this list; start again without it") from error
        if said != self.said:
            raise _wrong("cursor", f"this cursor belongs to sort={said!r}; start again without it")
        if value is None:
            return and_(self.column.is_(None), self.key > key)
        by, edge = self._fold(self.column.expression), self._fold(value)
        beyond = by < edge if self.down else by > edge
        return or_(beyond, and_(by == edge, self.key > key), self.column.is_(None))

    def cursor(self, row: Any) -> str:
        value = getattr(row, self.column.key)
        if isinstance(value, float):
            value = str(value)  # JSON has no infinity
        made = msgspec.json.encode((self.said, value, getattr(row, self.key.key)))
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    def _fold(self, side: ColumnElement[Any]) -> ColumnElement[Any]:
        # Other types that are text in Python need not be text in the database.
        kind = self.column.type
        return func.lower(side) if isinstance(kind, String) and not isinstance(kind, Enum) else side


_BITS: Final = ((SmallInteger, 16), (BigInteger, 64), (Integer, 32))  # the first two are kinds of the third
_MOST_DIGITS: Final = 1000  # before the point, of a column that sets no bound
_WORDS: Final[dict[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    decimal.Decimal: "a number",
    float: "a number",
    dt.date: "a date",
    dt.datetime: "a moment",
}


def _read(text: str, column: InstrumentedAttribute[Any], name: str, dialect: Dialect) -> ColumnElement[Any]:
    try:
        return _value(text, column, dialect)
    except msgspec.ValidationError as error:
        kind = _kind(column.type)
        raise _wrong(name, f"expected {_WORDS.get(kind, kind.__name__)}") from error
    except ValueError as error:
        raise _wrong(name, "this field cannot hold such a value") from error


def _value(raw: object, column: InstrumentedAttribute[Any], dialect: Dialect) -> ColumnElement[Any]:
    """Read a value of the request for a column, or raise `ValueError`: what does not fit would fail in the driver."""
    value = msgspec.convert(raw, _kind(column.type), strict=False)
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    try:
        stored = value if bind is None else bind(value)
    except (ArithmeticError, LookupError, TypeError) as error:
        raise ValueError(str(error)) from error
    if not _fits(stored, column.type, dialect):
        raise ValueError(f"{column.key} cannot hold this")
    return literal(value, column.type)


def _kind(column: TypeEngine[Any]) -> Any:
    """Tell what the column gives in Python; a decorator that does not say it gives what it decorates."""
    kind = column.python_type
    if kind is object and isinstance(column, TypeDecorator):
        return _kind(column.impl_instance)
    return Any if kind is object else kind


def _fits(stored: object, column: TypeEngine[Any], dialect: Dialect) -> bool:
    exact = dialect.name != "sqlite"  # SQLite keeps any text, and 64 bits in every integer column
    match stored:
        case str() if isinstance(column, Enum):
            return stored in column.enums
        case str():
            return not exact or "\0" not in stored
        case int():
            bits = next((n for kind, n in _BITS if isinstance(column, kind)), 64) if exact else 64
            return -(1 << (bits - 1)) <= stored < 1 << (bits - 1)
        case decimal.Decimal():
            precision, scale = (column.precision, column.scale) if isinstance(column, Numeric) else (None, None)
            digits = precision - (scale or 0) if precision else _MOST_DIGITS
            return stored.is_finite() and (not stored or stored.adjusted() < digits)
    return True


def _wrong(name: str, detail: str) -> Problem:
    return Problem(422, "invalid", f"{name}: {detail}", errors=[FieldError(f"/{name}", detail)])
