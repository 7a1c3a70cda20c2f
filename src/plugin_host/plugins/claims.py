"""Who may go by which id: two places that claim one id are both refused, and nobody can take another one's.

Ids that people read as the same one are one claim (`lookalikes`). The rightful owner of it is whoever spells it
plainly: a valid id, without digits in the place of letters. An imitation is refused, and never harms the owner.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from plugin_host.plugins.lookalikes import skeleton
from plugin_host.sdk.errors import Reason
from plugin_host.sdk.manifest import ID_PATTERN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin_host.plugins.plan import Found

_ID: Final = re.compile(ID_PATTERN)


class Claims(NamedTuple):
    """The plugins by the id they are shown under, and which of them may not have theirs, and why."""

    plugins: dict[str, Found]
    doubles: dict[str, Reason]


def sort_out(found: Sequence[Found]) -> Claims:
    """Give each plugin an id of its own in the plan.

    Whoever imitates the id of another one, wants to be `core`, or has an id only because of its folder's name, is
    shown as `id@place` where it must not be taken for the owner.
    """
    ordered = sorted(found, key=lambda one: (one.id, one.candidate.place))
    claims = Claims({}, {})
    aside: list[tuple[Found, Reason | None]] = [(one, None) for one in ordered if not one.candidate.claimed]
    groups: dict[str, list[Found]] = {}
    for one in ordered:
        if one.candidate.claimed:
            groups.setdefault(skeleton(one.id), []).append(one)
    for group in groups.values():
        owners = _owners(group)
        ids = sorted({one.id for one in owners})
        for plugin in ids:
            claims.plugins[plugin] = _placed([one for one in owners if one.id == plugin])
            if len(owners) > 1:
                claims.doubles[plugin] = _claimed_by(owners)
        aside += [(one, _imitates(one, owners)) for one in group if one not in owners]
    for one, reason in aside:
        plugin = _aside(one, claims.plugins)
        claims.plugins[plugin] = one
        if reason is not None:
            claims.doubles[plugin] = reason
    return claims


def _owners(group: Sequence[Found]) -> list[Found]:
    """Of those who claim one id, give the ones who may: more than one, where nobody can tell which of them."""
    word = skeleton(group[0].id)
    core = [one for one in group if one.candidate.source == "core"]
    if core or word == "core":
        return core
    valid = [one for one in group if _ID.match(one.id)]
    plain = [one for one in valid if one.id == word]
    return plain or valid or [*group]


def _claimed_by(owners: Sequence[Found]) -> Reason:
    places = [one.candidate.place for one in owners]
    ids = " and ".join(dict.fromkeys(ascii(one.id) for one in owners))
    return Reason(
        code="duplicate_id",
        text=f"The id {ids} is claimed by {' and by '.join(places)}: none of them runs, since nobody can tell which.",
        culprits=tuple(places),
        way_out="Keep one: uninstall the others, or remove their folders.",
    )


def _imitates(one: Found, owners: Sequence[Found]) -> Reason | None:
    """Word why somebody may not have an id that reads like another one; None if it is for others to say."""
    if not owners or one.id == "core":
        return None
    places = [owner.candidate.place for owner in owners]
    return Reason(
        code="duplicate_id",
        # As ASCII: the very point is that people cannot tell the two by their looks.
        text=f"{one.candidate.place} claims the id {one.id!a}, which reads like {owners[0].id!a} of "
        f"{' and of '.join(places)}.",
        culprits=(one.candidate.place, *places),
        way_out="Uninstall it if you do not know it; its author can give it another id.",
    )


def _aside(one: Found, taken: dict[str, Found]) -> str:
    """Find an id for somebody who may not have the one it says."""
    if not one.candidate.claimed and one.id not in taken and skeleton(one.id) != "core":
        return one.id
    name = f"{one.id}@{one.candidate.distribution or one.candidate.package or one.candidate.source}"
    n = 1
    while (f"{name}-{n}" if n > 1 else name) in taken:
        n += 1
    return f"{name}-{n}" if n > 1 else name


def _placed(same: Sequence[Found]) -> Found:
    """Show of an id that is claimed twice all places."""
    if len(same) == 1:
        return same[0]
    place = " and ".join(one.candidate.place for one in same)
    return msgspec.structs.replace(same[0], candidate=msgspec.structs.replace(same[0].candidate, place=place))
