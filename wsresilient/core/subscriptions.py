"""What is wanted, what the server has confirmed, and the difference: the next request.

The registry is the truth about subscriptions; a connection only carries them out. For each
topic it knows what the server has (nothing, asked for, there, being ended), and a topic moves
on only when the server has answered, so that nothing is asked for twice and a quick change of
mind meets no half-done request. It knows no exchange, no socket, no clock; the caller holds the
lock, sends what :meth:`SubscriptionRegistry.next_request` gives and tells how that went.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Hashable, Iterable, Sequence

from ..errors import SubscriptionError, SubscriptionLimitError
from .first_data import FirstData
from .incoming import Acknowledged, Refused
from .topic_requests import PendingRequests, Request, channel_of
from .topic_rules import SubscriptionRules, TopicState

__all__ = ["SubscriptionRegistry"]

#: A request that failed as a whole is asked again in so many pieces.
PIECES = 4
#: Seconds of silence after "too many requests".
PAUSE = 2.0


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
        self._ack_timeout = ack_timeout
        self._ack_retries = ack_retries
        self._wanted: dict[str, None] = {}
        #: Topics that were refused, or never answered; a new subscribe() clears them.
        self.failed: dict[str, SubscriptionError] = {}
        # Not from 1, which users take for their own requests.
        self._last_id = random.randrange(10**6, 10**9)
        self._is_open = False
        # Of the running connection only:
        self._states: dict[str, TopicState] = {}
        self._to_subscribe: dict[str, None] = {}
        self._to_unsubscribe: dict[str, None] = {}
        self._pieces: deque[tuple[str, ...]] = deque()  # to subscribe in just these requests
        self._pending = PendingRequests()
        self._silent_tries: dict[str, int] = {}
        self._awaited = FirstData(first_data_timeout)
        self._hold_until = 0.0

    def __repr__(self) -> str:
        return (
            f"<SubscriptionRegistry wanted={len(self._wanted)} confirmed={len(self.confirmed)} "
            f"pending={len(self._pending)} failed={len(self.failed)}>"
        )

    # What it knows.

    @property
    def wanted(self) -> frozenset[str]:
        """The topics that there should be."""
        return frozenset(self._wanted)

    @property
    def wanted_in_order(self) -> tuple[str, ...]:
        """The same in the order in which they were asked for."""
        return tuple(self._wanted)

    @property
    def confirmed(self) -> frozenset[str]:
        """The topics that the server has confirmed on the running connection."""
        present = TopicState.PRESENT
        return frozenset(topic for topic, state in self._states.items() if state is present)

    def is_gone(self, topics: Iterable[str]) -> bool:
        """Tell whether the server has none of these topics any more."""
        return not any(topic in self._states for topic in topics)

    @property
    def is_awaiting_data(self) -> bool:
        """Whether data has to be looked at: to see a topic's first, or to confirm one."""
        return bool(self._awaited) or (self._rules.data_confirms and bool(self._pending))

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be sent and nothing is unanswered."""
        return not (self._to_subscribe or self._to_unsubscribe or self._pending)

    def knows(self, request_id: Hashable) -> bool:
        """Tell whether a request with this id waits for its answer."""
        return request_id in self._pending

    def next_id(self) -> int:
        """Give an id that no other request of this connection has."""
        self._last_id += 1
        return self._last_id

    # What the user wants.

    def want(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Want these topics too.

        :returns: those that were not wanted before.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        added = tuple(dict.fromkeys(topic for topic in topics if topic not in self._wanted))
        self._check_room(added, self._wanted)
        for topic in added:
            self._wanted[topic] = None
            self.failed.pop(topic, None)
            self._silent_tries.pop(topic, None)
            self._reconcile(topic)
        return added

    def unwant(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Want these topics no more.

        :returns: those that were wanted before.
        """
        removed = tuple(dict.fromkeys(topic for topic in topics if topic in self._wanted))
        for topic in removed:
            self._forget_wanted(topic)
            self._reconcile(topic)
        return removed

    def replace(self, topics: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Want just these topics.

        :returns: those added and those removed.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        target = dict.fromkeys(topics)
        self._check_room(tuple(topic for topic in target if topic not in self._wanted), target)
        removed = self.unwant([topic for topic in self._wanted if topic not in target])
        return self.want(target), removed

    def _check_room(self, added: Sequence[str], others: Iterable[str]) -> None:
        new = set(added)
        kept = [topic for topic in others if topic not in new]
        limits = self._rules.limits
        fit = limits.room(kept, added)
        if fit < len(added):
            raise SubscriptionLimitError(
                f"{len(added)} more topics were asked for and {fit} fit: one connection may have "
                f"{limits.topics_text}, and {len(kept)} topics are there; nothing was subscribed. "
                "A ConnectionPool spreads topics over connections",
                topic=added[fit],
            )

    def _forget_wanted(self, topic: str) -> None:
        self._wanted.pop(topic, None)
        self._awaited.forget(topic)
        self._silent_tries.pop(topic, None)

    def _reconcile(self, topic: str) -> None:
        """Queue what brings the server nearer to what is wanted; nothing while it is asked."""
        self._to_subscribe.pop(topic, None)
        self._to_unsubscribe.pop(topic, None)
        if not self._is_open:
            return
        state = self._states.get(topic)
        if topic in self._wanted:
            if state is None and self._rules.is_implicit(topic):
                self._states[topic] = TopicState.PRESENT
            elif state is None:
                self._to_subscribe[topic] = None
        elif state is TopicState.PRESENT:
            if self._rules.is_implicit(topic):
                del self._states[topic]
            else:
                self._to_unsubscribe[topic] = None

    # The connection.

    def opened(self, present: Iterable[str] = ()) -> None:
        """A new connection is ready for requests; all wanted topics are to be asked for.

        :param present: topics that its URL has subscribed by itself.
        """
        self.lost()
        self._is_open = True
        for topic in present:
            self._states[topic] = TopicState.PRESENT
            self._reconcile(topic)
        for topic in self._wanted:
            self._reconcile(topic)

    def lost(self) -> None:
        """The connection has ended; what it still answers means nothing."""
        self._is_open = False
        for volatile in (
            self._states,
            self._to_subscribe,
            self._to_unsubscribe,
            self._pieces,
            self._pending,
            self._silent_tries,
            self._awaited,
        ):
            volatile.clear()
        self._hold_until = 0.0

    def has_request(self, now: float) -> bool:
        """Whether :meth:`next_request` has one."""
        return (
            self._is_open
            and now >= self._hold_until
            and bool(self._to_subscribe or self._to_unsubscribe)
        )

    def next_request(self, now: float) -> Request | None:
        """Give the next request to send, or None; :meth:`sent` or :meth:`unsent` must follow."""
        if not self.has_request(now):
            return None
        if self._to_unsubscribe:
            return self._make(tuple(self._to_unsubscribe), subscribing=False)
        while self._pieces:
            piece = tuple(topic for topic in self._pieces.popleft() if topic in self._to_subscribe)
            if piece:
                return self._make(piece, subscribing=True)
        if self._to_subscribe:
            return self._make(tuple(self._to_subscribe), subscribing=True)
        return None

    def _make(self, candidates: tuple[str, ...], *, subscribing: bool) -> Request:
        limits, rules = self._rules.limits, self._rules
        topics = candidates[: limits.topics_per_request]
        build = rules.subscribe if subscribing else rules.unsubscribe
        request_id = self.next_id()
        while limits.request_size is not None and len(topics) > 1:
            size = len(build(topics, request_id).encode())
            if size <= limits.request_size:
                break
            # Topics differ in length: a proportional cut may still be too long, so it loops.
            topics = topics[
                : max(1, min(len(topics) - 1, len(topics) * limits.request_size // size))
            ]
        queue = self._to_subscribe if subscribing else self._to_unsubscribe
        for topic in topics:
            del queue[topic]
            self._states[topic] = (
                TopicState.SUBSCRIBING if subscribing else TopicState.UNSUBSCRIBING
            )
        tag = rules.tag(topics[0], subscribing=subscribing)
        request = Request(request_id, subscribing, topics, tag, dict.fromkeys(topics))
        self._pending.add(request)
        return request

    def sent(self, request: Request, now: float) -> None:
        """A request has gone out."""
        request.deadline = now + self._ack_timeout
        if not self._rules.acknowledges:
            self._settle(request, list(request.unanswered), now)

    def unsent(self, request: Request) -> None:
        """A request could not go out; its topics are asked for again."""
        self._give_back(request)

    def _give_back(self, request: Request) -> None:
        """Take back what was not answered of a request, as if it had never been sent."""
        topics = tuple(request.unanswered)
        self._pending.remove(request)
        for topic in topics:
            if request.subscribing:
                self._states.pop(topic, None)
            else:
                self._states[topic] = TopicState.PRESENT
            self._reconcile(topic)

    # Answers.

    def acknowledged(self, answer: Acknowledged, now: float) -> bool:
        """Take an acknowledgement.

        :returns: whether it answered a request.
        """
        request = self._pending.answered_by(answer.request_id, answer.tag, answer.topics)
        if request is None:
            return False
        named = [topic for topic in answer.topics if topic in request.unanswered]
        if answer.topics and not named:
            return False
        self._settle(request, named or list(request.unanswered), now)
        return True

    def _settle(self, request: Request, topics: Iterable[str], now: float) -> None:
        """Note that the server has done what a request asked for these topics."""
        for topic in topics:
            del request.unanswered[topic]
            if request.subscribing:
                self._present(topic, now)
            else:
                self._states.pop(topic, None)
                self._lose_along_with(topic)
            self._reconcile(topic)
        if not request.unanswered:
            self._pending.remove(request)

    def _lose_along_with(self, topic: str) -> None:
        """Ask again for what an unsubscribe has ended beside what was meant."""
        present = TopicState.PRESENT
        lost = [
            other
            for other, state in self._states.items()
            if state is present and self._rules.ends_with(topic, other)
        ]
        for other in lost:
            del self._states[other]
            self._reconcile(other)

    def _present(self, topic: str, now: float) -> None:
        self._states[topic] = TopicState.PRESENT
        self._silent_tries.pop(topic, None)
        if topic in self._wanted:
            self._awaited.wait_for(topic, now)

    def refused(self, answer: Refused, now: float) -> list[SubscriptionError] | None:
        """Take a refusal.

        :returns: the topics that are refused for good, as errors; None: it was for no request.
        """
        request = self._pending.refused_by(answer)
        if request is None:
            return self._refused_later(answer)
        if answer.temporary:
            self._hold_until = now + PAUSE
            self._give_back(request)
            return []
        if not request.subscribing:
            self._settle(request, list(request.unanswered), now)  # it was not there, then
            return []
        self._settle(request, [t for t in answer.accepted if t in request.unanswered], now)
        named = request.named(answer)
        if answer.present:
            self._settle(request, named, now)
            named = []
        elif not named and len(request.unanswered) > 1:
            self._split(request)  # one of them is at fault, and nobody says which
            return []
        elif not named:
            named = list(request.unanswered)
        errors = [self._fail(topic, answer.text, answer.code) for topic in named]
        for topic in named:
            request.unanswered.pop(topic, None)
        if answer.whole_request or not request.unanswered:
            self._give_back(request)
        return errors

    def _refused_later(self, answer: Refused) -> list[SubscriptionError] | None:
        """Take back what had been acknowledged already (OKX: too many of a channel)."""
        present = [topic for topic, state in self._states.items() if state is TopicState.PRESENT]
        if answer.channel is not None:
            # The newest is the one that is refused.
            hit = [topic for topic in present if channel_of(topic) == answer.channel][-1:]
        else:
            hit = [topic for topic in present if topic in answer.topics]
        return [self._fail(topic, answer.text, answer.code) for topic in hit] or None

    def _fail(self, topic: str, text: str, code: int | str | None) -> SubscriptionError:
        self._forget_wanted(topic)
        self._states.pop(topic, None)
        self._to_subscribe.pop(topic, None)
        shown = f" (code {code})" if code is not None else ""
        error = SubscriptionError(
            f"the topic {topic!r:.80} was refused{shown}: {text or 'the server says no more'}",
            topic=topic,
            code=code,
        )
        self.failed[topic] = error
        return error

    def _split(self, request: Request) -> None:
        """Ask again for the topics of a request, in a few smaller ones."""
        topics = tuple(request.unanswered)
        self._give_back(request)
        if request.subscribing:
            size = max(1, -(-len(topics) // PIECES))
            self._pieces.extend(topics[at : at + size] for at in range(0, len(topics), size))

    # Time.

    def expire(self, now: float) -> list[SubscriptionError]:
        """Look for requests that were not answered in time.

        :returns: topics that are given up, as errors.
        """
        if now >= self._hold_until:
            self._hold_until = 0.0  # or it would be a deadline that has always passed
        return [error for request in self._pending.late(now) for error in self._expired(request)]

    def _expired(self, request: Request) -> list[SubscriptionError]:
        if len(request.unanswered) > 1:
            self._split(request)
            return []
        errors = []
        for topic in list(request.unanswered):
            tries = self._silent_tries[topic] = self._silent_tries.get(topic, 0) + 1
            if tries <= self._ack_retries:
                self._pieces.append((topic,))  # alone, so that it is known who stays silent
                continue
            if request.subscribing:
                text = (
                    f"no acknowledgement within {self._ack_timeout:g} s, "
                    f"asked {tries} {'time' if tries == 1 else 'times'}"
                )
                errors.append(self._unanswered(topic, text))
            else:
                self._silent_tries.pop(topic, None)
                self._states.pop(topic, None)  # nobody knows; what still comes is not routed
            del request.unanswered[topic]
        self._give_back(request)
        return errors

    def _unanswered(self, topic: str, text: str) -> SubscriptionError:
        error = SubscriptionError(f"the topic {topic!r:.80} was not confirmed: {text}", topic=topic)
        self._forget_wanted(topic)
        self._states.pop(topic, None)
        self.failed[topic] = error
        return error

    def data_came(self, topic: str, now: float) -> None:
        """Note data of a topic; needed only while :attr:`is_awaiting_data`."""
        self._awaited.forget(topic)
        if self._rules.data_confirms and self._states.get(topic) is TopicState.SUBSCRIBING:
            request = self._pending.holding(topic)
            if request is not None:
                self._settle(request, [topic], now)
                self._awaited.forget(topic)

    def silent(self, now: float) -> list[str]:
        """Give the confirmed topics that have brought no data in time, each once."""
        return self._awaited.silent(now)

    def next_deadline(self) -> float | None:
        """Monotonic time at which something has to be looked at, or None."""
        hold = self._hold_until if self._hold_until and not self.is_settled else None
        times = (self._pending.deadline(), self._awaited.deadline(), hold)
        return min((time for time in times if time is not None), default=None)
