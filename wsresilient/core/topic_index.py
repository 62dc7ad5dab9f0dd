"""Which subscription a message belongs to: the exact topic, or a wider one that covers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .incoming import Data

__all__ = ["LONGEST_REMEMBERED", "TopicIndex"]

#: Topics of the wire whose subscription is remembered; a bound, since the server names them.
MOST_REMEMBERED = 10_000
#: Characters of a topic that is remembered; the longest that is known has 100.
LONGEST_REMEMBERED = 200


class TopicIndex:
    """Finds subscriptions; made anew whenever they change.

    :param topics: the subscribed ones.
    :param covers: tells whether a subscription covers a message (``Venue.covers``).
    """

    def __init__(self, topics: Iterable[str], covers: Callable[[str, Data], bool]) -> None:
        self._topics = dict.fromkeys(topics)
        self._covers = covers
        self._remembered: dict[str, str] = {}

    def __contains__(self, topic: object) -> bool:
        return topic in self._topics

    def __repr__(self) -> str:
        return f"<TopicIndex of {len(self._topics)} topics>"

    def resolve(self, data: Data) -> str:
        """Give the topic as it was subscribed; where nothing was, as the wire names it."""
        topic = data.topic
        if topic in self._topics:
            return topic
        known = self._remembered.get(topic)
        if known is None:
            known = next((one for one in self._topics if self._covers(one, data)), topic)
            if len(self._remembered) < MOST_REMEMBERED and len(topic) <= LONGEST_REMEMBERED:
                self._remembered[topic] = known
        return known
