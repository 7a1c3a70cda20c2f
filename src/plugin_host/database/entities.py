"""Objects by their key, the short way: the row comes from `Quick`, and the object is put into the session as loaded.

What SQLAlchemy does for `session.get` costs thirty times the read. For a class of plain columns the outcome is simple:
an object with every column loaded, unchanged, in the session's identity map. Classes for which more would happen
(relationships that are loaded along, inheritance, deferred columns, listeners to loading) go SQLAlchemy's way.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Select, bindparam, inspect, select
from sqlalchemy.orm import ColumnProperty, Mapper, Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

_LAZY: Final = frozenset({"select", True, "raise", "raise_on_sql", "noload", "dynamic", "write_only", None})
_KEPT: Final = "__plugin_host_shape__"
_SESSIONS: Final[Any] = Session().dispatch


class Shape(NamedTuple):
    """How a class is read: the statement, and the names of its attributes in the order of the columns."""

    statement: Select[Any]
    names: tuple[str, ...]
    manager: Any


def shape_of(session: Session, entity: Any, key: object) -> Shape | None:
    """Give how an object of that key is read; None where SQLAlchemy must look: it may be in the session already."""
    if session.identity_map or session.new or not isinstance(key, str | int) or not isinstance(entity, type):
        return None
    shape = _shape(entity)
    return None if shape is None or _is_watched(shape.manager) else shape


def put(session: Session, shape: Shape, row: Any) -> Any:
    """Put the object of a row into the session, as loaded and unchanged, and give it."""
    loaded = shape.manager.new_instance()
    for name, value in zip(shape.names, row, strict=True):
        set_committed_value(loaded, name, value)
    make_transient_to_detached(loaded)
    session.add(loaded)
    return loaded


def _is_watched(manager: Any) -> bool:
    """Tell whether somebody listens to the loading of this class, or to what becomes of objects in any session."""
    events = manager.dispatch
    return bool(
        events.load
        or events.refresh
        or _SESSIONS.loaded_as_persistent
        or _SESSIONS.detached_to_persistent
        or _SESSIONS.before_attach
        or _SESSIONS.after_attach
    )


def _shape(entity: type[Any]) -> Shape | None:
    """Give how a class is read; None if more happens with it than its columns being read."""
    kept = entity.__dict__.get(_KEPT, False)
    if kept is False:
        kept = _look_at(entity)
        type.__setattr__(entity, _KEPT, kept)  # with the class it goes
    shape: Shape | None = kept
    return shape


def _look_at(entity: type[Any]) -> Shape | None:
    mapper: Any = inspect(entity, raiseerr=False)
    if not isinstance(mapper, Mapper) or mapper.inherits is not None or mapper.polymorphic_on is not None:
        return None
    if len(mapper.primary_key) != 1 or list(mapper.self_and_descendants) != [mapper]:
        return None
    columns = []
    for attribute in mapper.iterate_properties:
        if isinstance(attribute, ColumnProperty):
            if (
                attribute.deferred
                or len(attribute.columns) != 1
                or attribute.columns[0].table is not mapper.local_table
            ):
                return None
            columns.append(attribute.class_attribute)
        elif getattr(attribute, "lazy", "joined") not in _LAZY:
            return None
    key = mapper.get_property_by_column(mapper.primary_key[0]).class_attribute
    statement = select(*columns).where(key == bindparam("key"))
    return Shape(statement, tuple(column.key for column in columns), mapper.class_manager)
