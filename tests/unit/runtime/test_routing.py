from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from wsresilient import ConnectionConfig, Message
from wsresilient.runtime.handlers import HandlerSet
from wsresilient.runtime.lanes import Batch
from wsresilient.runtime.routing import Router
from wsresilient.runtime.subscriber import Subscriber
from wsresilient.venues import OKX


class Routed:
    """A router with its parts."""

    def __init__(self, *topics: str) -> None:
        venue = OKX("private")
        self.subscriber = Subscriber(venue, ConnectionConfig(), has_credentials=True)
        self.subscriber.subscribe(topics)
        self.handlers = HandlerSet("test")
        self.router = Router("test", self.subscriber, venue.decode, self.handlers)

    def message(self, **arg: str) -> Message:
        payload = json.dumps({"arg": arg, "data": [{"n": 1}]})
        return self.router.message(payload, Batch([payload], len(payload), 7, 99.0))


def test_a_message_knows_topic_channel_symbol_data_and_where_it_comes_from() -> None:
    message = Routed("account").message(channel="account", uid="5")

    assert (message.topic, message.channel, message.symbol) == ("account", "account", None)
    assert message.data == [{"n": 1}]
    assert message.raw["arg"]["channel"] == "account"
    assert (message.connection, message.generation, message.received_at) == ("test", 7, 99.0)


def test_a_wider_subscription_gives_its_name() -> None:
    routed = Routed("orders?instType=ANY")
    message = routed.message(channel="orders", instType="SPOT", instId="BTC-USDT", uid="5")

    assert message.topic == "orders?instType=ANY"
    assert message.symbol == "BTC-USDT"


def test_what_is_no_data_has_no_topic() -> None:
    routed = Routed("account")
    batch = Batch(['{"event":"what","x":1}'], 5, 1, 0.0)
    message = routed.router.message(str(batch.messages[0]), batch)

    assert message.topic is None
    assert message.data == message.raw == {"event": "what", "x": 1}
    assert routed.router.topic_of(str(batch.messages[0])) is None


def test_who_takes_messages_decides_what_is_unrouted() -> None:
    routed = Routed("account", "positions?instType=ANY")
    known = routed.message(channel="account")
    other = routed.message(channel="balance_and_position")
    strange = Message(data=1)
    everything = [known, other, strange]
    assert routed.router.split(everything) == ([], everything)
    assert bool(routed.router.is_needed) is False
    routed.subscriber.subscribe(["account"], print)
    assert routed.router.split(everything) == ([known], [other, strange])
    assert bool(routed.router.is_needed) is True
    routed.handlers.add("data", print)

    assert routed.router.split(everything) == ([known, other], [strange])


def test_handlers_of_a_topic_are_isolated_from_each_other() -> None:
    seen: list[Message] = []
    errors: list[Exception] = []

    def broken(_message: Message) -> None:
        raise ValueError("no")

    routed = Routed("account")
    routed.handlers.add("error", errors.append)
    routed.subscriber.subscribe(["account"], broken)
    routed.subscriber.subscribe(["account"], seen.append)
    message = routed.message(channel="account")
    routed.router.hand_to_topics(message)
    routed.router.hand_to_topics(Message(data=1, topic="other"))

    assert seen == [message]
    assert [str(error) for error in errors] == ["no"]


def test_the_age_of_a_topic_is_remembered() -> None:
    routed = Routed("account")
    assert routed.router.age("account") is None
    routed.router.note([routed.message(channel="account"), Message(data=1)])
    age: Any = routed.router.age("account")

    assert 0.0 <= age < 10.0


def test_a_long_topic_is_remembered_only_where_it_is_subscribed() -> None:
    wanted, other = (f"orders?instFamily={letter * 300}" for letter in "AB")
    routed = Routed(wanted)
    routed.router.note([Message(data=1, topic=topic) for topic in (wanted, other)])

    assert routed.router.age(wanted) is not None
    assert routed.router.age(other) is None


def test_a_venue_whose_numbers_cannot_be_read_is_told_of_once_and_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    routed = Routed("account")

    def fail(_message: Any) -> None:
        raise ValueError("no numbers here")

    monkeypatch.setattr(routed.subscriber.venue, "sequence", fail)
    messages = [routed.message(channel="account")] * 2
    with caplog.at_level(logging.ERROR):
        assert routed.router.gaps(messages) == []
        assert routed.router.gaps(messages) == []

    (record,) = caplog.records
    assert "sequence() failed" in record.getMessage()
    assert "no numbers here" in caplog.text
