"""What a change would mean, and what changes have meant: who gains, who loses, who can, and what is of no use.

All of it is asked of snapshots and of a session; nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import select

from plugin_host.access.catalogue import patterns
from plugin_host.access.members import holders
from plugin_host.access.tables import Grant, Group, GroupMember, PolicyChange, RoleMember, StoredRule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.access.policy import Line, Policy
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.sdk.context import Actor

_AT_ONCE = 500


class Difference(msgspec.Struct, frozen=True):
    """What somebody gains and loses. `narrowed` and `widened` are held before and after, for other rows."""

    subject: str
    gains: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    narrowed: tuple[str, ...] = ()


class Changed(msgspec.Struct, frozen=True):
    """One change between two revisions; `before` and `after` as they were kept."""

    revision: int
    kind: str
    subject: str
    key: str
    before: Any
    after: Any
    by: str | None


class Idle(msgspec.Struct, frozen=True):
    """Something that is of no use, and why.

    `orphaned`: it names what is not there (any more). `shadowed`: another rule decides whatever it says. `unused`:
    nobody has it, or nothing grants it. `broken`: its condition does not fit the rows.
    """

    kind: Literal["rule", "grant", "role", "permission", "group"]
    id: str
    why: Literal["orphaned", "shadowed", "unused", "broken"]
    detail: str


def compare(
    before: Snapshot, after: Snapshot, actors: Iterable[Actor], was: Mapping[str, Actor] | None = None
) -> list[Difference]:
    """Say who gains and who loses what between two snapshots. People with the same roles are compared once.

    `was` are actors as they were before, by id, where their own roles and groups have changed.
    """
    seen: dict[tuple[frozenset[str], frozenset[str]], Difference] = {}
    found = []
    for actor in actors:
        had = before.closure((was or {}).get(actor.id, actor).subjects)
        has = after.closure(actor.subjects)
        key = frozenset(filter(before.mentions, had)), frozenset(filter(after.mentions, has))
        difference = seen.get(key)
        if difference is None:
            difference = seen[key] = _compare(before, after, had, has)
        if difference.gains or difference.loses or difference.widened or difference.narrowed:
            found.append(msgspec.structs.replace(difference, subject=f"{actor.kind}:{actor.id}"))
    return found


def _compare(before: Snapshot, after: Snapshot, had: frozenset[str], has: frozenset[str]) -> Difference:
    gains, loses, widened, narrowed = [], [], [], []
    for name in sorted({*before.catalogue, *after.catalogue}):
        was = name in before.catalogue and before.holds(had, name)
        now = name in after.catalogue and after.holds(has, name)
        if now and not was:
            gains.append(name)
        elif was and not now:
            loses.append(name)
        elif was and now:
            old, new = _reach(before, had, name), _reach(after, has, name)
            if _is_wider(new, old):
                widened.append(name)
            if _is_wider(old, new):
                narrowed.append(name)
    return Difference("", tuple(gains), tuple(loses), tuple(widened), tuple(narrowed))


def _reach(snapshot: Snapshot, subjects: frozenset[str], name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Say for which rows it is allowed (`*`: all), and for which denied: conditions, or ids."""
    lines = snapshot.lines(subjects, name)
    return (
        frozenset(rule.cond or rule.id for rule in lines if rule.effect == "allow"),
        frozenset(rule.cond or rule.id for rule in lines if rule.effect == "deny"),
    )


def _is_wider(one: tuple[frozenset[str], frozenset[str]], other: tuple[frozenset[str], frozenset[str]]) -> bool:
    """Tell whether one reaches rows that the other does not."""
    allows, denies = one
    return bool(allows - other[0] and "*" not in other[0]) or bool(other[1] - denies)


async def who_can(
    session: AsyncSession,
    snapshot: Snapshot,
    permission: str,
    *,
    object: str | None = None,  # noqa: A002 - the contract's word
    grants: AsyncSession | None = None,
) -> frozenset[str]:
    """Give the ids of the users who might hold a permission: those whom a rule, a role or a grant allows it.

    Each is then to be judged: something may deny it, or a condition not hold. `grants` is a session on the database
    of the objects, if that is another one. Raises `UnknownPermission`.
    """
    entry = snapshot.catalogue.entry(permission)
    subjects = {
        subject
        for subject in snapshot.subjects()
        if any(rule.effect == "allow" for rule in snapshot.every_line(frozenset({subject}), permission))
    }
    if entry.of_objects:
        asked = select(Grant.subject).where(Grant.typ == entry.typ, Grant.effect == "allow").distinct()
        asked = asked.where(Grant.act.in_(snapshot.catalogue.acts(permission)))
        if object is not None:
            asked = asked.where(Grant.object == object)
        subjects |= set((await (grants or session).scalars(asked)).all())
    return await people_of(session, subjects)


async def people_of(session: AsyncSession, subjects: Collection[str]) -> frozenset[str]:
    """Give the ids of the users whom subjects mean: themselves, the members of groups, the holders of roles."""
    users = {subject[5:] for subject in subjects if subject.startswith("user:")}
    groups = sorted(subject[6:] for subject in subjects if subject.startswith("group:"))
    for start in range(0, len(groups), _AT_ONCE):
        inside = select(GroupMember.user_id).where(GroupMember.group_id.in_(groups[start : start + _AT_ONCE]))
        users |= set(await session.scalars(inside))
    for subject in sorted(subjects):
        if subject.startswith("role:"):
            users |= await holders(session, subject[5:])
    return frozenset(users)


def touched(before: Policy, after: Policy) -> frozenset[str]:
    """Give the subjects of whom two policies say different things."""
    both: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [(before.rules, after.rules), (before.links, after.links)]
    return frozenset(
        subject
        for old, new in both
        if old is not new
        for subject in {*old, *new}
        if old.get(subject) is not new.get(subject) and old.get(subject) != new.get(subject)
    )


async def diff(session: AsyncSession, first: int, last: int, *, limit: int = 1000) -> list[Changed]:
    """Give what was changed after one revision, up to another, in the order in which it was."""
    asked = select(PolicyChange).where(PolicyChange.revision > first, PolicyChange.revision <= last)
    rows = await session.scalars(asked.order_by(PolicyChange.revision, PolicyChange.id).limit(limit))
    return [
        Changed(row.revision, row.kind, row.subject, row.key, _read(row.before), _read(row.after), row.changed_by)
        for row in rows
    ]


async def report(
    session: AsyncSession, snapshot: Snapshot, users: Collection[str] | None = None, *, limit: int = 1000
) -> list[Idle]:
    """Say which roles, rules, grants and permissions are of no use, at most `limit` of each kind.

    `users` are the ids of those who exist, if it is known.
    """
    found = [*_unused(snapshot, set(await session.scalars(select(RoleMember.role).distinct())))]
    groups = set(await session.scalars(select(Group.id)))
    for rule in (await session.scalars(select(StoredRule).order_by(StoredRule.id))).all():
        idle = _idle_rule(rule, snapshot, groups, users)
        if idle is not None:
            found.append(idle)
        if len(found) >= limit:
            break
    kinds = select(Grant.subject, Grant.typ, Grant.act).distinct().limit(limit)
    for subject, typ, act in (await session.execute(kinds)).all():
        name = f"{typ}.{act}"
        if name not in snapshot.catalogue and not snapshot.catalogue.matching(name):
            found.append(Idle("grant", f"{subject} {name}", "orphaned", f"no active plugin declares {name!r}"))
        elif not _is_there(subject, snapshot, groups, users):
            found.append(Idle("grant", f"{subject} {name}", "orphaned", f"there is no {subject!r}"))
    return found


def _unused(snapshot: Snapshot, given: set[str]) -> Iterable[Idle]:
    for role in sorted(snapshot.policy.roles):
        if role not in given:
            yield Idle("role", role, "unused", "nobody has it")
        for grant in snapshot.policy.roles[role].grants:
            if grant.permission not in snapshot.catalogue and not snapshot.catalogue.matching(grant.permission):
                yield Idle("role", role, "orphaned", f"no active plugin declares {grant.permission!r}")
    for name in snapshot.catalogue:
        if not any(
            rule.subject != "role:core.admin"
            for subject in snapshot.subjects()
            for rule in snapshot.every_line(frozenset({subject}), name)
        ):
            yield Idle("permission", name, "unused", "no role and no rule grants it, but that of administrators")


def _idle_rule(rule: StoredRule, snapshot: Snapshot, groups: set[str], users: Collection[str] | None) -> Idle | None:
    names = snapshot.catalogue.matching(rule.permission) or (
        (rule.permission,) if rule.permission in snapshot.catalogue else ()
    )
    if not names:
        return Idle("rule", rule.id, "orphaned", f"no active plugin declares {rule.permission!r}")
    if not _is_there(rule.subject, snapshot, groups, users):
        return Idle("rule", rule.id, "orphaned", f"there is no {rule.subject!r}")
    typ = rule.permission.rpartition(".")[0]
    if rule.condition and not snapshot.fits(rule.condition, typ):
        return Idle("rule", rule.id, "broken", f"its condition does not fit the rows of {typ!r}")
    return _shadow(rule, snapshot)


def _shadow(rule: StoredRule, snapshot: Snapshot) -> Idle | None:
    """Say which other line of the same subject leaves nothing for this one to decide."""
    said = snapshot.policy.said(rule.subject)
    wider = (rule.permission, *patterns(rule.permission))
    for name in dict.fromkeys(wider):
        for line in said.get(name, ()):
            if line.id == rule.id or line.condition:
                continue
            if line.effect == "deny" and rule.effect == "allow":
                return Idle("rule", rule.id, "shadowed", f"{_name(line, name)} denies all that it allows")
            if line.effect == rule.effect and (rule.condition or name != rule.permission or line.id < rule.id):
                return Idle("rule", rule.id, "shadowed", f"{_name(line, name)} says the same of more")
    return None


def _name(line: Line, permission: str) -> str:
    return f"rule {line.id} ({permission})" if line.id else f"the role's grant of {permission}"


def _is_there(subject: str, snapshot: Snapshot, groups: set[str], users: Collection[str] | None) -> bool:
    kind, _, name = subject.partition(":")
    if kind == "group":
        return name in groups
    if kind == "role":
        return name in snapshot.role_names
    return users is None or name in users


def _read(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
