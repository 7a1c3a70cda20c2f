"""What would be done: the files of the plugins held against the ledger.

A plugin whose files and ledger do not fit is a fault, as data; it holds up those that require it and nobody
else. Nothing here knows a database: the ledger's rows come as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from plugin_host.migrations.revisions import checksum, is_expand, read_step, read_text, revision_files, same_code
from plugin_host.migrations.schedule import CORE, dependents, revision_id, revision_number, schedule
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from plugin_host.migrations.revisions import Source
    from plugin_host.migrations.schedule import Step


class MigrationError(Exception):
    """What was asked for cannot be done: one sentence with the way out."""


@dataclass(frozen=True)
class Applied:
    """A revision in the ledger: the text that ran, and the version of the plugin that brought it."""

    checksum: str
    source: str
    version: str


@dataclass(frozen=True)
class MigrationPlan:
    """What is to be done.

    `steps` in their order; `faults` of plugins that cannot be migrated, by id; `held` names the plugins that
    have revisions to apply and must wait for one that has a fault, by id; `orphans` are ids in the ledger that
    no source was given for; `waits` says of each plugin whose next revision would take away what an older version
    uses, which runs somewhere, who that is.
    """

    steps: tuple[Step, ...]
    faults: Mapping[str, Reason]
    orphans: tuple[str, ...]
    held: Mapping[str, str] = field(default_factory=dict)
    waits: Mapping[str, Wait] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """Revisions that are held back until nobody runs an older version any more: a sentence says who does.

    `needed` tells whether one of them is more than a `contract`, so that the plugin cannot run without it.
    """

    revisions: tuple[str, ...]
    text: str
    needed: bool


@dataclass(frozen=True)
class Surroundings:
    """What a plan must know beyond files and heads; each is asked only where it matters.

    `dirty` are the plugins of which a revision was not finished; `tables` names the tables that begin with a
    plugin's prefix; `running` says which versions of a plugin run in other processes, by what people call these.
    """

    dirty: Collection[str] = ()
    tables: Callable[[str], Collection[str]] = field(default=lambda _: ())
    running: Callable[[str], Mapping[str, str]] = field(default=lambda _: {})


def make_plan(
    sources: Sequence[Source],
    heads: Mapping[str, str],
    history: Callable[[str], Mapping[str, Applied]],
    *,
    plugin: str | None = None,
    to: str | None = None,
    around: Surroundings | None = None,
) -> MigrationPlan:
    """Hold files against ledger.

    `heads` is the last applied revision of each plugin; `history` gives what was applied of one plugin, by
    revision, and is asked only where it matters. `plugin` limits the plan to that one and what it requires;
    `to` (`contacts_0002`, or `2`) is the last revision of it that is to be applied.
    Raises `MigrationError` for a plugin or a revision that is not there.
    """
    around = around or Surroundings()
    chosen = _chosen(sources, plugin)
    waiting: dict[str, tuple[Step, ...]] = {}
    waits: dict[str, Wait] = {}
    faults: dict[str, Reason] = {}
    for source in chosen:
        try:
            _check_whole(source.plugin, heads.get(source.plugin), around)
            steps = _waiting(source, heads.get(source.plugin), history)
            _check_recorded(source.plugin, heads.get(source.plugin), steps, around)
        except PluginFault as fault:
            faults[source.plugin] = fault.reason
            continue
        waiting[source.plugin], wait = _held_back(source, heads.get(source.plugin), steps, around)
        if wait is not None:
            waits[source.plugin] = wait
    if plugin is not None and to is not None and plugin in waiting:
        waiting[plugin] = _until(plugin, to, heads.get(plugin), waiting[plugin])
    requires = {source.plugin: source.requires for source in chosen}
    numbers = {name: revision_number(head) for name, head in heads.items()}
    held = dependents(requires, faults)
    order = schedule(requires, numbers, {name: steps for name, steps in waiting.items() if name not in held})
    ends = numbers | {name: steps[-1].number for name, steps in waiting.items() if steps}
    faults |= {name: _unmet(step, ends) for name, step in order.stuck.items()}
    held = {name: root for name, root in dependents(requires, faults).items() if waiting.get(name)}
    orphans = tuple(sorted(heads.keys() - {source.plugin for source in sources}))
    return MigrationPlan(order.steps, faults, orphans, held, waits)


def _chosen(sources: Iterable[Source], plugin: str | None) -> list[Source]:
    """Give all sources, or one with all that it requires."""
    known = {source.plugin: source for source in sources}
    if plugin is None:
        return [known[name] for name in sorted(known)]
    if plugin not in known:
        raise MigrationError(f"there is no plugin {plugin!r} to migrate; there are: {', '.join(sorted(known))}")
    wanted: set[str] = set()
    todo = [plugin, CORE]
    while todo:
        name = todo.pop()
        if name in known and name not in wanted:
            wanted.add(name)
            todo += known[name].requires
    return [known[name] for name in sorted(wanted)]


def _waiting(source: Source, head: str | None, history: Callable[[str], Mapping[str, Applied]]) -> tuple[Step, ...]:
    files = revision_files(source)
    at = revision_number(head) if head is not None else 0
    if at > len(files):
        _check_newer(source, len(files), at, history(source.plugin))
    steps = tuple(read_step(source, path) for path in files[at:])
    if steps and at:
        # Only where something is to be built on it: reading every file at every start would cost too much.
        _check_unchanged(source, files[:at], history(source.plugin))
    return steps


def _check_whole(plugin: str, head: str | None, around: Surroundings) -> None:
    """Refuse to go on from a revision of which nobody knows how much was done."""
    if plugin in around.dirty:
        raise PluginFault(
            Reason(
                code="migration_dirty",
                text=f"{head} runs outside of a transaction, and was not finished: part of it may have been done.",
                culprits=(plugin,),
                way_out=f"Look at the tables of {plugin}; then say plugin-host migrations resolve {plugin} --retry once"
                " what it did is undone, or --applied once all of it is done.",
            )
        )


def _check_recorded(plugin: str, head: str | None, steps: Sequence[Step], around: Surroundings) -> None:
    """Refuse to make tables beside some that are there already, and that the ledger knows nothing of."""
    if head is not None or not steps:
        return
    tables = sorted(around.tables(plugin))
    if tables:
        raise PluginFault(
            Reason(
                code="migration_unrecorded",
                text=f"{', '.join(tables)} {'is' if len(tables) == 1 else 'are'} there, and the ledger does not know"
                f" of any revision of {plugin}.",
                culprits=(plugin,),
                way_out="If they are what a revision makes, say which: plugin-host migrations adopt"
                f" {plugin} --at {steps[-1].revision}; else rename or drop them.",
            )
        )


def _held_back(
    source: Source, head: str | None, steps: tuple[Step, ...], around: Surroundings
) -> tuple[tuple[Step, ...], Wait | None]:
    """Leave out, from the first `contract` on, what an older version that still runs would miss."""
    first = next((number for number, step in enumerate(steps) if step.phase == "contract"), None)
    if first is None or head is None:
        return steps, None
    older = {
        node: version for node, version in around.running(source.plugin).items() if _is_older(version, source.version)
    }
    if not older:
        return steps, None
    held = steps[first:]
    who = ", ".join(f"{node} runs {version or 'another version'}" for node, version in sorted(older.items()))
    text = f"{held[0].revision} takes away what an older version uses, and waits: {who}, not {source.version}."
    wait = Wait(tuple(step.revision for step in held), text, any(step.phase != "contract" for step in held))
    return steps[:first], wait


def _is_older(version: str, than: str) -> bool:
    """Tell whether one version comes before another; what is no version is another one, and that is enough."""
    try:
        return Version(version) < Version(than)
    except InvalidVersion:
        return version != than


def _check_newer(source: Source, known: int, at: int, applied: Mapping[str, Applied]) -> None:
    """Refuse an older release than the tables, unless every revision that it lacks leaves it working."""
    lacking = [applied.get(revision_id(source.plugin, number)) for number in range(known + 1, at + 1)]
    if all(row is not None and is_expand(row.source) for row in lacking):
        return
    newest = lacking[-1].version if lacking[-1] is not None else ""
    has = f"ends at {revision_id(source.plugin, known)}" if known else "brings no revisions"
    raise PluginFault(
        Reason(
            code="schema_newer",
            text=f"The tables of {source.plugin} are at {revision_id(source.plugin, at)}"
            f"{f', made by version {newest}' if newest else ''}; version {source.version or '?'} {has}.",
            culprits=(source.plugin,),
            way_out=f"Install {source.plugin} {newest or 'in the version that made them'} or later; to go back, take"
            f" the tables back with that version first: plugin-host migrate {source.plugin} --to {known or 0}.",
        )
    )


def _check_unchanged(source: Source, files: Sequence[Path], applied: Mapping[str, Applied]) -> None:
    """Refuse to build on a revision whose code is not what ran here."""
    for number, path in enumerate(files, 1):
        row = applied.get(revision_id(source.plugin, number))
        text = read_text(source, path)
        if row is None or row.checksum == checksum(text) or same_code(row.source, text):
            continue
        raise PluginFault(
            Reason(
                code="migration_edited",
                text=f"{revision_id(source.plugin, number)} ({path}) was edited after it was applied.",
                culprits=(source.plugin,),
                way_out=f"Bring the file back as it was (plugin-host migrations verify {source.plugin} shows what"
                " changed), and put the change into a new revision.",
            )
        )


def _until(plugin: str, to: str, head: str | None, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Leave out what comes after `to`."""
    names = {step.revision: step.number for step in steps}
    if head is not None:
        names[head] = revision_number(head)
    wanted = revision_id(plugin, int(to)) if to.isdecimal() else to
    if wanted not in names:
        can = ", ".join(sorted(names)) or "none"
        raise MigrationError(f"{to!r} is no revision that {plugin} can be brought to; there are: {can}")
    return tuple(step for step in steps if step.number <= names[wanted])


def _unmet(step: Step, ends: Mapping[str, int]) -> Reason:
    others = {other: number for other, number in sorted(step.needs.items()) if ends.get(other, 0) < number}
    wanted = " and ".join(
        f"{revision_id(other, number)} ("
        + (f"{other} ends at {revision_id(other, ends[other])}" if other in ends else f"{other} has no revisions")
        + ")"
        for other, number in others.items()
    )
    return Reason(
        code="migration_failed",
        text=f"{step.revision} ({step.path}) needs {wanted}.",
        culprits=(step.plugin, *others),
        way_out=f"Install a later version of {' and '.join(others)}, or correct `needs` in the file.",
    )
