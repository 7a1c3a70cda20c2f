"""Whom a plugin needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from plugin_host.core.checking.finding import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.checking.subject import Subject

_ENDS: Final = frozenset({"<", "<=", "==", "===", "~="})


def find(subject: Subject) -> Iterator[Finding]:
    """Find a range of the contract without an end."""
    wanted = subject.manifest.requires.get("core") if subject.manifest is not None else None
    if wanted is None:
        return
    try:
        ends = any(each.operator in _ENDS for each in SpecifierSet(wanted))
    except InvalidSpecifier:
        return
    if not ends:
        text = f'"{wanted}" of core has no end'
        way_out = 'Write for example ">=1.0,<2": version 2 of the contract may differ.'
        yield finding("PH108", text, way_out, *subject.documents.at("plugin", "$.requires.core"))
