"""The rules and grants as a filter: a select limited to the rows for which a decision would say yes.

What is granted row by row is asked in one of two ways, since either is hundreds of times slower than the other where
it does not fit. Few grants: the rows are those named by the grants. Many grants: each row is looked up among them.
Databases plan the same words differently, so each gets its own: on PostgreSQL `= ANY(ARRAY(…))` uses the table's
index where `IN (SELECT …)` beside an OR reads the whole table, and a scalar sub-select is looked up row by row where
`EXISTS` is turned into a join.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import Boolean, and_, false, func, inspect, literal, not_, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from plugin_host.access.book import LIGHT, NONE, Overview
from plugin_host.access.conditions import compile_sql
from plugin_host.access.judge import ANY
from plugin_host.access.tables import Grant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.sql.compiler import SQLCompiler

    from plugin_host.access.catalogue import Entry
    from plugin_host.access.compiling import Rule
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.sdk.context import Actor

S = TypeVar("S", bound="Select[*tuple[Any, ...]]")


class Granted(NamedTuple):
    """The grants that a list takes into account: of these subjects and actions, of one effect."""

    subjects: tuple[str, ...]
    acts: tuple[str, ...]
    effect: str
    heavy: bool


def permitted(statement: S, snapshot: Snapshot, actor: Actor, permission: str, overview: Overview | None = NONE) -> S:
    """Limit a select to the rows for which the actor holds the permission.

    The select must name the class whose `__object__` the permission is about, or an alias of it, among what
    it selects; if it names it more than once, each is limited. A permission of type scope is about all rows
    or none. Where nothing limits the actor the statement itself is given back. `overview` is what is known of the
    actor's grants; None: nothing, so they are asked for as if they were few. Raises `UnknownPermission`,
    `TypeError` if the class is not selected, `ConditionError` if a rule's condition does not fit it.
    """
    entry = snapshot.catalogue.entry(permission)
    if not entry.of_objects:
        granted = overview is not None and not overview.names.isdisjoint(snapshot.catalogue.granting(permission))
        allowed = snapshot.holds(actor.subjects, permission)
        allowed = allowed or (granted and snapshot.holds_granted(actor.subjects, permission))
        return statement if allowed else statement.where(false())
    entities = _entities(statement, entry.typ, permission)
    if permission in snapshot.withheld:
        return statement.where(false())
    allows, denies = _granted(snapshot, actor, entry, overview)
    rules = snapshot.lines(actor.subjects, permission)
    if any(rule.plain and rule.effect == "deny" for rule in rules):
        return statement.where(false())
    if not allows and not any(rule.effect == "allow" for rule in rules):
        return statement.where(false())
    if denies is None and any(rule.plain and rule.effect == "allow" for rule in rules):
        if not any(rule.effect == "deny" for rule in rules):
            return statement
        allows = None
    grants = [each for each in (allows, denies) if each is not None]
    return statement.where(*(_clause(rules, grants, entity, snapshot, actor, entry) for entity in entities))


def _granted(
    snapshot: Snapshot, actor: Actor, entry: Entry, overview: Overview | None
) -> tuple[Granted | None, Granted | None]:
    """Say which grants allow and which deny; None where there are none."""
    both: list[Granted | None] = []
    for effect, acts in (("allow", snapshot.catalogue.acts(entry.name)), ("deny", (entry.act, ANY))):
        if overview is None:
            subjects, count = snapshot.closure(actor.subjects), 1
        else:
            subjects, count = overview.of(entry.typ, acts, effect)
        both.append(Granted(tuple(sorted(subjects)), acts, effect, count > LIGHT) if count else None)
    return both[0], both[1]


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


def _clause(
    rules: Iterable[Rule],
    grants: Collection[Granted],
    entity: Any,
    snapshot: Snapshot,
    actor: Actor,
    entry: Entry,
) -> ColumnElement[bool]:
    allowing: list[ColumnElement[bool]] = []
    denying: list[ColumnElement[bool]] = []
    for effect, object_id, cond in dict.fromkeys((rule.effect, rule.id, rule.cond) for rule in rules):
        parts = [] if object_id == ANY else [entity.id == object_id]
        if cond:
            parts.append(compile_sql(snapshot.condition(cond), entity, actor))
        (allowing if effect == "allow" else denying).append(and_(true(), *parts))
    # No condition is ever null. Were one, the first group would not select the row; the second must not either.
    excluded = [not_(func.coalesce(part, true())) for part in denying]
    for granted in grants:
        found = _is_granted(granted, entity, entry.typ)
        if granted.effect == "allow":
            allowing.append(found)
        else:
            excluded.append(not_(found))
    return and_(or_(false(), *allowing), *excluded)


def _is_granted(granted: Granted, entity: Any, typ: str) -> ColumnElement[bool]:
    now = dt.datetime.now(dt.UTC)
    which = and_(
        Grant.typ == typ,
        Grant.effect == granted.effect,
        Grant.act.in_(granted.acts),
        Grant.subject.in_(granted.subjects),
        or_(Grant.until.is_(None), Grant.until > now),
    )
    if granted.heavy:
        found = select(literal(1)).select_from(Grant).where(which, Grant.object == entity.id).correlate(entity).limit(1)
        return found.scalar_subquery().is_not(None)
    return _Among(entity.id, select(Grant.object).where(which).scalar_subquery())


class _Among(FunctionElement[bool]):
    """A key is among those of a sub-select, in the words that the database plans well."""

    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """Stay as it is in a group: SQLite's dialect would write `= 1` behind it, and no index would be used."""
        return self


@compiles(_Among)
def _in(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    key, keys = element.clauses
    return f"({compiler.process(key, **options)} IN {compiler.process(keys, **options)})"


@compiles(_Among, "postgresql")
def _any(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    key, keys = element.clauses
    return f"({compiler.process(key, **options)} = ANY (ARRAY{compiler.process(keys, **options)}))"
