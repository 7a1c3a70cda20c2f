"""Purging: what is shown, exported and removed of a plugin, and what is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from plugin_host import registry
from plugin_host.access.members import roles_of, set_roles
from plugin_host.core.planner import Planner
from plugin_host.core.removal import Purger
from plugin_host.database import Database
from plugin_host.migrations.planning import MigrationError
from plugin_host.sdk.errors import Problem
from plugin_host.settings import Loader, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
IMPORTS = "import sqlalchemy as sa\nfrom alembic import op\n\n\ndef upgrade():\n"
NOTES = """
    op.create_table('notes_note', sa.Column('id', sa.Integer, primary_key=True), sa.Column('text', sa.Text),
                    sa.Column('up', sa.Integer, sa.ForeignKey('notes_note.id', ondelete='CASCADE')))
    op.execute("INSERT INTO notes_note (id, text, up) VALUES (1, 'milk', 2), (2, 'b''read', NULL)")
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/data/host.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return tmp_path / "plugins"


@pytest.fixture
def plugin(folders: Path) -> Callable[..., None]:
    """Write a folder plugin that has one revision."""

    def write(plugin_id: str, body: str = "    pass\n", **keys: Any) -> None:
        folder = folders / plugin_id
        (folder / "migrations").mkdir(parents=True, exist_ok=True)
        said = {"id": plugin_id, "name": plugin_id, "version": "1.0", "requires": {"core": ">=1.0,<2"}, **keys}
        (folder / "plugin.json").write_text(json.dumps(said))
        (folder / "__init__.py").write_text("")
        (folder / "migrations" / "0001_first.py").write_text(IMPORTS + body)

    return write


@pytest.fixture
async def planner(url: str, folders: Path, tmp_path: Path) -> AsyncIterator[Planner]:
    loader = Loader(folders=(str(folders),), disabled=("tasks",))
    settings = Settings(
        data_dir=str(tmp_path / "data"), database=url, loader=loader, plugins={"notes": {"color": "red"}, "other": {}}
    )
    planner = Planner(settings, Database(url))
    yield planner
    await planner.database.close()


@pytest.fixture
async def notes(planner: Planner, plugin: Callable[..., None]) -> Planner:
    """Have notes with two rows, two people with its roles, and a file; switched off."""
    plugin("notes", NOTES)
    await planner.migrate(None, None, None)
    folder = Path(planner.settings.data_dir) / "files" / "notes" / "a"
    folder.mkdir(parents=True)
    (folder / "one.txt").write_text("one")
    async with writing(planner) as session:
        await set_roles(session, "7", ["notes.editor", "core.admin", "notesx.editor"], None)
        await set_roles(session, "8", ["notes.editor", "notes.viewer"], None)
        await registry.wish(session, "notes", "disabled")
    return planner


class writing:  # noqa: N801 - reads as a verb
    """One transaction."""

    def __init__(self, planner: Planner) -> None:
        self._unit = planner.database.unit()

    async def __aenter__(self) -> Any:
        return self._unit.session

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None:
            await self._unit.commit()
        await self._unit.close()


async def read(planner: Planner, statement: str) -> list[tuple[Any, ...]]:
    async with writing(planner) as session:
        return [tuple(row) for row in await session.execute(text(statement))]


async def roles(planner: Planner, user: str) -> tuple[str, ...]:
    async with writing(planner) as session:
        return await roles_of(session, user)


def purger(planner: Planner) -> Purger:
    return Purger(planner, patience=0.1)


async def test_preview_shows_everything_that_is_kept(notes: Planner) -> None:
    shown = await purger(notes).preview("notes")
    assert (shown.state, shown.version, shown.installed, shown.registered) == ("disabled", "1.0", True, True)
    assert [(table.name, table.rows) for table in shown.tables] == [("notes_note", 2)]
    assert shown.grants == {"notes.editor": 2, "notes.viewer": 1}
    assert (shown.files.count, shown.files.bytes) == (1, 3)
    assert shown.settings == ("plugins.notes.color",)
    assert (shown.obstacles, shown.purged, shown.empty) == ((), False, False)


async def test_purge_removes_all_of_it_and_nothing_of_others(notes: Planner) -> None:
    before = await notes.database.revision()
    done = await purger(notes).purge("notes", actor="ada")
    assert done.purged
    assert await roles(notes, "7") == ("core.admin", "notesx.editor")
    assert await roles(notes, "8") == ()
    assert not (Path(notes.settings.data_dir) / "files" / "notes").exists()
    after = await notes.database.revision()
    assert (after.policy > before.policy, after.wishes > before.wishes) == (True, True)
    shown = await purger(notes).preview("notes")
    assert (shown.tables, shown.revisions, shown.grants, shown.empty) == ((), (), {}, True)


async def test_purged_plugin_that_is_installed_stays_off_until_it_starts_from_nothing(notes: Planner) -> None:
    async with writing(notes) as session:
        await registry.consent(session, "notes", b"{}")
    await purger(notes).purge("notes")
    entry = (await notes.plan()).entry("notes")
    assert entry is not None
    assert entry.state == "disabled"
    assert await read(notes, "SELECT wish, consent FROM core_plugin WHERE id = 'notes'") == [("disabled", None)]
    async with writing(notes) as session:
        await registry.wish(session, "notes", "enabled")
    assert (await notes.migrate(None, None, None)).applied == ("notes_0001",)


async def test_purge_of_one_whose_package_is_gone(notes: Planner, folders: Path) -> None:
    rmtree(folders / "notes")
    shown = await purger(notes).preview("notes")
    assert (shown.state, shown.installed, shown.version) == ("orphaned", False, None)
    assert (await purger(notes).purge("notes")).purged
    assert await read(notes, "SELECT id FROM core_plugin WHERE id = 'notes'") == []
    assert (await notes.verified()).entry("notes") is None


async def test_second_purge_finds_nothing(notes: Planner, folders: Path) -> None:
    rmtree(folders / "notes")
    await purger(notes).purge("notes")
    again = await purger(notes).purge("notes")
    assert (again.purged, again.empty) == (False, True)


async def test_active_plugin_is_not_purged(notes: Planner) -> None:
    async with writing(notes) as session:
        await registry.wish(session, "notes", "enabled")
    with pytest.raises(Problem, match="run `plugin-host plugins disable notes` first") as refused:
        await purger(notes).purge("notes")
    assert refused.value.status == 409
    assert await read(notes, "SELECT count(*) FROM notes_note") == [(2,)]


async def test_plugin_that_requires_it_is_named_also_when_its_package_is_gone(
    notes: Planner, plugin: Callable[..., None], folders: Path
) -> None:
    async with writing(notes) as session:
        await registry.wish(session, "notes", "enabled")
    key = "sa.Column('note', sa.Integer, sa.ForeignKey('notes_note.id', ondelete='CASCADE'))"
    plugin("bills", f"    op.create_table('bills_bill', {key})\n", requires={"core": ">=1.0,<2", "notes": ">=1.0"})
    assert (await notes.migrate(None, None, None)).applied == ("bills_0001",)
    assert [(each.id, each.state) for each in (await purger(notes).preview("notes")).dependents] == [
        ("bills", "active")
    ]
    rmtree(folders / "bills")
    async with writing(notes) as session:
        await registry.wish(session, "notes", "disabled")
    shown = await purger(notes).preview("notes")
    assert [(each.id, each.state) for each in shown.dependents] == [("bills", "orphaned")]
    with pytest.raises(
        Problem, match=r"bills_bill \(note\) of bills has a foreign key to notes_note: purge bills first"
    ):
        await purger(notes).purge("notes")
    await purger(notes).purge("bills")
    assert (await purger(notes).purge("notes")).purged


async def test_tables_of_an_application_are_not_taken_for_a_plugin(notes: Planner) -> None:
    async with writing(notes) as session:
        await session.execute(text("CREATE TABLE shop_order (id INTEGER)"))
    with pytest.raises(Problem, match="there is no plugin 'shop'"):
        await purger(notes).purge("shop")
    assert await read(notes, "SELECT count(*) FROM shop_order") == [(0,)]


@pytest.mark.parametrize("name", ["core", "not%", "notes_", "../notes", ""])
async def test_what_is_no_id_is_refused(notes: Planner, name: str) -> None:
    with pytest.raises(MigrationError):
        await purger(notes).purge(name)


async def test_plugin_that_is_enabled_meanwhile_is_left_alone(notes: Planner) -> None:
    waiting = purger(notes)

    async def enable(_plugin: object, _tell: object) -> None:
        async with writing(notes) as session:
            await registry.wish(session, "notes", "enabled")

    waiting._let_go = enable  # type: ignore[method-assign,assignment]
    with pytest.raises(MigrationError, match="enabled meanwhile"):
        await waiting.purge("notes")
    assert await read(notes, "SELECT count(*) FROM notes_note") == [(2,)]
    assert await roles(notes, "8") == ("notes.editor", "notes.viewer")


async def test_folder_that_is_left_goes_with_the_next_purge(notes: Planner, folders: Path) -> None:
    rmtree(folders / "notes")
    await purger(notes).purge("notes")
    folder = Path(notes.settings.data_dir) / "files" / "notes"
    folder.mkdir(parents=True)
    assert (await purger(notes).purge("notes")).purged
    assert not folder.exists()


async def test_link_in_place_of_the_folder_is_not_followed(notes: Planner, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    folder = Path(notes.settings.data_dir) / "files" / "notes"
    rmtree(folder)
    folder.symlink_to(elsewhere)
    assert (await purger(notes).preview("notes")).files.count == 0
    await purger(notes).purge("notes")
    assert (folder.is_symlink(), (elsewhere / "precious").exists()) == (False, True)


async def test_settings_that_switch_it_off_are_named(planner: Planner, plugin: Callable[..., None]) -> None:
    plugin("tasks")
    shown = await purger(planner).preview("tasks")
    assert (shown.settings, shown.empty) == (("loader.disabled",), True)


# -- the export ---------------------------------------------------------------------------------------

VALUES = {
    "sqlite": (
        "CREATE TABLE notes_value (a INTEGER, b REAL, c TEXT, d BLOB, e DATETIME, f JSON, g NUMERIC(10, 2), h)",
        [
            (2**62, 0.1, 'q"\n\u20ac\0', b"\0\xff", "2026-11-24 22:00:00.000001", '{"a": [1.10]}', 12.5, None),
            (None, float("inf"), "", b"", None, "null", -1, b"in a column without a type"),
        ],
    ),
    "postgresql": (
        """CREATE TABLE notes_value (a BIGINT, b DOUBLE PRECISION, c VARCHAR(20), d BYTEA, e TIMESTAMPTZ, f JSONB,
           g NUMERIC(30, 10), h TEXT[], i BOOLEAN, j notes_kind, k UUID, l DATE, m INTERVAL, n JSON)""",
        [
            (
                *(2**62, 0.1, 'q"\n\u20ac', b"\0\xff", dt.datetime(2026, 11, 24, 22, 0, 0, 1, dt.UTC), '{"a": [1.10]}'),
                *("12345678901234567890.0123456789", ["a", None, 'b"'], True, "odd, one"),
                *(
                    "6f7f6e0e-0000-4000-8000-000000000000",
                    dt.date(1, 1, 1),
                    dt.timedelta(days=-1, seconds=3),
                    '{"b":1.0}',
                ),
            ),
            (None, float("nan"), "", b"", None, "null", "NaN", [], False, "even", None, None, None, None),
        ],
    ),
}


@pytest.fixture
async def valued(notes: Planner) -> Planner:
    """Have a table of every kind of value beside the notes."""
    table, rows = VALUES[notes.database.dialect]
    marks = ", ".join(f":v{n}" for n in range(len(rows[0])))
    async with writing(notes) as session:
        if notes.database.dialect == "postgresql":
            await session.execute(text("CREATE TYPE notes_kind AS ENUM ('odd, one', 'even')"))
            await session.execute(text("CREATE TABLE notes_counted (id SERIAL PRIMARY KEY, n INTEGER)"))
            await session.execute(text("INSERT INTO notes_counted (n) VALUES (1), (2), (3)"))
        await session.execute(text(table))
        for row in rows:
            await session.execute(
                text(f"INSERT INTO notes_value VALUES ({marks})"),  # noqa: S608 - marks
                {f"v{n}": v for n, v in enumerate(row)},
            )
    return notes


async def everything(planner: Planner) -> dict[str, list[str]]:
    """Read all rows of the plugin as texts that tell every difference."""
    shown = await purger(planner).preview("notes")
    tables = [table.name for table in shown.tables]
    return {name: sorted(map(repr, await read(planner, f"SELECT * FROM {name}"))) for name in tables}  # noqa: S608


async def test_export_is_whole_private_and_tells_what_it_holds(valued: Planner, tmp_path: Path) -> None:
    file = tmp_path / "notes.zip"
    lines: list[str] = []
    await purger(valued).export("notes", file, lines.append)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert "notes_note: 2 rows written" in lines
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        about = json.loads(archive.read("export.json"))
        grants = [json.loads(line) for line in archive.read("grants.jsonl").splitlines()]
        ledger = [json.loads(line) for line in archive.read("ledger.jsonl").splitlines()]
        assert archive.read("files/a/one.txt") == b"one"
        rows = [json.loads(line) for line in archive.read("tables/notes_note.jsonl").splitlines()]
    assert (about["format"], about["plugin"], about["version"], about["files"]) == (1, "notes", "1.0", 1)
    columns = {table["name"]: table["columns"] for table in about["tables"]}["notes_note"]
    assert [(column["name"], column["type"].lower(), column["key"]) for column in columns] == [
        ("id", "integer", 1),
        ("text", "text", 0),
        ("up", "integer", 0),
    ]
    assert sorted((grant["subject"], grant["role"]) for grant in grants) == [
        ("user:7", "notes.editor"),
        ("user:8", "notes.editor"),
        ("user:8", "notes.viewer"),
    ]
    assert [(row["revision"], row["op"], "notes_note" in row["source"]) for row in ledger] == [
        ("notes_0001", "up", True)
    ]
    assert rows == [{"id": 1, "text": "milk", "up": 2}, {"id": 2, "text": "b'read", "up": None}]


async def test_export_read_back_as_the_docs_say_gives_every_row(valued: Planner, tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/remove-a-plugin.md").read_text(encoding="utf-8")
    printed = re.search(r":caption: read_back\.py\n\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert printed is not None
    script = tmp_path / "read_back.py"
    script.write_text(printed[1])
    file = tmp_path / "notes.zip"
    before = await everything(valued)
    await purger(valued).export("notes", file)
    async with writing(valued) as session:
        for table in before:
            await session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - ours
    if valued.database.dialect == "postgresql":
        await read(valued, "SELECT setval('notes_counted_id_seq', 1, false)")
    url = valued.database.url.render_as_string(hide_password=False).replace("postgresql:", "postgresql+psycopg:")
    await valued.database.close()
    words = [sys.executable, script, file, url]
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "notes_value: 2 rows" in done.stdout
    assert await everything(valued) == before
    if valued.database.dialect == "postgresql":
        assert await read(valued, "SELECT nextval('notes_counted_id_seq')") == [(4,)]


async def test_purge_with_an_export_writes_it_before(notes: Planner, tmp_path: Path) -> None:
    await purger(notes).purge("notes", export=tmp_path / "notes.zip")
    with zipfile.ZipFile(tmp_path / "notes.zip") as archive:
        assert len(archive.read("tables/notes_note.jsonl").splitlines()) == 2


@pytest.mark.parametrize("name", ["there.zip", "none/notes.zip"])
async def test_purge_whose_export_fails_removes_nothing(notes: Planner, tmp_path: Path, name: str) -> None:
    (tmp_path / "there.zip").write_text("mine")
    with pytest.raises(Problem, match=r"is there already|cannot be written"):
        await purger(notes).purge("notes", export=tmp_path / name)
    assert await read(notes, "SELECT count(*) FROM notes_note") == [(2,)]
    assert (tmp_path / "there.zip").read_text() == "mine"
    assert list(tmp_path.glob(".*.part")) == []


async def test_export_puts_those_first_that_others_point_to(notes: Planner, tmp_path: Path) -> None:
    async with writing(notes) as session:
        await session.execute(text("CREATE TABLE notes_z (id INTEGER PRIMARY KEY)"))
        await session.execute(text("CREATE TABLE notes_a (z INTEGER REFERENCES notes_z(id))"))
    await purger(notes).export("notes", tmp_path / "notes.zip")
    with zipfile.ZipFile(tmp_path / "notes.zip") as archive:
        names = [table["name"] for table in json.loads(archive.read("export.json"))["tables"]]
    assert names.index("notes_z") < names.index("notes_a")
