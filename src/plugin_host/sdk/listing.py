"""Lists: `q`, `sort`, `cursor`, `limit` and `<field>=` of a request, applied to a select.

Pages go by key, not by offset: the cursor holds the sort value and the id of the last row, so a row that
is added or deleted meanwhile moves nothing and hides nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec
from sqlalchemy import String, and_, func, inspect, or_

from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.models import to

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute

T = TypeVar("T")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
_LIMIT_DIGITS: Final = len(str(MAX_LIMIT))
_INTEGERS: Final = range(-(2**63), 2**63)  # what databases can keep, and compare with
RESERVED: Final = frozenset({"q", "sort", "cursor", "limit"})


class Page(msgspec.Struct, Generic[T]):
    """One page of a list: `next` is the cursor of the page after it, or null on the last."""

    items: list[T]
    next: str | None = None


class Listing:
    """What a list request asks for; `page` answers it.

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
        if not raw.isascii() or not raw.isdigit() or len(raw) > _LIMIT_DIGITS or not 1 <= int(raw) <= MAX_LIMIT:
            raise _wrong("limit", f"a whole number from 1 to {MAX_LIMIT}")
        for name, value in query.items():
            if "\0" in value:  # SQLite would read up to it, PostgreSQL refuses it
                raise _wrong(name, "no NUL characters")
        filters = {name: value for name, value in query.items() if name not in RESERVED and name not in known}
        return cls(query.get("q", "").strip(), query.get("sort", ""), query.get("cursor") or None, int(raw), filters)

    async def page(
        self,
        db: AsyncSession,
        statement: Select[Any],
        out: type[T],
        *,
        search: Sequence[InstrumentedAttribute[Any]] = (),
        sort: Sequence[InstrumentedAttribute[Any]],
        filters: Sequence[InstrumentedAttribute[Any]] = (),
    ) -> Page[T]:
        """Run the select for one page and turn the rows into `out` structs.

        The first of `sort` is the default order; its class must have an `id`. Text sorts without regard to
        case. Raises `Problem` 422 for a field that is not offered, or a cursor that is not of this list.
        """
        column, down = self._order(sort)
        key: InstrumentedAttribute[Any] = inspect(column.class_).attrs.id.class_attribute
        by: ColumnElement[Any] = func.lower(column) if isinstance(column.type, String) else column.expression
        statement = statement.where(*self._matches(search, filters))
        if self.cursor is not None:
            statement = statement.where(_after(self.cursor, self.sort, column, by, key, down=down))
        statement = statement.order_by(column.is_(None), by.desc() if down else by, key).limit(self.limit + 1)
        rows = (await db.scalars(statement)).all()
        kept = rows[: self.limit]
        more = _cursor(self.sort, getattr(kept[-1], column.key), kept[-1].id) if len(rows) > self.limit else None
        return Page([to(row, out) for row in kept], more)

    def _order(self, sort: Sequence[InstrumentedAttribute[Any]]) -> tuple[InstrumentedAttribute[Any], bool]:
        name = self.sort.removeprefix("-")
        offered = {column.key: column for column in sort}
        if not name:
            return sort[0], False
        if name not in offered:
            raise _wrong("sort", f"one of {', '.join(sorted(offered))}, with - in front for descending")
        return offered[name], self.sort.startswith("-")

    def _matches(
        self, search: Sequence[InstrumentedAttribute[Any]], filters: Sequence[InstrumentedAttribute[Any]]
    ) -> list[ColumnElement[bool]]:
        clauses: list[ColumnElement[bool]] = []
        if self.q and search:
            clauses.append(or_(*(column.icontains(self.q, autoescape=True) for column in search)))
        offered = {column.key: column for column in filters}
        for name, text in self.filters.items():
            if name not in offered:
                known = ", ".join(sorted(offered)) or "none"
                raise _wrong(name, f"this list has no such filter; it has: {known}")
            clauses.append(offered[name] == _read(text, offered[name], name))
        return clauses


def _after(
    cursor: str,
    sort: str,
    column: InstrumentedAttribute[Any],
    by: ColumnElement[Any],
    key: InstrumentedAttribute[Any],
    *,
    down: bool,
) -> ColumnElement[bool]:
    """Select what stands behind the cursor's row in the order: values, then nulls, ties by id."""
    try:
        made_for, raw, last = msgspec.json.decode(
            base64.urlsafe_b64decode(cursor.encode() + b"=="), type=tuple[str, Any, str]
        )
        value = None if raw is None else msgspec.convert(raw, column.type.python_type, strict=False)
    except (ValueError, NotImplementedError) as error:  # msgspec's errors are ValueErrors
        raise _wrong("cursor", "not a cursor of this list; start again without it") from error
    if not (_fits(value) and _fits(last)):
        raise _wrong("cursor", "not a cursor of this list; start again without it")
    if made_for != sort:
        raise _wrong("cursor", f"this cursor belongs to sort={made_for!r}; start again without it")
    if value is None:
        return and_(column.is_(None), key > last)
    edge = func.lower(value) if isinstance(value, str) else value
    beyond = by < edge if down else by > edge
    return or_(beyond, and_(by == edge, key > last), column.is_(None))


def _cursor(sort: str, value: object, last: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((sort, value, last))).decode().rstrip("=")


def _read(text: str, column: InstrumentedAttribute[Any], name: str) -> object:
    kind = column.type.python_type
    if kind is bool and text.lower() not in ("true", "false", "1", "0"):
        raise _wrong(name, "true or false")
    try:
        value: object = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        what = {int: "a whole number", decimal.Decimal: "a number", dt.date: "a date", dt.datetime: "a moment"}
        raise _wrong(name, f"expected {what.get(kind, kind.__name__)}") from error
    if not _fits(value):
        raise _wrong(name, "too large")
    return value


def _fits(value: object) -> bool:
    """Tell whether a database can compare with the value at all: on others the drivers raise."""
    return value in _INTEGERS if isinstance(value, int) else not (isinstance(value, str) and "\0" in value)


def _wrong(name: str, detail: str) -> Problem:
    return Problem(422, "invalid", f"{name}: {detail}", errors=[FieldError(f"/{name}", detail)])
