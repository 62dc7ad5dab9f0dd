"""Requests that bring no answer, or none that tells enough: their topics are asked for again."""

from __future__ import annotations

from ..errors import SubscriptionError
from .late_answers import LateAnswers
from .topic_book import TopicBook
from .topic_requests import PendingRequests, Request
from .topic_rules import TopicState

__all__ = ["AskingAgain"]


class AskingAgain:
    """What becomes of the requests of one connection that are not answered as they should be.

    :param book: is told what the server has.
    :param pending: the requests that wait for an answer.
    :param late: is told of those whose answer may still come.
    """

    def __init__(self, book: TopicBook, pending: PendingRequests, late: LateAnswers) -> None:
        self._book = book
        self._pending = pending
        self._late = late

    def give_back(self, request: Request) -> None:
        """Take back what was not answered of a request, as if it had never been sent."""
        for topic in list(request.unanswered):
            self.take_back(request, topic)
        self._pending.remove(request)

    def take_back(self, request: Request, topic: str) -> None:
        """Take back a topic of a request that goes on."""
        if topic in request.unanswered:
            before = request.unanswered[topic]
            self._pending.answered(request, topic)
            self._book.became(topic, before)

    def split(self, request: Request) -> None:
        """Ask again for the topics of a request, in a few smaller ones."""
        topics = tuple(request.unanswered)
        self.give_back(request)
        book = self._book
        (book.to_subscribe if request.subscribing else book.to_unsubscribe).split(topics)

    def lose(self, request: Request) -> None:
        """Ask again though the request may have been taken, and count it as no try.

        A late answer still counts, by its id or its topics; so does data.
        """
        for topic in self._too_late(request):
            self._book.became(topic, TopicState.UNKNOWN)

    def expired(self, request: Request, timeout: float) -> list[SubscriptionError]:
        """Ask again for what was not answered in time, in smaller requests.

        :returns: topics that are given up, as errors.
        """
        topics = self._too_late(request)
        errors = []
        for topic in topics:
            if not request.subscribing:
                self._book.not_unsubscribed(topic)
            elif len(topics) > 1:
                self._book.lose_track(topic)
            else:
                errors += self._book.not_subscribed(topic, timeout)
        if request.subscribing:
            self._book.to_subscribe.split(topics)  # in the end alone: who stays silent?
        return errors

    def _too_late(self, request: Request) -> tuple[str, ...]:
        topics = tuple(request.unanswered)
        self._pending.remove(request)
        self._late.add(request)
        return topics
