"""What was done is written down with the change itself, without secrets, and stays as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from plugin_host.audit import Entry, record, record_apart
from plugin_host.audit.tables import AuditChain, AuditEntry, AuditRefusal
from plugin_host.sdk.calls import CURRENT_CALL, Call
from plugin_host.sdk.context import Actor
from plugin_host.sdk.models import METADATA

from .conftest import work

if TYPE_CHECKING:
    from plugin_host.database import Database

pytestmark = pytest.mark.anyio
ANN = Actor(id="7", username="ann", display="Ann")


async def rows(database: Database) -> list[AuditEntry]:
    async with work(database) as db:
        return list((await db.scalars(sa.select(AuditEntry).order_by(AuditEntry.id))).all())


async def test_an_entry_says_who_did_what_to_what(anywhere: Database) -> None:
    async with work(anywhere) as db:
        detail = {"before": ["a"], "after": ["a", "b"]}
        await record(db, Entry(action="core.role.changed", actor=ANN, object="role:x", detail=detail))
    (row,) = await rows(anywhere)
    said = (row.actor, row.kind, row.username, row.plugin, row.action, row.object, row.outcome, row.via)
    assert said == ("7", "user", "ann", "core", "core.role.changed", "role:x", "done", "")
    assert msgspec.json.decode(row.detail) == {"before": ["a"], "after": ["a", "b"]}


async def test_what_is_rolled_back_was_never_done(database: Database) -> None:
    unit = database.unit()
    await record(unit.session, Entry(action="core.role.changed", actor=ANN))
    await unit.rollback()
    await unit.close()
    assert await rows(database) == []


async def test_what_was_refused_is_written_apart(database: Database) -> None:
    await record_apart(database, Entry(action="core.session.refused", actor=ANN, outcome="refused"))
    assert [row.outcome for row in await rows(database)] == ["refused"]


async def test_the_request_and_the_plugin_on_whose_behalf_come_by_themselves(database: Database) -> None:
    token = CURRENT_CALL.set(Call("0123abcd", "contacts"))
    try:
        async with work(database) as db:
            await record(db, Entry(action="core.grant.created", actor=ANN))
    finally:
        CURRENT_CALL.reset(token)
    (row,) = await rows(database)
    assert (row.request, row.via) == ("0123abcd", "contacts")


async def test_nothing_named_like_a_secret_is_written(database: Database) -> None:
    detail = {"password": "hunter2hunter2", "nested": [{"client_secret": "s3cr3t"}], "token_id": "01kd"}
    async with work(database) as db:
        await record(db, Entry(action="core.user.changed", actor=ANN, detail=detail))
    (row,) = await rows(database)
    assert "hunter2" not in row.detail
    assert "s3cr3t" not in row.detail
    assert msgspec.json.decode(row.detail)["token_id"] == "01kd"


@pytest.mark.parametrize("said", ["\0", "\ud800", "x" * 5000, "'; DROP TABLE core_audit; --"])
async def test_any_text_can_be_written_down(anywhere: Database, said: str) -> None:
    actor = Actor(id="7", username=said, display=said)
    async with work(anywhere) as db:
        await record(db, Entry(action="core.user.changed", actor=actor, object=said, detail={said: said * 3}))
    (row,) = await rows(anywhere)
    assert msgspec.json.decode(row.detail)


async def change_a_row(database: Database, statement: str) -> None:
    async with work(database) as db:
        await db.execute(sa.text(statement))


@pytest.mark.security
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_audit SET actor = 'somebody else'",
        "UPDATE core_audit SET position = 1, outcome = 'failed'",
        "DELETE FROM core_audit",
    ],
)
async def test_the_database_itself_refuses_to_change_or_remove_entries(anywhere: Database, statement: str) -> None:
    await record_apart(anywhere, Entry(action="core.user.deleted", actor=ANN))
    with pytest.raises(DBAPIError, match="append-only"):
        await change_a_row(anywhere, statement)
    assert [row.actor for row in await rows(anywhere)] == ["7"]


async def test_the_migration_makes_what_the_classes_say(anywhere: Database) -> None:
    ours = {model.__tablename__ for model in (AuditEntry, AuditChain, AuditRefusal)}

    def said(item: Any, name: str | None, kind: str, _reflected: object, _other: object) -> bool:
        return (item if kind == "table" else item.table).name in ours if kind != "schema" else True

    with anywhere.migration_engine() as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": said})
        assert list(compare_metadata(context, METADATA)) == []
