"""Pull style: messages wait for ``recv()`` instead of being given to a handler.

It is the server of a lane of its own: the reader puts batches in, whoever calls ``recv()``
takes single messages out. As long as nobody has ever pulled, a full inbox drops its oldest
messages instead of holding the stream up for a reader that may never come.
"""

from __future__ import annotations

import threading
from collections import deque

from ..config import ConnectionConfig
from ..core.frames import Payload
from .clock import monotonic
from .lanes import Batch, Entry, Lane

__all__ = ["Inbox"]


class Inbox:
    """Messages that wait to be pulled.

    :param config: bounds and overflow policy.
    """

    def __init__(self, config: ConnectionConfig) -> None:
        self._policy = config.overflow
        self._lane = Lane(
            max_messages=config.queue_size,
            max_bytes=config.queue_bytes,
            overflow="drop_oldest" if config.overflow == "block" else config.overflow,
            serve=_never_served,
            on_overflow=_ignore,
        )
        self._lane.attach(self)
        self._ready = threading.Semaphore(0)
        # One puller at a time; guards _batch and _pending. Held while waiting, by design:
        # another puller has nothing to do until the first one has its message.
        self._pulling = threading.Lock()
        self._batch: Batch | None = None
        self._pending: deque[Payload] = deque()
        self.closed = False
        self.pulled = False

    # The lane's server.

    def schedule(self, _lane: Lane) -> None:
        """See :class:`wsresilient.runtime.lanes.LaneServer`."""
        self._ready.release()

    def relieve(self) -> None:
        """See :class:`wsresilient.runtime.lanes.LaneServer`; there is always one puller."""

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
        if not self._pulling.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError(f"no message within {timeout:g} s")
        try:
            while not self._pending:
                self._finish_batch()
                if not self._next_batch():
                    if self.closed:
                        return None
                    self._wait(deadline, timeout)
            return self._pending.popleft()
        finally:
            self._pulling.release()

    def _finish_batch(self) -> None:
        if self._batch is not None:
            self._lane.done(self._batch)
            self._batch = None

    def _next_batch(self) -> bool:
        self._lane.begin()
        entry = self._lane.take()
        if isinstance(entry, Batch):
            self._batch = entry
            self._pending.extend(entry.messages)
            return True
        return False

    def _wait(self, deadline: float | None, timeout: float | None) -> None:
        patience = None if deadline is None else max(0.0, deadline - monotonic())
        if not self._ready.acquire(timeout=patience):
            raise TimeoutError(f"no message within {timeout:g} s")

    def close(self, *, discard: bool) -> None:
        """Let pullers go once it is empty.

        :param discard: empty it now.
        """
        self.closed = True
        if discard:
            self._lane.discard()
        self._ready.release()

    def take_all(self) -> list[Batch]:
        """Take all batches, for a handler that came later."""
        batches: list[Batch] = []
        if not self._pulling.acquire(blocking=False):
            return batches  # somebody pulls right now, and gets them
        try:
            self._finish_batch()
            while self._next_batch():
                assert self._batch is not None
                batches.append(self._batch)
                self._finish_batch()
            self._pending.clear()
        finally:
            self._pulling.release()
        return batches


def _never_served(_entry: Entry) -> None:
    raise AssertionError("an inbox is served by whoever pulls")


def _ignore(_dropped: int) -> None:
    """The lane counts what it drops; nobody has to be told."""
