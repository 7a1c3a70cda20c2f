"""A start with nothing to do: one query and one listing for each plugin, however many there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from plugin_host.database import Database
from plugin_host.migrations import ledger

PLUGINS = 300
REVISIONS = 10

# Looks from outside: what Python itself says of listings and of files that are opened, what SQLAlchemy sends.
PROCESS = """
import sys
from pathlib import Path
from sqlalchemy import event
from plugin_host.database import Database
from plugin_host.migrations.places import Place, upgrade
from plugin_host.migrations.runner import Source

root, database = Path(sys.argv[2]), Database(sys.argv[1])
sources = tuple(Source(folder.name, folder, ("core",)) for folder in sorted(root.iterdir()))
listed, opened, sent = [], [], []

def look(name, words):
    if name in ("os.listdir", "os.scandir") and str(words[0]).startswith(str(root)):
        listed.append(words[0])
    elif name == "open" and str(words[0]).startswith(str(root)):
        opened.append(words[0])

with database.migration_engine() as engine:
    event.listen(engine, "before_cursor_execute", lambda *said: sent.append(said[2]))
sys.addaudithook(look)
outcome = upgrade([Place(database, sources)])
print(len(sources), len(sent), len(listed), len(opened), "alembic" in sys.modules, outcome.applied, outcome.faults)
"""


def test_nothing_to_do_is_one_query_and_a_listing_for_each_plugin(sqlite: Database, tmp_path: Path, write: Any) -> None:
    root = tmp_path / "many"
    with sqlite.migration_engine() as engine, engine.begin() as connection:
        ledger.create_ledger(connection)
        for number in range(PLUGINS):
            folder = root / f"plugin{number:03d}"
            folder.mkdir(parents=True)
            for revision in range(1, REVISIONS + 1):
                (folder / f"{revision:04d}_step.py").write_text("this is no Python: nobody reads it")
            row = {"plugin": folder.name, "revision": f"{folder.name}_{REVISIONS:04d}", "state": "ok"}
            connection.execute(ledger.HEAD.insert().values(**row, objects="[]", requires="[]"))
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, str(sqlite.url), str(root)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{PLUGINS} 1 {PLUGINS} 0 False () {{}}\n"
