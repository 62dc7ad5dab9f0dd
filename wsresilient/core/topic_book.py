"""Which topics are wanted, what the server has of each, and what is therefore to be asked.

It knows no requests and no answers; ``subscriptions.py`` makes those and tells what came of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..errors import SubscriptionError, SubscriptionLimitError
from .first_data import FirstData
from .topic_queue import TopicQueue
from .topic_rules import SubscriptionRules, TopicState

__all__ = ["TopicBook"]

PRESENT, UNKNOWN = TopicState.PRESENT, TopicState.UNKNOWN


class TopicBook:
    """The topics of one connection, over all its generations.

    :param rules: the venue.
    :param retries: how often an unanswered topic is asked for again.
    :param first_data_timeout: seconds in which a confirmed topic should bring data; None: any.
    :ivar wanted: what there should be, in the order in which it was asked for.
    :ivar failed: topics that were refused, or never answered; wanting them again clears them.
    :ivar states: what the server of the running connection has.
    """

    def __init__(
        self, rules: SubscriptionRules, *, retries: int, first_data_timeout: float | None
    ) -> None:
        self._rules = rules
        self._retries = retries
        self.wanted: dict[str, None] = {}
        self.failed: dict[str, SubscriptionError] = {}
        # Of the running connection only:
        self.is_open = False
        self.states: dict[str, TopicState] = {}
        self.to_subscribe = TopicQueue()
        self.to_unsubscribe = TopicQueue()
        self.awaited = FirstData(first_data_timeout)
        self._silences: dict[str, int] = {}  # requests in a row that nobody answered

    # What the user wants.

    def want(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Want these topics too; see :meth:`SubscriptionRegistry.want`."""
        added = self.check_room(topics)
        for topic in added:
            self.wanted[topic] = None
            self.failed.pop(topic, None)
            self._silences.pop(topic, None)
            self._reconcile(topic)
        return added

    def check_room(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Give those that are not wanted; see :meth:`SubscriptionRegistry.check_room`."""
        added = tuple(dict.fromkeys(topic for topic in topics if topic not in self.wanted))
        self._check_room(added, self.wanted)
        return added

    def unwant(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Want these topics no more; see :meth:`SubscriptionRegistry.unwant`."""
        removed = tuple(dict.fromkeys(topic for topic in topics if topic in self.wanted))
        for topic in removed:
            self._forget_wanted(topic)
            if self.states.get(topic) is UNKNOWN:
                self._end_but_once(topic)
            self._reconcile(topic)
        return removed

    def replace(self, topics: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Want just these topics; see :meth:`SubscriptionRegistry.replace`."""
        target = dict.fromkeys(topics)
        kept = [topic for topic in target if topic in self.wanted]
        self._check_room([topic for topic in target if topic not in self.wanted], kept)
        removed = self.unwant([topic for topic in self.wanted if topic not in target])
        return self.want(target), removed

    def _check_room(self, added: Sequence[str], kept: Collection[str]) -> None:
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
        self.wanted.pop(topic, None)
        self.awaited.forget(topic)
        self._silences.pop(topic, None)

    def _end_but_once(self, topic: str) -> None:
        """Give a topic that may not even be there a single unsubscribe."""
        self._silences[topic] = self._retries

    def _reconcile(self, topic: str) -> None:
        """Queue what brings the server nearer to what is wanted; nothing while it is asked."""
        self.to_subscribe.discard(topic)
        self.to_unsubscribe.discard(topic)
        if not self.is_open:
            return
        state = self.states.get(topic)
        if topic in self.wanted:
            if state is None and self._rules.is_implicit(topic):
                self.states[topic] = PRESENT
            elif state is None or state is UNKNOWN:
                self.to_subscribe.add(topic)
        elif state is PRESENT or state is UNKNOWN:
            if self._rules.is_implicit(topic):
                del self.states[topic]
            else:
                self.to_unsubscribe.add(topic)

    # The connection.

    def opened(self, present: Iterable[str], now: float) -> None:
        """A new connection is ready; all wanted topics are to be asked for."""
        self.lost()
        self.is_open = True
        for topic in present:
            self.became(topic, PRESENT)
            if topic in self.wanted:
                self._await_data(topic, now)
        for topic in self.wanted:
            self._reconcile(topic)

    def lost(self) -> None:
        """The connection has ended."""
        self.is_open = False
        for volatile in (
            self.states,
            self.to_subscribe,
            self.to_unsubscribe,
            self.awaited,
            self._silences,
        ):
            volatile.clear()

    # What the server has.

    def became(self, topic: str, state: TopicState | None) -> None:
        """Note a topic's state, without a judgement on it; None: it is not there."""
        if state is None:
            self.states.pop(topic, None)
        else:
            self.states[topic] = state
        self._reconcile(topic)

    def done(self, topic: str, now: float, *, subscribing: bool) -> None:
        """Note that the server has begun, or ended, a topic as it was asked to."""
        self._silences.pop(topic, None)
        if not subscribing:
            self.became(topic, None)
            self._lose_along_with(topic)
            return
        if self.states.get(topic) is not PRESENT and topic in self.wanted:
            self._await_data(topic, now)
        self.became(topic, PRESENT)

    def _await_data(self, topic: str, now: float) -> None:
        """Wait for a topic's first data; an account's may never come, and nothing is wrong."""
        if not self._rules.is_private(topic):
            self.awaited.wait_for(topic, now)

    def _lose_along_with(self, topic: str) -> None:
        """Ask again for what an unsubscribe has ended beside what was meant."""
        ends_with = self._rules.ends_with
        lost = [
            other
            for other, state in self.states.items()
            if state is PRESENT and ends_with(topic, other)
        ]
        for other in lost:
            self.became(other, None)

    def refused(self, topic: str, text: str, code: int | str | None) -> list[SubscriptionError]:
        """Note that the server will not have a topic.

        :returns: the error, or none where nobody wants the topic any more.
        """
        is_wanted = topic in self.wanted
        self._forget_wanted(topic)
        self.became(topic, None)
        if not is_wanted:
            return []
        shown = f" (code {code})" if code is not None else ""
        error = SubscriptionError(
            f"the topic {topic!r:.80} was refused{shown}: {text or 'the server says no more'}",
            topic=topic,
            code=code,
        )
        self.failed[topic] = error
        return [error]

    # What nobody has answered.

    def lose_track(self, topic: str) -> None:
        """Note that a topic's request, one of several topics, was not answered."""
        if topic not in self.wanted:
            self._end_but_once(topic)
        self.became(topic, UNKNOWN)

    def not_subscribed(self, topic: str, timeout: float) -> list[SubscriptionError]:
        """Note that a request for just this topic was not answered.

        :returns: the error, when it was asked for often enough; what may be there is ended.
        """
        tries = self._silences[topic] = self._silences.get(topic, 0) + 1
        if topic not in self.wanted or tries <= self._retries:
            self.lose_track(topic)
            return []
        times = "time" if tries == 1 else "times"
        error = SubscriptionError(
            f"the topic {topic!r:.80} was not confirmed: no acknowledgement within {timeout:g} s, "
            f"asked {tries} {times}",
            topic=topic,
        )
        self._forget_wanted(topic)
        self.failed[topic] = error
        self.lose_track(topic)
        return [error]

    def not_unsubscribed(self, topic: str) -> None:
        """Note that a request to end a topic was not answered."""
        tries = self._silences[topic] = self._silences.get(topic, 0) + 1
        if topic in self.wanted:
            self._silences.pop(topic)  # of no meaning for the request that follows
        elif tries > self._retries:
            self._silences.pop(topic)
            self.became(topic, None)  # nobody knows; what still comes is not routed
            return
        self.became(topic, UNKNOWN)
