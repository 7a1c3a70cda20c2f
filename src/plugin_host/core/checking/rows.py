"""Check plugins: try them in a process of their own, examine their files, and give a row for each.

1. The plan says who would run at all;  2. those that would are tried: one, with what it needs, or all together;
3. if the process dies or hangs with all of them, each is tried alone, to name the culprit;
4. what was seen is put beside what the files say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from plugin_host.core.checking import outcome
from plugin_host.core.checking.examining import arranged, examine
from plugin_host.core.checking.finding import Finding, finding
from plugin_host.core.checking.subject import Built, Subject
from plugin_host.core.checking.trial import GRACE
from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from plugin_host.core.checking.trial import Trial
    from plugin_host.plugins.plan import Candidate, Plan, PlanEntry


class CheckError(Exception):
    """Nothing could be checked: one sentence that says why."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What `check --json` says of one plugin; `warnings` are the texts of the findings that are warnings."""

    id: str
    version: str | None
    place: str
    state: str
    reason: Reason | None
    verified: Literal["static", "built"]
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it would not run, or breaks a rule that is an error."""
        return self.state != "active" or any(each.level == "error" for each in self.findings)


class Checker:
    """Checks the plugins of one plan.

    `candidate` is the one that is not installed, `unpacked` where its wheel was unpacked, `before` the plan without
    it. `attempt` runs a trial without the plugins that it is given.
    """

    def __init__(
        self,
        plan: Plan,
        attempt: Callable[[tuple[str, ...]], Trial],
        *,
        candidate: Candidate | None = None,
        unpacked: Path | None = None,
        before: Plan | None = None,
    ) -> None:
        self._plan = plan
        self._attempt = attempt
        self._candidate = candidate
        self._unpacked = unpacked
        self._before = before
        self._entries = {entry.id: entry for entry in plan.entries}
        self._built: dict[str, Built] = {}
        self._trouble: dict[str, list[Finding]] = {}

    def check(self, wanted: str | None) -> tuple[Row, ...]:
        """Check one plugin by its id in the plan, or all; raises `CheckError` if the host itself does not start."""
        chosen = [entry for entry in self._plan.entries if wanted in (None, entry.id)]
        runnable = [entry.id for entry in chosen if entry.state == "active"]
        if wanted is not None and runnable:
            self._try((wanted,), self._without(wanted))
        elif runnable and not self._try(tuple(runnable), ()):
            for plugin in runnable:
                self._try((plugin,), self._without(plugin))
        return tuple(self._row(self._entries[entry.id]) for entry in chosen)

    # -- trials --------------------------------------------------------------------------------------------------

    def _try(self, plugins: tuple[str, ...], without: tuple[str, ...]) -> bool:
        """Run a trial and keep what it showed of these plugins; False if that was nothing, of several."""
        trial = self._attempt(without)
        shown = trial.shown
        if shown is None:
            if len(plugins) > 1:
                return False
            self._lost(plugins[0], trial)
            return True
        if shown.error is not None:
            raise CheckError(shown.error)
        for entry in shown.entries:
            if entry.id in plugins:
                self._entries[entry.id] = entry
        self._built |= {plugin: built for plugin, built in shown.built.items() if plugin in plugins}
        if trial.ending == "lingers" and len(plugins) == 1:
            text = f"the process did not end within {GRACE:g} seconds of being stopped: something of it goes on"
            way_out = "End in `shutdown` what `startup` began; make threads daemons; let tasks be cancelled."
            self._trouble[plugins[0]] = [finding("PH907", text, way_out)]
        return True

    def _lost(self, plugin: str, trial: Trial) -> None:
        """Park a plugin with which the process did not come back."""
        if trial.ending == "hung":
            text, way_out = (
                "it never gave the event loop back, and was stopped",
                "Await what takes long, or use a thread.",
            )
            reason = Reason(code="time_limit", text=f"{plugin}: {text}.", culprits=(plugin,), way_out=way_out)
            found = finding("PH906", text, way_out)
        else:
            text, way_out = (
                f"the process died with it: {trial.told}",
                "Find what ends or crashes the process, and raise.",
            )
            reason = Reason(code="import_failed", text=f"{plugin}: {text}.", culprits=(plugin,), way_out=way_out)
            found = finding("PH905", text, way_out)
        self._trouble[plugin] = [found]
        self._entries[plugin] = msgspec.structs.replace(self._entries[plugin], state="quarantined", reason=reason)

    def _without(self, plugin: str) -> tuple[str, ...]:
        """Name all that a trial of one plugin does without: what it does not need."""
        needed, todo = {"core"}, [plugin]
        while todo:
            each = self._plan.entry(todo.pop())
            if each is not None and each.id not in needed:
                needed.add(each.id)
                todo += [*each.requires, *each.optional]
        return tuple(entry.id for entry in self._plan.entries if entry.id not in needed)

    # -- rows ----------------------------------------------------------------------------------------------------

    def _row(self, entry: PlanEntry) -> Row:
        findings = arranged([*self._found(entry)])
        return Row(
            id=entry.id,
            version=entry.version,
            place=entry.place,
            state=entry.state,
            reason=entry.reason,
            verified=entry.verified,
            findings=findings,
            warnings=tuple(each.text for each in findings if each.level == "warning"),
        )

    def _found(self, entry: PlanEntry) -> Iterator[Finding]:
        if entry.id == "core":
            return
        trouble = self._trouble.get(entry.id, [])
        subject = self._subject(entry)
        lost = any(each.code in ("PH905", "PH906") for each in trouble)
        yield from trouble
        yield from examine(subject, None if lost else entry.reason)
        if self._before is not None and subject.candidate is self._candidate:
            yield from outcome.of_others(subject, self._before, self._plan)

    def _subject(self, entry: PlanEntry) -> Subject:
        found = self._plan.found[entry.id]
        theirs: Any = self._candidate
        mine = theirs is not None and theirs.id == found.id and theirs.folder == found.candidate.folder
        return Subject(
            candidate=theirs if mine else found.candidate,
            others={plugin: each for plugin, each in self._plan.found.items() if plugin != entry.id},
            unpacked=self._unpacked if mine else None,
            built=self._built.get(entry.id),
        )
