"""Decide who runs, in which order, and why the others do not. Pure: values in, a plan out.

One judge after the other looks at those that are still standing and parks the ones at fault, each with its own
reason; then what requires a parked plugin is blocked. So every fault of a round is found at once, and the same
plugins give the same plan in whatever order they were found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from plugin_host.plugins import claims
from plugin_host.plugins.findings import nearest
from plugin_host.plugins.ordering import put_in_order, reachable
from plugin_host.plugins.permission_checks import WORDS
from plugin_host.plugins.plan import Found, Plan, PlanEntry, State, arrange, held_up, waiting
from plugin_host.sdk.errors import Reason, ReasonCode
from plugin_host.sdk.manifest import CORE_VERSION, PluginManifest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

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
        {plugin: requires(case, manifest).keys() for plugin, manifest in standing.items()},
        {plugin: present(case, manifest) for plugin, manifest in standing.items()},
    )
    why = {place.plugin: (*place.why, *without(case, standing[place.plugin])) for place in places}
    dependents = _dependents(case)
    entries = [_entry(case, plugin, why.get(plugin, ()), dependents) for plugin in [*why, *case.verdicts]]
    unknown = [
        f"loader.disabled names {plugin!r}, and there is no such plugin. {nearest(plugin, claimed.plugins, 'plugins')}"
        for plugin in sorted({*disabled} - {*claimed.plugins})
    ]
    return Plan(arrange(tuple(entries)), MappingProxyType(claimed.plugins), (*warnings, *unknown))


def _block(case: Case) -> None:
    """Park, through no fault of their own, those that require what does not run."""
    requires = {plugin: requires(case, manifest) for plugin, manifest in case.standing.items()}
    for plugin, roots in held_up(requires, _roots(case)).items():
        case.verdicts[plugin] = ("blocked", waiting(plugin, requires[plugin], roots))


def _roots(case: Case) -> frozenset[str]:
    return frozenset(plugin for plugin, (state, _) in case.verdicts.items() if state != "blocked")


def _dependents(case: Case) -> dict[str, list[str]]:
    dependents: dict[str, list[str]] = {}
    for plugin, one in sorted(case.plugins.items()):
        for other in requires(case, one.manifest) if one.manifest is not None else ():
            dependents.setdefault(other, []).append(plugin)
    return dependents


def _entry(
    case: Case, plugin: str, why: Sequence[str], dependents: Mapping[str, Sequence[str]]
) -> PlanEntry:
    one = case.plugins[plugin]
    manifest = one.manifest
    state, reason = case.verdicts.get(plugin, ("active", None))
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
