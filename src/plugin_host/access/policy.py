"""What administrators have said, as of one revision: rules, roles, and roles of groups and roles. It never changes.

A process follows what others change: it asks which subjects were touched since, and reads only those again. So a
change costs the same however many rules there are. Rows are read in small portions, with room for others between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from sqlalchemy import column, or_, select, table, tuple_

from plugin_host.access.tables import PolicyChange, RoleMember, StoredRole, StoredRule
from plugin_host.sdk.conditions import canonical
from plugin_host.sdk.manifest import Role, RoleGrant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    Reader: TypeAlias = AsyncConnection | AsyncSession

PORTION: Final = 250
"""Rows that are read at a time: what the event loop can do without anybody noticing."""
SORTED: Final = 10_000
"""Subjects whose lines are kept sorted at most."""
TOUCHED: Final = 500
"""With more subjects than these everything is read again."""

_REVISION: Final[Select[Any]] = select(column("policy")).select_from(table("core_revision")).where(column("id") == 1)
_OF_TYPES: Final = ("role", "rule", "link")


class Line(msgspec.Struct, frozen=True, gc=False):
    """What is said of one permission, or pattern: `id` is the rule's, empty for a role's grant.

    Not watched by the garbage collector, nor are tuples of it: it would walk over all rules again and again, and
    nothing else could run meanwhile.
    """

    permission: str
    effect: str
    condition: str = ""
    id: str = ""


Lines: TypeAlias = "Mapping[str, Sequence[Line]]"
"""What is said of one subject, by permission or pattern."""


class Policy:
    """The rules, roles and links of one moment.

    `rules` are the lines of each subject; `links` are the roles (`role:x`) of groups and of roles.
    """

    __slots__ = ("_sorted", "links", "revision", "roles", "rules")

    def __init__(
        self,
        revision: int,
        rules: Mapping[str, tuple[Line, ...]],
        roles: Mapping[str, Role],
        links: Mapping[str, frozenset[str]],
    ) -> None:
        self.revision = revision
        self.rules = rules
        self.roles = roles
        self.links = links
        self._sorted: dict[str, tuple[tuple[Line, ...], Lines]] = {}

    def said(self, subject: str) -> Lines:
        """Give the lines of a subject by permission or pattern; sorted when first asked for."""
        lines = self.rules.get(subject, ())
        kept = self._sorted.get(subject)
        if kept is None or kept[0] is not lines:
            by_permission: dict[str, list[Line]] = {}
            for line in lines:
                by_permission.setdefault(line.permission, []).append(line)
            if len(self._sorted) >= SORTED:
                self._sorted.clear()
            kept = self._sorted[subject] = lines, by_permission
        return kept[1]

    def at(self, revision: int) -> Policy:
        """Give the same, as of another revision."""
        return self.changed(revision, self.rules, self.roles, self.links)

    def changed(
        self,
        revision: int,
        rules: Mapping[str, tuple[Line, ...]],
        roles: Mapping[str, Role],
        links: Mapping[str, frozenset[str]],
    ) -> Policy:
        """Give a policy that says something else of some subjects; what is sorted of the others stays so."""
        made = Policy(revision, rules, roles, links)
        made._sorted = self._sorted
        return made

    def same(self, other: Policy) -> bool:
        """Tell whether both say the same because nothing was read anew."""
        return self.rules is other.rules and self.links is other.links and self.roles is other.roles


NOTHING: Final = Policy(0, {}, {}, {})


async def load_policy(reader: Reader) -> Policy:
    """Read everything, as this transaction sees it."""
    revision = await _revision(reader)
    roles = {role.name: role async for role in _roles(reader, None)}
    links = await _links(reader, None)
    rules = await _rules(reader, None)
    for role in roles.values():
        _add(rules, f"role:{role.name}", lines_of(role))
    return Policy(revision, rules, roles, links)


async def follow_policy(reader: Reader, policy: Policy) -> Policy:
    """Read what has changed since: gives the policy as this transaction sees it."""
    revision = await _revision(reader)
    if revision == policy.revision:
        return policy
    changes = (
        select(PolicyChange.subject)
        .where(PolicyChange.revision > policy.revision, PolicyChange.kind.in_(_OF_TYPES))
        .distinct()
        .limit(TOUCHED + 1)
    )
    touched = set((await reader.execute(changes)).scalars())
    if policy is NOTHING or len(touched) > TOUCHED:
        return await load_policy(reader)
    if not touched:
        return policy.at(revision)
    return await _reread(reader, policy.at(revision), touched)


async def _reread(reader: Reader, policy: Policy, touched: Collection[str]) -> Policy:
    names = [subject.removeprefix("role:") for subject in touched if subject.startswith("role:")]
    roles = {name: role for name, role in policy.roles.items() if f"role:{name}" not in touched}
    roles |= {role.name: role async for role in _roles(reader, names)}
    links = {subject: to for subject, to in policy.links.items() if subject not in touched}
    links |= await _links(reader, touched)
    fresh = await _rules(reader, touched)
    for name in names:
        if name in roles:
            _add(fresh, f"role:{name}", lines_of(roles[name]))
    rules = dict(policy.rules)
    for subject in touched:
        rules.pop(subject, None)
    return policy.changed(policy.revision, {**rules, **fresh}, roles, links)


def lines_of(role: Role) -> tuple[Line, ...]:
    """Give what a role says."""
    return tuple(
        Line(grant.permission, "allow", "" if grant.where is None else canonical(grant.where)) for grant in role.grants
    )


def _add(rules: dict[str, tuple[Line, ...]], subject: str, lines: tuple[Line, ...]) -> None:
    if lines:
        rules[subject] = (*rules.get(subject, ()), *lines)


async def _revision(reader: Reader) -> int:
    return int((await reader.execute(_REVISION)).scalar_one())


async def _rules(reader: Reader, subjects: Collection[str] | None) -> dict[str, tuple[Line, ...]]:
    """Read the rules, subject by subject."""
    wanted = select(
        StoredRule.subject, StoredRule.id, StoredRule.permission, StoredRule.effect, StoredRule.condition
    ).order_by(StoredRule.subject, StoredRule.id)
    if subjects is not None:
        wanted = wanted.where(StoredRule.subject.in_(sorted(subjects)))
    rules: dict[str, tuple[Line, ...]] = {}
    async for rows in _portions(reader, wanted, StoredRule.subject, StoredRule.id):
        lines: list[Line] = []
        now = ""
        for subject, id_, permission, effect, condition in rows:
            if subject != now:
                _add(rules, now, tuple(lines))
                now, lines = subject, []
            lines.append(Line(permission, effect, condition or "", id_))
        _add(rules, now, tuple(lines))
    return rules


async def _roles(reader: Reader, names: Sequence[str] | None) -> AsyncIterator[Role]:
    wanted = select(StoredRole.name, StoredRole.title, StoredRole.description, StoredRole.grants)
    wanted = wanted.order_by(StoredRole.name)
    if names is not None:
        wanted = wanted.where(StoredRole.name.in_(sorted(names)))
    async for rows in _portions(reader, wanted, StoredRole.name):
        for name, title, description, grants in rows:
            said = msgspec.json.decode(grants, type=tuple[RoleGrant, ...])
            yield Role(name=name, title=title, description=description, grants=said)


async def _links(reader: Reader, subjects: Collection[str] | None) -> dict[str, frozenset[str]]:
    links: dict[str, set[str]] = {}
    # Never those of people: they come with the person, and their changes are not followed here.
    wanted = select(RoleMember.subject, RoleMember.role)
    wanted = wanted.where(or_(RoleMember.subject.startswith("group:"), RoleMember.subject.startswith("role:")))
    if subjects is not None:
        wanted = wanted.where(RoleMember.subject.in_(sorted(subjects)))
    for subject, role in (await reader.execute(wanted)).all():
        links.setdefault(subject, set()).add(f"role:{role}")
    return {subject: frozenset(roles) for subject, roles in links.items()}


async def _portions(reader: Reader, wanted: Select[*tuple[Any, ...]], *key: Any) -> AsyncIterator[Sequence[Any]]:
    """Read in portions by the key, which are the first columns."""
    portion = wanted.limit(PORTION)
    while True:
        rows = (await reader.execute(portion)).all()
        yield rows
        if len(rows) < PORTION:
            return
        portion = wanted.where(tuple_(*key) > tuple_(*rows[-1][: len(key)])).limit(PORTION)
