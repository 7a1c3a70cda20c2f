"""What events cost: `events.py [ROUNDS]` prints its rows.

Publishing is measured beside the writer's own insert, the way to the handler beside a poll of 200 ms, and draining on
SQLite beside huey, which takes a job out of its file before it runs it (and so loses what a kill interrupts).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import sqlalchemy as sa

from plugin_host.database import Database
from plugin_host.events.bindings import bind
from plugin_host.events.doors import Doors
from plugin_host.events.publishing import Origin
from plugin_host.events.relay import Relay
from plugin_host.events.running import Hands, run_delivery
from plugin_host.events.subscribing import subscribe
from plugin_host.events.tables import delivery, inbox, job_run, outbox, schedule_slot, subscription
from plugin_host.sdk import EventHandler
from plugin_host.sdk.context import SYSTEM, Work
from plugin_host.sdk.models import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITES = 150
WAYS = 40
DRAINED = 600

row = sa.Table("bench_row", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))


class Made(msgspec.Struct, frozen=True, tag="bench.row.made"):
    """The event of the benchmark."""

    n: int


class Bench:
    """A database with one subscriber."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.database.prepare()
        with self.database.migration_engine() as engine:
            METADATA.create_all(engine, tables=[outbox, delivery, inbox, subscription, job_run, schedule_slot])
            row.metadata.create_all(engine)
        self.arrived: list[float] = []
        self.bound = bind("bench", [Made], [EventHandler(Made, self._on_made)], [])
        self.handlers = {each.subscriber: each for each in self.bound.handlers}
        self.relay: Relay | None = None

    async def _on_made(self, event: Made) -> None:
        self.arrived.append(time.perf_counter())

    def wake(self) -> None:
        """Do what the host does after a commit."""
        if self.relay is not None:
            self.relay.wake()

    def make_relay(self, poll: float) -> Relay:
        """Make a relay as the host does."""
        hands = Hands(
            open_work=lambda plugin, actor, told: Work(
                plugin=plugin,
                actor=actor,
                unit=self.database.unit(),
                access=cast("Any", None),
                services=cast("Any", None),
                settings=None,
                log=cast("Any", None),
                delivery=told,
            ),
            actor_of=_system,
            in_thread=cast("Any", None),
            same_database=lambda _plugin, _place: True,
        )
        relay = Relay(
            self.database,
            lambda claimed, handler: run_delivery(claimed, handler, hands, self.database),
            concurrency=4 if self.database.dialect == "sqlite" else 8,
            ahead=16 if self.database.dialect == "sqlite" else 0,
            poll=poll,
        )
        relay.serve(self.handlers)
        return relay

    async def write(self, n: int, *, publish: bool) -> None:
        """Insert a row, and say so or not."""
        unit = self.database.unit()
        try:
            await unit.session.execute(sa.insert(row).values(text=f"row {n}"))
            if publish:
                await Doors(self.bound, Origin(("user:1",)), self.wake).publish(unit.session, Made(n))
            await unit.commit()
        finally:
            await unit.close()


async def _system(_origin: Origin, _plugin: str, _needed: bool) -> Any:  # noqa: FBT001 - the relay's call
    return SYSTEM


async def measure(url: str, rounds: int) -> dict[str, float]:
    """Give the ratios and figures of one database."""
    bench = Bench(url)
    unit = bench.database.unit()
    await subscribe(unit.session, ["bench"], bench.bound.handlers)
    await unit.commit()
    await unit.close()
    ratios = []
    for _ in range(rounds):
        took = {}
        for publish in (False, True):
            start = time.perf_counter()
            for n in range(WRITES):
                await bench.write(n, publish=publish)
            took[publish] = time.perf_counter() - start
        ratios.append(took[True] / took[False])
    await bench.make_relay(1.0).run_pending()
    ways = {woken: await _ways(bench, woken=woken) for woken in (True, False)}
    for n in range(DRAINED):
        await bench.write(n, publish=True)
    relay, start = bench.make_relay(1.0), time.perf_counter()
    await relay.run_pending()
    drained = DRAINED / (time.perf_counter() - start)
    await bench.database.close()
    return {"publish": statistics.median(ratios), "woken": ways[True], "polled": ways[False], "drained": drained}


async def _ways(bench: Bench, *, woken: bool) -> float:
    """Give the median of the seconds from the call of publish to the handler."""
    relay = bench.make_relay(1.0 if woken else 0.2)
    bench.relay = relay if woken else None
    took = []
    async with relay.working(grace=5):
        await asyncio.sleep(0.3)
        for n in range(WAYS):
            bench.arrived.clear()
            start = time.perf_counter()
            await bench.write(n, publish=True)
            while not bench.arrived:  # noqa: ASYNC110 - as fine as the clock of the loop
                await asyncio.sleep(0.0005)
            took.append(bench.arrived[0] - start)
            await asyncio.sleep(0.013 * (n % 7))
    bench.relay = None
    return statistics.median(took)


def huey_drains(folder: str) -> float | None:
    """Give the jobs that huey runs in a second from its SQLite file, None where it is not installed."""
    try:
        from huey import SqliteHuey
    except ImportError:
        return None
    huey = SqliteHuey(filename=str(Path(folder) / "huey.db"), fsync=True)
    done = []
    task = huey.task()(done.append)
    for n in range(DRAINED):
        task(n)
    start = time.perf_counter()
    while (job := huey.dequeue()) is not None:
        huey.execute(job)
    took = time.perf_counter() - start
    return len(done) / took


def rows(postgres_url: str | None, rounds: int) -> Iterator[tuple[str, str, str]]:
    """Measure both databases."""
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite (synchronous=FULL)": f"sqlite:///{Path(folder) / 'bench.db'}"}
        if postgres_url is not None:
            urls["PostgreSQL"] = postgres_url
        for name, url in urls.items():
            said = asyncio.run(measure(url, rounds))
            yield (
                f"a write that publishes beside the same write alone, {name} (at most 2.3)",
                f"{said['publish']:.2f}",
                f"median of {rounds} pairs of {WRITES} transactions, one subscriber",
            )
            yield (
                f"from publish to the handler beside a poll of 200 ms, {name} (at most 0.10)",
                f"{said['woken'] / said['polled']:.3f}",
                f"{said['woken'] * 1000:.1f} and {said['polled'] * 1000:.1f} ms, medians of {WAYS}, with the commit",
            )
            theirs = huey_drains(folder) if name.startswith("SQLite") else None
            if theirs is not None:
                yield (
                    "events drained in a second beside huey's jobs, SQLite (at least 0.9)",
                    f"{said['drained'] / theirs:.2f}",
                    f"{said['drained']:.0f} and {theirs:.0f} in a second; huey's are lost when it is killed meanwhile",
                )


if __name__ == "__main__":
    for what, ratio, how in rows(None, int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        sys.stdout.write(f"{ratio:>7}  {what}: {how}\n")
