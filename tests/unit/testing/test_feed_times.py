"""The times of what happens at the fake exchange between two looks at the clock."""

from __future__ import annotations

from wsresilient.testing.events import Kind, Stream
from wsresilient.testing.feed import Feed
from wsresilient.testing.market import Market

AT = 1_672_515_782_136


def feed_after(seconds: float) -> Feed:
    """Make a feed of one topic that was looked at so many seconds after its start."""
    feed = Feed(Market(["A"], seed=1), rate=100.0)
    feed.add("topic", Stream("A", Kind.TICKER))
    feed.due(50.0)
    feed.due(50.0 + seconds)
    return feed


def times(feed: Feed, count: int, at: int) -> list[int]:
    return [event.at for _, event in feed.events(count, at)]


def test_what_has_become_due_has_happened_one_after_the_other() -> None:
    assert times(feed_after(0.02), 4, AT) == [AT - 15, AT - 10, AT - 5, AT]
    assert times(feed_after(0.02), 1, AT) == [AT]
    assert times(feed_after(0.0), 2, AT) == [AT, AT]


def test_nothing_happens_before_what_was_told() -> None:
    feed = feed_after(0.02)
    times(feed, 4, AT)

    assert times(feed, 4, AT + 7) == [AT, AT, AT + 2, AT + 7]

    feed.snapshot("topic", AT + 20)
    assert times(feed, 4, AT + 21) == [AT + 20, AT + 20, AT + 20, AT + 21]


def test_a_clock_that_is_set_back_is_followed() -> None:
    feed = feed_after(0.02)
    times(feed, 4, AT)

    assert times(feed, 2, AT - 3_600_000) == [AT - 3_600_010, AT - 3_600_000]
    assert times(feed, 2, AT - 3_599_999) == [AT - 3_600_000, AT - 3_599_999]
