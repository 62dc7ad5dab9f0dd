"""What all venues have in common: topics put together and taken apart, copies, error texts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.incoming import Answer, Data
from wsresilient.errors import ConfigurationError
from wsresilient.venues import Heartbeat, Limits, Venue
from wsresilient.venues.base import join_topic, split_topic

NAMES = st.text(st.characters(categories=("L", "N"), include_characters=".-_"), min_size=1)


@pytest.mark.parametrize(
    ("channel", "symbol", "parameters", "topic"),
    [
        ("tickers", "BTC-USDT", {}, "tickers:BTC-USDT"),
        ("tickers", None, {}, "tickers"),
        ("orders", None, {"instType": "ANY"}, "orders?instType=ANY"),
        ("kline", "BTC_USDT", {"interval": "Min60"}, "kline:BTC_USDT?interval=Min60"),
        ("book", "A", {"z": "1", "a": "2"}, "book:A?a=2&z=1"),
    ],
)
def test_a_topic_is_put_together_and_taken_apart(
    channel: str, symbol: str | None, parameters: dict[str, str], topic: str
) -> None:
    assert join_topic(channel, symbol, parameters) == topic
    assert split_topic(topic) == (channel, symbol, parameters)
    assert Venue().topic(channel, symbol, **parameters) == topic


@given(NAMES, st.none() | NAMES, st.dictionaries(NAMES, NAMES, max_size=3))
def test_taking_apart_undoes_putting_together(
    channel: str, symbol: str | None, parameters: dict[str, str]
) -> None:
    assert split_topic(join_topic(channel, symbol, parameters)) == (channel, symbol, parameters)


def test_parameters_may_stand_in_the_channel() -> None:
    venue = Venue()

    assert venue.topic("kline?interval=Min60", "BTC_USDT") == "kline:BTC_USDT?interval=Min60"
    assert venue.topic("book?depth=5&speed=fast", "A", speed="slow") == "book:A?depth=5&speed=slow"
    assert venue.topic("kline:OLD?interval=1", "NEW") == "kline:NEW?interval=1"
    assert venue.topic("kline:OLD?interval=1") == "kline:OLD?interval=1"
    assert venue.checked(("kline?interval=1", "A")) == "kline:A?interval=1"


def test_what_is_no_topic_is_refused() -> None:
    for wrong in ("", "  ", None, 5, b"trade:A", ("trade",), ("trade", "A", "B"), (1, "A")):
        with pytest.raises(ConfigurationError, match=r"allowed: a str, or a pair"):
            Venue().checked(wrong)


def test_a_pair_may_have_no_symbol() -> None:
    assert Venue().checked(("trade", "A")) == "trade:A"
    assert Venue().checked(("orders", None)) == "orders"


def test_a_list_is_no_pair_but_several_topics() -> None:
    with pytest.raises(ConfigurationError, match=r"one by one, as in subscribe\(\*topics\)"):
        Venue().checked(["btcusdt@trade", "ethusdt@trade"])


def test_a_copy_differs_in_what_was_asked_for() -> None:
    heartbeat = Heartbeat(payload="hi", interval=1.0)
    venue = Venue(url="ws://a.example", rest_url="http://a.example")
    other = venue.replace(
        url=["ws://b.example", "ws://c.example"],
        rest_url="http://b.example",
        heartbeat=heartbeat,
        limits=Limits(topics_per_request=3),
    )

    assert other.urls() == ("ws://b.example", "ws://c.example")
    assert other.rest_url == "http://b.example"
    assert other.heartbeat is heartbeat
    assert other.limits.topics_per_request == 3
    assert venue.urls() == ("ws://a.example",)
    assert (venue.rest_url, venue.heartbeat, venue.limits) == ("http://a.example", None, Limits())


def test_a_copy_with_another_field_is_refused_with_what_exists() -> None:
    with pytest.raises(ConfigurationError, match=r"'urls'; did you mean 'url'.*limits"):
        Venue().replace(urls="ws://a.example")


def test_a_venue_without_a_url_says_what_to_give() -> None:
    with pytest.raises(ConfigurationError, match=r"give url="):
        Venue().urls()


def test_a_heartbeat_may_be_numbered() -> None:
    assert Heartbeat(payload="ping", interval=1.0).message(7) == "ping"
    assert Heartbeat(payload=lambda number: f"ping {number}", interval=1.0).message(7) == "ping 7"


@pytest.mark.parametrize("message", [None, [], "text", {"topic": "a"}])
def test_a_venue_that_says_nothing_else_reads_answers(message: Any) -> None:
    assert Venue().read(message) == Answer()


def test_a_subscription_covers_just_its_topic() -> None:
    assert Venue().covers("a", Data("a", "a", None, 1))
    assert not Venue().covers("a", Data("b", "b", None, 1))


def test_requests_have_to_be_written_by_each_venue() -> None:
    with pytest.raises(NotImplementedError, match=r"Venue has no subscribe"):
        Venue().subscribe(["a"], 1)
    with pytest.raises(NotImplementedError, match=r"Venue has no unsubscribe"):
        Venue().unsubscribe(["a"], 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"interval": 0.0}, "interval"),
        ({"interval": "5"}, "interval"),
        ({"timeout": 0.0}, "timeout"),
        ({"when": "never"}, "when"),
        ({"payload": {"op": "ping"}}, "payload"),
    ],
)
def test_a_heartbeat_is_checked(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{named} of Heartbeat"):
        Heartbeat(**{"payload": "ping", "interval": 1.0, **changes})
