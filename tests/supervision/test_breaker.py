"""The breaker: trips at the thresholds and never below, on counters and times that are handed in."""

from __future__ import annotations

from typing import Any

from hypothesis import given, strategies as st

from plugin_host.supervision.breaker import FIRST_DELAY, LAST_DELAY, WINDOW, Breaker, Counts, Thresholds, retry_delay

LIMITS = Thresholds(errors=10, share=0.5, timeouts=5, time_limit=60)


def told(*steps: tuple[float, Counts], limits: Thresholds = LIMITS, last_error: str = "") -> list[str | None]:
    breaker = Breaker(limits)
    reasons = [breaker.look("shop", counts, now, last_error) for now, counts in steps]
    return [None if reason is None else reason.text for reason in reasons]


def test_a_quiet_plugin_is_left_alone() -> None:
    assert told((0, Counts()), (1, Counts(1000, 9, 4))) == [None, None]


def test_enough_errors_of_enough_share_trip_it() -> None:
    assert told((0, Counts()), (1, Counts(20, 10))) == [None, "shop: 10 of 20 answers within a minute were errors."]


def test_many_errors_among_many_more_answers_do_not() -> None:
    assert told((0, Counts()), (1, Counts(100, 49))) == [None, None]


def test_enough_time_outs_trip_it_whatever_their_share() -> None:
    assert told((0, Counts()), (1, Counts(1000, 0, 5))) == [
        None,
        "shop: 5 requests took more than 60 seconds within a minute.",
    ]


def test_what_was_before_the_first_look_is_not_counted() -> None:
    assert told((0, Counts(50, 50)), (1, Counts(51, 51))) == [None, None]


def test_errors_spread_over_more_than_a_minute_do_not_trip_it() -> None:
    steps = [(10.0 * n, Counts(n, n)) for n in range(60)]
    assert set(told(*steps)) == {None}


def test_the_same_errors_within_a_minute_do() -> None:
    steps = [(1.0 * n, Counts(n, n)) for n in range(12)]
    assert told(*steps)[10] is not None


def test_what_tripped_it_once_is_not_held_against_it_again() -> None:
    assert told((0, Counts()), (1, Counts(20, 20)), (2, Counts(20, 20)), (3, Counts(21, 21)))[2:] == [None, None]


def test_counters_that_begin_anew_are_no_errors() -> None:
    assert told((0, Counts(500, 400)), (1, Counts(3, 3)), (2, Counts(4, 4))) == [None, None, None]


def test_each_plugin_has_counters_of_its_own() -> None:
    breaker = Breaker(LIMITS)
    breaker.look("shop", Counts(), 0)
    breaker.look("crm", Counts(), 0)
    assert breaker.look("crm", Counts(8, 8), 1) is None
    assert breaker.look("shop", Counts(9, 9), 1) is None


def test_a_plugin_that_left_begins_anew() -> None:
    breaker = Breaker(LIMITS)
    breaker.look("shop", Counts(), 0)
    breaker.keep(["crm"])
    assert breaker.look("shop", Counts(10, 10), 1) is None


def test_the_reason_says_what_where_and_the_way_out() -> None:
    breaker = Breaker(LIMITS)
    breaker.look("shop", Counts(), 0)
    reason = breaker.look("shop", Counts(12, 12), 1, "KeyError: 'a' (shop/routes.py:7)")
    assert reason is not None
    assert (reason.code, reason.culprits) == ("runtime_errors", ("shop",))
    assert reason.text.endswith("the last error: KeyError: 'a' (shop/routes.py:7).")
    assert "plugin-host plugins retry shop" in reason.way_out


def test_the_delay_doubles_up_to_an_hour() -> None:
    assert [retry_delay(n) for n in range(1, 9)] == [30, 60, 120, 240, 480, 960, 1920, LAST_DELAY]


@given(st.integers(min_value=-5, max_value=10**6))
def test_any_attempt_has_a_delay_within_bounds(attempt: int) -> None:
    assert FIRST_DELAY <= retry_delay(attempt) <= LAST_DELAY


steps = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=30),
        st.integers(min_value=0, max_value=30),
        st.integers(min_value=0, max_value=12),
        st.integers(min_value=0, max_value=4),
    ),
    max_size=60,
)


@given(steps, st.floats(min_value=0.01, max_value=1))
def test_it_trips_only_when_a_window_holds_enough(walk: list[Any], share: float) -> None:
    """Any window of a minute that it tripped on held enough errors of enough share, or enough time-outs."""
    limits = Thresholds(errors=10, share=share, timeouts=5)
    breaker = Breaker(limits)
    now, total = 0.0, Counts()
    events: list[tuple[float, Counts]] = []
    breaker.look("shop", total, now)
    for wait, fine, errors, timeouts in walk:
        now += wait
        events.append((now, Counts(fine + errors + timeouts, errors, timeouts)))
        total = Counts(*(a + b for a, b in zip(total, events[-1][1], strict=True)))
        tripped = breaker.look("shop", total, now)
        if tripped is not None:
            lately = [counts for at, counts in events if at >= now - WINDOW]
            errors_seen, timeouts_seen = (sum(each[place] for each in lately) for place in (1, 2))
            assert errors_seen >= limits.errors or timeouts_seen >= limits.timeouts
            events.clear()


@given(steps)
def test_below_every_threshold_it_never_trips(walk: list[Any]) -> None:
    breaker = Breaker(Thresholds(errors=13, share=0.01, timeouts=5))
    now, total = 0.0, Counts()
    breaker.look("shop", total, now)
    for wait, fine, errors, timeouts in walk:
        now += wait + WINDOW  # so that no window holds more than one step
        total = Counts(*(a + b for a, b in zip(total, (fine + errors + timeouts, errors, timeouts), strict=True)))
        assert breaker.look("shop", total, now) is None
