"""Whatever users, servers and the net do: in the end the server has what is wanted."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsresilient.core.incoming import Acknowledged, Refused
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.core.topic_requests import Request, write_request

from .registry_tools import Rules

TOPICS = "abcdefgh"
topics = st.sampled_from(TOPICS)
several = st.lists(topics, max_size=6)


class Users(RuleBasedStateMachine):
    """What users and the net do, to a registry whose requests somebody takes."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = Rules(topics_per_request=3)
        self.made = SubscriptionRegistry(self.venue, ack_timeout=10.0, ack_retries=1)
        self.now = 0.0
        self.is_open = False

    def forget(self) -> None:
        """Have nothing to do with the connection that there was."""

    def take(self, request: Request) -> None:
        """Take a request that has gone out."""

    @rule(topic=topics)
    def want(self, topic: str) -> None:
        self.made.want([topic])

    @rule(topic=topics)
    def unwant(self, topic: str) -> None:
        self.made.unwant([topic])

    @rule(wanted=several)
    def replace(self, wanted: list[str]) -> None:
        self.made.replace(wanted)

    @rule()
    def open(self) -> None:
        self.forget()
        self.made.opened()
        self.is_open = True

    @precondition(lambda self: self.is_open)
    @rule()
    def lose(self) -> None:
        self.forget()
        self.made.lost()
        self.is_open = False

    @rule()
    def send(self) -> None:
        request = self.made.next_request(self.now)
        if request is not None:
            self.made.sent(request, self.now)
            self.take(request)

    @invariant()
    def what_failed_is_not_wanted(self) -> None:
        assert not self.made.wanted & self.made.failed.keys()


class Prompt(Users):
    """A server that answers in time: nothing is ever subscribed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.present: set[str] = set()
        self.duplicates: list[str] = []
        self.in_flight: deque[Request] = deque()

    def forget(self) -> None:
        self.present.clear()
        self.in_flight.clear()

    def take(self, request: Request) -> None:
        if request.subscribing:
            self.duplicates += [topic for topic in request.topics if topic in self.present]
            self.present.update(request.topics)
        else:
            self.present.difference_update(request.topics)
        self.in_flight.append(request)

    @rule()
    def answer(self) -> None:
        if self.in_flight:
            self.made.acknowledged(Acknowledged(self.in_flight.popleft().request_id), self.now)

    @invariant()
    def nothing_is_subscribed_twice(self) -> None:
        assert self.duplicates == []

    def teardown(self) -> None:
        if not self.is_open:
            self.open()
        for _ in range(100):
            self.send()
            self.answer()
        assert self.present == self.made.wanted == self.made.confirmed
        assert self.made.is_settled


class Slow(Users):
    """A server that acts in its order and answers everything, but perhaps late, or with a no.

    It says "there already" to what it has, and "not there" to what it has not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.present: set[str] = set()
        self.inbox: deque[Request] = deque()
        self.outbox: deque[Acknowledged | Refused] = deque()

    def forget(self) -> None:
        for what in (self.present, self.inbox, self.outbox):
            what.clear()

    def take(self, request: Request) -> None:
        self.inbox.append(request)

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.made.expire(self.now)

    @rule(bad=st.sets(topics, max_size=2), how=st.sampled_from(["named", "nameless", "busy"]))
    def act(self, bad: set[str] = frozenset(), how: str = "named") -> None:  # type: ignore[assignment]
        if self.inbox:
            request = self.inbox.popleft()
            answer = self._begin if request.subscribing else self._end
            self.outbox.append(answer(request, bad, how))

    def _begin(self, request: Request, bad: set[str], how: str) -> Acknowledged | Refused:
        number, asked = request.request_id, set(request.topics)
        refused = tuple(sorted(bad & asked - self.present))
        if how == "busy" and bad:
            return Refused(number, whole_request=True, temporary=True)
        if refused:
            named = refused if how == "named" else ()
            return Refused(number, named, text="no", whole_request=True)
        known = tuple(sorted(asked & self.present))
        self.present |= asked
        if known:
            return Refused(number, known, present=True, accepted=tuple(asked - set(known)))
        return Acknowledged(number)

    def _end(self, request: Request, bad: set[str], how: str) -> Acknowledged | Refused:
        if how == "busy" and bad:
            return Refused(request.request_id, temporary=True)
        is_there = self.present.issuperset(request.topics)
        self.present.difference_update(request.topics)
        if is_there:
            return Acknowledged(request.request_id)
        return Refused(request.request_id, text="not there")

    @rule()
    def answer(self) -> None:
        if self.outbox:
            answer = self.outbox.popleft()
            if isinstance(answer, Acknowledged):
                assert self.made.acknowledged(answer, self.now)
            else:
                assert self.made.refused(answer, self.now) is not None

    def teardown(self) -> None:
        if not self.is_open:
            self.open()
        for _ in range(300):
            self.send()
            self.act()
            self.answer()
            if self.made.is_settled and not self.inbox and not self.outbox:
                break
            if not self.made.has_request(self.now):
                self.now += 1.0
        assert self.present == self.made.wanted == self.made.confirmed
        assert self.made.is_settled


class Lying(Users):
    """A server that says anything at all, about anything: it does no lasting harm."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = Rules(topics_per_request=3, data_confirms=True, tags=True, request_size=45)
        self.made = SubscriptionRegistry(self.venue, ack_timeout=10.0, ack_retries=1)
        self.requests: list[Request] = []

    def take(self, request: Request) -> None:
        self.requests.append(request)

    def _id(self, data: Any) -> int | None:
        known = [request.request_id for request in self.requests[-5:]]
        chosen: int | None = data.draw(st.sampled_from([None, 0, *known]))
        return chosen

    @rule(data=st.data(), named=several, tag=st.sampled_from([None, "sub.a", "unsub.a"]))
    def say_yes(self, data: Any, named: list[str], tag: str | None) -> None:
        self.made.acknowledged(Acknowledged(self._id(data), tuple(named), tag), self.now)

    @rule(data=st.data(), named=several, accepted=several, flags=st.tuples(*[st.booleans()] * 3))
    def say_no(
        self, data: Any, named: list[str], accepted: list[str], flags: tuple[bool, bool, bool]
    ) -> None:
        whole, temporary, present = flags
        answer = Refused(
            self._id(data),
            tuple(named),
            whole_request=whole,
            temporary=temporary,
            present=present,
            accepted=tuple(accepted),
            channel=data.draw(st.sampled_from([None, "a"])),
            symbol=data.draw(st.sampled_from([None, ""])),
        )
        errors = self.made.refused(answer, self.now) or []
        assert all(error.topic is None or error.topic in self.made.failed for error in errors)

    @rule(topic=topics)
    def send_data(self, topic: str) -> None:
        self.made.data_came(topic, self.now)

    @rule(seconds=st.sampled_from([1.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.made.expire(self.now)
        self.made.silent(self.now)

    @rule(goes_out=st.booleans())
    def send_what_fits(self, goes_out: bool) -> None:
        request = self.made.next_request(self.now)
        if request is None:
            return
        _, count = write_request(self.venue, request)
        self.made.shorten(request, count)
        if goes_out:
            self.made.sent(request, self.now)
            self.take(request)
        else:
            self.made.unsent(request)

    @rule()
    def fail_to_write(self) -> None:
        request = self.made.next_request(self.now)
        if request is not None:
            self.made.unwritable(request, "KeyError")

    @invariant()
    def what_is_asked_for_is_known(self) -> None:
        assert self.made.is_gone(self.made.confirmed) == (not self.made.confirmed)
        deadline = self.made.next_deadline()
        assert deadline is None or self.is_open

    def teardown(self) -> None:
        if not self.is_open:
            self.open()
        # From now on it is honest; what it is silent about is asked for again.
        for turn in itertools.count():
            assert turn < 300
            self.now += 11.0
            self.made.expire(self.now)
            while (request := self.made.next_request(self.now)) is not None:
                self.made.sent(request, self.now)
                self.made.acknowledged(Acknowledged(request.request_id), self.now)
            if self.made.is_settled:
                break
        assert self.made.confirmed == self.made.wanted
        assert self.made.is_gone(set(TOPICS) - self.made.wanted)


TestPrompt = Prompt.TestCase
TestSlow = Slow.TestCase
TestLying = Lying.TestCase
