"""What is published is handled: once, in order, again after a failure, and never lost."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from functools import partial
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.events import claiming, leases
from plugin_host.events.subscribing import replay, subscribe
from plugin_host.events.tables import delivery, job_run, outbox, subscription
from plugin_host.sdk import DeadLetter, Delivery, Discard, EventHandler, Job, Retry

from .conftest import Bench, Said

pytestmark = pytest.mark.anyio


def ignore(event: Said) -> None:
    """Take an event and do nothing."""


def ignore_args(args: object) -> None:
    """Take arguments and do nothing."""


def return_rubbish(event: Said) -> object:
    return object()


def note(got: list[str], word: str, event: Said) -> None:
    got.append(word)


async def test_a_handler_gets_what_was_published_and_what_caused_it(bench: Bench) -> None:
    got: list[Any] = []

    async def on_said(event: Said, delivery: Delivery) -> None:
        got.append((event.n, delivery.attempt, delivery.actors, delivery.key))

    await bench.register(EventHandler(Said, on_said))
    await bench.publish(1, key="a")
    assert await bench.relay().run_pending() == 1
    assert got == [(1, 1, ("user:7", "plugin:notes"), "a")]
    assert await bench.rows(delivery) == []


async def test_what_is_rolled_back_was_never_said(bench: Bench) -> None:
    await bench.register(EventHandler(Said, ignore))
    unit = bench.database.unit()
    await bench.doors().publish(unit.session, Said(1))
    await unit.rollback()
    await unit.close()
    assert (await bench.rows(outbox), await bench.rows(delivery), bench.woken) == ([], [], 0)


async def test_the_relay_is_woken_by_the_commit_and_not_before(bench: Bench) -> None:
    await bench.register(EventHandler(Said, ignore))
    unit = bench.database.unit()
    await bench.doors().publish(unit.session, Said(1))
    await bench.doors().publish(unit.session, Said(2))
    before = bench.woken
    await unit.commit()
    await unit.close()
    assert (before, bench.woken) == (0, 1)


async def test_each_handler_gets_its_own_delivery(bench: Bench) -> None:
    got: list[str] = []
    await bench.register(
        EventHandler(Said, partial(note, got, "one"), name="one"),
        EventHandler(Said, partial(note, got, "two"), name="two"),
    )
    await bench.publish(1)
    assert await bench.relay().run_pending() == 2
    assert sorted(got) == ["one", "two"]


async def test_events_of_one_key_come_in_order_also_when_one_fails(bench: Bench) -> None:
    got: list[int] = []

    async def on_said(event: Said, delivery: Delivery) -> None:
        if event.n == 2 and delivery.attempt == 1:
            raise Retry(60)
        got.append(event.n)

    await bench.register(EventHandler(Said, on_said, order="key"))
    await bench.publish(1, 2, 3, key="a")
    await bench.publish(4, key="b")
    await bench.relay().run_pending()
    assert got == [1, 4]
    bench.now += 61
    await bench.relay().run_pending()
    assert got == [1, 4, 2, 3]


async def test_a_failed_handler_leaves_nothing_and_is_tried_again_with_its_error_kept(bench: Bench) -> None:
    async def on_said(event: Said, db: AsyncSession) -> None:
        await db.execute(sa.insert(job_run).values(RUN))
        raise RuntimeError("broken\x00")

    await bench.register(EventHandler(Said, on_said, retry=1))
    await bench.publish(1)
    await bench.relay().run_pending()
    (row,) = await bench.rows(delivery)
    assert (row.state, row.attempts, row.lease, row.error) == ("ready", 1, None, "RuntimeError: broken�")
    assert bench.now < row.due <= bench.now + 2
    bench.now += 5
    await bench.relay().run_pending()
    (row,) = await bench.rows(delivery)
    assert (row.state, row.attempts) == ("dead", 2)
    assert await bench.rows(job_run) == []


@pytest.mark.parametrize(
    ("error", "state", "due"),
    [(Retry(90), "ready", 90), (Retry(dt.timedelta(minutes=2)), "ready", 120), (DeadLetter("no use"), "dead", None)],
)
async def test_a_handler_may_say_what_is_to_follow(
    bench: Bench, error: Exception, state: str, due: float | None
) -> None:
    async def on_said(event: Said) -> None:
        raise error

    await bench.register(EventHandler(Said, on_said))
    await bench.publish(1)
    await bench.relay().run_pending()
    (row,) = await bench.rows(delivery)
    assert row.state == state
    assert due is None or row.due == pytest.approx(bench.now + due)


async def test_what_is_discarded_is_done_and_leaves_nothing(bench: Bench) -> None:
    async def on_said(event: Said, db: AsyncSession) -> None:
        await db.execute(sa.insert(job_run).values(RUN))
        raise Discard

    await bench.register(EventHandler(Said, on_said))
    await bench.publish(1)
    await bench.relay().run_pending()
    assert (await bench.rows(delivery), await bench.rows(job_run)) == ([], [])


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_a_handler_that_wants_to_end_the_host_has_failed(bench: Bench, error: BaseException) -> None:
    async def on_said(event: Said) -> None:
        raise error

    await bench.register(EventHandler(Said, on_said, retry=0))
    await bench.publish(1)
    await bench.relay().run_pending()
    (row,) = await bench.rows(delivery)
    assert row.state == "dead"


async def test_a_handler_that_returns_rubbish_is_done(bench: Bench) -> None:
    await bench.register(EventHandler(Said, return_rubbish))
    await bench.publish(1)
    await bench.relay().run_pending()
    assert await bench.rows(delivery) == []


async def test_a_handler_that_hangs_is_cut_and_one_that_will_not_end_is_left_behind(bench: Bench) -> None:
    ended = asyncio.Event()

    async def stubborn(event: Said, db: AsyncSession) -> None:
        await db.execute(sa.insert(job_run).values(RUN))
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                continue

    await bench.register(EventHandler(Said, stubborn, timeout=2, retry=0))
    await bench.publish(1)
    relay = bench.relay()
    # On SQLite it holds the only lock until it ends, so the outcome can be kept only then.
    asyncio.get_running_loop().call_later(3.3, ended.set)
    await relay.run_pending()
    (row,) = await bench.rows(delivery)
    assert (row.state, "took more than its 2 seconds" in row.error) == ("dead", True)
    assert await bench.rows(job_run) == []


async def test_blocking_handlers_run_beside_the_event_loop(bench: Bench) -> None:
    threads: list[int] = []

    def on_said(event: Said) -> None:
        threads.append(threading.get_ident())

    await bench.register(EventHandler(Said, on_said))
    await bench.publish(1)
    await bench.relay().run_pending()
    assert threads != [threading.get_ident()]
    assert len(threads) == 1


async def test_an_event_that_no_longer_decodes_is_a_dead_letter_at_once(bench: Bench) -> None:
    class Other(msgspec.Struct, frozen=True, tag="notes.note.said"):
        n: dict[str, int]

    await bench.register(EventHandler(Said, ignore, name="h"))
    await bench.publish(1)
    await bench.register(EventHandler(Other, ignore, name="h"))
    await bench.relay().run_pending()
    (row,) = await bench.rows(delivery)
    assert (row.state, row.attempts) == ("dead", 1)
    assert "version 1 does not fit Other" in row.error
    (kept,) = await bench.rows(outbox)
    assert bytes(kept.payload) == b'{"type":"notes.note.said","n":1,"text":""}'


async def test_effect_and_acknowledgement_are_one_transaction(bench: Bench) -> None:
    """Somebody else has the lease by the time that the handler ends: what it did is undone."""

    async def on_said(event: Said, db: AsyncSession) -> None:
        await db.execute(sa.update(delivery).values(lease="another.1.1.1"))
        await db.execute(sa.insert(job_run).values(RUN))

    await bench.register(EventHandler(Said, on_said))
    await bench.publish(1)
    relay = bench.relay()
    await relay.look()
    while relay._under_way:
        await asyncio.wait(relay._under_way)
    assert relay.counts == {("notes:notes.note.said:on_said", "lost"): 1}
    assert await bench.rows(job_run) == []
    assert len(await bench.rows(delivery)) == 1


async def test_a_lease_that_ran_out_is_another_one_s_and_the_first_cannot_acknowledge(bench: Bench) -> None:
    await bench.register(EventHandler(Said, ignore))
    await bench.publish(1)
    names = list(bench.handlers)
    async with bench.session() as session:
        (mine,) = await claiming.claim(session, names, most=9, token="m.1.1.1", now=bench.now)
    async with bench.session() as session:
        assert await claiming.claim(session, names, most=9, token="m.1.1.2", now=bench.now + 29) == []
        assert await claiming.claim(session, names, most=9, token="m.1.1.2", now=bench.now + 31) == []
    async with bench.session() as session:
        (theirs,) = await claiming.claim(session, names, most=9, token="m.1.1.3", now=bench.now + 31, suspects=True)
    async with bench.session() as session:
        assert await claiming.acknowledge(session, mine) is False
        assert await claiming.put_back(session, mine, "late", 0, 0) is False
        assert await claiming.acknowledge(session, theirs) is True
    assert (theirs.attempts, theirs.crashes) == (2, 1)


async def test_what_kills_its_process_three_times_is_a_dead_letter_and_its_handler_quarantined_after_three(
    bench: Bench,
) -> None:
    await bench.register(EventHandler(Said, ignore, name="killer"))
    await bench.publish(1, 2, 3)
    names = list(bench.handlers)
    for _ in range(20):
        bench.now += 100
        async with bench.session() as session:
            await claiming.claim(session, names, most=1, token="m.1.1.1", now=bench.now, suspects=True)
            await claiming.claim(session, names, most=3, token="m.1.1.2", now=bench.now)
    rows = await bench.rows(delivery)
    assert {row.state for row in rows} == {"dead"}
    assert {row.crashes for row in rows} == {3}
    (row,) = await bench.rows(subscription)
    assert row.quarantine == "it ended the process while handling 3 different deliveries"
    await bench.publish(4)
    relay = bench.relay()
    await relay._tend()
    assert await relay.run_pending() == 0


async def test_leases_of_processes_of_this_machine_that_are_gone_end_at_once(bench: Bench) -> None:
    await bench.register(EventHandler(Said, ignore))
    await bench.publish(1, 2)
    alive, dead = leases.new_token(), leases.new_token().replace(".", ".f", 1)
    names = list(bench.handlers)
    async with bench.session() as session:
        await claiming.claim(session, names, most=1, token=alive, now=bench.now)
        await claiming.claim(session, names, most=1, token=dead, now=bench.now)
        assert await leases.held_by_the_dead(session, bench.now) == [dead]
    assert await bench.relay().run_pending() == 0
    relay = bench.relay()
    await relay._tend()
    assert await relay.run_pending() == 1


async def test_a_clock_that_was_set_back_holds_up_nothing(bench: Bench) -> None:
    got: list[int] = []
    await bench.register(EventHandler(Said, lambda event: got.append(event.n)))
    await bench.publish(1)
    async with bench.session() as session:
        await claiming.claim(session, list(bench.handlers), most=1, token="m.1.1.1", now=bench.now)
    bench.now -= 86_400
    await bench.publish(2)
    relay = bench.relay()
    await relay._tend()
    await relay.run_pending()
    assert sorted(got) == [1, 2]


async def test_a_process_that_stops_gives_back_what_is_under_way(bench: Bench) -> None:
    started = asyncio.Event()

    async def slow(event: Said) -> None:
        started.set()
        await asyncio.sleep(60)

    await bench.register(EventHandler(Said, slow))
    await bench.publish(1)
    async with bench.relay().working(grace=0.05):
        await started.wait()
    (row,) = await bench.rows(delivery)
    assert (row.state, row.attempts, row.lease, row.crashes) == ("ready", 0, None, 0)


async def test_what_an_absent_subscriber_is_to_get_waits_for_it(bench: Bench) -> None:
    got: list[int] = []
    await bench.register(EventHandler(Said, lambda event: got.append(event.n)))
    async with bench.session() as session:
        await subscribe(session, [], [])  # its plugin does not run
    await bench.publish(1)
    await bench.relay().run_pending()
    assert got == [1]


async def test_a_subscription_that_ended_gets_nothing_more(bench: Bench) -> None:
    await bench.register(EventHandler(Said, ignore))
    async with bench.session() as session:
        await subscribe(session, ["notes"], [])
    await bench.publish(1)
    assert await bench.rows(delivery) == []


async def test_what_is_kept_can_be_delivered_again(bench: Bench) -> None:
    got: list[int] = []
    await bench.register()
    await bench.publish(1, 2)
    await bench.register(EventHandler(Said, lambda event: got.append(event.n), name="late"))
    async with bench.session() as session:
        assert await replay(session, "notes:notes.note.said:late", 0.0) == 2
        assert await bench.doors().replay(session, Said) == 2
    await bench.relay(concurrency=1).run_pending()
    assert got == [1, 2, 1, 2]


async def test_a_job_runs_once_and_its_history_stays(bench: Bench) -> None:
    class Args(msgspec.Struct):
        n: int = 3

    got: list[Any] = []

    async def tidy(args: Args, delivery: Delivery, db: AsyncSession) -> None:
        await db.execute(sa.select(1))
        got.append((args.n, delivery.name))

    await bench.register(jobs=(Job("notes.tidy", tidy, Args),))
    async with bench.session() as session:
        said = await bench.doors().enqueue(session, "notes.tidy", Args(5))
    await bench.relay().run_pending()
    (run,) = await bench.rows(job_run)
    assert got == [(5, "notes.tidy")]
    assert (run.job, run.event_id, run.outcome, run.actor) == ("notes.tidy", said, "done", "user:7")
    assert (await bench.rows(outbox), await bench.rows(delivery)) == ([], [])


async def test_a_job_with_the_same_unique_text_waits_only_once(bench: Bench) -> None:
    class Args(msgspec.Struct):
        n: int

    await bench.register(jobs=(Job("notes.tidy", ignore_args, Args, unique_by=lambda args: str(args.n)),))
    async with bench.session() as session:
        first = await bench.doors().enqueue(session, "notes.tidy", Args(1))
        again = await bench.doors().enqueue(session, "notes.tidy", Args(1))
        other = await bench.doors().enqueue(session, "notes.tidy", Args(2))
    assert first == again != other
    assert await bench.relay().run_pending() == 2
    async with bench.session() as session:
        assert await bench.doors().enqueue(session, "notes.tidy", Args(1)) not in {first, other}


async def test_two_transactions_that_enqueue_the_same_leave_one(bench: Bench) -> None:
    await bench.register(jobs=(Job("notes.tidy", lambda: None, unique_by=lambda _: "all"),))

    async def enqueue() -> str:
        async with bench.session() as session:
            return await bench.doors().enqueue(session, "notes.tidy")

    ids = set(await asyncio.gather(*(enqueue() for _ in range(8))))
    assert len(ids) == 1
    assert len(await bench.rows(delivery)) == len(await bench.rows(outbox)) == 1


async def test_a_claim_and_never_a_cursor(bench: Bench) -> None:
    """Transactions that commit out of the order of their numbers: none of their events is missed."""
    got: set[int] = set()
    await bench.register(EventHandler(Said, lambda event: got.add(event.n)))
    total = 240
    numbers = iter(range(total))

    async def writer() -> None:
        for n in numbers:
            async with bench.session() as session:
                await bench.doors().publish(session, Said(n))
                await asyncio.sleep(0.001 * (n % 4))

    relay = bench.relay(poll=0.02, concurrency=6, clock=time.time)
    async with relay.working(grace=5):
        await asyncio.gather(*(writer() for _ in range(8)))
    await relay.run_pending()
    assert got == set(range(total))


RUN = {
    "job": "x",
    "event_id": "x",
    "attempt": 1,
    "actor": "x",
    "started": 0.0,
    "ended": 0.0,
    "outcome": "done",
}
