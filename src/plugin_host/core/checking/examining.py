"""Ask all finders about one subject, and put what they found into the order in which it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plugin_host.core.checking import outcome
from plugin_host.core.checking.finders import (
    conduct,
    hooks,
    imports,
    menus,
    needs,
    packages,
    pages,
    revisions,
    rights,
    routes as declared_routes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plugin_host.core.checking.finding import Finding
    from plugin_host.core.checking.subject import Subject
    from plugin_host.sdk.errors import Reason

FINDERS: Final[tuple[Callable[[Subject], Iterator[Finding]], ...]] = (
    packages.find,
    needs.find,
    rights.find,
    menus.find,
    imports.find,
    conduct.find,
    hooks.find,
    declared_routes.find,
    revisions.find,
    pages.find,
    outcome.of_trial,
)


def examine(subject: Subject, reason: Reason | None = None) -> tuple[Finding, ...]:
    """Give everything that is found, errors first, then by place; `reason` is why it would not run, if so."""
    found = list(subject.documents.findings) if subject.folder is not None else []
    for find in FINDERS:
        found += find(subject)
    if reason is not None:
        found += outcome.of_reason(subject, reason, tuple(found))
    return arranged(found)


def arranged(found: list[Finding]) -> tuple[Finding, ...]:
    """Put errors first, each group by file, line and code; the same twice is told once."""
    order = sorted(found, key=lambda each: (each.level, each.file, each.line or 0, each.code))
    return tuple(dict.fromkeys(order))
