"""A list has exactly the rows that would be allowed one by one."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from plugin_host.access.catalogue import Catalogue, UnknownPermission
from plugin_host.access.compiling import Rule
from plugin_host.access.filters import permitted
from plugin_host.access.snapshot import Snapshot
from plugin_host.sdk.conditions import ConditionError, canonical
from plugin_host.sdk.context import Actor
from plugin_host.sdk.manifest import Permission
from plugin_host.sdk.models import PluginBase

VIEW = "shelf.book.view"
CATALOGUE = Catalogue.of(
    [
        Permission(name="shelf.open", title="Open"),
        Permission(name=VIEW, title="See", scope="object"),
        Permission(name="shelf.hall.view", title="See", scope="object"),
    ]
)
ANN = Actor(id="7", username="ann", display="Ann", roles=("r",))
OWNS = canonical({"==": [{"row": "owner_id"}, {"actor": "id"}]})
SHORT = canonical({"<": [{"row": "pages"}, 100]})
ODD = canonical({"==": [{"row": "no_such"}, 1]})


class Base(PluginBase, plugin="shelf"):
    """Tables of these tests."""


class Book(Base):
    __tablename__ = "shelf_book"
    __object__ = "shelf.book"

    id: Mapped[str] = mapped_column(sa.String(26), primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(sa.String(64))
    pages: Mapped[int | None]


class Hall(Base):
    __tablename__ = "shelf_hall"

    id: Mapped[str] = mapped_column(sa.String(26), primary_key=True)


def allow(cond: str = "", id: str = "*", **said: Any) -> Rule:  # noqa: A002 - the rule's own word
    return Rule(**{"subject": "role:r", "typ": "shelf.book", "id": id, "act": "view", "cond": cond, **said})


def deny(cond: str = "", id: str = "*") -> Rule:  # noqa: A002 - the rule's own word
    return allow(cond, id, effect="deny")


def limited(statement: Any, *rules: Rule, permission: str = VIEW) -> Any:
    return permitted(statement, Snapshot(CATALOGUE, rules), ANN, permission)


@pytest.fixture
def session(engine: sa.Engine) -> Any:
    """Give a database with a book of every kind."""
    Book.__table__.create(engine)  # type: ignore[attr-defined]
    owned = [(owner, pages) for owner in ("7", "8", None) for pages in (50, 500, None)]
    with Session(engine) as session:
        session.add_all(Book(id=str(number), owner_id=who, pages=pages) for number, (who, pages) in enumerate(owned))
        session.flush()
        yield session


def ids(session: Session, statement: Any) -> set[str]:
    return {book.id for book in session.scalars(statement)}


# -- which rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], ""),
        ([allow()], "012345678"),
        ([allow(subject="role:other")], ""),
        ([allow(OWNS)], "012"),
        ([allow(OWNS), allow(SHORT)], "01236"),
        ([allow(OWNS), allow()], "012345678"),
        ([allow(), deny()], ""),
        ([allow(), deny(SHORT)], "124578"),
        ([allow(OWNS), deny(SHORT)], "12"),
        ([deny(SHORT)], ""),
        ([allow(id="4")], "4"),
        ([allow(OWNS), allow(id="4"), deny(id="0")], "124"),
        ([allow(id="0", cond=OWNS), allow(id="4", cond=OWNS)], "0"),
        ([allow("", typ="*", act="*"), deny(OWNS)], "345678"),
    ],
)
def test_the_rows_that_rules_leave(session: Session, rules: list[Rule], expected: str) -> None:
    assert ids(session, limited(sa.select(Book), *rules)) == set(expected)


def test_the_filter_and_the_judge_agree(session: Session) -> None:
    rule = st.builds(
        allow,
        cond=st.sampled_from(["", OWNS, SHORT, canonical({"not": {"in": [{"row": "owner_id"}, ["8"]]}})]),
        id=st.sampled_from(["*", "*", "0", "4"]),
        effect=st.sampled_from(["allow", "allow", "deny"]),
        subject=st.sampled_from(["role:r", "user:7", "role:other"]),
    )
    books = session.scalars(sa.select(Book)).all()

    @hypothesis.settings(max_examples=100, database=None)
    @hypothesis.given(st.lists(rule, max_size=6))
    def agree(rules: list[Rule]) -> None:
        snapshot = Snapshot(CATALOGUE, rules)
        judged = {book.id for book in books if snapshot.judge(ANN.subjects, VIEW, book, ANN)}
        assert ids(session, permitted(sa.select(Book), snapshot, ANN, VIEW)) == judged

    agree()


def test_an_alias_is_limited(session: Session) -> None:
    book = aliased(Book)
    assert ids(session, limited(sa.select(book), allow(OWNS))) == set("012")


def test_each_of_two_is_limited(session: Session) -> None:
    other = aliased(Book)
    pairs = session.execute(limited(sa.select(Book, other).where(Book.pages == other.pages), allow(OWNS))).all()
    assert {(one.id, two.id) for one, two in pairs} == {("0", "0"), ("1", "1")}


def test_columns_of_the_class_are_limited(session: Session) -> None:
    assert set(session.scalars(limited(sa.select(Book.id), allow(OWNS)))) == set("012")


def test_what_the_select_says_already_stays(session: Session) -> None:
    assert ids(session, limited(sa.select(Book).where(Book.pages == 500), allow(OWNS))) == {"1"}


# -- which statement ----------------------------------------------------------------------------------------------


def test_what_nothing_limits_is_given_back_as_it_is() -> None:
    statement = sa.select(Book)
    assert limited(statement, allow(OWNS), allow()) is statement


@pytest.mark.parametrize("rules", [[], [deny(OWNS)], [allow(), deny()]])
def test_whoever_may_nothing_gets_no_rows_without_a_condition(rules: list[Rule]) -> None:
    assert str(limited(sa.select(Book.id), *rules)).endswith("WHERE false")


def test_type_scope_is_about_all_rows() -> None:
    statement = sa.select(Book)
    assert limited(statement, allow(typ="shelf", act="open"), permission="shelf.open") is statement


def test_type_scope_is_about_no_rows_otherwise() -> None:
    assert str(limited(sa.select(Book.id), permission="shelf.open")).endswith("WHERE false")


# -- what is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [[], [allow()], [allow(OWNS)]])
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (sa.select(Hall), "the select is of Hall: select that class"),
        (sa.select(sa.func.count()).select_from(Book), "the select is of no class: select that class"),
    ],
)
def test_a_select_of_something_else_is_an_error_whoever_asks(statement: Any, named: str, rules: list[Rule]) -> None:
    with pytest.raises(TypeError) as caught:
        limited(statement, *rules)
    assert "'shelf.book.view' limits rows of the class with __object__ = 'shelf.book'" in str(caught.value)
    assert named in str(caught.value)


def test_an_unknown_permission_is_an_error() -> None:
    with pytest.raises(UnknownPermission, match=r"did you mean 'shelf\.book\.view'"):
        limited(sa.select(Book), permission="shelf.book.views")


def test_a_condition_that_does_not_fit_the_class_is_an_error() -> None:
    with pytest.raises(ConditionError, match="Book has no column 'no_such'"):
        limited(sa.select(Book), allow(ODD))
