"""Where the batches of two connections become what one user gets: once each, in order.

While a connection has a successor, the lane of the life goes through it, before the handlers, and
what the successor brings waits in it. Which messages are the same says :class:`Identifier`, what
follows from that ``core/takeover.py``; when the successor takes over, ``succession.py``.

Messages are looked into on the thread that serves the lane, as everywhere: the functions of the
user's that this calls never run side by side.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable

from ..core.coverage import Coverage
from ..core.events import Message
from ..core.frames import Payload
from ..core.takeover import MOST_HELD, Held, Takeover
from ..venues.base import Venue
from .handlers import HandlerSet
from .lanes import Batch
from .link import Link

__all__ = ["Identifier", "Junction"]

#: A payload of so many characters stands for itself; a longer one is remembered by its hash.
SHORT = 200


class Identifier:
    """Gives messages their topic and identity, so that the same one over two connections is known.

    A message without a topic is known by its payload, as is every message without a venue, and what
    cannot be named since a function raises; the first such error is told.

    :param decode: payload to message.
    :param venue: names messages, or None: they are looked into for ``message_key`` only.
    :param message_key: the user's ``(message) -> hashable``, in place of the venue's.
    :param handlers: are told of its errors.
    """

    def __init__(
        self,
        decode: Callable[[Payload, Batch], Message],
        venue: Venue | None,
        message_key: Callable[[Message], Hashable] | None,
        handlers: HandlerSet,
    ) -> None:
        self._decode = decode
        self._venue = venue
        self._message_key = message_key
        self._is_read = venue is not None or message_key is not None
        self._handlers = handlers
        self._has_complained = False  # of what names messages
        self._batch = Batch([], 0, 0, 0.0)

    def __call__(self, payload: Payload) -> tuple[str, Hashable]:
        """Give topic and identity; "" is the topic of those that have none. It does not raise."""
        if self._is_read:
            try:
                message = self._decode(payload, self._batch)
            except BaseException:  # whoever delivers it finds it again, and tells it
                key = None
            else:
                key = self._key_of(message)
                if key is not None:
                    return message.topic or "", key
        return "", payload if len(payload) <= SHORT else (len(payload), hash(payload))

    def _key_of(self, message: Message) -> Hashable:
        try:
            key = self._name(message)
            hash(key)
        except BaseException as error:  # a user's function may raise anything
            self._complain(error)
            return None
        return key

    def _name(self, message: Message) -> Hashable:
        if self._message_key is not None:
            with self._handlers.calling("message_key"):
                return self._message_key(message)
        if self._venue is None or message.topic is None:
            return None
        identity = self._venue.identity(message)
        return repr(message.data) if identity is None else identity

    def _complain(self, error: BaseException) -> None:
        """Tell the first error; it would come for each message, over either connection."""
        if self._has_complained:
            return
        self._has_complained = True
        if self._message_key is not None:
            self._handlers.failed("message_key", self._message_key, error)
        elif self._venue is not None:
            self._handlers.failed("identity", self._venue.identity, error)


class Junction:
    """Joins what an old connection and its successor bring.

    :param old: brings messages now.
    :param new: will bring them.
    :param identify: gives the topic and the identity of a payload; must not raise.
    :param count: is given how many messages of the successor the user gets, as they are delivered.
    :param max_bytes: that may wait; beyond it the junction is overrun.
    :param is_lossy: whether messages of the old connection may be dropped on their way.
    :param coverage: see :class:`wsresilient.core.takeover.Takeover`.
    :ivar takeover: what has come over both; of the serving thread, but for ``may_end``.
    :ivar overrun_at: wall clock at which more had come than can wait, since the handlers are too
        slow; None: it has not. What waited, and what comes until the switch, is lost then.
    """

    def __init__(
        self,
        old: Link,
        new: Link,
        identify: Callable[[Payload], tuple[str, Hashable]],
        *,
        count: Callable[[int], object],
        max_bytes: int,
        is_lossy: bool = False,
        coverage: Coverage | None = None,
    ) -> None:
        self._old = old
        self._new = new
        self._identify = identify
        self._count = count
        self._max_bytes = max_bytes
        self.takeover = Takeover(max_bytes=max_bytes, is_lossy=is_lossy, coverage=coverage)
        self.overrun_at: float | None = None
        self._lock = threading.Lock()  # guards the fields below
        self._arrived: deque[Batch] = deque()  # of the successor, and not looked into yet
        self._arrived_count = 0
        self._arrived_bytes = 0
        self._is_switched = False
        self._is_given_up = False

    def __repr__(self) -> str:
        return f"<Junction of {self._old!r} and {self._new!r}>"

    # The successor's reader.

    def take(self, batch: Batch) -> bool:
        """Let a batch of the successor wait.

        :returns: False: it has its place in the lane.
        """
        with self._lock:
            if self._is_switched:
                return False
            if self._is_given_up or self.is_overrun:
                return True
            self._arrived.append(batch)
            self._arrived_count += batch.count
            self._arrived_bytes += batch.size
            if self._arrived_count > MOST_HELD or self._arrived_bytes > self._max_bytes:
                self.overrun_at = batch.received_at
                self._arrived.clear()
            return True

    # From any thread.

    @property
    def is_overrun(self) -> bool:
        """Whether more has come than can wait."""
        return self.overrun_at is not None

    @property
    def has_arrivals(self) -> bool:
        """Whether something of the successor has not been looked into yet."""
        return bool(self._arrived)

    def give_up(self) -> None:
        """Let nothing of the successor through."""
        with self._lock:
            self._is_given_up = True
            self._arrived.clear()

    # The serving thread.

    def sift(self, batch: Batch) -> list[Payload]:
        """Say what of a batch in the lane the user gets."""
        if batch.generation == self._new.generation:
            return self._sift_new(batch)
        if batch.generation == self._old.generation:
            return self._sift_old(batch)
        return batch.messages

    def _sift_old(self, batch: Batch) -> list[Payload]:
        takeover, identify = self.takeover, self._identify
        if self._is_given_up:
            return batch.messages  # it may be long until the successor has ended
        for payload in batch.messages:
            takeover.note_delivered(*identify(payload))
        self.absorb()
        return batch.messages

    def _sift_new(self, batch: Batch) -> list[Payload]:
        takeover, identify = self.takeover, self._identify
        fresh = batch.messages
        if not takeover.is_caught_up:
            fresh = [one for one in fresh if not takeover.is_repeated(*identify(one))]
        self._count(len(fresh))
        return fresh

    def absorb(self) -> None:
        """Look into what the successor has brought."""
        while True:
            with self._lock:
                if not self._arrived:
                    return
                batch = self._arrived.popleft()
                self._arrived_count -= batch.count
                self._arrived_bytes -= batch.size
            for payload in batch.messages:
                self.takeover.hold(Held(*self._identify(payload), payload, batch.received_at))

    def switch(self) -> list[Batch]:
        """Let the successor's messages through from now on; behind the old connection's last.

        :returns: what the successor has brought by now, to be delivered first.
        """
        self.absorb()
        with self._lock:
            self._is_switched = True
        self.absorb()  # what came since then
        runs: list[list[Held]] = []
        for held in self.takeover.settle():
            if runs and runs[-1][-1].received_at == held.received_at:
                runs[-1].append(held)
            else:
                runs.append([held])
        self._count(sum(map(len, runs)))
        return [self._batch_of(run) for run in runs]

    def _batch_of(self, run: list[Held]) -> Batch:
        payloads = [held.payload for held in run]
        size = sum(map(len, payloads))
        return Batch(payloads, size, self._new.generation, run[0].received_at)
