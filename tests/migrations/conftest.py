"""Plugins that are nothing but revisions, and empty databases of both kinds."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from plugin_host.database import Database
from plugin_host.migrations.runner import Patience, Runner, Source

IMPORTS = "import sqlalchemy as sa\nfrom alembic import op\n"


class Shelf:
    """Writes plugins: `shelf("contacts", body_1, body_2)`. A body is what `upgrade()` does."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(
        self, plugin: str, *bodies: str, requires: tuple[str, ...] = ("core",), version: str = "1.0"
    ) -> Source:
        folder = self._root / plugin
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for number, body in enumerate(bodies, 1):
            self.write(plugin, number, body)
        return Source(plugin, folder, requires, version)

    def write(self, plugin: str, number: int, body: str, says: str = "") -> Path:
        """Write one revision; `says` goes above the function."""
        path = self._root / plugin / f"{number:04d}_step.py"
        path.write_text(f"{IMPORTS}{says}\n\ndef upgrade():\n{textwrap.indent(body, '    ')}\n", encoding="utf-8")
        return path


def make_table(name: str, *columns: str) -> str:
    """Write the statement that creates a table with a key and these columns."""
    parts = [repr(name), "sa.Column('id', sa.Integer, primary_key=True)", *columns]
    return f"op.create_table({', '.join(parts)})"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    root = tmp_path / "plugins"
    root.mkdir()
    return Shelf(root)


@pytest.fixture
def table() -> Any:
    return make_table


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/host.db")
    database.prepare()
    return database


@pytest.fixture
def postgres(postgres_url: str) -> Database:
    return Database(postgres_url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Database:
    """Give an empty database of each kind."""
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def runner(database: Database) -> Runner:
    return Runner(database, Patience(process=0.3, table=0.1, tries=2))


@pytest.fixture
def tables() -> Any:
    """Name the tables of a database, without the ledger's own."""
    import sqlalchemy as sa

    def look(database: Database) -> list[str]:
        with database.migration_engine() as engine:
            names = sa.inspect(engine).get_table_names()
        return sorted(name for name in names if not name.startswith("core_migration"))

    return look


@pytest.fixture
def rows() -> Any:
    """Read rows with SQL of the test."""

    def read(database: Database, statement: str) -> list[tuple[Any, ...]]:
        with database.migration_engine() as engine, engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    return read


@pytest.fixture
def write() -> Any:
    """Change something with SQL of the test."""

    def change(database: Database, *statements: str) -> None:
        with database.migration_engine() as engine, engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    return change
