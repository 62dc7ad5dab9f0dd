from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from wsresilient.runtime.pool_member import PoolMember
from wsresilient.runtime.pool_warmup import WarmUp


def member(name: str = "x") -> PoolMember:
    return cast(PoolMember, name)  # it is only carried


def warm_up(size: int = 20, interval: float = 2.0, chance: float = 0.0) -> WarmUp:
    return WarmUp(batch_size=size, batch_interval=interval, chance=lambda: chance)


def start_all(queue: WarmUp, now: float) -> list[float]:
    """Take them as soon as they may be taken; returns when."""
    times = []
    while len(queue):
        now += queue.wait(now)
        while queue.take(now) is not None:
            times.append(now)
        now += 1e-6  # of rounding
    return times


def most_within(times: list[float], seconds: float) -> int:
    return max(sum(begin <= time < begin + seconds for time in times) for begin in times)


def test_the_first_one_starts_at_once() -> None:
    queue = warm_up(size=1, interval=60.0, chance=0.9)
    queue.add(member("a"), 1000.0)

    assert queue.wait(1000.0) == 0.0
    assert cast(Any, queue.take(1000.0)) == "a"
    assert queue.take(1000.0) is None


def test_280_take_fourteen_batches() -> None:
    queue = warm_up()
    for _ in range(280):
        queue.add(member(), 100.0)
    times = start_all(queue, 100.0)

    assert len(times) == 280
    assert 126.0 < times[-1] < 129.0
    assert most_within(times, 2.0) <= 20


def test_jitter_is_within_the_place_of_each() -> None:
    queue = warm_up(size=4, interval=4.0, chance=0.999)
    for _ in range(8):
        queue.add(member(), 0.0)
    times = start_all(queue, 0.0)

    assert times[0] == 0.0
    assert all(0.5 * n <= time for n, time in enumerate(times[:4]))
    assert most_within(times, 4.0) <= 4


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 30)), min_size=1, max_size=8),
    st.integers(1, 10),
    st.floats(0.0, 0.99),
)
def test_whenever_they_come_no_interval_sees_more_than_a_batch(
    waves: list[tuple[float, int]], size: int, chance: float
) -> None:
    queue = warm_up(size=size, interval=2.0, chance=chance)
    times: list[float] = []
    now = 0.0
    for pause, count in waves:
        for _ in range(count):
            queue.add(member(), now)
        times += start_all(queue, now)
        now = max(now, times[-1]) + pause

    assert len(times) == sum(count for _, count in waves)
    assert most_within(times, 2.0) <= size


def test_one_that_came_too_early_waits_once_more() -> None:
    queue = warm_up()
    queue.add(member("a"), 0.0)
    taken = queue.take(0.0)
    assert taken is not None
    queue.postpone(taken, 0.5)

    assert queue.take(0.4) is None
    assert queue.wait(0.25) == 0.25
    assert queue.take(0.5) is taken


def test_one_that_waits_once_more_holds_no_other_up() -> None:
    queue = warm_up()
    for name in "abc":
        queue.add(member(name), 0.0)
    first = queue.take(0.0)
    assert first is not None
    queue.postpone(first, 0.2)

    assert [cast(Any, queue.take(0.11)) for _ in range(3)] == ["b", "c", None]
    assert queue.take(0.2) is first


def test_nobody_waits_after_a_clear() -> None:
    queue = warm_up()
    queue.add(member(), 0.0)
    queue.clear()

    assert queue.take(9.0) is None
    assert queue.wait(9.0) == float("inf")
