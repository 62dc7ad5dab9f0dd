"""The lane against a model that is simple enough to be right: one list, one rule a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from wsresilient.runtime.lanes import Batch, Entry, Event, Lane

from .lane_tools import Notes, attached, batch, drain, lane_of

POLICIES = ("block", "drop_oldest", "drop_newest", "keep_latest")
BYTES_EACH = 10
MAX_BYTES = 100 * BYTES_EACH


@dataclass(frozen=True)
class Waiting:
    """One message or event of the model; an event has no topic."""

    text: str
    topic: str | None = None


class LaneMachine(RuleBasedStateMachine):
    """Puts, takes, discards in any order; ten bytes a message, so that both bounds are exact."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Waiting] = []
        self.in_hand: Entry | None = None
        self.serving = self.scheduled = False
        self.calls = 0  # of the server
        self.discarding = False
        self.dropped = 0
        self.told: list[int] = []
        self.count = 0

    @initialize(policy=st.sampled_from(POLICIES), max_messages=st.integers(3, 80))
    def make(self, policy: str, max_messages: int) -> None:
        self.policy, self.max_messages = policy, max_messages
        self.lane: Lane = lane_of(
            policy,
            max_messages=max_messages,
            max_bytes=MAX_BYTES,
            on_overflow=self.told.append,
            key_of=lambda payload: payload[0],
        )
        self.server: Notes = attached(self.lane)

    # What the model holds.

    @property
    def messages(self) -> list[Waiting]:
        return [item for item in self.waiting if item.topic is not None]

    @property
    def being_served(self) -> int:
        return self.in_hand.count if isinstance(self.in_hand, Batch) else 0

    @property
    def depth(self) -> int:
        return len(self.messages) + self.being_served

    def is_full(self) -> bool:
        return self.depth >= self.max_messages

    def is_too_full(self) -> bool:
        return self.depth > self.max_messages

    def drop(self, unwanted: Callable[[Waiting], bool]) -> int:
        before = len(self.waiting)
        self.waiting = [item for item in self.waiting if not unwanted(item)]
        return before - len(self.waiting)

    def something_came(self) -> None:
        if not self.serving and not self.scheduled:
            self.scheduled = True
            self.calls += 1

    # What may happen.

    @precondition(lambda self: self.policy != "block" or self.discarding or not self.is_full())
    @rule(topics=st.text("abc", min_size=1, max_size=40))
    def put(self, topics: str) -> None:
        new = []
        for topic in topics:
            self.count += 1
            new.append(Waiting(f"{topic}{self.count:09}", topic))
        came = batch(*[item.text for item in new])
        if self.discarding:
            new = []
        else:
            self.something_came()
        dropped = 0
        if self.policy == "drop_newest" and new:
            room = max(0, self.max_messages - self.depth)
            dropped = max(0, len(new) - room)
            new = new[:room]
        self.waiting += new
        if self.policy == "keep_latest" and self.is_too_full():
            latest = {item.topic: item for item in self.messages}
            dropped += self.drop(
                lambda item: item.topic is not None and latest[item.topic] is not item
            )
        if self.policy in ("drop_oldest", "keep_latest"):
            while self.is_too_full() and len(self.messages) > 1:
                oldest = self.messages[0]
                dropped += self.drop(lambda item, oldest=oldest: item is oldest)  # type: ignore[misc]
        self.dropped += dropped
        told = len(self.told)

        self.lane.put(came)

        assert self.told[told:] == ([dropped] if dropped else [])

    @rule(before_messages=st.booleans())
    def put_event(self, before_messages: bool) -> None:
        self.count += 1
        item = Waiting(f"event {self.count}")
        place = len(self.waiting)
        if before_messages and self.messages:
            place = self.waiting.index(self.messages[0])
        self.waiting.insert(place, item)
        self.something_came()
        self.lane.put_event(lambda: item.text, before_messages=before_messages)

    @precondition(lambda self: self.in_hand is None)
    @rule()
    def take(self) -> None:
        if not self.serving:
            self.lane.begin()
            self.serving, self.scheduled = True, False
        entry = self.lane.take()
        if entry is None:
            assert self.waiting == []
            self.serving = False
        elif isinstance(entry, Event):
            assert self.waiting.pop(0) == Waiting(str(entry.call()))
        else:
            assert entry.count == len(entry.messages) > 0
            assert entry.size == entry.count * BYTES_EACH
            first, self.waiting = self.waiting[: entry.count], self.waiting[entry.count :]
            assert entry.messages == [item.text for item in first]
            assert all(item.topic is not None for item in first)
        self.in_hand = entry

    @precondition(lambda self: self.in_hand is not None)
    @rule()
    def done(self) -> None:
        assert self.in_hand is not None
        self.lane.done(self.in_hand)
        self.in_hand = None

    @precondition(lambda self: self.serving and self.in_hand is None)
    @rule()
    def hand_back(self) -> None:
        self.scheduled = self.lane.hand_back()
        assert self.scheduled == bool(self.waiting)
        self.serving = False

    @rule()
    def discard(self) -> None:
        self.lane.discard()
        self.discarding = True
        self.drop(lambda item: item.topic is not None)
        if isinstance(self.in_hand, Batch):
            assert self.in_hand.messages == []

    @rule()
    def accept(self) -> None:
        self.lane.accept()
        self.discarding = False

    @rule(policy=st.sampled_from(POLICIES))
    def set_overflow(self, policy: str) -> None:
        self.lane.set_overflow(policy)
        self.policy = policy

    # What always holds.

    @invariant()
    def depth_and_drops_are_counted(self) -> None:
        assert self.lane.depth == self.depth
        assert self.lane.dropped == self.dropped == sum(self.told)

    @invariant()
    def it_is_idle_exactly_while_nobody_serves_nor_is_called_to(self) -> None:
        assert self.lane.idle == (not self.serving and not self.scheduled)

    @invariant()
    def the_server_is_called_once_for_each_time(self) -> None:
        assert self.server.scheduled == self.calls

    def teardown(self) -> None:
        if self.in_hand is not None:
            self.done()
        expected = [item.text for item in self.waiting]
        assert drain(self.lane) == expected
        assert self.lane.idle
        assert_accounts_are_even(self.lane)


def assert_accounts_are_even(lane: Lane) -> None:
    """An empty lane takes exactly what fits into it, no more and no less."""
    assert lane.depth == 0
    lane.accept()
    lane.set_overflow("drop_newest")
    before = lane.dropped
    lane.put(batch("x", size=MAX_BYTES - 1))
    lane.put(batch("y", size=1))
    assert (lane.depth, lane.dropped) == (2, before)
    lane.put(batch("z", size=1))
    assert (lane.depth, lane.dropped) == (2, before + 1)
    assert drain(lane) == ["x", "y"]


TestLane: Any = LaneMachine.TestCase
