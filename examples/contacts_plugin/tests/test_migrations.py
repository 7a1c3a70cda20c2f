"""The revisions survive what installations do to them."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from plugin_host.testing import MigrationSuite

PERSON = sa.table(
    "contacts_person",
    sa.column("id", sa.String),
    sa.column("name", sa.String),
    sa.column("created_at", sa.DateTime(timezone=True)),
)


class TestMigrations(MigrationSuite):
    """The suite that comes with the host, with somebody in the tables."""

    plugin = "contacts"
    # Minutes rather than seconds: `nox -s proofs` runs it.
    test_killed_between_statements = pytest.mark.proof(MigrationSuite.test_killed_between_statements)

    def fill(self, connection: sa.Connection, revision: int) -> None:
        """Add a person, who must be there however the tables change."""
        row = {"id": f"zoe{revision}", "name": "Zoe", "created_at": dt.datetime.now(dt.UTC)}
        connection.execute(sa.insert(PERSON), [row])
