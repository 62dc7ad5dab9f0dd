from __future__ import annotations

from wsresilient.core.incoming import Data
from wsresilient.core.topic_index import LONGEST_REMEMBERED, MOST_REMEMBERED, TopicIndex


def data(topic: str) -> Data:
    return Data(topic, topic.partition(":")[0], None, None)


class Covering:
    """Covers by channel, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, subscribed: str, received: Data) -> bool:
        self.asked += 1
        return subscribed == received.channel


def test_the_exact_topic_wins() -> None:
    covers = Covering()

    assert TopicIndex(["orders", "orders:A"], covers).resolve(data("orders:A")) == "orders:A"
    assert covers.asked == 0


def test_a_wider_subscription_covers_and_is_remembered() -> None:
    covers = Covering()
    index = TopicIndex(["orders"], covers)

    assert [index.resolve(data("orders:A")) for _ in range(3)] == ["orders"] * 3
    assert covers.asked == 1


def test_what_nobody_subscribed_keeps_the_name_of_the_wire() -> None:
    assert TopicIndex(["orders"], Covering()).resolve(data("fills:A")) == "fills:A"


def test_a_server_that_invents_topics_does_not_fill_the_memory() -> None:
    index = TopicIndex([], Covering())
    for number in range(MOST_REMEMBERED + 10):
        index.resolve(data(str(number)))

    assert len(index._remembered) == MOST_REMEMBERED
    assert "1" not in index
    assert repr(index) == "<TopicIndex of 0 topics>"


def test_a_long_topic_is_not_remembered() -> None:
    covers = Covering()
    index = TopicIndex(["orders"], covers)
    topic = "orders:" + "A" * LONGEST_REMEMBERED

    assert [index.resolve(data(topic)) for _ in range(2)] == ["orders"] * 2
    assert covers.asked == 2


def test_a_change_is_seen_in_what_was_remembered() -> None:
    index = TopicIndex(["fills"], Covering())
    assert index.resolve(data("orders:A")) == "orders:A"
    index.change(added=["orders"], removed=["fills", "never"])
    assert index.resolve(data("orders:A")) == "orders"
    assert list(index) == ["orders"]
    index.change(removed=["orders"])

    assert index.resolve(data("orders:A")) == "orders:A"
    assert len(index) == 0


def test_a_change_while_a_reader_is_at_work_disturbs_nobody() -> None:
    def covers(subscribed: str, received: Data) -> bool:
        if subscribed == "first":
            index.change(added=["orders"], removed=["first"])
        return subscribed == received.channel

    index = TopicIndex(["first", "second"], covers)

    assert index.resolve(data("orders:A")) == "orders:A"  # as it was when the reader began
    assert index.resolve(data("orders:A")) == "orders"
