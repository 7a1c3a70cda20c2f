"""A rule as Casbin is shown it, and the rules that the roles of plugins make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from plugin_host.access.judge import ANY
from plugin_host.sdk.conditions import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plugin_host.access.catalogue import Catalogue
    from plugin_host.sdk.manifest import Role

ADMIN: Final = "core.admin"
"""The role that may do everything: by a rule like any other, which is visible and can be denied."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`subject` (`role:contacts.editor`) may, or may not, do `act` with `typ`; `*` as type, id or action is any.

    `cond` is a condition as `sdk.conditions.canonical` writes it, or empty. `origin` is the plugin it comes from,
    `id_of` the administrators' rule, `said` the permission or pattern that was given.
    """

    subject: str
    typ: str
    id: str
    act: str
    cond: str = ""
    effect: Literal["allow", "deny"] = "allow"
    origin: str = ""
    id_of: str = field(default="", compare=False)
    said: str = field(default="", compare=False)

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


def _rules(catalogue: Catalogue, role: Role) -> Iterator[Rule]:
    subject, origin = f"role:{role.name}", role.name.partition(".")[0]
    if role.name == ADMIN:
        yield Rule(subject, ANY, ANY, ANY, origin=origin, said=ANY)
        return
    for grant in role.grants:
        granted = catalogue.entry(grant.permission)
        cond = "" if grant.where is None else canonical(grant.where)
        for entry in map(catalogue.entry, granted.implied):
            if not cond or (granted.of_objects and not entry.of_objects):
                yield Rule(subject, entry.typ, ANY, entry.act, origin=origin, said=granted.name)
            elif granted.of_objects and entry.typ == granted.typ:
                yield Rule(subject, entry.typ, ANY, entry.act, cond, origin=origin, said=granted.name)
