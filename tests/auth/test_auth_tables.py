"""The migrations and the classes say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from plugin_host.auth.tables import Attempt, OneTime, Refresh, Session, SigningKey, Token, Totp, User
from plugin_host.sdk.models import METADATA

if TYPE_CHECKING:
    from plugin_host.database import Database

pytestmark = pytest.mark.anyio
OURS = {model.__tablename__ for model in (User, Session, OneTime, Refresh, Token, SigningKey, Totp, Attempt)}


def differences(database: Database) -> list[Any]:
    """Compare what the migrations made with what the classes say."""

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        return (name if kind == "table" else parents["table_name"]) in OURS if kind != "schema" else True

    def ours_said(item: Any, _name: str | None, kind: str, _reflected: object, _other: object) -> bool:
        return (item if kind == "table" else item.table).name in OURS

    options = {"compare_type": True, "include_name": ours, "include_object": ours_said}
    with database.migration_engine() as engine, engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


async def test_migrations_make_what_the_classes_say_on_sqlite(database: Database) -> None:
    assert differences(database) == []


async def test_migrations_make_what_the_classes_say_on_postgresql(postgres: Database) -> None:
    assert differences(postgres) == []


async def test_constraints_have_the_names_of_the_convention(database: Database) -> None:
    with database.migration_engine() as engine:
        found = sa.inspect(engine)
        names = {
            *(found.get_pk_constraint(table)["name"] for table in OURS),
            *(item["name"] for table in OURS for item in found.get_unique_constraints(table)),
            *(item["name"] for table in OURS for item in found.get_foreign_keys(table)),
        }
    said = {item.name for table in OURS for item in METADATA.tables[table].constraints}
    assert names == said


async def test_the_revision_row_begins_with_ones(database: Database) -> None:
    assert await database.revision() == (1, 1, 1)
