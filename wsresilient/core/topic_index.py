"""Which subscription a message belongs to: the exact topic, or a wider one that covers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .incoming import Data

__all__ = ["LONGEST_REMEMBERED", "TopicIndex"]

#: Topics of the wire whose subscription is remembered; a bound, since the server names them.
MOST_REMEMBERED = 10_000
#: Characters of a topic that is remembered; the longest that is known has 100.
LONGEST_REMEMBERED = 200


class TopicIndex:
    """Finds subscriptions. One thread at a time changes it, and any reads it meanwhile.

    :param topics: the subscribed ones.
    :param covers: tells whether a subscription covers a message (``Venue.covers``).
    """

    def __init__(self, topics: Iterable[str], covers: Callable[[str, Data], bool]) -> None:
        self._topics = dict.fromkeys(topics)
        self._covers = covers
        self._remembered: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def __iter__(self) -> Iterator[str]:
        return iter(self._topics)

    def __contains__(self, topic: object) -> bool:
        return topic in self._topics

    def __repr__(self) -> str:
        return f"<TopicIndex of {len(self._topics)} topics>"

    def change(self, *, added: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
        """Have more topics, and others no more."""
        for topic in removed:
            self._topics.pop(topic, None)
        for topic in added:
            self._topics[topic] = None
        # A reader that is at work fills the old memory, with what was true when it began.
        self._remembered = {}

    def resolve(self, data: Data) -> str:
        """Give the topic as it was subscribed; where nothing was, as the wire names it."""
        topic = data.topic
        if topic in self._topics:
            return topic
        remembered = self._remembered  # before the topics: see change()
        known = remembered.get(topic)
        if known is None:
            topics = list(self._topics)  # at once, since a change may come meanwhile
            known = next((one for one in topics if self._covers(one, data)), topic)
            if len(remembered) < MOST_REMEMBERED and len(topic) <= LONGEST_REMEMBERED:
                remembered[topic] = known
        return known
