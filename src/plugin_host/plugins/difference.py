"""What changes between two plans, and in which words. Pure: two plans in, a value out.

Both plans tell only what files say. What a plugin's settings may hold is said by a hook, so no plan knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from plugin_host.plugins.consent import spell
from plugin_host.plugins.plan import State
from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from plugin_host.plugins.plan import Found, Plan, PlanEntry


class Names(msgspec.Struct, frozen=True):
    """Names that come and go, and those whose meaning is another one; each tuple is sorted."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a plugin stands in one of the plans: its version, its state, and why it is parked if it is."""

    version: str | None
    state: State
    reason: Reason | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What changes of one plugin. `before` is None where it is new, `after` where it is gone.

    A permission is `changed` if its scope, or what it implies, is another one; a role if it grants something else.
    `migrations` are the revisions that would run, and did not wait before; `awaiting` what would wait for consent.
    """

    id: str
    name: str
    before: Standing | None
    after: Standing | None
    permissions: Names = Names()
    roles: Names = Names()
    asks: Names = Names()
    public: Names = Names()
    requires: Names = Names()
    publishes: Names = Names()
    subscribes: Names = Names()
    menu: Names = Names()
    screens: Names = Names()
    slots: Names = Names()
    migrations: tuple[str, ...] = ()
    awaiting: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What changes: plugin by plugin, in their order; who starts to run, and who stops."""

    plugins: tuple[Change, ...] = ()
    starts: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()


_Sayings: TypeAlias = "Mapping[str, Mapping[str, object]]"
"""What an entry says: by kind, each name with what it means (None where a name says it all)."""

_TITLES: Final = {
    "permissions": "permissions",
    "roles": "roles",
    "asks": "permissions of others that it uses",
    "public": "routes without sign-in",
    "requires": "plugins that it requires",
    "publishes": "events that it publishes",
    "subscribes": "events that it listens to",
    "menu": "menu items",
    "screens": "screens",
    "slots": "slots that it fills",
}


def difference(before: Plan, after: Plan) -> Difference:
    """Compare two plans of one host."""
    ids = [*dict.fromkeys(entry.id for plan in (after, before) for entry in plan.entries)]
    ran, runs = ({entry.id for entry in plan.active} for plan in (before, after))
    changes = (_change(before, after, plugin) for plugin in ids)
    return Difference(
        plugins=tuple(change for change in changes if change is not None),
        starts=tuple(plugin for plugin in ids if plugin in runs - ran),
        stops=tuple(plugin for plugin in ids if plugin in ran - runs),
    )


def tell(change: Change) -> Iterator[str]:
    """Word what changes of one plugin: a line for its state, and indented ones for the rest."""
    yield f"{change.id} {_moved(change.before, change.after)}"
    after = change.after
    if after is not None and after.reason is not None:
        yield f"  {after.reason.code}: {after.reason.text}"
        yield f"  way out: {after.reason.way_out}"
    for kind, title in _TITLES.items():
        names: Names = getattr(change, kind)
        for word, told in (("new", names.new), ("gone", names.gone), ("changed", names.changed)):
            if told:
                yield f"  {word} {title}: {', '.join(told)}"
    if change.migrations:
        yield f"  migrations that would run: {', '.join(change.migrations)}"
    if change.awaiting:
        yield f"  would wait for consent: {', '.join(change.awaiting)}"


def _change(before: Plan, after: Plan, plugin: str) -> Change | None:
    old, new = before.entry(plugin), after.entry(plugin)
    shown = new or old
    assert shown is not None  # noqa: S101 - the id comes from one of them
    said = _sayings(old, before.found.get(plugin)), _sayings(new, after.found.get(plugin))
    pending, awaiting = (old.pending, old.awaiting) if old is not None else ((), ())
    values: dict[str, Any] = {kind: _names(said[0][kind], said[1][kind]) for kind in _TITLES}
    if any(plan.found[plugin].manifest is None for plan in (before, after) if plugin in plan.found):
        values = {}  # its files were not read, so there is no telling
    if new is None:
        values["requires"] = Names()  # whom it needed is no matter any more
    else:
        values["migrations"] = tuple(revision for revision in new.pending if revision not in pending)
        values["awaiting"] = tuple(name for name in new.awaiting if name not in awaiting)
    if _key(old) == _key(new) and not any(values.values()):
        return None
    return Change(id=plugin, name=shown.name, before=_standing(old), after=_standing(new), **values)


def _sayings(entry: PlanEntry | None, found: Found | None) -> _Sayings:
    if entry is None:
        return {kind: {} for kind in _TITLES}
    files = found.permissions if found is not None else None
    plain = {kind: dict.fromkeys(getattr(entry, kind)) for kind in _TITLES if kind not in {"public", "requires"}}
    return {
        **plain,
        "permissions": {each.name: (each.scope, each.implies) for each in files.permissions} if files else {},
        "roles": {each.name: each.grants for each in files.roles} if files else {},
        "public": {spell(route): None for route in entry.public},
        "requires": {f"{other} {wanted}".strip(): None for other, wanted in entry.requires.items()},
    }


def _names(before: Mapping[str, object], after: Mapping[str, object]) -> Names:
    return Names(
        new=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )


def _standing(entry: PlanEntry | None) -> Standing | None:
    return None if entry is None else Standing(version=entry.version, state=entry.state, reason=entry.reason)


def _key(entry: PlanEntry | None) -> object:
    """Tell whether a plugin stands elsewhere; the wording of a reason may name other places for the same cause."""
    reason = (entry.reason.code, entry.reason.culprits) if entry is not None and entry.reason is not None else None
    return None if entry is None else (entry.version, entry.state, reason)


def _moved(before: Standing | None, after: Standing | None) -> str:
    if before is None:
        return f"{_version(after)} (new): {after.state if after is not None else ''}"
    if after is None:
        return f"{_version(before)}: {before.state} → gone"
    versions = [_version(before)] if before.version == after.version else [_version(before), _version(after)]
    states = [before.state] if before.state == after.state else [before.state, after.state]
    return f"{' → '.join(versions)}: {' → '.join(states)}"


def _version(standing: Standing | None) -> str:
    return (standing.version if standing is not None else None) or "?"
