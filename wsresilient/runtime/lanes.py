"""A connection's lane: a bounded queue between its reader and whoever serves it.

Messages come and go in batches; events (a state change, a gap, an error) take their true
place between them and are never dropped. Per batch there is one short lock; per message
there is nothing. It calls nobody while holding the lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from ..core.frames import Payload
from .clock import monotonic

__all__ = ["Batch", "Entry", "Event", "Lane", "LaneServer"]

#: Messages that a worker takes at once where queued messages may be dropped: what it has
#: taken can be dropped no more.
SLICE = 32


class Batch:
    """The messages of one read.

    :ivar messages: in order; emptied by :meth:`Lane.discard`, which ends their delivery.
    :ivar size: their bytes.
    :ivar generation: the attempt that they came over.
    :ivar received_at: wall clock.
    """

    __slots__ = ("count", "generation", "messages", "number", "received_at", "size")

    def __init__(
        self, messages: list[Payload], size: int, generation: int, received_at: float
    ) -> None:
        self.messages = messages
        self.count = len(messages)
        self.size = size
        self.generation = generation
        self.received_at = received_at
        self.number = 0  # its place in the lane


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as a call to make in its turn."""

    call: Callable[[], object]


Entry = Batch | Event


class LaneServer(Protocol):
    """What a lane asks for to be served; see :class:`wsresilient.runtime.dispatcher.Dispatcher`."""

    def schedule(self, lane: Lane) -> None:
        """The lane has something to serve and is in nobody's hands."""

    def relieve(self) -> None:
        """The lane still waits to be served."""


IDLE, WAITING, SERVED = "idle", "waiting", "served"


class Lane:
    """A bounded, ordered queue, served by at most one thread at a time.

    :param max_messages: that may wait; exceeded by at most one batch.
    :param max_bytes: that may wait; exceeded by at most one batch.
    :param overflow: "block", "drop_oldest", "drop_newest" or "keep_latest".
    :param serve: is called with each entry, in order, on the serving thread.
    :param on_overflow: is called with the number of messages dropped, on the reader's thread.
    :param key_of: gives a message's topic for "keep_latest"; without, all are of one topic. It
        is the one function that is called while the lock is held, so it must be quick. A
        message for which it raises is a topic of its own.
    """

    def __init__(
        self,
        *,
        max_messages: int,
        max_bytes: int,
        overflow: str,
        serve: Callable[[Entry], None],
        on_overflow: Callable[[int], None],
        key_of: Callable[[Payload], Hashable] | None = None,
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self.serve = serve
        self._on_overflow = on_overflow
        self._key_of = key_of
        self._server: LaneServer | None = None
        # Guards the server and all fields below; the condition tells the reader that there is room,
        # and whoever waits for it that the lane is idle.
        self._changed = threading.Condition(threading.RLock())
        self._overflow = overflow
        self._slice = self._slice_for(overflow)
        self._batches: deque[Batch] = deque()
        # Each with the number of the batch behind which it stands, so that batches can be
        # dropped without a look at the events between them.
        self._events: deque[tuple[int, Event]] = deque()
        self._number = 0  # of the latest batch
        self._messages = 0  # waiting or being served
        self._bytes = 0
        self._state = IDLE
        self._discarding = False
        self._letting_go = False
        self._current: Batch | None = None
        self._held_readers = 0  # a connection and its successor have one each
        self.held_back_since: float | None = None
        self.dropped = 0

    def attach(self, server: LaneServer) -> None:
        """Say who serves the lane, from what was put into it before on."""
        with self._changed:
            self._server = server
            is_waiting = self._state == WAITING
        if is_waiting:
            server.schedule(self)

    @property
    def depth(self) -> int:
        """Messages that wait or are being served."""
        return self._messages

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nobody serves."""
        return self._state == IDLE

    @property
    def lets_reader_go(self) -> bool:
        """Whether the reader is not to be held up, since its connection is to end."""
        return self._letting_go or self._discarding

    # The reader's side.

    def put(self, batch: Batch) -> None:
        """Add a batch; under "block" waits for room, else drops by the policy."""
        with self._changed:
            if self._overflow == "block" and self._is_full():
                self._wait_for_room()
            if self._discarding:
                return
            dropped = self._add(batch)
            self.dropped += dropped
            server, state = self._server, self._wanted()
        self._call_server(server, state)
        if dropped:
            self._on_overflow(dropped)

    def put_event(self, call: Callable[[], object], *, before_messages: bool = False) -> None:
        """Add an event behind all that is queued; never waits, is never dropped.

        :param before_messages: in front of the oldest message that waits: where the hole is when
            older ones were dropped.
        """
        with self._changed:
            events, event = self._events, Event(call)
            if before_messages and self._batches:
                number = self._batches[0].number
                place = sum(1 for behind, _ in events if behind < number)
                events.insert(place, (number - 1, event))
            else:
                events.append((self._number, event))
            server, state = self._server, self._wanted()
        self._call_server(server, state)

    def _is_full(self) -> bool:
        return self._messages >= self._max_messages or self._bytes >= self._max_bytes

    def _wait_for_room(self) -> None:
        self._held_readers += 1
        self.held_back_since = self.held_back_since or monotonic()
        try:
            self._changed.wait_for(
                lambda: (
                    not self._is_full()
                    or self._discarding
                    or self._letting_go
                    or self._overflow != "block"
                )
            )
        finally:
            self._held_readers -= 1
            if not self._held_readers:
                self.held_back_since = None

    def _add(self, batch: Batch) -> int:
        """Append a batch; returns how many messages the policy dropped for it."""
        dropped = 0
        if self._overflow == "drop_newest":
            room = 0 if self._is_full() else self._max_messages - self._messages
            dropped = max(0, batch.count - room)
            if dropped:
                del batch.messages[batch.count - dropped :]
                batch.size -= batch.size * dropped // batch.count
                batch.count -= dropped
        if batch.count:
            self._number += 1
            batch.number = self._number
            self._batches.append(batch)
            self._messages += batch.count
            self._bytes += batch.size
            if self._overflow in ("drop_oldest", "keep_latest"):
                dropped = self._shrink()
        return dropped

    def _wanted(self) -> str:
        """Note that there is something to serve; returns the state before."""
        state = self._state
        if state == IDLE:
            self._state = WAITING
        return state

    def _call_server(self, server: LaneServer | None, state: str) -> None:
        """Call the server as it was while the lock was held: else attach() has scheduled it."""
        if server is None:
            return
        if state == IDLE:
            server.schedule(self)
        elif state == WAITING:
            server.relieve()

    def _shrink(self) -> int:
        """Drop what the policy says until the lane is within its bounds."""
        dropped = 0
        if self._overflow == "keep_latest" and self._excess(self._batches[0]):
            dropped = self._keep_latest()
        while wanted := self._excess(self._batches[0]):
            oldest = self._batches[0]
            if len(self._batches) == 1:
                # The newest message stays, whatever is being served or however large it is.
                return dropped + self._drop_from(oldest, min(wanted, oldest.count - 1))
            dropped += self._drop_from(oldest, wanted)
            if not oldest.count:
                self._batches.popleft()
        return dropped

    def _excess(self, oldest: Batch) -> int:
        """How many messages of the oldest batch are too many."""
        excess = max(0, self._messages - self._max_messages)
        surplus = self._bytes - self._max_bytes
        if surplus > 0:
            # Sizes of single messages are not known; rounded up, so that it gets on.
            excess = max(excess, -(-surplus * oldest.count // max(1, oldest.size)))
        return min(excess, oldest.count)

    def _drop_from(self, batch: Batch, count: int) -> int:
        share = batch.size * count // max(1, batch.count)
        del batch.messages[:count]
        batch.count -= count
        batch.size -= share
        self._messages -= count
        self._bytes -= share
        return count

    def _keep_latest(self) -> int:
        """Keep the latest message of each topic, where it stands."""
        seen: set[Hashable] = set()
        dropped = 0
        for batch in reversed(self._batches):
            kept: list[Payload] = []
            for payload in reversed(batch.messages):
                # A successor's message must not displace one of the connection that it succeeds.
                key = batch.generation, self._topic(payload)
                if key not in seen:
                    seen.add(key)
                    kept.append(payload)
            surplus = batch.count - len(kept)
            if surplus:
                dropped += self._drop_from(batch, surplus)
                batch.messages[:] = kept[::-1]
        self._batches = deque(batch for batch in self._batches if batch.count)
        return dropped

    def _topic(self, payload: Payload) -> Hashable:
        if self._key_of is None:
            return None
        try:
            key = self._key_of(payload)
            hash(key)
        except Exception:
            return object()
        return key

    # The server's side.

    def begin(self) -> None:
        """Take the lane into one's hands."""
        with self._changed:
            self._state = SERVED

    def take(self) -> Entry | None:
        """Take the next entry; None when there is none, and the lane is out of one's hands."""
        with self._changed:
            batches, events = self._batches, self._events
            if events and (not batches or events[0][0] < batches[0].number):
                return events.popleft()[1]
            if not batches:
                self._state = IDLE
                self._changed.notify_all()
                return None
            batch = batches[0]
            if self._slice is not None and batch.count > self._slice:
                batch = self._sliced(batch, self._slice)
            else:
                batches.popleft()
            self._current = batch
            return batch

    def _sliced(self, batch: Batch, count: int) -> Batch:
        share = batch.size * count // batch.count
        part = Batch(batch.messages[:count], share, batch.generation, batch.received_at)
        del batch.messages[:count]
        batch.count -= count
        batch.size -= share
        return part

    def done(self, entry: Entry) -> None:
        """Say that an entry has been served, which makes room."""
        if isinstance(entry, Batch):
            with self._changed:
                was_full = self._is_full()
                self._current = None
                self._messages -= entry.count
                self._bytes -= entry.size
                if was_full:
                    self._changed.notify_all()

    def hand_back(self) -> bool:
        """Put the lane out of one's hands though it may not be empty.

        :returns: whether it has to be scheduled again.
        """
        with self._changed:
            self._state = WAITING if self._batches or self._events else IDLE
            if self._state == IDLE:
                self._changed.notify_all()
            return self._state == WAITING

    # From any thread.

    def set_overflow(self, overflow: str) -> None:
        """Change the policy; a reader that waits for room goes by the new one."""
        with self._changed:
            self._overflow = overflow
            self._slice = self._slice_for(overflow)
            self._changed.notify_all()

    def _slice_for(self, overflow: str) -> int | None:
        return None if overflow == "block" else max(1, min(SLICE, self._max_messages // 2))

    def let_reader_go(self, letting_go: bool) -> None:
        """Hold the reader up no more, however full the lane is; or do so again.

        For a connection that is to end: its reader has to see that.
        """
        with self._changed:
            self._letting_go = letting_go
            self._changed.notify_all()

    def abandon(self) -> None:
        """Forget everything, in a child after a fork, where nobody else can hold the lock."""
        self._changed = threading.Condition(threading.RLock())
        self._batches.clear()
        self._events.clear()
        self._discarding = True
        if self._current is not None:
            self._current.messages.clear()

    def discard(self) -> None:
        """Drop all messages, now and from now on, even of the batch that is being served."""
        with self._changed:
            self._discarding = True
            self._messages -= sum(batch.count for batch in self._batches)
            self._bytes -= sum(batch.size for batch in self._batches)
            self._batches.clear()
            if self._current is not None:
                # Ends the loop over it, behind the handler call that is running.
                self._current.messages.clear()
            self._changed.notify_all()

    def accept(self) -> None:
        """Take messages again, after :meth:`discard`."""
        with self._changed:
            self._discarding = False

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until all entries have been served.

        :param timeout: seconds.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._state == IDLE, max(0.0, timeout))
