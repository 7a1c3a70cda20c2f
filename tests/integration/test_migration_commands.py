"""Migrations as operators and authors meet them: the commands, the API, and a host that goes on around a bad plugin."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from plugin_host import PluginHost, Settings
from plugin_host.cli.main import cli
from plugin_host.database import Database
from plugin_host.settings import Loader, Migrations

from .conftest import running, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[..., Result]

MODELS = """
import datetime as dt
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column
from plugin_host.sdk import PluginBase, object_id

class Base(PluginBase, plugin="notes"):
    pass

class Note(Base):
    __tablename__ = "notes_note"
    id: Mapped[str] = object_id()
    text: Mapped[str] = mapped_column(String(200), index=True)
    written: Mapped[dt.datetime]
"""
MORE = """
class Tag(Base):
    __tablename__ = "notes_tag"
    id: Mapped[str] = object_id()
    note: Mapped[str] = mapped_column(ForeignKey("notes_note.id", ondelete="CASCADE"))
"""
FIRST = """
import sqlalchemy as sa
from alembic import op

def upgrade():
    op.create_table("notes_note", sa.Column("id", sa.Integer, primary_key=True))

def downgrade():
    op.drop_table("notes_note")
"""
ADD = """
import sqlalchemy as sa
from alembic import op

def upgrade():
    op.add_column("notes_note", sa.Column("text", sa.Text()))

def downgrade():
    op.drop_column("notes_note", "text")
"""


class Notes:
    """A folder plugin without code of its own; revisions are written one by one."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "notes"
        (self.folder / "migrations").mkdir(parents=True)
        manifest = {"id": "notes", "name": "Notes", "version": "1.0", "requires": {"core": ">=1.0,<2"}}
        (self.folder / "plugin.json").write_text(json.dumps(manifest))
        (self.folder / "__init__.py").write_text("")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / "migrations" / name
        path.write_text(text)
        return path


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Notes]:
    yield Notes(tmp_path / "plugins")
    for name in [each for each in sys.modules if each == "notes" or each.startswith("notes.")]:
        del sys.modules[name]


@pytest.fixture
def call(tmp_path: Path, database: str, notes: Notes) -> Call:
    """Run a command on the database of the test, with the plugin beside it."""
    config = tmp_path / "plugin-host.toml"
    loader = f'[loader]\nfolders = ["{notes.folder.parent}"]\ndisabled = ["contacts", "invoicing"]\n'
    config.write_text(f'data_dir = "{tmp_path}/data"\ndatabase = "{database}"\n{loader}')

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, [*words, "--config", str(config)])

    return run


def test_plan_writes_nothing_and_migrate_does_what_it_said(call: Call, notes: Notes, tmp_path: Path) -> None:
    notes.write("0001_notes.py", FIRST)
    planned = json.loads(call("migrate", "--plan", "--json").stdout)
    assert planned["pending"][-1] == {"plugin": "notes", "revision": "notes_0001", "phase": None, "held": None}
    assert not (tmp_path / "data").exists()
    done = json.loads(call("migrate", "--json").stdout)
    assert done["applied"] == [each["revision"] for each in planned["pending"]]


def test_history_and_going_back(call: Call, notes: Notes) -> None:
    notes.write("0001_notes.py", FIRST)
    notes.write("0002_text.py", ADD)
    call("migrate")
    asked = call("migrate", "notes", "--to", "notes_0001")
    assert (asked.exit_code, "would drop column text of notes_note" in asked.output) == (1, True)
    assert json.loads(call("migrate", "notes", "--to", "1", "--yes", "--json").stdout)["reverted"] == ["notes_0002"]
    rows = json.loads(call("migrations", "history", "notes", "--json").stdout)["items"]
    assert [(row["op"], row["revision"], row["state"]) for row in rows] == [
        ("up", "notes_0001", "ok"),
        ("up", "notes_0002", "ok"),
        ("down", "notes_0002", "ok"),
    ]


def test_verify_shows_what_was_edited_and_what_was_added_by_hand(call: Call, notes: Notes, database: str) -> None:
    path = notes.write("0001_notes.py", FIRST)
    call("migrate")
    assert call("migrations", "verify").exit_code == 0
    path.write_text(f"# {'a comment is no change'}\n{FIRST}")
    assert call("migrations", "verify", "notes").exit_code == 0
    path.write_text(FIRST.replace("sa.Integer", "sa.BigInteger"))
    with Database(database).migration_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE notes_note ADD COLUMN colour text")
    verified = call("migrations", "verify", "notes", "--json")
    (found,) = json.loads(verified.stdout)["items"]
    assert verified.exit_code == 1
    edited = next(each for each in found["troubles"] if each["kind"] == "edited")
    assert '-    op.create_table("notes_note", sa.Column("id", sa.Integer, primary_key=True))' in edited["diff"]
    assert any("column colour is made by no revision" in each["text"] for each in found["troubles"])


def test_rehearsal_leaves_the_database_as_it_is(call: Call, notes: Notes, database: str, request: Any) -> None:
    notes.write("0001_notes.py", FIRST)
    call("migrate")
    notes.write("0002_text.py", ADD.replace('"notes_note", sa', '"notes_nowhere", sa'))
    into = []
    if database.startswith("postgresql"):
        assert "--into" in str(call("migrate", "--rehearse").exception)
        address = make_database(request)
        into = ["--into", address]
    rehearsed = call("migrate", "--rehearse", "--json", *into)
    document = json.loads(rehearsed.stdout)
    assert (rehearsed.exit_code, document["rehearsed"]) == (1, True)
    assert "notes_nowhere" in document["faults"]["notes"]["text"]
    assert [row["state"] for row in json.loads(call("migrations", "history", "notes", "--json").stdout)["items"]] == [
        "ok"
    ]


def make_database(request: Any) -> str:
    """Give a second empty PostgreSQL database, dropped after the test."""
    import secrets

    import psycopg

    server = request.getfixturevalue("postgres_server")
    name = f"plugin_host_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")

    def drop() -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    request.addfinalizer(drop)
    return f"{request.getfixturevalue('postgres_url').rpartition('/')[0]}/{name}"


def test_sql_is_shown_revision_by_revision(call: Call, notes: Notes) -> None:
    notes.write("0001_notes.py", FIRST)
    notes.write("0002_batch.py", ADD.replace("op.add_column", "op.get_bind().scalar('x') or op.add_column"))
    shown = call("migrate", "notes", "--sql", "--json")
    items = {each["revision"]: each for each in json.loads(shown.stdout)["items"]}
    assert "CREATE TABLE notes_note" in items["notes_0001"]["sql"]
    assert (items["notes_0002"]["sql"], "rehearse it instead" in items["notes_0002"]["problem"]) == (None, True)


def test_tables_are_adopted(call: Call, notes: Notes, database: str) -> None:
    notes.write("0001_notes.py", FIRST)
    call("migrate", "core")
    with Database(database).migration_engine() as engine, engine.begin() as connection:
        kind = "SERIAL" if engine.dialect.name == "postgresql" else "INTEGER"
        key = "CONSTRAINT pk_notes_note PRIMARY KEY (id)"
        connection.exec_driver_sql(f"CREATE TABLE notes_note (id {kind} NOT NULL, {key})")
    refused = call("migrate", "--json")
    assert json.loads(refused.stdout)["faults"]["notes"]["code"] == "migration_unrecorded"
    assert call("migrations", "adopt", "notes", "--at", "notes_0001").exit_code == 0
    assert call("migrate").output == "Nothing to do.\n"


def test_resolving_needs_a_word(call: Call, notes: Notes) -> None:
    assert call("migrations", "resolve", "notes").exit_code == 2


# -- makemigration -----------------------------------------------------------------------------------------------


@pytest.fixture
def author(tmp_path: Path, notes: Notes) -> Call:
    """Run a command as an author does, without a database."""
    config = tmp_path / "plugin-host.toml"
    config.write_text(f'data_dir = "{tmp_path}/none"\n[loader]\nfolders = ["{notes.folder.parent}"]\n')

    def run(*words: str) -> Result:
        for name in [each for each in sys.modules if each == "notes" or each.startswith("notes.")]:
            del sys.modules[name]
        return CliRunner().invoke(cli, [*words, "--config", str(config)])

    return run


def test_first_revision_is_made_from_the_models(author: Call, notes: Notes, tmp_path: Path) -> None:
    (notes.folder / "models.py").write_text(MODELS)
    made = json.loads(author("makemigration", "notes", "-m", "Write notes", "--json").stdout)
    text = Path(made["file"]).read_text()
    assert Path(made["file"]).name == "0001_write_notes.py"
    assert 'phase = "expand"' in text
    assert "sa.DateTime(timezone=True)" in text
    assert "name=op.f('pk_notes_note')" in text
    assert not (tmp_path / "none").exists()
    assert "agree" in author("makemigration", "notes", "-m", "Again").output


def test_next_revision_has_only_what_is_new(author: Call, notes: Notes) -> None:
    (notes.folder / "models.py").write_text(MODELS)
    author("makemigration", "notes", "-m", "Write notes")
    (notes.folder / "models.py").write_text(MODELS + MORE)
    made = json.loads(author("makemigration", "notes", "-m", "Tags", "--json").stdout)
    assert (made["revision"], made["operations"]) == ("notes_0002", ["create table notes_tag"])
    assert "notes_note'," not in Path(made["file"]).read_text().replace("notes_note.id'", "")


def test_nothing_is_dropped_without_a_word(author: Call, notes: Notes) -> None:
    (notes.folder / "models.py").write_text(MODELS + MORE)
    author("makemigration", "notes", "-m", "Write notes")
    (notes.folder / "models.py").write_text(MODELS.replace("    written: Mapped[dt.datetime]\n", ""))
    refused = author("makemigration", "notes", "-m", "Less")
    assert refused.exception is not None
    assert "drop table notes_tag" in str(refused.exception)
    assert "drop column written of notes_note" in str(refused.exception)
    made = json.loads(author("makemigration", "notes", "-m", "Less", "--drop", "--json").stdout)
    assert 'phase = "contract"' in Path(made["file"]).read_text()


def test_required_column_without_a_default_is_warned_of(author: Call, notes: Notes) -> None:
    (notes.folder / "models.py").write_text(MODELS.replace("    written: Mapped[dt.datetime]\n", ""))
    author("makemigration", "notes", "-m", "Write notes")
    (notes.folder / "models.py").write_text(MODELS)
    made = json.loads(author("makemigration", "notes", "-m", "When", "--json").stdout)
    assert "written of notes_note is required and has no server default" in made["warnings"][0]
    assert "phase" not in Path(made["file"]).read_text()


# -- the host ----------------------------------------------------------------------------------------------------


def make_host(settings: Settings, notes: Notes, **migrations: Any) -> PluginHost:
    loader = Loader(folders=[str(notes.folder.parent)], disabled=["contacts", "invoicing"])
    import msgspec

    return PluginHost(msgspec.structs.replace(settings, loader=loader, migrations=Migrations(**migrations)))


def test_api_shows_the_ledger_what_waits_and_orphans(settings: Settings, notes: Notes) -> None:
    notes.write("0001_notes.py", FIRST)

    async def story() -> dict[str, Any]:
        async with running(make_host(settings, notes)):
            pass
        notes.write("0002_text.py", ADD)
        async with running_again(make_host(settings, notes, on_start="check")) as host, signed_in(host) as browser:
            answer = await browser.get("/api/core/migrations")
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

    shown = asyncio.run(story())
    mine = next(each for each in shown["ledger"] if each["plugin"] == "notes")
    assert (mine["revision"], mine["state"], mine["tables"]) == ("notes_0001", "ok", ["notes_note"])
    assert [each["revision"] for each in shown["pending"]] == ["notes_0002"]
    assert shown["orphans"] == []


def running_again(host: PluginHost) -> Any:
    return host.lifespan()


@pytest.mark.security
def test_plugin_that_touches_foreign_rows_is_quarantined_while_others_serve(settings: Settings, notes: Notes) -> None:
    steal = "INSERT INTO core_role_member (role, subject) SELECT 'core.admin', id FROM core_user"
    notes.write("0001_notes.py", f'from alembic import op\n\ndef upgrade():\n    op.execute("{steal}")\n')

    async def story() -> tuple[str, str, int]:
        async with running(make_host(settings, notes)) as host, signed_in(host) as browser:
            row = (await browser.get("/api/core/plugins/notes")).json()
            return row["state"], row["reason"]["code"], (await browser.get("/api/core/auth/me")).status_code

    assert asyncio.run(story()) == ("quarantined", "migration_foreign", 200)
