"""How fast bytes may pass, with a clock that is a number."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wsresilient.errors import ConfigurationError
from wsresilient.testing.pacing import Pace, Pipe


def pass_bytes(
    pipe: Pipe, pace: Pace, until: float, step: float = 0.001
) -> list[tuple[float, int]]:
    """Let the clock run, and say when how many bytes went."""
    writes = []
    for tick in range(round(until / step) + 1):
        now = tick * step
        while (data := pipe.portion(pace, now)) is not None:
            writes.append((now, len(data)))
            pipe.sent(len(data), pace, now)
    return writes


def filled(data: bytes, at: float = 0.0) -> Pipe:
    pipe = Pipe()
    pipe.push(data, at)
    return pipe


def due_bytes(pipe: Pipe, now: float) -> bytes:
    """Give what may go without a limit."""
    return bytes(pipe.portion(Pace(), now) or b"")


def test_without_a_limit_everything_goes_at_once() -> None:
    pipe = filled(b"abc")

    assert due_bytes(pipe, 0.0) == b"abc"
    pipe.sent(3, Pace(), 0.0)

    assert pipe.portion(Pace(), 0.0) is None
    assert pipe.due(Pace()) is None
    assert pipe.buffered == 0


def test_what_the_kernel_did_not_take_stays_in_order() -> None:
    pipe = filled(b"abc")
    pipe.push(b"def", 0.0)

    pipe.sent(1, Pace(), 0.0)

    assert due_bytes(pipe, 0.0) == b"bc"
    assert pipe.buffered == 5


def test_latency_holds_each_byte_back_and_does_not_add_up() -> None:
    pace = Pace(latency=0.5)
    pipe = filled(b"abc", at=0.0)
    pipe.push(b"def", 0.25)

    assert pipe.due(pace) == 0.5
    assert pass_bytes(pipe, pace, until=1.0) == [(0.5, 3), (0.75, 3)]


@pytest.mark.parametrize("step", [0.001, 0.007])
def test_bandwidth_is_kept_on_average(step: float) -> None:
    writes = pass_bytes(filled(b"x" * 100_000), Pace(bandwidth=10_000), until=1.0, step=step)

    # One portion of 20 ms goes at once.
    assert sum(size for _, size in writes) == pytest.approx(10_000, abs=400)
    assert max(size for _, size in writes) == 200


def test_a_very_small_bandwidth_still_passes_bytes() -> None:
    assert pass_bytes(filled(b"abc"), Pace(bandwidth=10), until=0.15) == [(0.0, 1), (0.08, 1)]


def test_slices_have_a_size_and_a_distance() -> None:
    writes = pass_bytes(filled(b"abcde"), Pace(slice_size=2, slice_interval=0.1), until=1.0)

    assert [size for _, size in writes] == [2, 2, 1]
    assert [at for at, _ in writes] == pytest.approx([0.0, 0.1, 0.2])


def test_slices_without_a_distance_follow_at_once() -> None:
    writes = pass_bytes(filled(b"abcde"), Pace(slice_size=2), until=0.0)

    assert writes == [(0.0, 2), (0.0, 2), (0.0, 1)]


def test_a_new_pace_works_on_bytes_that_wait() -> None:
    pipe = filled(b"abcde")
    slow = Pace(slice_size=1, slice_interval=1000.0)
    pipe.sent(1, slow, 0.0)
    assert pipe.portion(Pace(), 1.0) is None

    pipe.release()

    assert due_bytes(pipe, 1.0) == b"bcde"


def test_a_byte_can_be_flipped() -> None:
    pipe = Pipe()
    assert not pipe.flip_next()
    pipe.push(b"\x0fabc", 0.0)

    assert pipe.flip_next()

    assert due_bytes(pipe, 0.0) == b"\xf0abc"


def test_what_waits_can_be_thrown_away() -> None:
    pipe = filled(b"abc")
    assert repr(pipe) == "<Pipe buffered=3>"

    pipe.clear()

    assert pipe.portion(Pace(), 0.0) is None
    assert repr(pipe) == "<Pipe buffered=0>"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pace(latency=-1), "latency must be 0 or more, not -1"),
        (lambda: Pace(slice_interval=-0.5), "slice_interval must be 0 or more, not -0.5"),
        (lambda: Pace(bandwidth=0), "bandwidth must be above 0 or None, not 0"),
        (lambda: Pace(slice_size=0), "slice_size must be 1 or more or None, not 0"),
    ],
)
def test_settings_are_checked(make: Callable[[], Pace], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
