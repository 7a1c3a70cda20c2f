"""Tables of a plugin: a declarative base that holds each plugin to its own prefix.

All plugins of one database share one `MetaData`, so that declared foreign keys between plugins resolve;
each plugin has its own class registry, so that two plugins may both have a class `Item`.
"""

from __future__ import annotations

import datetime as dt
import decimal
import secrets
import sys
import time
from typing import Any, ClassVar, Final, TypeVar

import msgspec
from sqlalchemy import DateTime, MetaData, Numeric, String, Table
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column, registry
from sqlalchemy.types import TypeDecorator

T = TypeVar("T")
Out = TypeVar("Out")

# SQLite and PostgreSQL name nothing by themselves in the same way; a migration can only drop what has a name.
NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA: Final = MetaData(naming_convention=NAMING)
MAX_TABLE_NAME: Final = 40  # derived constraint names must fit PostgreSQL's 63 characters

_BASE32: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class UtcDateTime(TypeDecorator[dt.datetime]):
    """A moment: aware in Python, UTC in the database, the same on SQLite (which keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: object) -> dt.datetime | None:
        """Refuse a naive moment: nobody can know what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"naive datetime {value!r}: give it a time zone"
            raise ValueError(msg)
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: object) -> dt.datetime | None:
        """Put the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class ExactDecimal(TypeDecorator[decimal.Decimal]):
    """A decimal number that SQLite does not turn into a binary fraction: kept there as an integer of `scale`."""

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int = 18, scale: int = 2) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Any) -> Any:
        """SQLite has no decimals: an integer sorts, compares and adds exactly."""
        from sqlalchemy import BigInteger  # noqa: PLC0415 - only here

        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(self.precision, self.scale))

    def process_bind_param(self, value: decimal.Decimal | None, dialect: Any) -> decimal.Decimal | int | None:
        """Refuse digits that would be lost, and what is too large for the column (or no number)."""
        if value is None:
            return None
        value = decimal.Decimal(value)
        if not value.is_finite() or abs(value) >= 10 ** (self.precision - self.scale):
            msg = f"{value} does not fit: at most {self.precision - self.scale} digits before the point"
            raise ValueError(msg)
        fixed = round(value, self.scale)
        if fixed != value:
            msg = f"{value} has more than {self.scale} decimals"
            raise ValueError(msg)
        return int(fixed.scaleb(self.scale)) if dialect.name == "sqlite" else fixed

    def process_result_value(self, value: Any, dialect: Any) -> decimal.Decimal | None:
        """Give the decimal back with its scale."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return decimal.Decimal(int(value)).scaleb(-self.scale)
        return decimal.Decimal(value)


def new_id() -> str:
    """Make a key of 26 characters that sorts by time (a ULID in lower case): unguessable, never reused."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_BASE32[(number >> shift) & 31] for shift in range(125, -1, -5))


def object_id() -> MappedColumn[str]:
    """Declare the key of a table whose rows are objects of a permission.

    `id: Mapped[str] = object_id()`: a text of 26 characters, made by `new_id`.
    """
    return mapped_column(String(26), primary_key=True, default=new_id)


class PluginBase(DeclarativeBase):
    """The base of a plugin's base: `class Base(PluginBase, plugin="contacts"): ...`.

    A table name that does not begin with `<plugin>_` is a `TypeError` when the class is made.
    A class with `__object__ = "<plugin>.<object>"` holds the rows that permissions of object scope mean.
    """

    metadata = METADATA
    __abstract__ = True
    __plugin__: ClassVar[str]
    __object__: ClassVar[str]

    def __init_subclass__(cls, plugin: str | None = None, **options: Any) -> None:
        """Give a plugin's base its own registry, and hold a table to its prefix."""
        if plugin is not None:
            cls.__abstract__ = True
            cls.__plugin__ = plugin
            _forget(plugin, f"{cls.__module__}.{cls.__qualname__}")
            cls.registry = registry(metadata=METADATA, type_annotation_map={dt.datetime: UtcDateTime()})
            cls.metadata = METADATA
            cls._sa_registry = cls.registry  # what SQLAlchemy's own set-up reads
            _BASES[plugin, f"{cls.__module__}.{cls.__qualname__}"] = cls
        elif not cls.__dict__.get("__abstract__", False):
            _check_table(cls)
        super().__init_subclass__(**options)


_BASES: Final[dict[tuple[str, str], type[PluginBase]]] = {}


def _forget(plugin: str, name: str) -> None:
    """Drop the tables of bases that are made anew, or whose module is gone: a plugin may be imported again."""
    mine = {base: cls for (owner, base), cls in _BASES.items() if owner == plugin}
    gone = {base: cls for base, cls in mine.items() if base == name or not _is_loaded(cls)}
    if not gone:
        return
    # Classes that nobody holds any more have taken their mappers along, and association tables never had any:
    # where no base is left everything with the plugin's name goes.
    tables = [table for key, table in METADATA.tables.items() if gone == mine and key.startswith(f"{plugin}_")]
    for base, cls in gone.items():
        del _BASES[plugin, base]
        tables += [mapper.local_table for mapper in cls.registry.mappers if isinstance(mapper.local_table, Table)]
        cls.registry.dispose()
    for table in tables:
        METADATA.remove(table)


def _is_loaded(cls: type[PluginBase]) -> bool:
    module = sys.modules.get(cls.__module__)
    return module is not None and getattr(module, cls.__qualname__, cls) is cls


def _check_table(cls: type[PluginBase]) -> None:
    whole = cls.__dict__.get("__table__")
    table = whole.name if isinstance(whole, Table) else getattr(cls, "__tablename__", None)
    plugin = getattr(cls, "__plugin__", None)
    if plugin is None:
        msg = f'{cls.__qualname__}: derive from a base of your plugin: class Base(PluginBase, plugin="<id>")'
        raise TypeError(msg)
    if table is None:
        return  # a mapped select, or nothing: SQLAlchemy says that better
    if not table.startswith(f"{plugin}_"):
        msg = f"the table of {cls.__qualname__} is {table!r}: tables of plugin {plugin!r} begin with '{plugin}_'"
        raise TypeError(msg)
    if len(table) > MAX_TABLE_NAME:
        msg = f"{table!r} is longer than {MAX_TABLE_NAME} characters: names derived from it must fit PostgreSQL's 63"
        raise TypeError(msg)
    kind = cls.__dict__.get("__object__")
    if kind is not None and kind.partition(".")[0] != plugin:
        msg = f"{cls.__qualname__}.__object__ is {kind!r}: objects of plugin {plugin!r} begin with '{plugin}.'"
        raise TypeError(msg)


def to(row: object, out: type[Out]) -> Out:
    """Make the output struct of a row: only the fields that the struct lists leave the server."""
    return msgspec.convert(row, out, from_attributes=True)


def change(row: T, data: msgspec.Struct) -> T:
    """Set the fields of `data` that are not UNSET on the row, and give the row back."""
    for name in data.__struct_fields__:
        value = getattr(data, name)
        if value is not msgspec.UNSET:
            setattr(row, name, value)
    return row
