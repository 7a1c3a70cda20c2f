"""Whether somebody holds what a change is about.

Somebody holds a permission wholly if a rule allows it to them for all objects and none denies it. Under a condition
they hold it if they have it under that very condition: whether one condition is narrower than another nobody can tell.
Everything, as `core.admin` has it, holds only who has everything: plugins will bring permissions that are not there
yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin_host.access.compiling import ADMIN
from plugin_host.access.judge import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugin_host.access.compiling import Rule
    from plugin_host.access.snapshot import Snapshot


def rules_of(snapshot: Snapshot, subjects: frozenset[str]) -> list[Rule]:
    """Give all rules of these people, groups or roles, and of the roles that they have, allowing and denying."""
    lines = (line for name in snapshot.catalogue for line in snapshot.every_line(subjects, name))
    return list(dict.fromkeys(lines))


def lacking(snapshot: Snapshot, holder: frozenset[str], rules: Iterable[Rule]) -> set[str]:
    """Name what rules are about and whoever has these subjects does not hold; `*` is everything."""
    missing: set[str] = set()
    for rule in rules:
        name = name_of(rule)
        if name == ANY:
            if not _holds_everything(snapshot, holder):
                missing.add(ANY)
        elif name in snapshot.catalogue and not _holds(snapshot, holder, name, rule.cond):
            missing.add(name)
    return missing


def name_of(rule: Rule) -> str:
    """Name the permission that a rule is about; `*` is everything."""
    return ANY if ANY in (rule.act, rule.said) else f"{rule.typ}.{rule.act}"


def _holds(snapshot: Snapshot, holder: frozenset[str], name: str, cond: str) -> bool:
    lines = snapshot.every_line(holder, name)
    if any(line.effect == "deny" for line in lines):
        return False
    return any(line.id == ANY and line.cond in ("", cond) for line in lines)


def _holds_everything(snapshot: Snapshot, holder: frozenset[str]) -> bool:
    lines = rules_of(snapshot, holder)
    if any(line.effect == "deny" and line.subject != f"role:{ADMIN}" for line in lines):
        return False
    return any(name_of(line) == ANY and line.plain for line in lines)
