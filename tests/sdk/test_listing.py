"""Lists: each row once and in order whatever the data, and 422 for whatever a request may not ask."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import enum
import string
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import hypothesis
import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, UserDefinedType

from plugin_host.database import Database
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.listing import MAX_SEARCH, Listing, Page
from plugin_host.sdk.models import METADATA, ExactDecimal, PluginBase, object_id

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


class Colour(enum.Enum):
    """Its names and its values sort differently."""

    RED = "a"
    BLUE = "b"


class Label(TypeDecorator[str]):
    """Text by a type of the plugin's own."""

    impl = sa.String
    cache_ok = True


class Odd(UserDefinedType[str]):
    """A type that does not say what it is in Python."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"


class Base(PluginBase, plugin="listed"):
    """Tables of these tests."""


class Thing(Base):
    """A column of every kind that a list may be sorted by."""

    __tablename__ = "listed_thing"

    id: Mapped[str] = object_id()
    name: Mapped[str | None]
    label: Mapped[str | None] = mapped_column(Label(50))
    small: Mapped[int | None] = mapped_column(sa.SmallInteger)
    whole: Mapped[int | None]
    big: Mapped[int | None] = mapped_column(sa.BigInteger)
    price: Mapped[Decimal | None] = mapped_column(ExactDecimal(18, 2))
    score: Mapped[float | None] = mapped_column(sa.Double)
    done: Mapped[bool | None]
    due: Mapped[dt.date | None]
    seen: Mapped[dt.datetime | None]
    state: Mapped[str | None] = mapped_column(sa.Enum("open", "Closed", name="listed_state"))
    colour: Mapped[Colour | None] = mapped_column(sa.Enum(Colour, name="listed_colour"))
    blob: Mapped[bytes | None]
    odd: Mapped[str | None] = mapped_column(Odd())


class Numbered(Base):
    """Rows whose key is a number."""

    __tablename__ = "listed_numbered"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]


class Measured(Base):
    """Numbers of a type that the database rounds; PostgreSQL only."""

    __tablename__ = "listed_measured"

    id: Mapped[str] = object_id()
    bound: Mapped[Decimal | None] = mapped_column(sa.Numeric(4, 2))
    cents: Mapped[Decimal | None] = mapped_column(sa.Numeric(4))
    free: Mapped[Decimal | None] = mapped_column(sa.Numeric)


class ThingOut(msgspec.Struct):
    id: str
    name: str | None


KINDS: Final = [column.key for column in Thing.__table__.columns if column.key != "id"]
# In the order of the list: nulls last; text without regard to case.
SAMPLES: dict[str, list[Any]] = {
    "name": ["", "Ann", "ann", "ANNA", "Bob", "bob%", None, None],
    "label": ["", "ann", "ann", "anna", "bob", "bob%", None, None],
    "small": [-(2**15), -1, 0, 0, 2**15 - 1, None, None],
    "whole": [-(2**31), -1, 0, 0, 2**31 - 1, None, None],
    "big": [-(2**63), -1, 0, 0, 2**63 - 1, None, None],
    "price": [Decimal("-0.01"), Decimal(0), Decimal("0.10"), Decimal("0.10"), Decimal(10), None, None],
    "score": [float("-inf"), -1.5, 0.1, 0.1, 1e-7, 1e300, float("inf"), float("inf"), None, None],
    "done": [False, False, True, True, None, None],
    "due": [dt.date(1, 1, 1), dt.date(2026, 3, 1), dt.date(2026, 3, 1), dt.date(9999, 12, 31), None, None],
    "seen": [NOON - dt.timedelta(microseconds=1), NOON, NOON, NOON + dt.timedelta(microseconds=1), None, None],
    "state": ["open", "open", "Closed", "Closed", None, None],
    "colour": [Colour.RED, Colour.RED, Colour.BLUE, Colour.BLUE, None, None],
    "blob": [b"\0", b"a", b"a", b"\xff", None, None],
    "odd": ["A", "a", "a", "b", None, None],
}
SAMPLES["score"].sort(key=lambda value: (value is None, value or 0))

TEXTS = st.none() | st.text(
    st.sampled_from("aAbBzZäÄ%_ 'é😀") | st.characters(codec="utf-8", exclude_characters="\0"), max_size=4
)
NUMBERS = st.none() | st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)
FLOATS = st.none() | st.sampled_from([0.0, 0.5, 1e16]) | st.floats(allow_nan=False)
MOMENTS = st.none() | st.datetimes(dt.datetime(1, 1, 3), timezones=st.just(dt.UTC))  # noqa: DTZ001
PRICES = st.none() | st.decimals(-(10**15), 10**15, places=2)
ANY_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXTS,
    "label": TEXTS,
    "big": NUMBERS,
    "score": FLOATS,
    "price": PRICES,
    "done": st.sampled_from([True, False, None]),
    "due": st.none() | st.dates(),
    "seen": MOMENTS,
}
LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[AsyncSession]:
    """Make the tables, and open a session."""
    unit = database.unit()
    tables = [table for name, table in METADATA.tables.items() if name.startswith("listed_")]
    connection = await unit.session.connection()
    await connection.run_sync(lambda sync: METADATA.create_all(sync, tables))
    try:
        yield unit.session
    finally:
        await unit.close()
        await database.close()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[AsyncSession]:
    async with opened(Database(f"sqlite:///{tmp_path}/host.db")) as session:
        yield session


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[AsyncSession]:
    async with opened(Database(postgres_url)) as session:
        yield session


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def each_db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncSession]:
    sqlite_url = f"sqlite:///{tmp_path}/host.db"
    url = sqlite_url if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with opened(Database(url)) as session:
        yield session


async def fill(db: AsyncSession, name: str, values: list[Any]) -> None:
    """Write a row for each value; ids are in their order."""
    db.add_all(Thing(id=f"{number:04}", **{name: value}) for number, value in enumerate(values))
    await db.flush()


async def ids(db: AsyncSession, listing: Listing, **offer: Any) -> list[str]:
    """Give the ids of one page."""
    offer = {"sort": [Thing.id], **offer}
    rows, _ = await listing.rows(db, sa.select(Thing), **offer)
    return [row.id for row in rows]


async def all_pages(
    db: AsyncSession,
    sort: str,
    column: InstrumentedAttribute[Any],
    limit: int,
    between: Callable[[], Any] | None = None,
) -> list[Any]:
    """Turn the pages to the end, as a browser does, and do something after the first."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        listing = Listing(sort=sort, cursor=cursor, limit=limit)
        rows, cursor = await listing.rows(db, sa.select(column.class_), sort=[column])
        found += rows
        if cursor is None:
            return found
        if between is not None:
            await between()
            between = None


async def refused(asked: Any) -> Problem:
    """Give the problem that was raised."""
    with pytest.raises(Problem) as raised:
        await asked
    assert (raised.value.status, raised.value.code) == (422, "invalid")
    return raised.value


def pointer(problem: Problem) -> str:
    (error,) = problem.errors
    return error.pointer


def cursor_of(*members: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(members)).decode().rstrip("=")


# -- the query -----------------------------------------------------------------------------------------------


def test_empty_query_asks_for_the_first_page() -> None:
    listing = Listing.from_query({})
    assert (listing.q, listing.sort, listing.cursor, listing.limit, listing.filters) == ("", "", None, 50, {})


def test_query_is_read() -> None:
    listing = Listing.from_query({"q": " ann ", "sort": "-name", "cursor": "x", "limit": "7", "state": "open"})
    assert (listing.q, listing.sort, listing.cursor, listing.limit) == ("ann", "-name", "x", 7)
    assert listing.filters == {"state": "open"}


def test_parameters_of_the_handler_are_no_filters() -> None:
    assert Listing.from_query({"colour": "red", "state": "open"}, ["colour"]).filters == {"state": "open"}


def test_empty_cursor_is_none() -> None:
    assert Listing.from_query({"cursor": ""}).cursor is None


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("200", 200), ("007", 7)])
def test_limit(text: str, limit: int) -> None:
    assert Listing.from_query({"limit": text}).limit == limit


@pytest.mark.parametrize(
    "text",
    ["", "0", "201", "-1", "+1", " 1", "1.0", "1e2", "0x1", "ten", "٣", "²", "000001999", "9" * 5000, "0" * 5000 + "1"],
    ids=lambda text: text[:12] if len(text) < 100 else f"{text[0]} and many more, {text[-1]}",
)
def test_limit_that_is_none(text: str) -> None:
    with pytest.raises(Problem, match="limit: a whole number from 1 to 200"):
        Listing.from_query({"limit": text})


@pytest.mark.parametrize("q", ["x" * (MAX_SEARCH + 1), "a\0b"], ids=["long", "nul"])
def test_search_that_no_database_takes(q: str) -> None:
    with pytest.raises(Problem, match="q: at most 1000 characters, none of them NUL"):
        Listing.from_query({"q": q})


# -- search --------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", ["0000", "0001", "0002", "0003", "0004"]),
        ("ANN", ["0000"]),
        ("%", ["0001"]),
        ("_", ["0002"]),
        ("/", ["0003"]),
        ("\\", ["0004"]),
        ("n_", []),
    ],
)
async def test_search(each_db: AsyncSession, q: str, found: list[str]) -> None:
    await fill(each_db, "name", ["Anna", "100%", "a_b", "a/b", "a\\b"])
    assert await ids(each_db, Listing(q=q), search=[Thing.name]) == found


@pytest.mark.anyio
async def test_search_looks_into_each_column(db: AsyncSession) -> None:
    db.add_all([Thing(id="1", name="Ann"), Thing(id="2", label="Ann"), Thing(id="3")])
    assert await ids(db, Listing(q="ann"), search=[Thing.name, Thing.label]) == ["1", "2"]


@pytest.mark.anyio
async def test_search_in_a_list_that_has_none(db: AsyncSession) -> None:
    await fill(db, "name", ["Ann", "Bob"])
    assert await ids(db, Listing(q="ann")) == ["0000", "0001"]


@pytest.mark.anyio
@pytest.mark.parametrize("q", ["%" * MAX_SEARCH, "😀" * MAX_SEARCH], ids=["escaped", "wide"])
async def test_longest_search(each_db: AsyncSession, q: str) -> None:
    await fill(each_db, "name", ["Ann", q])
    assert await ids(each_db, Listing.from_query({"q": q}), search=[Thing.name]) == ["0001"]


# -- filters -------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "kept", "text"),
    [
        ("name", "Ann", "Ann"),
        ("name", "", ""),
        ("label", "Ann", "Ann"),
        ("whole", -1, "-1"),
        ("big", 2**63 - 1, str(2**63 - 1)),
        ("price", Decimal("0.10"), "0.1"),
        ("score", 0.1, "0.1"),
        ("score", float("inf"), "inf"),
        ("done", True, "true"),
        ("done", True, "1"),
        ("done", False, "FALSE"),
        ("due", dt.date(2026, 3, 1), "2026-03-01"),
        ("seen", NOON, "2026-03-01T13:00:00+01:00"),
        ("state", "Closed", "Closed"),
        ("colour", Colour.BLUE, "b"),
        ("odd", "x", "x"),
    ],
    ids=str,
)
async def test_filter_finds_equal_values(each_db: AsyncSession, name: str, kept: Any, text: str) -> None:
    other = next(value for value in SAMPLES[name] if value not in (kept, None))
    await fill(each_db, name, [other, kept, None])
    assert await ids(each_db, Listing(filters={name: text}), filters=[getattr(Thing, name)]) == ["0001"]


@pytest.mark.anyio
async def test_filters_hold_together(db: AsyncSession) -> None:
    db.add_all([Thing(id="1", whole=1, done=True), Thing(id="2", whole=1), Thing(id="3", done=True)])
    asked = Listing(filters={"whole": "1", "done": "true"})
    assert await ids(db, asked, filters=[Thing.whole, Thing.done]) == ["1"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "text", "detail"),
    [
        ("whole", "many", "expected a whole number"),
        ("whole", "", "expected a whole number"),
        ("whole", "9" * 5000, "expected a whole number"),
        ("whole", str(2**63), "this field cannot hold such a value"),
        ("price", "much", "expected a number"),
        ("price", "0.001", "this field cannot hold such a value"),
        ("price", "NaN", "this field cannot hold such a value"),
        ("price", "1e999999", "this field cannot hold such a value"),
        ("score", "much", "expected a number"),
        ("done", "yes", "expected true or false"),
        ("done", "", "expected true or false"),
        ("due", "2026-02-30", "expected a date"),
        ("seen", "yesterday", "expected a moment"),
        ("seen", "2026-03-01T12:00:00", "this field cannot hold such a value"),
        ("seen", "0001-01-01T00:00:00+10:00", "this field cannot hold such a value"),
        ("state", "closed", "this field cannot hold such a value"),
        ("colour", "c", "expected Colour"),
        ("blob", "?", "expected bytes"),
    ],
    ids=lambda text: text[:30],
)
async def test_filter_that_no_row_can_match(each_db: AsyncSession, name: str, text: str, detail: str) -> None:
    problem = await refused(ids(each_db, Listing(filters={name: text}), filters=[getattr(Thing, name)]))
    assert [(error.pointer, error.detail) for error in problem.errors] == [(f"/{name}", detail)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "text"), [("name", "a\0b"), ("small", str(2**15)), ("whole", str(2**31)), ("whole", str(-(2**31) - 1))]
)
async def test_filter_that_only_sqlite_can_hold(postgres: AsyncSession, name: str, text: str) -> None:
    problem = await refused(ids(postgres, Listing(filters={name: text}), filters=[getattr(Thing, name)]))
    assert pointer(problem) == f"/{name}"


@pytest.mark.anyio
async def test_sqlite_holds_64_bits_in_every_column(db: AsyncSession) -> None:
    await fill(db, "whole", [1, 2**40])
    assert await ids(db, Listing(filters={"whole": str(2**40)}), filters=[Thing.whole]) == ["0001"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("column", "text"),
    [(Measured.bound, "100"), (Measured.cents, "10000"), (Measured.free, "1e999999"), (Measured.free, "Infinity")],
    ids=str,
)
async def test_filter_beyond_a_rounded_number(
    postgres: AsyncSession, column: InstrumentedAttribute[Any], text: str
) -> None:
    asked = Listing(filters={column.key: text}).rows(
        postgres, sa.select(Measured), sort=[Measured.id], filters=[column]
    )
    assert pointer(await refused(asked)) == f"/{column.key}"


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["0", "0.00", "99.99", "-99.99"])
async def test_filter_within_a_rounded_number(postgres: AsyncSession, text: str) -> None:
    postgres.add(Measured(id="1", bound=Decimal(text)))
    asked = Listing(filters={"bound": text})
    rows, _ = await asked.rows(postgres, sa.select(Measured), sort=[Measured.id], filters=[Measured.bound])
    assert len(rows) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("offered", "known"), [([], "none"), ([Thing.state, Thing.name], "name, state")], ids=["none", "some"]
)
async def test_filter_that_is_not_offered(db: AsyncSession, offered: list[Any], known: str) -> None:
    problem = await refused(ids(db, Listing(filters={"price": "1"}), filters=offered))
    assert problem.detail == f"price: this list has no such filter; it has: {known}"


# -- the order -----------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [1, 2, 200])
@pytest.mark.parametrize("name", KINDS)
async def test_pages_hold_each_row_once_and_in_order(each_db: AsyncSession, name: str, limit: int) -> None:
    await fill(each_db, name, SAMPLES[name])
    rows = await all_pages(each_db, name, getattr(Thing, name), limit)
    expected = SAMPLES[name]
    if name in ("state", "colour") and each_db.get_bind().dialect.name == "sqlite":
        expected = sorted(expected, key=lambda value: (value is None, str(getattr(value, "name", value))))
    assert [getattr(row, name) for row in rows] == expected


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [1, 2, 200])
@pytest.mark.parametrize("name", KINDS)
async def test_pages_downwards_hold_each_row_once(each_db: AsyncSession, name: str, limit: int) -> None:
    await fill(each_db, name, SAMPLES[name])
    upwards = await all_pages(each_db, name, getattr(Thing, name), 200)
    downwards = await all_pages(each_db, f"-{name}", getattr(Thing, name), limit)
    there = [row for row in upwards if getattr(row, name) is not None]
    ranks = {row.id: number for number, row in enumerate(there)}
    assert sorted(row.id for row in downwards) == sorted(row.id for row in upwards)
    assert [getattr(row, name) is None for row in downwards] == [getattr(row, name) is None for row in upwards]
    assert _values(downwards[: len(there)], name) == _values(sorted(there, key=lambda row: -ranks[row.id]), name)


@pytest.mark.anyio
async def test_number_that_is_none_has_its_place(postgres: AsyncSession) -> None:
    await fill(postgres, "score", [float("nan"), 1.0, float("nan"), None])
    rows = await all_pages(postgres, "score", Thing.score, 1)
    assert [row.id for row in rows] == ["0001", "0000", "0002", "0003"]


@pytest.mark.anyio
async def test_keys_may_be_numbers(db: AsyncSession) -> None:
    db.add_all(Numbered(id=number, name="x") for number in (10, 9, 11))
    rows = await all_pages(db, "name", Numbered.name, 1)
    assert [row.id for row in rows] == [9, 10, 11]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sort", "default", "found"),
    [
        ("", "", ["2", "1"]),
        ("", "whole", ["1", "2"]),
        ("", "-whole", ["2", "1"]),
        ("-name", "-whole", ["1", "2"]),
        ("whole", "-whole", ["1", "2"]),
    ],
)
async def test_order_when_the_request_names_one_or_none(
    db: AsyncSession, sort: str, default: str, found: list[str]
) -> None:
    db.add_all([Thing(id="1", name="Bob", whole=1), Thing(id="2", name="Ann", whole=2)])
    assert await ids(db, Listing(sort=sort), sort=[Thing.name, Thing.whole], default=default) == found


@pytest.mark.anyio
async def test_default_order_has_pages(db: AsyncSession) -> None:
    await fill(db, "whole", [1, 2, 3])
    first, cursor = await Listing(limit=2).rows(db, sa.select(Thing), sort=[Thing.whole], default="-whole")
    listing = Listing(limit=2, cursor=cursor)
    second, end = await listing.rows(db, sa.select(Thing), sort=[Thing.whole], default="-whole")
    assert ([row.whole for row in (*first, *second)], end) == ([3, 2, 1], None)


@pytest.mark.anyio
async def test_default_order_that_the_handler_does_not_offer(db: AsyncSession) -> None:
    with pytest.raises(ValueError, match="default='-price' is not among the columns of sort: name, whole"):
        await ids(db, Listing(), sort=[Thing.name, Thing.whole], default="-price")


@pytest.mark.anyio
@pytest.mark.parametrize("sort", ["price", "-price", "-", "--name", " name", "NAME", "name,whole"])
async def test_order_that_is_not_offered(db: AsyncSession, sort: str) -> None:
    problem = await refused(ids(db, Listing(sort=sort), sort=[Thing.whole, Thing.name]))
    assert problem.detail == "sort: one of name, whole, with - in front for descending"


@hypothesis.settings(max_examples=200)
@hypothesis.given(data=st.data())
def test_any_rows_come_once_and_in_order_while_others_go(data: st.DataObject) -> None:
    name, values = data.draw(st.sampled_from(list(ANY_VALUES.items())))
    rows = dict(enumerate(data.draw(st.lists(values, max_size=12))))
    down, limit = data.draw(st.booleans()), data.draw(st.integers(1, 5))
    gone = data.draw(st.sets(st.sampled_from(sorted(rows)))) if rows else set()
    expected = _in_order(rows, name, down=down)
    kept = expected[:limit] + [number for number in expected[limit:] if number not in gone]
    found = asyncio.run(_turn(name, rows, gone, limit, down=down))
    assert found == (kept if len(rows) > limit else expected)


# -- the cursor ----------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("rows", [0, 1, 2])
async def test_last_page_has_no_cursor(db: AsyncSession, rows: int) -> None:
    await fill(db, "name", ["x"] * rows)
    page = await Listing(limit=2).page(db, sa.select(Thing), ThingOut, sort=[Thing.name])
    assert (len(page.items), page.next) == (rows, None)


@pytest.mark.anyio
async def test_page_is_of_structs(db: AsyncSession) -> None:
    await fill(db, "name", ["Ann", "Bob"])
    page = await Listing(limit=1).page(db, sa.select(Thing), ThingOut, sort=[Thing.name])
    assert page == Page([ThingOut("0000", "Ann")], cursor_of("name", "Ann", "0000"))


@pytest.mark.anyio
async def test_page_obeys_the_select(db: AsyncSession) -> None:
    await fill(db, "name", ["Ann", "Bob", "Cid"])
    mine = sa.select(Thing).where(Thing.name != "Bob")
    page = await Listing(sort="-name").page(db, mine, ThingOut, sort=[Thing.name])
    assert [item.name for item in page.items] == ["Cid", "Ann"]


@pytest.mark.anyio
async def test_row_that_the_cursor_names_may_be_gone(db: AsyncSession) -> None:
    await fill(db, "name", ["Ann", "Bob"])
    assert await ids(db, Listing(cursor=cursor_of("name", "Anna", "0000")), sort=[Thing.name]) == ["0001"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!!!",
        "ä",
        "\ud800",
        "/" * 40,
        "x" * 100_000,
        cursor_of(),
        cursor_of("whole"),
        cursor_of("whole", 1, "1", "more"),
        cursor_of(1, 1, "1"),
        cursor_of("whole", "many", "1"),
        cursor_of("whole", [1], "1"),
        cursor_of("whole", 1, None),
        cursor_of("whole", 1, 1),
        cursor_of("whole", 2**63, "1"),
        base64.urlsafe_b64encode(b'["whole",1e999,"1"]').decode(),
        base64.urlsafe_b64encode(b'["whole",1,"\\ud800"]').decode(),
        base64.urlsafe_b64encode(b'["whole",' + b"[" * 50_000).decode(),
    ],
    ids=lambda cursor: ascii(cursor[:24]) + ("…" if len(cursor) > 24 else ""),
)
async def test_cursor_that_is_none(db: AsyncSession, cursor: str) -> None:
    problem = await refused(ids(db, Listing(cursor=cursor), sort=[Thing.whole]))
    assert problem.detail == "cursor: not a cursor of this list; start again without it"


@pytest.mark.anyio
@pytest.mark.parametrize("cursor", [cursor_of("name", "a\0", "1"), cursor_of("name", "a", "\0")], ids=["value", "key"])
async def test_cursor_that_only_sqlite_takes(postgres: AsyncSession, cursor: str) -> None:
    assert pointer(await refused(ids(postgres, Listing(cursor=cursor), sort=[Thing.name]))) == "/cursor"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("made_for", "sort"), [("-whole", "whole"), ("whole", "-whole"), ("name", "whole"), ("name", "")]
)
async def test_cursor_of_another_order(db: AsyncSession, made_for: str, sort: str) -> None:
    cursor = cursor_of(made_for, "Ann", "1")
    problem = await refused(ids(db, Listing(sort=sort, cursor=cursor), sort=[Thing.whole, Thing.name]))
    assert problem.detail == f"cursor: this cursor belongs to sort={made_for!r}; start again without it"


@pytest.mark.anyio
async def test_cursor_goes_on_where_the_default_order_is_named(db: AsyncSession) -> None:
    await fill(db, "name", ["Ann", "Bob"])
    _, cursor = await Listing(limit=1).rows(db, sa.select(Thing), sort=[Thing.name])
    assert await ids(db, Listing(sort="name", cursor=cursor), sort=[Thing.name]) == ["0001"]


# -- how -----------------------------------------------------------------------------------------------------


def _values(rows: list[Any], name: str) -> list[Any]:
    """Give the values as the order sees them."""
    values = [getattr(row, name) for row in rows]
    return [value.lower() if name in ("name", "label") and value is not None else value for value in values]


def _in_order(rows: dict[int, Any], name: str, *, down: bool) -> list[int]:
    """Sort as promised: SQLite knows the case of the letters a to z, and no more."""
    there = [number for number, value in rows.items() if value is not None]
    fold = name == "name"
    there.sort(key=lambda number: rows[number].translate(LOWER) if fold else rows[number], reverse=down)
    if down:  # ties go by id all the same
        keys = {number: rows[number].translate(LOWER) if fold else rows[number] for number in there}
        there = [n for key in dict.fromkeys(keys.values()) for n in sorted(m for m in there if keys[m] == key)]
    return there + [number for number, value in rows.items() if value is None]


async def _turn(name: str, rows: dict[int, Any], gone: set[int], limit: int, *, down: bool) -> list[int]:
    """Turn the pages of a new list, from which some rows are deleted after the first page."""
    engine = create_async_engine("sqlite+aiosqlite://")
    try:
        async with AsyncSession(engine, expire_on_commit=False) as db:
            connection = await db.connection()
            await connection.run_sync(lambda sync: METADATA.create_all(sync, [METADATA.tables["listed_thing"]]))
            db.add_all(Thing(id=f"{number:04}", **{name: value}) for number, value in rows.items())
            await db.flush()

            async def delete() -> None:
                await db.execute(sa.delete(Thing).where(Thing.id.in_([f"{number:04}" for number in gone])))

            sort = f"-{name}" if down else name
            found = await all_pages(db, sort, getattr(Thing, name), limit, delete)
            return [int(row.id) for row in found]
    finally:
        await engine.dispose()
