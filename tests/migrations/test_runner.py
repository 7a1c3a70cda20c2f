"""Migrating a real database of each kind: what is applied, what is kept, and what a failure leaves."""

from __future__ import annotations

import getpass
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from plugin_host.database import Database
from plugin_host.migrations import ledger
from plugin_host.migrations.locking import one_process
from plugin_host.migrations.runner import MigrationError, Outcome, Patience, Runner

FAILING = "op.execute(\"INSERT INTO contacts_a (id) VALUES (1)\")\nop.execute('SELECT 1 FROM nowhere')"


def codes(outcome: Outcome) -> dict[str, str]:
    return {plugin: reason.code for plugin, reason in outcome.faults.items()}


def test_applies_everything_core_first(shelf: Any, table: Any, runner: Runner, database: Database, tables: Any) -> None:
    sources = [shelf("contacts", table("contacts_a"), table("contacts_b")), shelf("core", table("core_a"))]
    outcome = runner.upgrade(sources)
    assert outcome == Outcome(("core_0001", "contacts_0001", "contacts_0002"), {}, ())
    assert tables(database) == ["contacts_a", "contacts_b", "core_a"]


def test_second_time_there_is_nothing_to_do(shelf: Any, table: Any, runner: Runner) -> None:
    sources = [shelf("contacts", table("contacts_a"))]
    runner.upgrade(sources)
    assert runner.upgrade(sources) == Outcome((), {}, ())


def test_only_what_is_new_is_applied(shelf: Any, table: Any, runner: Runner) -> None:
    runner.upgrade([shelf("contacts", table("contacts_a"))])
    assert runner.upgrade([shelf("contacts", table("contacts_a"), table("contacts_b"))]).applied == ("contacts_0002",)


def test_state_tells_where_each_plugin_stands(shelf: Any, table: Any, runner: Runner) -> None:
    runner.upgrade([shelf("contacts", table("contacts_b"), table("contacts_a"), requires=("core", "crm"))])
    assert runner.state() == {
        "contacts": ledger.Head("contacts_0002", "ok", ("contacts_a", "contacts_b"), ("core", "crm"))
    }


def test_history_keeps_who_did_what(shelf: Any, table: Any, runner: Runner, database: Database, rows: Any) -> None:
    source = shelf("contacts", table("contacts_a"), version="1.2")
    runner.upgrade([source])
    ((text, *row),) = rows(database, "SELECT source, revision, op, state, version, error, actor FROM core_migration")
    assert row == ["contacts_0001", "up", "ok", "1.2", None, getpass.getuser()]
    assert text == (source.folder / "0001_step.py").read_text(encoding="utf-8")


def test_progress_is_a_line_for_each_revision(shelf: Any, table: Any, runner: Runner) -> None:
    lines: list[str] = []
    runner.upgrade([shelf("contacts", table("contacts_a"))], progress=lines.append)
    (line,) = lines
    assert line.startswith("contacts 0001_step … done (")


def test_one_plugin_up_to_one_revision(shelf: Any, table: Any, runner: Runner) -> None:
    sources = [shelf("contacts", table("contacts_a"), table("contacts_b")), shelf("notes", table("notes_a"))]
    assert runner.upgrade(sources, plugin="contacts", to="contacts_0001").applied == ("contacts_0001",)


def test_names_that_a_revision_leaves_out_are_those_of_the_models(
    shelf: Any, table: Any, runner: Runner, database: Database
) -> None:
    runner.upgrade([shelf("contacts", table("contacts_a", "sa.Column('n', sa.Integer, unique=True)"))])
    with database.migration_engine() as engine:
        found = sa.inspect(engine)
        names = (found.get_pk_constraint("contacts_a")["name"], found.get_unique_constraints("contacts_a")[0]["name"])
    assert names == ("pk_contacts_a", "uq_contacts_a_n")


def test_orphans_are_left_as_they_are(shelf: Any, table: Any, runner: Runner, database: Database, tables: Any) -> None:
    runner.upgrade([shelf("contacts", table("contacts_a"))])
    outcome = runner.upgrade([shelf("core", table("core_a"))])
    assert (outcome.orphans, tables(database)) == (("contacts",), ["contacts_a", "core_a"])


# -- looking ---------------------------------------------------------------------------------------------------


def test_looking_at_an_empty_database_makes_nothing(shelf: Any, runner: Runner, database: Database) -> None:
    plan = runner.pending([shelf("contacts", "pass")])
    assert ([step.revision for step in plan.steps], runner.state()) == (["contacts_0001"], {})
    with database.migration_engine() as engine:
        assert sa.inspect(engine).get_table_names() == []


def test_looking_at_a_file_that_is_not_there_does_not_make_it(shelf: Any, tmp_path: Path) -> None:
    runner = Runner(Database(f"sqlite:///{tmp_path}/none.db"))
    assert len(runner.pending([shelf("contacts", "pass")]).steps) == 1
    assert runner.state() == {}
    assert not (tmp_path / "none.db").exists()


def test_looking_does_not_wait_for_a_writer(shelf: Any, runner: Runner, database: Database) -> None:
    runner.upgrade([shelf("contacts", "pass")])
    with database.migration_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("UPDATE core_migration_head SET state = 'busy'")
        assert runner.state()["contacts"].state == "ok"


def test_an_error_that_is_not_a_missing_ledger_is_not_hidden(
    shelf: Any, runner: Runner, database: Database, write: Any
) -> None:
    runner.upgrade([shelf("contacts", "pass")])
    write(database, "ALTER TABLE core_migration_head RENAME COLUMN objects TO things")
    with pytest.raises(sa.exc.DBAPIError, match="objects"):
        runner.state()


class Counting(Database):
    """Counts what is asked of it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.statements: list[str] = []

    def note(self, *said: Any) -> None:
        self.statements.append(said[2])

    def migration_engine(self) -> Any:
        @contextmanager
        def counted() -> Any:
            with super(Counting, self).migration_engine() as engine:
                event.listen(engine, "before_cursor_execute", self.note)
                yield engine
                event.remove(engine, "before_cursor_execute", self.note)

        return counted()


def test_nothing_to_do_is_one_query(shelf: Any, table: Any, tmp_path: Path) -> None:
    database = Counting(f"sqlite:///{tmp_path}/host.db")
    sources = [shelf("contacts", table("contacts_a")), shelf("notes", table("notes_a"))]
    Runner(database).upgrade(sources)
    database.statements.clear()
    Runner(database).upgrade(sources)
    assert len(database.statements) == 1


def test_nothing_to_do_does_not_import_alembic(shelf: Any, table: Any, sqlite: Database) -> None:
    source = shelf("contacts", table("contacts_a"))
    Runner(sqlite).upgrade([source])
    where = f"Source('contacts', Path({str(source.folder)!r}))"
    code = (
        "import sys\nfrom pathlib import Path\nfrom plugin_host.database import Database\n"
        "from plugin_host.migrations.runner import Runner, Source\n"
        f"outcome = Runner(Database('sqlite:///{sqlite.path}')).upgrade([{where}])\n"
        "print(outcome.applied, outcome.faults, 'alembic' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "() {} False\n"


# -- a revision that fails -------------------------------------------------------------------------------------


def test_failing_revision_leaves_nothing_behind(
    shelf: Any, table: Any, runner: Runner, database: Database, tables: Any, rows: Any
) -> None:
    bodies = "\n".join([table("contacts_b"), "op.add_column('contacts_a', sa.Column('n', sa.Integer))", FAILING])
    runner.upgrade([shelf("contacts", table("contacts_a"), bodies)])
    assert tables(database) == ["contacts_a"]
    assert rows(database, "SELECT * FROM contacts_a") == []
    assert runner.state()["contacts"].revision == "contacts_0001"


def test_failure_has_a_reason_with_file_statement_error_and_way_out(shelf: Any, runner: Runner) -> None:
    source = shelf("contacts", "op.execute('SELECT 1 FROM nowhere')")
    reason = runner.upgrade([source]).faults["contacts"]
    assert reason.code == "migration_failed"
    assert reason.text.startswith(f"contacts_0001 ({source.folder}/0001_step.py:6) failed: ")
    assert "nowhere" in reason.text
    assert reason.text.endswith(". It was rolled back.")
    assert reason.culprits == ("contacts",)
    assert "plugin-host migrate contacts" in reason.way_out


def test_failure_is_written_down(shelf: Any, runner: Runner, database: Database, rows: Any) -> None:
    runner.upgrade([shelf("contacts", "raise ValueError('a \\0 and a \\udcff')")])
    ((revision, op, state, source, error),) = rows(
        database, "SELECT revision, op, state, source, error FROM core_migration"
    )
    assert (revision, op, state, source) == ("contacts_0001", "up", "failed", None)
    assert "ValueError: a  and a ?" in error


def test_failure_is_told(shelf: Any, runner: Runner) -> None:
    lines: list[str] = []
    runner.upgrade([shelf("contacts", "raise ValueError")], progress=lines.append)
    (line,) = lines
    assert line.startswith("contacts 0001_step … failed: contacts_0001 (")
    assert "failed: ValueError. It was rolled back." in line


def test_failure_holds_dependents_and_nobody_else(shelf: Any, table: Any, runner: Runner) -> None:
    sources = [
        shelf("contacts", table("contacts_a"), "1 / 0", table("contacts_c")),
        shelf("invoicing", table("invoicing_a"), requires=("contacts",)),
        shelf("reporting", requires=("invoicing",)),
        shelf("summary", table("summary_a"), requires=("reporting",)),
        shelf("notes", table("notes_a")),
    ]
    lines: list[str] = []
    outcome = runner.upgrade(sources, progress=lines.append)
    assert outcome.applied == ("contacts_0001", "notes_0001")
    assert codes(outcome) == {"contacts": "migration_failed"}
    assert outcome.held == {"invoicing": "contacts", "summary": "contacts"}
    assert "invoicing … not migrated: it waits for contacts" in lines


def test_core_that_fails_holds_everybody(shelf: Any, table: Any, runner: Runner) -> None:
    outcome = runner.upgrade([shelf("core", "1 / 0"), shelf("notes", table("notes_a"), requires=())])
    assert (outcome.applied, outcome.held) == ((), {"notes": "core"})


def test_corrected_revision_is_applied_the_next_time(shelf: Any, table: Any, runner: Runner) -> None:
    source = shelf("contacts", table("contacts_a"), "1 / 0")
    runner.upgrade([source])
    shelf.write("contacts", 2, table("contacts_b"))
    assert runner.upgrade([source]).applied == ("contacts_0002",)


def test_revision_that_ends_the_process_is_a_failure_like_others(shelf: Any, table: Any, runner: Runner) -> None:
    outcome = runner.upgrade([shelf("contacts", "raise SystemExit(3)"), shelf("notes", table("notes_a"))])
    assert (outcome.applied, codes(outcome)) == (("notes_0001",), {"contacts": "migration_failed"})


def test_operator_who_interrupts_is_obeyed(
    shelf: Any, table: Any, runner: Runner, database: Database, tables: Any
) -> None:
    with pytest.raises(KeyboardInterrupt):
        runner.upgrade([shelf("contacts", f"{table('contacts_a')}\nraise KeyboardInterrupt")])
    assert tables(database) == []


@pytest.mark.parametrize("after", ["", "\nop.execute('BEGIN')", "\nraise ValueError"])
def test_revision_that_ends_its_transaction_is_found_out(
    shelf: Any, table: Any, runner: Runner, database: Database, after: str
) -> None:
    outcome = runner.upgrade([shelf("contacts", f"{table('contacts_a')}\nop.execute('COMMIT'){after}")])
    text = outcome.faults["contacts"].text
    if database.dialect == "sqlite":  # which asks before it does so
        assert "says " in text
        assert text.endswith(
            "which is the host's to say: a revision runs in a transaction of the host. It was rolled back."
        )
    else:
        assert "it ended the transaction that it runs in. What it did before may have stayed." in text
    assert runner.state() == {}


def test_failure_that_cannot_be_written_down_stops_nobody(
    shelf: Any, table: Any, runner: Runner, database: Database, write: Any
) -> None:
    source = shelf("notes", table("notes_a"))
    runner.upgrade([source])
    write(database, "ALTER TABLE core_migration RENAME COLUMN error TO mistake")
    contacts, notes = shelf("contacts", "1 / 0"), shelf("notes", table("notes_a"), "pass")
    outcome = runner.upgrade([contacts, notes])
    assert sorted(outcome.faults) == ["contacts", "notes"]


def test_two_plugins_need_each_others_past(shelf: Any, table: Any, runner: Runner) -> None:
    contacts = shelf(
        "contacts",
        table("contacts_a", "sa.Column('n', sa.Integer)"),
        "with op.batch_alter_table('contacts_a') as batch:\n    batch.drop_column('n')",
    )
    invoicing = shelf("invoicing", "pass", requires=("contacts",))
    copy = "op.execute('INSERT INTO invoicing_a (id) SELECT n FROM contacts_a')"
    shelf.write("invoicing", 1, f"{table('invoicing_a')}\n{copy}", says="needs = {'contacts': 'contacts_0001'}")
    assert runner.upgrade([contacts, invoicing]).applied == ("contacts_0001", "invoicing_0001", "contacts_0002")


# -- batch changes ---------------------------------------------------------------------------------------------


def test_batch_change_of_a_parent_loses_no_children(
    shelf: Any, table: Any, runner: Runner, database: Database, rows: Any
) -> None:
    key = "sa.Column('a', sa.Integer, sa.ForeignKey('contacts_a.id', ondelete='CASCADE'))"
    fill = [
        "op.execute('INSERT INTO contacts_a (id, n) VALUES (1, 1), (2, 2)')",
        "op.execute('INSERT INTO contacts_b (id, a) VALUES (1, 1), (2, 1), (3, 2)')",
    ]
    change = "with op.batch_alter_table('contacts_a') as batch:\n    batch.alter_column('n', new_column_name='m')"
    tables = [table("contacts_a", "sa.Column('n', sa.Integer)"), table("contacts_b", key)]
    outcome = runner.upgrade([shelf("contacts", "\n".join([*tables, *fill]), change)])
    assert outcome.faults == {}
    assert rows(database, "SELECT m FROM contacts_a ORDER BY id") == [(1,), (2,)]
    assert rows(database, "SELECT count(*) FROM contacts_b") == [(3,)]


# -- other processes -------------------------------------------------------------------------------------------


class Overtaken(Database):
    """A database in which somebody else acts between our plan and our first revision."""

    def __init__(self, url: str, act: Any) -> None:
        super().__init__(url)
        self.act = act
        self.opened = 0

    def migration_engine(self) -> Any:
        self.opened += 1
        if self.opened == 2:  # the first look is over
            self.act()
        return super().migration_engine()


def test_what_another_process_did_meanwhile_is_not_done_again(
    shelf: Any, table: Any, runner: Runner, database: Database
) -> None:
    sources = [shelf("contacts", table("contacts_a"))]
    late = Overtaken(database.url.render_as_string(hide_password=False), lambda: runner.upgrade(sources))
    assert Runner(late).upgrade(sources) == Outcome((), {}, ())


class Racing(Runner):
    """A runner that is overtaken after its plan was made, as may happen on SQLite between two revisions."""

    def __init__(self, database: Database, act: Any) -> None:
        super().__init__(database)
        self._act = act
        self._plans = 0

    def _plan(self, *said: Any) -> Any:
        plan = super()._plan(*said)
        self._plans += 1
        if self._plans == 2:  # the first is only a look
            self._act()
        return plan


def test_revision_that_was_applied_after_the_plan_is_passed_over(shelf: Any, table: Any, sqlite: Database) -> None:
    sources = [shelf("contacts", table("contacts_a"), table("contacts_b"))]
    racing = Racing(sqlite, lambda: Runner(sqlite).upgrade(sources))
    assert racing.upgrade(sources) == Outcome((), {}, ())


def test_plugin_that_went_back_after_the_plan_is_an_error(shelf: Any, table: Any, sqlite: Database, write: Any) -> None:
    Runner(sqlite).upgrade([shelf("contacts", table("contacts_a"))])
    racing = Racing(sqlite, lambda: write(sqlite, "DELETE FROM core_migration_head"))
    with pytest.raises(MigrationError, match="moved contacts away from the revision before contacts_0002"):
        racing.upgrade([shelf("contacts", table("contacts_a"), table("contacts_b"))])


def test_head_is_not_moved_by_a_revision_itself(
    shelf: Any, table: Any, runner: Runner, database: Database, tables: Any
) -> None:
    runner.upgrade([shelf("contacts", table("contacts_a"))])
    move = "op.execute(\"UPDATE core_migration_head SET revision = 'contacts_0007'\")"
    outcome = runner.upgrade([shelf("contacts", table("contacts_a"), f"{table('contacts_b')}\n{move}")])
    assert codes(outcome) == {"contacts": "migration_foreign"}
    assert tables(database) == ["contacts_a"]


class Hasty(Database):
    """A SQLite database whose connections do not wait for a lock."""

    def migration_engine(self) -> Any:
        @contextmanager
        def hasty() -> Any:
            with super(Hasty, self).migration_engine() as engine:
                event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=1").close())
                yield engine

        return hasty()


def test_another_process_that_does_not_finish_is_an_error_on_sqlite(shelf: Any, sqlite: Database) -> None:
    hasty = Runner(Hasty(str(sqlite.url)), Patience(process=0.2))
    with sqlite.migration_engine() as engine, engine.begin(), pytest.raises(MigrationError, match="another process"):
        hasty.upgrade([shelf("contacts", "pass")])


def test_another_process_that_finishes_is_waited_for_on_sqlite(shelf: Any, sqlite: Database) -> None:
    with closing(sqlite3.connect(str(sqlite.path), isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        Timer(0.3, other.rollback).start()
        outcome = Runner(Hasty(str(sqlite.url)), Patience(process=60)).upgrade([shelf("contacts", "pass")])
    assert outcome.applied == ("contacts_0001",)


@pytest.mark.postgres
def test_another_process_that_does_not_finish_is_an_error_on_postgresql(shelf: Any, postgres: Database) -> None:
    runner = Runner(postgres, Patience(process=0.2))
    with (
        postgres.migration_engine() as engine,
        one_process(engine, Patience()),
        pytest.raises(MigrationError, match="another process"),
    ):
        runner.upgrade([shelf("contacts", "pass")])


@pytest.mark.postgres
def test_the_lock_is_free_afterwards_on_postgresql(shelf: Any, postgres: Database) -> None:
    runner = Runner(postgres, Patience(process=0))
    runner.upgrade([shelf("contacts", "1 / 0")])
    assert runner.upgrade([shelf("contacts", "pass")]).applied == ("contacts_0001",)


@pytest.mark.postgres
def test_two_schemas_do_not_wait_for_each_other(shelf: Any, postgres_url: str) -> None:
    one, two = Database(postgres_url, schema="one"), Database(postgres_url, schema="two")
    one.prepare()
    two.prepare()
    with one.migration_engine() as engine, one_process(engine, Patience()):
        assert Runner(two, Patience(process=0)).upgrade([shelf("contacts", "pass")]).applied == ("contacts_0001",)


@pytest.mark.postgres
def test_table_that_stays_locked_is_a_failure_that_says_so(
    shelf: Any, table: Any, postgres: Database, runner: Runner
) -> None:
    runner = Runner(postgres, Patience(table=0.05, tries=2))
    runner.upgrade([shelf("contacts", table("contacts_a"))])
    column = "op.add_column('contacts_a', sa.Column('n', sa.Integer))"
    with postgres.migration_engine() as engine, engine.begin() as reader:
        reader.exec_driver_sql("SELECT * FROM contacts_a")
        outcome = runner.upgrade([shelf("contacts", table("contacts_a"), column)])
    assert "keeps the table locked" in outcome.faults["contacts"].way_out


@pytest.mark.postgres
def test_table_that_is_locked_for_a_while_is_tried_again(shelf: Any, table: Any, postgres: Database) -> None:
    runner = Runner(postgres, Patience(table=0.1, tries=20))
    runner.upgrade([shelf("contacts", table("contacts_a"))])
    column = "op.add_column('contacts_a', sa.Column('n', sa.Integer))"
    with psycopg.connect(postgres.url.render_as_string(hide_password=False)) as reader:
        reader.execute("SELECT * FROM contacts_a")
        Timer(0.3, reader.rollback).start()
        outcome = runner.upgrade([shelf("contacts", table("contacts_a"), column)])
    assert outcome.applied == ("contacts_0002",)
