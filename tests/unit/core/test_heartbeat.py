from __future__ import annotations

import math

from wsresilient.core.heartbeat import HeartbeatSchedule


def schedule(*, only_in_silence: bool = False) -> HeartbeatSchedule:
    return HeartbeatSchedule(
        interval=20.0, timeout=10.0, only_in_silence=only_in_silence, now=100.0
    )


def test_one_is_due_every_interval_whatever_comes() -> None:
    made = schedule()
    assert made.wait(100.0, last_received=100.0) == 20.0
    assert made.wait(119.0, last_received=118.0) == 1.0
    assert made.wait(121.0, last_received=118.0) == 0.0
    made.sent(121.0)

    assert made.wait(121.0, last_received=118.0) == 20.0


def test_in_silence_every_byte_puts_it_off() -> None:
    made = schedule(only_in_silence=True)

    assert made.wait(119.0, last_received=118.0) == 19.0
    assert made.wait(138.0, last_received=118.0) == 0.0


def test_silence_after_one_means_that_the_link_is_dead() -> None:
    made = schedule()
    made.sent(120.0)
    assert made.deadline() == 130.0
    assert made.silence(129.9, last_received=118.0) is None

    assert made.silence(130.0, last_received=118.0) == 12.0


def test_anything_that_comes_is_a_sign_of_life() -> None:
    made = schedule()
    made.sent(120.0)

    assert made.silence(131.0, last_received=120.1) is None
    assert made.deadline() == math.inf


def test_the_oldest_unanswered_one_counts() -> None:
    made = schedule()
    made.sent(120.0)
    made.sent(125.0)

    assert made.silence(130.0, last_received=100.0) == 30.0


def test_one_that_could_not_go_out_counts_too_and_stays_due() -> None:
    made = schedule()
    made.missed(120.0)

    assert made.wait(120.0, last_received=100.0) == 0.0
    assert made.silence(130.0, last_received=100.0) == 30.0


def test_repr_tells_the_times() -> None:
    assert repr(schedule()) == "<HeartbeatSchedule every 20 s, timeout 10 s>"
