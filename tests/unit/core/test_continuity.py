"""What comes twice, and what is missing: identities and numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.core.continuity import Deduplicator, Order, SequenceTracker, Verdict
from wsresilient.venues.base import SequenceNumbers

STARTED, IN_ORDER, REPEATED = map(Verdict, (Order.STARTED, Order.IN_ORDER, Order.REPEATED))


# Identities.


def test_a_message_is_new_once() -> None:
    seen = Deduplicator(10)

    assert seen.is_new("btcusdt@trade", 1)
    assert not seen.is_new("btcusdt@trade", 1)
    assert seen.is_new("btcusdt@trade", 2)


def test_topics_are_told_apart() -> None:
    seen = Deduplicator(10)

    assert seen.is_new("btcusdt@trade", 1)
    assert seen.is_new("ethusdt@trade", 1)


def test_the_oldest_is_forgotten_and_seeing_it_again_does_not_make_it_younger() -> None:
    seen = Deduplicator(2)
    for identity in (1, 2):
        seen.is_new("t", identity)
    assert not seen.is_new("t", 1)
    assert seen.is_new("t", 3)

    assert not seen.is_new("t", 2)
    assert seen.is_new("t", 1)
    assert len(seen) == 2


def test_all_may_be_forgotten() -> None:
    seen = Deduplicator(5)
    seen.is_new("t", 1)
    seen.clear()

    assert len(seen) == 0
    assert seen.is_new("t", 1)
    assert repr(seen) == "<Deduplicator of 1 of 5>"


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 8)), max_size=200), st.integers(1, 12)
)
def test_it_is_as_if_the_latest_new_ones_were_listed(
    messages: list[tuple[str, int]], capacity: int
) -> None:
    seen, listed = Deduplicator(capacity), deque[tuple[str, int]](maxlen=capacity)
    for message in messages:
        is_new = message not in listed
        if is_new:
            listed.append(message)
        assert seen.is_new(*message) is is_new
        assert len(seen) == len(listed) <= capacity


@given(st.data())
def test_two_connections_that_lag_by_less_than_the_capacity_give_each_message_once(
    data: st.DataObject,
) -> None:
    """In the order of whichever is ahead, as long as each connection keeps its order."""
    capacity = 10
    seen, ahead, delivered = Deduplicator(capacity), [0, 0], []
    while min(ahead) < 50:
        which = data.draw(st.sampled_from([0, 1]))
        if ahead[which] == 50 or ahead[which] - ahead[1 - which] >= capacity:
            which = 1 - which
        if seen.is_new("t", ahead[which]):
            delivered.append(ahead[which])
        ahead[which] += 1

    assert delivered == list(range(50))


def test_forgetting_does_not_get_slower_as_it_goes_on() -> None:
    """Counted, not timed: each message costs one comparison with what is remembered."""

    @dataclass(eq=False)
    class Name:
        number: int
        compared = 0

        def __hash__(self) -> int:
            return self.number

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return isinstance(other, Name) and other.number == self.number

    seen = Deduplicator(1000)
    for number in range(20_000):
        assert seen.is_new("t", Name(number))
    assert Name.compared < 20_000


# Numbers.


def numbers(first: int, last: int | None = None, key: Any = "t", **more: Any) -> SequenceNumbers:
    return SequenceNumbers(key, first, first if last is None else last, **more)


def verdicts(*messages: SequenceNumbers) -> list[Verdict]:
    tracker = SequenceTracker()
    return [tracker.check(message) for message in messages]


def test_numbers_that_follow_each_other_are_in_order() -> None:
    assert verdicts(numbers(5), numbers(6, 9), numbers(10)) == [STARTED, IN_ORDER, IN_ORDER]


def test_a_gap_is_told_once_with_its_edges() -> None:
    assert verdicts(numbers(5), numbers(8, 9), numbers(10)) == [
        STARTED,
        Verdict(Order.GAP, last_seen=5, first_seen=8),
        IN_ORDER,
    ]


def test_what_has_come_before_is_repeated_and_moves_nothing() -> None:
    assert verdicts(numbers(5, 9), numbers(9), numbers(4, 6), numbers(10)) == [
        STARTED,
        REPEATED,
        REPEATED,
        IN_ORDER,
    ]


def test_what_begins_before_and_goes_beyond_leaves_nothing_out() -> None:
    assert verdicts(numbers(5, 9), numbers(7, 12), numbers(13)) == [STARTED, IN_ORDER, IN_ORDER]


def test_a_message_that_names_its_predecessor_needs_just_that_one() -> None:
    assert verdicts(
        numbers(100),
        numbers(110, previous=100),
        numbers(130, previous=120),
        numbers(90, previous=80),
    ) == [STARTED, IN_ORDER, Verdict(Order.GAP, 110, 130), REPEATED]


def test_a_count_that_begins_anew_behind_its_predecessor_is_in_order() -> None:
    """OKX after a maintenance: seqId is less than prevSeqId."""
    assert verdicts(numbers(100), numbers(3, previous=100), numbers(4, previous=3)) == [
        STARTED,
        IN_ORDER,
        IN_ORDER,
    ]


@pytest.mark.parametrize("latest", [15, 25])
def test_a_count_that_begins_anew_behind_another_number_shows_a_gap(latest: int) -> None:
    assert verdicts(numbers(latest), numbers(3, previous=20), numbers(5, previous=3)) == [
        STARTED,
        Verdict(Order.GAP, latest, 3),
        IN_ORDER,
    ]


def test_a_sign_of_life_with_the_same_number_is_in_order() -> None:
    """OKX: seqId is prevSeqId."""
    assert verdicts(numbers(7), numbers(7, previous=7), numbers(9, previous=7)) == [
        STARTED,
        IN_ORDER,
        IN_ORDER,
    ]


def test_a_restart_begins_anew() -> None:
    assert verdicts(numbers(100), numbers(1, restart=True), numbers(2)) == [
        STARTED,
        STARTED,
        IN_ORDER,
    ]


def test_streams_are_told_apart_and_may_be_forgotten() -> None:
    tracker = SequenceTracker()
    tracker.check(numbers(5, key="a"))

    assert tracker.check(numbers(9, key="b")) == STARTED
    assert (tracker.last_seen("a"), tracker.last_seen("b")) == (5, 9)
    tracker.forget("a")
    tracker.forget("never seen")
    assert tracker.last_seen("a") is None
    assert tracker.check(numbers(50, key="a")) == STARTED


def test_so_many_streams_are_followed_and_no_more() -> None:
    tracker = SequenceTracker(capacity=2)
    for key in ("a", "b", "a", "c"):
        tracker.check(numbers(1, key=key, restart=True))

    assert [tracker.last_seen(key) for key in "abc"] == [None, 1, 1]
    assert len(tracker) == 2


def test_it_counts() -> None:
    tracker = SequenceTracker()
    for number in (1, 2, 2, 5, 4, 9):
        tracker.check(numbers(number))

    assert (tracker.gaps, tracker.repeated) == (2, 2)
    assert repr(tracker) == "<SequenceTracker of 1 streams, 2 gaps>"


@given(st.integers(-100, 100), st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=50))
def test_every_missing_stretch_is_one_gap(start: int, steps: list[tuple[bool, int]]) -> None:
    tracker, at, lost = SequenceTracker(), start, 0
    tracker.check(numbers(start))
    missing = False
    for is_lost, length in steps:
        first, at = at + 1, at + length
        if is_lost:
            missing = True
            continue
        verdict = tracker.check(numbers(first, at))
        assert (verdict.order is Order.GAP) is missing
        lost += missing
        missing = False

    assert tracker.gaps == lost


@given(st.permutations(range(8)))
def test_nothing_is_missing_where_every_number_has_a_place(order: list[int]) -> None:
    """Whatever the order: a number is new, repeated, or behind a gap, and the last is known."""
    tracker = SequenceTracker()
    highest = -1
    for number in order:
        verdict = tracker.check(numbers(number))
        if highest < 0:
            assert verdict == STARTED
        elif number < highest:
            assert verdict == REPEATED
        else:
            assert verdict == (
                IN_ORDER if number == highest + 1 else Verdict(Order.GAP, highest, number)
            )
        highest = max(highest, number)
        assert tracker.last_seen("t") == highest


@pytest.mark.parametrize("capacity", [0, -1, None, 1.5, True])
def test_a_capacity_is_a_whole_number(capacity: Any) -> None:
    for kind in (Deduplicator, SequenceTracker):
        with pytest.raises(ConfigurationError, match="capacity is"):
            kind(capacity)
