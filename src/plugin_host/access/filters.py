"""The rules as a filter: a select limited to the rows for which `Snapshot.judge` would say yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import and_, false, func, inspect, not_, or_, true

from plugin_host.access.conditions import compile_sql
from plugin_host.access.judge import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Select

    from plugin_host.access.snapshot import Rule, Snapshot
    from plugin_host.sdk.context import Actor

S = TypeVar("S", bound="Select[*tuple[Any, ...]]")


def permitted(statement: S, snapshot: Snapshot, actor: Actor, permission: str) -> S:
    """Limit a select to the rows for which the actor holds the permission.

    The select must name the class whose `__object__` the permission is about, or an alias of it, among what
    it selects; if it names it more than once, each is limited. A permission of type scope is about all rows
    or none. Where nothing limits the actor the statement itself is given back. Raises `UnknownPermission`,
    `TypeError` if the class is not selected, `ConditionError` if a rule's condition does not fit it.
    """
    entry = snapshot.catalogue.entry(permission)
    entities = _entities(statement, entry.typ, permission) if entry.of_objects else []
    if not snapshot.holds(actor.subjects, permission):
        return statement.where(false())
    rules = snapshot.lines(actor.subjects, permission) if entry.of_objects else ()
    if all(rule.plain and rule.effect == "allow" for rule in rules):
        return statement
    return statement.where(*(_clause(rules, entity, snapshot, actor) for entity in entities))


def _entities(statement: Select[*tuple[Any, ...]], typ: str, permission: str) -> list[Any]:
    selected = {
        id(entity): entity for column in statement.column_descriptions if (entity := column["entity"]) is not None
    }
    found = [entity for entity in selected.values() if getattr(_class(entity), "__object__", None) == typ]
    if not found:
        names = ", ".join(_class(entity).__name__ for entity in selected.values()) or "no class"
        raise TypeError(
            f"{permission!r} limits rows of the class with __object__ = {typ!r}, but the select is of {names}: "
            f"select that class, and build counts and joins on the limited select"
        )
    return found


def _class(entity: Any) -> type[Any]:
    cls: type[Any] = inspect(entity).mapper.class_
    return cls


def _clause(rules: Iterable[Rule], entity: Any, snapshot: Snapshot, actor: Actor) -> ColumnElement[bool]:
    allowing: list[ColumnElement[bool]] = []
    denying: list[ColumnElement[bool]] = []
    for effect, object_id, cond in dict.fromkeys((rule.effect, rule.id, rule.cond) for rule in rules):
        parts = [] if object_id == ANY else [entity.id == object_id]
        if cond:
            parts.append(compile_sql(snapshot.condition(cond), entity, actor))
        (allowing if effect == "allow" else denying).append(and_(true(), *parts))
    # No condition is ever null. Were one, the first group would not select the row; the second must not either.
    return and_(or_(false(), *allowing), *(not_(func.coalesce(part, true())) for part in denying))
