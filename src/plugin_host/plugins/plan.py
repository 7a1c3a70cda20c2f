"""What was found, and what is to become of it: the values that the six steps hand on.

`Candidate` (something that says it is a plugin) → `Found` (its files, read) → `Plan` (who runs, in which order,
who does not and why). All of them are frozen; a change of mind makes a new plan.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from plugin_host.sdk.errors import Reason
from plugin_host.sdk.manifest import MenuFile, PermissionsFile, PluginManifest, PublicRoute

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Source: TypeAlias = Literal["core", "wheel", "folder", "object", "remote", "missing"]
"""Where a plugin comes from; `missing`: its package is not there, but its data is."""

State: TypeAlias = Literal["active", "disabled", "refused", "blocked", "consent", "pending", "quarantined", "orphaned"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Something that says it is a plugin.

    `id` is the word it claims: the entry point's name, or the manifest's id. `claimed` is false where the id
    could not be read and is only the folder's name. `place` is shown to people; `folder` holds the JSON files,
    `migrations/` and `ui/`. `entry` is `module` or `module:attribute`. `obj` is the plugin object where there
    is one already. `fault` tells what went wrong while it was looked for.
    """

    id: str
    source: Source
    place: str
    folder: Path | None = None
    entry: str = ""
    distribution: str | None = None
    version: str | None = None
    obj: Any = None
    fault: Reason | None = None
    claimed: bool = True

    @property
    def package(self) -> str:
        """The top-level name under which it is imported."""
        return self.entry.partition(":")[0].partition(".")[0]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate with its three files; `fault` says why it cannot run as it is."""

    candidate: Candidate
    manifest: PluginManifest | None = None
    permissions: PermissionsFile = PermissionsFile()
    menu: MenuFile = MenuFile()
    fault: Reason | None = None

    @property
    def id(self) -> str:
        """The id that it claims."""
        return self.candidate.id

    @property
    def version(self) -> str | None:
        """The distribution's version, else what plugin.json says."""
        return self.candidate.version or (self.manifest.version if self.manifest is not None else None)


class PlanEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin in the plan, as `plugin-host plan --json` and the API show it.

    `order` counts those that run, from 1; `why` explains the place. `dependents` are the plugins that require
    this one, and would stop with it. `pending` are the revisions that would run. `added` and `removed` are the
    permissions that are new, or gone, since somebody approved of the plugin; `awaiting` names what still waits
    for consent (permissions, `GET /path`, events). `restart_needed`: what runs, or is left behind, is not what is
    installed. `verified` tells whether only the files were judged (`static`) or the plugin was activated (`built`).
    """

    id: str
    name: str
    version: str | None
    source: Source
    place: str
    state: State
    reason: Reason | None = None
    order: int | None = None
    why: tuple[str, ...] = ()
    requires: dict[str, str] = {}
    optional: dict[str, str] = {}
    dependents: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    public: tuple[PublicRoute, ...] = ()
    menu: tuple[str, ...] = ()
    screens: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    isolation: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    awaiting: tuple[str, ...] = ()
    restart_needed: bool = False
    verified: Literal["static", "built"] = "static"


@dataclass(frozen=True, slots=True)
class Plan:
    """Who runs, in which order, and who does not and why.

    `entries` are the runnable ones in their order, then the parked ones by id. `found` holds what each was made
    from. `warnings` are sentences about things that harm nobody but are surely not meant.
    """

    entries: tuple[PlanEntry, ...]
    found: Mapping[str, Found]
    warnings: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[PlanEntry, ...]:
        """Those that run, each after all that it requires."""
        return tuple(entry for entry in self.entries if entry.state == "active")

    def entry(self, id: str) -> PlanEntry | None:  # noqa: A002 - the contract's name
        """Give the entry of a plugin, or None."""
        return next((entry for entry in self.entries if entry.id == id), None)

    def park(self, id: str, state: State, reason: Reason) -> Plan:  # noqa: A002 - the contract's name
        """Give the plan without this plugin: all that require it, however far, become `blocked`.

        A plugin that the plan does not know (its data is there, its package is not) gets an entry of its own.
        """
        if self.entry(id) is None:
            missing = PlanEntry(id=id, name=id, version=None, source="missing", place="", state=state, reason=reason)
            return dataclasses.replace(self, entries=arrange((*self.entries, missing)))
        verdicts: dict[str, tuple[State, Reason]] = {id: (state, reason)}
        down = {id, *(entry.id for entry in self.entries if entry.state not in {"active", "blocked"})}
        runs = {entry.id: entry.requires for entry in self.entries if entry.id not in down}
        for held, roots in held_up(runs, down).items():
            verdicts[held] = ("blocked", waiting(held, runs[held], roots))
        return dataclasses.replace(self, entries=arrange(tuple(_judged(entry, verdicts) for entry in self.entries)))

    def change(self, id: str, **values: Any) -> Plan:  # noqa: A002 - the contract's name
        """Give the plan with other values in the entry of a plugin, as `verified="built"`."""
        entries = tuple(msgspec.structs.replace(each, **values) if each.id == id else each for each in self.entries)
        return dataclasses.replace(self, entries=entries)


def arrange(entries: tuple[PlanEntry, ...]) -> tuple[PlanEntry, ...]:
    """Put the runnable ones first, as they come, and number them; then the parked ones by id."""
    runnable = (entry for entry in entries if entry.state == "active")
    parked = sorted((entry for entry in entries if entry.state != "active"), key=lambda entry: entry.id)
    numbered = tuple(msgspec.structs.replace(entry, order=n) for n, entry in enumerate(runnable, start=1))
    return (*numbered, *(msgspec.structs.replace(entry, order=None, why=()) for entry in parked))


def held_up(requires: Mapping[str, Collection[str]], down: Collection[str]) -> dict[str, frozenset[str]]:
    """Say who cannot run because something it requires, however far, is `down`, and through whose fault.

    `requires` names for each plugin what it needs directly; the answer holds those that are not down
    themselves, each with the members of `down` that it waits for.
    """
    dependents: dict[str, list[str]] = {}
    for plugin, needs in requires.items():
        for need in needs:
            dependents.setdefault(need, []).append(plugin)
    held: dict[str, set[str]] = {}
    for root in down:
        todo = [root]
        while todo:
            for dependent in dependents.get(todo.pop(), ()):
                if dependent not in down and root not in held.setdefault(dependent, set()):
                    held[dependent].add(root)
                    todo.append(dependent)
    return {plugin: frozenset(roots) for plugin, roots in held.items()}


def waiting(plugin: str, requires: Collection[str], roots: frozenset[str]) -> Reason:
    """Word why a plugin is blocked: it names the roots, which have reasons of their own."""
    names = " and ".join(sorted(roots))
    how = "which it requires" if roots <= set(requires) else "which it requires, directly or through others"
    return Reason(
        code="dependency_inactive",
        text=f"{plugin} cannot run without {names}, {how}: {'that is' if len(roots) == 1 else 'those are'} not active.",
        culprits=tuple(sorted(roots)),
        way_out=f"Bring {names} back (the plan says what is wrong there), or disable {plugin}.",
    )


def _judged(entry: PlanEntry, verdicts: Mapping[str, tuple[State, Reason]]) -> PlanEntry:
    if entry.id not in verdicts:
        return entry
    state, reason = verdicts[entry.id]
    return msgspec.structs.replace(entry, state=state, reason=reason)
