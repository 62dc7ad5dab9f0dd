"""Delivering once, and in order, what comes over several connections all the time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..core.continuity import Deduplicator
from ..core.frames import Payload
from .carrier import Gate, Identify
from .lanes import Batch

__all__ = ["RedundancyGate"]

#: Identities that are remembered, over all topics.
REMEMBERED = 200_000

Deliver = Callable[[list[Payload], float], None]


class RedundancyGate:
    """Lets the first connection that brings a message deliver it.

    While one connection delivers messages of a topic, another one that has newer ones of it waits:
    the handlers of a topic are never called side by side, nor out of order.
    """

    def __init__(self) -> None:
        # Guards all fields; tells that topics are free again.
        self._changed = threading.Condition(threading.Lock())
        self._seen = Deduplicator(REMEMBERED)
        self._busy: set[str] = set()  # topics that are being delivered
        self._is_closed = False
        self.duplicates = 0

    def of(self, identify: Identify, deliver: Deliver) -> Gate:
        """Make the last gate of one connection; it delivers what it lets through.

        :param identify: gives topic and identity of a payload.
        :param deliver: gives messages, and when they came, to the connection's handlers.
        """

        def gate(batch: Batch) -> list[Payload]:
            named = [(payload, *identify(payload)) for payload in batch.messages]
            topics = {topic for _, topic, _ in named if topic is not None}
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._busy.isdisjoint(topics))
                if self._is_closed:
                    return []
                kept = [
                    payload
                    for payload, topic, identity in named
                    if topic is None or self._seen.is_new(topic, identity)
                ]
                self.duplicates += len(named) - len(kept)
                self._busy |= topics
            try:
                if kept:
                    deliver(kept, batch.received_at)
            finally:
                with self._changed:
                    self._busy -= topics
                    self._changed.notify_all()
            return []

        return gate

    def open(self) -> None:
        """Deliver from now on."""
        with self._changed:
            self._is_closed = False

    def close(self) -> None:
        """Deliver nothing more, and let nobody wait: all connections are being stopped."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def forget_threads(self) -> None:
        """In a child after a fork: nobody holds the lock, and nobody delivers."""
        self._changed = threading.Condition(threading.Lock())
        self._busy = set()
