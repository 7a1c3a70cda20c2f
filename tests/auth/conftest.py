"""A real database with core's tables, a clock that tests turn, and written fakes of the rooms beside auth."""

from __future__ import annotations

import datetime as dt
import runpy
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

import plugin_host.core
from plugin_host.auth.passwords import Passwords
from plugin_host.auth.people import People, check_profile
from plugin_host.auth.sessions import Sessions
from plugin_host.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from plugin_host.auth.tables import User

MIGRATIONS = Path(plugin_host.core.__file__).parent / "migrations"
START = dt.datetime(2026, 3, 1, 9, 0, tzinfo=dt.UTC).timestamp()


class Clock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += dt.timedelta(**span).total_seconds()


class Roles:
    """Who has which roles, and how often that was asked."""

    def __init__(self) -> None:
        self.by_user: dict[str, tuple[str, ...]] = {}
        self.asked: list[str] = []

    async def of(self, _connection: object, user_id: str) -> tuple[str, ...]:
        self.asked.append(user_id)
        return self.by_user.get(user_id, ())


def migrate(database: Database) -> None:
    """Run the two revisions of this room."""
    database.prepare()
    with database.migration_engine() as engine, engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            for name in ("0001_revision", "0002_people"):
                runpy.run_path(str(MIGRATIONS / f"{name}.py"))["upgrade"]()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def roles() -> Roles:
    return Roles()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/host.db")
    migrate(database)
    yield database
    await database.close()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    server = "postgresql://postgres@127.0.0.1:5432"
    name = f"auth_{secrets.token_hex(6)}"
    engine = sa.create_engine(
        f"{server.replace('://', '+psycopg://')}/test", isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield f"{server}/{name}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url)
    migrate(database)
    yield database
    await database.close()


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(time_cost=1, memory_kib=64, threads=1)
    yield passwords
    passwords.close()


@pytest.fixture
def people(database: Database) -> People:
    return People(database)


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock=clock)


@pytest.fixture
def add_user() -> Callable[..., Any]:
    async def add(database: Database, username: str = "ann", password_hash: str | None = None, **said: Any) -> User:
        unit = database.unit()
        profile = check_profile(username, said.get("display"), said.get("email"))
        user = await People(database).create(unit.session, profile, password_hash)
        user.status = said.get("status", user.status)
        await unit.commit()
        await unit.close()
        return user

    return add


@pytest.fixture
def sign_in(sessions: Sessions) -> Callable[..., Any]:
    async def begin(database: Database, user_id: str) -> str:
        unit = database.unit()
        token = await sessions.create(unit.session, user_id)
        await unit.commit()
        await unit.close()
        return token

    return begin


@pytest.fixture
def change() -> Callable[..., Any]:
    async def run(database: Database, work: Callable[..., Any]) -> Any:
        unit = database.unit()
        try:
            result = await work(unit.session)
            await unit.commit()
        finally:
            await unit.close()
        return result

    return run
