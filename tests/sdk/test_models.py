"""Tables of a plugin: their names are held to the plugin, and their values are the same on every database."""

from __future__ import annotations

import datetime as dt
import gc
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, declared_attr, mapped_column

from plugin_host.database import Database
from plugin_host.sdk.models import (
    METADATA,
    ExactDecimal,
    PluginBase,
    UtcDateTime,
    change,
    new_id,
    object_id,
    to,
)

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
ROME = dt.timezone(dt.timedelta(hours=1))
SQLITE: Any = sqlite.dialect()
POSTGRES: Any = postgresql.dialect()  # type: ignore[no-untyped-call]


class Base(PluginBase, plugin="shop"):
    """Tables of these tests."""


class Thing(Base):
    __tablename__ = "shop_thing"
    __object__ = "shop.thing"

    id: Mapped[str] = object_id()
    name: Mapped[str | None]
    price: Mapped[Decimal | None] = mapped_column(ExactDecimal(18, 2))
    seen: Mapped[dt.datetime | None]


class ThingOut(msgspec.Struct):
    id: str
    name: str | None


class ThingChange(msgspec.Struct):
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    price: Decimal | msgspec.UnsetType | None = msgspec.UNSET


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """Give a session on a database of each kind that has the table."""
    sqlite_url = f"sqlite:///{tmp_path}/host.db"
    database = Database(sqlite_url if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    with database.migration_engine() as engine:
        METADATA.create_all(engine, [METADATA.tables["shop_thing"]])
        with Session(engine) as session:
            yield session


def stored(session: Session, **fields: Any) -> Thing:
    """Write a thing and read it back from the database."""
    session.add(Thing(id="1", **fields))
    session.flush()
    session.expire_all()
    return session.get_one(Thing, "1")


def declare(base: type[DeclarativeBase], called: str = "Made", **names: Any) -> type[Any]:
    """Make a class as a module would."""
    column = {} if "__table__" in names else {"id": mapped_column(sa.String, primary_key=True)}
    return type(called, (base,), {"__module__": __name__, **column, **names})


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"__tablename__": "thing"}, "table of Made is 'thing': tables of plugin 'shop' begin with 'shop_'"),
        ({"__tablename__": "shopping_thing"}, "tables of plugin 'shop' begin with 'shop_'"),
        ({"__table__": sa.Table("made_elsewhere", sa.MetaData())}, "table of Made is 'made_elsewhere'"),
        ({"__tablename__": "shop_" + "x" * 36}, "longer than 40 characters"),
        ({"__tablename__": "shop_made", "__object__": "other.thing"}, "objects of plugin 'shop' begin with 'shop.'"),
    ],
    ids=["no prefix", "prefix of another", "table brought whole", "long", "object of another"],
)
def test_table_that_is_not_the_plugins(names: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        declare(Base, **names)


def test_class_without_a_plugin() -> None:
    with pytest.raises(TypeError, match="derive from a base of your plugin: class Base"):
        declare(PluginBase, __tablename__="shop_made")


def test_class_without_a_table() -> None:
    with pytest.raises(sa.exc.InvalidRequestError, match="__tablename__"):
        declare(Base)


def test_class_that_is_no_table() -> None:
    mixin = declare(Base, __abstract__=True)
    assert not hasattr(mixin, "__table__")


def test_table_named_by_a_rule() -> None:
    class Named(Base):
        __abstract__ = True

        @declared_attr.directive
        @classmethod
        def __tablename__(cls) -> str:
            return f"rule_{cls.__name__.lower()}"

    with pytest.raises(TypeError, match="'rule_made'"):
        declare(Named)


def test_two_classes_of_one_table() -> None:
    class Kind(Base):
        __tablename__ = "shop_kind"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "any"}  # noqa: RUF012

        id: Mapped[str] = object_id()
        kind: Mapped[str]

    class Special(Kind):
        __mapper_args__ = {"polymorphic_identity": "special"}  # noqa: RUF012

    assert Special.__table__ is Kind.__table__


def test_two_plugins_may_have_a_class_of_the_same_name() -> None:
    class OtherBase(PluginBase, plugin="depot"):
        """Another plugin's."""

    assert declare(OtherBase, "Thing", __tablename__="depot_thing").__table__.metadata is METADATA


def test_base_made_anew_forgets_its_tables() -> None:
    def load() -> type[Any]:
        class Again(PluginBase, plugin="again"):
            """A folder plugin, imported anew."""

        return declare(Again, __tablename__="again_made")

    load()
    second = load()
    assert METADATA.tables["again_made"] is second.__table__


def test_base_made_anew_forgets_tables_whose_classes_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("host_fleeting")
    monkeypatch.setitem(sys.modules, "host_fleeting", module)
    code = """
from plugin_host.sdk import PluginBase, object_id
from sqlalchemy import Column, Integer, Table
from sqlalchemy.orm import Mapped

class Base(PluginBase, plugin="fleeting"):
    pass

class Thing(Base):
    __tablename__ = "fleeting_thing"
    id: Mapped[str] = object_id()

links = Table("fleeting_link", Base.metadata, Column("id", Integer))
"""
    exec(compile(code, "host_fleeting.py", "exec"), vars(module))  # noqa: S102 - as an import does
    monkeypatch.delitem(sys.modules, "host_fleeting")
    del module
    gc.collect()
    again = ModuleType("other_name")
    monkeypatch.setitem(sys.modules, "other_name", again)
    exec(compile(code, "other_name.py", "exec"), vars(again))  # noqa: S102 - as above
    assert sorted(name for name in METADATA.tables if name.startswith("fleeting_")) == [
        "fleeting_link",
        "fleeting_thing",
    ]


def test_base_made_anew_forgets_what_is_no_table_too() -> None:
    def load() -> type[Any]:
        class Viewing(PluginBase, plugin="viewing"):
            """A plugin that maps a select."""

        rows = declare(Viewing, __tablename__="viewing_made")
        some = sa.select(rows.id).where(rows.id > "m").subquery()
        return declare(Viewing, "Some", __table__=some, __mapper_args__={"primary_key": [some.c.id]})

    load()
    load()
    assert "viewing_made" in METADATA.tables


def test_constraints_have_names() -> None:
    class Ref(Base):
        __tablename__ = "shop_ref"

        id: Mapped[str] = object_id()
        thing_id: Mapped[str] = mapped_column(sa.ForeignKey("shop_thing.id"), index=True, unique=True)

    table: Any = Ref.__table__
    names = {each.name for each in (*table.constraints, *table.indexes)}
    assert names == {"pk_shop_ref", "fk_shop_ref_thing_id_shop_thing", "ix_shop_ref_thing_id"}


# -- keys ----------------------------------------------------------------------------------------------------


def test_key_is_made_when_the_row_is_written(session: Session) -> None:
    thing = Thing()
    session.add(thing)
    session.flush()
    assert len(thing.id) == 26


def test_keys_are_of_26_plain_characters() -> None:
    assert set("".join(new_id() for _ in range(50))) <= set("0123456789abcdefghjkmnpqrstvwxyz")


def test_keys_do_not_repeat() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


def test_keys_sort_by_time() -> None:
    first = new_id()
    time.sleep(0.002)
    assert first < new_id()


# -- moments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [NOON, NOON.astimezone(ROME), NOON.replace(microsecond=1), None])
def test_moment_comes_back_in_utc(session: Session, moment: dt.datetime | None) -> None:
    seen = stored(session, seen=moment).seen
    assert (seen, seen and seen.tzinfo) == (moment, moment and dt.UTC)


def test_moment_without_a_zone_is_refused(session: Session) -> None:
    session.add(Thing(seen=dt.datetime(2026, 3, 1)))  # noqa: DTZ001 - what is refused
    with pytest.raises(sa.exc.StatementError, match="give it a time zone"):
        session.flush()


def test_moment_of_a_driver_that_keeps_the_zone() -> None:
    assert UtcDateTime().process_result_value(NOON.astimezone(ROME), None) == NOON


# -- exact numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0.10", "-0.01", "0.00", "9999999999999999.99", "-9999999999999999.99"])
def test_number_comes_back_exactly(session: Session, text: str) -> None:
    assert str(stored(session, price=Decimal(text)).price) == text


def test_no_number_comes_back_as_none(session: Session) -> None:
    assert stored(session).price is None


@pytest.mark.parametrize("value", [1, Decimal("1.000"), Decimal("1E0")])
def test_number_is_kept_with_the_scale_of_its_column(session: Session, value: Any) -> None:
    assert str(stored(session, price=value).price) == "1.00"


def test_numbers_add_up_exactly(session: Session) -> None:
    session.add_all(Thing(price=Decimal(text)) for text in ("0.10", "0.20"))
    session.flush()
    assert session.scalar(sa.select(sa.func.sum(Thing.price))) == Decimal("0.30")


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRES], ids=["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.001", "more than 2 decimals"),
        ("10000000000000000", "at most 16 digits before the point"),
        ("-1e999999", "at most 16 digits before the point"),
        ("Infinity", "does not fit"),
        ("NaN", "does not fit"),
    ],
)
def test_number_that_would_be_another_is_refused(text: str, message: str, dialect: Any) -> None:
    with pytest.raises(ValueError, match=message):
        ExactDecimal(18, 2).process_bind_param(Decimal(text), dialect)


def test_number_below_one_may_have_no_digit_before_the_point() -> None:
    assert ExactDecimal(2, 2).process_bind_param(Decimal("0.99"), SQLITE) == 99


# -- rows and structs ----------------------------------------------------------------------------------------


def test_only_the_fields_of_the_struct_leave_the_server() -> None:
    assert to(Thing(id="1", name="Nut", price=Decimal(1)), ThingOut) == ThingOut("1", "Nut")


def test_row_that_does_not_fit_the_struct() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.id"):
        to(Thing(id=None, name="Nut"), ThingOut)


@pytest.mark.parametrize(
    ("data", "after"),
    [
        (ThingChange(), ("Nut", Decimal(1))),
        (ThingChange(name=None), (None, Decimal(1))),
        (ThingChange(name="Bolt", price=Decimal(2)), ("Bolt", Decimal(2))),
    ],
    ids=["nothing", "to none", "all"],
)
def test_fields_that_were_sent_are_changed(data: ThingChange, after: tuple[Any, Any]) -> None:
    thing = change(Thing(name="Nut", price=Decimal(1)), data)
    assert (thing.name, thing.price) == after


def test_change_gives_the_same_row_back() -> None:
    thing = Thing()
    made: Callable[[Thing, ThingChange], Thing] = change
    assert made(thing, ThingChange()) is thing
