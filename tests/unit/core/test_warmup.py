"""When connections may be opened: batches that are spread, windows that are strict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.warmup import start_delay, window_wait

SIZES = st.integers(1, 30)
PARTS = st.floats(0.0, 1.0)


def test_280_connections_in_batches_of_20_every_2_seconds() -> None:
    delays = [start_delay(k, batch_size=20, batch_interval=2.0) for k in range(280)]

    assert delays[0] == 0.0
    assert delays[20] == 2.0
    assert delays[279] == pytest.approx(26.95)  # the last of batch 14


def test_without_a_spread_a_batch_starts_at_once() -> None:
    delays = [start_delay(k, batch_size=3, batch_interval=2.0, spread=0.0) for k in range(7)]

    assert delays == [0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 4.0]


def test_a_phase_moves_all() -> None:
    assert start_delay(4, batch_size=2, batch_interval=2.0, phase=0.25) == 4.5


def test_without_an_interval_all_start_at_once() -> None:
    assert {start_delay(k, batch_size=5, batch_interval=0.0) for k in range(50)} == {0.0}


@given(SIZES, st.floats(0.1, 100.0), st.floats(0.0, 1.0, exclude_max=True), PARTS)
def test_no_stretch_of_an_interval_sees_more_than_a_batch(
    size: int, interval: float, spread: float, phase: float
) -> None:
    delays = [
        start_delay(k, batch_size=size, batch_interval=interval, spread=spread, phase=phase)
        for k in range(5 * size)
    ]

    assert delays == sorted(delays)
    for earlier, later in zip(delays, delays[size:], strict=False):
        assert later - earlier >= interval * (1 - 1e-9)


def test_a_window_with_room_asks_for_no_wait() -> None:
    assert window_wait([], 5.0, count=1, seconds=10.0) == 0.0
    assert window_wait([1.0, 2.0], 5.0, count=3, seconds=10.0) == 0.0


def test_a_full_window_asks_to_wait_for_the_oldest_to_leave() -> None:
    assert window_wait([1.0, 2.0, 3.0], 5.0, count=2, seconds=10.0) == 7.0
    assert window_wait([1.0, 2.0, 3.0], 12.0, count=2, seconds=10.0) == 0.0


@given(st.lists(st.floats(0.0, 3.0), max_size=60), SIZES, st.floats(0.5, 5.0))
def test_whoever_waits_as_told_never_overfills_a_window(
    pauses: list[float], count: int, seconds: float
) -> None:
    now, times = 0.0, list[float]()
    for pause in pauses:
        now += pause
        now += window_wait(times, now, count=count, seconds=seconds)
        times.append(now)

    for earlier, later in zip(times, times[count:], strict=False):
        assert later - earlier >= seconds * (1 - 1e-9)
