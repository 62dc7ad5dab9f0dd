"""Requests for topics that wait for their answer, and which answer belongs to which.

Exchanges answer by an id, by the topics, by the method alone, or by a text that names the symbol.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from .incoming import Refused

__all__ = ["PendingRequests", "Request", "channel_of"]


@dataclass(eq=False)
class Request:
    """One request for topics.

    :ivar request_id: unique over all generations of a connection.
    :ivar subscribing: or unsubscribing.
    :ivar topics: of the request.
    :ivar tag: see :meth:`SubscriptionRules.tag`.
    :ivar unanswered: topics that the server has not answered for yet.
    :ivar deadline: monotonic time by which it has to be answered; None: not sent yet.
    """

    request_id: int
    subscribing: bool
    topics: tuple[str, ...]
    tag: str | None = None
    unanswered: dict[str, None] = field(default_factory=dict)
    deadline: float | None = None

    def named(self, answer: Refused) -> list[str]:
        """Give the unanswered topics that a refusal names, by topic or by symbol."""
        if answer.topics:
            return [topic for topic in answer.topics if topic in self.unanswered]
        if answer.symbol is not None:
            return [topic for topic in self.unanswered if _symbol_of(topic) == answer.symbol]
        return []


class PendingRequests:
    """Requests in the order in which they were made."""

    def __init__(self) -> None:
        self._requests: dict[Hashable, Request] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._requests

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._requests.values()))

    def add(self, request: Request) -> None:
        """Let a request wait."""
        self._requests[request.request_id] = request

    def remove(self, request: Request) -> None:
        """Forget a request, if it waits."""
        self._requests.pop(request.request_id, None)

    def clear(self) -> None:
        """Forget all of them."""
        self._requests.clear()

    def answered_by(
        self, request_id: Hashable, tag: str | None, topics: Sequence[str]
    ) -> Request | None:
        """Find what an answer is for: by id, else the oldest with the tag or one of the topics."""
        if request_id is not None:
            return self._requests.get(request_id)
        for request in self._requests.values():
            if request.tag == tag if tag is not None else request.unanswered.keys() & set(topics):
                return request
        return None

    def refused_by(self, answer: Refused) -> Request | None:
        """Find what a refusal is for."""
        tag = None if answer.topics else answer.tag
        request = self.answered_by(answer.request_id, tag, answer.topics)
        if request is not None or answer.symbol is None:
            return request
        matching = (one for one in self if one.subscribing and one.named(answer))
        return next(matching, None)

    def holding(self, topic: str) -> Request | None:
        """Find the request that asks for a topic."""
        asking = (one for one in self if one.subscribing and topic in one.unanswered)
        return next(asking, None)

    def late(self, now: float) -> list[Request]:
        """Give those whose deadline has passed."""
        return [one for one in self if one.deadline is not None and one.deadline <= now]

    def deadline(self) -> float | None:
        """Give the earliest deadline, or None."""
        return min((one.deadline for one in self if one.deadline is not None), default=None)


def _symbol_of(topic: str) -> str:
    return topic.partition("?")[0].partition(":")[2]


def channel_of(topic: str) -> str:
    """Give the channel of a topic in the notation "channel:symbol?parameters"."""
    return topic.partition("?")[0].partition(":")[0]
