"""Decide who runs, in which order, and why the others do not. Pure: values in, a plan out.

One judge after the other looks at those that are still standing and parks the ones at fault, each with its own
reason; then what requires a parked plugin is blocked. So every fault of a round is found at once, and the same
plugins give the same plan in whatever order they were found.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from plugin_host.plugins import claims
from plugin_host.plugins.findings import nearest
from plugin_host.plugins.judges import JUDGES, Case, conflicts, left_out, needs_of, optional_there
from plugin_host.plugins.ordering import put_in_order, reachable
from plugin_host.plugins.plan import Plan, PlanEntry, State, arrange, held_up, waiting
from plugin_host.sdk.manifest import CORE_VERSION
from plugin_host.sdk.screens import Ui

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from plugin_host.plugins.plan import Found
    from plugin_host.sdk.errors import Reason
    from plugin_host.sdk.manifest import PluginManifest

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def resolve(
    found: Sequence[Found],
    *,
    core_version: str = CORE_VERSION,
    disabled: Collection[str] = (),
    wishes: Mapping[str, str] = _NOTHING,
    safe: bool | Collection[str] = False,
    warnings: Sequence[str] = (),
) -> Plan:
    """Make the plan of what was found.

    `core_version` is the contract that the host keeps. `disabled` (the settings) beats `wishes` (id →
    `"disabled"`, what operators said); `safe` is True to run core alone, or the ids to leave out. `warnings` of
    earlier steps are handed on.
    """
    claimed = claims.sort_out(found)
    case = Case(claimed.plugins, core_version, frozenset(disabled), wishes, safe, claimed.doubles)
    for judge in JUDGES:
        case.park(judge(case))
    _block(case)
    case.park(conflicts(case))
    _block(case)
    standing = case.standing
    places = put_in_order(
        {plugin: needs_of(case, manifest).keys() for plugin, manifest in standing.items()},
        {plugin: optional_there(case, manifest, standing) for plugin, manifest in standing.items()},
    )
    why = {place.plugin: (*place.why, *left_out(case, standing[place.plugin])) for place in places}
    dependents = _dependents(case)
    entries = [_entry(case, plugin, why.get(plugin, ()), dependents) for plugin in [*why, *case.verdicts]]
    unknown = [
        f"{place} names {plugin!r}, and there is no such plugin. {nearest(plugin, claimed.plugins, 'plugins')}"
        for place, named in (("loader.disabled", disabled), ("--safe", () if isinstance(safe, bool) else safe))
        for plugin in sorted({*named} - {*claimed.plugins})
    ]
    return Plan(arrange(tuple(entries)), MappingProxyType(claimed.plugins), (*warnings, *unknown))


def _block(case: Case) -> None:
    """Park, through no fault of their own, those that require what does not run.

    Who was blocked before is told again: by now it may wait for more.
    """
    roots = frozenset(plugin for plugin, (state, _) in case.verdicts.items() if state != "blocked")
    needs = {
        plugin: needs_of(case, one.manifest)
        for plugin, one in case.plugins.items()
        if plugin not in roots and one.manifest is not None
    }
    for plugin, by in held_up(needs, roots).items():
        case.verdicts[plugin] = ("blocked", waiting(plugin, needs[plugin], by))


def _dependents(case: Case) -> dict[str, list[str]]:
    """Name for each plugin all that require it, directly or through others."""
    direct: dict[str, list[str]] = {plugin: [] for plugin in case.plugins}
    for plugin, one in case.plugins.items():
        for other in needs_of(case, one.manifest) if one.manifest is not None else ():
            direct.setdefault(other, []).append(plugin)
    return {plugin: sorted(reachable(direct, plugin) - {plugin}) for plugin in case.plugins}


def _entry(case: Case, plugin: str, why: Sequence[str], dependents: Mapping[str, Sequence[str]]) -> PlanEntry:
    one = case.plugins[plugin]
    runs: tuple[State, Reason | None] = ("active", None)
    state, reason = case.verdicts.get(plugin, runs)
    entry = PlanEntry(
        id=plugin,
        name=plugin,
        version=one.version,
        source=one.candidate.source,
        place=one.candidate.place,
        state=state,
        reason=reason,
        why=tuple(why),
        dependents=tuple(dependents.get(plugin, ())),
        permissions=tuple(permission.name for permission in one.permissions.permissions),
        roles=tuple(role.name for role in one.permissions.roles),
        public=one.permissions.public,
        menu=tuple(item.id for item in one.menu.items),
        isolation=("remote",) if one.candidate.source == "remote" else (),
    )
    return entry if one.manifest is None else _with_manifest(entry, one.manifest)


def _with_manifest(entry: PlanEntry, manifest: PluginManifest) -> PlanEntry:
    ui = manifest.ui or Ui()
    return msgspec.structs.replace(
        entry,
        name=manifest.name,
        requires=dict(manifest.requires),
        optional=dict(manifest.optional),
        screens=tuple(screen.id for screen in ui.screens),
        slots=tuple(slot.slot for slot in ui.slots),
        asks=manifest.asks,
        publishes=manifest.events.publishes,
        subscribes=manifest.events.subscribes,
        isolation=manifest.isolation,
    )
