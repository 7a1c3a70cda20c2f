"""The menu: what plugins placed, and what one person may see of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_Key: TypeAlias = "tuple[str, str]"  # title in small letters, id


class PlacedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the menu with all that its screen says filled in.

    `to` is a page from the base path, or None for an entry that only holds others. `permission` is the name
    of one, or the word `signed-in` or `public`. `after` names entries that come before this one.
    """

    id: str
    title: str
    icon: str | None
    to: str | None
    permission: str
    group: str
    parent: str | None
    after: tuple[str, ...]
    plugin: str


def visible(items: Iterable[PlacedItem], can: Callable[[str], bool]) -> list[dict[str, Any]]:
    """Give the tree `{id, title, icon, to, group, children}` of whoever `can` answers for.

    An entry that is not permitted hides all that stands under it, and one without a page hides itself when
    nothing is left under it. The entries of one parent stand in the order of `after`, then of their titles
    without regard to case; the order is that of all entries, so it does not depend on who looks. Names in
    `after` that do not stand beside the entry, and a `parent` that is not there (its plugin is not active),
    are passed over. A circle of `after` begins with its first title; a circle of parents with its first id.
    """
    by_id = {item.id: item for item in items}
    children: dict[str | None, list[PlacedItem]] = {}
    for item in by_id.values():
        children.setdefault(_parent(item, by_id), []).append(item)
    return _shown(None, children, can)


def _shown(
    parent: str | None, children: Mapping[str | None, Sequence[PlacedItem]], can: Callable[[str], bool]
) -> list[dict[str, Any]]:
    shown = []
    for item in _ordered(children.get(parent, ())):
        if not can(item.permission):
            continue
        below = _shown(item.id, children, can)
        if item.to is not None or below:
            shown.append(
                {
                    "id": item.id,
                    "title": item.title,
                    "icon": item.icon,
                    "to": item.to,
                    "group": item.group,
                    "children": below,
                }
            )
    return shown


def _parent(item: PlacedItem, by_id: Mapping[str, PlacedItem]) -> str | None:
    """Give the id of the parent, or None at the top; of a circle, the first id is put at the top."""
    above: list[str] = []
    parent = item.parent
    while parent is not None and parent in by_id and parent not in above:
        above.append(parent)
        parent = by_id[parent].parent
    cut_here = item.id in above and item.id == min(above)
    return above[0] if above and not cut_here else None


def _ordered(siblings: Sequence[PlacedItem]) -> list[PlacedItem]:
    """Sort so that each comes after those it names; of those that may come next, the first title does."""
    keys = {item.id: (item.title.casefold(), item.id) for item in siblings}
    waits = {item.id: {keys[name] for name in item.after if name in keys and name != item.id} for item in siblings}
    waiting = {keys[name]: before for name, before in waits.items()}
    ordered: list[str] = []
    while waiting:
        ready = [key for key, before in waiting.items() if not before]
        key = min(ready) if ready else _cut(waiting)
        ordered.append(key[1])
        del waiting[key]
        for before in waiting.values():
            before.discard(key)
    by_id = {item.id: item for item in siblings}
    return [by_id[name] for name in ordered]


def _cut(waiting: Mapping[_Key, set[_Key]]) -> _Key:
    """Find a circle by going backwards, and give its first member: what only waits for a circle is not in it."""
    walked: list[_Key] = []
    key = min(waiting)
    while key not in walked:
        walked.append(key)
        key = min(waiting[key])
    return min(walked[walked.index(key) :])
