"""From the reader to the user: raw or decoded, pushed or pulled, with events in their place."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import BOUND, Gate, Running, eventually
from wsresilient import ConnectionConfig, DecodeError, Gap, Message, NotConnectedError
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.delivery import Delivery
from wsresilient.runtime.dispatcher import Dispatcher
from wsresilient.runtime.handlers import HandlerSet
from wsresilient.runtime.lanes import Batch

BOTH = pytest.mark.parametrize("dispatch", ["thread", "inline"])


class Stream:
    """A delivery whose reader is the test."""

    def __init__(self, *, decoder: Callable[[Any], Any] | None = None, **settings: Any) -> None:
        self.dispatcher = Dispatcher(name="wsr-test")
        self.handlers = HandlerSet("feed")
        self.delivery = Delivery(
            "feed", ConnectionConfig(**settings), self.handlers, self.dispatcher, decoder
        )
        self.ended = threading.Event()

    def read(self, *messages: Any, generation: int = 1) -> None:
        self.delivery.offer(list(messages))
        self.delivery.deliver(list(messages), sum(map(len, messages)), generation)

    def on(self, event: str, handler: Callable[..., object]) -> None:
        self.handlers.add(event, handler)

    def settle(self) -> None:
        self.delivery.run_inline_events()
        assert self.delivery.wait_until_idle(BOUND)


@contextmanager
def stream(**settings: Any) -> Iterator[Stream]:
    """Make a stream, and end it as a connection does; nothing of it may be left."""
    made = Stream(**settings)
    made.delivery.begin()
    made.delivery.adopt_thread()
    yield made
    made.delivery.discard()
    made.delivery.end(made.ended.set)
    assert made.ended.wait(BOUND)
    assert made.dispatcher.join(timeout=BOUND)
    assert made.delivery.queue_depth == 0


# Messages.


@BOTH
def test_messages_and_events_reach_their_handlers_in_the_order_in_which_they_came(
    dispatch: str,
) -> None:
    got: list[Any] = []
    with stream(dispatch=dispatch) as feed:
        feed.on("message", got.append)
        feed.on("close", lambda code, reason: got.append((code, reason)))
        feed.read("a", "b")
        feed.delivery.emit("close", 1001, "bye")
        feed.delivery.emit_call(lambda: got.append("call"))
        feed.read(b"c")
        feed.settle()

    assert got == ["a", "b", (1001, "bye"), "call", b"c"]


@BOTH
def test_a_decoded_message_says_where_it_came_from(dispatch: str) -> None:
    got: list[Message] = []
    with stream(dispatch=dispatch, decoder=json.loads) as feed:
        feed.on("data", got.append)
        feed.read('{"p": 1}', "[2]", generation=7)
        feed.settle()

    assert [message.data for message in got] == [{"p": 1}, [2]]
    for message in got:
        assert (message.connection, message.generation, message.source) == ("feed", 7, "websocket")
        assert message.raw == message.data
        assert message.received_at > 1.6e9


def test_raw_messages_are_not_decoded() -> None:
    def never(_payload: object) -> object:
        raise AssertionError("nobody wants it decoded")

    got: list[Any] = []
    with stream(decoder=never) as feed:
        feed.on("message", got.append)
        feed.read("a")
        feed.settle()

    assert got == ["a"]


@BOTH
def test_a_message_goes_to_raw_and_decoded_handlers_alike(dispatch: str) -> None:
    raw: list[Any] = []
    decoded: list[Any] = []
    with stream(dispatch=dispatch, decoder=int) as feed:
        feed.on("message", raw.append)
        feed.on("data", lambda message: decoded.append(message.data))
        feed.read("1", "2")
        feed.settle()

    assert (raw, decoded) == (["1", "2"], [1, 2])


@BOTH
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_message_that_cannot_be_decoded_costs_itself_only(
    error: type[BaseException], dispatch: str
) -> None:
    def decode(payload: str) -> int:
        if payload == "bad":
            raise error("no number")
        return int(payload)

    got: list[int] = []
    told: list[Exception] = []
    with stream(dispatch=dispatch, decoder=decode) as feed:
        feed.on("data", lambda message: got.append(message.data))
        feed.on("error", told.append)
        feed.read("1", "bad", "2")
        feed.settle()

        assert feed.handlers.counters.callback_errors == 1
    assert got == [1, 2]
    (seen,) = told
    assert isinstance(seen, DecodeError)
    assert seen.__cause__ is None  # which may hold the whole message
    for part in (error.__name__, "no number", "bad"):
        assert part in str(seen)


def test_a_message_that_cannot_be_decoded_is_shown_short_and_without_secrets() -> None:
    told: list[Exception] = []
    with stream(decoder=json.loads) as feed:
        feed.on("data", lambda _: None)
        feed.on("error", told.append)
        feed.read("wss://me:pw@h/?token=swordfish " + "x" * 10_000, b"\xff" * 10_000)
        feed.settle()

    assert len(told) == 2
    for error in told:
        assert "swordfish" not in str(error)
        assert len(str(error)) < 400


# Events.


@BOTH
def test_an_event_that_nobody_listens_to_costs_nothing(dispatch: str) -> None:
    with stream(dispatch=dispatch) as feed:
        feed.delivery.emit("gap", object())

        assert feed.delivery.idle


def test_inline_handlers_run_on_the_reader_s_thread_only() -> None:
    threads: list[int] = []
    woken: list[bool] = []
    with stream(dispatch="inline") as feed:
        feed.delivery.wake = lambda: woken.append(True)
        feed.on("message", lambda _: threads.append(threading.get_ident()))
        feed.on("state", lambda _: threads.append(threading.get_ident()))
        feed.read("a")
        feed.delivery.emit("state", "here")
        Running(feed.delivery.emit, "state", "from elsewhere").result()
        assert len(threads) == 2
        assert woken == [True]  # so that the reader looks around soon
        feed.delivery.run_inline_events()

    assert threads == [threading.get_ident()] * 3


def test_other_handlers_run_on_the_dispatcher_s_threads_only() -> None:
    names: set[str] = set()

    def note(*_args: object) -> None:
        names.add(threading.current_thread().name)

    with stream() as feed:
        feed.on("message", note)
        feed.on("state", note)
        feed.read("a")
        feed.delivery.emit("state", "x")
        feed.settle()

    assert all(name.startswith("wsr-test-") for name in names)
    assert names


def test_a_notice_does_not_wait_behind_a_handler_that_is_blocked() -> None:
    gate, noted = Gate(), threading.Event()
    with stream() as feed:
        feed.on("message", gate.pass_through)
        feed.read("a")
        gate.wait_for_arrival()

        feed.delivery.note(noted.set)

        assert noted.wait(BOUND)
        gate.open()


# Bounds.


def test_a_blocked_handler_holds_the_reader_back_and_says_since_when() -> None:
    gate = Gate()
    got: list[str] = []
    with stream(queue_size=2) as feed:
        feed.on("message", gate.pass_through)
        feed.on("message", got.append)
        feed.read("a", "b", "c")
        reading = Running(feed.read, "d")
        assert eventually(lambda: feed.delivery.held_back_since is not None)
        assert feed.delivery.queue_depth == 3

        gate.open()
        reading.result()
        feed.settle()
        assert feed.delivery.held_back_since is None
        assert feed.delivery.dropped == 0

    assert got == ["a", "b", "c", "d"]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "keep_latest"])
def test_what_is_dropped_is_counted_and_told_as_a_gap_in_its_place(overflow: str) -> None:
    gate = Gate()
    got: list[Any] = []
    with stream(queue_size=4, overflow=overflow) as feed:
        feed.on("message", got.append)
        feed.on("gap", got.append)
        feed.delivery.emit_call(gate.pass_through)
        gate.wait_for_arrival()
        for n in range(20):
            feed.read(str(n))
        gate.open()
        feed.settle()
        dropped = feed.delivery.dropped

    messages = [item for item in got if isinstance(item, str)]
    (gap,) = [item for item in got if isinstance(item, Gap)]
    assert dropped == 20 - len(messages) > 0
    assert (gap.connection, gap.reason, gap.topics) == ("feed", "overflow", ())
    assert 1.6e9 < gap.started_at <= gap.ended_at
    # a gap stands where the hole is: before the newest, or behind the oldest
    assert got.index(gap) == (4 if overflow == "drop_newest" else 0)


# The end.


@BOTH
@pytest.mark.parametrize("event", ["message", "data"])
def test_discard_ends_the_delivery_behind_the_call_that_is_running(
    event: str, dispatch: str
) -> None:
    got: list[Any] = []
    with stream(dispatch=dispatch, decoder=str) as feed:

        def handle(item: Any) -> None:
            got.append(item)
            feed.delivery.discard()

        feed.on(event, handle)
        feed.on("close", lambda *args: got.append("close"))
        feed.read("a", "b", "c")
        feed.delivery.emit("close", 1000, "")
        feed.read("d")
        feed.settle()

    assert [getattr(item, "data", item) for item in got] == ["a", "close"]


@BOTH
def test_the_end_comes_behind_all_that_is_queued(dispatch: str) -> None:
    got: list[Any] = []
    with stream(dispatch=dispatch) as feed:
        feed.on("message", got.append)
        feed.on("close", lambda *args: got.append("close"))
        feed.read(*"abc")
        feed.delivery.emit("close", 1000, "")
        feed.delivery.end(lambda: got.append("end"))
        feed.settle()
        assert feed.dispatcher.join(timeout=BOUND)
        assert feed.dispatcher.thread_count == 0

    assert got == ["a", "b", "c", "close", "end"]


def test_it_is_idle_once_everything_has_been_served() -> None:
    gate = Gate()
    with stream() as feed:
        assert feed.delivery.idle
        feed.delivery.emit_call(gate.pass_through)
        gate.wait_for_arrival()
        busy = feed.delivery.idle
        assert not feed.delivery.wait_until_idle(0.0)
        gate.open()
        assert feed.delivery.wait_until_idle(BOUND)
        assert (busy, feed.delivery.idle) == (False, True)


# Pulling.


def test_without_a_message_handler_messages_wait_to_be_pulled() -> None:
    got: list[Any] = []
    with stream() as feed:
        feed.on("state", got.append)
        feed.read("a", "b")
        feed.delivery.emit("state", "connected")

        assert feed.delivery.queue_depth == 2
        assert feed.delivery.inbox.get(0.0) == "a"
        assert feed.delivery.inbox.get(0.0) == "b"
        feed.settle()

    assert got == ["connected"]


def test_what_nobody_ever_pulled_counts_as_unpulled_rather_than_dropped() -> None:
    with stream(queue_size=2) as feed:
        feed.read(*"abcde")
        assert (feed.delivery.unpulled, feed.delivery.dropped) == (3, 0)


@BOTH
def test_a_handler_that_comes_later_gets_what_waited_first(dispatch: str) -> None:
    got: list[Any] = []
    with stream(dispatch=dispatch) as feed:
        feed.read("a", "b", "c")
        feed.read("d")
        assert feed.delivery.inbox.get(0.0) == "a"
        feed.on("message", got.append)
        feed.read("e")
        feed.settle()

        assert feed.delivery.queue_depth == 0
    assert got == ["b", "c", "d", "e"]


# Answers.


def test_who_waits_for_an_answer_sees_every_message_too_and_takes_none_away() -> None:
    got: list[Any] = []
    with stream() as feed:
        feed.on("message", got.append)
        feed.read("before")
        with feed.delivery.answers.waiting() as waiter:
            feed.read("a", "b")
            feed.read("c")
            seen = waiter.payloads(monotonic() + BOUND)
            assert [next(seen) for _ in range(3)] == ["a", "b", "c"]
        feed.read("after")
        feed.settle()

    assert got == ["before", "a", "b", "c", "after"]


def test_who_waits_for_an_answer_is_told_when_none_will_come() -> None:
    with stream() as feed:
        with feed.delivery.answers.waiting() as waiter, pytest.raises(TimeoutError):
            next(waiter.payloads(monotonic() - 1.0))
        with feed.delivery.answers.waiting() as waiter:
            feed.delivery.answers.link_dropped()
            with pytest.raises(NotConnectedError):
                next(waiter.payloads(monotonic() + BOUND))
        with feed.delivery.answers.waiting() as waiter:
            feed.delivery.discard()
            with pytest.raises(NotConnectedError):
                next(waiter.payloads(monotonic() + BOUND))


@pytest.mark.parametrize(
    ("decoder", "payload", "data"),
    [(None, '{"a": 1}', {"a": 1}), (None, "text", "text"), (int, "5", 5), (int, "x", "x")],
)
def test_an_answer_is_decoded_or_given_as_it_is(
    decoder: Callable[[Any], Any] | None, payload: str, data: object
) -> None:
    assert Stream(decoder=decoder).delivery.decoding.answer(payload) == data


def test_who_pulls_slowly_is_not_on_the_detour_of_a_succession_for_ever() -> None:
    over = threading.Event()
    got: list[str] = []
    with stream(queue_size=3) as feed:
        delivery = feed.delivery

        def read_on() -> None:
            number = 0
            while not over.is_set():
                feed.read(f"{number}")
                number += 1

        delivery.inbox.put(Batch(["first"], 5, 1, 0.0))
        assert delivery.inbox.get(BOUND) == "first"  # now it is pulled, and holds the reader up
        delivery.begin_succession(lambda batch: batch.messages)
        reading = Running(read_on)
        while len(got) < 200:
            got.append(str(delivery.inbox.get(BOUND)))
            eventually(lambda: delivery.held_back_since is not None)
            if len(got) == 20:
                delivery.emit_call(delivery.end_succession)
        is_over = not delivery._is_detouring
        over.set()
        delivery.discard()
        reading.result()

    assert got == list(map(str, range(200)))
    assert is_over
