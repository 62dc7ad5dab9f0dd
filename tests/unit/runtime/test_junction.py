"""What two connections bring becomes what one user gets, whoever names the messages."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from wsresilient import ConnectionConfig, Message
from wsresilient.core import takeover
from wsresilient.runtime import junction as module
from wsresilient.runtime.handlers import HandlerSet
from wsresilient.runtime.junction import SHORT, Identifier, Junction
from wsresilient.runtime.lanes import Batch
from wsresilient.runtime.routing import Router
from wsresilient.runtime.subscriber import Subscriber
from wsresilient.venues import Binance

TRADE = "btcusdt@trade"


def trade(number: int) -> str:
    data = {"e": "trade", "s": "BTCUSDT", "t": number}
    return json.dumps({"stream": TRADE, "data": data})


def venue_identifier(**key: Any) -> Identifier:
    venue = Binance()
    subscriber = Subscriber(venue, ConnectionConfig())
    subscriber.subscribe([TRADE])
    handlers = HandlerSet("feed")
    router = Router("feed", subscriber, venue.decode, handlers)
    return Identifier(router.message, venue, key.get("message_key"), handlers)


def plain_identifier(message_key: Any = None, handlers: HandlerSet | None = None) -> Identifier:
    return Identifier(plain_message, None, message_key, handlers or HandlerSet("feed"))


def plain_message(payload: Any, batch: Batch) -> Message:
    return Message(data=payload, generation=batch.generation)


def connection(generation: int) -> Any:
    return SimpleNamespace(generation=generation)


class Two:
    """A junction of two connections of which there is nothing but their numbers."""

    def __init__(self, *, max_bytes: int = 1000) -> None:
        self.old, self.new = connection(1), connection(2)
        identify = plain_identifier()
        self.counted = 0
        self.junction: Any = Junction(
            self.old, self.new, identify, count=self.count, max_bytes=max_bytes
        )
        self.got: list[Any] = []

    def count(self, messages: int) -> None:
        self.counted += messages

    def bring(self, generation: int, *payloads: str) -> None:
        batch = Batch(list(payloads), sum(map(len, payloads)), generation, float(generation))
        if generation != 2 or not self.junction.take(batch):
            self.got += self.junction.sift(batch)

    def switch(self) -> list[Batch]:
        batches: list[Batch] = self.junction.switch()
        self.got += [payload for batch in batches for payload in batch.messages]
        return batches


# Names.


def test_the_venue_names_messages_of_its_topics() -> None:
    identify = venue_identifier()

    assert identify(trade(7))[0] == TRADE
    assert identify(trade(7)) == identify(trade(7)) != identify(trade(8))


def test_what_has_no_topic_or_cannot_be_read_is_known_by_its_payload() -> None:
    identify = venue_identifier()
    other = json.dumps({"result": None, "id": 1})

    assert identify("no JSON") == ("", "no JSON")
    assert identify(b"\xff") == ("", b"\xff")
    assert identify(other) == ("", other)


def test_a_long_payload_is_not_kept() -> None:
    identify = plain_identifier()
    text = "x" * (SHORT + 1)

    topic, identity = identify(text)

    assert (topic, identity) == ("", (SHORT + 1, hash(text)))
    assert identify("x" * SHORT) == ("", "x" * SHORT)


def test_a_message_key_knows_that_it_is_called_from_here() -> None:
    handlers, inside = HandlerSet("feed"), list[bool]()

    def key(_message: Message) -> str:
        inside.append(handlers.is_calling())
        return "k"

    assert plain_identifier(key, handlers)("x") == ("", "k")
    assert inside == [True]
    assert not handlers.is_calling()


def test_a_key_of_the_users_wins_and_a_bad_one_is_left_out() -> None:
    assert venue_identifier(message_key=lambda message: message.data["t"] % 10)(trade(17)) == (
        TRADE,
        7,
    )
    plain = plain_identifier(lambda message: message.data[2:])
    assert plain("1:a") == plain("2:a") == ("", "a")
    bad_ones: list[Any] = [lambda _: 1 / 0, lambda _: [], lambda _: None, lambda _: sys.exit()]
    for bad in bad_ones:
        assert plain_identifier(bad)("text") == ("", "text")


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_key_of_the_users_may_raise_anything(error: type[BaseException]) -> None:
    def key(_message: Message) -> str:
        raise error

    assert plain_identifier(key)("a") == ("", "a")


@pytest.mark.parametrize("key", [lambda _: 1 / 0, lambda _: []])
def test_an_error_of_a_key_is_told_like_that_of_a_handler_and_once(
    key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    handlers, errors, noted = HandlerSet("feed"), list[Exception](), list[str]()
    handlers.add("error", errors.append)
    handlers.note_error = noted.append
    identify = plain_identifier(key, handlers)
    for payload in ("a", "b", "c"):
        assert identify(payload) == ("", payload)

    (error,) = errors
    assert isinstance(error, (ZeroDivisionError, TypeError))
    assert handlers.counters.callback_errors == 1
    assert "for 'message_key': " in noted[0]
    (record,) = caplog.records
    assert "'message_key' raised" in record.getMessage()


def test_what_cannot_be_decoded_is_left_to_whoever_delivers_it() -> None:
    def undecodable(payload: Any, batch: Batch) -> Message:
        raise ValueError(payload)

    handlers = HandlerSet("feed")
    identify = Identifier(undecodable, None, lambda message: message.data, handlers)

    assert identify("a") == ("", "a")
    assert handlers.counters.callback_errors == 0


def test_nothing_is_decoded_without_a_venue_or_a_key() -> None:
    def never(payload: Any, batch: Batch) -> Message:
        raise AssertionError("looked into")

    assert Identifier(never, None, None, HandlerSet("feed"))("text") == ("", "text")


# Both.


def test_the_old_one_is_delivered_and_the_new_one_held_until_the_switch() -> None:
    two = Two()
    two.bring(1, "a", "b")
    two.bring(2, "b", "c")
    two.bring(1, "c", "d")
    assert two.got == ["a", "b", "c", "d"]
    assert two.counted == 0

    two.bring(2, "d", "e")
    batches = two.switch()
    assert two.got[4:] == ["e"]
    assert [(batch.count, batch.size, batch.generation) for batch in batches] == [(1, 1, 2)]

    two.bring(2, "f", "g")
    assert two.got == list("abcdefg")
    assert two.counted == 3  # e, f and g
    assert "Junction" in repr(two.junction)


def test_what_the_old_one_was_ahead_with_is_left_out() -> None:
    two = Two()
    two.bring(2, "a")
    two.bring(1, "a", "b", "c")
    two.switch()
    two.bring(2, "b", "c", "d")

    assert two.got == list("abcd")
    assert two.counted == 1


def test_messages_of_other_connections_go_through() -> None:
    two = Two()
    two.bring(9, "late")

    assert two.got == ["late"]


def test_what_comes_while_it_is_switched_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    two = Two()
    two.bring(2, "a")
    settle = two.junction.takeover.settle

    def comes_meanwhile() -> Any:
        assert not two.junction.take(Batch(["b"], 1, 2, 0.0))
        return settle()

    monkeypatch.setattr(two.junction.takeover, "settle", comes_meanwhile)
    two.switch()
    two.bring(2, "b")

    assert two.got == ["a", "b"]


def test_a_silent_old_one_does_not_keep_the_new_one_from_being_seen() -> None:
    two = Two()
    two.bring(2, "a")
    assert two.junction.has_arrivals
    two.junction.absorb()

    assert not two.junction.has_arrivals
    two.junction.takeover.confirm(0.0)
    assert not two.junction.takeover.may_end(1.0)  # it has been looked into


def test_a_successor_that_was_given_up_is_not_heard() -> None:
    two = Two()
    two.bring(2, "a")
    two.junction.give_up()
    two.bring(2, "b")
    two.junction._identify = None  # nothing is looked into any more
    two.bring(1, "a")

    assert two.got == ["a"]
    assert not two.junction.has_arrivals


@pytest.mark.parametrize("bound", ["messages", "bytes"])
def test_more_than_can_wait_is_too_much(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if bound == "messages":
        monkeypatch.setattr(module, "MOST_HELD", 3)
    two = Two(max_bytes=1000 if bound == "messages" else 3)
    for text in "abc":
        two.bring(2, text)
    assert not two.junction.is_overrun
    two.bring(2, "d")

    assert two.junction.is_overrun
    assert not two.junction.has_arrivals


def test_large_messages_are_let_go_by_their_size() -> None:
    feed = takeover.Takeover(max_bytes=100)
    for number in range(50):
        feed.note_delivered("a", number)
        feed.hold(takeover.Held("a", number, "x" * 30, 0.0))
        assert not feed.may_end(0.0)
    for number in range(50, 60):
        feed.hold(takeover.Held("a", number, "x" * 30, 0.0))

    assert feed.may_end(0.0)
