"""Why a decision is what it is: made from the rules and grants that Casbin was shown, and from its verdict."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from plugin_host.access.judge import ANY
from plugin_host.sdk.conditions import All, AnyOf, Compare, Condition, In, IsNull, Row, Value
from plugin_host.sdk.explanation import ExplainedCondition, ExplainedRule, Explanation, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from plugin_host.access.book import Found
    from plugin_host.access.catalogue import Entry
    from plugin_host.access.compiling import Rule
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.sdk.conditions import Operand
    from plugin_host.sdk.context import Actor


def explain(  # noqa: PLR0913 - who, what, which row, what is granted on it, and the verdict
    snapshot: Snapshot,
    actor: Actor,
    permission: str,
    row: object | None = None,
    grants: Collection[Found] = (),
    *,
    allowed: bool,
    revision: int,
) -> Explanation:
    """Explain a verdict of `snapshot` on an actor, with the roles they were given by name.

    Without a row the question is whether it holds for some object; `grants` are then any on any object. A permission
    that no active plugin declares is explained as well.
    """
    if permission not in snapshot.catalogue or permission in snapshot.withheld:
        known = permission in snapshot.inactive or permission in snapshot.withheld
        return Explanation(
            allowed=False, reason="plugin_inactive" if known else "unknown_permission", revision=revision
        )
    entry = snapshot.catalogue.entry(permission)
    effective = snapshot.effective(actor)
    paths = _Paths(snapshot, actor)
    tests = {cond: _holds(snapshot, cond, row, effective) for cond in _conditions(snapshot, effective, permission)}
    rules = [
        _ruled(rule, paths, applies=_applies(rule, entry, row, tests))
        for rule in snapshot.every_line(effective.subjects, permission)
    ]
    rules += [
        ExplainedRule(
            subject=grant.subject,
            permission=f"{entry.typ}.{grant.act}",
            effect="allow" if grant.effect == "allow" else "deny",
            applies=row is not None or grant.effect == "allow",
            path=paths.to(grant.subject),
            object=str(getattr(row, "id", ANY)) if row is not None else ANY,
        )
        for grant in grants
    ]
    reason = _reason(rules, allowed=allowed)
    deciding = next((rule for rule in rules if rule.applies and (rule.effect == "allow") is allowed), None)
    return Explanation(
        allowed=allowed,
        reason=reason,
        path=deciding.path if deciding is not None else (),
        rules=tuple(sorted(rules, key=lambda rule: not rule.applies)),
        conditions=tuple(_condition(snapshot, cond, row, effective, holds=tests[cond]) for cond in tests)
        if row is not None
        else (),
        would_allow=() if allowed or reason == "explicit_deny" else tuple(_roles(snapshot, effective, entry, row)),
        revision=revision,
    )


def _reason(rules: Iterable[ExplainedRule], *, allowed: bool) -> Reason:
    if allowed:
        return "allowed"
    if any(rule.applies and rule.effect == "deny" for rule in rules):
        return "explicit_deny"
    return "condition_false" if any(rule.effect == "allow" for rule in rules) else "no_grant"


def _conditions(snapshot: Snapshot, actor: Actor, permission: str) -> dict[str, None]:
    return dict.fromkeys(rule.cond for rule in snapshot.every_line(actor.subjects, permission) if rule.cond)


def _holds(snapshot: Snapshot, cond: str, row: object | None, actor: Actor) -> bool:
    return row is not None and snapshot.predicate(cond)(row, actor)


def _applies(rule: Rule, entry: Entry, row: object | None, tests: dict[str, bool]) -> bool:
    if rule.id not in (ANY, getattr(row, "id", None)):
        return False
    if row is None:  # some object would do, if one is asked for: what allows may find it, what denies may not
        return rule.plain or (entry.of_objects and rule.effect == "allow")
    return not rule.cond or tests[rule.cond]


def _ruled(rule: Rule, paths: _Paths, *, applies: bool) -> ExplainedRule:
    return ExplainedRule(
        subject=rule.subject,
        permission=rule.said or f"{rule.typ}.{rule.act}",
        effect=rule.effect,
        applies=applies,
        path=paths.to(rule.subject),
        where=msgspec.json.decode(rule.cond) if rule.cond else None,
        origin=rule.origin,
        rule=rule.id_of,
    )


def _condition(snapshot: Snapshot, cond: str, row: object | None, actor: Actor, *, holds: bool) -> ExplainedCondition:
    values = dict(_values(snapshot.condition(cond), row, actor))
    return ExplainedCondition(where=msgspec.json.decode(cond), holds=holds, values=values)


def _values(condition: Condition, row: object | None, actor: Actor) -> Iterator[tuple[str, Any]]:
    match condition:
        case Compare(_, left, right) | In(left, right):
            yield from _value(left, row, actor)
            yield from _value(right, row, actor)
        case IsNull(operand):
            yield from _value(operand, row, actor)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _values(part, row, actor)
        case _:
            yield from _values(condition.part, row, actor)


def _value(operand: Operand, row: object | None, actor: Actor) -> Iterator[tuple[str, Any]]:
    if isinstance(operand, Row):
        yield f"row.{operand.field}", _plain(getattr(row, operand.field))
    elif not isinstance(operand, Value):
        yield f"actor.{operand.name}", _plain(getattr(actor, operand.name))


def _plain(value: object) -> Any:
    """Give a value as JSON can have it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return list(value)
    return value.isoformat() if isinstance(value, dt.datetime | dt.date) else str(value)


def _roles(snapshot: Snapshot, actor: Actor, entry: Entry, row: object | None) -> Iterator[str]:
    """Name the roles that would allow it, and that nothing in them denies."""
    for role in sorted(snapshot.role_names):
        subject = f"role:{role}"
        if subject in actor.subjects:
            continue
        lines = snapshot.every_line(frozenset({subject}), entry.name)
        tests = {rule.cond: _holds(snapshot, rule.cond, row, actor) for rule in lines if rule.cond}
        applying = [rule.effect for rule in lines if _applies(rule, entry, row, tests)]
        if "allow" in applying and "deny" not in applying:
            yield role


class _Paths:
    """The ways from an actor to those subjects that are not the actor's by name."""

    def __init__(self, snapshot: Snapshot, actor: Actor) -> None:
        me = f"{actor.kind}:{actor.id}"
        self._ways: dict[str, tuple[str, ...]] = {me: (me,)}
        groups = [f"group:{group}" for group in actor.groups]
        todo: list[str] = [*groups]
        self._ways |= {group: (me, group) for group in groups}
        roles = [f"role:{role}" for role in actor.roles]
        while todo or roles:
            # Groups first, and what comes with them: an actor may bring along all roles, also those that come so.
            here = todo.pop(0) if todo else roles.pop(0)
            way = self._ways.setdefault(here, (me, here))
            for role in sorted(snapshot.policy.links.get(here, ())):
                if role not in self._ways:
                    self._ways[role] = (*way, role)
                    todo.append(role)

    def to(self, subject: str) -> tuple[str, ...]:
        return self._ways.get(subject, (subject,))
