"""A full lane: what each policy drops, that the newest stays, and events in their true place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .lane_tools import batch, drain, lane_of, shown

DROPPING = ("drop_oldest", "drop_newest", "keep_latest")


def test_drop_oldest_keeps_the_newest() -> None:
    dropped: list[int] = []
    lane = lane_of("drop_oldest", max_messages=5, on_overflow=dropped.append)
    lane.put(batch("a", "b"))
    lane.put(batch("c", "d"))
    lane.put(batch("e", "f", "g"))
    lane.put(batch("h"))

    assert dropped == [2, 1]
    assert lane.dropped == 3
    assert drain(lane) == ["d", "e", "f", "g", "h"]


def test_drop_newest_keeps_the_oldest() -> None:
    dropped: list[int] = []
    lane = lane_of("drop_newest", max_messages=5, on_overflow=dropped.append)
    lane.put(batch("a", "b"))
    lane.put(batch("c", "d"))
    lane.put(batch("e", "f", "g"))
    lane.put(batch("h"))

    assert dropped == [2, 1]
    assert lane.dropped == 3
    assert drain(lane) == ["a", "b", "c", "d", "e"]


def test_keep_latest_keeps_the_latest_of_each_topic_where_it_stands() -> None:
    dropped: list[int] = []
    lane = lane_of(
        "keep_latest", max_messages=5, on_overflow=dropped.append, key_of=lambda text: text[0]
    )
    lane.put(batch("a1", "b1"))
    lane.put_event(lambda: "!")
    lane.put(batch("a2", "c1"))
    assert dropped == []
    lane.put(batch("a3", "d1"))

    assert dropped == [2]
    assert drain(lane) == ["b1", "!", "c1", "a3", "d1"]


def test_keep_latest_drops_the_oldest_where_there_are_more_topics_than_room() -> None:
    lane = lane_of("keep_latest", max_messages=3, key_of=lambda text: text[0])
    lane.put(batch("a1", "b1", "a2"))
    lane.put(batch("c1", "d1", "b2"))

    assert drain(lane) == ["c1", "d1", "b2"]
    assert lane.dropped == 3


def test_keep_latest_without_topics_keeps_the_latest_message() -> None:
    lane = lane_of("keep_latest", max_messages=3)
    lane.put(batch("a", "b", "c"))
    lane.put(batch("d", "e"))

    assert drain(lane) == ["e"]


def test_a_message_whose_topic_cannot_be_told_is_superseded_by_none() -> None:
    def key_of(payload: Any) -> Any:
        if payload == "unhashable":
            return []
        return payload.decode()  # raises for str

    lane = lane_of("keep_latest", max_messages=3, key_of=key_of)
    lane.put(batch(b"a", "bad", b"a", "unhashable", b"a"))

    assert drain(lane) == ["bad", "unhashable", b"a"]


@pytest.mark.parametrize("policy", ["drop_oldest", "keep_latest"])
@pytest.mark.parametrize("bounds", [{"max_messages": 1}, {"max_bytes": 1}])
def test_the_newest_message_stays_however_slow_the_handler_and_narrow_the_lane(
    policy: str, bounds: Any
) -> None:
    lane = lane_of(policy, **bounds)
    lane.put(batch("aaa"))
    lane.begin()
    being_served = lane.take()
    for text in ("bbb", "ccc", "ddd"):
        lane.put(batch(text, text + "!"))

    assert shown(being_served) == ["aaa"]
    assert being_served is not None
    lane.done(being_served)
    assert drain(lane) == ["ddd!"]
    assert lane.dropped == 5


def test_a_lane_bounded_in_bytes_drops_no_more_than_it_has_to() -> None:
    lane = lane_of("drop_oldest", max_bytes=100)
    for n in range(10):
        lane.put(batch(*[f"{n}{m}" + "x" * 8 for m in range(5)]))  # 50 bytes each time

    assert [text[:2] for text in drain(lane)] == [f"{n}{m}" for n in (8, 9) for m in range(5)]


@pytest.mark.parametrize("policy", DROPPING)
def test_what_was_dropped_costs_nothing_while_a_handler_is_blocked(policy: str) -> None:
    lane = lane_of(policy, max_messages=10)
    for n in range(1000):
        lane.put(batch(str(n)))
        if n % 100 == 0:
            lane.put_event(lambda: "!")
    lane.begin()
    entries = 0
    while (entry := lane.take()) is not None:
        entries += 1
        lane.done(entry)

    # the ten events, and no empty husk of a batch
    assert entries <= 10 + 10
    assert lane.dropped >= 989


@pytest.mark.parametrize("policy", DROPPING)
def test_events_are_never_dropped_and_stay_between_what_is_left(policy: str) -> None:
    lane = lane_of(policy, max_messages=4, key_of=lambda text: text)
    for n in range(20):
        lane.put_event(lambda n=n: n)  # type: ignore[misc]
        lane.put(batch(f"{n}a", f"{n}b"))
    served = drain(lane)

    assert [item for item in served if isinstance(item, int)] == list(range(20))
    for position, item in enumerate(served):
        if isinstance(item, str):
            before = [event for event in served[:position] if isinstance(event, int)]
            assert before == list(range(int(item[:-1]) + 1))


def test_an_event_can_be_put_where_the_hole_of_drop_oldest_is() -> None:
    lane = lane_of("drop_oldest", max_messages=3)
    lane.put_event(lambda: "open")
    lane.put(batch("a", "b"))
    lane.put_event(lambda: "state")
    lane.put(batch("c", "d"))
    lane.put_event(lambda: "gap", before_messages=True)
    lane.put(batch("e", "f"))
    lane.put_event(lambda: "another gap", before_messages=True)

    assert drain(lane) == ["open", "gap", "state", "another gap", "d", "e", "f"]


def test_where_no_message_waits_an_event_before_the_messages_is_the_last_event() -> None:
    lane = lane_of("drop_oldest")
    lane.put_event(lambda: "open")
    lane.put_event(lambda: "gap", before_messages=True)

    assert drain(lane) == ["open", "gap"]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=60),
    st.sampled_from([1, 7, 50]),
    st.integers(1, 200),
)
def test_a_bound_in_bytes_is_exceeded_by_at_most_one_batch_and_the_newest_is_kept(
    lengths: list[int], per_batch: int, max_bytes: int
) -> None:
    lane = lane_of("drop_oldest", max_messages=10_000, max_bytes=max_bytes)
    came: list[str] = []
    for number, length in enumerate(lengths):
        messages = [chr(number + 33) * length] * per_batch
        lane.put(batch(*messages))
        came += messages
        waiting = came[len(came) - lane.depth :]
        assert 0 < sum(map(len, waiting)) <= max_bytes + length * per_batch
    served = drain(lane)

    assert served == came[len(came) - len(served) :]
    assert len(served) + lane.dropped == len(came)
    assert lane.depth == 0
