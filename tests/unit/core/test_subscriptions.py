from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsresilient.core.incoming import Acknowledged, Refused
from wsresilient.core.limits import Limits
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.core.topic_requests import Request
from wsresilient.errors import SubscriptionLimitError


class Rules:
    """A venue as the registry sees it."""

    def __init__(
        self,
        *,
        acknowledges: bool = True,
        data_confirms: bool = False,
        tags: bool = False,
        **limits: Any,
    ) -> None:
        self.limits = Limits(**limits)
        self.acknowledges = acknowledges
        self.data_confirms = data_confirms
        self._tags = tags

    def is_implicit(self, topic: str) -> bool:
        return topic.startswith("own.")

    def ends_with(self, topic: str, other: str) -> bool:
        return False

    def tag(self, topic: str, *, subscribing: bool) -> str | None:
        return (
            f"{'sub' if subscribing else 'unsub'}.{topic.partition(':')[0]}" if self._tags else None
        )

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        return json.dumps(["sub", *topics, request_id])

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        return json.dumps(["unsub", *topics, request_id])


def registry(*topics: str, rules: Rules | None = None, **settings: Any) -> SubscriptionRegistry:
    made = SubscriptionRegistry(rules or Rules(), **settings)
    made.want(topics)
    return made


def opened(*topics: str, rules: Rules | None = None, **settings: Any) -> SubscriptionRegistry:
    made = registry(*topics, rules=rules, **settings)
    made.opened()
    return made


def send(made: SubscriptionRegistry, now: float = 0.0) -> Request:
    """Send the next request; there must be one."""
    request = made.next_request(now)
    assert request is not None
    made.sent(request, now)
    return request


def send_all(made: SubscriptionRegistry, now: float = 0.0) -> list[Request]:
    requests = []
    while (request := made.next_request(now)) is not None:
        made.sent(request, now)
        requests.append(request)
    return requests


def answer_all(made: SubscriptionRegistry, now: float = 0.0) -> None:
    for request in send_all(made, now):
        assert made.acknowledged(Acknowledged(request_id=request.request_id), now)


# What is wanted.


def test_an_outage_only_records() -> None:
    made = registry("a", "b")

    assert made.wanted == {"a", "b"}
    assert made.next_request(0.0) is None
    assert made.unwant(["b", "c"]) == ("b",)
    assert made.wanted_in_order == ("a",)


def test_wanting_twice_is_wanting_once() -> None:
    made = opened("a")

    assert made.want(["a", "b", "b"]) == ("b",)
    assert send(made).topics == ("a", "b")
    assert made.next_request(0.0) is None


def test_only_differences_go_out() -> None:
    made = opened("a", "b")
    answer_all(made)

    assert made.replace(["b", "c"]) == (("c",), ("a",))
    gone, come = send_all(made)

    assert (gone.subscribing, gone.topics) == (False, ("a",))
    assert (come.subscribing, come.topics) == (True, ("c",))


def test_a_change_of_mind_waits_for_the_answer_that_is_under_way() -> None:
    made = opened("a")
    request = send(made)
    made.unwant(["a"])
    assert made.next_request(0.0) is None

    made.acknowledged(Acknowledged(request_id=request.request_id), 0.0)
    back = send(made)
    assert (back.subscribing, back.topics) == (False, ("a",))

    made.want(["a"])
    assert made.next_request(0.0) is None
    made.acknowledged(Acknowledged(request_id=back.request_id), 0.0)
    assert send(made).subscribing


def test_a_topic_that_was_never_sent_is_dropped_without_a_word() -> None:
    made = opened("a")
    made.unwant(["a"])

    assert made.next_request(0.0) is None
    assert made.is_settled


@pytest.mark.parametrize(
    ("limits", "fit"), [({"topics_per_connection": 3}, 1), ({"topics_size": 5}, 3)]
)
def test_more_topics_than_fit_change_nothing(limits: dict[str, int], fit: int) -> None:
    made = opened("a", "b", rules=Rules(**limits))

    with pytest.raises(SubscriptionLimitError, match=f"4 more topics .* {fit} fit") as caught:
        made.want(["c", "d", "e", "f"])

    assert made.wanted == {"a", "b"}
    assert caught.value.topic == "cdef"[fit]
    with pytest.raises(SubscriptionLimitError):
        made.replace("cdefgh")
    assert made.wanted == {"a", "b"}
    assert made.replace("bcd") == (("c", "d"), ("a",))


# Requests.


def test_requests_are_as_large_as_the_venue_allows() -> None:
    made = opened(*map(str, range(10)), rules=Rules(topics_per_request=4))

    assert [len(request.topics) for request in send_all(made)] == [4, 4, 2]


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60).map(
        lambda sizes: [f"{at}{'x' * size}" for at, size in enumerate(sizes)]
    ),
    st.integers(20, 200),
)
def test_no_request_is_larger_than_allowed_unless_one_topic_is(
    topics: list[str], size: int
) -> None:
    rules = Rules(request_size=size)
    requests = send_all(opened(*topics, rules=rules))

    assert sorted(topic for request in requests for topic in request.topics) == sorted(topics)
    for request in requests:
        wire = rules.subscribe(request.topics, request.request_id)
        assert len(wire) <= size or len(request.topics) == 1


def test_ids_are_never_used_again_not_even_over_generations() -> None:
    made = opened("a")
    first = send(made)
    made.opened()
    second = send(made)

    assert first.request_id != second.request_id
    assert made.next_id() not in (first.request_id, second.request_id)


def test_what_could_not_be_sent_is_asked_for_again() -> None:
    made = opened("a")
    request = made.next_request(0.0)
    assert request is not None
    made.unsent(request)

    assert send(made).topics == ("a",)


def test_without_acknowledgements_sent_is_confirmed() -> None:
    made = opened("a", rules=Rules(acknowledges=False))
    send(made)

    assert made.confirmed == {"a"}
    assert made.is_settled


def test_what_comes_by_itself_is_never_asked_for() -> None:
    made = opened("own.orders", "a")

    assert send(made).topics == ("a",)
    assert "own.orders" in made.confirmed
    made.unwant(["own.orders"])
    assert made.next_request(0.0) is None


def test_topics_of_the_url_are_there_and_unwanted_ones_are_ended() -> None:
    made = registry("a", "b")
    made.unwant(["b"])
    made.opened(present=["a", "b"])

    request = send(made)
    assert (request.subscribing, request.topics) == (False, ("b",))
    assert made.confirmed == {"a"}


# Reconnects.


def test_after_a_reconnect_everything_is_asked_for_again() -> None:
    made = opened("a", "b")
    answer_all(made)
    made.lost()
    assert made.confirmed == frozenset()
    assert made.next_request(0.0) is None
    made.opened()

    assert send(made).topics == ("a", "b")


def test_late_answers_of_an_earlier_generation_change_nothing() -> None:
    made = opened("a")
    old = send(made)
    made.lost()
    assert not made.acknowledged(Acknowledged(request_id=old.request_id), 0.0)
    made.opened()
    new = send(made)
    assert not made.acknowledged(Acknowledged(request_id=old.request_id), 0.0)
    assert made.refused(Refused(request_id=old.request_id, text="no"), 0.0) is None

    assert made.confirmed == frozenset()
    assert made.acknowledged(Acknowledged(request_id=new.request_id), 0.0)
    assert made.confirmed == {"a"}


# Answers.


def test_topics_of_one_request_may_be_answered_one_by_one() -> None:
    made = opened("a", "b", "c")
    request_id = send(made).request_id
    made.acknowledged(Acknowledged(request_id=request_id, topics=("b",)), 0.0)
    assert made.confirmed == {"b"}
    errors = made.refused(Refused(request_id=request_id, topics=("a",), code=60018), 0.0)

    assert errors is not None
    assert [(error.topic, error.code) for error in errors] == [("a", 60018)]
    made.acknowledged(Acknowledged(request_id=request_id, topics=("c",)), 0.0)
    assert made.confirmed == {"b", "c"}
    assert made.is_settled


def test_a_refused_topic_fails_alone() -> None:
    made = opened("a", "b")
    request = send(made)
    made.refused(
        Refused(request_id=request.request_id, topics=("a",), text="no", whole_request=True), 0.0
    )

    assert made.wanted == {"b"}
    assert "no" in str(made.failed["a"])
    again = send(made)
    assert again.topics == ("b",)


def test_one_that_is_there_already_is_as_good_as_accepted() -> None:
    made = opened("a", "b")
    request = send(made)
    refusal = Refused(
        request_id=request.request_id, topics=("a",), present=True, whole_request=True
    )

    assert made.refused(refusal, 0.0) == []
    assert made.confirmed == {"a"}
    assert send(made).topics == ("b",)


def test_some_accepted_and_some_refused_in_one_answer() -> None:
    made = opened("a", "b")
    send(made)
    errors = made.refused(Refused(topics=("b",), accepted=("a",)), 0.0)

    assert errors is not None
    assert [error.topic for error in errors] == ["b"]
    assert made.confirmed == {"a"}


@given(st.integers(1, 300), st.data())
def test_a_nameless_refusal_is_narrowed_down_to_the_bad_topics(count: int, data: Any) -> None:
    topics = [f"t{number}" for number in range(count)]
    bad = set(data.draw(st.lists(st.sampled_from(topics), max_size=3)))
    made = opened(*topics, rules=Rules(topics_per_request=200))
    asked = 0
    while (request := made.next_request(0.0)) is not None:
        asked += 1
        made.sent(request, 0.0)
        if bad & set(request.topics):
            made.refused(Refused(request_id=request.request_id, whole_request=True), 0.0)
        else:
            made.acknowledged(Acknowledged(request_id=request.request_id), 0.0)

    assert set(made.failed) == bad
    assert made.confirmed == set(topics) - bad == made.wanted
    assert asked <= 2 + 20 * max(1, len(bad))


def test_too_many_requests_means_a_pause_and_not_a_failure() -> None:
    made = opened("a")
    request = send(made)
    assert made.refused(Refused(request_id=request.request_id, temporary=True), 10.0) == []

    assert made.next_request(10.0) is None
    deadline = made.next_deadline()
    assert deadline is not None
    assert deadline > 10.0
    assert made.expire(deadline) == []
    assert send(made, deadline).topics == ("a",)
    assert made.next_deadline() == deadline + 10.0  # and not the pause that is over


def test_a_channel_that_is_refused_after_its_acknowledgement_loses_its_newest_topic() -> None:
    made = opened("orders?instType=SPOT", "tickers:BTC", "orders?instType=SWAP")
    answer_all(made)
    errors = made.refused(Refused(channel="orders", text="too many"), 0.0)

    assert errors is not None
    assert [error.topic for error in errors] == ["orders?instType=SWAP"]
    assert made.wanted == {"orders?instType=SPOT", "tickers:BTC"}


def test_a_refusal_of_nothing_that_was_asked_is_nobodys() -> None:
    assert opened("a").refused(Refused(text="hm"), 0.0) is None


def test_refusing_to_end_a_topic_means_that_it_is_not_there() -> None:
    made = opened("a")
    answer_all(made)
    made.unwant(["a"])
    request = send(made)

    assert made.refused(Refused(request_id=request.request_id, text="not subscribed"), 0.0) == []
    assert made.is_settled
    made.want(["a"])
    assert send(made).subscribing


def test_subscribing_again_forgets_the_failure() -> None:
    made = opened("a")
    made.refused(Refused(request_id=send(made).request_id, text="no"), 0.0)
    assert "a" in made.failed
    made.want(["a"])

    assert not made.failed
    assert send(made).topics == ("a",)


# Answers without an id.


def test_the_oldest_request_with_the_tag_is_meant() -> None:
    made = opened("deal:A", "depth:A", "deal:B", rules=Rules(tags=True, topics_per_request=1))
    send_all(made)
    made.acknowledged(Acknowledged(tag="sub.depth"), 0.0)
    assert made.confirmed == {"depth:A"}
    made.acknowledged(Acknowledged(tag="sub.deal"), 0.0)

    assert made.confirmed == {"depth:A", "deal:A"}


def test_a_refusal_may_name_no_more_than_the_symbol() -> None:
    made = opened("deal:A", "deal:NOPE", rules=Rules(tags=True, topics_per_request=1))
    send_all(made)
    errors = made.refused(Refused(symbol="NOPE", text="not exists"), 0.0)

    assert errors is not None
    assert [error.topic for error in errors] == ["deal:NOPE"]
    assert made.wanted == {"deal:A"}


def test_data_confirms_where_acknowledgements_have_no_names() -> None:
    rules = Rules(tags=True, topics_per_request=1, data_confirms=True)
    made = opened("deal:A", "deal:B", rules=rules)
    send_all(made)
    assert made.is_awaiting_data
    made.data_came("deal:B", 0.0)
    assert made.confirmed == {"deal:B"}
    made.acknowledged(Acknowledged(tag="sub.deal"), 0.0)

    assert made.confirmed == {"deal:A", "deal:B"}


# Time.


def test_an_unanswered_topic_is_asked_for_again_and_then_given_up() -> None:
    made = opened("a", ack_timeout=10.0, ack_retries=2)
    for now in (0.0, 10.0, 20.0):
        assert send(made, now).topics == ("a",)
        assert made.next_deadline() == now + 10.0
        assert made.expire(now + 9.9) == []
        errors = made.expire(now + 10.0)

    (error,) = errors
    assert error.topic == "a"
    assert "no acknowledgement within 10 s, asked 3 times" in str(error)
    assert made.wanted == frozenset()
    assert made.failed["a"] is error
    assert made.is_settled


def test_one_unanswered_and_one_refused_of_750_cost_the_others_nothing() -> None:
    topics = [f"t{number}" for number in range(750)]
    made = opened(*topics, rules=Rules(topics_per_request=200))
    now, errors = 0.0, []
    while not made.is_settled or made.next_request(now):
        for request in send_all(made, now):
            if "t7" in request.topics:
                continue
            if "t400" in request.topics:
                errors += made.refused(Refused(request_id=request.request_id), now) or []
            else:
                made.acknowledged(Acknowledged(request_id=request.request_id), now)
        deadline = made.next_deadline()
        assert deadline is not None
        now = max(now, deadline)
        errors += made.expire(now)
        made.silent(now)

    assert sorted(error.topic or "" for error in errors) == ["t400", "t7"]
    assert len(made.confirmed) == 748


def test_an_end_that_is_never_confirmed_is_taken_as_done() -> None:
    made = opened("a", ack_retries=0)
    answer_all(made)
    made.unwant(["a"])
    send(made)
    assert made.expire(10.0) == []

    assert made.is_settled
    assert made.confirmed == frozenset()


def test_a_confirmed_topic_that_stays_silent_is_told_once_and_stays() -> None:
    made = opened("a", "b", first_data_timeout=60.0)
    answer_all(made)
    made.data_came("b", 1.0)
    assert made.silent(59.9) == []
    assert made.next_deadline() == 60.0

    assert made.silent(60.0) == ["a"]
    assert made.silent(1000.0) == []
    assert made.wanted == {"a", "b"}
    assert not made.is_awaiting_data


def test_nobody_waits_for_data_where_that_is_switched_off() -> None:
    made = opened("a", first_data_timeout=None)
    answer_all(made)

    assert not made.is_awaiting_data
    assert made.silent(1e9) == []
    assert made.next_deadline() is None


def test_repr_tells_the_numbers() -> None:
    assert repr(opened("a")) == "<SubscriptionRegistry wanted=1 confirmed=0 pending=0 failed=0>"


class Server:
    """What a server does with requests: it subscribes, and counts what is subscribed twice."""

    def __init__(self) -> None:
        self.present: set[str] = set()
        self.duplicates: list[str] = []

    def take(self, request: Request) -> None:
        if request.subscribing:
            self.duplicates += [topic for topic in request.topics if topic in self.present]
            self.present.update(request.topics)
        else:
            self.present.difference_update(request.topics)


class Subscribing(RuleBasedStateMachine):
    """Whatever users, servers and the net do: in the end the server has what is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.made = SubscriptionRegistry(Rules(topics_per_request=3))
        self.server = Server()
        self.in_flight: list[Request] = []
        self.is_open = False

    topics = st.sampled_from("abcdefgh")

    @rule(topic=topics)
    def want(self, topic: str) -> None:
        self.made.want([topic])

    @rule(topic=topics)
    def unwant(self, topic: str) -> None:
        self.made.unwant([topic])

    @rule(wanted=st.lists(topics, max_size=6))
    def replace(self, wanted: list[str]) -> None:
        self.made.replace(wanted)

    @rule()
    def open(self) -> None:
        self.server.present.clear()
        self.in_flight.clear()
        self.made.opened()
        self.is_open = True

    @precondition(lambda self: self.is_open)
    @rule()
    def lose(self) -> None:
        self.made.lost()
        self.is_open = False

    @rule()
    def send(self) -> None:
        request = self.made.next_request(0.0)
        if request is not None:
            self.made.sent(request, 0.0)
            self.server.take(request)
            self.in_flight.append(request)

    @rule()
    def answer(self) -> None:
        if self.in_flight:
            request = self.in_flight.pop(0)
            self.made.acknowledged(Acknowledged(request_id=request.request_id), 0.0)

    @invariant()
    def nothing_is_subscribed_twice(self) -> None:
        assert self.server.duplicates == []

    def teardown(self) -> None:
        if not self.is_open:
            self.open()
        for _ in range(100):
            self.send()
            self.answer()
        assert self.server.present == self.made.wanted == self.made.confirmed
        assert self.made.is_settled


TestSubscribing = Subscribing.TestCase
