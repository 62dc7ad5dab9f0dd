"""Answers that come after their time: what they still tell, and about which topics.

A request that is not answered in time is remembered for as long as its connection. Servers answer
in the order in which they are asked, so a late answer counts unless a newer one has come.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import SubscriptionError
from .incoming import Acknowledged, Refused
from .topic_book import TopicBook
from .topic_requests import PendingRequests, Request
from .topic_rules import TopicState

__all__ = ["LateAnswers"]

#: Requests that are remembered; the oldest are forgotten.
MOST_LATE = 2000


class LateAnswers:
    """The overdue requests of one connection. Answers find them by id or topic, never by tag.

    :param book: is told what the server has.
    :param pending: the requests whose time is not over.
    """

    def __init__(self, book: TopicBook, pending: PendingRequests) -> None:
        self._book = book
        self._pending = pending
        self._overdue = PendingRequests(MOST_LATE)

    def add(self, request: Request) -> None:
        """Remember a request whose time is over."""
        self._overdue.add(request)

    def void(self, topic: str) -> None:
        """Note that a newer request for a topic is answered: older answers mean nothing."""
        self._overdue.void(topic)

    def clear(self) -> None:
        """Forget them all: the connection has ended."""
        self._overdue.clear()

    def knows(self, answer: Acknowledged | Refused) -> bool:
        """Tell whether an answer is for one of them."""
        return self._asked(answer) is not None

    def _asked(self, answer: Acknowledged | Refused) -> Request | None:
        return self._overdue.answered_by(answer.request_id, None, answer.topics)

    def acknowledged(self, answer: Acknowledged, now: float) -> bool:
        """Take an acknowledgement; returns whether it is for one of them."""
        request = self._asked(answer)
        if request is None:
            return False
        self._done(request, request.among(answer.topics or request.topics), now)
        return True

    def refused(self, answer: Refused, now: float) -> list[SubscriptionError]:
        """Take a refusal that is not temporary, if it is for one of them.

        :returns: the topics that are refused for good, as errors.
        """
        request = self._asked(answer)
        if request is None:
            return []
        named = request.named(answer)
        if answer.present or not request.subscribing:
            everything = () if answer.topics else tuple(request.unanswered)
            self._done(request, named or everything, now)
            return []
        self._done(request, request.among(answer.accepted), now)
        if not named and len(request.unanswered) == 1:
            named = list(request.unanswered)  # of several nobody knows which, and they go alone
        errors = []
        for topic in named:
            is_there = self._book.states.get(topic) is TopicState.PRESENT
            if self._counts(request, topic) and not is_there:
                errors += self._book.refused(topic, answer.text, answer.code)
        return errors

    def _done(self, request: Request, topics: Iterable[str], now: float) -> None:
        """Note that the server has done what was asked some time ago."""
        for topic in topics:
            if self._counts(request, topic):
                self._book.done(topic, now, subscribing=request.subscribing)

    def _counts(self, request: Request, topic: str) -> bool:
        """Use up a late answer for a topic; returns whether it tells what the server has now.

        It answers a newer request for the same as well. Where the opposite has been asked
        meanwhile, that answer counts; and if that is overdue too, nobody knows.
        """
        newest = self._overdue.holding(topic)
        self._overdue.answered(request, topic)
        pending = self._pending.holding(topic)
        if pending is not None and pending.subscribing is not request.subscribing:
            return False
        if newest is not None and newest.subscribing is not request.subscribing:
            if pending is None:
                self._book.lose_track(topic)
            return False
        if pending is not None:
            self._pending.answered(pending, topic)
            if not pending.unanswered:
                self._pending.remove(pending)
                self.add(pending)  # or its own answer would be taken for somebody else's
        return True
