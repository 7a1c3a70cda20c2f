"""Rows: what a trial showed, beside what the files say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plugin_host.core.checking.rows import Checker, CheckError, Row
from plugin_host.core.checking.trial import Shown, Trial
from plugin_host.plugins.manifests import read
from plugin_host.plugins.plan import Candidate, Found, Plan
from plugin_host.plugins.preflight import read_path
from plugin_host.plugins.resolver import resolve
from plugin_host.sdk.manifest import PluginManifest

from .notes import replace, write_project


def plan_of(*found: Found) -> Plan:
    return resolve(list(found))


def other(plugin: str, **requires: str) -> Found:
    manifest = PluginManifest(id=plugin, name=plugin.title(), requires={"core": ">=1.0,<2", **requires})
    candidate = Candidate(id=plugin, source="wheel", place=plugin, entry=f"host_{plugin}.hooks", version="1.0")
    return Found(candidate=candidate, manifest=manifest)


def as_planned(plan: Plan) -> Callable[[tuple[str, ...]], Trial]:
    """Give an attempt in which everything runs as it was planned."""
    return lambda _without: Trial(ending="ended", shown=Shown(entries=plan.entries))


@pytest.fixture
def notes(tmp_path: Path) -> Candidate:
    return read_path(write_project(tmp_path / "notes"))


def codes(row: Row) -> list[str]:
    return [each.code for each in row.findings]


def test_a_sound_plugin_would_run(notes: Candidate) -> None:
    plan = plan_of(read(notes))
    (row,) = Checker(plan, as_planned(plan), candidate=notes).check("notes")
    assert (row.state, row.failed, row.findings) == ("active", False, ())


def test_a_plugin_is_tried_with_what_it_needs_and_nothing_else(notes: Candidate) -> None:
    seen = []
    plan = plan_of(read(notes), other("contacts"), other("invoicing", contacts=">=1"))
    attempt = as_planned(plan)
    checker = Checker(plan, lambda without: (seen.append(without), attempt(without))[1])
    checker.check("invoicing")
    assert seen == [("notes",)]


def test_a_process_that_dies_parks_the_plugin(notes: Candidate) -> None:
    checker = Checker(plan_of(read(notes)), lambda _: Trial(ending="died", told="it ended with exit code 3"))
    (row,) = checker.check("notes")
    assert (row.state, codes(row), row.failed) == ("quarantined", ["PH905"], True)
    assert "exit code 3" in row.findings[0].text
    assert row.reason is not None
    assert row.reason.code == "import_failed"


def test_a_process_that_hangs_parks_the_plugin(notes: Candidate) -> None:
    (row,) = Checker(plan_of(read(notes)), lambda _: Trial(ending="hung")).check("notes")
    assert (row.state, codes(row)) == ("quarantined", ["PH906"])
    assert row.reason is not None
    assert row.reason.code == "time_limit"


def test_a_process_that_lingers_is_told(notes: Candidate) -> None:
    plan = plan_of(read(notes))
    trial = Trial(ending="lingers", shown=Shown(entries=plan.entries))
    (row,) = Checker(plan, lambda _: trial).check("notes")
    assert (row.state, codes(row), row.failed) == ("active", ["PH907"], False)
    assert row.warnings == (row.findings[0].text,)


def test_of_several_the_culprit_is_found_alone(notes: Candidate) -> None:
    plan = plan_of(read(notes), other("contacts"))

    def attempt(without: tuple[str, ...]) -> Trial:
        return as_planned(plan)(without) if "notes" in without else Trial(ending="died", told="it ended")

    rows = {row.id: row for row in Checker(plan, attempt).check(None)}
    assert {plugin: row.state for plugin, row in rows.items()} == {"contacts": "active", "notes": "quarantined"}


def test_a_plugin_that_cannot_run_is_not_tried(tmp_path: Path) -> None:
    def attempt(_without: tuple[str, ...]) -> Trial:
        raise AssertionError

    notes = read_path(write_project(tmp_path, {"host_notes/plugin.json": replace("requires", "requries")}))
    (row,) = Checker(plan_of(read(notes)), attempt, candidate=notes).check("notes")
    assert (row.state, row.verified) == ("refused", "static")
    assert {"PH103", "PH104"} <= set(codes(row))


def test_a_host_that_does_not_start_is_no_fault_of_a_plugin(notes: Candidate) -> None:
    trial = Trial(ending="ended", shown=Shown(error="core cannot start"))
    with pytest.raises(CheckError, match="core cannot start"):
        Checker(plan_of(read(notes)), lambda _: trial).check("notes")


def test_an_installed_plugin_that_would_stop_is_named(notes: Candidate) -> None:
    older = Found(
        candidate=Candidate(id="notes", source="wheel", place="notes", version="0.9"), manifest=read(notes).manifest
    )
    needing = other("tags", notes="<1")
    before, after = plan_of(older, needing), plan_of(read(notes), needing)
    (row,) = Checker(after, as_planned(after), candidate=notes, before=before).check("notes")
    assert codes(row) == ["PH803"]
    assert row.findings[0].text.startswith("tags would be refused")
