"""Plan an installation or an upgrade before it happens: the plan as it is, the plan as it would be, the difference.

Wheels are unpacked into a folder that the caller throws away; nothing of them is installed or imported, and nothing
is written elsewhere.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from plugin_host.plugins.difference import Difference, difference
from plugin_host.plugins.fitness import judge, names_of
from plugin_host.plugins.preflight import candidate_of, takes_the_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from plugin_host.core.planner import Planner
    from plugin_host.plugins.plan import Candidate, Plan


class NoPlugin(Exception):
    """What somebody named is no plugin: one line that says why, with the way out."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What installing would do: the plan as it would be, and what is other than now. `plugins` are those named."""

    plan: Plan
    difference: Difference
    plugins: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether all that would be installed would run, and everything that runs now would go on running."""
        return not self.difference.stops and {*self.plugins} <= {entry.id for entry in self.plan.active}


async def look_ahead(planner: Planner, places: Sequence[Path], folder: Path) -> Outlook:
    """Say what installing wheels, or folders, would do; `folder` is for what is unpacked.

    Raises `NoPlugin` for what is no plugin at all.
    """
    before = await planner.verified()
    candidates, notes = await asyncio.to_thread(
        _read, places, folder, [each.candidate for each in before.found.values()]
    )
    after = await planner.trying(candidates).verified()
    after = dataclasses.replace(after, warnings=(*after.warnings, *notes))
    return Outlook(after, difference(before, after), tuple(_shown(after, one) for one in candidates))


def _read(places: Sequence[Path], folder: Path, installed: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    # A wheel's own name is the name of its folder: an error that names a file then says whose it is.
    unpacked = [(place, folder / str(n) / place.name) for n, place in enumerate(places)]
    candidates = [candidate_of(place, into) for place, into in unpacked]
    for candidate in candidates:
        if candidate.fault is not None and not candidate.claimed:
            msg = f"{candidate.fault.text} {candidate.fault.way_out}"
            raise NoPlugin(msg)
    beside: dict[str, str | None] = {
        canonicalize_name(one.distribution): one.version for one in candidates if one.distribution is not None
    }
    notes: list[str] = []
    judged = []
    for candidate, (place, into) in zip(candidates, unpacked, strict=True):
        if place.is_dir():
            judged.append(candidate)
            continue
        fitness = judge(place, into, candidate.id, beside=beside, replaced=_replaced(candidate, installed))
        notes += fitness.notes
        judged.append(msgspec.structs.replace(candidate, fault=candidate.fault or fitness.reason))
    return judged, notes


def _replaced(candidate: Candidate, installed: Iterable[Candidate]) -> frozenset[str]:
    """Give the import names that an installed version of a plugin has already."""
    packages = {old.package for old in installed if takes_the_place(candidate, old)}
    return frozenset({*packages, *names_of([candidate.distribution] if candidate.distribution is not None else [])})


def _shown(plan: Plan, candidate: Candidate) -> str:
    """Give the id under which a candidate is shown: its own, unless that is somebody else's."""
    found: Mapping[str, object] = {
        one.candidate.place: plugin for plugin, one in plan.found.items() if one.candidate.place == candidate.place
    }
    return str(found.get(candidate.place, candidate.id))
