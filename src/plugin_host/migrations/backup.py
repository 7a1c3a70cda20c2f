"""A copy of a SQLite database before its first pending revision: the way back that a revision itself may not be.

The copy is made while the write lock is held, so that nobody's change is missing in it, through a second connection
by SQLite's own backup, under another name until it was read back whole. Three are kept beside the database, in
`backups/`; one that was made before the same revisions is replaced, so that a revision that fails at every start
does not fill the disk. PostgreSQL has tools of its own for this.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plugin_host.migrations.planning import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plugin_host.migrations.schedule import Step

KEPT: Final = 3
FOLDER: Final = "backups"
_ROOM: Final = 1.1  # of the size of the database


def save(file: Path, steps: Sequence[Step], tell: Callable[[str], None]) -> Path:
    """Copy a database file before these steps, and give the copy; the caller holds the write lock.

    Raises `MigrationError` where there is no room for it, or it cannot be written or is not whole.
    """
    folder = file.parent / FOLDER
    mark = hashlib.sha256("\n".join(step.revision for step in steps).encode()).hexdigest()[:8]
    target = folder / f"{file.stem}-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{mark}.db"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.glob(f"{file.stem}-*.partial"):  # whoever made it is gone: the lock is ours
            left.unlink(missing_ok=True)
        _check_room(file, folder)
        partial = target.with_suffix(".partial")
        copy(file, partial)
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        msg = (
            f"no copy of {file} could be made before migrating ({error}): make room, or let the host write to {folder}"
        )
        raise MigrationError(msg) from error
    older = sorted(each for each in folder.glob(f"{file.stem}-*.db") if each != target)
    same = [each for each in older if each.stem.endswith(f"-{mark}")]
    rest = [each for each in older if each not in same]
    for each in (*same, *rest[: max(0, len(rest) - KEPT + 1)]):
        each.unlink(missing_ok=True)
    tell(f"the database was copied to {target}; to go back, stop the host and put that file in the place of {file}")
    return target


def copy(file: Path, target: Path) -> None:
    """Copy a SQLite database as one moment of it, and read the copy back. Raises `sqlite3.Error`."""
    target.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(target)) as made:
        source.backup(made)
        told = made.execute("PRAGMA integrity_check").fetchone()[0]
    if told != "ok":
        msg = f"the copy is not whole: {told}"
        raise sqlite3.DatabaseError(msg)


def _check_room(file: Path, folder: Path) -> None:
    size = sum(each.stat().st_size for each in (file, Path(f"{file}-wal")) if each.exists())
    free = shutil.disk_usage(folder).free
    if free < size * _ROOM:
        msg = f"it needs {size} bytes, and {free} are free"
        raise OSError(msg)
