"""What a condition means: the same for one row in Python and for a list in SQL, on both databases."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from plugin_host.access.conditions import check_fields, compile_predicate, compile_sql
from plugin_host.sdk.conditions import All, AnyOf, ConditionError, parse_condition
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.models import ExactDecimal, PluginBase

ANN = Actor(id="7", username="ann", display="Ann", groups=("sales", "a"), roles=("probe.editor",))
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


class Base(PluginBase, plugin="probe"):
    """Tables of these tests."""


class Thing(Base):
    """A column of every kind that conditions can compare, and another to compare it with."""

    __tablename__ = "probe_thing"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner: Mapped[str | None] = mapped_column(sa.String(64))
    text: Mapped[str | None] = mapped_column(sa.Text)
    whole: Mapped[int | None]
    other: Mapped[int | None] = mapped_column(sa.BigInteger)
    price: Mapped[Decimal | None] = mapped_column(ExactDecimal(18, 2))
    cost: Mapped[Decimal | None] = mapped_column(ExactDecimal(18, 2))
    score: Mapped[float | None] = mapped_column(sa.Float)
    rank: Mapped[float | None] = mapped_column(sa.Double)
    open: Mapped[bool | None]
    done: Mapped[bool | None]
    seen: Mapped[dt.datetime | None]
    due: Mapped[dt.date | None] = mapped_column(sa.Date)


TEXTS = [None, "", "7", "a", "A", "ab", "B", "ä", "z", "sales", "sales ", "😀", "a%", "it's", '"x, y"\n']
WHOLES = [None, -1, 0, 1, 2, 3, 2**31 - 1]
PRICES = [None, Decimal("-0.01"), Decimal("0.00"), Decimal("0.10"), Decimal("1.00"), Decimal("99.90")]
FLOATS = [None, -0.5, 0.0, 0.1, 1.0, 2.0, math.inf, math.nan]
TRUTHS = [None, True, False]
MOMENTS = [None, NOON, NOON + dt.timedelta(microseconds=1), NOON - dt.timedelta(days=300)]
DAYS = [None, dt.date(2026, 3, 1), dt.date(2025, 12, 31)]
KINDS: dict[str, tuple[tuple[str, str], list[Any]]] = {
    "text": (("owner", "text"), TEXTS),
    "whole": (("whole", "other"), [*WHOLES[:-1], 1.0, 0.5, -0.5, "2", "1.5", 2**30]),
    "price": (("price", "cost"), [None, 0, 1, 0.1, 0.105, -0.015, "99.90", "99.905", "1e1"]),
    "float": (("score", "rank"), [None, -0.5, 0, 0.1, 1, 2.0, 1e300]),
    "truth": (("open", "done"), TRUTHS),
    "moment": (
        ("seen", "seen"),
        [
            None,
            "2026-03-01T12:00:00Z",
            "2026-03-01T13:00:00+01:00",
            "2026-03-01T12:00:00.000001+00:00",
            "2025-01-01T00Z",
        ],
    ),
    "day": (("due", "due"), [None, "2026-03-01", "2025-12-31", "2026-03-02"]),
}


def some_rows() -> list[Thing]:
    """Make rows in which every value stands beside every kind of neighbour: cycles of different lengths."""
    cycles = {
        "owner": TEXTS,
        "text": TEXTS[1:],
        "whole": WHOLES,
        "other": [*WHOLES[:-2], 2**40],
        "price": PRICES,
        "cost": PRICES[1:],
        "score": FLOATS,
        "rank": FLOATS[1:],
        "open": TRUTHS,
        "done": [True, None, False, False],
        "seen": MOMENTS,
        "due": DAYS,
    }
    values = {name: itertools.cycle(cycle) for name, cycle in cycles.items()}
    return [Thing(id=number, **{name: next(cycle) for name, cycle in values.items()}) for number in range(61)]


@pytest.fixture
def things(engine: sa.Engine) -> sa.Engine:
    """Give a database with those rows."""
    Thing.__table__.create(engine)  # type: ignore[attr-defined]
    with Session(engine) as session, session.begin():
        session.add_all(some_rows())
    return engine


def found_by_python(session: Session, raw: object, actor: Actor) -> set[int]:
    predicate = compile_predicate(parse_condition(raw))
    return {row.id for row in session.scalars(sa.select(Thing)) if predicate(row, actor)}


def found_by_sql(session: Session, raw: object, actor: Actor) -> set[int]:
    return set(session.scalars(sa.select(Thing.id).where(compile_sql(parse_condition(raw), Thing, actor))))


# -- both compilers agree ---------------------------------------------------------------------------------


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(sorted(KINDS)).flatmap(leaves_of) | st.builds(
        lambda left, right: {"in": [left, right]},
        st.sampled_from([{"row": "owner"}, {"row": "text"}, {"actor": "id"}, "sales", None]),
        st.sampled_from([{"actor": "groups"}, {"actor": "roles"}]),
    )


def leaves_of(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    (first, second), literals = KINDS[kind]
    row = st.sampled_from([{"row": first}, {"row": second}])
    literal = st.sampled_from(literals)
    actor = st.just({"actor": "id"}) if kind == "text" else st.nothing()
    orders = ["==", "!="] if kind == "truth" else ["==", "!=", "<", "<=", ">", ">="]
    compare = st.builds(
        lambda symbol, left, right: {symbol: [left, right]}, st.sampled_from(orders), row, row | literal | actor
    )
    return st.one_of(
        compare.filter(parses),
        compare.map(swapped).filter(parses),
        st.builds(lambda left, right: {"in": [left, right]}, row, st.lists(literal, max_size=3)),
        row.map(lambda operand: {"is_null": operand}),
    )


def swapped(raw: dict[str, Any]) -> dict[str, Any]:
    return {symbol: sides[::-1] for symbol, sides in raw.items()}


def parses(raw: dict[str, Any]) -> bool:
    try:
        parse_condition(raw)
    except ConditionError:
        return False  # null has no order
    return True


CONDITIONS = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
)
PEOPLE = st.sampled_from([ANN, ANONYMOUS, Actor(id="a", username="a", display="a", groups=("ab",), roles=("z", "7"))])


def test_python_and_sql_find_the_same_rows(things: sa.Engine) -> None:
    with Session(things) as session:

        @hypothesis.settings(max_examples=150, database=None)
        @hypothesis.given(CONDITIONS, PEOPLE)
        def agree(raw: dict[str, Any], actor: Actor) -> None:
            assert found_by_sql(session, raw, actor) == found_by_python(session, raw, actor)

        agree()


def test_sql_is_never_null(things: sa.Engine) -> None:
    with Session(things) as session:

        @hypothesis.settings(max_examples=50, database=None)
        @hypothesis.given(CONDITIONS, PEOPLE)
        def never(raw: dict[str, Any], actor: Actor) -> None:
            clause = compile_sql(parse_condition(raw), Thing, actor)
            assert session.scalar(sa.select(sa.func.count()).select_from(Thing).where(clause.is_(None))) == 0

        never()


# -- each meaning by an example -------------------------------------------------------------------------------

ROWS = {
    "nothing": {},
    "empty": {"owner": "", "whole": 0, "price": Decimal(0), "score": 0.0, "open": False},
    "anns": {"owner": "7", "whole": 1, "price": Decimal("0.10"), "score": 0.5, "open": True, "seen": NOON},
    "upper": {"owner": "SALES", "text": "SALES", "whole": 2, "other": 2, "price": Decimal("99.90"), "due": NOON.date()},
    "lower": {"owner": "sales", "text": "SALES", "whole": 3, "other": 4, "seen": NOON - dt.timedelta(hours=1)},
}
OWNER, WHOLE, PRICE = {"row": "owner"}, {"row": "whole"}, {"row": "price"}
MEANINGS: dict[str, tuple[dict[str, Any], Actor, set[str]]] = {
    "equal to the actor": ({"==": [OWNER, {"actor": "id"}]}, ANN, {"anns"}),
    "the actor first": ({"==": [{"actor": "id"}, OWNER]}, ANN, {"anns"}),
    "unlike the actor leaves out null": ({"!=": [OWNER, {"actor": "id"}]}, ANN, {"empty", "upper", "lower"}),
    "nobody is equal to nothing": ({"==": [OWNER, {"actor": "id"}]}, ANONYMOUS, set()),
    "nobody is unlike nothing": ({"!=": [OWNER, {"actor": "id"}]}, ANONYMOUS, set()),
    "written null asks for absence": ({"==": [OWNER, None]}, ANN, {"nothing"}),
    "unlike null is presence": ({"!=": [None, OWNER]}, ANN, {"empty", "anns", "upper", "lower"}),
    "is_null": ({"is_null": {"row": "price"}}, ANN, {"nothing", "lower"}),
    "null is equal to null": ({"==": [None, None]}, ANN, set(ROWS)),
    "nobody has no id": ({"==": [{"actor": "id"}, None]}, ANONYMOUS, set(ROWS)),
    "not turns false by null round": ({"not": {"==": [OWNER, "7"]}}, ANN, {"nothing", "empty", "upper", "lower"}),
    "case counts": ({"==": [OWNER, "sales"]}, ANN, {"lower"}),
    "capitals come first": ({"<": [OWNER, "a"]}, ANN, {"empty", "anns", "upper"}),
    "text of two columns": ({"==": [OWNER, {"row": "text"}]}, ANN, {"upper"}),
    "order of two columns": ({"<": [{"row": "text"}, OWNER]}, ANN, {"lower"}),
    "numbers of two columns": ({"<": [WHOLE, {"row": "other"}]}, ANN, {"lower"}),
    "in a list": ({"in": [OWNER, ["7", None, "SALES"]]}, ANN, {"anns", "upper"}),
    "in an empty list": ({"in": [OWNER, []]}, ANN, set()),
    "not in an empty list": ({"not": {"in": [OWNER, []]}}, ANN, set(ROWS)),
    "in the actor's groups": ({"in": [OWNER, {"actor": "groups"}]}, ANN, {"lower"}),
    "in no groups": ({"in": [OWNER, {"actor": "groups"}]}, ANONYMOUS, set()),
    "a word in the groups": ({"in": ["sales", {"actor": "groups"}]}, ANN, set(ROWS)),
    "the id in a list": ({"in": [{"actor": "id"}, ["8"]]}, ANN, set()),
    "null in a list": ({"in": [None, [None, "7"]]}, ANN, set()),
    "one tenth": ({"==": [PRICE, 0.1]}, ANN, {"anns"}),
    "digits as text": ({">=": [PRICE, "99.90"]}, ANN, {"upper"}),
    "no column has it": ({"==": [PRICE, 0.105]}, ANN, set()),
    "unlike what no column has": ({"!=": [PRICE, 0.105]}, ANN, {"empty", "anns", "upper"}),
    "below a finer number": ({"<": [PRICE, 0.105]}, ANN, {"empty", "anns"}),
    "above a finer number": ({">": [PRICE, 0.105]}, ANN, {"upper"}),
    "in a list of finer numbers": ({"in": [PRICE, [0.105, 0.1]]}, ANN, {"anns"}),
    "half a whole": ({"<=": [WHOLE, 1.5]}, ANN, {"empty", "anns"}),
    "floats": ({">": [{"row": "score"}, 0.25]}, ANN, {"anns"}),
    "truth": ({"==": [{"row": "open"}, False]}, ANN, {"empty"}),
    "a moment in another zone": ({"==": [{"row": "seen"}, "2026-03-01T14:00:00+02:00"]}, ANN, {"anns"}),
    "before a moment": ({"<": [{"row": "seen"}, "2026-03-01T12:00:00Z"]}, ANN, {"lower"}),
    "a day": ({"in": [{"row": "due"}, ["2026-03-01"]]}, ANN, {"upper"}),
    "literals alone": ({"<": [1, 1.5]}, ANN, set(ROWS)),
    "all": ({"and": [{"==": [{"row": "text"}, "SALES"]}, {"<": [WHOLE, 3]}]}, ANN, {"upper"}),
    "any": ({"or": [{"==": [OWNER, "7"]}, {"==": [WHOLE, 3]}]}, ANN, {"anns", "lower"}),
}


@pytest.mark.parametrize("meaning", MEANINGS)
def test_what_a_condition_means_in_python(meaning: str) -> None:
    raw, actor, expected = MEANINGS[meaning]
    predicate = compile_predicate(parse_condition(raw))
    assert {name for name, values in ROWS.items() if predicate(Thing(**values), actor)} == expected


def test_what_a_condition_means_in_sql(engine: sa.Engine) -> None:
    Thing.__table__.create(engine)  # type: ignore[attr-defined]
    names = dict(enumerate(ROWS))
    with Session(engine) as session:
        session.add_all(Thing(id=number, **ROWS[name]) for number, name in names.items())
        found = {
            meaning: {names[number] for number in found_by_sql(session, raw, actor)}
            for meaning, (raw, actor, _) in MEANINGS.items()
        }
    assert found == {meaning: expected for meaning, (_, _, expected) in MEANINGS.items()}


def test_an_empty_any_is_false(things: sa.Engine) -> None:
    with Session(things) as session:
        assert session.scalars(sa.select(Thing.id).where(compile_sql(AnyOf(()), Thing, ANN))).all() == []


def test_an_empty_all_is_true(things: sa.Engine) -> None:
    with Session(things) as session:
        assert len(session.scalars(sa.select(Thing.id).where(compile_sql(All(()), Thing, ANN))).all()) == 61


def test_an_alias_is_filtered_as_its_class_is(things: sa.Engine) -> None:
    other = aliased(Thing)
    condition = parse_condition({"==": [WHOLE, 1]})
    with Session(things) as session:
        both = session.execute(
            sa.select(Thing.whole, other.whole).where(
                Thing.id == other.id + 1, compile_sql(condition, Thing, ANN), ~compile_sql(condition, other, ANN)
            )
        ).all()
    assert {tuple(pair) for pair in both} == {(1, 0)}


def test_a_nan_is_no_number_to_a_row() -> None:
    predicate = compile_predicate(parse_condition({"!=": [{"row": "score"}, 0]}))
    assert not predicate(Thing(score=math.nan), ANN)


def test_a_whole_number_meets_a_float_in_a_row_that_was_not_read_back() -> None:
    predicate = compile_predicate(parse_condition({"<": [{"row": "score"}, {"row": "rank"}]}))
    assert predicate(Thing(score=1, rank=1.5), ANN)


def test_a_collation_of_the_column_makes_no_difference_on_sqlite(tmp_path: Any) -> None:
    table = sa.Table("folded", sa.MetaData(), sa.Column("text", sa.String(20, collation="NOCASE"), primary_key=True))
    assert _found_collated(f"sqlite:///{tmp_path}/folded.db", table) == [["a"], ["a"], []]


@pytest.mark.postgres
def test_a_collation_of_the_column_makes_no_difference_on_postgresql(postgres_url: str) -> None:
    url = postgres_url.replace("://", "+psycopg://")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        rule = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"
        connection.execute(sa.text(f"CREATE COLLATION folding ({rule})"))
    table = sa.Table("folded", sa.MetaData(), sa.Column("text", sa.String(20, collation="folding"), primary_key=True))
    assert _found_collated(url, table) == [["a"], ["a"], []]


def _found_collated(url: str, table: sa.Table) -> list[list[str]]:
    """Ask a table that has `a` and takes `A` for the same."""

    class Base(DeclarativeBase):
        """A base of this table alone."""

    class Folded(Base):
        __table__ = table

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    table.create(engine)
    asked = [
        {"==": [{"row": "text"}, "a"]},
        {"in": [{"row": "text"}, ["a"]]},
        {"!=": [{"row": "text"}, {"row": "text"}]},
    ]
    with Session(engine) as session:
        session.execute(sa.insert(table), [{"text": "a"}])
        wrong = [{"==": [{"row": "text"}, "A"]}, {"in": [{"row": "text"}, ["A"]]}, {"<": [{"row": "text"}, "B"]}]
        found = [session.scalars(sa.select(table.c.text).where(_clause(raw, Folded))).all() for raw in wrong]
        assert found == [[], [], []]
        return [list(session.scalars(sa.select(table.c.text).where(_clause(raw, Folded)))) for raw in asked]


def _clause(raw: object, model: Any) -> sa.ColumnElement[bool]:
    return compile_sql(parse_condition(raw), model, ANN)


# -- what cannot be compared is an error ----------------------------------------------------------------------


class Odd(Base):
    """Columns that hold something else on each database, or compare in a way of their own."""

    __tablename__ = "probe_odd"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(sa.Enum("draft", "sent", name="state"))
    padded: Mapped[str] = mapped_column(sa.CHAR(10))
    money: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2))
    small: Mapped[int] = mapped_column(sa.SmallInteger)
    single: Mapped[float] = mapped_column(sa.REAL)
    precise: Mapped[float] = mapped_column(sa.Float(24))
    local: Mapped[dt.datetime] = mapped_column(sa.DateTime)
    varied: Mapped[str] = mapped_column(sa.String(10).with_variant(sa.String(10, collation="NOCASE"), "sqlite"))
    cost: Mapped[Decimal] = mapped_column(ExactDecimal(18, 3))
    price: Mapped[Decimal] = mapped_column(ExactDecimal(18, 2))


WRONG: dict[str, tuple[type[Base], dict[str, Any], str]] = {
    "no such field": (Thing, {"is_null": {"row": "ownr"}}, "Thing has no column 'ownr'; it has: cost, done, due"),
    "enum": (Odd, {"==": [{"row": "state"}, "draft"]}, "column 'state' is Enum"),
    "padded text": (Odd, {"==": [{"row": "padded"}, "x"]}, "column 'padded' is CHAR"),
    "inexact decimal": (Odd, {"<": [{"row": "money"}, 1]}, "column 'money' is Numeric"),
    "short float": (Odd, {"<": [{"row": "single"}, 1]}, "column 'single' is REAL"),
    "short float by precision": (Odd, {"<": [{"row": "precise"}, 1]}, "column 'precise' is Float"),
    "moment without zone": (Odd, {"<": [{"row": "local"}, "2026-03-01T12:00:00Z"]}, "column 'local' is DateTime"),
    "variant": (Odd, {"==": [{"row": "varied"}, "x"]}, "column 'varied' is String"),
    "scales differ": (Odd, {"<": [{"row": "cost"}, {"row": "price"}]}, "'cost' and 'price' are not of one kind"),
    "kinds differ": (Thing, {"==": [{"row": "whole"}, {"row": "score"}]}, "'whole' and 'score' are not of one kind"),
    "id beside a number": (Thing, {"==": [{"row": "whole"}, {"actor": "id"}]}, "column 'whole' is no text"),
    "number in groups": (Thing, {"in": [{"row": "whole"}, {"actor": "groups"}]}, "column 'whole' is no text"),
    "word beside a number": (Thing, {"==": [{"row": "whole"}, "many"]}, "'many' cannot be compared with a number"),
    "no finite number": (Thing, {"==": [{"row": "price"}, "NaN"]}, "'NaN' cannot be compared with a number"),
    "truth beside a number": (Thing, {"==": [{"row": "whole"}, True]}, "True cannot be compared with a number"),
    "number beside truth": (Thing, {"==": [{"row": "open"}, 1]}, "1 cannot be compared with a truth"),
    "number beside text": (Thing, {"in": [{"row": "owner"}, [7]]}, "7 cannot be compared with a text: write text"),
    "text beside a float": (Thing, {"<": [{"row": "score"}, "1"]}, "'1' cannot be compared with a float"),
    "float too large": (Thing, {"<": [{"row": "score"}, 10**400]}, "cannot be compared with a float"),
    "naive moment": (Thing, {"<": [{"row": "seen"}, "2026-03-01T12:00:00"]}, "write ISO text with a time zone"),
    "no moment": (Thing, {"<": [{"row": "seen"}, "soon"]}, "'soon' cannot be compared with a moment"),
    "no day": (Thing, {"<": [{"row": "due"}, "2026-02-30"]}, "'2026-02-30' cannot be compared with a day"),
    "truth has no order": (Thing, {"<": [{"row": "open"}, True]}, "true and false have no order: use == instead of <"),
    "beyond the column": (Thing, {"<": [{"row": "whole"}, 2**31]}, "2147483648 is more than the column can hold"),
    "beyond a small column": (Odd, {"<": [{"row": "small"}, -40000]}, "-40000 is more than the column can hold"),
    "beyond when rounded": (
        Thing,
        {">": [{"row": "price"}, "-9999999999999999.995"]},
        "is more than the column can hold",
    ),
    "literals of two kinds": (Thing, {"==": ["a", 1]}, "1 cannot be compared with a text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_check_fields_finds_what_cannot_be_compared(case: str) -> None:
    model, raw, message = WRONG[case]
    with pytest.raises(ConditionError) as caught:
        check_fields(parse_condition(raw), model)
    assert message in str(caught.value)


def test_check_fields_lets_every_meaning_pass() -> None:
    for raw, _, _ in MEANINGS.values():
        check_fields(parse_condition(raw), Thing)


@pytest.mark.parametrize(
    ("raw", "row"),
    [
        ({"==": [{"row": "it"}, 1]}, {"it": "text"}),
        ({"==": [{"row": "it"}, {"row": "that"}]}, {"it": "text", "that": 1}),
        ({"==": [{"row": "it"}, {"actor": "id"}]}, {"it": 7}),
        ({"<": [True, {"row": "it"}]}, {"it": False}),
        ({"in": [{"row": "it"}, ["x", 1]]}, {"it": "x"}),
        ({"in": [{"row": "it"}, {"actor": "groups"}]}, {"it": 7}),
        ({"==": [{"row": "it"}, "x"]}, {"it": b"x"}),
    ],
)
def test_a_row_that_cannot_be_compared_is_an_error_and_no_answer(raw: dict[str, Any], row: dict[str, Any]) -> None:
    predicate = compile_predicate(parse_condition(raw))
    with pytest.raises(ConditionError):
        predicate(SimpleNamespace(**row), ANN)


def test_a_row_without_the_field_is_an_error_and_no_answer() -> None:
    predicate = compile_predicate(parse_condition({"==": [{"row": "ownr"}, "7"]}))
    with pytest.raises(AttributeError, match="ownr"):
        predicate(Thing(), ANN)


def test_an_index_on_the_column_stays_in_use(tmp_path: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/index.db", poolclass=sa.NullPool)
    Thing.__table__.create(engine)  # type: ignore[attr-defined]
    clause = _clause({"==": [OWNER, {"actor": "id"}]}, Thing)
    asked = sa.select(Thing.id).where(clause).compile(engine, compile_kwargs={"literal_binds": True})
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE INDEX owners ON probe_thing (owner)"))
        plan = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {asked}")).all()
    assert "INDEX owners (owner=?)" in str(plan)
