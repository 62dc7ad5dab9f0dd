"""The fake Bybit as a client sees it, over real sockets."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from wsresilient.core.credentials import Credentials
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.testing.limits import Limit

from .venue_peers import VenuePeer, get_json, opened

TRADES, OTHER_TRADES = "publicTrade.BTCUSDT", "publicTrade.ETHUSDT"
BOOK = "orderbook.50.BTCUSDT"
CREDENTIALS = Credentials("the-key", "the-secret")
PING = {"op": "ping"}


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("bybit", rate=500.0, credentials=CREDENTIALS) as exchange:
        yield exchange


def connect(exchange: FakeExchange, path: str = "") -> AbstractContextManager[VenuePeer]:
    url = f"{exchange.base_url}{path}" if path else exchange.url
    return opened(url, lambda message: "topic" in message)


def subscribe(*topics: str, request_id: str = "1") -> dict[str, Any]:
    return {"req_id": request_id, "op": "subscribe", "args": list(topics)}


def unsubscribe(*topics: str) -> dict[str, Any]:
    return {"req_id": "u", "op": "unsubscribe", "args": list(topics)}


# Topics.


def test_subscribe_and_unsubscribe(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        assert client.ask(subscribe(TRADES, OTHER_TRADES, request_id="7"))["req_id"] == "7"
        assert {m["topic"] for m in client.data(10)} == {TRADES, OTHER_TRADES}
        assert exchange.subscriptions == {TRADES: 1, OTHER_TRADES: 1}

        assert client.ask(unsubscribe(TRADES))["success"] is True
        assert {m["topic"] for m in client.data(10)} == {OTHER_TRADES}
        assert exchange.subscriptions == {OTHER_TRADES: 1}

    wait_until(lambda: exchange.subscriptions == {})


def test_trades_are_numbered_without_a_hole(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.ask(subscribe(TRADES))

        numbers = [trade["seq"] for message in client.data(30) for trade in message["data"]]

    assert numbers == list(range(numbers[0], numbers[0] + 30))


@pytest.mark.parametrize("bad", ["orderbook.7.BTCUSDT", "publicTrade.NOPE"])
def test_one_bad_topic_fails_the_whole_request(exchange: FakeExchange, bad: str) -> None:
    with connect(exchange) as client:
        refused = client.ask(subscribe(TRADES, bad))

        assert refused["success"] is False
        assert bad in refused["ret_msg"]
        assert exchange.subscriptions == {}


def test_what_is_subscribed_already_fails_its_request(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.ask(subscribe(TRADES))

        refused = client.ask(subscribe(OTHER_TRADES, TRADES))

        assert refused["ret_msg"] == f"error:already subscribed,topic:{TRADES}"
        assert exchange.subscriptions == {TRADES: 1}


def test_a_topic_can_be_refused_on_demand(exchange: FakeExchange) -> None:
    exchange.refuse_topic(TRADES)
    with connect(exchange) as client:
        assert client.ask(subscribe(TRADES))["success"] is False

        exchange.permit_topic(TRADES)
        assert client.ask(subscribe(TRADES))["success"] is True


# Data.


def apply(book: dict[str, dict[str, str]], data: dict[str, Any]) -> None:
    for side in ("b", "a"):
        for price, size in data[side]:
            book[side].pop(price, None)
            if size != "0":
                book[side][price] = size


def test_an_order_book_begins_with_a_snapshot_and_becomes_that_of_rest(
    exchange: FakeExchange,
) -> None:
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    with connect(exchange) as client:
        # Another client has the topic already, so that this one comes in the middle.
        with connect(exchange) as other:
            other.ask(subscribe(BOOK))
            other.data(10)
            client.ask(subscribe(BOOK))
            messages = client.data(30)
        exchange.stop_feed()
        messages += client.data_before(PING)
    url = f"{exchange.rest_url}/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=50"
    _, answer = get_json(url)

    kinds = [message["type"] for message in messages]
    assert kinds == ["snapshot"] + ["delta"] * (len(messages) - 1)
    updates = [message["data"]["u"] for message in messages]
    assert updates == list(range(updates[0], updates[0] + len(updates)))
    for message in messages:
        apply(book, message["data"])
    assert messages[-1]["data"]["seq"] == answer["result"]["seq"]
    assert book["b"] == dict(answer["result"]["b"])
    assert book["a"] == dict(answer["result"]["a"])


def test_level_1_is_told_again_with_the_number_that_it_had(exchange: FakeExchange) -> None:
    topic = "orderbook.1.BTCUSDT"
    with connect(exchange) as client:
        client.ask(subscribe(topic))
        messages = client.data(20)

    assert {message["type"] for message in messages} == {"snapshot"}
    steps = [b["data"]["u"] - a["data"]["u"] for a, b in itertools.pairwise(messages)]
    assert set(steps) == {0, 1}
    same = [p for p, step in zip(itertools.pairwise(messages), steps, strict=True) if step == 0]
    assert all(a["data"] == b["data"] for a, b in same)


def test_a_ticker_is_complete_at_first_and_then_what_has_changed(exchange: FakeExchange) -> None:
    topic = "tickers.BTCUSDT"
    with connect(exchange) as client, connect(exchange, "/v5/public/spot") as spot:
        client.ask(subscribe(topic))
        first, *others = client.data(5)
        spot.ask(subscribe(topic))
        on_spot = spot.data(5)

    assert first["type"] == "snapshot"
    assert "fundingRate" in first["data"]
    assert {message["type"] for message in others} == {"delta"}
    assert all("fundingRate" not in message["data"] for message in others)
    numbers = [message["cs"] for message in (first, *others)]
    assert numbers == sorted(set(numbers))
    assert {message["type"] for message in on_spot} == {"snapshot"}


def test_candles(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.ask(subscribe("kline.1.BTCUSDT", "kline.D.BTCUSDT"))
        messages = client.data(10)

    intervals = {message["topic"]: message["data"][0]["interval"] for message in messages}
    assert intervals == {"kline.1.BTCUSDT": "1", "kline.D.BTCUSDT": "D"}


@pytest.mark.parametrize(
    ("market", "symbol"),
    [("linear", "BTCUSDT"), ("spot", "BTCUSDT"), ("inverse", "BTCUSD")],
)
def test_each_market_has_an_exchange(market: str, symbol: str) -> None:
    with FakeExchange(f"bybit-{market}", rate=500.0) as exchange, connect(exchange) as client:
        assert exchange.url.endswith(f"/v5/public/{market}")
        assert client.ask(subscribe(f"publicTrade.{symbol}"))["success"] is True
        assert client.data(1)[0]["data"][0]["s"] == symbol


def test_options_name_the_topics_in_their_answer() -> None:
    with FakeExchange("bybit-option", rate=500.0) as exchange, connect(exchange) as client:
        good, bad = f"tickers.{exchange.symbols[0]}", "tickers.NOPE"

        answer = client.ask(subscribe(good, bad))

        assert answer["type"] == "COMMAND_RESP"
        assert answer["data"] == {"failTopics": [bad], "successTopics": [good]}
        assert {message["topic"] for message in client.data(5)} == {good}


# Limits and heartbeats.


def test_spot_takes_ten_topics_in_a_request() -> None:
    symbols = [f"S{number}USDT" for number in range(11)]
    with FakeExchange("bybit-spot", symbols=symbols) as exchange, connect(exchange) as client:
        topics = [f"publicTrade.{symbol}" for symbol in symbols]

        refused = client.ask(subscribe(*topics))

        assert (refused["success"], refused["ret_msg"]) == (False, "args size >10")
        assert exchange.subscriptions == {}
        assert client.ask(subscribe(*topics[:10]))["success"] is True
        assert client.ask(subscribe(topics[10]))["success"] is True
        assert [violation.what for violation in exchange.violations] == [Limit.REQUEST_TOPICS]


def test_all_topics_of_a_connection_have_so_many_characters(exchange: FakeExchange) -> None:
    exchange.change_limits(max_topics_size=2 * len(TRADES))
    with connect(exchange) as client:
        assert client.ask(subscribe(TRADES, OTHER_TRADES))["success"] is True

        assert client.ask(subscribe("publicTrade.XRPUSDT"))["success"] is False
        client.ask(unsubscribe(TRADES))
        assert client.ask(subscribe("publicTrade.XRPUSDT"))["success"] is True
    assert [violation.what for violation in exchange.violations] == [Limit.TOPICS_SIZE]


def test_connections_beyond_the_limit_are_refused() -> None:
    with (
        FakeExchange("bybit", max_connections=1) as exchange,
        connect(exchange),
        connect(exchange, "/v5/private"),
    ):
        with pytest.raises(InvalidStatus) as refused, connect(exchange):
            pass

        assert refused.value.response.status_code == 429
        assert [violation.what for violation in exchange.violations] == [Limit.CONNECTIONS]


def test_who_is_silent_is_cut_and_who_pings_is_not() -> None:
    with (
        FakeExchange("bybit", idle_limit=1.0) as exchange,
        connect(exchange) as silent,
        connect(exchange) as lively,
    ):
        while exchange.connection_count == 2:
            assert lively.ask({"req_id": "9", "op": "ping"})["ret_msg"] == "pong"

        assert silent.end().rcvd is None
        assert lively.ask({"op": "ping"})["op"] == "ping"
        assert [(v.connection, v.what) for v in exchange.violations] == [(1, Limit.IDLE)]


# Logins.


def login(
    *, expires: int | None = None, key: str = "the-key", secret: str = "the-secret"
) -> dict[str, Any]:
    if expires is None:
        expires = int(time.time() * 1000) + 10_000
    text = f"GET/realtime{expires}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"req_id": "10001", "op": "auth", "args": [key, expires, signature]}


def test_private_data_after_a_login(exchange: FakeExchange) -> None:
    with connect(exchange, "/v5/private") as client, connect(exchange, "/v5/private") as stranger:
        assert client.ask(subscribe("order"))["ret_msg"] == "Request not authorized"
        assert client.ask(login())["success"] is True
        assert client.ask(subscribe("order"))["success"] is True
        assert stranger.ask(subscribe("order"))["success"] is False

        assert exchange.push_private("order", {"orderId": "5cf98598", "symbol": "ETHUSDT"}) == 1
        assert exchange.push_private("wallet", {}) == 0

        (message,) = client.data(1)
        assert message["topic"] == "order"
        assert message["data"] == [{"orderId": "5cf98598", "symbol": "ETHUSDT"}]
        assert client.data_before(PING) == stranger.data_before(PING) == []


@pytest.mark.parametrize(
    ("attempt", "code"),
    [
        (login(key="another"), 10003),
        (login(secret="wrong"), 10004),
        (login(expires=1_672_304_484_978), 10002),
    ],
)
def test_a_login_that_is_wrong(exchange: FakeExchange, attempt: dict[str, Any], code: int) -> None:
    with connect(exchange, "/v5/private") as client:
        answer = client.ask(attempt)

        assert (answer["op"], answer["success"]) == ("auth", False)
        assert answer["ret_msg"]
        assert client.ask(subscribe("order"))["ret_msg"] == "Request not authorized"
        assert [each.code for each in exchange.logins] == [code]


def test_a_clock_that_is_ahead_makes_a_login_expire(exchange: FakeExchange) -> None:
    exchange.shift_clock(60.0)
    with connect(exchange, "/v5/private") as client:
        assert client.ask(login())["success"] is False

        exchange.shift_clock(0.0)
        assert client.ask(login())["success"] is True


def test_logins_can_be_rejected_on_demand(exchange: FakeExchange) -> None:
    exchange.reject_logins()
    with connect(exchange, "/v5/private") as client:
        assert client.ask(login())["ret_msg"] == "Invalid apikey"


# REST.


def test_rest(exchange: FakeExchange) -> None:
    base = f"{exchange.rest_url}/v5/market"

    _, tickers = get_json(f"{base}/tickers?category=linear")
    status, error = get_json(f"{base}/tickers?category=linear&symbol=NOPE")
    missing, _ = get_json(f"{base}/nothing")

    assert [each["symbol"] for each in tickers["result"]["list"]] == list(exchange.symbols)
    assert (status, error["retCode"], missing) == (200, 10001, 404)
    assert [each.path for each in exchange.rest_requests] == [
        "/v5/market/tickers",
        "/v5/market/tickers",
        "/v5/market/nothing",
    ]


def test_rest_tells_the_trades_of_the_stream(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.ask(subscribe(TRADES))
        messages = client.data(20)
        exchange.stop_feed()
        messages += client.data_before(PING)
    url = f"{exchange.rest_url}/v5/market/recent-trade?category=linear&symbol=BTCUSDT&limit=5"

    _, answer = get_json(url)

    streamed = [(trade["i"], trade["p"]) for message in messages for trade in message["data"]]
    assert [(trade["execId"], trade["price"]) for trade in answer["result"]["list"]] == streamed[
        :-6:-1
    ]
