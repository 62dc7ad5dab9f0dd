"""The lane: order, bounds, the four overflow policies, events in their place, discard."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import BOUND, Gate, Running, eventually
from wsresilient.runtime.dispatcher import Dispatcher
from wsresilient.runtime.lanes import SLICE, Batch, Entry, Event, Lane

from .lane_tools import attached, batch, drain, lane_of, shown

POLICIES = ("block", "drop_oldest", "drop_newest", "keep_latest")
DROPPING = POLICIES[1:]


# Order.


@pytest.mark.parametrize("policy", POLICIES)
def test_batches_and_events_are_served_in_the_order_in_which_they_came(policy: str) -> None:
    lane = lane_of(policy)
    lane.put_event(lambda: "open")
    lane.put(batch("a", "b"))
    lane.put_event(lambda: "gap")
    lane.put_event(lambda: "state")
    lane.put(batch("c"))
    lane.put_event(lambda: "close")

    assert drain(lane) == ["open", "a", "b", "gap", "state", "c", "close"]
    assert lane.depth == lane.dropped == 0


def test_the_batches_of_block_are_served_whole_with_what_belongs_to_them() -> None:
    lane = lane_of(max_messages=10_000)
    came = Batch([str(n) for n in range(5000)], 9999, 7, 123.0)
    lane.put(came)

    lane.begin()
    entry = lane.take()

    assert entry is came
    assert (came.generation, came.received_at, came.size) == (7, 123.0, 9999)


@pytest.mark.parametrize("policy", DROPPING)
def test_where_messages_may_be_dropped_few_are_taken_at_once(policy: str) -> None:
    lane = lane_of(policy, max_messages=1000, key_of=lambda payload: payload)
    lane.put(batch(*[f"{n:03}" for n in range(100)], generation=7))
    lane.begin()

    taken: list[Any] = []
    while isinstance(part := lane.take(), Batch):
        assert part.count == len(part.messages) <= SLICE
        assert part.generation == 7
        taken += part.messages
        lane.done(part)

    assert taken == [f"{n:03}" for n in range(100)]


# Who is called.


def test_the_server_is_called_once_until_the_lane_is_empty_again() -> None:
    lane = lane_of()
    server = attached(lane)

    for _ in range(3):
        lane.put(batch("a"))
    assert (server.scheduled, server.relieved) == (1, 2)
    lane.begin()
    lane.put(batch("b"))
    lane.put_event(lambda: None)
    assert (server.scheduled, server.relieved) == (1, 2)
    drain(lane)
    lane.put_event(lambda: None)
    assert server.scheduled == 2


def test_a_lane_that_is_handed_back_has_to_be_scheduled_only_if_something_waits() -> None:
    lane = lane_of()
    server = attached(lane)
    lane.put(batch("a"))
    lane.begin()

    assert lane.hand_back()
    assert not lane.idle
    lane.put(batch("b"))
    assert server.scheduled == 1
    assert drain(lane) == ["a", "b"]
    lane.begin()
    assert not lane.hand_back()
    assert lane.idle


def test_a_lane_without_a_server_keeps_what_comes() -> None:
    lane = lane_of()
    lane.put(batch("a"))
    lane.put_event(lambda: "e")

    assert drain(lane) == ["a", "e"]


def test_it_is_idle_only_while_nothing_waits_and_nobody_serves() -> None:
    lane = lane_of()
    idle = [lane.idle]
    lane.put(batch("a"))
    idle.append(lane.idle)
    lane.begin()
    entry = lane.take()
    idle.append(lane.idle)
    assert entry is not None
    lane.done(entry)
    idle.append(lane.idle)
    assert lane.take() is None
    idle.append(lane.idle)

    assert idle == [True, False, False, False, True]


def test_whoever_waits_for_it_to_be_idle_is_told() -> None:
    lane = lane_of()
    assert lane.wait_until_idle(0.0)
    lane.put(batch("a"))
    assert not lane.wait_until_idle(0.0)
    assert not lane.wait_until_idle(-1.0)

    waiting = Running(lane.wait_until_idle, BOUND)
    assert drain(lane) == ["a"]

    assert waiting.result() is True


# block.


def is_held_back(lane: Lane) -> bool:
    return eventually(lambda: lane.held_back_since is not None)


@pytest.mark.parametrize("bounds", [{"max_messages": 3}, {"max_bytes": 3}])
def test_a_full_lane_holds_its_reader_back_until_there_is_room(bounds: Any) -> None:
    lane = lane_of("block", **bounds)
    lane.put(batch("a", "b", "c"))
    assert lane.held_back_since is None

    writing = Running(lane.put, batch("d"))
    assert is_held_back(lane)
    lane.begin()
    entry = lane.take()
    assert shown(entry) == ["a", "b", "c"]
    assert not writing.is_over  # taken, but not served yet
    assert entry is not None
    lane.done(entry)
    writing.result()

    assert lane.held_back_since is None
    assert drain(lane) == ["d"]
    assert lane.dropped == 0


@pytest.mark.parametrize("bounds", [{"max_messages": 10}, {"max_bytes": 10}])
def test_a_bound_is_exceeded_by_at_most_one_batch(bounds: Any) -> None:
    lane = lane_of("block", **bounds)
    lane.put(batch(*"123456789"))
    lane.put(batch(*"abcdefghijklmnop"))
    assert lane.depth == 25

    writing = Running(lane.put, batch("z"))
    assert is_held_back(lane)
    assert lane.depth == 25
    assert drain(lane)[:25] == [*"123456789", *"abcdefghijklmnop"]
    writing.result()


def test_an_event_never_waits_for_room() -> None:
    lane = lane_of("block", max_messages=1)
    lane.put(batch("a"))

    lane.put_event(lambda: "gap")

    assert drain(lane) == ["a", "gap"]


def test_discard_lets_a_reader_go_that_is_held_back() -> None:
    lane = lane_of("block", max_messages=1)
    lane.put(batch("a"))
    writing = Running(lane.put, batch("b"))
    assert is_held_back(lane)

    lane.discard()
    writing.result()

    assert lane.depth == 0
    assert drain(lane) == []


@pytest.mark.parametrize("policy", DROPPING)
def test_another_policy_lets_a_reader_go_that_is_held_back(policy: str) -> None:
    lane = lane_of("block", max_messages=1)
    lane.put(batch("a"))
    writing = Running(lane.put, batch("b"))
    assert is_held_back(lane)

    lane.set_overflow(policy)
    writing.result()

    assert lane.dropped == 1
    assert drain(lane) == (["a"] if policy == "drop_newest" else ["b"])


# drop_oldest, drop_newest, keep_latest.


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


# discard.


@pytest.mark.parametrize("policy", POLICIES)
def test_discard_ends_even_the_batch_that_is_being_served_but_no_event(policy: str) -> None:
    lane = lane_of(policy)
    lane.put(batch("a", "b", "c"))
    lane.put_event(lambda: "close")
    lane.put(batch("d"))
    lane.begin()
    entry = lane.take()
    assert isinstance(entry, Batch)
    served = []
    for message in entry.messages:
        served.append(message)
        lane.discard()
    lane.done(entry)

    assert served == ["a"]
    assert lane.depth == 0
    lane.put(batch("e"))
    assert drain(lane) == ["close"]
    assert lane.dropped == 0


def test_after_accept_messages_are_taken_again() -> None:
    lane = lane_of()
    lane.put(batch("a"))
    lane.discard()
    lane.put(batch("b"))
    lane.accept()
    lane.put(batch("c"))

    assert drain(lane) == ["c"]


# Everything at once.


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


def test_a_fast_writer_and_a_slow_server_lose_and_reorder_nothing() -> None:
    served: list[object] = []
    gate, over = Gate(), threading.Event()

    def serve(entry: Entry) -> None:
        if isinstance(entry, Event):
            entry.call()
        else:
            served.extend(entry.messages)

    lane = lane_of("block", max_messages=20, serve=serve)
    dispatcher = Dispatcher(name="wsr-test")
    dispatcher.attach(lane)
    lane.put_event(gate.pass_through)
    gate.wait_for_arrival()
    numbers = itertools.count()

    def write() -> None:
        for _ in range(500):
            lane.put(batch(*[str(next(numbers)) for _ in range(7)]))
            lane.put_event(lambda: served.append("event"))
        lane.put_event(over.set)

    writing = Running(write)
    assert is_held_back(lane)
    assert 20 <= lane.depth <= 26
    gate.open()
    writing.result()
    assert over.wait(BOUND)

    messages = iter(range(3500))
    expected: list[object] = []
    for _ in range(500):
        expected += [*(str(next(messages)) for _ in range(7)), "event"]
    assert served == expected
    dispatcher.detach(lane)
    assert dispatcher.join(timeout=BOUND)
    assert lane.depth == 0
