"""The fake MEXC futures as a client sees them, over real sockets."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from wsresilient.core.credentials import Credentials
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.testing.limits import Limit

from .venue_peers import VenuePeer, get_json, opened

CREDENTIALS = Credentials("the-key", "the-secret")
PING = {"method": "ping"}


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("mexc", rate=500.0, credentials=CREDENTIALS) as exchange:
        yield exchange


def connect(exchange: FakeExchange) -> AbstractContextManager[VenuePeer]:
    return opened(exchange.url, lambda message: message["channel"].startswith("push."))


def request(method: str, symbol: str | None = None, **parameters: Any) -> dict[str, Any]:
    if symbol is not None:
        parameters["symbol"] = symbol
    return {"method": method, "param": parameters}


def is_success(answer: Any, method: str) -> bool:
    assert isinstance(answer.pop("ts"), int)
    return bool(answer == {"channel": f"rs.{method}", "data": "success"})


# Topics.


def test_subscribe_and_unsubscribe(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        assert is_success(client.ask(request("sub.deal", "BTC_USDT")), "sub.deal")
        assert is_success(client.ask(request("sub.deal", "ETH_USDT")), "sub.deal")
        assert {m["symbol"] for m in client.data(10)} == {"BTC_USDT", "ETH_USDT"}
        assert exchange.subscriptions == {"deal:BTC_USDT": 1, "deal:ETH_USDT": 1}

        assert is_success(client.ask(request("unsub.deal", "BTC_USDT")), "unsub.deal")
        assert {m["symbol"] for m in client.data(10)} == {"ETH_USDT"}
        assert exchange.subscriptions == {"deal:ETH_USDT": 1}

    wait_until(lambda: exchange.subscriptions == {})


def test_subscribing_twice_is_acknowledged_twice_and_gives_nothing_twice(
    exchange: FakeExchange,
) -> None:
    with connect(exchange) as client:
        for _ in range(2):
            assert is_success(client.ask(request("sub.deal", "BTC_USDT")), "sub.deal")

        deals = [deal["i"] for message in client.data(30) for deal in message["data"]]

    assert deals == list(range(deals[0], deals[0] + 30))


def test_an_unknown_contract_is_named_in_a_text_only(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        refused = client.ask(request("sub.deal", "NOPE_USDT"))

        assert (refused["channel"], refused["data"]) == (
            "rs.error",
            "Contract [NOPE_USDT] not exists",
        )
        assert exchange.subscriptions == {}


def test_an_unknown_method_gets_no_answer(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.send(request("sub.nothing", "BTC_USDT"))

        # Nothing comes before the pong.
        assert client.ask(PING)["channel"] == "pong"
        assert client.data_before(PING) == []


def test_all_candles_of_a_symbol_are_ended_at_once(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        for symbol, interval in [("BTC_USDT", "Min1"), ("BTC_USDT", "Day1"), ("ETH_USDT", "Min1")]:
            client.ask(request("sub.kline", symbol, interval=interval))
        assert len(exchange.subscriptions) == 3

        assert is_success(client.ask(request("unsub.kline", "BTC_USDT")), "unsub.kline")

        assert exchange.subscriptions == {"kline:ETH_USDT?interval=Min1": 1}


def test_a_topic_can_be_refused_and_an_answer_lost_on_demand(exchange: FakeExchange) -> None:
    exchange.refuse_topic("deal:BTC_USDT")
    exchange.lose_next_ack(topic="deal:ETH_USDT")
    with connect(exchange) as client:
        assert client.ask(request("sub.deal", "BTC_USDT"))["channel"] == "rs.error"

        client.send(request("sub.deal", "ETH_USDT"))
        assert client.data(1)[0]["symbol"] == "ETH_USDT"


# Data.


@pytest.mark.parametrize(
    ("method", "parameters", "channel"),
    [
        ("ticker", {"symbol": "BTC_USDT"}, "push.ticker"),
        ("kline", {"symbol": "BTC_USDT", "interval": "Min60"}, "push.kline"),
        ("depth.full", {"symbol": "BTC_USDT", "limit": 5}, "push.depth.full"),
        ("fair.price", {"symbol": "BTC_USDT"}, "push.fair.price"),
        ("index.price", {"symbol": "BTC_USDT"}, "push.index.price"),
        ("funding.rate", {"symbol": "BTC_USDT"}, "push.funding.rate"),
    ],
)
def test_channels(
    exchange: FakeExchange, method: str, parameters: dict[str, Any], channel: str
) -> None:
    with connect(exchange) as client:
        client.ask({"method": f"sub.{method}", "param": parameters})

        messages = client.data(3)

    assert {(m["channel"], m["symbol"]) for m in messages} == {(channel, "BTC_USDT")}


def test_tickers_of_all_symbols(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.ask(request("sub.tickers"))

        messages = client.data(len(exchange.symbols))

    assert {each["symbol"] for m in messages for each in m["data"]} == set(exchange.symbols)


Sides = dict[str, dict[float, int]]


def apply(book: Sides, data: dict[str, Any]) -> None:
    for side in ("bids", "asks"):
        for price, size, _ in data[side]:
            book[side].pop(price, None)
            if size:
                book[side][price] = size


def as_sides(data: dict[str, Any]) -> Sides:
    book: Sides = {"bids": {}, "asks": {}}
    apply(book, data)
    return book


@pytest.mark.parametrize("more", [{}, {"compress": False}], ids=["merged", "single"])
def test_an_order_book_from_rest_is_kept_up_to_date(
    exchange: FakeExchange, more: dict[str, Any]
) -> None:
    url = f"{exchange.rest_url}/api/v1/contract/depth/BTC_USDT?limit=1000"
    with connect(exchange) as client:
        client.ask(request("sub.depth", "BTC_USDT", **more))
        changes = [message["data"] for message in client.data(5)]
        _, seed = get_json(url)
        while changes[-1]["version"] < seed["data"]["version"] + 30:
            changes += [message["data"] for message in client.data(1)]
        exchange.stop_feed()
        changes += [message["data"] for message in client.data_before(PING)]
    _, last = get_json(url)

    assert all(("begin" in change) == (more == {}) for change in changes)
    spans = [(change.get("begin", change["version"]), change["version"]) for change in changes]
    assert all(b[0] == a[1] + 1 for a, b in itertools.pairwise(spans))
    book, version = as_sides(seed["data"]), seed["data"]["version"]
    new = [change for change in changes if change["version"] > version]
    assert new[0].get("begin", new[0]["version"]) <= version + 1
    for change in new:
        apply(book, change)
    assert changes[-1]["version"] == last["data"]["version"]
    assert book == as_sides(last["data"])


# Limits and heartbeats.


def test_only_a_ping_keeps_a_connection() -> None:
    with (
        FakeExchange("mexc", rate=500.0, idle_limit=1.0) as exchange,
        connect(exchange) as flooded,
        connect(exchange) as lively,
    ):
        flooded.ask(request("sub.deal", "BTC_USDT"))
        while exchange.connection_count == 2:
            assert lively.ask(PING)["channel"] == "pong"

        assert flooded.end().rcvd is None
        assert exchange.sent_count > 100
        assert lively.ask(PING)["channel"] == "pong"
        assert [(v.connection, v.what) for v in exchange.violations] == [(1, Limit.IDLE)]


def test_a_connection_has_a_hundred_topics() -> None:
    symbols = [f"S{number}_USDT" for number in range(101)]
    with FakeExchange("mexc", symbols=symbols) as exchange, connect(exchange) as client:
        for symbol in symbols[:100]:
            assert is_success(client.ask(request("sub.deal", symbol)), "sub.deal")

        assert client.ask(request("sub.deal", symbols[100]))["channel"] == "rs.error"
        assert len(exchange.subscriptions) == 100
        assert [violation.what for violation in exchange.violations] == [Limit.TOPICS]

        client.ask(request("unsub.deal", symbols[0]))
        assert is_success(client.ask(request("sub.deal", symbols[100])), "sub.deal")


def test_an_address_has_ten_connections(exchange: FakeExchange) -> None:
    with ExitStack() as clients:
        for _ in range(10):
            clients.enter_context(connect(exchange))

        with pytest.raises(InvalidStatus) as refused:
            clients.enter_context(connect(exchange))

        assert refused.value.response.status_code == 429
        assert [violation.what for violation in exchange.violations] == [Limit.CONNECTIONS]
    wait_until(lambda: exchange.connection_count == 0)
    with connect(exchange) as client:
        assert client.ask(PING)["channel"] == "pong"


# Logins and private data.


def login(
    *, at: int | None = None, key: str = "the-key", secret: str = "the-secret", **more: Any
) -> dict[str, Any]:
    asked_at = str(int(time.time() * 1000) if at is None else at)
    text = f"{key}{asked_at}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    parameters = {"apiKey": key, "reqTime": asked_at, "signature": signature}
    return {"method": "login", "param": parameters, **more}


ORDER = {"symbol": "BTC_USDT", "orderId": "102067003631907840", "state": 3}


def test_after_a_login_all_private_data_comes(exchange: FakeExchange) -> None:
    with connect(exchange) as client, connect(exchange) as stranger:
        assert is_success(client.ask(login()), "login")

        assert exchange.push_private("personal.order", ORDER) == 1
        assert exchange.push_private("personal.asset", {"currency": "USDT"}) == 1

        order, asset = client.data(2)
        assert (order["channel"], order["data"]) == ("push.personal.order", ORDER)
        assert asset["channel"] == "push.personal.asset"
        assert stranger.data_before(PING) == []


def test_private_data_can_be_filtered(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        assert is_success(client.ask(login(subscribe=False)), "login")
        assert exchange.push_private("personal.order", ORDER) == 0

        wanted = [{"filter": "order", "rules": ["BTC_USDT"]}, {"filter": "position"}]
        assert is_success(client.ask(request("personal.filter", filters=wanted)), "personal.filter")
        assert exchange.push_private("personal.order", ORDER) == 1
        assert exchange.push_private("personal.order", {**ORDER, "symbol": "ETH_USDT"}) == 0
        assert exchange.push_private("personal.position", {"symbol": "ETH_USDT"}) == 1
        assert exchange.push_private("personal.asset", {"currency": "USDT"}) == 0


@pytest.mark.parametrize(
    ("attempt", "code"),
    [
        (login(key="another"), 401),
        (login(secret="wrong"), 602),
        (login(at=1_611_038_237_237), 513),
    ],
)
def test_a_login_that_is_wrong(exchange: FakeExchange, attempt: dict[str, Any], code: int) -> None:
    with connect(exchange) as client:
        assert client.ask(attempt)["channel"] == "rs.error"

        assert exchange.push_private("personal.order", ORDER) == 0
        assert [each.code for each in exchange.logins] == [code]


# REST.


def test_rest(exchange: FakeExchange) -> None:
    base = f"{exchange.rest_url}/api/v1/contract"

    _, tickers = get_json(f"{base}/ticker")
    status, error = get_json(f"{base}/depth/NOPE_USDT")
    missing, _ = get_json(f"{base}/nothing")

    assert [each["symbol"] for each in tickers["data"]] == list(exchange.symbols)
    assert (status, error["success"], error["code"], missing) == (200, False, 1001, 404)


def test_rest_tells_the_deals_of_the_stream(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.ask(request("sub.deal", "BTC_USDT"))
        messages = client.data(20)
        exchange.stop_feed()
        messages += client.data_before(PING)
    streamed = [deal for message in messages for deal in message["data"]]

    _, answer = get_json(f"{exchange.rest_url}/api/v1/contract/deals/BTC_USDT?limit=10")

    names = ("p", "v", "T", "t")
    assert [[deal[name] for name in names] for deal in answer["data"]] == [
        [deal[name] for name in names] for deal in streamed[:-11:-1]
    ]
