"""The plugins, their tables, their settings, and the starts that died."""

from __future__ import annotations

import datetime as dt
import difflib
from typing import TYPE_CHECKING, Final

from plugin_host.core.doctor.environment import check_distributions
from plugin_host.core.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.doctor.findings import Level
    from plugin_host.plugins.plan import Plan, PlanEntry, State
    from plugin_host.settings import Settings
    from plugin_host.supervision.bisection import State as Known

# What an operator wished is worth a note, what waits for him a warning; what should run and does not is an error.
_LEVELS: Final[dict[State, Level]] = {
    "disabled": "note",
    "consent": "warning",
    "orphaned": "warning",
    "refused": "error",
    "blocked": "error",
    "pending": "error",
    "quarantined": "error",
}


def check_plugins(plan: Plan) -> Iterator[Finding]:
    """Tell of each plugin that is parked, and of what is surely not meant."""
    active = [entry for entry in plan.active if entry.id != "core"]
    names = f": {', '.join(entry.id for entry in active)}" if active else ""
    yield Finding(check="plugins", level="ok", text=f"{len(active)} plugins can run{names}.")
    for entry in plan.entries:
        if entry.reason is not None:
            text = f"{entry.id} is {entry.state} ({entry.reason.code}): {entry.reason.text}"
            yield _plugin(_LEVELS.get(entry.state, "error"), text, entry.reason.way_out)
        if entry.restart_needed:
            text = f"{entry.id}: what ran last is not what is installed now."
            yield _plugin("note", text, "Restart the host, if it has not been restarted since.")
        if entry.awaiting and entry.state == "active":
            text = f"{entry.id} {entry.version or ''} asks for more than was approved: {', '.join(entry.awaiting)}."
            yield _plugin("warning", text, f"Approve of it with: plugin-host plugins consent {entry.id}")
    for warning in plan.warnings:
        yield _plugin("warning", warning, "")
    distributions = {found.candidate.distribution for found in plan.found.values()}
    yield from check_distributions(sorted(name for name in distributions if name))


def check_tables(plan: Plan, settings: Settings) -> Iterator[Finding]:
    """Tell which revisions wait."""
    waiting: list[PlanEntry] = [entry for entry in plan.entries if entry.pending]
    for entry in waiting:
        text = f"The tables of {entry.id} wait for {', '.join(entry.pending)}."
        if settings.migrations.on_start == "auto":
            yield Finding(check="tables", level="note", text=text, way_out="The next start brings them up to date.")
        else:
            yield Finding(check="tables", level="error", text=text, way_out="Run: plugin-host migrate")
    if not waiting:
        yield Finding(check="tables", level="ok", text="The tables of all plugins that can run are up to date.")


def check_plugin_settings(plan: Plan, settings: Settings) -> Iterator[Finding]:
    """Tell which tables of settings belong to nobody: they are kept, and harm nobody."""
    for plugin in sorted(settings.plugins.keys() - plan.found.keys()):
        near = difflib.get_close_matches(plugin, plan.found, 1)
        way_out = f"Did you mean [plugins.{near[0]}]?" if near else "Remove them if that plugin will not come back."
        text = f"There are settings [plugins.{plugin}], and no such plugin is installed."
        yield Finding(check="settings", level="note", text=text, way_out=way_out)


def check_starts(known: Known) -> Iterator[Finding]:
    """Tell of starts that ended with the process."""
    last = known.last
    if last is None:
        yield Finding(check="starts", level="ok", text="No start is known to have ended with the process.")
        return
    when = dt.datetime.fromtimestamp(last.when, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    where = f"while {last.plugin} was being activated ({last.step})" if last.plugin else "during activation"
    came_up = not known.deaths and known.search is None
    text = f"A start died {where}, {when}{'; a later one came up' if came_up else ''}."
    way_out = "" if came_up else "Start again: after two in a row the host finds out by itself which plugin it is."
    if known.search is not None:
        way_out = "Start again: the host is finding out which plugin it is, and leaves off those that may be."
    yield Finding(check="starts", level="note" if came_up else "warning", text=text, way_out=way_out)


def _plugin(level: Level, text: str, way_out: str) -> Finding:
    return Finding(check="plugins", level=level, text=text, way_out=way_out)
