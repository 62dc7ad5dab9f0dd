from __future__ import annotations

from wsresilient.core.topic_queue import TopicQueue


def queue(topics: str) -> TopicQueue:
    made = TopicQueue()
    for topic in topics:
        made.add(topic)
    return made


def test_topics_come_in_the_order_in_which_they_were_added() -> None:
    made = queue("aba")

    assert made.next(None) == ("a", "b")
    assert made.next(1) == ("a",)
    made.discard("a")
    assert made.next(1) == ("b",)
    assert "a" not in made


def test_an_empty_one_is_false_and_gives_nothing() -> None:
    made = queue("a")
    assert made
    made.clear()

    assert not made
    assert made.next(None) == ()


def test_pieces_come_first_and_only_what_still_waits_of_them() -> None:
    made = queue("abcdefghijk")
    made.split(tuple("abcdefgh"))
    made.discard("c")
    made.discard("d")
    pieces = [made.next(None) for _ in range(4)]

    assert pieces == [("a", "b"), ("e", "f"), ("g", "h"), tuple("abefghijk")]


def test_a_topic_that_is_split_goes_alone() -> None:
    made = queue("ab")
    made.split(("b",))

    assert made.next(None) == ("b",)
