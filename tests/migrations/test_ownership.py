"""A revision changes tables of its own plugin only: by whatever statement, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from plugin_host.database import Database
from plugin_host.migrations.ownership import foreign_changes, look
from plugin_host.migrations.runner import Runner, Source
from plugin_host.sdk.errors import Reason

FUNCTION = "suppress_redundant_updates_trigger"  # one that every PostgreSQL has
NUMBER = "sa.Column('n', sa.Integer)"


def link(target: str, on_delete: str | None) -> str:
    return f"sa.Column('other', sa.Integer, sa.ForeignKey('{target}.id', ondelete={on_delete!r}))"


class Pair:
    """contacts with a table of its own, and invoicing, which requires it and does as a test says."""

    def __init__(self, shelf: Any, table: Any, runner: Runner) -> None:
        self._shelf = shelf
        self._runner = runner
        self.contacts: Source = shelf(
            "contacts", f"{table('contacts_a', NUMBER)}\nop.create_index('ix_a', 'contacts_a', ['n'])"
        )
        runner.upgrade([self.contacts])

    def invoicing(
        self, *bodies: str, requires: tuple[str, ...] = ("core", "contacts"), says: str = ""
    ) -> Reason | None:
        """Let invoicing do this; give the reason why it was refused. `says` goes above the first revision."""
        source = self._shelf("invoicing", *bodies, requires=requires)
        if says:
            self._shelf.write("invoicing", 1, bodies[0], says=says)
        return self._runner.upgrade([self.contacts, source]).faults.get("invoicing")


@pytest.fixture
def pair(shelf: Any, table: Any, runner: Runner) -> Pair:
    return Pair(shelf, table, runner)


@pytest.mark.security
@pytest.mark.parametrize(
    "body",
    [
        "op.add_column('contacts_a', sa.Column('m', sa.Integer))",
        "op.drop_index('ix_a', 'contacts_a')\nop.drop_column('contacts_a', 'n')",
        "with op.batch_alter_table('contacts_a') as batch:\n    batch.alter_column('n', nullable=False)",
        "op.drop_table('contacts_a')",
        "op.rename_table('contacts_a', 'invoicing_a')",
        "op.create_index('ix_b', 'contacts_a', ['n'])",
        "op.drop_index('ix_a', 'contacts_a')",
        "op.execute('CREATE VIEW contacts_v AS SELECT 1 AS one')",
        "op.create_table('contacts_b', sa.Column('id', sa.Integer, primary_key=True))",
        "op.create_table('reporting_a', sa.Column('id', sa.Integer, primary_key=True))",
        "op.create_table('people', sa.Column('id', sa.Integer, primary_key=True))",
        "op.drop_table('core_migration')",
    ],
)
def test_change_outside_the_prefix_is_refused(pair: Pair, body: str, database: Database) -> None:
    with database.migration_engine() as engine, engine.begin() as connection:
        before = look(connection)
    reason = pair.invoicing(body)
    assert reason is not None
    assert reason.code == "migration_foreign"
    assert reason.culprits[0] == "invoicing"
    with database.migration_engine() as engine, engine.begin() as connection:
        assert foreign_changes("", before, look(connection)) == set()


@pytest.mark.security
def test_reason_names_what_was_changed_and_whose_it_is(pair: Pair) -> None:
    reason = pair.invoicing("op.create_index('ix_b', 'contacts_a', ['n'])")
    assert reason is not None
    assert reason.text.startswith("invoicing_0001 (")
    assert reason.text.endswith(
        ") changes contacts_a: what belongs to invoicing begins with 'invoicing_'. It was rolled back."
    )
    assert reason.culprits == ("invoicing", "contacts")


@pytest.mark.parametrize(
    "bodies",
    [
        (
            "op.create_table('invoicing_a', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))",
            "with op.batch_alter_table('invoicing_a') as batch:\n    batch.alter_column('n', nullable=False)",
            "op.create_index('ix_n', 'invoicing_a', ['n'])",
            "op.execute('CREATE VIEW invoicing_v AS SELECT n FROM invoicing_a')",
            "op.execute('DROP VIEW invoicing_v')\nop.rename_table('invoicing_a', 'invoicing_b')",
            "op.drop_table('invoicing_b')",
        ),
        ("op.execute('CREATE TEMPORARY TABLE scratch (n integer)')",),
    ],
)
def test_change_inside_the_prefix_is_allowed(pair: Pair, bodies: tuple[str, ...]) -> None:
    assert pair.invoicing(*bodies) is None


@pytest.mark.parametrize("on_delete", ["CASCADE", "SET NULL"])
def test_foreign_key_to_a_required_plugin_that_lets_rows_go_is_allowed(pair: Pair, table: Any, on_delete: str) -> None:
    assert pair.invoicing(table("invoicing_a", link("contacts_a", on_delete))) is None


def test_foreign_key_that_keeps_rows_of_others_is_refused(pair: Pair, table: Any) -> None:
    reason = pair.invoicing(table("invoicing_a", link("contacts_a", None)))
    assert reason is not None
    assert (reason.code, "keeps rows of contacts from being deleted" in reason.text) == ("migration_foreign", True)


def test_foreign_key_to_a_plugin_that_is_not_required_is_refused(pair: Pair, table: Any) -> None:
    reason = pair.invoicing(table("invoicing_a", link("contacts_a", "CASCADE")), requires=("core",))
    assert reason is not None
    assert "invoicing does not require contacts" in reason.text


def test_foreign_key_inside_the_plugin_may_be_of_any_kind(pair: Pair, table: Any) -> None:
    assert pair.invoicing(f"{table('invoicing_a')}\n{table('invoicing_b', link('invoicing_a', None))}") is None


def test_foreign_key_to_core_needs_no_word(pair: Pair, shelf: Any, table: Any, runner: Runner) -> None:
    sources = [shelf("core", table("core_a")), shelf("notes", table("notes_a", link("core_a", "CASCADE")), requires=())]
    assert runner.upgrade(sources).faults == {}


def test_table_that_another_refers_to_is_not_dropped(pair: Pair, shelf: Any, table: Any, runner: Runner) -> None:
    assert pair.invoicing(table("invoicing_a", link("contacts_a", "CASCADE"))) is None
    contacts = pair.contacts
    shelf.write("contacts", 2, "op.drop_table('contacts_a')")
    assert "contacts" in runner.upgrade([contacts]).faults


def test_rows_that_point_nowhere_are_refused(pair: Pair, table: Any, database: Database, tables: Any) -> None:
    point = "op.execute('INSERT INTO invoicing_a (id, other) VALUES (1, 77)')"
    assert pair.invoicing(f"{table('invoicing_a', link('contacts_a', 'CASCADE'))}\n{point}") is not None
    assert tables(database) == ["contacts_a"]


def test_own_tables_stay_when_there_are_none(pair: Pair, runner: Runner) -> None:
    assert pair.invoicing("pass") is None
    assert runner.state()["invoicing"].objects == ()


# -- rows ------------------------------------------------------------------------------------------------------

NEEDS = "needs = {'contacts': 'contacts_0001'}"
FILL = "INSERT INTO contacts_a (id, n) VALUES (1, 1)"


@pytest.mark.security
@pytest.mark.parametrize(
    "body",
    [
        "op.execute('SELECT n FROM contacts_a')",
        "op.get_bind().scalar(sa.text('SELECT count(*) FROM contacts_a'))",
        "try:\n    op.get_bind().execute(sa.text('SELECT n FROM contacts_a'))\nexcept Exception:\n    pass",
        "op.execute('CREATE TABLE invoicing_x AS SELECT * FROM contacts_a')",
    ],
)
def test_reading_what_is_not_said_to_be_needed_is_refused(pair: Pair, body: str, tables: Any, database: Any) -> None:
    reason = pair.invoicing(body)
    assert reason is not None
    assert (reason.code, reason.culprits) == ("migration_foreign", ("invoicing", "contacts"))
    assert "reads contacts_a, and does not say that it needs contacts" in reason.text
    assert 'needs = {"contacts": "contacts_0001"}' in reason.way_out
    assert tables(database) == ["contacts_a"]


def test_reading_what_is_said_to_be_needed_is_allowed(pair: Pair) -> None:
    assert pair.invoicing("op.execute('CREATE TABLE invoicing_x AS SELECT n FROM contacts_a')", says=NEEDS) is None


@pytest.mark.security
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE contacts_a SET n = 5",
        "DELETE FROM contacts_a",
        "INSERT INTO contacts_a (id, n) VALUES (2, 2)",
        "UPDATE core_migration_head SET revision = 'invoicing_0007'",
    ],
)
def test_rows_of_others_are_never_changed(pair: Pair, statement: str, write: Any, rows: Any, database: Any) -> None:
    write(database, FILL)
    reason = pair.invoicing(f"op.execute({statement!r})", says=NEEDS)
    assert reason is not None
    assert (reason.code, "changes co" in reason.text) == ("migration_foreign", True)
    assert rows(database, "SELECT id, n FROM contacts_a") == [(1, 1)]


@pytest.mark.security
@pytest.mark.parametrize("word", ["PRAGMA foreign_keys=ON", "ATTACH ':memory:' AS other", "COMMIT"])
def test_what_the_host_says_to_sqlite_no_revision_says(sqlite: Database, shelf: Any, table: Any, word: str) -> None:
    faults = Runner(sqlite).upgrade([shelf("contacts", f'{table("contacts_a")}\nop.execute("{word}")')]).faults
    assert f"says {word.split(maxsplit=1)[0]}" in faults["contacts"].text
    assert "which is the host's to say" in faults["contacts"].text


@pytest.mark.postgres
@pytest.mark.security
def test_truncating_a_foreign_table_is_refused(postgres: Database, shelf: Any, table: Any, rows: Any) -> None:
    reason = Pair(shelf, table, Runner(postgres)).invoicing("op.execute('TRUNCATE contacts_a')")
    assert reason is not None
    assert reason.code == "migration_foreign"


def test_a_plugin_that_is_rolled_back_holds_up_nobody(pair: Pair, shelf: Any, table: Any, runner: Runner) -> None:
    bad = shelf("bad", "op.execute('DROP TABLE contacts_a')")
    outcome = runner.upgrade([pair.contacts, bad, shelf("notes", table("notes_a"))])
    assert (outcome.applied, outcome.faults["bad"].code) == (("notes_0001",), "migration_foreign")


def test_filling_a_table_with_keys_to_another_plugin_reads_nothing_of_it(pair: Pair, table: Any, write: Any) -> None:
    write(pair._runner._database, FILL)
    fill = "op.execute('INSERT INTO invoicing_a (id, other) VALUES (1, 1)')"
    assert pair.invoicing(f"{table('invoicing_a', link('contacts_a', 'CASCADE'))}\n{fill}") is None


# -- PostgreSQL only -------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.parametrize(
    "body",
    [
        "op.execute('ALTER TABLE contacts_a ENABLE ROW LEVEL SECURITY')",
        f"op.execute('CREATE TRIGGER t BEFORE UPDATE ON contacts_a FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()')",
        "op.execute('CREATE RULE r AS ON DELETE TO contacts_a DO INSTEAD NOTHING')",
        "op.execute('CREATE POLICY p ON contacts_a')",
        "op.execute('ALTER TABLE contacts_a ALTER n SET DEFAULT 5')",
        "op.execute('ALTER TABLE contacts_a ADD CHECK (n > 0)')",
        "op.execute('CREATE SEQUENCE contacts_s')",
        "op.execute('CREATE SCHEMA elsewhere')\nop.execute('CREATE TABLE elsewhere.invoicing_a (id integer)')",
    ],
)
def test_other_ways_to_change_a_table_are_refused(postgres: Database, shelf: Any, table: Any, body: str) -> None:
    runner = Runner(postgres)
    pair = Pair(shelf, table, runner)
    reason = pair.invoicing(body)
    assert reason is not None
    assert reason.code == "migration_foreign"


@pytest.mark.postgres
def test_what_somebody_else_commits_meanwhile_is_not_held_against_the_plugin(
    postgres: Database, shelf: Any, table: Any
) -> None:
    url = postgres.url.render_as_string(hide_password=False)
    act = (
        f"import psycopg\nwith psycopg.connect({url!r}) as other:\n    other.execute('CREATE TABLE app_a (id integer)')"
    )
    assert Runner(postgres).upgrade([shelf("contacts", f"{act}\n{table('contacts_a')}")]).faults == {}


@pytest.mark.postgres
def test_tables_lie_in_the_schema_of_the_host(postgres_url: str, shelf: Any, table: Any) -> None:
    database = Database(postgres_url, schema="apps")
    database.prepare()
    runner = Runner(database)
    runner.upgrade([shelf("contacts", table("contacts_a"))])
    assert runner.state()["contacts"].objects == ("contacts_a",)
    with database.migration_engine() as engine:
        assert sa.inspect(engine).has_table("contacts_a", schema="apps")


# -- SQLite only -----------------------------------------------------------------------------------------------


def test_trigger_on_a_foreign_table_is_refused(sqlite: Database, shelf: Any, table: Any) -> None:
    body = "op.execute('CREATE TRIGGER t AFTER DELETE ON contacts_a BEGIN SELECT 1; END')"
    reason = Pair(shelf, table, Runner(sqlite)).invoicing(body)
    assert reason is not None
    assert reason.code == "migration_foreign"


def test_parent_that_was_dropped_is_missed(sqlite: Database, shelf: Any, table: Any) -> None:
    runner = Runner(sqlite)
    pair = Pair(shelf, table, runner)
    pair.invoicing(table("invoicing_a", link("contacts_a", "CASCADE")))
    shelf.write("contacts", 2, "op.drop_table('contacts_a')")
    reason = runner.upgrade([pair.contacts]).faults["contacts"]
    assert "leaves invoicing_a with a foreign key to contacts_a, which is not there" in reason.text


def test_rows_that_pointed_nowhere_before_are_not_held_against_others(
    sqlite: Database, shelf: Any, table: Any, write: Any
) -> None:
    runner = Runner(sqlite)
    Pair(shelf, table, runner).invoicing(table("invoicing_a", link("contacts_a", "CASCADE")))
    write(sqlite, "INSERT INTO invoicing_a (id, other) VALUES (1, 77)")
    assert runner.upgrade([shelf("notes", table("notes_a"))]).faults == {}
