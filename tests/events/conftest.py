"""Databases with the tables of events, on each kind of database in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.database import Database
from plugin_host.events.bindings import Bound, Handler, bind
from plugin_host.events.doors import Doors
from plugin_host.events.publishing import Origin
from plugin_host.events.relay import Relay
from plugin_host.events.running import Hands, Outcome, run_delivery
from plugin_host.events.subscribing import subscribe
from plugin_host.events.tables import delivery, inbox, job_run, outbox, schedule_slot, subscription
from plugin_host.sdk import EventHandler, Job
from plugin_host.sdk.context import SYSTEM, Actor, Services, Work
from plugin_host.sdk.delivery import Delivery
from plugin_host.sdk.models import METADATA

TABLES = [outbox, delivery, inbox, subscription, job_run, schedule_slot]


class Said(msgspec.Struct, frozen=True, tag="notes.note.said"):
    """An event of the tests' plugin."""

    n: int
    text: str = ""


class Bench:
    """A database, a plugin's registrations, and a relay that is run by hand."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bound = Bound("notes")
        self.handlers: dict[str, Handler] = {}
        self.woken = 0
        self.now = 1_000_000.0
        self.actors: dict[str, Actor] = {}

    async def register(
        self, *handlers: EventHandler, jobs: tuple[Job, ...] = (), events: tuple[type, ...] = (Said,)
    ) -> None:
        self.bound = bind("notes", events, handlers, jobs)
        self.handlers = {each.subscriber: each for each in (*self.bound.handlers, *self.bound.jobs.values())}
        async with self.session() as session:
            await subscribe(session, ["notes"], self.handlers.values())

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        unit = self.database.unit()
        try:
            yield unit.session
            await unit.commit()
        finally:
            await unit.close()

    def doors(self, chain: tuple[str, ...] = ("user:7",)) -> Doors:
        return Doors(self.bound, Origin(chain), self._wake)

    async def publish(self, *numbers: int, key: str | None = None) -> list[str]:
        async with self.session() as session:
            return [await self.doors().publish(session, Said(n), key=key) for n in numbers]

    async def rows(self, table: Any) -> list[Any]:
        async with self.session() as session:
            return list((await session.execute(table.select().order_by(*table.primary_key.columns))).all())

    def relay(self, **options: Any) -> Relay:
        async def run(claimed: Any, handler: Handler) -> Outcome:
            return await run_delivery(claimed, handler, self.hands(), self.database)

        relay = Relay(self.database, run, **{"concurrency": 4, "clock": lambda: self.now, **options})
        relay.serve(self.handlers)
        return relay

    def hands(self) -> Hands:
        return Hands(
            open_work=self.open_work,
            actor_of=self._actor_of,
            in_thread=_in_thread,
            same_database=lambda _plugin, place: place is self.database,
        )

    def open_work(self, plugin: str, actor: Actor, told: Delivery | None = None) -> Work:
        return Work(
            plugin=plugin,
            actor=actor,
            unit=self.database.unit(),
            access=lambda _: None,  # type: ignore[arg-type,return-value]
            services=NoServices(),
            settings=None,
            log=None,  # type: ignore[arg-type]
            doors=lambda work: (self.doors(work.delivery.actors),) * 2,  # type: ignore[union-attr]
            delivery=told,
        )

    async def _actor_of(self, origin: Origin, _plugin: str, _needed: bool) -> Actor:  # noqa: FBT001
        return self.actors.get(origin.chain[0], SYSTEM)

    def _wake(self) -> None:
        self.woken += 1


class NoServices(Services):
    def get(self, key: Any) -> Any:
        raise LookupError(key)


async def _in_thread(_plugin: str, call: Callable[[], Any]) -> Any:
    import asyncio

    return await asyncio.to_thread(call)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def bench(url: str, anyio_backend: str) -> AsyncIterator[Bench]:
    database = make(url)
    yield Bench(database)
    await database.close()


def make(url: str) -> Database:
    """Give a database that has the tables."""
    database = Database(url)
    database.prepare()
    with database.migration_engine() as engine:
        METADATA.create_all(engine, tables=TABLES)
    return database
