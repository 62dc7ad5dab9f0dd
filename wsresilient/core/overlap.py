"""Whether two connections that bring the same topics have met, and what came over both. Pure.

Both are in order. So once of a topic one message has come over both, all before it came over the
old one and all behind it comes over the new one.

Each side has one writer, which publishes what it has seen before it looks at what the other side
has: whoever is later sees that they met. No lock is needed, and none is taken.
"""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Overlap"]

Name = tuple[str, Hashable]


class _Arrival:
    """What the new connection has brought in one generation."""

    __slots__ = ("generation", "met", "names", "topics")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.names: set[Name] = set()
        self.topics: set[str] = set()
        self.met: set[str] = set()  # topics of which one message has come over both


class Overlap:
    """The messages of an old and a new connection, by topic and identity."""

    def __init__(self) -> None:
        # Written by the old connection's side.
        self._delivered: set[Name] = set()
        self._delivered_before: set[Name] = set()
        self._latest: dict[str, Hashable] = {}  # the last message of each topic
        # Written by the new connection's side.
        self._arrival = _Arrival(0)

    def __repr__(self) -> str:
        return f"<Overlap of {len(self)} delivered and {len(self._arrival.names)} new messages>"

    def __len__(self) -> int:
        return len(self._delivered) + len(self._delivered_before)

    # The old connection's side.

    def delivered(self, topic: str, identity: Hashable) -> None:
        """Note a message that the old connection delivers."""
        name = (topic, identity)
        self._delivered.add(name)
        self._latest[topic] = identity
        arrival = self._arrival
        if name in arrival.names:
            arrival.met.add(topic)

    # The new connection's side.

    def brought(self, topic: str, identity: Hashable, *, generation: int) -> None:
        """Note a message that the new connection brings.

        :param generation: of the new connection. With another one it has been lost meanwhile:
            what it brought before proves nothing of what it will bring.
        """
        arrival = self._arrival
        if arrival.generation != generation:
            arrival = self._arrival = _Arrival(generation)
        arrival.names.add((topic, identity))
        arrival.topics.add(topic)
        if self.was_delivered(topic, identity):
            arrival.met.add(topic)

    def behind(self) -> set[str]:
        """Give the topics of which the new connection has not brought all that was delivered."""
        names = self._arrival.names
        return {topic for topic, latest in self._latest.items() if (topic, latest) not in names}

    # Any side.

    def was_delivered(self, topic: str, identity: Hashable) -> bool:
        """Whether the old connection has delivered a message."""
        name = (topic, identity)
        return name in self._delivered or name in self._delivered_before

    def is_latest(self, topic: str, identity: Hashable) -> bool:
        """Whether it is the last message of its topic that the old connection has delivered."""
        return topic in self._latest and self._latest[topic] == identity

    def is_proved(self, topics: frozenset[str], generation: int) -> bool:
        """Whether they have met in each of these topics that the new connection has brought.

        A snapshot that only the new one got is no hindrance, nor is a topic that is quiet.

        :param topics: those that still count.
        :param generation: of the new connection.
        """
        arrival = self._arrival
        if arrival.generation != generation:
            return not arrival.topics  # nothing has come yet since it was lost
        return topics & arrival.topics <= arrival.met

    def has_met(self, topics: frozenset[str], generation: int) -> bool:
        """Whether they have met in all of these topics."""
        arrival = self._arrival
        return arrival.generation == generation and arrival.met >= topics

    # The owner.

    def forget(self) -> None:
        """Forget what was delivered before now; it is kept until the next call.

        For the time in which the new connection is still to begin: what was delivered until then
        cannot come over it. Who looks at it right now still finds it.
        """
        self._delivered_before, self._delivered = self._delivered, set()
