from __future__ import annotations

import time

import pytest

from wsresilient import NotConnectedError
from wsresilient.runtime.answers import MOST_WAITING, Answers

SOON = 5.0


def now() -> float:
    return time.monotonic()


def test_the_answer_with_the_id_goes_to_who_waits_for_it() -> None:
    answers = Answers()
    with answers.waiting_for(1) as first, answers.waiting_for("x") as second:
        assert not answers  # nobody looks at every message
        assert answers.give("x", {"n": 2})
        assert answers.give(1, None)
        assert not answers.give(3, {})
        assert second.get(now() + SOON) == {"n": 2}
        assert first.get(now() + SOON) is None

    assert not answers.give(1, {})


def test_who_waits_for_an_id_is_told_when_none_will_come() -> None:
    answers = Answers()
    with answers.waiting_for(1) as waiter:
        with pytest.raises(TimeoutError):
            waiter.get(now() - 1.0)
        answers.link_dropped()
        with pytest.raises(NotConnectedError):
            waiter.get(now() + SOON)


def test_who_looks_at_every_message_stops_in_time_however_many_come() -> None:
    answers = Answers()
    with answers.waiting() as waiter:
        answers.offer(["m"] * 1000)
        seen = waiter.payloads(now() - 1.0)
        assert next(seen) == "m"
        with pytest.raises(TimeoutError):
            next(seen)


def test_who_looks_at_every_message_stops_when_the_link_drops() -> None:
    answers = Answers()
    with answers.waiting() as waiter:
        answers.offer(["m"] * 1000)
        seen = waiter.payloads(now() + SOON)
        assert next(seen) == "m"
        answers.link_dropped()
        with pytest.raises(NotConnectedError):
            next(seen)


def test_who_looks_slowly_misses_the_oldest_and_keeps_the_memory() -> None:
    answers = Answers()
    with answers.waiting() as waiter:
        for number in range(20):
            answers.offer([str(number)] * (MOST_WAITING // 5))
        first = next(waiter.payloads(now() + SOON))

    assert int(first) >= 14


def test_only_those_who_wait_for_a_connection_are_told_of_its_end() -> None:
    answers = Answers()
    with (
        answers.waiting_for(1, generation=1) as old,
        answers.waiting_for(2, generation=2) as new,
        answers.waiting(generation=1) as looker,
    ):
        assert answers.expects_over(1)
        assert answers.expects_over(2)
        assert not answers.expects_over(3)
        answers.link_dropped(1)
        for ended in (lambda: old.get(now() + SOON), lambda: next(looker.payloads(now() + SOON))):
            with pytest.raises(NotConnectedError, match="ended before the answer came"):
                ended()
        assert answers.give(2, "answer")
        assert new.get(now() + SOON) == "answer"

    assert not answers.expects_over(1)
