"""Pull style: messages wait for ``recv()`` instead of being given to a handler.

It is the server of a lane of its own: the reader puts batches in, whoever calls ``recv()``
takes single messages out. As long as nobody has ever pulled, a full inbox drops its oldest
messages instead of holding the stream up for a reader that may never come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ..config import ConnectionConfig
from ..core.frames import Payload
from .clock import monotonic
from .lanes import Batch, Entry, Lane

__all__ = ["Inbox"]


class Inbox:
    """Messages that wait to be pulled.

    :param config: bounds and overflow policy.
    :param on_overflow: is called with the number of messages dropped, once somebody pulls.
    """

    def __init__(self, config: ConnectionConfig, *, on_overflow: Callable[[int], None]) -> None:
        self._policy = config.overflow
        self._on_overflow = on_overflow
        self._lane = Lane(
            max_messages=config.queue_size,
            max_bytes=config.queue_bytes,
            overflow="drop_oldest" if config.overflow == "block" else config.overflow,
            serve=_never_served,
            on_overflow=self._overflowed,
        )
        self._lane.attach(self)
        self._ready = threading.Event()  # something came, or it was closed
        # One puller at a time; guards _batch and _pending. Held while waiting, by design:
        # another puller has nothing to do until the first one has its message.
        self._pulling = threading.Lock()
        self._batch: Batch | None = None
        self._pending: deque[Payload] = deque()
        self.closed = False
        self._discarded = False
        self.pulled = False

    # The lane's server.

    def schedule(self, _lane: Lane) -> None:
        """See :class:`wsresilient.runtime.lanes.LaneServer`."""
        self._ready.set()

    def relieve(self) -> None:
        """See :class:`wsresilient.runtime.lanes.LaneServer`; there is always one puller."""

    def _overflowed(self, dropped: int) -> None:
        if self.pulled:
            self._on_overflow(dropped)

    def let_reader_go(self, letting_go: bool) -> None:
        """See :meth:`wsresilient.runtime.lanes.Lane.let_reader_go`."""
        self._lane.let_reader_go(letting_go)

    # The reader's side.

    def put(self, batch: Batch) -> None:
        """Add a batch."""
        self._lane.put(batch)

    @property
    def depth(self) -> int:
        """Messages that wait."""
        return self._lane.depth

    @property
    def held_back_since(self) -> float | None:
        """Since when the reader waits for room, or None."""
        return self._lane.held_back_since

    @property
    def dropped(self) -> int:
        """Messages that were dropped."""
        return self._lane.dropped

    # The puller's side.

    def get(self, timeout: float | None) -> Payload | None:
        """Take the next message.

        :param timeout: seconds; None waits for ever.
        :returns: None when the inbox was closed and is empty.
        :raises TimeoutError: none came in time.
        """
        deadline = None if timeout is None else monotonic() + timeout
        if not self.pulled:
            self.pulled = True
            self._lane.set_overflow(self._policy)
        patience = -1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
        if not self._pulling.acquire(timeout=patience):
            raise TimeoutError(f"no message within {timeout:g} s")
        try:
            while not self._pending or self._discarded:
                self._ready.clear()  # before the look, so that nothing comes unnoticed after it
                self._finish_batch()
                if not self._next_batch():
                    if self.closed:
                        return None
                    self._wait(deadline, timeout)
            message = self._pending.popleft()
            if not self._pending:
                self._finish_batch()  # its room is free, also if nobody pulls again for long
            return message
        finally:
            self._pulling.release()

    def _finish_batch(self) -> None:
        if self._batch is not None:
            self._lane.done(self._batch)
            self._batch = None
            self._pending.clear()

    def _next_batch(self) -> bool:
        self._lane.begin()
        entry = self._lane.take()
        if isinstance(entry, Batch):
            self._batch = entry
            self._pending.extend(entry.messages)
            return True
        return False

    def _wait(self, deadline: float | None, timeout: float | None) -> None:
        # In short pieces, so that Ctrl-C is heard on every system.
        while not self._ready.wait(1.0 if deadline is None else _piece(deadline)):
            if deadline is not None and monotonic() >= deadline:
                raise TimeoutError(f"no message within {timeout:g} s")

    def close(self, *, discard: bool) -> None:
        """Let pullers go once it is empty.

        :param discard: empty it now.
        """
        if discard:
            self._discarded = True
            self._lane.discard()
        self.closed = True
        self._ready.set()

    def take_all(self) -> list[Batch]:
        """Take all batches, for a handler that came later."""
        batches: list[Batch] = []
        if not self._pulling.acquire(blocking=False):
            return batches  # somebody pulls right now, and gets them
        try:
            if self._batch is not None and self._pending:
                batches.append(self._rest_of(self._batch))
            self._finish_batch()
            while self._next_batch():
                assert self._batch is not None
                batches.append(self._batch)
                self._finish_batch()
        finally:
            self._pulling.release()
        return batches

    def _rest_of(self, batch: Batch) -> Batch:
        """What nobody has pulled yet of a batch, as a batch."""
        rest = list(self._pending)
        size = batch.size * len(rest) // batch.count
        return Batch(rest, size, batch.generation, batch.received_at)


def _piece(deadline: float) -> float:
    return max(0.0, min(1.0, deadline - monotonic()))


def _never_served(_entry: Entry) -> None:
    raise AssertionError("an inbox is served by whoever pulls")
