"""When jobs are due: cron lines in time zones, the two odd nights of a year, and clocks that jump."""

from __future__ import annotations

import datetime as dt
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from plugin_host.events.backoff import CAP, backoff
from plugin_host.events.scheduler import Scheduler
from plugin_host.events.schedules import CATCH_UP, Schedule, ScheduleError
from plugin_host.events.tables import outbox, schedule_slot
from plugin_host.sdk import Job

from .conftest import Bench

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: Any = dt.UTC) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("line", "zone", "words"),
    [
        ("61 * * * *", "UTC", "is no cron line: Bad minute"),
        ("every day", "UTC", "is no cron line"),
        ("", "UTC", "is no cron line"),
        ("0 3 * * *", "Mars/Olympus", "there is no time zone 'Mars/Olympus'"),
        ("0 3 * * *", "../../etc/passwd", "there is no time zone"),
    ],
)
def test_what_nobody_can_read_is_told(line: str, zone: str, words: str) -> None:
    with pytest.raises(ScheduleError, match=words):
        Schedule.parse(line, zone)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-03-28", ["2026-03-28T01:30:00+00:00", "2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]),
        ("2026-10-24", ["2026-10-24T00:30:00+00:00", "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"]),
    ],
    ids=["spring", "autumn"],
)
def test_a_nightly_job_runs_once_in_each_night_also_in_the_odd_ones(day: str, expected: list[str]) -> None:
    schedule = Schedule.parse("30 2 * * *", "Europe/Berlin")
    slots = islice(schedule.after(at(f"{day}T00:00:00", BERLIN)), 3)
    assert [dt.datetime.fromtimestamp(slot, dt.UTC).isoformat() for slot in slots] == expected


def test_every_hour_is_every_hour_also_when_one_comes_twice() -> None:
    schedule = Schedule.parse("0 * * * *", "Europe/Berlin")
    slots = list(islice(schedule.after(at("2026-10-25T00:30:00", BERLIN)), 5))
    assert [later - sooner for sooner, later in pairwise(slots)] == [3600.0] * 4


def test_what_was_missed_for_long_is_made_up_for_once_and_the_last_minute_wholly() -> None:
    nightly, often = Schedule.parse("0 3 * * *", "UTC"), Schedule.parse("*/10 * * * * *", "UTC")
    now = at("2026-06-10T12:00:00")
    assert nightly.due(at("2026-06-01T12:00:00"), now) == [at("2026-06-10T03:00:00")]
    assert nightly.due(at("2026-06-10T04:00:00"), now) == []
    assert often.due(now - 3600, now) == [now - CATCH_UP + 10 * n for n in range(1, 7)]


@given(st.integers(1, 200), st.floats(0, 1))
def test_back_off_is_never_longer_than_an_hour_and_never_negative(attempt: int, chance: float) -> None:
    assert 0 <= backoff(attempt, chance) <= min(CAP, 2.0**attempt)


@pytest.mark.anyio
async def test_a_slot_is_fired_once_by_whoever_comes_first(bench: Bench) -> None:
    await bench.register(jobs=(Job("notes.tick", lambda: None, schedule="*/10 * * * * *"),))
    bench.now = at("2026-06-10T12:00:00") + 5
    one, other = (Scheduler(bench.database, lambda: None, lambda: bench.now) for _ in range(2))
    for each in (one, other):
        each.serve(bench.handlers)
        await each.look()  # from here on
    before = len(await bench.rows(outbox))
    bench.now += 20
    assert [await one.look(), await other.look(), await one.look()] == [2, 0, 0]
    assert len(await bench.rows(outbox)) == before + 2


@pytest.mark.anyio
async def test_a_clock_that_jumps_fires_nothing_twice_and_does_not_stop_for_ever(bench: Bench) -> None:
    await bench.register(jobs=(Job("notes.tick", lambda: None, schedule="*/10 * * * * *"),))
    start = bench.now = at("2026-06-10T12:00:00") + 5
    scheduler = Scheduler(bench.database, lambda: None, lambda: bench.now)
    scheduler.serve(bench.handlers)
    await scheduler.look()
    for moment in (start + 30, start, start + 30, start + 365 * 86_400, start + 35, start + 45):
        bench.now = moment
        await scheduler.look()
    slots = [row.slot for row in await bench.rows(schedule_slot)]
    assert len(set(slots)) == len(slots) == len(await bench.rows(outbox))
    assert {start + 5, start + 15, start + 25, start + 35, start + 45} <= set(slots)
