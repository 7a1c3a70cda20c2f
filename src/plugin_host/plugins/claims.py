"""Who may go by which id: two places that claim one id are both refused, and nobody can take core's."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin_host.plugins.plan import Found


class Claims(NamedTuple):
    """The plugins by the id they are shown under, and of which ids more than one place says that they are its own."""

    plugins: dict[str, Found]
    doubles: dict[str, Reason]


def sort_out(found: Sequence[Found]) -> Claims:
    """Give each plugin an id of its own in the plan.

    Ids are compared as people read them: `Contacts` and `contacts` are one claim. Whoever wants to be `core`, or
    has an id only because of its folder's name, never harms the rightful owner: it is shown as `id@place`.
    """
    ordered = sorted(found, key=lambda one: (one.id, one.candidate.place))
    groups: dict[str, list[Found]] = {}
    for one in ordered:
        if _may_claim(one):
            groups.setdefault(_folded(one.id), []).append(one)
    plugins: dict[str, Found] = {}
    doubles: dict[str, Reason] = {}
    for group in groups.values():
        for one in group:
            plugins.setdefault(one.id, one)
            if len(group) > 1:
                doubles[one.id] = _claimed_by(group)
    for one in ordered:
        if not _may_claim(one):
            plugins[_aside(one, plugins)] = one
    return Claims(_placed(plugins, groups), doubles)


def _may_claim(one: Found) -> bool:
    if _folded(one.id) == "core":
        return one.candidate.source == "core"
    return one.candidate.claimed


def _folded(claim: str) -> str:
    return unicodedata.normalize("NFKC", claim).casefold()


def _claimed_by(group: Sequence[Found]) -> Reason:
    places = [one.candidate.place for one in group]
    ids = " and ".join(dict.fromkeys(repr(one.id) for one in group))
    return Reason(
        code="duplicate_id",
        text=f"The id {ids} is claimed by {' and by '.join(places)}: none of them runs, since nobody can tell which.",
        culprits=tuple(places),
        way_out="Keep one: uninstall the others, or remove their folders.",
    )


def _aside(one: Found, taken: dict[str, Found]) -> str:
    """Find an id for somebody who may not have the one it says."""
    if one.id not in taken and _folded(one.id) != "core":
        return one.id
    name = f"{one.id}@{one.candidate.distribution or one.candidate.package or one.candidate.source}"
    n = 1
    while (f"{name}-{n}" if n > 1 else name) in taken:
        n += 1
    return f"{name}-{n}" if n > 1 else name


def _placed(plugins: dict[str, Found], groups: dict[str, list[Found]]) -> dict[str, Found]:
    """Show of an id that is claimed twice all places."""
    shown = {}
    for plugin, one in plugins.items():
        same = [other for other in groups.get(_folded(plugin), ()) if other.id == plugin]
        if len(same) > 1:
            place = " and ".join(other.candidate.place for other in same)
            one = msgspec.structs.replace(one, candidate=msgspec.structs.replace(one.candidate, place=place))  # noqa: PLW2901
        shown[plugin] = one
    return shown
