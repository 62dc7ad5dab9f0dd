"""The lane: order, who is called to serve it, readers held back, discard."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

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


def test_what_was_put_in_before_anybody_served_is_served() -> None:
    """An event of another thread may come while a connection is being started."""
    lane, dispatcher, served = lane_of(), Dispatcher(), threading.Event()

    def serve(entry: Entry) -> None:
        assert isinstance(entry, Event)
        entry.call()

    lane.serve = serve
    lane.put_event(lambda: None)
    dispatcher.attach(lane)
    try:
        lane.put_event(served.set)
        assert served.wait(BOUND)
        assert lane.wait_until_idle(BOUND)
    finally:
        dispatcher.detach(lane)
        assert dispatcher.join(timeout=BOUND)


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
