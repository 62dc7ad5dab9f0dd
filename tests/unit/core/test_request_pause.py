from __future__ import annotations

from wsresilient.core.request_pause import FIRST, LONGEST, RequestPause


def test_pauses_double_up_to_the_longest_and_many_are_told_once() -> None:
    pause, now, told, lengths = RequestPause(2), 0.0, [], []
    for _ in range(7):
        told.append(pause.begin(now))
        assert pause.until is not None
        lengths.append(pause.until - now)
        now = pause.until
        assert not pause.is_on(now)

    assert lengths == [FIRST, 4.0, 8.0, 16.0, 32.0, LONGEST, LONGEST]
    assert told == [False, False, True, False, False, False, False]


def test_refusals_of_requests_that_were_under_way_are_one() -> None:
    pause = RequestPause(0)
    assert pause.begin(0.0)

    assert not pause.begin(1.0)
    assert pause.until == FIRST


def test_an_answer_makes_the_next_pause_a_short_one_that_may_be_told() -> None:
    pause = RequestPause(0)
    assert pause.begin(0.0)
    pause.over()

    assert pause.begin(100.0)
    assert pause.until == 100.0 + FIRST


def test_a_pause_that_is_over_is_no_deadline() -> None:
    pause = RequestPause(2)
    pause.begin(0.0)
    pause.pass_time(1.0)
    assert pause.until == FIRST
    pause.pass_time(FIRST)

    assert pause.until is None


def test_clear_forgets_all() -> None:
    pause = RequestPause(1)
    pause.begin(0.0)
    pause.clear()

    assert pause.until is None
    assert not pause.begin(0.0)
    assert pause.until == FIRST
