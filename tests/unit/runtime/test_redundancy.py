"""Two connections that bring the same messages; payloads are "topic:identity"."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest

from tests.support import Gate, Running
from wsresilient.core.frames import Payload
from wsresilient.runtime.lanes import Batch
from wsresilient.runtime.redundancy import RedundancyGate


def identify(payload: Payload) -> tuple[str | None, Hashable]:
    topic, colon, identity = str(payload).partition(":")
    return (topic, identity) if colon else (None, None)


class Feed:
    """One connection's end of the gate."""

    def __init__(
        self, gate: RedundancyGate, handled: list[str], handler: Callable[[str], object] | None
    ) -> None:
        self._handled = handled
        self._handler = handler
        self._gate = gate.of(identify, self._deliver)

    def _deliver(self, payloads: list[Payload], _at: float) -> None:
        for payload in map(str, payloads):
            self._handled.append(payload)
            if self._handler is not None:
                self._handler(payload)

    def bring(self, *payloads: str) -> None:
        assert self._gate(Batch(list(payloads), 0, 1, 0.0)) == []


class Pair:
    def __init__(self, handler: Callable[[str], object] | None = None) -> None:
        self.gate = RedundancyGate()
        self.handled: list[str] = []
        self.first = Feed(self.gate, self.handled, handler)
        self.second = Feed(self.gate, self.handled, None)


def test_the_first_to_bring_a_message_counts() -> None:
    pair = Pair()
    pair.first.bring("a:1", "a:2")
    pair.second.bring("a:1", "a:2", "a:3")
    pair.first.bring("a:3")

    assert pair.handled == ["a:1", "a:2", "a:3"]
    assert pair.gate.duplicates == 3


def test_what_has_no_topic_comes_over_each() -> None:
    pair = Pair()
    pair.first.bring("hello")
    pair.second.bring("hello")

    assert pair.handled == ["hello", "hello"]
    assert pair.gate.duplicates == 0


def test_newer_messages_wait_until_older_ones_have_been_handled() -> None:
    gate = Gate()
    pair = Pair(lambda payload: gate.pass_through() if payload == "a:1" else None)
    slow = Running(pair.first.bring, "a:1", "a:2")
    gate.wait_for_arrival()
    quick = Running(pair.second.bring, "a:1", "a:2", "a:3")
    assert quick.waits_in("wait_for")
    gate.open()
    slow.result()
    quick.result()

    assert pair.handled == ["a:1", "a:2", "a:3"]


def test_other_topics_do_not_wait() -> None:
    gate = Gate()
    pair = Pair(gate.pass_through)
    slow = Running(pair.first.bring, "a:1")
    gate.wait_for_arrival()
    pair.second.bring("b:1")
    assert pair.handled == ["a:1", "b:1"]
    gate.open()
    slow.result()


def test_a_handler_that_raises_blocks_nobody() -> None:
    def fail(payload: str) -> None:
        raise ValueError(payload)

    pair = Pair(fail)
    with pytest.raises(ValueError, match="a:1"):
        pair.first.bring("a:1")
    pair.second.bring("a:2")

    assert pair.handled == ["a:1", "a:2"]


def test_when_it_closes_nobody_waits_any_more() -> None:
    gate = Gate()
    pair = Pair(gate.pass_through)
    stuck = Running(pair.first.bring, "a:1")
    gate.wait_for_arrival()
    waiting = Running(pair.second.bring, "a:2")
    assert waiting.waits_in("wait_for")
    pair.gate.close()
    waiting.result()
    assert pair.handled == ["a:1"]
    gate.open()
    stuck.result()

    pair.gate.open()
    pair.second.bring("a:3")
    assert pair.handled == ["a:1", "a:3"]


def test_after_a_fork_no_topic_is_busy() -> None:
    gate = Gate()
    pair = Pair(gate.pass_through)
    stuck = Running(pair.first.bring, "a:1")
    gate.wait_for_arrival()
    pair.gate.forget_threads()

    pair.second.bring("a:2")
    assert pair.handled == ["a:1", "a:2"]
    gate.open()
    stuck.result()
