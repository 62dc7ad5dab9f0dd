"""Delivering once what comes over several connections all the time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from ..core.continuity import Deduplicator
from ..core.frames import Payload
from .lanes import Batch

__all__ = ["RedundancyGate"]

#: Identities that are remembered, over all topics.
REMEMBERED = 200_000


class RedundancyGate:
    """Lets the first connection that brings a message deliver it.

    Two serving threads may look at the same moment; the lock makes one of them the first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _seen and duplicates
        self._seen = Deduplicator(REMEMBERED)
        self.duplicates = 0

    def of(
        self, identify: Callable[[Payload], tuple[str | None, Hashable]]
    ) -> Callable[[Batch], list[Payload]]:
        """Make the gate of one connection.

        :param identify: gives topic and identity of a payload.
        """

        def gate(batch: Batch) -> list[Payload]:
            named = [(payload, *identify(payload)) for payload in batch.messages]
            with self._lock:
                kept = [
                    payload
                    for payload, topic, identity in named
                    if topic is None or self._seen.is_new(topic, identity)
                ]
                self.duplicates += len(named) - len(kept)
            return kept

        return gate
