"""Topics that are to be asked for: in which order, and which of them in requests of their own."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import islice

__all__ = ["TopicQueue"]

#: A request that failed as a whole is asked again in so many pieces.
PIECES = 4


class TopicQueue:
    """Topics that wait for a request, each once."""

    def __init__(self) -> None:
        # An OrderedDict has its first key at hand; a dict that loses it looks for the next.
        self._topics: OrderedDict[str, None] = OrderedDict()
        self._pieces: deque[tuple[str, ...]] = deque()

    def __bool__(self) -> bool:
        return bool(self._topics)

    def __contains__(self, topic: object) -> bool:
        return topic in self._topics

    def add(self, topic: str) -> None:
        """Let a topic wait, behind the others."""
        self._topics[topic] = None

    def discard(self, topic: str) -> None:
        """Let a topic wait no more."""
        self._topics.pop(topic, None)

    def clear(self) -> None:
        """Let none wait."""
        self._topics.clear()
        self._pieces.clear()

    def split(self, topics: tuple[str, ...]) -> None:
        """Have waiting topics asked for in a few smaller requests; one topic goes alone."""
        size = max(1, -(-len(topics) // PIECES))
        self._pieces.extend(topics[at : at + size] for at in range(0, len(topics), size))

    def next(self, most: int | None) -> tuple[str, ...]:
        """Give the topics of the next request; they wait until :meth:`discard`.

        :param most: topics of one request; None: any number.
        """
        while self._pieces:
            piece = tuple(topic for topic in self._pieces.popleft() if topic in self._topics)
            if piece:
                return piece[:most]
        return tuple(islice(self._topics, most))
