"""A real database of each kind, empty but for what a test makes in it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

import plugin_host.core
from plugin_host.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

MIGRATIONS = Path(plugin_host.core.__file__).parent / "migrations"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/host.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Database:
    """Give an empty database; whoever opens a session closes the engine with it."""
    database = Database(database_url)
    database.prepare()
    return database


@pytest.fixture
def engine(database: Database) -> Iterator[sa.Engine]:
    with database.migration_engine() as engine:
        yield engine


@pytest.fixture
def migrate() -> Callable[[Database], None]:
    """Run the revisions that this room needs."""

    def run(database: Database) -> None:
        with (
            database.migration_engine() as engine,
            engine.begin() as connection,
            Operations.context(MigrationContext.configure(connection)),
        ):
            for name in ("0001_revision", "0003_access", "0007_policy"):
                runpy.run_path(str(MIGRATIONS / f"{name}.py"))["upgrade"]()

    return run
