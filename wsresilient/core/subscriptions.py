"""What is wanted, what the server has confirmed, and the difference: the next request.

The registry is the truth about subscriptions; a connection only carries them out. For each
topic it knows what the server has (nothing, asked for, there, being ended), and a topic moves
on only when the server has answered, so that nothing is asked for twice and a quick change of
mind meets no half-done request. It knows no exchange, no socket, no clock; the caller holds the
lock, sends what :meth:`SubscriptionRegistry.next_request` gives and tells how that went.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

from ..errors import SubscriptionError
from .asking_again import AskingAgain
from .incoming import Acknowledged, Refused
from .late_answers import LateAnswers
from .request_pause import LONGEST, RequestPause
from .topic_book import TopicBook
from .topic_requests import PendingRequests, Request, channel_of
from .topic_rules import SubscriptionRules, TopicState

__all__ = ["SubscriptionRegistry"]


class SubscriptionRegistry:
    """The topics of one connection, over all its generations. The caller holds the lock.

    :param rules: the venue.
    :param ack_timeout: seconds in which a request has to be answered.
    :param ack_retries: how often an unanswered topic is asked for again.
    :param first_data_timeout: seconds in which a confirmed topic should bring data; None: any.
    """

    def __init__(
        self,
        rules: SubscriptionRules,
        *,
        ack_timeout: float = 10.0,
        ack_retries: int = 2,
        first_data_timeout: float | None = 60.0,
    ) -> None:
        self._rules = rules
        self._settings = ack_timeout, ack_retries, first_data_timeout
        self._ack_timeout = ack_timeout
        self._book = TopicBook(rules, retries=ack_retries, first_data_timeout=first_data_timeout)
        # Not from 1, which users take for their own requests.
        self._ids = itertools.count(random.randrange(10**6, 10**9))
        # Of the running connection only:
        self._pending = PendingRequests()
        self._late = LateAnswers(self._book, self._pending)
        self._again = AskingAgain(self._book, self._pending, self._late)
        self._pause = RequestPause(ack_retries)
        # None; or topics are asked for one by one until all is answered; these were refused once.
        self._doubted: set[str] | None = None

    def __repr__(self) -> str:
        return (
            f"<SubscriptionRegistry wanted={self.wanted_count} confirmed={len(self.confirmed)} "
            f"pending={len(self._pending)} failed={len(self.failed)}>"
        )

    # What it knows.

    @property
    def wanted(self) -> frozenset[str]:
        """The topics that there should be."""
        return frozenset(self._book.wanted)

    @property
    def wanted_in_order(self) -> tuple[str, ...]:
        """The same in the order in which they were asked for."""
        return tuple(self._book.wanted)

    @property
    def wanted_count(self) -> int:
        """How many they are."""
        return len(self._book.wanted)

    @property
    def failed(self) -> dict[str, SubscriptionError]:
        """Topics that were refused, or never answered; wanting them again clears them."""
        return self._book.failed

    @property
    def confirmed(self) -> frozenset[str]:
        """The topics that the server has confirmed on the running connection."""
        present = TopicState.PRESENT
        return frozenset(topic for topic, state in self._book.states.items() if state is present)

    def is_gone(self, topics: Iterable[str]) -> bool:
        """Tell whether the server has none of these topics any more."""
        return not any(topic in self._book.states for topic in topics)

    @property
    def is_awaiting_data(self) -> bool:
        """Whether data has to be looked at: to see a topic's first, or to confirm one."""
        return bool(self._book.awaited) or (self._rules.data_confirms and not self.is_settled)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be sent and nothing is unanswered."""
        return not (self._book.to_subscribe or self._book.to_unsubscribe or self._pending)

    def next_id(self) -> int:
        """Give an id that no other request of this connection has."""
        return next(self._ids)

    def beside(self) -> SubscriptionRegistry:
        """Return one for a second connection beside this one, which wants the same topics.

        No request of the one has the id of a request of the other.
        """
        ack_timeout, ack_retries, first_data_timeout = self._settings
        other = SubscriptionRegistry(
            self._rules,
            ack_timeout=ack_timeout,
            ack_retries=ack_retries,
            first_data_timeout=first_data_timeout,
        )
        other.want(self._book.wanted)
        other.failed.update(self.failed)
        other._ids = self._ids
        return other

    # What the user wants.

    def want(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Want these topics too.

        :returns: those that were not wanted before.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        return self._book.want(topics)

    def check_room(self, topics: Iterable[str]) -> None:
        """Tell whether :meth:`want` would do it.

        :raises SubscriptionLimitError: not all of them fit.
        """
        self._book.check_room(topics)

    def unwant(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Want these topics no more.

        :returns: those that were wanted before.
        """
        return self._book.unwant(topics)

    def replace(self, topics: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Want just these topics.

        :returns: those added and those removed.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        return self._book.replace(topics)

    # The connection.

    def opened(self, present: Iterable[str] = (), *, now: float = 0.0) -> None:
        """A new connection is ready for requests; all wanted topics are to be asked for.

        :param present: topics that its URL has subscribed by itself; nobody has confirmed them,
            so that their data is waited for from now on.
        """
        self.lost()
        self._book.opened(present, now)

    def lost(self) -> None:
        """The connection has ended; what it still answers means nothing."""
        self._book.lost()
        self._pending.clear()
        self._late.clear()
        self._pause.clear()
        self._doubted = None

    # Requests.

    def has_request(self, now: float) -> bool:
        """Whether :meth:`next_request` has one."""
        if self._pause.is_on(now) or (self._doubted is not None and self._pending):
            return False
        return bool(self._book.to_subscribe or self._book.to_unsubscribe)

    def next_request(self, now: float) -> Request | None:
        """Give the next request, or None.

        The caller writes it (see :func:`~wsresilient.core.topic_requests.write_request`), which
        calls the venue and so needs no lock. :meth:`shorten` may follow, and one of :meth:`sent`,
        :meth:`unsent` and :meth:`unwritable` must.
        """
        if not self.has_request(now):
            return None
        book = self._book
        subscribing = not book.to_unsubscribe
        queue = book.to_subscribe if subscribing else book.to_unsubscribe
        topics = queue.next(self._rules.limits.topics_per_request)
        tag = self._rules.tag(topics[0], subscribing=subscribing)
        before = {topic: book.states.get(topic) for topic in topics}
        request = Request(self.next_id(), subscribing, topics, tag, before)
        self._pending.add(request)
        asked = TopicState.SUBSCRIBING if subscribing else TopicState.UNSUBSCRIBING
        for topic in topics:
            book.became(topic, asked)
        return request

    def shorten(self, request: Request, count: int) -> None:
        """Leave only the first topics in a request that is too long; the others go later."""
        for topic in request.topics[count:]:
            self._again.take_back(request, topic)
        request.topics = request.topics[:count]

    def sent(self, request: Request, now: float) -> None:
        """A request has gone out."""
        if request not in self._pending:
            return
        self._pending.sent(request, now + self._ack_timeout)
        if not self._rules.acknowledges:
            self._settle(request, list(request.unanswered), now)

    def unsent(self, request: Request) -> None:
        """A request could not go out; its topics are asked for again."""
        self._again.give_back(request)

    def unwritable(self, request: Request, text: str) -> list[SubscriptionError]:
        """The venue cannot write a request; one of several topics is looked for.

        :param text: why.
        :returns: the topic that is given up, as an error.
        """
        topics = list(request.unanswered)
        if len(topics) > 1:
            self._again.split(request)
            return []
        self._pending.remove(request)
        errors = []
        for topic in topics:
            if request.subscribing:
                errors += self._book.refused(topic, text, None)
                continue
            self._book.became(topic, None)  # what still comes is not routed
            errors.append(
                SubscriptionError(
                    f"the topic {topic!r:.80} could not be ended: {text}", topic=topic
                )
            )
        return errors

    # Answers.

    def acknowledged(self, answer: Acknowledged, now: float) -> bool:
        """Take an acknowledgement.

        :returns: whether it answered a request.
        """
        request = self._pending.answered_by(answer.request_id, answer.tag, answer.topics)
        if request is None:
            return self._late.acknowledged(answer, now)
        self._pause.over()
        named = request.among(answer.topics)
        if answer.topics and not named:
            return not set(answer.topics).isdisjoint(request.topics)
        self._settle(request, named or list(request.unanswered), now)
        return True

    def _settle(self, request: Request, topics: Iterable[str], now: float) -> None:
        """Note that the server has done what a request asked for these topics."""
        for topic in topics:
            self._pending.answered(request, topic)
            self._late.void(topic)
            self._book.done(topic, now, subscribing=request.subscribing)
        if not request.unanswered:
            self._pending.remove(request)

    def refused(self, answer: Refused, now: float) -> list[SubscriptionError] | None:
        """Take a refusal.

        :returns: the topics that are refused for good, as errors, and once an error without a
            topic when the server says again and again that it has no time; None: it was for no
            request.
        """
        request = self._pending.refused_by(answer)
        if request is None and answer.names_nothing:
            return self._refused_somewhere(answer, now)
        if request is None and not self._late.knows(answer):
            return self._refused_later(answer)
        if answer.temporary:
            if request is not None:
                self._again.give_back(request)
            return self._no_time(answer, now)
        self._pause.over()
        if request is None:
            return self._late.refused(answer, now)
        return self._refused_now(request, answer, now)

    def _refused_now(
        self, request: Request, answer: Refused, now: float
    ) -> list[SubscriptionError]:
        if not request.subscribing:
            self._settle(request, list(request.unanswered), now)  # it was not there, then
            return []
        self._settle(request, request.among(answer.accepted), now)
        named = request.named(answer)
        if not named and not answer.topics and answer.present:
            named = list(request.unanswered)
        elif not named and len(request.unanswered) > 1:
            self._again.split(request)  # one of them is at fault, and nobody says which
            return []
        named = named or list(request.unanswered)
        if answer.present:
            self._settle(request, named, now)
            errors = []
        else:
            errors = self._fail(request, named, answer)
        if answer.whole_request or not request.unanswered:
            self._again.give_back(request)
        return errors

    def _refused_somewhere(self, answer: Refused, now: float) -> list[SubscriptionError] | None:
        """Take a refusal that names nothing: which request it is for is not known."""
        if self.is_settled or not (answer.temporary or answer.of_topic):
            return None
        if self._doubted is not None and not answer.temporary:
            return self._refused_alone(answer, self._doubted, now)
        for request in self._pending:
            self._again.lose(request)
        if answer.temporary:
            return self._no_time(answer, now)
        # No order of answers is promised. The pause lets those that are under way pass.
        self._doubted = set()
        self._pause.begin(now)
        return []

    def _refused_alone(
        self, answer: Refused, doubted: set[str], now: float
    ) -> list[SubscriptionError]:
        self._pause.over()
        only = next(iter(self._pending), None)
        if only is None or doubted.issuperset(only.unanswered):
            return [] if only is None else self._refused_now(only, answer, now)
        doubted.update(only.unanswered)  # it may be a late answer for another one: once more
        self._again.lose(only)
        self._pause.begin(now)
        return []

    def _fail(
        self, request: Request, topics: Iterable[str], answer: Refused
    ) -> list[SubscriptionError]:
        errors = []
        for topic in topics:
            self._pending.answered(request, topic)
            self._late.void(topic)
            errors += self._book.refused(topic, answer.text, answer.code)
        return errors

    def _no_time(self, answer: Refused, now: float) -> list[SubscriptionError]:
        """Pause after a temporary refusal, and tell of many of them, once."""
        if not self._pause.begin(now):
            return []
        shown = f" (code {answer.code})" if answer.code is not None else ""
        return [
            SubscriptionError(
                f"requests for topics are refused again and again{shown}: "
                f"{answer.text or 'the server says no more'}; they go on, with pauses of up to "
                f"{LONGEST:g} s",
                code=answer.code,
            )
        ]

    def _refused_later(self, answer: Refused) -> list[SubscriptionError] | None:
        """Take back what had been acknowledged already (OKX: too many of a channel)."""
        if answer.temporary:
            return None
        states = self._book.states
        hit = [one for one in dict.fromkeys(answer.topics) if states.get(one) is TopicState.PRESENT]
        if answer.present:
            return [] if hit else None  # it says what is known
        if answer.channel is not None:
            # The newest is the one that is refused.
            present = (one for one, state in states.items() if state is TopicState.PRESENT)
            hit = [one for one in present if channel_of(one) == answer.channel][-1:]
        errors = [self._book.refused(topic, answer.text, answer.code) for topic in hit]
        return [error for one in errors for error in one] if hit else None

    # Time.

    def expire(self, now: float) -> list[SubscriptionError]:
        """Look for requests that were not answered in time.

        :returns: topics that are given up, as errors.
        """
        self._pause.pass_time(now)
        if self.is_settled:
            self._doubted = None
        late, timeout = self._pending.late(now), self._ack_timeout
        return [error for request in late for error in self._again.expired(request, timeout)]

    def data_came(self, topic: str, now: float) -> None:
        """Note data of a topic; needed only while :attr:`is_awaiting_data`."""
        book = self._book
        asked = (TopicState.SUBSCRIBING, TopicState.UNKNOWN)
        if self._rules.data_confirms and topic in book.wanted and book.states.get(topic) in asked:
            request = self._pending.holding(topic)
            if request is not None:
                self._settle(request, [topic], now)
            else:
                book.done(topic, now, subscribing=True)
        book.awaited.forget(topic)

    def silent(self, now: float) -> list[str]:
        """Give the confirmed topics that have brought no data in time, each once."""
        return self._book.awaited.silent(now)

    def next_deadline(self) -> float | None:
        """Monotonic time at which something has to be looked at, or None."""
        pause = None if self.is_settled else self._pause.until
        times = (self._pending.deadline(), self._book.awaited.deadline(), pause)
        return min((time for time in times if time is not None), default=None)
