"""The register of plugins on both databases: outcomes are kept, wishes are not touched."""

from __future__ import annotations

import datetime as dt
import runpy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

import plugin_host.core
from plugin_host.database import Database
from plugin_host.registry import Outcome, Plugin, Quarantine, consent, quarantine, record, records, retry, wish
from plugin_host.sdk.errors import Reason
from plugin_host.sdk.models import METADATA

pytestmark = pytest.mark.anyio

REVISIONS = [
    Path(plugin_host.core.__file__).parent / "migrations" / name
    for name in ("0001_revision.py", "0004_registry.py", "0005_life_cycle.py")
]
REASON = Reason(
    code="import_failed", text="contacts: no module 'phone'.", culprits=("contacts",), way_out="Install it."
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Give a database of each kind that has the table."""
    where = f"sqlite:///{tmp_path}/host.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(where)
    database.prepare()
    with (
        database.migration_engine() as engine,
        engine.begin() as connection,
        Operations.context(MigrationContext.configure(connection)),
    ):
        for revision in REVISIONS:
            runpy.run_path(str(revision))["upgrade"]()
    yield database
    await database.close()


async def keep(database: Database, **said: Outcome) -> None:
    """Record outcomes as a unit of work of its own."""
    unit = database.unit()
    await record(unit.session, said)
    await unit.commit()
    await unit.close()


async def outcomes(session: Any) -> dict[str, Outcome]:
    """Give what became of each plugin."""
    return {plugin: row.outcome for plugin, row in (await records(session)).items()}


async def do(database: Database, function: Any, *arguments: Any) -> None:
    """Change the register in a unit of work of its own."""
    unit = database.unit()
    await function(unit.session, *arguments)
    await unit.commit()
    await unit.close()


async def ask(database: Database, function: Any) -> Any:
    unit = database.unit(write=False)
    try:
        return await function(unit.session)
    finally:
        await unit.close()


def change(database: Database, statement: Any) -> None:
    with database.migration_engine() as engine, engine.begin() as connection:
        connection.execute(statement)


async def test_outcomes_come_back_as_they_were(database: Database) -> None:
    said = {"contacts": Outcome("quarantined", REASON, "1.2"), "core": Outcome("active")}
    await keep(database, **said)
    assert await ask(database, outcomes) == said


async def test_last_outcome_counts(database: Database) -> None:
    await keep(database, contacts=Outcome("quarantined", REASON, "1.2"))
    await keep(database, contacts=Outcome("active", None, "1.3"))
    assert await ask(database, outcomes) == {"contacts": Outcome("active", None, "1.3")}


async def test_plugins_that_are_not_named_stay(database: Database) -> None:
    await keep(database, contacts=Outcome("active"))
    await keep(database, notes=Outcome("active"))
    assert list(await ask(database, outcomes)) == ["contacts", "notes"]


async def test_nothing_to_record_is_no_error(database: Database) -> None:
    await keep(database)
    assert await ask(database, outcomes) == {}


async def test_nobody_has_wished_for_anything(database: Database) -> None:
    await keep(database, contacts=Outcome("active"))
    assert (await ask(database, records))["contacts"].wish is None


async def test_what_people_said_outlives_outcomes(database: Database) -> None:
    held = Quarantine(reason=REASON, until=dt.datetime(2030, 1, 1, tzinfo=dt.UTC), attempts=2, version="1.2")
    await keep(database, contacts=Outcome("active"))
    await do(database, wish, "contacts", "disabled")
    await do(database, consent, "contacts", b'{"x": 1}')
    await do(database, quarantine, "contacts", held)
    await keep(database, contacts=Outcome("disabled"))
    kept = (await ask(database, records))["contacts"]
    assert (kept.wish, kept.consent, kept.quarantine) == ("disabled", b'{"x": 1}', held)


async def test_everything_that_is_said_moves_the_revision(database: Database) -> None:
    held = Quarantine(reason=REASON, until=dt.datetime(2030, 1, 1, tzinfo=dt.UTC), attempts=1)
    seen = [(await database.revision()).wishes]
    for function, *arguments in ((wish, "enabled"), (consent, b"{}"), (quarantine, held), (retry,)):
        await do(database, function, "unheard", *arguments)
        seen.append((await database.revision()).wishes)
    assert seen == sorted(set(seen))


async def test_a_retry_and_an_enabling_end_a_quarantine_and_are_counted(database: Database) -> None:
    held = Quarantine(reason=REASON, until=dt.datetime(2030, 1, 1, tzinfo=dt.UTC), attempts=1)
    for number, (function, *arguments) in enumerate(((retry,), (wish, "enabled")), start=1):
        await do(database, quarantine, "contacts", held)
        await do(database, function, "contacts", *arguments)
        kept = (await ask(database, records))["contacts"]
        assert (kept.quarantine, kept.retries) == (None, number)


async def test_disabling_ends_no_quarantine(database: Database) -> None:
    held = Quarantine(reason=REASON, until=dt.datetime(2030, 1, 1, tzinfo=dt.UTC), attempts=1)
    await do(database, quarantine, "contacts", held)
    await do(database, wish, "contacts", "disabled")
    assert (await ask(database, records))["contacts"].quarantine == held


async def test_moment_is_kept(database: Database) -> None:
    before = dt.datetime.now(dt.UTC)
    await keep(database, contacts=Outcome("active"))
    assert await ask(database, lambda session: session.scalar(sa.select(Plugin.updated))) >= before


async def test_something_refused_for_its_long_name_does_not_stop_the_others(database: Database) -> None:
    await keep(database, **{"x" * 32: Outcome("refused", REASON), "contacts": Outcome("active")})
    assert list(await ask(database, outcomes)) == ["contacts"]


async def test_long_version_does_not_stop_the_start(database: Database) -> None:
    await keep(database, contacts=Outcome("active", None, "1." + "0" * 99))
    assert (await ask(database, outcomes))["contacts"].version == "1." + "0" * 62


async def test_reason_may_quote_anything(database: Database) -> None:
    reason = Reason(code="manifest_invalid", text="a \0, a \udcff and a 💥")
    await keep(database, contacts=Outcome("refused", reason))
    assert (await ask(database, outcomes))["contacts"].reason == reason


async def test_reason_of_a_later_release_is_left_out(database: Database) -> None:
    await keep(database, contacts=Outcome("refused", REASON))
    change(database, sa.update(Plugin).values(reason='{"code": "eaten_by_a_bear", "text": "Gone."}'))
    assert await ask(database, outcomes) == {"contacts": Outcome("refused")}


async def test_migration_makes_what_the_class_says(database: Database) -> None:
    def ours(name: str | None, kind: str, parents: Any) -> bool:
        return kind == "schema" or (name if kind == "table" else parents["table_name"]) == "core_plugin"

    def ours_said(item: Any, _name: str | None, kind: str, _reflected: object, _other: Any) -> bool:
        return bool((item if kind == "table" else item.table).name == "core_plugin")

    options = {"compare_type": True, "include_name": ours, "include_object": ours_said}
    with database.migration_engine() as engine, engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []


async def test_constraint_has_the_name_of_the_convention(database: Database) -> None:
    with database.migration_engine() as engine:
        assert sa.inspect(engine).get_pk_constraint("core_plugin")["name"] == "pk_core_plugin"
