"""Both databases with core's own tables, as the host makes them."""

from __future__ import annotations

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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}/host.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(url)
    database.prepare()
    Runner(database).upgrade([CORE])
    yield database
    await database.close()


@asynccontextmanager
async def work(database: Database) -> AsyncIterator[Any]:
    """Give a session whose work is committed at the end of the block."""
    unit = database.unit()
    try:
        yield unit.session
        await unit.commit()
    finally:
        await unit.close()
