"""Requests for topics that wait for their answer, and which answer belongs to which.

Exchanges answer by an id, by the topics, by the method alone, or by a text that names the symbol.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .incoming import Refused
from .topic_rules import SubscriptionRules, TopicState

__all__ = ["PendingRequests", "Request", "channel_of", "write_request"]


@dataclass(eq=False)
class Request:
    """One request for topics.

    :ivar request_id: unique over all generations of a connection; a later request has a larger.
    :ivar subscribing: or unsubscribing.
    :ivar topics: of the request.
    :ivar tag: see :meth:`SubscriptionRules.tag`.
    :ivar unanswered: topics that the server has not answered for yet, each with the state that
        it had before the request.
    :ivar deadline: monotonic time by which it has to be answered; None: not sent yet.
    """

    request_id: int
    subscribing: bool
    topics: tuple[str, ...]
    tag: str | None = None
    unanswered: dict[str, TopicState | None] = field(default_factory=dict)
    deadline: float | None = None

    def among(self, topics: Iterable[str]) -> list[str]:
        """Give those of some topics that are unanswered, each once."""
        return [topic for topic in dict.fromkeys(topics) if topic in self.unanswered]

    def named(self, answer: Refused) -> list[str]:
        """Give the unanswered topics that a refusal names, by topic or by symbol."""
        if answer.topics:
            return self.among(answer.topics)
        if answer.symbol is not None:
            return [topic for topic in self.unanswered if _symbol_of(topic) == answer.symbol]
        return []


class PendingRequests:
    """Requests in the order in which they were made.

    :param most: when there are more, the oldest are forgotten; None: never.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        # OrderedDicts, since a dict that loses its first key again and again is slow to find it.
        self._requests: OrderedDict[Hashable, Request] = OrderedDict()
        self._sent: OrderedDict[Hashable, Request] = OrderedDict()  # the earliest deadline first
        self._by_tag: dict[str, OrderedDict[Hashable, Request]] = {}
        self._by_topic: dict[str, list[Request]] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._requests.values()))

    def __contains__(self, request: object) -> bool:
        return isinstance(request, Request) and request.request_id in self._requests

    def add(self, request: Request) -> None:
        """Let a request wait."""
        self._requests[request.request_id] = request
        if request.tag is not None:
            self._by_tag.setdefault(request.tag, OrderedDict())[request.request_id] = request
        for topic in request.unanswered:
            self._by_topic.setdefault(topic, []).append(request)
        if self._most is not None and len(self._requests) > self._most:
            self.remove(next(iter(self._requests.values())))

    def sent(self, request: Request, deadline: float) -> None:
        """Note by when a request has to be answered."""
        request.deadline = deadline
        self._sent[request.request_id] = request

    def answered(self, request: Request, topic: str) -> None:
        """Note that a topic of a waiting request is answered; the request waits on."""
        if topic not in request.unanswered:
            return
        del request.unanswered[topic]
        holders = self._by_topic[topic]
        holders.remove(request)
        if not holders:
            del self._by_topic[topic]

    def void(self, topic: str) -> None:
        """Note that no answer for a topic means anything any more."""
        for request in self._by_topic.pop(topic, ()):
            del request.unanswered[topic]

    def remove(self, request: Request) -> None:
        """Forget a request, if it waits; its unanswered topics stay in it."""
        if self._requests.pop(request.request_id, None) is None:
            return
        self._sent.pop(request.request_id, None)
        if request.tag is not None:
            alike = self._by_tag[request.tag]
            del alike[request.request_id]
            if not alike:
                del self._by_tag[request.tag]
        unanswered = dict(request.unanswered)
        for topic in unanswered:
            self.answered(request, topic)
        request.unanswered = unanswered

    def clear(self) -> None:
        """Forget all of them."""
        for those in (self._requests, self._sent, self._by_tag, self._by_topic):
            those.clear()

    def answered_by(
        self, request_id: Hashable, tag: str | None, topics: Sequence[str]
    ) -> Request | None:
        """Find what an answer is for: by id, else the oldest with the tag or one of the topics."""
        if request_id is not None:
            return self._requests.get(request_id)
        if tag is not None:
            alike = self._by_tag.get(tag)
            return None if alike is None else next(iter(alike.values()))
        oldest = (self._by_topic[topic][0] for topic in topics if topic in self._by_topic)
        return min(oldest, key=lambda request: request.request_id, default=None)

    def refused_by(self, answer: Refused) -> Request | None:
        """Find what a refusal is for."""
        tag = None if answer.topics else answer.tag
        request = self.answered_by(answer.request_id, tag, answer.topics)
        if request is not None or answer.symbol is None:
            return request
        matching = (one for one in self if one.subscribing and one.named(answer))
        return next(matching, None)

    def holding(self, topic: str) -> Request | None:
        """Find the newest request in which a topic is unanswered."""
        holders = self._by_topic.get(topic)
        return None if holders is None else holders[-1]

    def late(self, now: float) -> list[Request]:
        """Give those whose deadline has passed."""
        late = []
        for request in self._sent.values():
            if request.deadline is None or request.deadline > now:
                break
            late.append(request)
        return late

    def deadline(self) -> float | None:
        """Give the earliest deadline, or None."""
        first = next(iter(self._sent.values()), None)
        return None if first is None else first.deadline


def write_request(rules: SubscriptionRules, request: Request) -> tuple[bytes, int]:
    """Write a request, with as many of its topics as its size allows.

    :returns: the message, and how many topics, from the first, are in it.
    :raises BaseException: what a function of the user's raises.
    """
    build = rules.subscribe if request.subscribing else rules.unsubscribe
    most, topics = rules.limits.request_size, request.topics
    while True:
        payload = build(topics, request.request_id).encode()
        size = len(payload)
        if most is None or size <= most or len(topics) <= 1:
            return payload, len(topics)
        # Topics differ in length: a proportional cut may still be too long, so it loops.
        topics = topics[: max(1, min(len(topics) - 1, len(topics) * most // size))]


def _symbol_of(topic: str) -> str:
    return topic.partition("?")[0].partition(":")[2]


def channel_of(topic: str) -> str:
    """Give the channel of a topic in the notation "channel:symbol?parameters"."""
    return topic.partition("?")[0].partition(":")[0]
