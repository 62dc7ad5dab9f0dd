"""Counters, and a rate that is neither stale nor blown up from a moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.metrics import ConnectionCounters, HandlerCounters, RateWindow, Traffic


def test_counters_begin_at_nothing() -> None:
    counters = ConnectionCounters()

    assert (counters.connects, counters.failures, counters.errors) == (0, 0, 0)
    assert (counters.reconnects, counters.rotations) == (0, 0)
    assert (HandlerCounters().callback_errors, HandlerCounters().unrouted) == (0, 0)


def test_the_traffic_of_two_connections_adds_up() -> None:
    first = Traffic(10, 1000, 5.0)

    assert first.plus(Traffic(20, 2000, 4.0)) == Traffic(30, 3000, 5.0)
    assert Traffic().plus(Traffic()) == Traffic()
    assert Traffic().plus(first) == first


def sampled(rate: float, *, seconds: int, window: RateWindow | None = None) -> RateWindow:
    """Sample a counter that grows by ``rate`` a second, once a second."""
    window = window or RateWindow()
    for second in range(seconds + 1):
        window.sample(float(second), int(rate * second))
    return window


def test_without_samples_there_is_no_rate() -> None:
    assert RateWindow().per_minute(5.0, 100) == 0.0


@pytest.mark.parametrize("seconds", [1, 10, 60, 61, 500])
def test_a_steady_stream_has_its_rate_from_the_first_second_on(seconds: int) -> None:
    window = sampled(10.0, seconds=seconds)

    assert window.per_minute(float(seconds), 10 * seconds) == pytest.approx(600.0)


def test_the_rate_forgets_what_is_older_than_a_minute() -> None:
    window = RateWindow()
    count = 0
    for second in range(200):
        count += 1000 if second < 100 else 1
        window.sample(float(second), count)

    assert window.per_minute(199.0, count) == pytest.approx(60.0)


def test_a_stream_that_began_a_moment_ago_is_not_extrapolated() -> None:
    window = RateWindow()
    window.sample(100.0, 0)

    assert window.per_minute(100.01, 50) == 50 * 60.0
    assert window.per_minute(100.0, 50) == 0.0


def test_a_clock_that_stands_still_is_no_division_by_zero() -> None:
    window = RateWindow()
    for _ in range(5):
        window.sample(1.0, 7)

    assert window.per_minute(1.0, 7) == 0.0


def test_a_stream_that_nobody_samples_any_more_has_no_rate() -> None:
    window = sampled(10.0, seconds=60)

    assert window.per_minute(60.0 + 61.0, 600) == 0.0


@given(
    st.lists(st.tuples(st.floats(0.01, 30.0), st.integers(0, 100)), min_size=1, max_size=100),
    st.floats(1.0, 100.0),
)
def test_a_rate_is_never_negative_nor_more_than_all_in_a_second(
    steps: list[tuple[float, int]], span: float
) -> None:
    window = RateWindow(span)
    now = count = 0.0
    for pause, more in steps:
        now, count = now + pause, count + more
        window.sample(now, int(count))

    assert 0.0 <= window.per_minute(now + 0.5, int(count)) <= count * 60.0
