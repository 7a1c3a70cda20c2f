"""Processes that migrate, and are killed in the middle: started by the suite.

One process imports everything once, and forks a child for each task. Two at once show that both may start; and one
that is killed before its first statement, then its second, and so on, until one comes to the end, shows that whatever
was left each time was whole.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import alembic.migration
import alembic.operations  # noqa: F401 - as above
import msgspec
from sqlalchemy import event

from plugin_host.database import Database
from plugin_host.migrations.runner import Runner, Source
from plugin_host.migrations.shape import Shape, shape_of

FAILED: Final = 3
_STATEMENT: Final = 3  # what SQLAlchemy says of a statement is longer than what it says of a commit
_READS: Final = ("SELECT", "PRAGMA", "SHOW", "select")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the standard input: a database, its plugins, and the one of which the tables are looked at.

    `times` is how many migrate at once; 0 stands for one after the other, each killed a statement later.
    """

    url: str
    schema: str | None
    sources: list[tuple[str, str | None, tuple[str, ...], str]]
    plugin: str
    times: int = 0


def main() -> None:
    """Do the task, and print how many were killed; what went wrong stands on the standard error."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    if task.times:
        ends = [_wait(child) for child in [_start(task, 0) for _ in range(task.times)]]
        if any(ends):
            sys.stderr.write(f"they ended with {ends}\n")
        print(0)  # noqa: T201 - the answer
    else:
        print(_sweep(task))  # noqa: T201 - the answer


def _sweep(task: Task) -> int:
    """Kill one process after the other, each a statement later; of each revision from its first statement on."""
    strike, killed = 1, 0
    while True:
        before = _look(task)
        end = _wait(_start(task, strike))
        after = _look(task)
        if end != -signal.SIGKILL:
            if end:
                sys.stderr.write(f"the process after {killed} that were killed ended with {end}\n")
            return killed
        killed += 1
        if after[0] == before[0]:
            strike += 1
            if after != before:
                sys.stderr.write(
                    f"killed at {before[0]} before statement {strike - 1}: {before[1]} became {after[1]}\n"
                )
        else:
            strike = 1


def _look(task: Task) -> tuple[str | None, Shape]:
    """Read what the ledger and the catalogue say of the plugin."""
    database = Database(task.url, schema=task.schema)
    head = Runner(database).state().get(task.plugin)
    with database.migration_engine() as engine, engine.connect() as connection:
        return head.revision if head is not None else None, shape_of(connection, task.plugin)


def _start(task: Task, strike: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            code = _migrate(task, strike)
        except BaseException as error:  # noqa: BLE001 - a child must never go on as its parent
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            code = FAILED
        sys.stderr.flush()
        os._exit(code)
    return child


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _migrate(task: Task, number: int) -> int:
    database = Database(task.url, schema=task.schema)
    seen = 0

    def strike(*said: Any) -> None:
        nonlocal seen
        # Whoever is killed before a statement that only reads leaves what whoever is killed after it would.
        seen += len(said) < _STATEMENT or not said[2].lstrip().startswith(_READS)
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    if number:
        with database.migration_engine() as engine:
            event.listen(engine, "before_cursor_execute", strike)
            event.listen(engine, "commit", strike)
    sources = [
        Source(plugin, Path(folder) if folder is not None else None, requires, version)
        for plugin, folder, requires, version in task.sources
    ]
    faults = Runner(database).upgrade(sources).faults
    for reason in faults.values():
        sys.stderr.write(f"{reason.text}\n")
    return FAILED if faults else 0


if __name__ == "__main__":
    main()
