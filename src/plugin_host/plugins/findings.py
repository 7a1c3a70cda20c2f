"""What is wrong in a plugin's files, gathered so that all of it is told at once."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, NamedTuple

from plugin_host.sdk.errors import Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_TOLD: Final = 10


class Finding(NamedTuple):
    """One mistake: in which file (or hook), at which JSON path, what it is, and the way out."""

    file: str
    path: str
    text: str
    way_out: str
    code: ReasonCode = "manifest_invalid"


class Findings:
    """The mistakes of one plugin, in the order in which they were found."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._all: list[Finding] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, finding: Finding) -> None:
        """Keep one more."""
        self._all.append(finding)

    def reason(self) -> Reason | None:
        """Give one reason that tells all of them; its code is the first one's. None if there are none."""
        if not self._all:
            return None
        told = [_sentence(finding) for finding in self._all[:_MAX_TOLD]]
        if len(self._all) > _MAX_TOLD:
            told.append(f"and {len(self._all) - _MAX_TOLD} more")
        ways = dict.fromkeys(finding.way_out for finding in self._all[:_MAX_TOLD])
        return Reason(
            code=self._all[0].code,
            text=f"{self._plugin}: {'; '.join(told)}.",
            culprits=(self._plugin, *dict.fromkeys(finding.file for finding in self._all)),
            way_out=" ".join(ways),
        )


def nearest(word: str, known: Iterable[str], what: str) -> str:
    """Word a way out of a name that is not known: the nearest one, or all there are."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word, names, 1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known {what}: {', '.join(names)}." if names else f"There are no {what}: remove it."


def _sentence(finding: Finding) -> str:
    at = f"at {finding.path}: " if finding.path else ""
    return f"{finding.file}: {at}{finding.text}"
