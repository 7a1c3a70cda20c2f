"""How SQLite is run: WAL, synchronous=FULL, and transactions that SQLAlchemy begins and the driver never does."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from plugin_host.database.beginning import begin_at_once
from plugin_host.database.driver import BUSY_MS

_WAL_PATIENCE: Final = 5.0


def use_wal(path: str) -> str:
    """Switch a database file to WAL and give the mode it is in."""
    end = time.monotonic() + _WAL_PATIENCE
    # Two that switch at once do not wait for each other, whatever the time-out: SQLite answers "locked" at once.
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        while True:
            try:
                return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
            except sqlite3.OperationalError:
                if time.monotonic() >= end:
                    raise
            time.sleep(0.05)


def install_sqlite(engine: sa.Engine, *, foreign_keys: bool, begin: str) -> None:
    """Have the engine's connections set up at connect, and its transactions begun as `begin` says."""

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        # Once, at connect: assigning None later would commit an open transaction.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    begin_at_once(engine, begin)
