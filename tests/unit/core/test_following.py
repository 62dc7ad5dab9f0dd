from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from wsresilient import ConfigurationError, TopByVolume
from wsresilient.core.following import Difference, Following


class Pool:
    """What a pool does with the difference."""

    def __init__(self, *by_hand: str) -> None:
        self.following = Following()
        self.topics = set(by_hand)

    def select(self, *topics: str) -> Difference:
        change = self.following.difference(topics, self.topics)
        self.topics.difference_update(change.dropped)
        self.following.dropped(change.dropped)
        self.topics.update(change.added)
        self.following.subscribed(change.added)
        return change

    def subscribe(self, topics: Iterable[str]) -> None:
        self.topics.update(topics)
        self.following.taken(topics)

    def unsubscribe(self, topics: Iterable[str]) -> None:
        self.topics.difference_update(topics)
        self.following.left_out(topics)


def test_only_the_difference_is_done() -> None:
    pool = Pool()

    assert pool.select("a", "b", "a") == Difference(("a", "b"), ())
    assert pool.select("b", "a") == Difference((), ())
    assert pool.select("c", "b") == Difference(("c",), ("a",))
    assert len(pool.following) == 2


def test_what_was_there_before_is_not_dropped() -> None:
    pool = Pool("a", "x")
    pool.select("a", "b")

    assert pool.select() == Difference((), ("b",))
    assert pool.topics == {"a", "x"}


def test_what_is_subscribed_by_hand_later_is_not_dropped() -> None:
    pool = Pool()
    pool.select("a", "b")
    pool.subscribe(["a"])

    assert pool.select() == Difference((), ("b",))


def test_what_is_unsubscribed_by_hand_stays_away_until_it_is_subscribed_by_hand() -> None:
    pool = Pool()
    pool.select("a", "b")
    pool.unsubscribe(["a"])

    assert pool.select("a", "b") == Difference((), ())
    pool.subscribe(["a"])
    pool.unsubscribe(["b"])
    assert pool.select("a", "b") == Difference((), ())
    assert pool.topics == {"a"}


def test_a_topic_that_was_refused_is_asked_for_again() -> None:
    pool = Pool()
    pool.select("a")
    pool.topics.remove("a")

    assert pool.select("a") == Difference(("a",), ())


def test_when_it_ends_all_stays() -> None:
    pool = Pool()
    pool.select("a")
    pool.unsubscribe(["b"])
    pool.following.forget()

    assert len(pool.following) == 0
    assert pool.select("b") == Difference(("b",), ())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n": 0}, "n is 0; allowed: a whole number >= 1"),
        ({"n": True}, "n is True"),
        ({"n": 5, "quote": ""}, "quote is ''; allowed: a currency"),
        ({"n": 5, "quote": 7}, "quote is 7"),
    ],
)
def test_wrong_selections_are_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        TopByVolume(**arguments)
