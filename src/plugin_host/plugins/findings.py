"""What is wrong in a plugin's files, gathered so that all of it is told at once."""

from __future__ import annotations

import difflib
import graphlib
from typing import TYPE_CHECKING, Final, NamedTuple

from plugin_host.sdk.errors import Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plugin_host.plugins.plan import Candidate

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


def file_label(candidate: Candidate, word: str) -> str:
    """Name a file of the plugin as people know it: `host_contacts/plugin.json`, or the object's attribute."""
    if candidate.source == "object":
        return f"{candidate.entry}.{'manifest' if word == 'plugin' else word}"
    return f"{candidate.folder.name if candidate.folder is not None else candidate.id}/{word}.json"


def first_cycle(graph: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Give the names of one circle in a graph, the first again at the end; None if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return None


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
