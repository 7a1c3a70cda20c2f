"""A process that is killed at any statement: ledger and tables agree, and the next run completes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plugin_host.database import Database
from plugin_host.migrations.runner import Runner, Source

TEN = """\
op.create_table('contacts_b', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))
op.execute('INSERT INTO contacts_b (id, n) VALUES (1, 1)')
op.create_index('ix_b', 'contacts_b', ['n'])
op.add_column('contacts_b', sa.Column('m', sa.Integer))
op.execute('UPDATE contacts_b SET m = n + 1')
op.create_table('contacts_c', sa.Column('id', sa.Integer, primary_key=True))
op.execute('INSERT INTO contacts_c (id) SELECT id FROM contacts_b')
op.execute('DELETE FROM contacts_a')
op.drop_index('ix_b', 'contacts_b')
op.drop_table('contacts_a')"""

# One process imports everything once; a child of it migrates and kills itself before the statement of its number,
# until one has come to the end.
PROCESS = """
import json, os, signal, sys
from pathlib import Path
from sqlalchemy import event
from plugin_host.database import Database
from plugin_host.migrations.runner import Runner, Source
import alembic.operations, alembic.migration

places, folder = json.loads(sys.argv[1]), Path(sys.argv[2])

def migrate(place, number):
    database = Database(place["url"], schema=place["schema"])
    seen = 0
    def strike(*said):
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
    with database.migration_engine() as engine:
        event.listen(engine, "before_cursor_execute", strike)
        event.listen(engine, "commit", strike)
    outcome = Runner(database).upgrade([Source("contacts", folder, ("core",))])
    os._exit(0 if not outcome.faults else 3)

for number, place in zip(json.loads(sys.argv[3]), places):
    child = os.fork()
    if child == 0:
        migrate(place, number)
    status = os.waitpid(child, 0)[1]
    print(number, os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)
"""


def strike(places: list[Database], folder: Path, numbers: list[int]) -> dict[int, int]:
    """Let a process be killed before the statement of its number in each of these databases."""
    said = [{"url": each.url.render_as_string(hide_password=False), "schema": each.schema} for each in places]
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, json.dumps(said), str(folder), json.dumps(numbers)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return {int(line.split()[0]): int(line.split()[1]) for line in done.stdout.splitlines()}


def look(database: Database) -> tuple[list[str], list[str]]:
    """Give the tables of the plugin, and what the ledger says of it."""
    with database.migration_engine() as engine, engine.connect() as connection:
        names = sorted(n for n in sa.inspect(connection).get_table_names() if n.startswith("contacts_"))
    return names, [head.revision for head in Runner(database).state().values()]


@pytest.mark.slow
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.proof)])
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_kill_at_every_statement(
    kind: str, every: int, shelf: Any, table: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source: Source = shelf("contacts", table("contacts_a"), TEN)
    assert source.folder is not None
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""

    def place(number: int) -> Database:
        database = Database(url, schema=f"s{number}") if url else Database(f"sqlite:///{tmp_path}/{number}.db")
        database.prepare()
        Runner(database).upgrade([source], plugin="contacts", to="1")
        return database

    places = {number: place(number) for number in range(1, 38, every)}
    ends = strike(list(places.values()), source.folder, list(places))
    killed = [number for number, status in ends.items() if status == 9]
    assert len(killed) > 20 // every  # the ten, and the ledger's own
    assert {status for number, status in ends.items() if number not in killed} == {0}
    before, after = (["contacts_a"], ["contacts_0001"]), (["contacts_b", "contacts_c"], ["contacts_0002"])
    for number in killed:
        database = places[number]
        assert look(database) in (before, after), f"killed before statement {number}"
        assert Runner(database).upgrade([source]).faults == {}
        assert look(database) == after
