"""Venues from a user's functions, and the one that the documentation shows."""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path
from typing import Any

import pytest

from wsresilient import Message
from wsresilient.core.credentials import Credentials
from wsresilient.core.incoming import (
    Acknowledged,
    Answer,
    Data,
    Incoming,
    LoggedIn,
    LoginRefused,
    Notice,
    Pong,
    Refused,
)
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.errors import ConfigurationError, SubscriptionError
from wsresilient.venues import Custom, Heartbeat, Limits, Rate

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "venues.rst"


def ask(topics: list[str]) -> dict[str, Any]:
    return {"op": "sub", "args": topics}


def ask_with_id(topics: list[str], request_id: int) -> dict[str, Any]:
    return {"op": "sub", "id": request_id, "args": topics}


def topic_of(message: Any) -> Any:
    return message.get("topic")


def custom(**arguments: Any) -> Custom:
    return Custom(**{"subscribe": ask, "unsubscribe": ask, "topic_of": topic_of, **arguments})


# The documentation's.


def documented() -> Custom:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    block = text.split(".. own-venue-begin")[1].split(".. own-venue-end")[0]
    code = textwrap.dedent(block.split(".. code-block:: python")[1])
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENTATION), "exec"), names)
    venue = names["acme"]
    assert isinstance(venue, Custom)
    return venue


def test_the_documented_venue_speaks() -> None:
    acme = documented()

    assert repr(acme) == "Custom('acme')"
    assert acme.urls() == ("wss://stream.acme.example/v1",)
    topic = acme.topic("trades", "BTC-USD")
    assert acme.subscribe([topic], 7) == '{"id":7,"op":"subscribe","topics":["trades:BTC-USD"]}'
    assert acme.unsubscribe([topic], 8) == '{"id":8,"op":"unsubscribe","topics":["trades:BTC-USD"]}'
    assert acme.heartbeat is not None
    assert (acme.heartbeat.message(1), acme.heartbeat.interval) == ('{"op":"ping"}', 20.0)
    assert acme.limits == Limits(
        topics_per_request=50, topics_per_connection=200, messages=Rate(5, 1.0)
    )
    with pytest.raises(ConfigurationError, match=r"unknown channel of acme 'trade'.*'trades'"):
        acme.checked("trade:BTC-USD")


@pytest.mark.parametrize(
    ("text", "incoming"),
    [
        (
            '{"topic":"trades:BTC-USD","body":[1,2]}',
            Data("trades:BTC-USD", "trades", "BTC-USD", [1, 2]),
        ),
        ('{"done":7}', Acknowledged(7)),
        (
            '{"op":"refused","topic":"trades:NOPE","reason":"no such market"}',
            Refused(topics=("trades:NOPE",), text="no such market", tag="request"),
        ),
        ('{"op":"pong"}', Pong()),
        ('{"op":"welcome"}', Answer()),
    ],
)
def test_the_documented_venue_understands(text: str, incoming: Incoming) -> None:
    acme = documented()

    assert acme.read(acme.decode(text)) == incoming


def test_the_documented_venue_lets_a_bad_topic_fail_alone() -> None:
    acme = documented()
    registry = SubscriptionRegistry(acme)
    registry.want(["trades:A", "trades:NOPE", "book:A"])
    registry.opened()
    request = registry.next_request(0.0)
    assert request is not None
    assert request.topics == ("trades:A", "trades:NOPE", "book:A")
    registry.sent(request, 0.0)

    refused = acme.read({"op": "refused", "topic": "trades:NOPE", "reason": "no such market"})
    assert isinstance(refused, Refused)
    errors = registry.refused(refused, 0.0)
    assert errors is not None
    assert [error.topic for error in errors] == ["trades:NOPE"]
    done = acme.read({"done": request.request_id})
    assert isinstance(done, Acknowledged)
    assert registry.acknowledged(done, 0.0)
    assert registry.confirmed == {"trades:A", "book:A"}


# Requests.


class Exchange:
    """Functions that are methods."""

    def ask(self, topics: list[str], request_id: int) -> dict[str, Any]:
        return ask_with_id(topics, request_id)


def keyword_only(topics: list[str], *, request_id: int) -> dict[str, Any]:
    return ask_with_id(topics, request_id)


def ask_by_name(op: str, topics: list[str], request_id: int) -> dict[str, Any]:
    return {"op": op, "id": request_id, "args": topics}


def with_an_argument_of_its_own(topics: list[str], op: str = "sub") -> dict[str, Any]:
    return {"op": op, "args": topics}


def of_any_number(*arguments: Any) -> dict[str, Any]:
    return {"op": "sub", "args": arguments[0], "given": len(arguments)}


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (ask, '{"op":"sub","args":["a"]}'),
        (ask_with_id, '{"op":"sub","id":5,"args":["a"]}'),
        (keyword_only, '{"op":"sub","id":5,"args":["a"]}'),
        (Exchange().ask, '{"op":"sub","id":5,"args":["a"]}'),
        (functools.partial(ask_by_name, "sub"), '{"op":"sub","id":5,"args":["a"]}'),
        (lambda topics, number: f"{topics[0]} {number}", "a 5"),
        (with_an_argument_of_its_own, '{"op":"sub","args":["a"]}'),
        (of_any_number, '{"op":"sub","args":["a"],"given":1}'),
    ],
)
def test_a_function_gets_the_id_if_it_wants_it(function: Any, text: str) -> None:
    assert custom(subscribe=function).subscribe(("a",), 5) == text
    assert custom(unsubscribe=function).unsubscribe(("a",), 5) == text


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ("SUB a", "SUB a"),
        (b"SUB a", "SUB a"),
        ({"a": "ü"}, '{"a":"ü"}'),
        ([{"a": 1}], '{"a":1}'),
        (("SUB a",), "SUB a"),
    ],
)
def test_a_message_may_be_text_or_an_object(made: Any, text: str) -> None:
    assert custom(subscribe=lambda topics: made).subscribe(["a"], 1) == text


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ([{"a": 1}, {"b": 2}], r"made 2 messages; a request is one.*topics_per_request=1"),
        ([], "made 0 messages"),
        (None, r"subscribe\(\) made None; allowed: a str, a dict"),
        (5, "made an int; allowed"),
        (b"\xff", "made bytes that are no UTF-8"),
        ({"a": object()}, "made a dict that is no JSON"),
        ({"a": float("nan")}, "made a dict that is no JSON"),
    ],
)
def test_what_is_no_message_is_refused(made: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        custom(subscribe=lambda topics: made).subscribe(["a"], 1)


def test_one_topic_in_a_request_unless_limits_are_given() -> None:
    assert custom().limits == Limits(topics_per_request=1)
    assert custom(limits=Limits()).limits.topics_per_request is None


# Topics.


def test_a_topic_may_be_a_str_or_a_pair() -> None:
    venue = custom(topic_of=lambda message: message)

    assert venue.read("trades:BTC") == Data("trades:BTC", "trades", "BTC", "trades:BTC")
    assert venue.read("trades") == Data("trades", "trades", None, "trades")
    assert venue.read(("trades", "BTC")) == Data("trades:BTC", "trades", "BTC", ("trades", "BTC"))
    assert venue.read(["status", None]) == Data("status", "status", None, ["status", None])
    assert venue.read(None) == Answer()


def test_a_notation_of_its_own() -> None:
    def make_topic(channel: str, symbol: str | None, depth: str = "") -> str:
        return "/".join(part for part in (channel, depth, symbol) if part)

    venue = custom(make_topic=make_topic, channels=("trades", "book"), topic_of=lambda m: m)

    assert venue.topic("book", "BTC", depth="5") == "book/5/BTC"
    assert venue.topic("book?depth=5", "BTC") == "book/5/BTC"
    assert venue.topic("book:BTC?depth=5") == "book/5/BTC"
    assert venue.checked(("trades", "BTC")) == "trades/BTC"
    assert venue.checked("book/5/BTC") == "book/5/BTC"
    assert venue.read(("trades", "BTC")) == Data("trades/BTC", "trades", "BTC", ("trades", "BTC"))
    assert venue.read("trades/a:b") == Data("trades/a:b", "trades/a:b", None, "trades/a:b")
    with pytest.raises(ConfigurationError, match=r"unknown channel of custom 'deals'"):
        venue.topic("deals", "BTC")
    with pytest.raises(ConfigurationError, match=r"make_topic\(\) returned is None"):
        custom(make_topic=lambda channel, symbol: None).topic("a", "b")


def test_channels_are_checked_where_they_are_known() -> None:
    venue = custom(channels=["trades", "kline_"])

    assert venue.checked("trades:BTC") == "trades:BTC"
    assert venue.checked(("kline_1m", "BTC")) == "kline_1m:BTC"
    for wrong in ("trade:BTC", ("tradesX", "BTC"), "kline:BTC"):
        with pytest.raises(ConfigurationError, match=r"Known: kline_, trades"):
            venue.checked(wrong)
    assert custom().checked("anything:BTC") == "anything:BTC"


@pytest.mark.parametrize("topic", [5, "", ("a",), ("a", "b", "c"), (1, "b"), ("a", 2), {"a": 1}])
def test_what_is_no_topic_raises(topic: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"what topic_of\(\) returned is"):
        custom(topic_of=lambda message: topic).read({})


def test_data_may_have_an_envelope() -> None:
    venue = custom(data_of=lambda message: message["body"])

    assert venue.read({"topic": "a", "body": 1}) == Data("a", "a", None, 1)
    assert venue.read({"other": 1}) == Answer()


# Answers.


@pytest.mark.parametrize(
    ("returned", "incoming"),
    [
        (None, Answer()),
        (False, Answer()),
        ([], Answer()),
        (True, Acknowledged(tag="request")),
        (7, Acknowledged(7)),
        ("7", Acknowledged(7)),
        ("trades:BTC", Acknowledged(topics=("trades:BTC",))),
        (["a", "b"], Acknowledged(topics=("a", "b"))),
        (("a", "b"), Acknowledged(topics=("a", "b"))),
        (
            SubscriptionError("no such market", topic="a", code=4),
            Refused(topics=("a",), code=4, text="no such market", tag="request"),
        ),
        (SubscriptionError("too many"), Refused(text="too many", tag="request")),
        (Notice("bye", reconnect=True), Notice("bye", reconnect=True)),
        (Refused(7, temporary=True), Refused(7, temporary=True)),
    ],
)
def test_what_ack_of_may_return(returned: Any, incoming: Incoming) -> None:
    venue = custom(subscribe=ask_with_id, ack_of=lambda message: returned)

    assert venue.acknowledges
    assert venue.read({}) == incoming


def test_a_number_is_a_topic_where_there_are_no_ids() -> None:
    assert custom(ack_of=lambda message: "7").read({}) == Acknowledged(topics=("7",))


@pytest.mark.parametrize("returned", [1.5, {"a": 1}, ["a", 1], object()])
def test_what_ack_of_must_not_return(returned: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"what ack_of\(\) returned is"):
        custom(ack_of=lambda message: returned).read({})


def test_without_ack_of_what_was_sent_is_confirmed() -> None:
    venue = custom()
    registry = SubscriptionRegistry(venue)
    registry.want(["a"])
    registry.opened()
    request = registry.next_request(0.0)
    assert request is not None
    registry.sent(request, 0.0)

    assert not venue.acknowledges
    assert registry.confirmed == {"a"}


def test_an_answer_that_names_nothing_is_for_the_oldest_request() -> None:
    def ack_of(message: Any) -> Any:
        return SubscriptionError("full") if message == "no" else message == "yes"

    venue = custom(ack_of=ack_of, topic_of=lambda message: None)
    registry = SubscriptionRegistry(venue)
    registry.want(["a", "b"])
    registry.opened()
    while (request := registry.next_request(0.0)) is not None:
        registry.sent(request, 0.0)

    yes, no = venue.read("yes"), venue.read("no")
    assert isinstance(yes, Acknowledged)
    assert isinstance(no, Refused)
    assert registry.acknowledged(yes, 0.0)
    errors = registry.refused(no, 0.0)
    assert registry.confirmed == {"a"}
    assert errors is not None
    assert [error.topic for error in errors] == ["b"]


def test_what_a_function_raises_comes_out() -> None:
    def fails(message: Any) -> Any:
        raise KeyError("topic")

    with pytest.raises(KeyError):
        custom(topic_of=fails).read({})
    with pytest.raises(KeyError):
        custom(ack_of=fails).read({})
    with pytest.raises(ValueError, match=r"."):
        custom().decode("no JSON")


def test_a_decoder_of_its_own() -> None:
    venue = custom(decode=lambda payload: {"topic": payload})

    assert venue.read(venue.decode("a")) == Data("a", "a", None, {"topic": "a"})


def test_requests_of_a_user_get_an_id_where_a_field_is_named() -> None:
    venue = custom(id_field="id")

    assert venue.with_id({"op": "time"}, 3) == ({"id": 3, "op": "time"}, 3)
    assert venue.with_id({"op": "time", "id": "x"}, 3) == ({"op": "time", "id": "x"}, "x")
    assert venue.read({"id": 3, "time": 1}) == Answer(3)
    assert venue.answer_id({"id": [3]}) is None
    assert venue.answer_id("text") is None
    assert custom().with_id({"op": "time"}, 3) == ({"op": "time"}, None)


# Heartbeat and login.


@pytest.mark.parametrize(
    ("heartbeat", "text"),
    [
        (("ping", 5.0), "ping"),
        (({"op": "ping"}, 5), '{"op":"ping"}'),
        ((lambda number: f"ping {number}", 5.0), "ping 3"),
        ((lambda number: {"ping": number}, 5.0), '{"ping":3}'),
        (Heartbeat(payload="hello", interval=5.0, when="silent"), "hello"),
    ],
)
def test_a_heartbeat(heartbeat: Any, text: str) -> None:
    made = custom(heartbeat=heartbeat).heartbeat

    assert made is not None
    assert (made.message(3), made.interval) == (text, 5.0)
    assert custom().heartbeat is None


def test_a_pong_may_be_a_text_or_told_by_a_function() -> None:
    by_text = custom(pong="pong")
    assert by_text.read(by_text.decode("pong")) == Pong()
    assert by_text.read(by_text.decode(b"pong")) == Pong()
    assert by_text.read(by_text.decode('{"topic":"a"}')) == Data("a", "a", None, {"topic": "a"})
    by_function = custom(pong=lambda message: "pong" in message)
    assert by_function.read({"pong": 1}) == Pong()
    assert by_function.read({}) == Answer()


def test_a_pong_may_answer_a_request_as_other_answers_do() -> None:
    venue = custom(pong=lambda message: message["type"] == "pong", id_field="id")

    assert venue.answer_id({"type": "pong", "id": 7}) == 7
    assert venue.answer_id({"type": "result", "id": 7}) == 7
    assert venue.with_id({"op": "ask"}, 7) == ({"id": 7, "op": "ask"}, 7)


def test_a_login_is_made_anew_each_time() -> None:
    def login(credentials: Credentials, now: float) -> dict[str, Any]:
        return {"key": credentials.api_key, "sign": credentials.hex_signature(str(now))[:4]}

    venue = custom(login=login, login_of=lambda message: message.get("login"))
    credentials = Credentials("key", "secret")

    assert venue.needs_login()
    # printf '%s' 1.5 | openssl dgst -sha256 -hmac secret
    assert venue.login(credentials, 1.5) == '{"key":"key","sign":"904b"}'
    assert venue.login(credentials, 2.5) != venue.login(credentials, 1.5)
    assert not custom().needs_login()
    assert custom().login(credentials, 1.5) is None


def test_no_text_shows_what_a_login_made() -> None:
    def login(credentials: Credentials, now: float) -> Any:
        return {"topsecret"}

    with pytest.raises(ConfigurationError) as caught:
        custom(login=login, login_of=bool).login(Credentials("key", "topsecret"), 1.0)
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("returned", "incoming"),
    [
        (True, LoggedIn()),
        ("wrong key", LoginRefused(text="wrong key", final=True)),
        (LoginRefused(text="busy", final=False), LoginRefused(text="busy", final=False)),
        (None, Answer()),
        (False, Answer()),
    ],
)
def test_what_login_of_may_return(returned: Any, incoming: Incoming) -> None:
    venue = custom(login=lambda credentials, now: "in", login_of=lambda message: returned)

    assert venue.read({}) == incoming
    with pytest.raises(ConfigurationError, match=r"what login_of\(\) returned is 5"):
        custom(login=lambda c, now: "in", login_of=lambda message: 5).read({})


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"subscribe": None}, "subscribe is None; allowed: a function"),
        ({"unsubscribe": "x"}, "unsubscribe is 'x'; allowed: a function"),
        ({"topic_of": 5}, "topic_of is 5; allowed: a function"),
        ({"ack_of": "x"}, "ack_of is 'x'; allowed: a function"),
        ({"decode": 5}, "decode is 5"),
        ({"heartbeat": "ping"}, "heartbeat is 'ping'; allowed: a Heartbeat, a pair"),
        ({"heartbeat": ("ping", 0)}, "interval of heartbeat is 0"),
        ({"heartbeat": (5, 1.0)}, "heartbeat made an int; allowed: a str"),
        ({"pong": 5}, "pong is 5"),
        ({"login": lambda credentials, now: ""}, "login_of is missing"),
        ({"login_of": lambda message: True}, "login is missing"),
        ({"channels": "trades"}, "channels is 'trades'; allowed: several names"),
        ({"channels": [""]}, "channels is"),
        ({"settings": {"stale": 1}}, "unknown setting 'stale'; did you mean 'stale_after'"),
        ({"settings": {"stale_after": -1}}, "stale_after is -1"),
        ({"settings": [1]}, r"settings is \[1\]"),
        ({"name": ""}, "name is ''"),
        ({"id_field": 5}, "id_field is 5"),
    ],
)
def test_a_wrong_argument_is_told_at_once(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        custom(**arguments)


def test_settings_and_urls_are_its_own() -> None:
    venue = custom(settings={"stale_after": 5.0}, url=["ws://a", "ws://b"], rest_url="http://c")

    assert venue.settings == {"stale_after": 5.0}
    assert venue.urls() == ("ws://a", "ws://b")
    assert venue.rest_url == "http://c"
    assert venue.replace(url="ws://d").urls() == ("ws://d",)
    assert custom().settings == {}
    with pytest.raises(ConfigurationError, match=r"Custom\('custom'\) has no URL; give url="):
        custom().urls()


def test_a_subclass_says_what_functions_cannot() -> None:
    class Numbered(Custom):
        def identity(self, message: Any) -> Any:
            return message.raw["number"]

    venue = Numbered(ask, ask, topic_of)

    assert venue.subscribe(["a"], 1) == '{"op":"sub","args":["a"]}'
    assert venue.identity(Message(data=None, raw={"number": 4})) == 4
