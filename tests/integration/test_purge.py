"""Removing a plugin as an operator does it: the command, beside a running host, and a package that comes back."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from shutil import copytree, rmtree
from typing import TYPE_CHECKING, Any

import pytest

from plugin_host import PluginHost, Settings
from plugin_host.cli.main import main
from plugin_host.core.removal import Purger
from plugin_host.migrations.removal import sizes
from plugin_host.settings import Loader

from .conftest import PASSWORD, client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = """
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from plugin_host.sdk import PluginBase, get, hookimpl, post

class Base(PluginBase, plugin="notes"):
    pass

class Note(Base):
    __tablename__ = "notes_note"
    id: Mapped[int] = mapped_column(primary_key=True)

@get("/", permission="notes.read")
async def count(db: AsyncSession) -> int:
    return await db.scalar(select(func.count()).select_from(Note))

@post("/", permission="notes.read")
async def add(db: AsyncSession) -> int:
    db.add(Note())
    await db.flush()
    return 1

@hookimpl
def register_routes():
    return [count, add]
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

def upgrade():
    op.create_table("notes_note", sa.Column("id", sa.Integer, primary_key=True))
"""
PERMISSIONS = {
    "permissions": [{"name": "notes.read", "title": "Read notes"}],
    "roles": [{"name": "notes.reader", "title": "Reader", "grants": [{"permission": "notes.read"}]}],
}


@pytest.fixture
def plugins(folder_plugin: Callable[..., Path]) -> Path:
    """Write the plugin notes, which has one table, and give the folder of plugins."""
    plugins = folder_plugin("notes", MODEL, permissions=PERMISSIONS)
    (plugins / "notes" / "migrations").mkdir()
    (plugins / "notes" / "migrations" / "0001_note.py").write_text(REVISION)
    return plugins


@pytest.fixture
def settings(tmp_path: Path, database: str, plugins: Path) -> Settings:
    loader = Loader(folders=(str(plugins),), disabled=("contacts", "invoicing"))
    return Settings(data_dir=str(tmp_path / "data"), database=database, loader=loader)


@pytest.fixture
def run(tmp_path: Path, database: str, plugins: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call plugin-host with the same settings, as a file."""
    config = tmp_path / "plugin-host.toml"
    said = {"data_dir": str(tmp_path / "data"), "database": database}
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
    config.write_text(
        "\n".join(
            [*lines, "[loader]", f"folders = [{json.dumps(str(plugins))}]", "disabled = ['contacts', 'invoicing']"]
        )
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}

    def call(*words: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "plugin_host", "plugins", *words, "--config", str(config)],
            cwd=tmp_path,
            env=environment,
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


async def fill(settings: Settings) -> None:
    """Run a host once: somebody who has the role of notes writes one."""
    async with running(PluginHost(settings)) as host, signed_in(host, "nora", ("notes.reader",)) as browser:
        answer = await browser.post("/api/notes/")
        assert answer.status_code == 201, answer.text


def switch_off(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run("disable", "notes")
    assert done.returncode == 0, done.stderr


async def count(browser: Any) -> int:
    answer = await browser.get("/api/notes/")
    assert answer.status_code == 200, answer.text
    return int(answer.json())


@pytest.mark.anyio
async def test_plugin_that_comes_back_goes_on_where_it_stood(settings: Settings, plugins: Path, tmp_path: Path) -> None:
    await fill(settings)
    copytree(plugins / "notes", tmp_path / "away")
    rmtree(plugins / "notes")
    host = PluginHost(settings)
    async with host.lifespan():
        entry = (await host.plan()).entry("notes")
        size = (await asyncio.to_thread(sizes, host.database, ["notes"]))["notes"]
    assert entry is not None
    assert (entry.state, size.tables, size.rows) == ("orphaned", 1, 1)
    copytree(tmp_path / "away", plugins / "notes")
    host = PluginHost(settings)
    async with host.lifespan(), client(host) as browser:
        await browser.post("/api/core/auth/login", json={"username": "nora", "password": PASSWORD})
        assert await count(browser) == 1  # her row, and her role


@pytest.mark.anyio
async def test_purge_beside_a_running_host_and_a_start_from_nothing(settings: Settings) -> None:
    await fill(settings)
    host = PluginHost(settings)
    elsewhere = PluginHost(settings)
    async with host.lifespan():
        await elsewhere.wishes.wish("notes", "disabled")  # and at once, before the host has followed
        done = await Purger(elsewhere.planner).purge("notes")
        assert done.purged
        async with signed_in(host) as browser:
            assert (await browser.get("/api/notes/")).status_code == 404
            await browser.post("/api/core/plugins/notes/enable")
            assert await count(browser) == 0
    await elsewhere.core.close()
    await elsewhere.database.close()


@pytest.mark.anyio
async def test_running_host_lets_go_of_a_package_that_was_taken_away(settings: Settings, plugins: Path) -> None:
    await fill(settings)
    host = PluginHost(settings)
    async with host.lifespan():
        async with signed_in(host) as browser:
            assert await count(browser) == 1
        rmtree(plugins / "notes")
        lines: list[str] = []
        assert (await Purger(host.planner).purge("notes", progress=lines.append)).purged
        assert lines[0] == "notes: waiting for running hosts to let go of it …"
        assert "notes" not in host.standing.generation.apps


def test_command_shows_exports_and_removes(
    run: Callable[..., subprocess.CompletedProcess[str]], settings: Settings, tmp_path: Path
) -> None:
    asyncio.run(fill(settings))
    refused = run("purge", "notes", "--yes", "notes")
    assert (refused.returncode, "plugin-host plugins disable notes" in refused.stderr) == (1, True)
    switch_off(run)
    shown = run("purge", "notes", "--preview", "--json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert (document["state"], document["size"]["rows"], document["grants"]) == ("disabled", 1, {"notes.reader": 1})
    assert "table notes_note: 1 rows" in run("purge", "notes", "--preview").stdout
    done = run("purge", "notes", "--yes", "notes", "--export", "notes.zip")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("notes is purged, and stays off")
    assert (tmp_path / "notes.zip").is_file()
    again = run("purge", "notes", "--yes", "notes", "--json")
    assert (again.returncode, json.loads(again.stdout)["purged"]) == (0, False)
    assert run("purge", "notes", "--yes", "notes").stdout == "Nothing to purge: nothing is kept of notes.\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nothing", "--yes", "nothing"), 1, "there is no plugin 'nothing'"),
        (("core", "--yes", "core"), 1, "core is the host itself"),
        (("not%", "--preview"), 1, "no id of a plugin"),
        (("notes_", "--yes", "notes_"), 1, "no id of a plugin"),
        (("notes", "--yes", "note"), 2, "--yes note is not notes"),
        (("notes",), 2, "nobody is there to be asked"),
        (("notes", "--preview", "--yes", "notes"), 2, "--preview removes and writes nothing"),
        (("notes", "--preview", "--export", "a.zip"), 2, "--preview removes and writes nothing"),
    ],
)
def test_command_says_in_one_line_what_is_wrong(
    words: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["plugins", "purge", *words])
    assert (end.value.code, said in capsys.readouterr().err, list(tmp_path.iterdir())) == (code, True, [])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_preview_writes_nothing(run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    assert run("purge", "notes", "--preview").returncode == 0
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("typed", "code"), [("notes", 0), ("note", 1)])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_id_has_to_be_typed(
    run: Callable[..., subprocess.CompletedProcess[str]], settings: Settings, typed: str, code: int
) -> None:
    asyncio.run(fill(settings))
    switch_off(run)
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{typed}\n".encode())
    try:
        done = run("purge", "notes", stdin=terminal)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert (done.returncode, "Type notes to remove all of this for good" in done.stderr) == (code, True)
    left = json.loads(run("purge", "notes", "--preview", "--json").stdout)
    assert len(left["tables"]) == code


# Stops in the middle of the transaction until it is killed.
PROCESS = """
import asyncio, sys, time
from pathlib import Path
from plugin_host.core.planner import Planner
from plugin_host.core.removal import Purger
from plugin_host.database import Database
from plugin_host.settings import Settings
def tell(line):
    if "dropping table" in line:
        Path(sys.argv[2]).touch()
        time.sleep(60)
settings = Settings.load(sys.argv[1])
asyncio.run(Purger(Planner(settings, Database(settings.database_url)), patience=0).purge("notes", progress=tell))
"""


@pytest.mark.slow
def test_purge_that_is_killed_has_removed_nothing_and_can_be_done_again(
    run: Callable[..., subprocess.CompletedProcess[str]], settings: Settings, tmp_path: Path
) -> None:
    asyncio.run(fill(settings))
    switch_off(run)
    mark = tmp_path / "inside"
    process = subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path / "plugin-host.toml"), str(mark)])
    try:
        while not mark.exists():
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    left = json.loads(run("purge", "notes", "--preview", "--json").stdout)
    assert (left["size"]["rows"], left["grants"], left["revisions"]) == (1, {"notes.reader": 1}, ["notes_0001"])
    assert run("purge", "notes", "--yes", "notes").returncode == 0
    left = json.loads(run("purge", "notes", "--preview", "--json").stdout)
    assert (left["tables"], left["grants"], left["revisions"]) == ([], {}, [])
