"""Several processes at once, and a process that is killed: each revision is applied once and whole."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plugin_host.database import Database
from plugin_host.migrations.runner import Runner, Source

pytestmark = pytest.mark.slow

# Takes its sources as the test has them; waits until the file `go` is there, so that all begin at once.
PROCESS = """
import sys, time
from pathlib import Path
from plugin_host.database import Database
from plugin_host.migrations.runner import Runner, Source
url, root, *plugins = sys.argv[1:]
sources = [Source(plugin, Path(root) / plugin, ("core",)) for plugin in plugins]
runner = Runner(Database(url))
Path(root, f"ready{time.time_ns()}").touch()
while not Path(root, "go").exists():
    time.sleep(0.005)
outcome = runner.upgrade(sources)
print(*outcome.applied, *(reason.text for reason in outcome.faults.values()), sep="\\n")
"""


def start(database: Database, sources: list[Source]) -> subprocess.Popen[str]:
    root = sources[0].folder.parent if sources[0].folder else Path()
    said = [database.url.render_as_string(hide_password=False), str(root), *(source.plugin for source in sources)]
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, *said], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition: Any) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the other process did not come that far"
        time.sleep(0.01)


def test_four_processes_apply_each_revision_once(
    shelf: Any, table: Any, database: Database, tables: Any, rows: Any
) -> None:
    names = ["core", "contacts", "invoicing", "notes"]
    sources = [shelf(name, *(table(f"{name}_{letter}") for letter in "abc")) for name in names]
    root = sources[0].folder.parent
    processes = [start(database, sources) for _ in range(4)]
    wait_for(lambda: len(list(root.glob("ready*"))) == 4)
    (root / "go").touch()
    answers = [process.communicate(timeout=120) for process in processes]
    assert [error for _, error in answers] == [""] * 4
    everything = [f"{name}_000{number}" for name in names for number in (1, 2, 3)]
    assert sorted(line for out, _ in answers for line in out.split()) == sorted(everything)
    assert sorted(rows(database, "SELECT revision, state FROM core_migration")) == sorted((r, "ok") for r in everything)
    assert tables(database) == sorted(f"{name}_{letter}" for name in names for letter in "abc")


def test_process_that_is_killed_leaves_whole_revisions(
    shelf: Any, table: Any, database: Database, tables: Any, runner: Runner
) -> None:
    contacts = shelf("contacts", table("contacts_a"), "pass", table("contacts_c"))
    root = contacts.folder.parent
    mark = f"from pathlib import Path\nPath({str(root / 'inside')!r}).touch()\nimport time\ntime.sleep(60)"
    fill = "op.execute('INSERT INTO contacts_b (id) VALUES (1)')"
    shelf.write("contacts", 2, f"{table('contacts_b')}\n{fill}\n{mark}")
    (root / "go").touch()
    process = start(database, [contacts])
    wait_for((root / "inside").exists)
    process.kill()
    process.communicate()
    assert tables(database) == ["contacts_a"]
    shelf.write("contacts", 2, table("contacts_b"))
    outcome = Runner(database).upgrade([contacts])
    assert (outcome.applied, outcome.faults) == (("contacts_0002", "contacts_0003"), {})


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_four_processes_start_twenty_times(
    kind: str, shelf: Any, table: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    names = ["core", "contacts", "invoicing", "notes", "reports", "tasks"]
    sources = [shelf(name, *(table(f"{name}_{letter}") for letter in "abc")) for name in names]
    everything = sorted(f"{name}_000{number}" for name in names for number in (1, 2, 3))
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    root = sources[0].folder.parent
    for start_number in range(20):
        where = (url, f"s{start_number}") if url else (f"sqlite:///{tmp_path}/{start_number}.db", None)
        database = Database(where[0], schema=where[1])
        database.prepare()
        for left in (*root.glob("ready*"), *root.glob("go")):
            left.unlink()
        address = f"{where[0]}?options=-csearch_path%3D{where[1]}" if url else where[0]
        processes = [start(Database(address), sources) for _ in range(4)]
        wait_for(lambda: len(list(root.glob("ready*"))) == 4)
        (root / "go").touch()
        answers = [process.communicate(timeout=120) for process in processes]
        assert [error for _, error in answers] == [""] * 4
        assert sorted(line for out, _ in answers for line in out.split()) == everything
        with database.migration_engine() as engine, engine.connect() as connection:
            kept = connection.exec_driver_sql("SELECT revision, state FROM core_migration ORDER BY revision").all()
        assert [tuple(row) for row in kept] == [(revision, "ok") for revision in everything]
