from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.incoming import Acknowledged, Refused
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.core.topic_requests import write_request
from wsresilient.errors import SubscriptionError, SubscriptionLimitError

from .registry_tools import Rules, answer_all, opened, registry, send, send_all

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
def test_more_topics_than_fit_change_nothing(limits: dict[str, Any], fit: int) -> None:
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
    made = opened(*topics, rules=rules)
    asked: list[str] = []
    while (request := made.next_request(0.0)) is not None:
        wire, count = write_request(rules, request)
        made.shorten(request, count)
        made.sent(request, 0.0)
        assert len(wire) <= size or len(request.topics) == 1
        asked += request.topics

    assert asked == topics


def test_the_size_of_a_request_is_counted_in_bytes() -> None:
    class Written(Rules):
        def subscribe(self, topics: Sequence[str], request_id: int) -> str:
            return " ".join(topics)

    rules = Written(request_size=61)
    request = send(
        opened("\u5e01\u5b89\u4eba\u751fUSDT@trade", "btcusdt@depth20@100ms", "a" * 20, rules=rules)
    )
    wire, count = write_request(rules, request)

    assert len(" ".join(request.topics)) <= 61 < len(" ".join(request.topics).encode())
    assert len(wire) <= 61
    assert count == 2


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


def test_data_of_topics_of_the_url_is_waited_for_too() -> None:
    made = registry("a", "b", "private.orders", first_data_timeout=60.0)
    made.unwant(["b"])
    made.opened(present=["a", "b", "private.orders"], now=100.0)
    assert made.is_awaiting_data
    assert made.next_deadline() == 160.0

    assert made.silent(160.0) == ["a"]
    made.opened(present=["a"], now=200.0)
    made.data_came("a", 201.0)
    assert made.silent(1e9) == []


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


def test_a_new_connection_does_not_wait_for_the_pause_of_the_one_before() -> None:
    made = opened("a")
    made.refused(Refused(request_id=send(made).request_id, temporary=True), 10.0)
    made.lost()
    made.opened()

    assert send(made, 10.0).topics == ("a",)


def test_no_time_for_ever_is_told_once_and_asked_more_and_more_rarely() -> None:
    made = opened("a", ack_retries=2)
    now, pauses, errors = 0.0, [], []
    for _ in range(8):
        refusal = Refused(send(made, now).request_id, code=50, text="busy", temporary=True)
        errors.append(made.refused(refusal, now))
        deadline = made.next_deadline()
        assert deadline is not None
        pauses.append(deadline - now)
        now = deadline
        assert made.expire(now) == []

    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    (told,) = [error for some in errors for error in some or ()]
    assert errors[2] == [told]
    assert "busy" in str(told)
    assert (told.topic, told.code) == (None, 50)
    assert made.wanted == {"a"}
    answer_all(made, now)
    assert made.confirmed == {"a"}


# Refusals that name nothing.

NAMELESS_PAUSE = Refused(code=510, text="too frequent", temporary=True)
NO_SUCH = Refused(text="Contract doesn't exist!", of_topic=True)
ONE_EACH = Rules(tags=True, data_confirms=True, topics_per_request=1)


def pause_is_over(made: SubscriptionRegistry) -> float:
    """Give the time at which requests go on; the ones before are late by nobody's fault."""
    deadline = made.next_deadline()
    assert deadline is not None
    assert made.next_request(deadline - 0.001) is None
    assert made.expire(deadline) == []
    return deadline


def test_too_many_requests_without_an_id_is_a_pause_that_costs_no_try() -> None:
    made, now = opened("a", "b", rules=Rules(topics_per_request=1), ack_retries=2), 0.0
    send_all(made, now)
    errors = []
    for _ in range(6):
        told = made.refused(NAMELESS_PAUSE, now)
        assert made.refused(NAMELESS_PAUSE, now) == []  # of the other request
        assert told is not None
        errors += told
        now = pause_is_over(made)
        assert [request.topics for request in send_all(made, now)] == [("a",), ("b",)]

    assert len(errors) == 1
    assert "too frequent" in str(errors[0])
    assert made.failed == {}
    assert made.wanted == {"a", "b"}


def test_who_was_accepted_beside_too_many_requests_is_not_asked_for_again() -> None:
    made = opened("a", "b", rules=Rules(topics_per_request=1))
    first, _ = send_all(made)
    assert made.refused(NAMELESS_PAUSE, 0.0) == []
    assert made.acknowledged(Acknowledged(request_id=first.request_id), 0.1)

    assert made.confirmed == {"a"}
    assert [request.topics for request in send_all(made, pause_is_over(made))] == [("b",)]


def test_an_end_is_asked_for_again_after_too_many_requests() -> None:
    made = opened("a", "b")
    answer_all(made)
    made.unwant(["a"])
    assert not send(made).subscribing
    assert made.refused(NAMELESS_PAUSE, 0.0) == []

    request = send(made, pause_is_over(made))
    assert (request.subscribing, request.topics) == (False, ("a",))


def test_too_many_requests_while_nothing_is_asked_for_is_somebody_elses() -> None:
    made = opened("a")
    answer_all(made)

    assert made.refused(NAMELESS_PAUSE, 0.0) is None
    assert made.refused(Refused(text="Wrong filter"), 0.0) is None
    made.want(["b"])
    send(made)
    assert made.refused(Refused(text="Wrong filter"), 0.0) is None
    assert made.refused(Refused(request_id=7, temporary=True), 0.0) is None
    assert made.next_deadline() == 10.0


@pytest.mark.parametrize("order", ["no", "no yes yes", "yes no yes", "yes yes no"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_such_topic_without_a_name_is_found_among_those_that_are_unanswered(
    order: str, place: int
) -> None:
    topics = ["deal:A", "deal:B"]
    topics.insert(place, "deal:BAD")
    made, now = opened(*topics, rules=ONE_EACH, first_data_timeout=None), 0.0
    send_all(made)
    for word in order.split():
        if word == "no":
            assert made.refused(NO_SUCH, now) == []
            assert made.refused(NO_SUCH, now) == []  # of another
        else:
            made.acknowledged(Acknowledged(tag="sub.deal"), now)
    known = made.confirmed
    now, refusals = pause_is_over(made), []
    while not made.is_settled:
        request = made.next_request(now)
        if request is None:
            now = pause_is_over(made)
            continue
        made.sent(request, now)
        assert made.next_request(now) is None  # the next answer is for this one
        if request.topics == ("deal:BAD",):
            errors = made.refused(NO_SUCH, now)
            assert errors is not None
            refusals.append([error.topic for error in errors])
        else:
            assert made.acknowledged(Acknowledged(tag="sub.deal"), now)
    assert refusals == ([] if "deal:BAD" in known else [[], ["deal:BAD"]])

    # Nobody else pays; one that another's answer had confirmed is told by its silence.
    assert made.confirmed == {"deal:A", "deal:B"} | ({"deal:BAD"} & known)
    assert made.failed.keys() == {"deal:BAD"} - known
    made.expire(now)
    made.want(["deal:C", "deal:D"])
    assert len(send_all(made, now)) == 2


def test_a_late_refusal_without_a_name_costs_a_good_topic_a_pause_only() -> None:
    made, now = opened("deal:A", "deal:BAD", "deal:WORSE", rules=ONE_EACH), 0.0
    send_all(made)
    assert made.refused(NO_SUCH, now) == []
    now = pause_is_over(made)
    assert send(made, now).topics == ("deal:A",)
    assert made.refused(NO_SUCH, now) == []  # it was for one of the others

    assert made.wanted == {"deal:A", "deal:BAD", "deal:WORSE"}
    now = pause_is_over(made)
    asked: list[str] = []
    for _ in range(20):
        if made.is_settled:
            break
        request = made.next_request(now)
        if request is None:
            now = pause_is_over(made)
            continue
        made.sent(request, now)
        asked += request.topics
        if request.topics == ("deal:A",):
            made.acknowledged(Acknowledged(tag="sub.deal"), now)
        else:
            made.refused(NO_SUCH, now)
    assert made.confirmed == {"deal:A"}
    assert made.failed.keys() == {"deal:BAD", "deal:WORSE"}
    assert sorted(asked) == ["deal:A", "deal:BAD", "deal:BAD", "deal:WORSE", "deal:WORSE"]


def test_a_refusal_of_a_topic_that_nobody_waits_for_changes_nothing() -> None:
    made = opened("deal:A", rules=ONE_EACH)
    send(made)
    assert made.refused(NO_SUCH, 0.0) == []
    made.data_came("deal:A", 0.5)

    assert made.confirmed == {"deal:A"}
    assert made.is_settled
    assert made.refused(NO_SUCH, 1.0) is None


def test_the_pause_before_asking_one_by_one_does_not_lengthen_the_next() -> None:
    made = opened("deal:BAD", rules=ONE_EACH)
    send(made)
    made.refused(NO_SUCH, 0.0)
    now = pause_is_over(made)
    send(made, now)
    made.refused(NO_SUCH, now)
    now = pause_is_over(made)
    send(made, now)
    made.refused(NO_SUCH, now)
    assert made.failed.keys() == {"deal:BAD"}
    made.want(["deal:A"])
    send(made, now)
    assert made.refused(NAMELESS_PAUSE, now) == []

    assert made.next_deadline() == now + 2.0


def test_one_by_one_ends_with_the_connection() -> None:
    made = opened("deal:A", "deal:B", rules=ONE_EACH)
    send_all(made)
    made.refused(NO_SUCH, 0.0)
    made.opened()

    assert len(send_all(made)) == 2


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


@pytest.mark.parametrize("topics", [("a", "a"), ("a", "a", "b", "a")])
def test_a_topic_that_an_answer_names_twice_is_answered_once(topics: tuple[str, ...]) -> None:
    made = opened("a", "b")
    request = send(made)

    assert made.acknowledged(Acknowledged(request.request_id, topics), 0.0)
    assert made.confirmed == set(topics)


def test_a_topic_that_a_refusal_names_2000_times_is_one_error() -> None:
    made = opened("a", "b")
    request = send(made)
    errors = made.refused(Refused(request.request_id, ("a",) * 2000, accepted=("b", "b")), 0.0)

    assert errors is not None
    assert [error.topic for error in errors] == ["a"]
    assert made.confirmed == {"b"}


def test_a_second_acknowledgement_of_a_topic_is_still_an_answer() -> None:
    made = opened("a", "b")
    request = send(made)
    for _ in range(2):
        assert made.acknowledged(Acknowledged(request.request_id, ("a",)), 0.0)

    assert not made.acknowledged(Acknowledged(request.request_id, ("z",)), 0.0)


def test_all_there_already_without_a_name_confirms_all() -> None:
    made = opened("a", "b")
    request = send(made)
    refusal = Refused(request.request_id, text="already", present=True, whole_request=True)

    assert made.refused(refusal, 0.0) == []
    assert made.confirmed == {"a", "b"}
    assert made.is_settled


def test_there_already_says_nothing_against_a_topic_that_is_there() -> None:
    made = opened("a")
    answer_all(made)

    assert made.refused(Refused(77, ("a",), present=True), 0.0) == []
    assert made.refused(Refused(77, ("z",), present=True), 0.0) is None
    assert made.refused(Refused(77, ("a",), temporary=True), 0.0) is None
    assert made.confirmed == {"a"}


def test_what_nobody_wants_any_more_is_no_failure_when_it_is_refused() -> None:
    made = opened("a")
    request = send(made)
    made.unwant(["a"])

    assert made.refused(Refused(request.request_id, ("a",), text="no"), 0.0) == []
    assert made.failed == {}
    assert made.is_settled


# Requests that the venue cannot write.


def test_only_the_topic_at_fault_fails_when_a_request_cannot_be_written() -> None:
    topics = [f"t{number}" for number in range(40)]
    made = opened(*topics)
    errors = []
    while (request := made.next_request(0.0)) is not None:
        if "t17" in request.topics:
            errors += made.unwritable(request, "KeyError")
        else:
            made.sent(request, 0.0)
            assert made.acknowledged(Acknowledged(request.request_id), 0.0)

    assert [error.topic for error in errors] == ["t17"]
    assert made.failed.keys() == {"t17"}
    assert made.confirmed == set(topics) - {"t17"}


def test_an_end_that_cannot_be_written_is_told_and_the_others_go_out() -> None:
    made = opened("a", "b", "c")
    answer_all(made)
    made.replace(())
    errors = []
    while (request := made.next_request(0.0)) is not None:
        if "b" in request.topics:
            errors += made.unwritable(request, "KeyError")
        else:
            made.sent(request, 0.0)
            assert made.acknowledged(Acknowledged(request.request_id), 0.0)

    assert [str(error) for error in errors] == ["the topic 'b' could not be ended: KeyError"]
    assert made.failed == {}
    assert made.is_settled


def test_what_was_cut_off_a_request_comes_in_the_next() -> None:
    made = opened("a", "b", "c")
    request = made.next_request(0.0)
    assert request is not None
    made.unwant(["c"])
    made.shorten(request, 1)
    made.sent(request, 0.0)

    assert request.topics == ("a",)
    assert send(made).topics == ("b",)
    assert made.next_request(0.0) is None


def test_a_request_of_a_connection_that_is_lost_has_not_been_sent() -> None:
    made = opened("a", rules=Rules(acknowledges=False))
    request = made.next_request(0.0)
    assert request is not None
    made.lost()
    made.sent(request, 0.0)

    assert made.confirmed == frozenset()
    assert made.next_deadline() is None


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
    errors: list[SubscriptionError] = []
    for now in (0.0, 10.0, 20.0):
        assert errors == []
        assert send(made, now).topics == ("a",)
        assert made.next_deadline() == now + 10.0
        assert made.expire(now + 9.9) == []
        errors = made.expire(now + 10.0)

    (error,) = errors
    assert error.topic == "a"
    assert "no acknowledgement within 10 s, asked 3 times" in str(error)
    assert made.wanted == frozenset()
    assert made.failed["a"] is error
    end = send(made, 30.0)  # it may be there all the same
    assert (end.subscribing, end.topics) == (False, ("a",))
    assert made.expire(40.0) == []
    assert made.is_settled
    assert made.is_gone("a")


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


def test_several_ends_that_are_never_confirmed_are_asked_for_as_often_as_one() -> None:
    made = opened("a", "b", ack_timeout=10.0, ack_retries=2)
    answer_all(made)
    made.replace(())
    for now in (0.0, 10.0, 20.0):
        assert send(made, now).topics == ("a", "b")
        assert made.expire(now + 10.0) == []

    assert made.is_settled
    assert made.is_gone("ab")


def test_what_may_have_been_ended_and_is_wanted_again_is_asked_for_again() -> None:
    made = opened("a", ack_timeout=10.0)
    answer_all(made)
    made.unwant(["a"])
    send(made)
    made.want(["a"])
    assert made.expire(10.0) == []

    assert made.confirmed == frozenset()
    assert send(made, 10.0).subscribing


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


def test_a_topic_that_needs_credentials_is_not_waited_for() -> None:
    made = opened("private.orders", first_data_timeout=60.0)
    answer_all(made)

    assert made.confirmed == {"private.orders"}
    assert not made.is_awaiting_data
    assert made.next_deadline() is None


def test_data_may_confirm_what_was_not_answered_in_time() -> None:
    made = opened("a", rules=Rules(data_confirms=True), first_data_timeout=None)
    send(made)
    assert made.expire(10.0) == []
    assert made.is_awaiting_data
    made.data_came("a", 10.0)

    assert made.confirmed == {"a"}
    assert made.next_request(10.0) is None
    assert not made.is_awaiting_data


def test_nobody_waits_for_data_where_that_is_switched_off() -> None:
    made = opened("a", first_data_timeout=None)
    answer_all(made)

    assert not made.is_awaiting_data
    assert made.silent(1e9) == []
    assert made.next_deadline() is None


def test_repr_tells_the_numbers() -> None:
    assert repr(opened("a")) == "<SubscriptionRegistry wanted=1 confirmed=0 pending=0 failed=0>"


def test_one_for_another_connection_wants_the_same_and_has_asked_for_nothing() -> None:
    made = opened("a", "b")
    answer_all(made)
    made.failed["c"] = SubscriptionError("no", topic="c")

    other = made.beside()

    assert other.wanted_in_order == made.wanted_in_order
    assert (other.confirmed, set(other.failed)) == (frozenset(), {"c"})
    other.opened()
    request = send(other)
    assert request.topics == ("a", "b")
    assert made.confirmed == {"a", "b"}
    other.unwant(["a"])
    assert made.wanted == {"a", "b"}


def test_no_two_requests_of_two_connections_have_the_same_id() -> None:
    made = opened("a")
    other = made.beside()

    ids = [made.next_id(), other.next_id(), made.next_id(), other.next_id()]

    assert len(set(ids)) == 4
