"""Answers that come after ack_timeout, on the same connection."""

from __future__ import annotations

import pytest

from wsresilient.core.incoming import Acknowledged, Refused
from wsresilient.core.late_answers import MOST_LATE
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.core.topic_requests import Request

from .registry_tools import Rules, answer_all, opened, send, send_all


def overdue(*topics: str, retries: int = 2) -> tuple[SubscriptionRegistry, Request]:
    """Give a registry whose first request is not answered in its 10 seconds."""
    made = opened(*topics, ack_timeout=10.0, ack_retries=retries)
    request = send(made)
    made.expire(10.0)
    return made, request


def yes(request: Request, *topics: str) -> Acknowledged:
    return Acknowledged(request.request_id, topics)


def test_a_late_yes_confirms_what_was_not_asked_again_yet() -> None:
    made, first = overdue("a")

    assert made.acknowledged(yes(first), 11.0)
    assert made.confirmed == {"a"}
    assert made.next_request(11.0) is None


def test_a_late_yes_answers_the_second_try_too() -> None:
    made, first = overdue("a")
    second = send(made, 10.0)
    assert made.acknowledged(yes(first), 11.0)
    assert made.confirmed == {"a"}
    assert made.expire(20.0) == []

    assert made.acknowledged(yes(second), 21.0)  # an answer of ours, and nothing new
    assert made.confirmed == {"a"}
    assert made.is_settled


def test_a_late_yes_for_one_of_several_leaves_the_others_to_the_second_try() -> None:
    made, first = overdue("a", "b")
    requests = send_all(made, 10.0)
    assert [request.topics for request in requests] == [("a",), ("b",)]

    assert made.acknowledged(Acknowledged(topics=("b", "b"), request_id=first.request_id), 11.0)
    assert made.confirmed == {"b"}
    assert made.acknowledged(yes(requests[0]), 12.0)
    assert made.confirmed == {"a", "b"}


def test_a_late_yes_without_an_id_is_found_by_its_topic() -> None:
    made, _ = overdue("a")

    assert made.acknowledged(Acknowledged(topics=("a",)), 11.0)
    assert made.confirmed == {"a"}


def test_a_late_yes_that_names_a_tag_alone_is_nobodys() -> None:
    made = opened("deal:A", rules=Rules(tags=True), ack_timeout=10.0)
    send(made)
    made.expire(10.0)

    assert not made.acknowledged(Acknowledged(tag="sub.deal"), 11.0)


def test_the_data_that_has_come_is_not_waited_for_again() -> None:
    made, first = overdue("a")
    second = send(made, 10.0)
    made.expire(20.0)
    assert made.acknowledged(yes(first), 21.0)
    made.data_came("a", 22.0)
    assert made.acknowledged(yes(second), 23.0)

    assert not made.is_awaiting_data


def test_what_nobody_wants_any_more_is_ended_though_nobody_knows_of_it() -> None:
    made = opened("a", ack_timeout=10.0)
    send(made)
    made.unwant(["a"])
    assert made.expire(10.0) == []

    end = send(made, 10.0)
    assert (end.subscribing, end.topics) == (False, ("a",))
    assert made.expire(20.0) == []
    assert made.is_settled  # once, and no more
    assert made.failed == {}


def test_unsubscribing_while_nobody_knows_ends_it_once() -> None:
    made, _ = overdue("a")
    made.unwant(["a"])
    assert not send(made, 10.0).subscribing
    made.expire(20.0)

    assert made.is_settled


def test_what_was_given_up_and_comes_after_all_is_ended() -> None:
    made, first = overdue("a", retries=0)
    assert made.failed.keys() == {"a"}
    answer_all(made, 10.0)
    assert made.is_gone("a")

    made.want(["a"])
    second = send(made, 11.0)
    assert made.acknowledged(yes(first), 12.0)  # older than the end that was answered
    assert made.confirmed == frozenset()
    assert made.acknowledged(yes(second), 12.0)
    assert made.confirmed == {"a"}


def test_a_late_yes_of_a_topic_that_was_given_up_ends_it_once_more() -> None:
    made, first = overdue("a", retries=0)
    end = send(made, 10.0)
    made.expire(20.0)
    assert made.is_gone("a")
    assert made.acknowledged(yes(first), 21.0)

    again = send(made, 21.0)
    assert (again.subscribing, again.topics) == (False, ("a",))
    assert made.acknowledged(yes(end), 22.0)
    assert made.is_gone("a")
    assert made.wanted == frozenset()


def test_a_late_yes_does_not_stop_an_end_that_is_under_way() -> None:
    made, first = overdue("a")
    made.unwant(["a"])
    end = send(made, 10.0)
    assert made.acknowledged(yes(first), 11.0)
    assert made.confirmed == frozenset()

    assert made.acknowledged(yes(end), 12.0)
    assert made.is_gone("a")
    assert made.is_settled


def test_a_late_end_has_the_topic_asked_for_again() -> None:
    made = opened("a", ack_timeout=10.0, ack_retries=0)
    answer_all(made)
    made.unwant(["a"])
    end = send(made)
    made.expire(10.0)
    assert made.is_settled
    made.want(["a"])
    assert made.acknowledged(yes(end), 11.0)

    answer_all(made, 11.0)
    assert made.confirmed == {"a"}


def test_a_late_no_fails_the_topic_and_its_second_try() -> None:
    made, first = overdue("a")
    second = send(made, 10.0)
    errors = made.refused(Refused(first.request_id, text="no"), 11.0)

    assert errors is not None
    assert [error.topic for error in errors] == ["a"]
    assert made.is_settled
    assert made.refused(Refused(second.request_id, text="no"), 12.0) == []


def test_a_late_no_changes_nothing_where_the_second_try_was_accepted() -> None:
    made, first = overdue("a")
    answer_all(made, 10.0)

    assert made.refused(Refused(first.request_id, ("a",), text="no"), 11.0) == []
    assert made.confirmed == {"a"}


def test_a_late_no_that_names_none_of_several_is_left_to_the_next_tries() -> None:
    made, first = overdue("a", "b")

    assert made.refused(Refused(first.request_id, text="no"), 11.0) == []
    assert made.wanted == {"a", "b"}


def test_a_late_no_to_an_end_means_that_it_is_not_there() -> None:
    made = opened("a", ack_timeout=10.0)
    answer_all(made)
    made.unwant(["a"])
    end = send(made)
    made.expire(10.0)

    assert made.refused(Refused(end.request_id, text="not subscribed"), 11.0) == []
    assert made.is_gone("a")
    assert made.is_settled


@pytest.mark.parametrize("topics", [(), ("a",)])
def test_there_already_said_late_confirms(topics: tuple[str, ...]) -> None:
    made, first = overdue("a")

    assert made.refused(Refused(first.request_id, topics, present=True), 11.0) == []
    assert made.confirmed == {"a"}


def test_some_accepted_and_some_refused_late() -> None:
    made, first = overdue("a", "b")
    errors = made.refused(Refused(first.request_id, ("a", "a"), accepted=("b",)), 11.0)

    assert errors is not None
    assert [error.topic for error in errors] == ["a"]
    assert made.confirmed == {"b"}


def test_no_time_said_late_is_a_pause() -> None:
    made, first = overdue("a")

    assert made.refused(Refused(first.request_id, temporary=True), 11.0) == []
    assert made.next_request(11.0) is None
    assert send(made, 13.0).topics == ("a",)


def test_a_new_connection_knows_no_late_answers() -> None:
    made, first = overdue("a")
    made.opened()

    assert not made.acknowledged(yes(first), 11.0)
    assert made.refused(Refused(first.request_id, text="no"), 11.0) is None


def test_a_silent_server_does_not_fill_the_memory() -> None:
    topics = [f"t{number}" for number in range(MOST_LATE + 10)]
    made = opened(*topics, rules=Rules(topics_per_request=1), ack_timeout=10.0)
    first, *_, last = send_all(made)
    made.expire(10.0)

    assert not made.acknowledged(yes(first), 11.0)
    assert made.acknowledged(yes(last), 11.0)
    assert made.confirmed == {topics[-1]}
