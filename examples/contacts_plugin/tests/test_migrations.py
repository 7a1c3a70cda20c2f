"""The revisions make the tables that the models describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from host_contacts.models import Base

if TYPE_CHECKING:
    from pathlib import Path

    from plugin_host import PluginHost

pytestmark = pytest.mark.anyio


async def test_models_and_revisions_agree(host: PluginHost, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'host.db'}")
    own = {"include_name": lambda name, kind, _: kind != "table" or name.startswith("contacts_")}
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts=own), Base.metadata)
    engine.dispose()

    assert [each for each in differences if "contacts_" in str(each)] == []
