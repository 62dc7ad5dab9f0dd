"""Waiting for an answer among the messages: the reader passes batches on, the asker looks.

Whether a message is the answer is a question for the user's function, which therefore runs
on the asking thread and never on the reader's. Without anybody asking it costs nothing.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Hashable, Iterator

from ..core.frames import Payload
from ..errors import NotConnectedError
from .clock import monotonic

__all__ = ["Answers", "Waiter"]


class Waiter:
    """One who waits for an answer.

    :ivar request_id: of the request, or None where the venue has no ids.
    """

    def __init__(self, request_id: Hashable = None) -> None:
        self.request_id = request_id
        self._batches: queue.SimpleQueue[list[Payload] | None] = queue.SimpleQueue()

    def put(self, messages: list[Payload] | None) -> None:
        """Pass a batch on; None: the link has dropped."""
        self._batches.put(messages)

    def payloads(self, deadline: float) -> Iterator[Payload]:
        """Go through all messages from the moment on at which the waiter was made.

        :param deadline: monotonic time.
        :raises TimeoutError: the deadline has passed.
        :raises NotConnectedError: the link dropped.
        """
        while True:
            try:
                batch = self._batches.get(timeout=max(0.0, deadline - monotonic()))
            except queue.Empty:
                raise TimeoutError("no answer to the request came in time") from None
            if batch is None:
                raise NotConnectedError("the connection ended before the answer came")
            yield from batch


class Answers:
    """All who wait for answers on one connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the writing of _waiters, a tuple read freely
        self._waiters: tuple[Waiter, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def expects(self, request_id: Hashable) -> bool:
        """Tell whether somebody waits for an answer with this id."""
        return any(waiter.request_id == request_id for waiter in self._waiters)

    @contextlib.contextmanager
    def waiting(self, request_id: Hashable = None) -> Iterator[Waiter]:
        """Be one of them for a while."""
        waiter = Waiter(request_id)
        with self._lock:
            self._waiters = (*self._waiters, waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiters = tuple(kept for kept in self._waiters if kept is not waiter)

    def offer(self, messages: list[Payload]) -> None:
        """Pass a batch on; a copy, since the lane may empty the list."""
        for waiter in self._waiters:
            waiter.put(list(messages))

    def link_dropped(self) -> None:
        """Tell all of them that no answer will come."""
        for waiter in self._waiters:
            waiter.put(None)
