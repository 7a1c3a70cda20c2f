"""Both databases with core's own tables, as the host makes them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import plugin_host.core
from plugin_host.database import Database
from plugin_host.migrations.runner import Runner, Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CORE = Source(plugin="core", folder=Path(plugin_host.core.__file__).parent / "migrations", version="")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a SQLite database once; every test gets a copy."""
    path = tmp_path_factory.mktemp("audit") / "host.db"
    database = Database(f"sqlite:///{path}")
    database.prepare()
    Runner(database).upgrade([CORE])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture
async def database(made: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(made, tmp_path / "host.db")
    database = Database(f"sqlite:///{tmp_path / 'host.db'}")
    yield database
    await database.close()


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url)
    database.prepare()
    Runner(database).upgrade([CORE])
    yield database
    await database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def anywhere(request: pytest.FixtureRequest) -> Database:
    """Give a database of each kind in turn."""
    found: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgres")
    return found


@asynccontextmanager
async def work(database: Database) -> AsyncIterator[Any]:
    """Give a session whose work is committed at the end of the block."""
    unit = database.unit()
    try:
        yield unit.session
        await unit.commit()
    finally:
        await unit.close()
