"""The rules of one moment: permissions that exist, rules from roles, and verdicts kept beside them.

A snapshot never changes; new rules are a new snapshot, and the old one takes its verdicts with it. Casbin
judges (`judge`), but is shown only the rules whose subject, type and action fit: the others could not
match, and with "deny beats allow" only the set of matching rules counts.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from plugin_host.access.compiling import Rule
from plugin_host.access.conditions import Predicate, check_fields, compile_predicate
from plugin_host.access.judge import ANY, allows
from plugin_host.access.policy import NOTHING
from plugin_host.sdk.conditions import Condition, ConditionError, parse_condition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from plugin_host.access.catalogue import Catalogue, Entry
    from plugin_host.access.judge import Judge
    from plugin_host.access.policy import Lines, Policy
    from plugin_host.sdk.context import Actor

K = TypeVar("K")
V = TypeVar("V")

KEPT: Final = 10_000
"""How many entries a cache of verdicts holds before it is emptied."""


class Snapshot:
    """Rules and the verdicts on them. `judge` decides what the cached verdicts do not know yet.

    `withheld` are permissions that nobody holds, whatever the rules say: nobody has consented to them yet.
    `policy` is what administrators say beside the `rules` of plugins' roles. `objects` are the classes of rows by
    their `__object__`: a condition of an administrator that does not fit one (any more) allows nothing, and denies
    all that it might have. `inactive` are permissions of plugins that are not active: known, and matched by nothing.
    """

    def __init__(  # noqa: PLR0913 - what a verdict depends on, by name
        self,
        catalogue: Catalogue,
        rules: Iterable[Rule],
        judge: Judge = allows,
        withheld: Collection[str] = frozenset(),
        *,
        policy: Policy = NOTHING,
        objects: Mapping[str, type[Any]] = MappingProxyType({}),
        inactive: Collection[str] = frozenset(),
    ) -> None:
        self.catalogue = catalogue
        self.withheld = frozenset(withheld)
        self.inactive = frozenset(inactive)
        self._judge = judge
        self._objects = objects
        self._by: dict[tuple[str, str, str], list[Rule]] = {}
        self._conditions: dict[str, tuple[Condition, Predicate]] = {}
        self._fits: dict[tuple[str, str], bool] = {}
        for rule in rules:
            self._by.setdefault((rule.subject, rule.typ, rule.act), []).append(rule)
            if rule.cond:
                self.condition(rule.cond)
        self._mentioned = frozenset(subject for subject, _, _ in self._by)
        self._adopt(policy)

    def _adopt(self, policy: Policy) -> None:
        self.policy = policy
        self._closures: dict[frozenset[str], frozenset[str]] = {}
        self._slices: dict[tuple[frozenset[str], str], Slice] = {}
        # Two look-ups when warm. People with the same roles share the inner dictionary.
        self._held: dict[frozenset[str], dict[str, bool]] = {}
        self._held_by_roles: dict[frozenset[str], dict[str, bool]] = {}

    def with_policy(self, policy: Policy) -> Snapshot:
        """Give a snapshot of the same plugins and another policy: what this one has judged stays with it."""
        other = copy.copy(self)
        other._adopt(policy)  # noqa: SLF001 - it is being made
        return other

    # -- who somebody is -----------------------------------------------------------------------------------------

    def closure(self, subjects: frozenset[str]) -> frozenset[str]:
        """Add the roles that come through groups and through other roles, however long the way, circles included."""
        links = self.policy.links
        if not links:
            return subjects
        closure = self._closures.get(subjects)
        if closure is None:
            found, todo = set(subjects), list(subjects)
            while todo:
                for role in links.get(todo.pop(), ()):
                    if role not in found:
                        found.add(role)
                        todo.append(role)
            closure = subjects if len(found) == len(subjects) else frozenset(found)
            _room(self._closures)[subjects] = closure
        return closure

    def effective(self, actor: Actor) -> Actor:
        """Give the actor with all their roles: those that come through groups and other roles as well."""
        closure = self.closure(actor.subjects)
        if closure is actor.subjects:
            return actor
        roles = tuple(sorted(subject[5:] for subject in closure if subject.startswith("role:")))
        return msgspec.structs.replace(actor, roles=roles, subjects=closure)

    # -- verdicts --------------------------------------------------------------------------------------------------

    def holds(self, subjects: frozenset[str], permission: str) -> bool:
        """Tell whether whoever has these subjects holds the permission: with object scope, for at least one object.

        Whether that object exists nobody asks: allowing conditions count as met, denying ones as not. What is
        granted on single objects is not known here. Raises `UnknownPermission`.
        """
        held = self._held.get(subjects)
        verdict = held.get(permission) if held is not None else None
        return self._hold(subjects, permission) if verdict is None else verdict

    def held(self, subjects: frozenset[str]) -> frozenset[str]:
        """Give the names of all permissions that `holds` says yes to."""
        return frozenset(name for name in self.catalogue if self.holds(subjects, name))

    def holds_granted(self, subjects: frozenset[str], permission: str) -> bool:
        """Tell what `holds` would if the permission were granted on some object as well: no rule may deny it."""
        part = self._slice(self.closure(subjects), permission)
        verdict = part.verdicts.get(_GRANTED)
        if verdict is None:
            entry = self.catalogue.entry(permission)
            subject = min(subjects)
            lines: list[tuple[str, ...]] = [(subject, entry.typ, ANY, entry.act, "", "allow")]
            lines += [rule.line for rule in part.rules if rule.effect == "deny" and rule.plain]
            verdict = permission not in self.withheld and self._judge(
                lines, self.closure(subjects), (entry.typ, ANY, entry.act), frozenset()
            )
            _room(part.verdicts)[_GRANTED] = verdict
        return verdict

    def judge(
        self,
        subjects: frozenset[str],
        permission: str,
        row: object,
        actor: Actor,
        grants: frozenset[tuple[str, str]] = frozenset(),
    ) -> bool:
        """Tell whether it may be done with this row; the permission is of object scope.

        `grants` are those on this row that bring or deny the permission: subject and effect. Conditions are asked
        of the row, and Casbin of what they say: once for each combination.
        """
        closure = self.closure(subjects)
        part = self._slice(closure, permission)
        if not part.rules and (not grants or permission in self.withheld):
            return False
        named = getattr(row, "id", None)
        at = named if named in part.ids else ANY
        key = at, frozenset(cond for cond, test in part.conditions if test(row, actor)), grants
        verdict = part.verdicts.get(key)
        if verdict is None:
            entry = self.catalogue.entry(permission)
            lines = [rule.line for rule in part.rules]
            lines += [(subject, entry.typ, at, entry.act, "", effect) for subject, effect in sorted(grants)]
            verdict = self._judge(lines, closure, (entry.typ, at, entry.act), key[1])
            _room(part.verdicts)[key] = verdict
        return verdict

    def part(self, subjects: frozenset[str], permission: str) -> Slice:
        """Give the rules that can match and make a difference. Raises `UnknownPermission`."""
        return self._slice(self.closure(subjects), permission)

    def lines(self, subjects: frozenset[str], permission: str) -> tuple[Rule, ...]:
        """Give the rules of `part`."""
        return self.part(subjects, permission).rules

    def every_line(self, subjects: frozenset[str], permission: str) -> tuple[Rule, ...]:
        """Give all rules that can match, also those that make no difference. Raises `UnknownPermission`."""
        closure = self.closure(subjects)
        return tuple(self._gather(frozenset(filter(self.mentions, closure)), self.catalogue.entry(permission)))

    @property
    def role_names(self) -> frozenset[str]:
        """The names of all roles there are, of active plugins and of administrators."""
        of_plugins = {subject[5:] for subject in self._mentioned if subject.startswith("role:")}
        return frozenset(of_plugins | set(self.policy.roles))

    def subjects(self) -> Iterator[str]:
        """Give every subject that a rule is about."""
        yield from self._mentioned
        yield from (subject for subject in self.policy.rules if subject not in self._mentioned)

    def predicate(self, cond: str) -> Predicate:
        """Give the function that tells whether a rule's condition holds for a row."""
        return self._compiled(cond)[1]

    def condition(self, cond: str) -> Condition:
        """Give the tree of a rule's condition."""
        return self._compiled(cond)[0]

    def _compiled(self, cond: str) -> tuple[Condition, Predicate]:
        found = self._conditions.get(cond)
        if found is None:
            condition = parse_condition(msgspec.json.decode(cond))
            found = _room(self._conditions)[cond] = condition, compile_predicate(condition)
        return found

    def mentions(self, subject: str) -> bool:
        """Tell whether any rule is about a subject."""
        return subject in self._mentioned or subject in self.policy.rules

    def _hold(self, subjects: frozenset[str], permission: str) -> bool:
        closure = self.closure(subjects)
        relevant = frozenset(filter(self.mentions, closure))
        held = self._held_by_roles.get(relevant)
        if held is None:
            held = _room(self._held_by_roles)[relevant] = {}
        if permission not in held:
            entry = self.catalogue.entry(permission)
            lines = _about_some_object if entry.of_objects else _about_no_object
            shown = list(lines(self._slice(closure, permission).rules))
            held[permission] = bool(shown) and self._judge(shown, closure, (entry.typ, ANY, entry.act), frozenset())
        _room(self._held)[subjects] = held
        return held[permission]

    def _slice(self, closure: frozenset[str], permission: str) -> Slice:
        relevant = frozenset(filter(self.mentions, closure))
        key = relevant, permission
        part = self._slices.get(key)
        if part is None:
            entry = self.catalogue.entry(permission)
            rules = tuple(self._gather(relevant, entry)) if permission not in self.withheld else ()
            if not any(rule.effect == "deny" for rule in rules):
                # One that allows without a condition decides: the others need not be asked.
                rules = tuple(rule for rule in rules if rule.plain) or rules
            conditions = {rule.cond: self._compiled(rule.cond)[1] for rule in rules if rule.cond}
            part = Slice(rules, tuple(conditions.items()), frozenset(rule.id for rule in rules) - {ANY})
            _room(self._slices)[key] = part
        return part

    def _gather(self, relevant: frozenset[str], entry: Entry) -> Iterator[Rule]:
        for subject in sorted(relevant):
            if subject in self._mentioned:
                for typ in (entry.typ, ANY):
                    for act in (entry.act, ANY):
                        yield from self._by.get((subject, typ, act), ())
            if subject in self.policy.rules:
                said = self.policy.said(subject)
                yield from self._allowing(subject, said, entry)
                yield from self._denying(subject, said, entry)

    def _allowing(self, subject: str, said: Lines, entry: Entry) -> Iterator[Rule]:
        for name, conditional in self.catalogue.givers(entry.name):
            for line in said.get(name, ()):
                if line.effect != "allow" or (line.condition and conditional == "nothing"):
                    continue
                cond = line.condition if conditional == "kept" else ""
                if not cond or self.fits(cond, entry.typ):
                    yield Rule(subject, entry.typ, ANY, entry.act, cond, "allow", "", line.id, name)

    def _denying(self, subject: str, said: Lines, entry: Entry) -> Iterator[Rule]:
        for name in self.catalogue.meaning(entry.name):
            for line in said.get(name, ()):
                if line.effect == "deny":
                    fits = entry.of_objects and self.fits(line.condition, entry.typ)
                    cond = line.condition if fits else ""
                    yield Rule(subject, entry.typ, ANY, entry.act, cond, "deny", "", line.id, name)

    def fits(self, cond: str, typ: str) -> bool:
        """Tell whether a condition can be asked of the rows of a type; models may have lost a column since."""
        if not cond:
            return True
        fits = self._fits.get((cond, typ))
        if fits is None:
            try:
                condition, _ = self._compiled(cond)
                if typ in self._objects:
                    check_fields(condition, self._objects[typ])
                fits = True
            except (ConditionError, msgspec.DecodeError):
                fits = False
            _room(self._fits)[cond, typ] = fits
        return fits


_GRANTED: Final = "granted"


@dataclass(frozen=True, slots=True)
class Slice:
    """The rules that can match one permission of some roles, and Casbin's verdicts by id and true conditions."""

    rules: tuple[Rule, ...]
    conditions: tuple[tuple[str, Predicate], ...]
    ids: frozenset[str]
    verdicts: dict[object, bool] = field(default_factory=dict)


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
