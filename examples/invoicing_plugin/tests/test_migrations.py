"""The revisions make the tables that the models describe, and fill what is there."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from host_invoicing.models import Invoice

from plugin_host import PluginHost, Settings
from plugin_host.testing import MigrationSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENT_AT = dt.datetime(2026, 1, 2, 10, tzinfo=dt.UTC)


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    """An engine of our own on the host's database."""
    engine = sa.create_engine(database.replace("postgresql://", "postgresql+psycopg://"))
    yield engine
    engine.dispose()


def row(**fields: Any) -> dict[str, Any]:
    """A row as the first revision knew it."""
    return {
        "id": "a",
        "number": "2026-0001",
        "state": "sent",
        "customer_id": "x",
        "customer_name": "Zoe",
        "currency": "EUR",
        "total": Decimal("12.50"),
        "created_by": "ann",
        "created_at": SENT_AT,
        "sent_at": SENT_AT,
        **fields,
    }


class TestMigrations(MigrationSuite):
    """The suite that comes with the host; its own test is what a filled table becomes, below."""

    plugin = "invoicing"
    # Minutes rather than seconds: `nox -s proofs` runs it.
    test_killed_between_statements = pytest.mark.proof(MigrationSuite.test_killed_between_statements)

    @pytest.fixture
    def host_settings(self, tmp_path: Path) -> Settings:
        """It brings its own databases."""
        return Settings(data_dir=str(tmp_path))


@pytest.mark.anyio
async def test_what_was_sent_before_gets_a_due_date(tmp_path: Path, database: str, engine: sa.Engine) -> None:
    host = PluginHost(Settings(data_dir=str(tmp_path), database=database))
    await host.migrate("invoicing", "invoicing_0001")
    with engine.begin() as connection:
        connection.execute(
            sa.insert(Invoice.__table__),  # type: ignore[arg-type] # a table, as SQLAlchemy knows
            [row(), row(id="b", number=None, state="draft", sent_at=None)],
        )
    async with host.lifespan(), host.work(plugin="invoicing") as work:
        due = await work.db.execute(sa.select(Invoice.id, Invoice.due_on).order_by(Invoice.id))

    assert due.all() == [("a", dt.date(2026, 2, 1)), ("b", None)]
