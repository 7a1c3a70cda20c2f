"""Removing a plugin's tables: what is shown, what goes, what stays, and what is in the way."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings, strategies as st

from plugin_host.database import Database
from plugin_host.migrations import removal
from plugin_host.migrations.belongings import Link, Size, owner_of, quoted
from plugin_host.migrations.export import export_rows
from plugin_host.migrations.locking import Patience
from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.runner import Runner

NAME = "sa.Column('name', sa.String(20))"
FILL = "op.execute(\"INSERT INTO {0} (id, name) VALUES (1, 'Ada'), (2, 'Bo')\")"
IMPATIENT = Patience(process=0.3, table=0.1, tries=2)


def link(to: str, on_delete: str = "CASCADE") -> str:
    """Write a column with a foreign key."""
    return f"sa.Column('other', sa.Integer, sa.ForeignKey({to + '.id'!r}, ondelete={on_delete!r}))"


@pytest.fixture
def contacts(shelf: Any, table: Any, runner: Runner) -> Runner:
    """Migrate contacts, with two rows, beside contactsx, whose names begin in the same way."""
    runner.upgrade(
        [
            shelf("contacts", table("contacts_person", NAME), FILL.format("contacts_person")),
            shelf("contactsx", table("contactsx_person", NAME), FILL.format("contactsx_person")),
        ]
    )
    return runner


def test_preview_names_tables_rows_and_revisions(contacts: Runner, database: Database) -> None:
    shown = removal.preview(database, "contacts")
    assert shown.revisions == ("contacts_0001", "contacts_0002")
    assert [(each.name, each.rows, each.recorded) for each in shown.belongings.tables] == [("contacts_person", 2, True)]
    size = shown.belongings.tables[0].bytes
    assert size is None or size >= 4096
    assert (shown.obstacles, shown.empty) == ((), False)


def test_preview_of_nothing_makes_no_file(tmp_path: Path) -> None:
    shown = removal.preview(Database(f"sqlite:///{tmp_path}/none.db"), "contacts")
    assert shown.empty
    assert list(tmp_path.iterdir()) == []


def test_table_that_no_revision_made_is_marked(contacts: Runner, database: Database, write: Any) -> None:
    write(database, "CREATE TABLE contacts_scratch (id INTEGER PRIMARY KEY)")
    tables = removal.preview(database, "contacts").belongings.tables
    assert [(each.name, each.recorded) for each in tables] == [("contacts_person", True), ("contacts_scratch", False)]


def test_tables_can_be_exported_where_nothing_was_ever_migrated(database: Database, write: Any, tmp_path: Path) -> None:
    write(database, "CREATE TABLE contacts_a (id INTEGER)", "INSERT INTO contacts_a VALUES (1)")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        written = export_rows(database, "contacts", archive, along=lambda _: None, progress=lambda _: None)
        assert archive.read("tables/contacts_a.jsonl") == b'{"id": 1}\n'
    assert [(table["name"], table["rows"]) for table in written["tables"]] == [("contacts_a", 1)]


def test_remove_takes_the_tables_and_the_ledger_and_nothing_of_others(
    contacts: Runner, database: Database, tables: Any, rows: Any
) -> None:
    removal.remove(database, "contacts", actor="ada")
    assert tables(database) == ["contactsx_person"]
    assert list(contacts.state()) == ["contactsx"]
    assert rows(database, "SELECT plugin, revision, op, actor FROM core_migration WHERE plugin = 'contacts'") == [
        ("contacts", "contacts_0002", "purge", "ada")
    ]
    assert rows(database, "SELECT count(*) FROM contactsx_person") == [(2,)]


def test_plugin_that_comes_back_starts_from_nothing(
    contacts: Runner, shelf: Any, table: Any, database: Database, rows: Any
) -> None:
    removal.remove(database, "contacts")
    assert contacts.upgrade([shelf("contacts", table("contacts_person", NAME))]).applied == ("contacts_0001",)
    assert rows(database, "SELECT count(*) FROM contacts_person") == [(0,)]


def test_remove_twice_is_no_error(contacts: Runner, database: Database) -> None:
    removal.remove(database, "contacts")
    assert removal.remove(database, "contacts").empty
    with database.migration_engine() as engine, engine.connect() as connection:
        assert removal.was_removed(connection, "contacts")
        assert not removal.was_removed(connection, "contactsx")


def test_tables_that_point_at_each_other_go_together(
    shelf: Any, table: Any, runner: Runner, database: Database, tables: Any
) -> None:
    circle = f"with op.batch_alter_table('ring_a') as a:\n    a.add_column({link('ring_b')})"
    itself = f"with op.batch_alter_table('ring_b') as b:\n    b.add_column({link('ring_b').replace('other', 'up')})"
    bodies = [table("ring_a"), table("ring_b", link("ring_a")), circle, itself]
    assert runner.upgrade([shelf("ring", *bodies)]).faults == {}
    removal.remove(database, "ring")
    assert tables(database) == []


def test_foreign_key_of_another_plugin_is_in_the_way(
    contacts: Runner, shelf: Any, table: Any, database: Database, tables: Any
) -> None:
    person = shelf("contacts", table("contacts_person", NAME), FILL.format("contacts_person"))
    invoicing = shelf("invoicing", table("invoicing_bill", link("contacts_person")), requires=("contacts",))
    assert contacts.upgrade([person, invoicing]).faults == {}
    shown = removal.preview(database, "contacts")
    assert shown.belongings.inbound == (Link("invoicing_bill", ("other",), "contacts_person", "invoicing"),)
    with pytest.raises(MigrationError, match=r"invoicing_bill \(other\) of invoicing .* purge invoicing first"):
        removal.remove(database, "contacts")
    assert "contacts_person" in tables(database)
    assert removal.preview(database, "invoicing").belongings.outbound == (
        Link("invoicing_bill", ("other",), "contacts_person", "contacts"),
    )
    removal.remove(database, "invoicing")
    removal.remove(database, "contacts")
    assert tables(database) == ["contactsx_person"]


def test_foreign_key_of_an_application_is_in_the_way(contacts: Runner, database: Database, write: Any) -> None:
    write(database, "CREATE TABLE orders (id INTEGER PRIMARY KEY, who INTEGER REFERENCES contacts_person(id))")
    with pytest.raises(MigrationError, match="drop the key first, it is no plugin's"):
        removal.remove(database, "contacts")


def test_view_of_another_plugin_is_in_the_way(contacts: Runner, database: Database, write: Any, tables: Any) -> None:
    write(database, "CREATE VIEW contacts_short AS SELECT name FROM contacts_person")
    write(database, "CREATE VIEW reports_all AS SELECT name FROM contacts_short")
    with pytest.raises(MigrationError, match="view reports_all uses tables of contacts"):
        removal.remove(database, "contacts")
    write(database, "DROP VIEW reports_all")
    removal.remove(database, "contacts")
    assert tables(database) == ["contactsx_person"]


def test_trigger_of_another_plugin_is_in_the_way_on_sqlite(sqlite: Database, write: Any) -> None:
    write(
        sqlite,
        "CREATE TABLE contacts_log (id INTEGER PRIMARY KEY)",
        "CREATE TABLE invoicing_bill (id INTEGER PRIMARY KEY)",
        "CREATE TABLE contacts_own (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER invoicing_tell AFTER DELETE ON invoicing_bill BEGIN DELETE FROM contacts_log; END",
        "CREATE TRIGGER contacts_tell AFTER DELETE ON contacts_own BEGIN DELETE FROM contacts_log; END",
    )
    assert removal.preview(sqlite, "contacts").belongings.uses == ("trigger invoicing_tell",)


def test_everything_that_hangs_on_the_tables_goes_on_sqlite(sqlite: Database, write: Any, rows: Any) -> None:
    write(
        sqlite,
        "CREATE TABLE contacts_person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)",
        "INSERT INTO contacts_person (name) VALUES ('Ada')",
        "CREATE INDEX ix_contacts_person_name ON contacts_person (name)",
        "CREATE VIRTUAL TABLE contacts_search USING fts5(name)",
        "CREATE TRIGGER touched AFTER INSERT ON contacts_person BEGIN SELECT 1; END",
        "CREATE VIEW contacts_short AS SELECT name FROM contacts_person",
    )
    shown = removal.preview(sqlite, "contacts")
    named = {(each.kind, each.name, each.table) for each in shown.belongings.things}
    assert named == {
        ("index", "ix_contacts_person_name", "contacts_person"),
        ("trigger", "touched", "contacts_person"),
        ("view", "contacts_short", ""),
    }
    removal.remove(sqlite, "contacts")
    assert rows(sqlite, "SELECT name FROM sqlite_master WHERE sql LIKE '%contacts%'") == []
    assert rows(sqlite, "SELECT * FROM sqlite_sequence WHERE name LIKE 'contacts%'") == []


@pytest.mark.postgres
def test_everything_that_hangs_on_the_tables_goes_on_postgresql(postgres: Database, write: Any, rows: Any) -> None:
    write(
        postgres,
        "CREATE TYPE contacts_kind AS ENUM ('a', 'b')",
        "CREATE SEQUENCE contacts_number",
        "CREATE TABLE contacts_person (id SERIAL PRIMARY KEY, kind contacts_kind, kinds contacts_kind[], name TEXT,"
        " n INTEGER DEFAULT nextval('contacts_number'))",
        "CREATE INDEX ix_contacts_person_name ON contacts_person (name)",
        "CREATE FUNCTION contacts_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER touched BEFORE INSERT ON contacts_person FOR EACH ROW EXECUTE FUNCTION contacts_touch()",
        "CREATE VIEW contacts_b AS SELECT name FROM contacts_person",
        "CREATE MATERIALIZED VIEW contacts_a AS SELECT name FROM contacts_b",
        "CREATE VIEW contacts_c AS SELECT name FROM contacts_a",
    )
    shown = removal.preview(postgres, "contacts")
    assert shown.belongings.uses == ()
    named = {(each.kind, each.name, each.table) for each in shown.belongings.things}
    assert named >= {
        ("type", "contacts_kind", ""),
        ("sequence", "contacts_number", ""),
        ("function", "contacts_touch()", ""),
        ("view", "contacts_b", ""),
        ("materialized view", "contacts_a", ""),
        ("index", "ix_contacts_person_name", "contacts_person"),
        ("trigger", "touched", "contacts_person"),
    }
    removal.remove(postgres, "contacts")
    for catalogue, name in (("pg_class", "relname"), ("pg_proc", "proname"), ("pg_type", "typname")):
        left = f"SELECT {name} FROM {catalogue} WHERE strpos({name}::text, 'contacts') > 0"  # noqa: S608 - as above
        assert rows(postgres, left) == []


@pytest.mark.postgres
def test_what_others_made_of_it_is_in_the_way_on_postgresql(postgres: Database, write: Any) -> None:
    write(
        postgres,
        "CREATE TYPE contacts_kind AS ENUM ('a', 'b')",
        "CREATE SEQUENCE contacts_number",
        "CREATE TABLE contacts_person (id INTEGER PRIMARY KEY)",
        "CREATE FUNCTION contacts_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TABLE invoicing_bill (kinds contacts_kind[], n BIGINT DEFAULT nextval('contacts_number'))",
        "CREATE TRIGGER called BEFORE INSERT ON invoicing_bill FOR EACH ROW EXECUTE FUNCTION contacts_touch()",
        "CREATE FUNCTION invoicing_of(contacts_person) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    assert removal.preview(postgres, "contacts").belongings.uses == (
        "column kinds of table invoicing_bill",
        "default value for column n of table invoicing_bill",
        "function invoicing_of(contacts_person)",
        "trigger called on table invoicing_bill",
    )
    with pytest.raises(MigrationError, match="invoicing_bill uses tables of contacts"):
        removal.remove(postgres, "contacts")


def test_schema_holds_its_own_plugin_of_that_name(postgres_url: str, shelf: Any, table: Any, rows: Any) -> None:
    plain, inner = Database(postgres_url), Database(postgres_url, schema="apps")
    inner.prepare()
    source = shelf("contacts", table("contacts_person", NAME), FILL.format("contacts_person"))
    for database in (plain, inner):
        assert Runner(database).upgrade([source]).faults == {}
    removal.remove(inner, "contacts")
    assert removal.preview(inner, "contacts").empty
    assert rows(plain, "SELECT count(*) FROM contacts_person") == [(2,)]
    assert list(Runner(plain).state()) == ["contacts"]


def test_key_from_another_schema_is_in_the_way(postgres_url: str, shelf: Any, table: Any, write: Any) -> None:
    inner = Database(postgres_url, schema="apps")
    inner.prepare()
    Runner(inner).upgrade([shelf("contacts", table("contacts_person"))])
    write(Database(postgres_url), "CREATE TABLE orders (who INTEGER REFERENCES apps.contacts_person(id))")
    assert removal.preview(inner, "contacts").belongings.inbound == (
        Link("public.orders", ("who",), "contacts_person", ""),
    )


def test_table_in_use_is_waited_for_and_then_left_whole(postgres: Database, write: Any, tables: Any) -> None:
    write(postgres, "CREATE TABLE contacts_a (id INTEGER)", "CREATE TABLE contacts_b (id INTEGER)")
    with postgres.migration_engine() as engine, engine.begin() as reader:
        reader.exec_driver_sql("SELECT * FROM contacts_b")
        with pytest.raises(MigrationError, match="the tables of contacts are in use"):
            removal.remove(postgres, "contacts", patience=IMPATIENT)
    assert tables(postgres) == ["contacts_a", "contacts_b"]


def test_what_goes_along_stays_when_the_tables_do(contacts: Runner, database: Database, tables: Any, rows: Any) -> None:
    def along(connection: sa.Connection) -> None:
        connection.exec_driver_sql("DELETE FROM contactsx_person")

    def tell(_line: str) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        removal.remove(database, "contacts", along=along, progress=tell)
    assert tables(database) == ["contacts_person", "contactsx_person"]
    assert rows(database, "SELECT count(*) FROM contactsx_person") == [(2,)]


def test_progress_names_what_is_dropped(contacts: Runner, database: Database) -> None:
    lines: list[str] = []
    removal.remove(database, "contacts", progress=lines.append)
    assert "contacts: dropping table contacts_person …" in lines


def test_sizes_are_of_the_plugins_that_were_asked_for(contacts: Runner, database: Database) -> None:
    found = removal.sizes(database, ["contacts", "nothing"])
    assert (found["contacts"].tables, found["contacts"].rows) == (1, 2)
    assert found["nothing"] == Size(0, 0, 0)


@pytest.mark.parametrize("name", ["", "core", "con%", "contacts_", "Contacts", "con_acts", "contacts\n", "a" * 40])
def test_what_is_no_id_is_refused(contacts: Runner, database: Database, name: str, tables: Any) -> None:
    before = tables(database)
    for act in (removal.preview, removal.remove):
        with pytest.raises(MigrationError):
            act(database, name)
    assert tables(database) == before


def test_owner_is_what_stands_before_the_first_underscore() -> None:
    assert [owner_of(name) for name in ("contacts_a_b", "contacts", "public.contacts_a")] == ["contacts", "", ""]


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mine=st.sets(WORDS, max_size=5), others=st.sets(WORDS, max_size=5))
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_any_name_is_dropped_if_it_is_the_plugins_and_left_if_it_is_not(
    kind: str, request: pytest.FixtureRequest, mine: set[str], others: set[str]
) -> None:
    database: Database = request.getfixturevalue(kind)
    own = {f"con_{word}".encode()[:60].decode(errors="ignore") for word in mine}
    foreign = {f"{begin}{word}".encode()[:60].decode(errors="ignore") for word in others for begin in ("conx_", "co_")}
    foreign -= own
    with database.migration_engine() as engine:
        _recreate(engine, own | foreign)
        removal.remove(database, "con")
        left = set(sa.inspect(engine).get_table_names())
    assert left & own == set()
    assert {name.lower() for name in left} >= {name.lower() for name in foreign}


def _recreate(engine: sa.Engine, names: set[str]) -> None:
    """Make these tables and no others; SQLite takes names that differ in case for one."""
    run = {"no_parameters": True}
    with engine.begin() as connection:
        for name in sa.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {quoted(name)}", execution_options=run)
        for name in names:
            connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {quoted(name)} (id INTEGER)", execution_options=run)


# Stops where the first table is dropped, until it is killed.
PROCESS = """
import sys, time
from pathlib import Path
from plugin_host.database import Database
from plugin_host.migrations import removal
url, mark, word = sys.argv[1:]
def tell(line):
    if word in line:
        Path(mark).touch()
        time.sleep(60)
removal.remove(Database(url), "contacts", progress=tell)
"""


@pytest.mark.slow
@pytest.mark.parametrize("word", ["table contacts_a", "table contacts_c"])
def test_process_that_is_killed_in_the_middle_leaves_everything(
    word: str, shelf: Any, table: Any, runner: Runner, database: Database, tables: Any, rows: Any, tmp_path: Path
) -> None:
    contacts = shelf("contacts", table("contacts_a", NAME), FILL.format("contacts_a"), table("contacts_b"), "pass")
    runner.upgrade([contacts])
    with database.migration_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE contacts_c (id INTEGER)")
    mark = tmp_path / "inside"
    url = database.url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", PROCESS, url, str(mark), word])
    try:
        while not mark.exists():
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert tables(database) == ["contacts_a", "contacts_b", "contacts_c"]
    assert rows(database, "SELECT count(*) FROM contacts_a") == [(2,)]
    assert runner.state()["contacts"].revision == "contacts_0004"
    removal.remove(database, "contacts")
    assert removal.preview(database, "contacts").empty
