"""The rules of one moment: permissions that exist, rules from roles, and verdicts kept beside them.

A snapshot never changes; new rules are a new snapshot, and the old one takes its verdicts with it. Casbin
judges (`judge`), but is shown only the rules whose subject, type and action fit: the others could not
match, and with "deny beats allow" only the set of matching rules counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

from plugin_host.access.conditions import Predicate, compile_predicate
from plugin_host.access.judge import ANY, allows
from plugin_host.sdk.conditions import Condition, canonical, parse_condition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from plugin_host.access.catalogue import Catalogue
    from plugin_host.access.judge import Judge
    from plugin_host.sdk.context import Actor
    from plugin_host.sdk.manifest import Role

K = TypeVar("K")
V = TypeVar("V")

ADMIN: Final = "core.admin"
"""The role that may do everything: by a rule like any other, which is visible and can be denied."""

KEPT: Final = 10_000
"""How many entries a cache of verdicts holds before it is emptied."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`subject` (`role:contacts.editor`) may, or may not, do `act` with `typ`; `*` as type, id or action is any.

    `cond` is a condition as `sdk.conditions.canonical` writes it, or empty. `origin` is the plugin it comes from.
    """

    subject: str
    typ: str
    id: str
    act: str
    cond: str = ""
    effect: Literal["allow", "deny"] = "allow"
    origin: str = ""

    def __post_init__(self) -> None:
        """Refuse what Casbin would take for something else: an empty name, or an effect that it does not know."""
        if not (self.subject and self.typ and self.id and self.act) or self.effect not in ("allow", "deny"):
            raise ValueError(f"{self}: a rule names a subject, a type, an id and an action, and allows or denies")

    @property
    def plain(self) -> bool:
        """Whether it speaks of all objects alike."""
        return self.id == ANY and not self.cond

    @property
    def line(self) -> tuple[str, ...]:
        """The rule as Casbin's model has it."""
        return self.subject, self.typ, self.id, self.act, self.cond, self.effect


def compile_rules(catalogue: Catalogue, roles: Iterable[Role]) -> tuple[Rule, ...]:
    """Make the rules of roles: each grant, and what comes with it. Raises `UnknownPermission`.

    `core.admin` gets one rule for everything. A condition is about rows of one type. So a grant with one
    carries it to the implied permissions of that type, gives those of type scope without it (holding a thing
    for one row is holding it), gives nothing of other objects, and nothing at all if it is of type scope itself.
    """
    return tuple(dict.fromkeys(rule for role in roles for rule in _rules(catalogue, role)))


class Snapshot:
    """Rules and the verdicts on them. `judge` decides what the cached verdicts do not know yet.

    `withheld` are permissions that nobody holds, whatever the rules say: nobody has consented to them yet.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        rules: Iterable[Rule],
        judge: Judge = allows,
        withheld: Collection[str] = frozenset(),
    ) -> None:
        self.catalogue = catalogue
        self._withheld = frozenset(withheld)
        self._judge = judge
        self._by: dict[tuple[str, str, str], list[Rule]] = {}
        self._conditions: dict[str, tuple[Condition, Predicate]] = {}
        for rule in rules:
            self._by.setdefault((rule.subject, rule.typ, rule.act), []).append(rule)
            if rule.cond and rule.cond not in self._conditions:
                condition = parse_condition(msgspec.json.decode(rule.cond))
                self._conditions[rule.cond] = condition, compile_predicate(condition)
        self._mentioned = frozenset(subject for subject, _, _ in self._by)
        self._slices: dict[tuple[frozenset[str], str], _Slice] = {}
        # Two look-ups when warm. People with the same roles share the inner dictionary.
        self._held: dict[frozenset[str], dict[str, bool]] = {}
        self._held_by_roles: dict[frozenset[str], dict[str, bool]] = {}

    def holds(self, subjects: frozenset[str], permission: str) -> bool:
        """Tell whether whoever has these subjects holds the permission: with object scope, for at least one object.

        Whether that object exists nobody asks: allowing conditions count as met, denying ones as not.
        Raises `UnknownPermission`.
        """
        held = self._held.get(subjects)
        verdict = held.get(permission) if held is not None else None
        return self._hold(subjects, permission) if verdict is None else verdict

    def held(self, subjects: frozenset[str]) -> frozenset[str]:
        """Give the names of all permissions that `holds` says yes to."""
        return frozenset(name for name in self.catalogue if self.holds(subjects, name))

    def judge(self, subjects: frozenset[str], permission: str, row: object, actor: Actor) -> bool:
        """Tell whether it may be done with this row; the permission is of object scope.

        Conditions are asked of the row, and Casbin of what they say: once for each combination.
        """
        part = self._slice(subjects, permission)
        if not part.rules:
            return False
        named = getattr(row, "id", None)
        key = named if named in part.ids else ANY, frozenset(cond for cond, test in part.conditions if test(row, actor))
        verdict = part.verdicts.get(key)
        if verdict is None:
            entry = self.catalogue.entry(permission)
            lines = [rule.line for rule in part.rules]
            verdict = self._judge(lines, subjects, (entry.typ, key[0], entry.act), key[1])
            _room(part.verdicts)[key] = verdict
        return verdict

    def lines(self, subjects: frozenset[str], permission: str) -> tuple[Rule, ...]:
        """Give the rules that can match and make a difference. Raises `UnknownPermission`."""
        return self._slice(subjects, permission).rules

    def condition(self, cond: str) -> Condition:
        """Give the tree of a rule's condition."""
        return self._conditions[cond][0]

    def _hold(self, subjects: frozenset[str], permission: str) -> bool:
        relevant = subjects & self._mentioned
        held = self._held_by_roles.get(relevant)
        if held is None:
            held = _room(self._held_by_roles)[relevant] = {}
        if permission not in held:
            entry = self.catalogue.entry(permission)
            lines = _about_some_object if entry.of_objects else _about_no_object
            shown = list(lines(self._slice(subjects, permission).rules))
            held[permission] = bool(shown) and self._judge(shown, subjects, (entry.typ, ANY, entry.act), frozenset())
        _room(self._held)[subjects] = held
        return held[permission]

    def _slice(self, subjects: frozenset[str], permission: str) -> _Slice:
        key = subjects & self._mentioned, permission
        part = self._slices.get(key)
        if part is None:
            entry = self.catalogue.entry(permission)
            rules = tuple(
                rule
                for subject in (sorted(key[0]) if permission not in self._withheld else ())
                for typ in (entry.typ, ANY)
                for act in (entry.act, ANY)
                for rule in self._by.get((subject, typ, act), ())
            )
            if not any(rule.effect == "deny" for rule in rules):
                # One that allows without a condition decides: the others need not be asked.
                rules = tuple(rule for rule in rules if rule.plain) or rules
            conditions = {rule.cond: self._conditions[rule.cond][1] for rule in rules if rule.cond}
            part = _Slice(rules, tuple(conditions.items()), frozenset(rule.id for rule in rules) - {ANY})
            _room(self._slices)[key] = part
        return part


@dataclass(frozen=True, slots=True)
class _Slice:
    """The rules that can match one permission of some roles, and Casbin's verdicts by id and true conditions."""

    rules: tuple[Rule, ...]
    conditions: tuple[tuple[str, Predicate], ...]
    ids: frozenset[str]
    verdicts: dict[tuple[str, frozenset[str]], bool] = field(default_factory=dict)


def _rules(catalogue: Catalogue, role: Role) -> Iterator[Rule]:
    subject, origin = f"role:{role.name}", role.name.partition(".")[0]
    if role.name == ADMIN:
        yield Rule(subject, ANY, ANY, ANY, origin=origin)
        return
    for grant in role.grants:
        granted = catalogue.entry(grant.permission)
        cond = "" if grant.where is None else canonical(grant.where)
        for entry in map(catalogue.entry, granted.implied):
            if not cond or (granted.of_objects and not entry.of_objects):
                yield Rule(subject, entry.typ, ANY, entry.act, origin=origin)
            elif granted.of_objects and entry.typ == granted.typ:
                yield Rule(subject, entry.typ, ANY, entry.act, cond, origin=origin)


def _about_some_object(rules: Iterable[Rule]) -> Iterator[tuple[str, ...]]:
    """Show the rules as the object with the best luck would meet them."""
    for rule in rules:
        if rule.effect == "allow":
            yield replace(rule, id=ANY, cond="").line
        elif rule.plain:
            yield rule.line


def _about_no_object(rules: Iterable[Rule]) -> Iterator[tuple[str, ...]]:
    """Show the rules that speak of no object: without one, no condition is true and no id fits."""
    return (rule.line for rule in rules if rule.plain)


def _room(cache: dict[K, V]) -> dict[K, V]:
    """Empty a full cache: attackers must not grow it, and a verdict is soon made again."""
    if len(cache) >= KEPT:
        cache.clear()
    return cache
