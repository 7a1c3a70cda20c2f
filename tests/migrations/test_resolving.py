"""Ways out: revisions that were not finished, tables without a ledger, going back, waiting for others, and copies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plugin_host.database import Database
from plugin_host.migrations import backup
from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.resolving import adopt, descend, preview_descent, resolve
from plugin_host.migrations.runner import Patience, Runner, Source
from plugin_host.migrations.shape import differences, shape_of

ALONE = "transactional = False"
INDEX = "op.create_index('ix_n', 'contacts_a', ['n'], postgresql_concurrently=True)"
NUMBER = "sa.Column('n', sa.Integer)"


def silent(_line: str) -> None: ...


# -- outside of a transaction ------------------------------------------------------------------------------------


def test_index_is_made_concurrently(shelf: Any, table: Any, runner: Runner, database: Database) -> None:
    source = shelf("contacts", table("contacts_a", NUMBER), INDEX)
    shelf.write("contacts", 2, INDEX, says=ALONE)
    assert runner.upgrade([source]).faults == {}
    assert (runner.state()["contacts"].revision, runner.state()["contacts"].state) == ("contacts_0002", "ok")


@pytest.fixture
def dirty(shelf: Any, table: Any, postgres: Database) -> Source:
    """Give a plugin whose second revision stopped half way, after it had made a table."""
    source: Source = shelf("contacts", table("contacts_a", NUMBER))
    shelf.write("contacts", 2, f"{table('contacts_b')}\n1 / 0", says=ALONE)
    reason = Runner(postgres).upgrade([source]).faults["contacts"]
    assert (reason.code, "part of it may have been done" in reason.text) == ("migration_dirty", True)
    return source


@pytest.mark.postgres
def test_half_done_revision_waits_for_a_word(dirty: Source, postgres: Database) -> None:
    reason = Runner(postgres).upgrade([dirty]).faults["contacts"]
    assert reason.code == "migration_dirty"
    assert "contacts_0002 runs outside of a transaction, and was not finished" in reason.text
    assert "plugin-host migrations resolve contacts --retry" in reason.way_out


@pytest.mark.postgres
def test_half_done_revision_is_said_to_be_done(dirty: Source, postgres: Database) -> None:
    assert resolve(postgres, dirty, applied=True) == "contacts_0002"
    assert Runner(postgres).upgrade([dirty]).faults == {}
    assert Runner(postgres).state()["contacts"].objects == ("contacts_a", "contacts_b")


@pytest.mark.postgres
def test_half_done_revision_is_tried_again(
    dirty: Source, shelf: Any, table: Any, postgres: Database, write: Any
) -> None:
    write(postgres, "DROP TABLE contacts_b")
    shelf.write("contacts", 2, table("contacts_b"), says=ALONE)
    assert resolve(postgres, dirty, applied=False) == "contacts_0002"
    assert Runner(postgres).upgrade([dirty]).applied == ("contacts_0002",)


@pytest.mark.postgres
def test_index_that_was_not_finished_is_named_and_dropped(shelf: Any, table: Any, postgres: Database) -> None:
    fill = "op.execute('INSERT INTO contacts_a (id, n) VALUES (1, 1), (2, 1)')"
    source = shelf("contacts", f"{table('contacts_a', NUMBER)}\n{fill}")
    shelf.write("contacts", 2, INDEX.replace("['n']", "['n'], unique=True"), says=ALONE)
    assert "It left ix_n unfinished." in Runner(postgres).upgrade([source]).faults["contacts"].text
    resolve(postgres, source, applied=False)
    shelf.write("contacts", 2, INDEX, says=ALONE)
    assert Runner(postgres).upgrade([source]).applied == ("contacts_0002",)


def test_there_must_be_something_to_resolve(shelf: Any, table: Any, runner: Runner, database: Database) -> None:
    source = shelf("contacts", table("contacts_a"))
    runner.upgrade([source])
    with pytest.raises(MigrationError, match="no revision that was not finished"):
        resolve(database, source, applied=True)


# -- tables without a ledger -------------------------------------------------------------------------------------


def test_tables_that_the_ledger_does_not_know_are_not_built_upon(
    shelf: Any, table: Any, runner: Runner, database: Database, write: Any, tables: Any
) -> None:
    write(database, "CREATE TABLE contacts_a (id integer PRIMARY KEY)")
    reason = runner.upgrade([shelf("contacts", table("contacts_a"), table("contacts_b"))]).faults["contacts"]
    assert (reason.code, tables(database)) == ("migration_unrecorded", ["contacts_a"])
    assert "plugin-host migrations adopt contacts --at contacts_0002" in reason.way_out


def shape(source: Source, tmp_path: Path, to: str) -> Any:
    scratch = Database(f"sqlite:///{tmp_path}/scratch.db")
    Runner(scratch).upgrade([source], plugin=source.plugin, to=to)
    with scratch.migration_engine() as engine, engine.connect() as connection:
        return shape_of(connection, source.plugin)


def test_tables_are_adopted_where_they_are_what_a_revision_makes(
    shelf: Any, table: Any, sqlite: Database, tmp_path: Path
) -> None:
    source = shelf("contacts", table("contacts_a", NUMBER), table("contacts_b"))
    wanted = shape(source, tmp_path, "1")
    with sqlite.migration_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE contacts_a (id INTEGER NOT NULL, n INTEGER, CONSTRAINT pk_contacts_a PRIMARY KEY (id))"
        )
    assert adopt(sqlite, source, "1", wanted) == "contacts_0001"
    assert Runner(sqlite).upgrade([source]).applied == ("contacts_0002",)


def test_tables_that_are_otherwise_are_not_adopted(
    shelf: Any, table: Any, sqlite: Database, tmp_path: Path, write: Any
) -> None:
    source = shelf("contacts", table("contacts_a", NUMBER))
    wanted = shape(source, tmp_path, "1")
    write(sqlite, "CREATE TABLE contacts_a (id INTEGER NOT NULL PRIMARY KEY, m TEXT)")
    with pytest.raises(MigrationError, match="column n is missing") as caught:
        adopt(sqlite, source, "contacts_0001", wanted)
    assert "column m is made by no revision" in str(caught.value)
    assert Runner(sqlite).state() == {}


def test_what_the_ledger_knows_is_not_adopted(shelf: Any, table: Any, runner: Runner, database: Database) -> None:
    source = shelf("contacts", table("contacts_a"))
    runner.upgrade([source])
    with pytest.raises(MigrationError, match="knows contacts already"):
        adopt(database, source, "1", {})


# -- going back --------------------------------------------------------------------------------------------------


def write_pair(shelf: Any, table: Any) -> Source:
    source: Source = shelf("contacts", table("contacts_a", NUMBER), "pass")
    path = source.folder / "0002_step.py" if source.folder else Path()
    path.write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f"def upgrade():\n    {table('contacts_b')}\n    op.add_column('contacts_a', sa.Column('m', sa.Integer))\n\n"
        "def downgrade():\n    op.drop_column('contacts_a', 'm')\n    op.drop_table('contacts_b')\n",
        encoding="utf-8",
    )
    return source


def test_going_back_says_what_is_lost_and_does_nothing(
    shelf: Any, table: Any, runner: Runner, database: Database, tables: Any
) -> None:
    source = write_pair(shelf, table)
    runner.upgrade([source])
    descent = preview_descent(database, source, "1")
    assert (descent.revisions, descent.lost) == (("contacts_0002",), ("column m of contacts_a", "table contacts_b"))
    assert tables(database) == ["contacts_a", "contacts_b"]


def test_going_back_leaves_what_the_revision_before_made(
    shelf: Any, table: Any, runner: Runner, database: Database, tables: Any, rows: Any
) -> None:
    source = write_pair(shelf, table)
    runner.upgrade([source])
    assert descend(database, source, "contacts_0001", progress=silent) == ("contacts_0002",)
    assert (tables(database), runner.state()["contacts"].revision) == (["contacts_a"], "contacts_0001")
    assert rows(database, "SELECT op, revision FROM core_migration ORDER BY id")[-1] == ("down", "contacts_0002")
    assert runner.upgrade([source]).applied == ("contacts_0002",)


@pytest.mark.parametrize(
    ("to", "said"), [("7", "is no revision of contacts"), ("x", "is no revision"), ("0", "has no downgrade")]
)
def test_going_back_to_where_nobody_can(
    shelf: Any, table: Any, runner: Runner, database: Database, to: str, said: str
) -> None:
    source = write_pair(shelf, table)
    runner.upgrade([source])
    with pytest.raises(MigrationError, match=said):
        descend(database, source, to, progress=silent)
    assert runner.state()["contacts"].revision == "contacts_0002"


def test_what_another_plugin_stands_on_is_not_taken_back(
    shelf: Any, table: Any, runner: Runner, database: Database
) -> None:
    contacts = write_pair(shelf, table)
    invoicing = shelf("invoicing", "pass", requires=("contacts",))
    shelf.write("invoicing", 1, table("invoicing_a"), says="needs = {'contacts': 'contacts_0002'}")
    runner.upgrade([contacts, invoicing])
    with pytest.raises(MigrationError, match="invoicing_0001 needs contacts_0002"):
        preview_descent(database, contacts, "1", ["invoicing"])


def test_downgrade_that_fails_leaves_its_revision(shelf: Any, table: Any, runner: Runner, database: Database) -> None:
    source = write_pair(shelf, table)
    path = (source.folder or Path()) / "0002_step.py"
    path.write_text(path.read_text("utf-8").replace("drop_table('contacts_b')", "drop_table('contacts_x')"), "utf-8")
    runner.upgrade([source])
    with pytest.raises(MigrationError, match="contacts_x"):
        descend(database, source, "1", progress=silent)
    assert runner.state()["contacts"].revision == "contacts_0002"
    with database.migration_engine() as engine:
        assert "m" in {column["name"] for column in sa.inspect(engine).get_columns("contacts_a")}


# -- contract ----------------------------------------------------------------------------------------------------

CONTRACT = "phase = 'contract'"


def test_what_an_older_version_uses_stays_while_it_runs(shelf: Any, table: Any, database: Database) -> None:
    source = shelf("contacts", table("contacts_a", NUMBER), version="1.1")
    Runner(database).upgrade([source])
    shelf.write("contacts", 2, table("contacts_b"), says="phase = 'expand'")
    shelf.write("contacts", 3, "op.drop_column('contacts_a', 'n')", says=CONTRACT)
    outcome = Runner(database, running=lambda _: {"process 7 on web1": "1.0"}).upgrade([source])
    assert (outcome.applied, outcome.faults) == (("contacts_0002",), {})
    wait = outcome.waits["contacts"]
    assert (wait.revisions, wait.needed) == (("contacts_0003",), False)
    assert "process 7 on web1 runs 1.0, not 1.1" in wait.text
    assert Runner(database, running=lambda _: {"process 7 on web1": "1.1"}).upgrade([source]).applied == (
        "contacts_0003",
    )


def test_what_comes_after_a_contract_waits_with_it_and_is_needed(shelf: Any, table: Any, runner: Runner) -> None:
    source = shelf("contacts", table("contacts_a", NUMBER), version="1.1")
    runner.upgrade([source])
    shelf.write("contacts", 2, "op.drop_column('contacts_a', 'n')", says=CONTRACT)
    shelf.write("contacts", 3, table("contacts_b"))
    waiting = Runner(runner._database, running=lambda _: {"process 7": "1.0"}).upgrade([source]).waits["contacts"]
    assert (waiting.revisions, waiting.needed) == (("contacts_0002", "contacts_0003"), True)


def test_on_an_empty_database_nothing_waits(shelf: Any, table: Any, database: Database) -> None:
    source = shelf("contacts", table("contacts_a", NUMBER), "pass", version="1.1")
    shelf.write("contacts", 2, "op.drop_column('contacts_a', 'n')", says=CONTRACT)
    assert len(Runner(database, running=lambda _: {"process 7": "1.0"}).upgrade([source]).applied) == 2


# -- copies ------------------------------------------------------------------------------------------------------


def copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / backup.FOLDER).glob("host-*.db"))


def test_first_start_has_nothing_to_copy(shelf: Any, table: Any, sqlite: Database, tmp_path: Path) -> None:
    Runner(sqlite).upgrade([shelf("contacts", table("contacts_a"))])
    assert copies(tmp_path) == []


def test_database_is_copied_before_it_is_changed(
    shelf: Any, table: Any, sqlite: Database, tmp_path: Path, write: Any
) -> None:
    Runner(sqlite).upgrade([shelf("contacts", table("contacts_a"))])
    write(sqlite, "INSERT INTO contacts_a (id) VALUES (7)")
    lines: list[str] = []
    Runner(sqlite).upgrade(
        [shelf("contacts", table("contacts_a"), "op.drop_table('contacts_a')")], progress=lines.append
    )
    (copy,) = copies(tmp_path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert f"copied to {copy}" in lines[0]
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT id FROM contacts_a").fetchall() == [(7,)]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_revision_that_fails_at_every_start_does_not_fill_the_disk(
    shelf: Any, table: Any, sqlite: Database, tmp_path: Path
) -> None:
    Runner(sqlite).upgrade([shelf("contacts", table("contacts_a"))])
    for _ in range(3):
        Runner(sqlite).upgrade([shelf("contacts", table("contacts_a"), "1 / 0")])
    assert len(copies(tmp_path)) == 1


def test_three_copies_are_kept(shelf: Any, table: Any, sqlite: Database, tmp_path: Path) -> None:
    bodies = [table("contacts_a")]
    for number in range(5):
        Runner(sqlite).upgrade([shelf("contacts", *bodies)])
        bodies.append(table(f"contacts_n{number}"))
    assert len(copies(tmp_path)) == backup.KEPT


def test_without_room_nothing_is_changed(shelf: Any, table: Any, sqlite: Database, tmp_path: Path, tables: Any) -> None:
    Runner(sqlite).upgrade([shelf("contacts", table("contacts_a"))])
    (tmp_path / backup.FOLDER).write_text("in the way")
    with pytest.raises(MigrationError, match=r"no copy of .* could be made before migrating"):
        Runner(sqlite).upgrade([shelf("contacts", table("contacts_a"), table("contacts_b"))])
    assert tables(sqlite) == ["contacts_a"]


# -- shapes ------------------------------------------------------------------------------------------------------


def test_differences_are_told_by_name() -> None:
    wanted = {"a_x": {"column n": "integer", "index ix": "(n)"}, "a_y": {}}
    found = {"a_x": {"column n": "text", "column m": "text"}, "a_z": {}}
    assert differences(wanted, found) == (
        "a_x: column m is made by no revision",
        "a_x: column n is text, not integer",
        "a_x: index ix is missing",
        "the table a_y is missing",
        "the table a_z is made by no revision",
    )


def test_patience_is_short_for_tables() -> None:
    assert Patience().table < Patience().process
