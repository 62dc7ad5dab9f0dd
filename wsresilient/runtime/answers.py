"""Waiting for an answer: by its id, which the reader finds, or by a look at every message.

Whether a message is the answer may be a question for the user's function, which runs on the
asking thread and never on the reader's. Without anybody asking it costs nothing.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Hashable, Iterator
from typing import Any

from ..core.frames import Payload
from ..errors import NotConnectedError
from .clock import monotonic

__all__ = ["Answers", "IdWaiter", "Waiter"]

#: Messages that may wait to be looked at; of more the oldest are passed over.
MOST_WAITING = 10_000


def _no_answer() -> TimeoutError:
    return TimeoutError("no answer to the request came in time")


def _link_dropped() -> NotConnectedError:
    return NotConnectedError("the connection ended before the answer came")


class Waiter:
    """One who looks at every message.

    :ivar generation: of the connection over which the answer will come.
    """

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self._batches: queue.SimpleQueue[list[Payload] | None] = queue.SimpleQueue()
        self._put = 0  # messages so far; written by the reader
        self._taken = 0  # written by the asker
        self._is_over = False

    def put(self, messages: list[Payload] | None) -> None:
        """Pass a batch on; None: the link has dropped."""
        if messages is None:
            self._is_over = True
        else:
            self._put += len(messages)
        self._batches.put(messages)

    def payloads(self, deadline: float) -> Iterator[Payload]:
        """Go through all messages from the moment on at which the waiter was made.

        An asker that looks more slowly than they come misses the oldest.

        :param deadline: monotonic time.
        :raises TimeoutError: the deadline has passed.
        :raises NotConnectedError: the link dropped.
        """
        while True:
            try:
                batch = self._batches.get(timeout=max(0.0, deadline - monotonic()))
            except queue.Empty:
                raise _no_answer() from None
            if batch is None:
                raise _link_dropped()
            self._taken += len(batch)
            if self._put - self._taken > MOST_WAITING:
                continue
            for payload in batch:
                yield payload
                if self._is_over:
                    raise _link_dropped()
                if monotonic() >= deadline:
                    raise _no_answer()


class IdWaiter:
    """One who waits for the answer with an id.

    :ivar generation: of the connection over which it will come.
    """

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self._answers: queue.SimpleQueue[tuple[Any] | None] = queue.SimpleQueue()

    def put(self, message: tuple[Any] | None) -> None:
        """Pass the decoded answer on, in a tuple; None: the link has dropped."""
        self._answers.put(message)

    def get(self, deadline: float) -> Any:
        """Wait for it.

        :param deadline: monotonic time.
        :raises TimeoutError: the deadline has passed.
        :raises NotConnectedError: the link dropped.
        """
        try:
            answer = self._answers.get(timeout=max(0.0, deadline - monotonic()))
        except queue.Empty:
            raise _no_answer() from None
        if answer is None:
            raise _link_dropped()
        return answer[0]


class Answers:
    """All who wait for answers on one connection."""

    def __init__(self) -> None:
        # Guards the writing of both; a tuple and a dict that are replaced, and read freely.
        self._lock = threading.Lock()
        self._waiters: tuple[Waiter, ...] = ()
        self._by_id: dict[Hashable, IdWaiter] = {}

    def __bool__(self) -> bool:
        """Whether somebody looks at every message."""
        return bool(self._waiters)

    def expects_over(self, generation: int) -> bool:
        """Tell whether somebody waits for an answer over this connection."""
        return any(waiter.generation == generation for waiter in self._everybody())

    def _everybody(self) -> tuple[Waiter | IdWaiter, ...]:
        return (*self._waiters, *self._by_id.values())

    @contextlib.contextmanager
    def waiting(self, *, generation: int = 0) -> Iterator[Waiter]:
        """Look at every message for a while.

        :param generation: of the connection over which the answer will come.
        """
        waiter = Waiter(generation)
        with self._lock:
            self._waiters = (*self._waiters, waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiters = tuple(kept for kept in self._waiters if kept is not waiter)

    @contextlib.contextmanager
    def waiting_for(self, request_id: Hashable, *, generation: int = 0) -> Iterator[IdWaiter]:
        """Wait for the answer with an id for a while.

        :param generation: of the connection over which it will come.
        """
        waiter = IdWaiter(generation)
        with self._lock:
            self._by_id = {**self._by_id, request_id: waiter}
        try:
            yield waiter
        finally:
            with self._lock:
                self._by_id = {key: kept for key, kept in self._by_id.items() if kept is not waiter}

    def give(self, request_id: Hashable, message: Any) -> bool:
        """Give a decoded answer to who waits for its id; returns whether somebody does."""
        waiter = self._by_id.get(request_id)
        if waiter is None:
            return False
        waiter.put((message,))
        return True

    def offer(self, messages: list[Payload]) -> None:
        """Pass a batch on; a copy, since the lane may empty the list."""
        for waiter in self._waiters:
            waiter.put(list(messages))

    def link_dropped(self, generation: int | None = None) -> None:
        """Tell them that no answer will come.

        :param generation: only those who wait for this connection; None: all of them.
        """
        for waiter in self._everybody():
            if generation is None or waiter.generation == generation:
                waiter.put(None)
