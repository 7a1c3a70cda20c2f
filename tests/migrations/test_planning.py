"""What would be done, from files and ledger rows: no database."""

from __future__ import annotations

from typing import Any

import pytest

from plugin_host.migrations.planning import Applied, MigrationError, MigrationPlan, make_plan
from plugin_host.migrations.revisions import Source, checksum

EMPTY = "pass"


class Past:
    """A ledger: what was applied of each plugin, and which plugins were asked about."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Applied]] = {}
        self.asked: list[str] = []

    def add(self, source: Source, number: int, text: str | None = None) -> None:
        """Say that a revision ran, with the text of its file or another one."""
        assert source.folder is not None
        if text is None:
            text = (source.folder / f"{number:04d}_step.py").read_text(encoding="utf-8")
        row = Applied(checksum(text), text, source.version)
        self.rows.setdefault(source.plugin, {})[f"{source.plugin}_{number:04d}"] = row

    def __call__(self, plugin: str) -> dict[str, Applied]:
        self.asked.append(plugin)
        return self.rows.get(plugin, {})


@pytest.fixture
def past() -> Past:
    return Past()


def steps(plan: MigrationPlan) -> list[str]:
    return [step.revision for step in plan.steps]


def test_everything_waits_on_an_empty_database(shelf: Any, past: Past) -> None:
    sources = [shelf("contacts", EMPTY, EMPTY), shelf("core", EMPTY, requires=())]
    assert steps(make_plan(sources, {}, past)) == ["core_0001", "contacts_0001", "contacts_0002"]


def test_nothing_waits_when_the_heads_are_there_and_the_history_is_not_asked(shelf: Any, past: Past) -> None:
    plan = make_plan([shelf("contacts", EMPTY, EMPTY)], {"contacts": "contacts_0002"}, past)
    assert (plan, past.asked) == (MigrationPlan((), {}, ()), [])


def test_nothing_is_opened_when_nothing_waits(shelf: Any, past: Past) -> None:
    source = shelf("contacts", EMPTY)
    (source.folder / "0001_step.py").write_bytes(b"\xff")
    assert make_plan([source], {"contacts": "contacts_0001"}, past).faults == {}


def test_plugin_in_the_ledger_without_a_source_is_an_orphan(shelf: Any, past: Past) -> None:
    plan = make_plan([shelf("core", EMPTY)], {"core": "core_0001", "old": "old_0003"}, past)
    assert plan.orphans == ("old",)


def test_fault_in_the_files_holds_dependents_and_nobody_else(shelf: Any, past: Past) -> None:
    bad = shelf("contacts", EMPTY)
    (bad.folder / "0003_gap.py").write_text("")
    sources = [bad, shelf("invoicing", EMPTY, requires=("contacts",)), shelf("notes", EMPTY)]
    plan = make_plan(sources, {}, past)
    assert (steps(plan), list(plan.faults), plan.held) == (["notes_0001"], ["contacts"], {"invoicing": "contacts"})


def test_dependent_with_nothing_to_apply_is_not_held(shelf: Any, past: Past) -> None:
    bad = shelf("contacts", EMPTY)
    (bad.folder / "0003_gap.py").write_text("")
    sources = [bad, shelf("invoicing", EMPTY, requires=("contacts",))]
    assert make_plan(sources, {"invoicing": "invoicing_0001"}, past).held == {}


def test_needs_of_the_files_order_the_steps(shelf: Any, past: Past) -> None:
    contacts, invoicing = shelf("contacts", EMPTY, EMPTY), shelf("invoicing", EMPTY, requires=("contacts",))
    shelf.write("invoicing", 1, EMPTY, says='needs = {"contacts": "contacts_0001"}')
    assert steps(make_plan([contacts, invoicing], {}, past)) == ["contacts_0001", "invoicing_0001", "contacts_0002"]


@pytest.mark.parametrize(
    ("bodies", "said"), [((EMPTY, EMPTY), "contacts ends at contacts_0002"), ((), "contacts has no revisions")]
)
def test_need_beyond_what_is_there_is_a_fault(shelf: Any, past: Past, bodies: tuple[str, ...], said: str) -> None:
    contacts, invoicing = shelf("contacts", *bodies), shelf("invoicing", EMPTY, requires=("contacts",))
    shelf.write("invoicing", 1, EMPTY, says='needs = {"contacts": "contacts_0003"}')
    reason = make_plan([contacts, invoicing], {}, past).faults["invoicing"]
    assert f"needs contacts_0003 ({said})." in reason.text
    assert reason.culprits == ("invoicing", "contacts")


# -- an older release than the tables ------------------------------------------------------------------------


def test_older_release_than_the_tables_is_told_so(shelf: Any, past: Past) -> None:
    past.add(shelf("contacts", EMPTY, EMPTY, version="1.2"), 2)
    plan = make_plan([shelf("contacts", EMPTY, version="1.1")], {"contacts": "contacts_0002"}, past)
    reason = plan.faults["contacts"]
    assert reason.code == "schema_newer"
    assert reason.text == (
        "The tables of contacts are at contacts_0002, made by version 1.2; version 1.1 ends at contacts_0001."
    )
    assert reason.way_out == (
        "Install contacts 1.2 or later; to go back, take the tables back with that version first: "
        "plugin-host migrate contacts --to 1."
    )


def test_older_release_without_revisions_is_told_so_though_the_history_is_lost(shelf: Any, past: Past) -> None:
    plan = make_plan([Source("contacts", None)], {"contacts": "contacts_0001"}, past)
    assert plan.faults["contacts"].text == "The tables of contacts are at contacts_0001; version ? brings no revisions."


def test_older_release_runs_on_what_is_only_added(shelf: Any, past: Past) -> None:
    newer = shelf("contacts", EMPTY, EMPTY, EMPTY)
    for number in (2, 3):
        past.add(newer, number, 'phase = "expand"\n')
    plan = make_plan([shelf("contacts", EMPTY)], {"contacts": "contacts_0003"}, past)
    assert (steps(plan), plan.faults) == ([], {})


def test_one_revision_that_is_not_expand_is_enough(shelf: Any, past: Past) -> None:
    newer = shelf("contacts", EMPTY, EMPTY, EMPTY)
    past.add(newer, 2, 'phase = "contract"\n')
    past.add(newer, 3, 'phase = "expand"\n')
    plan = make_plan([shelf("contacts", EMPTY)], {"contacts": "contacts_0003"}, past)
    assert plan.faults["contacts"].code == "schema_newer"


# -- edited after it was applied -----------------------------------------------------------------------------


def test_edited_code_is_not_built_upon(shelf: Any, past: Past) -> None:
    source = shelf("contacts", EMPTY, EMPTY)
    past.add(source, 1)
    shelf.write("contacts", 1, "op.execute('SELECT 1')")
    reason = make_plan([source], {"contacts": "contacts_0001"}, past).faults["contacts"]
    assert (reason.code, "was edited after it was applied" in reason.text) == ("migration_edited", True)


def test_edited_comment_is_no_edit(shelf: Any, past: Past) -> None:
    source = shelf("contacts", EMPTY, EMPTY)
    past.add(source, 1)
    shelf.write("contacts", 1, "pass  # nothing to see")
    assert steps(make_plan([source], {"contacts": "contacts_0001"}, past)) == ["contacts_0002"]


def test_what_an_applied_revision_needed_does_not_matter_any_more(shelf: Any, past: Past) -> None:
    source = shelf("contacts", EMPTY, EMPTY)
    shelf.write("contacts", 1, EMPTY, says='needs = {"gone": "gone_0001"}')
    past.add(source, 1)
    assert steps(make_plan([source], {"contacts": "contacts_0001"}, past)) == ["contacts_0002"]


# -- one plugin, up to one revision --------------------------------------------------------------------------


def test_one_plugin_brings_what_it_requires_and_nobody_else(shelf: Any, past: Past) -> None:
    sources = [
        shelf("core", EMPTY, requires=()),
        shelf("contacts", EMPTY, requires=()),
        shelf("invoicing", EMPTY, requires=("contacts",)),
        shelf("notes", EMPTY),
    ]
    plan = make_plan(sources, {"notes": "notes_0001"}, past, plugin="invoicing")
    assert (steps(plan), plan.orphans) == (["core_0001", "contacts_0001", "invoicing_0001"], ())


@pytest.mark.parametrize("to", ["contacts_0002", "0002", "2"])
def test_last_revision_may_be_named(shelf: Any, past: Past, to: str) -> None:
    plan = make_plan([shelf("contacts", EMPTY, EMPTY, EMPTY)], {}, past, plugin="contacts", to=to)
    assert steps(plan) == ["contacts_0001", "contacts_0002"]


def test_where_it_stands_already_is_nothing_to_do(shelf: Any, past: Past) -> None:
    source = shelf("contacts", EMPTY, EMPTY)
    plan = make_plan([source], {"contacts": "contacts_0001"}, past, plugin="contacts", to="1")
    assert steps(plan) == []


@pytest.mark.parametrize("to", ["contacts_0009", "1", "invoicing_0001", "soon"])
def test_revision_that_is_not_ahead_is_an_error_that_names_those_that_are(shelf: Any, past: Past, to: str) -> None:
    source = shelf("contacts", EMPTY, EMPTY, EMPTY)
    with pytest.raises(MigrationError, match="there are: contacts_0002, contacts_0003"):
        make_plan([source], {"contacts": "contacts_0002"}, past, plugin="contacts", to=to)


def test_fault_is_told_before_the_revision_is_looked_for(shelf: Any, past: Past) -> None:
    source = shelf("contacts")
    shelf.write("contacts", 3, EMPTY)
    assert make_plan([source], {}, past, plugin="contacts", to="9").faults["contacts"].code == "migration_missing"


def test_plugin_that_is_not_there_is_an_error_that_names_those_that_are(shelf: Any, past: Past) -> None:
    with pytest.raises(MigrationError, match="no plugin 'contact' to migrate; there are: contacts, notes"):
        make_plan([shelf("notes"), shelf("contacts")], {}, past, plugin="contact")
