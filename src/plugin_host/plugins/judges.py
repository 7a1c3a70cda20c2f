"""The judges of the resolver: each looks at the plugins that still stand and names those that cannot run, and why.

A judge sees the same case for all plugins: what it says of one does not depend on what it said of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from plugin_host.plugins.findings import nearest
from plugin_host.plugins.ordering import reachable
from plugin_host.plugins.permission_checks import WORDS
from plugin_host.plugins.plan import Found, State
from plugin_host.sdk.errors import Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from plugin_host.sdk.manifest import PluginManifest

Verdict: TypeAlias = tuple[str, State, Reason]


@dataclass
class Case:
    """What is judged: the plugins, what the operator said, and the verdicts so far."""

    plugins: dict[str, Found]
    core_version: str
    disabled: frozenset[str]
    wishes: Mapping[str, str]
    safe: bool | Collection[str]
    doubles: Mapping[str, Reason]
    verdicts: dict[str, tuple[State, Reason]] = field(default_factory=dict)

    @property
    def standing(self) -> dict[str, PluginManifest]:
        """Those that no judge has parked, by id, with their manifests."""
        return {
            plugin: one.manifest
            for plugin, one in sorted(self.plugins.items())
            if plugin not in self.verdicts and one.manifest is not None
        }

    def park(self, verdicts: Iterable[Verdict]) -> None:
        """Take the verdicts of one judge; they are made before the first is taken, so all see the same case."""
        for plugin, state, reason in tuple(verdicts):
            self.verdicts.setdefault(plugin, (state, reason))


# -- the judges ------------------------------------------------------------------------------------------------


def _switched_off(case: Case) -> Iterator[Verdict]:
    for plugin in case.plugins:
        if plugin == "core":
            continue
        if plugin in case.disabled:
            text, way_out = f"{plugin} is named in loader.disabled.", "Take it out of loader.disabled and restart."
            yield plugin, "disabled", _reason("disabled_by_settings", text, (plugin,), way_out)
        elif case.wishes.get(plugin) == "disabled":
            text, way_out = f"{plugin} was disabled by an operator.", "Enable it again."
            yield plugin, "disabled", _reason("disabled_by_operator", text, (plugin,), way_out)
        elif case.safe is True or (not isinstance(case.safe, bool) and plugin in case.safe):
            text, way_out = f"{plugin} does not run in safe mode.", "Start without --safe once the trouble is found."
            yield plugin, "disabled", _reason("safe_mode", text, (plugin,), way_out)


def _claimed_twice(case: Case) -> Iterator[Verdict]:
    for plugin, reason in case.doubles.items():
        yield plugin, "refused", reason


def _at_fault(case: Case) -> Iterator[Verdict]:
    for plugin, one in case.plugins.items():
        if one.fault is not None:
            yield plugin, "refused", one.fault


def _out_of_process(case: Case) -> Iterator[Verdict]:
    way_out = 'Install it in the host\'s environment, with "inprocess" in `isolation`.'
    for plugin, one in case.plugins.items():
        text = None
        if one.candidate.source == "remote":
            text = f"{plugin} is a remote plugin ({one.candidate.place}); this release runs plugins in its own process."
        elif one.manifest is not None and "inprocess" not in one.manifest.isolation:
            text = f"{plugin} cannot run in the host's process, and this release has no other way of running it."
        if text is not None:
            yield plugin, "refused", _reason("remote_not_supported", text, (plugin,), way_out)


def _wrong_core(case: Case) -> Iterator[Verdict]:
    for plugin, manifest in case.standing.items():
        wanted = manifest.requires.get("core", "")
        if not _fits(case.core_version, wanted):
            text = f"{plugin} is written for contract {wanted} of the host, which keeps contract {case.core_version}."
            way_out = f"Install a version of {plugin} for this host, or another version of the host."
            yield plugin, "refused", _reason("core_incompatible", text, (plugin, "core"), way_out)


def _import_clashes(case: Case) -> Iterator[Verdict]:
    """Two folder plugins cannot be imported under one name."""
    users: dict[str, list[str]] = {}
    for plugin in case.standing:
        if case.plugins[plugin].candidate.source == "folder":
            users.setdefault(case.plugins[plugin].candidate.package, []).append(plugin)
    for package, plugins in users.items():
        if len(plugins) > 1:
            places = " and ".join(f"{plugin} ({case.plugins[plugin].candidate.place})" for plugin in plugins)
            reason = _reason(
                "name_clash",
                f"{places} would all be imported as {package!r}, the name of their folder.",
                tuple(plugins),
                "Rename one of the folders, for example to host_<id>; the ids stay.",
            )
            yield from ((plugin, "refused", reason) for plugin in plugins)


def _unmet_needs(case: Case) -> Iterator[Verdict]:
    for plugin, manifest in case.standing.items():
        missing, unfit = [], []
        for other, wanted in sorted(needs_of(case, manifest).items()):
            if other not in case.plugins:
                missing.append((other, f"{other} {wanted}".strip() + ", which is not installed"))
            elif (sentence := _unfit(case, other, wanted)) is not None:
                unfit.append((other, sentence))
        if missing or unfit:
            culprits = tuple(other for other, _ in (*missing, *unfit))
            text = f"{plugin} requires {'; and '.join(sentence for _, sentence in (*missing, *unfit))}."
            way_out = f"Install {' and '.join(culprits)} in a version that fits, or disable {plugin}."
            code: ReasonCode = "dependency_missing" if missing else "dependency_incompatible"
            yield plugin, "refused", _reason(code, text, culprits, way_out)


def _circles(case: Case) -> Iterator[Verdict]:
    standing = case.standing
    graph = {plugin: needs_of(case, manifest).keys() & standing.keys() for plugin, manifest in standing.items()}
    reach = {plugin: reachable(graph, plugin) for plugin in graph}
    for plugin in graph:
        members = sorted(other for other in reach[plugin] if plugin in reach[other])
        if members:
            text = f"{' and '.join(members)} require each other in a circle, so none of them can be first."
            way_out = "Make one of them `optional` for the other, or use versions that do not need each other."
            yield plugin, "refused", _reason("dependency_cycle", text, tuple(members), way_out)


def _unknown_permissions(case: Case) -> Iterator[Verdict]:
    """Permissions of other plugins that the files name must be there, when those plugins are."""
    for plugin, manifest in case.standing.items():
        one = case.plugins[plugin]
        named = [(name, "plugin.json: asks") for name in manifest.asks]
        named += [(item.permission, f"menu.json: {item.id}") for item in one.menu.items if item.permission]
        if manifest.ui is not None:
            named += [(screen.permission, f"plugin.json: screen {screen.id}") for screen in manifest.ui.screens]
            named += [(slot.permission, f"plugin.json: slot {slot.slot}") for slot in manifest.ui.slots]
        wrong = [(name, where) for name, where in named if _is_unknown(case, plugin, name)]
        if wrong:
            told = "; and ".join(f"{name!r} ({where})" for name, where in wrong)
            text = f"{plugin} names permissions that their plugins do not have: {told}."
            owners = tuple(dict.fromkeys(name.partition(".")[0] for name, _ in wrong))
            ways = (nearest(name, _permissions(case, name.partition(".")[0]), "permissions") for name, _ in wrong)
            way_out = " ".join(dict.fromkeys(ways))
            yield plugin, "refused", _reason("permission_unknown", text, (plugin, *owners), way_out)


def conflicts(case: Case) -> Iterator[Verdict]:
    """Park whoever says that it cannot run beside another one that would run: the other never said so."""
    standing = case.standing
    for plugin, manifest in standing.items():
        others = sorted(set(manifest.conflicts) & standing.keys())
        if others:
            names = " and ".join(others)
            way_out = f"Disable {names}, or disable {plugin}."
            yield (
                plugin,
                "refused",
                _reason("conflict", f"{plugin} cannot run beside {names}.", (plugin, *others), way_out),
            )


JUDGES: Final[tuple[Callable[[Case], Iterator[Verdict]], ...]] = (
    _switched_off,
    _claimed_twice,
    _at_fault,
    _out_of_process,
    _wrong_core,
    _import_clashes,
    _unmet_needs,
    _circles,
    _unknown_permissions,
)


# -- what the judges look up ---------------------------------------------------------------------------------------


def needs_of(case: Case, manifest: PluginManifest) -> dict[str, str]:
    """Give whom a plugin requires. Everything requires core; a plan of plugins alone may be without it."""
    return {
        other: wanted
        for other, wanted in manifest.requires.items()
        if other not in {"core", manifest.id} or (other == "core" != manifest.id and "core" in case.plugins)
    }


def optional_there(case: Case, manifest: PluginManifest, standing: Collection[str]) -> list[str]:
    """Give the optional plugins that run, in versions that fit."""
    return [
        other
        for other, wanted in manifest.optional.items()
        if other in standing and _unfit(case, other, wanted) is None
    ]


def left_out(case: Case, manifest: PluginManifest) -> Iterator[str]:
    """Word which optional plugins are not there for this one."""
    for other, wanted in sorted(manifest.optional.items()):
        if other not in case.plugins:
            yield f"without {other}: optional, and not installed"
        elif other in case.verdicts:
            yield f"without {other}: optional, and {case.verdicts[other][0]}"
        elif (sentence := _unfit(case, other, wanted)) is not None:
            yield f"without {other}: optional, wants {sentence}"


def _unfit(case: Case, other: str, wanted: str) -> str | None:
    """Word why the version of another plugin does not fit; None if it does, or if there is no telling."""
    one = case.plugins[other]
    if other == "core" or other in case.doubles or one.fault is not None:
        return None
    if one.version is None:
        return f"{other} {wanted}, but its version is not known ({one.candidate.place})" if wanted else None
    if _fits(one.version, wanted):
        return None
    return f"{other} {wanted}, but {one.version} is installed ({one.candidate.place})"


def _fits(version: str, wanted: str) -> bool:
    """Tell whether a version is in a range; an installed pre-release is a version like any other."""
    if not wanted:
        return True
    try:
        return SpecifierSet(wanted).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return False


def _permissions(case: Case, plugin: str) -> list[str]:
    return [permission.name for permission in case.plugins[plugin].permissions.permissions]


def _is_unknown(case: Case, plugin: str, name: str) -> bool:
    owner = name.partition(".")[0]
    if name in WORDS or owner == plugin or owner not in case.plugins or case.plugins[owner].fault is not None:
        return False
    return name not in _permissions(case, owner)


def _reason(code: ReasonCode, text: str, culprits: tuple[str, ...], way_out: str) -> Reason:
    return Reason(code=code, text=text, culprits=culprits, way_out=way_out)
