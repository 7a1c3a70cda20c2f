"""Decide who runs, in which order, and why the others do not. Pure: values in, a plan out.

One judge after the other looks at those that are still standing and parks the ones at fault, each with its own
reason; then what requires a parked plugin is blocked. So every fault of a round is found at once, and the same
plugins give the same plan in whatever order they were found.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from plugin_host.plugins import claims
from plugin_host.plugins.findings import nearest
from plugin_host.plugins.judges import JUDGES, Case, conflicts, left_out, needs_of, optional_there
from plugin_host.plugins.ordering import put_in_order
from plugin_host.plugins.plan import Plan, PlanEntry, State, arrange, held_up, waiting
from plugin_host.sdk.manifest import CORE_VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from plugin_host.plugins.plan import Found
    from plugin_host.sdk.errors import Reason

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
    """Park, through no fault of their own, those that require what does not run."""
    needs = {plugin: needs_of(case, manifest) for plugin, manifest in case.standing.items()}
    roots = frozenset(plugin for plugin, (state, _) in case.verdicts.items() if state != "blocked")
    case.park((plugin, "blocked", waiting(plugin, needs[plugin], by)) for plugin, by in held_up(needs, roots).items())


def _dependents(case: Case) -> dict[str, list[str]]:
    dependents: dict[str, list[str]] = {}
    for plugin, one in sorted(case.plugins.items()):
        for other in needs_of(case, one.manifest) if one.manifest is not None else ():
            dependents.setdefault(other, []).append(plugin)
    return dependents


def _entry(case: Case, plugin: str, why: Sequence[str], dependents: Mapping[str, Sequence[str]]) -> PlanEntry:
    one = case.plugins[plugin]
    manifest = one.manifest
    runs: tuple[State, Reason | None] = ("active", None)
    state, reason = case.verdicts.get(plugin, runs)
    return PlanEntry(
        id=plugin,
        name=manifest.name if manifest is not None else plugin,
        version=one.version,
        source=one.candidate.source,
        place=one.candidate.place,
        state=state,
        reason=reason,
        why=tuple(why),
        requires=dict(manifest.requires) if manifest is not None else {},
        optional=dict(manifest.optional) if manifest is not None else {},
        dependents=tuple(dependents.get(plugin, ())),
        permissions=tuple(permission.name for permission in one.permissions.permissions),
        roles=tuple(role.name for role in one.permissions.roles),
        public=one.permissions.public,
        menu=tuple(item.id for item in one.menu.items),
        screens=tuple(screen.id for screen in manifest.ui.screens) if manifest is not None and manifest.ui else (),
        asks=manifest.asks if manifest is not None else (),
    )
