"""Plugins with a database of their own: a file, or a schema with its role, each with a ledger and grants."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

import plugin_host.core.tables
from plugin_host import PluginHost, Settings
from plugin_host.core.planner import Planner
from plugin_host.core.removal import Purger
from plugin_host.settings import Loader, OwnDatabase

from .conftest import running, signed_in

if TYPE_CHECKING:
    from plugin_host.plugins.plan import PlanEntry

pytestmark = pytest.mark.anyio

CORE = {"core_revision", "core_migration_head", "core_migration"}


REVISION = """
import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade():
    columns = [sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text, nullable=False)]
    op.create_table("memos_note", *columns)
"""
CODE = """
from sqlalchemy import Text, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from plugin_host.sdk import PluginBase, get, hookimpl, post


class Base(PluginBase, plugin="memos"): ...


class Note(Base):
    __tablename__ = "memos_note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)


@get("/", permission="signed-in")
async def all_notes(db: AsyncSession) -> list[str]:
    return list(await db.scalars(select(Note.text).order_by(Note.id)))


@post("/{text:str}", permission="signed-in")
async def add(text: str, db: AsyncSession) -> None:
    db.add(Note(text=text))


@hookimpl
def register_routes():
    return [all_notes, add]
"""


@pytest.fixture
def folder(tmp_path: Path, folder_plugin: Any) -> Path:
    """Give a folder of plugins with one that asks for a database of its own."""
    plugins: Path = folder_plugin("memos", CODE, data={"database": "own"})
    (plugins / "memos" / "migrations").mkdir()
    (plugins / "memos" / "migrations" / "0001_memos.py").write_text(REVISION)
    return plugins


@pytest.fixture
def settings(tmp_path: Path, database: str, folder: Path) -> Settings:
    """Give settings that know that folder, and run no installed plugin."""
    loader = Loader(folders=(str(folder),), disabled=("contacts", "invoicing"))
    return Settings(data_dir=str(tmp_path / "data"), database=database, loader=loader)


def entry(host: PluginHost, plugin: str) -> PlanEntry:
    found = host.standing.generation.plan.entry(plugin)
    assert found is not None
    return found


def tables(host: PluginHost, plugin: str) -> set[str]:
    """Name the tables in the database of a plugin."""
    with host.databases.of(plugin).migration_engine() as engine:
        return set(sa.inspect(engine).get_table_names())


async def add(browser: Any, text: str) -> None:
    answer = await browser.post(f"/api/memos/{text}")
    assert answer.status_code == 201, answer.text


async def memos(browser: Any) -> Any:
    answer = await browser.get("/api/memos/")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("own", [(), ("contacts",), ("invoicing",), ("contacts", "invoicing")])
async def test_the_examples_run_wherever_their_tables_are(
    tmp_path: Path, database: str, own: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if their manifests said so: they are installed, and a copy of them would be a clash.
    monkeypatch.setattr(plugin_host.core.tables, "separate_in", lambda _plan: frozenset(own))
    host = PluginHost(Settings(data_dir=str(tmp_path / "data"), database=database))
    roles = ("contacts.editor", "invoicing.editor")
    async with running(host), signed_in(host, "ann", roles) as browser:
        for name in ("contacts", "invoicing"):
            assert entry(host, name).state == "active", entry(host, name).reason
        person = await browser.post("/api/contacts/people", json={"name": "Eve"})
        assert person.status_code == 201, person.text
        lines = [{"description": "Work", "quantity": "2", "unit_price": "10.00"}]
        invoice = {"customer_id": person.json()["id"], "currency": "EUR", "lines": lines}
        made = await browser.post("/api/invoicing/invoices", json=invoice)
        assert made.status_code == 201, made.text
        assert (made.json()["customer_name"], made.json()["total"]) == ("Eve", "20.00")
        for name, table in (("contacts", "contacts_person"), ("invoicing", "invoicing_invoice")):
            assert CORE | {table} <= tables(host, name)
            assert (table in tables(host, "core")) is (name not in own)


async def test_what_is_there_is_found_again(settings: Settings) -> None:
    for name in ("Ann", "Bob"):
        host = PluginHost(settings)
        async with host.lifespan():
            if name == "Ann":
                await host.core.accounts.add("root", "correct-horse-battery", roles=["core.admin"])
            async with signed_in(host) as browser:
                await add(browser, name)
                found = await memos(browser)
    assert found == ["Ann", "Bob"]


async def test_a_role_sees_its_schema_only(settings: Settings, database: str) -> None:
    if database.startswith("sqlite"):
        pytest.skip("files have no roles")
    host = PluginHost(settings)
    async with running(host):
        own = host.databases.of("memos")
        async with own.engine.connect() as connection:
            who = await connection.scalar(sa.text("SELECT current_user"))
            assert who == own.role
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                await connection.execute(sa.text("SELECT * FROM public.core_user"))


async def test_purging_leaves_nothing(settings: Settings, folder: Path, tmp_path: Path, database: str) -> None:
    host = PluginHost(settings)
    async with running(host), signed_in(host) as browser:
        await add(browser, "Ann")
        own = host.databases.of("memos")
    shutil.rmtree(folder / "memos")
    planner = Planner(settings, host.database)
    plan = await planner.verified()
    assert [each.state for each in plan.entries if each.id == "memos"] == ["orphaned"]
    assert (await planner.tables.sizes(plan))["memos"].rows >= 1
    file = tmp_path / "export.zip"
    done = await Purger(planner, patience=0).purge("memos", export=file)
    assert done.purged
    assert file.exists()
    assert not own.exists()
    if own.role is not None:
        with psycopg.connect(database) as connection:
            roles = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [own.role]).fetchall()
        assert roles == []
    assert (await planner.verified()).entry("memos") is None
    await planner.databases.close()


async def test_a_database_that_cannot_be_used_stops_its_plugin_only(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data" / "databases" / "memos.db").mkdir(parents=True)
    own = {"memos": OwnDatabase(url=f"sqlite:///{tmp_path / 'data' / 'databases' / 'memos.db'}")}
    host = PluginHost(Settings(data_dir=settings.data_dir, loader=settings.loader, databases=own))
    async with running(host), signed_in(host) as browser:
        found = entry(host, "memos")
        assert (found.state, found.reason and found.reason.code) == ("quarantined", "migration_failed")
        assert (await browser.get("/api/core/auth/me")).status_code == 200


async def test_an_address_in_the_settings_says_where(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.db"
    own = {"memos": OwnDatabase(url=f"sqlite:///{file}")}
    host = PluginHost(
        Settings(data_dir=settings.data_dir, database=settings.database, loader=settings.loader, databases=own)
    )
    async with running(host), signed_in(host) as browser:
        await add(browser, "Ann")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT text FROM memos_note").fetchall() == [("Ann",)]


async def test_a_manifest_moves_no_rows(settings: Settings, folder: Path) -> None:
    manifest = folder / "memos" / "plugin.json"
    own = manifest.read_text()
    manifest.write_text(own.replace('"own"', '"default"'))
    async with running(PluginHost(settings)):
        pass
    manifest.write_text(own)
    host = PluginHost(settings)
    async with host.lifespan():
        found = entry(host, "memos")
        assert (found.state, found.reason and found.reason.code) == ("refused", "manifest_invalid")
        assert found.reason is not None
        assert "are in the host's database" in found.reason.text


async def test_a_plan_of_one_makes_nothing(settings: Settings) -> None:
    host = PluginHost(settings)
    plan = await host.plan()
    found = plan.entry("memos")
    assert found is not None
    assert found.pending
    assert not Path(settings.data_dir, "databases").exists()
    await host.databases.close()
