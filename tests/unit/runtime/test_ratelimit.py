"""A rate that connections share: a burst, then no more than the rate, whoever asks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import BOUND, Running
from wsresilient import ConfigurationError, RateLimiter


class Clock:
    """A monotonic clock that only moves when it is told to, or when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter_on(clock: Clock, rate: float, **settings: Any) -> RateLimiter:
    limiter = RateLimiter(rate, clock=clock, **settings)
    limiter._pause = clock  # type: ignore[assignment]  # a wait moves the clock
    return limiter


def test_a_burst_goes_at_once_and_then_one_in_each_interval(clock: Clock) -> None:
    limiter = RateLimiter(10.0, burst=3, clock=clock)

    assert [limiter.try_acquire() for _ in range(3)] == [0.0] * 3
    assert limiter.try_acquire() == pytest.approx(0.1)
    clock.now += 0.04
    assert limiter.try_acquire() == pytest.approx(0.06)
    clock.now += 0.07
    assert limiter.try_acquire() == 0.0
    assert limiter.try_acquire() > 0.0


def test_a_token_may_be_a_connect(clock: Clock) -> None:
    limiter = RateLimiter(2.0, burst=1, clock=clock)

    assert limiter.reserve() == 0.0
    assert limiter.reserve() == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "at_once"), [(5.0, 5), (1.0, 1), (0.1, 1), (2.5, 2)])
def test_without_a_burst_as_many_go_at_once_as_a_second_allows(
    rate: float, at_once: int, clock: Clock
) -> None:
    limiter = RateLimiter(rate, clock=clock)

    taken = [limiter.try_acquire() for _ in range(at_once + 1)]

    assert taken[:at_once] == [0.0] * at_once
    assert taken[at_once] > 0.0


def test_a_long_pause_saves_up_no_more_than_a_burst(clock: Clock) -> None:
    limiter = RateLimiter(10.0, burst=3, clock=clock)
    clock.now += 3600.0

    assert [limiter.try_acquire() == 0.0 for _ in range(5)] == [True] * 3 + [False] * 2


def test_acquire_waits_for_its_turn(clock: Clock) -> None:
    limiter = limiter_on(clock, 2.0, burst=1)
    begin = clock.now

    assert all(limiter.acquire() for _ in range(7))

    assert clock.now - begin == pytest.approx(3.0)


def test_acquire_waits_in_pieces_in_which_ctrl_c_is_heard(clock: Clock) -> None:
    limiter = limiter_on(clock, 0.01, burst=1)
    limiter.acquire()

    assert limiter.acquire()

    assert sum(clock.waits) == pytest.approx(100.0)
    assert max(clock.waits) <= 1.0


def test_acquire_gives_up_at_once_when_its_turn_comes_too_late(clock: Clock) -> None:
    limiter = limiter_on(clock, 1.0, burst=1)
    assert limiter.acquire(timeout=0.0)

    assert not limiter.acquire(timeout=0.9)

    assert clock.waits == []
    assert limiter.acquire(timeout=1.1)


def test_one_that_gave_up_has_taken_nothing_from_the_others(clock: Clock) -> None:
    limiter = limiter_on(clock, 1.0, burst=1)
    limiter.acquire()
    for _ in range(10):
        assert not limiter.acquire(timeout=0.5)

    clock.now += 1.0

    assert limiter.try_acquire() == 0.0


@given(
    st.floats(0.1, 1000.0),
    st.floats(1.0, 50.0),
    st.lists(st.floats(0.0, 2.0), min_size=1, max_size=100),
)
def test_never_more_than_rate_and_burst_allow(
    rate: float, burst: float, pauses: list[float]
) -> None:
    clock = Clock()
    limiter = RateLimiter(rate, burst=burst, clock=clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        while not limiter.try_acquire():
            taken += 1
        elapsed = clock.now - 1000.0
        assert taken <= burst + rate * elapsed + 1e-6
        assert taken >= min(burst, rate * elapsed) - 1.0


@given(
    st.integers(1, 20),
    st.lists(
        st.one_of(st.just(0.0), st.floats(0.0, 0.01), st.floats(0.0, 3.0)), min_size=1, max_size=300
    ),
)
def test_with_a_burst_of_one_no_second_ever_sees_more_than_the_rate(
    rate: int, pauses: list[float]
) -> None:
    clock = Clock()
    limiter = RateLimiter(float(rate), burst=1, clock=clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = limiter.try_acquire()
        if wait:  # just in time, as acquire() would
            clock.now += wait
            wait = limiter.try_acquire()
        if not wait:
            taken.append(clock.now)

    # wherever the second begins: one more than the rate lasts longer than it
    for first, beyond in zip(taken, taken[rate:], strict=False):
        assert beyond - first >= 1.0 - 1e-9


def test_a_burst_may_crowd_a_second_which_is_why_venues_get_one_of_one(clock: Clock) -> None:
    limiter = RateLimiter(5.0, burst=5, clock=clock)
    taken = 0
    for _ in range(100):
        taken += limiter.try_acquire() == 0.0
        clock.now += 0.009

    assert taken == 9


def test_what_must_not_wait_is_let_through_and_the_others_make_up_for_it(clock: Clock) -> None:
    limiter = RateLimiter(2.0, burst=1, clock=clock)
    assert limiter.try_acquire() == 0.0

    limiter.take()

    assert limiter.try_acquire() == pytest.approx(1.0)
    clock.now += 0.999
    assert limiter.try_acquire() > 0.0
    clock.now += 0.001
    assert limiter.try_acquire() == pytest.approx(0.0, abs=1e-9)


def test_what_is_there_is_taken_without_a_debt(clock: Clock) -> None:
    limiter = RateLimiter(2.0, burst=3, clock=clock)

    limiter.take()

    assert [limiter.try_acquire() for _ in range(2)] == [0.0, 0.0]
    assert limiter.try_acquire() == pytest.approx(0.5)


@given(st.floats(0.01, 100.0), st.floats(1.0, 20.0), st.integers(0, 1000))
def test_no_number_of_heartbeats_starves_the_others(rate: float, burst: float, beats: int) -> None:
    limiter = RateLimiter(rate, burst=burst, clock=Clock())
    for _ in range(beats):
        limiter.take()

    assert limiter.try_acquire() <= 1.0 + max(1.0, 1.0 / rate) + 1.0 / rate


def test_connections_that_share_a_limiter_share_its_rate() -> None:
    limiter = RateLimiter(0.001, burst=50)

    def take() -> int:
        return sum(limiter.try_acquire() == 0.0 for _ in range(40))

    takers = [Running(take) for _ in range(4)]

    assert sum(taker.result() for taker in takers) == 50


def test_a_real_clock_serves_as_well() -> None:
    limiter = RateLimiter(1000.0, burst=1)

    assert all(limiter.acquire(timeout=BOUND) for _ in range(20))


def test_it_tells_its_numbers() -> None:
    assert repr(RateLimiter(2.5, burst=10)) == "<RateLimiter 2.5/s, burst 10>"


@pytest.mark.parametrize(
    ("rate", "burst", "name"),
    [
        (0, None, "rate"),
        (-1, None, "rate"),
        (None, None, "rate"),
        ("5", None, "rate"),
        (float("nan"), None, "rate"),
        (True, None, "rate"),
        (1, 0.9, "burst"),
        (1, "2", "burst"),
    ],
)
def test_a_wrong_number_is_refused(rate: Any, burst: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is .*; allowed: a number "):
        RateLimiter(rate, burst=burst)
