"""How the fake exchange speaks Bybit v5. What is expected is copied from the documentation."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import (
    SILENT,
    Depth,
    Kind,
    Kline,
    Mark,
    Quote,
    Stream,
    Ticker,
    Trade,
)
from wsresilient.testing.formats.base import (
    Action,
    Close,
    Heartbeat,
    Login,
    Refusal,
    Reply,
    Session,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.formats.bybit import BybitFormat
from wsresilient.testing.limits import Limit, Rate

BYBIT = BybitFormat()
NOW = 1672916271846
PUBLIC_ID = "3cd84cb1-4d06-4a05-930a-000000000007"
PRIVATE_ID = "cejreasp000000000007-2m"
CREDENTIALS = Credentials("the-key", "the-secret")


def session(route: str = "linear", *topics: str, is_logged_in: bool = False) -> Session:
    return Session(
        route,
        route=route,
        connection=7,
        subscribed=dict.fromkeys(topics),
        is_logged_in=is_logged_in,
        now=NOW,
    )


def parse(message: object, at: Session | None = None) -> Action:
    text = message if isinstance(message, (str, bytes)) else json.dumps(message)
    (action,) = BYBIT.parse(text, at or session())
    return action


def answered(
    request: Subscribe | Unsubscribe, at: Session, refused: dict[str, Refusal] | None = None
) -> Any:
    refused = refused or {}
    accepted = [topic for topic in request.topics if topic not in refused]
    (answer,) = BYBIT.answer(request, accepted, refused, at)
    assert isinstance(answer, str)
    return json.loads(answer)


# Connections.


@pytest.mark.parametrize("market", ["linear", "inverse", "spot", "option"])
def test_each_market_has_a_socket(market: str) -> None:
    path = f"/v5/public/{market}"

    assert BybitFormat(market).target([]) == path
    assert BYBIT.open(path) == Session(market, route=market)


def test_the_private_socket_may_be_told_how_long_to_wait() -> None:
    assert BybitFormat(private=True).target([]) == "/v5/private"
    assert BYBIT.open("/v5/private?max_active_time=1m") == Session("private", route="private")


@pytest.mark.parametrize("target", ["/", "/v5/public", "/v5/public/moon", "/v5/trade", "/v5"])
def test_other_paths_do_not_exist(target: str) -> None:
    assert BYBIT.open(target) is None


def test_no_topic_fits_into_the_url() -> None:
    with pytest.raises(ConfigurationError, match="no subscription by URL"):
        BYBIT.target(["publicTrade.BTCUSDT"])


def test_an_unknown_market_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="'moon'; allowed: 'linear', 'inverse', 'spot'"):
        BybitFormat("moon")


def test_limits_are_those_of_the_documentation() -> None:
    linear, spot, option = (BybitFormat(market).limits for market in ("linear", "spot", "option"))

    assert linear.connect_rate == spot.connect_rate == Rate(500, 300.0)
    assert linear.max_connections == 1000
    assert linear.max_topics_size == 21_000
    assert linear.idle_limit == 600.0
    assert (linear.max_request_topics, spot.max_request_topics) == (None, 10)
    assert (linear.max_topics, option.max_topics) == (None, 2000)
    assert BybitFormat(private=True).limits.max_topics_size is None


# Topics.


@pytest.mark.parametrize(
    ("market", "topic", "stream"),
    [
        ("linear", "publicTrade.BTCUSDT", Stream("BTCUSDT", Kind.TRADE)),
        (
            "linear",
            "tickers.BTCUSDT",
            Stream("BTCUSDT", Kind.TICKER, begins_with_snapshot=True),
        ),
        ("spot", "tickers.BTCUSDT", Stream("BTCUSDT", Kind.TICKER)),
        ("spot", "kline.5.BTCUSDT", Stream("BTCUSDT", Kind.KLINE, interval=300)),
        ("spot", "kline.W.BTCUSDT", Stream("BTCUSDT", Kind.KLINE, interval=604_800)),
        (
            "inverse",
            "orderbook.1.BTCUSD",
            Stream("BTCUSD", Kind.BOOK, levels=1, is_repeated=True),
        ),
        (
            "inverse",
            "orderbook.50.BTCUSD",
            Stream("BTCUSD", Kind.DEPTH, levels=50, begins_with_snapshot=True),
        ),
        (
            "option",
            "orderbook.25.BTC-6JAN23-18000-C",
            Stream("BTC-6JAN23-18000-C", Kind.DEPTH, levels=25, begins_with_snapshot=True),
        ),
        ("option", "publicTrade.ETH", Stream("ETH-25DEC26-3000-C", Kind.TRADE)),
        ("linear", "allLiquidation.BTCUSDT", SILENT),
        ("spot", "orderbook.full.BTCUSDT", Stream("BTCUSDT", Kind.DEPTH)),
    ],
)
def test_topics(market: str, topic: str, stream: Stream) -> None:
    assert BYBIT.stream(topic, session(market)) == stream


@pytest.mark.parametrize(
    ("market", "topic"),
    [
        ("linear", "orderbook.7.BTCUSDT"),
        ("linear", "orderbook.25.BTCUSDT"),
        ("linear", "orderbook.full.BTCUSDT"),
        ("spot", "allLiquidation.BTCUSDT"),
        ("option", "priceLimit.BTC-6JAN23-18000-C"),
        ("option", "orderbook.50.BTC-6JAN23-18000-C"),
        ("linear", "orderbook.BTCUSDT"),
        ("linear", "kline.7.BTCUSDT"),
        ("linear", "kline.BTCUSDT"),
        ("linear", "publicTrade"),
        ("linear", "publicTrade."),
        ("linear", "publicTrade.1.BTCUSDT"),
        ("linear", "trade.BTCUSDT"),
        ("linear", "order"),
        ("linear", ""),
        ("private", "publicTrade.BTCUSDT"),
        ("private", "order.moon"),
    ],
)
def test_what_is_no_topic_there(market: str, topic: str) -> None:
    refusal = BYBIT.stream(topic, session(market, is_logged_in=True))

    assert refusal == Refusal(0, f"error:handler not found,topic:{topic}")


def test_a_symbol_that_does_not_exist_is_refused_with_another_text() -> None:
    assert BYBIT.refuses_unknown_symbols
    assert BYBIT.refusal("tickers.NOPE") == Refusal(0, "Invalid symbol :[tickers.NOPE]")


def test_what_is_subscribed_already_is_refused() -> None:
    at = session("linear", "publicTrade.BTCUSDT")

    assert BYBIT.stream("publicTrade.BTCUSDT", at) == Refusal(
        0, "error:already subscribed,topic:publicTrade.BTCUSDT"
    )
    assert isinstance(BYBIT.stream("publicTrade.ETHUSDT", at), Stream)


@pytest.mark.parametrize(
    "topic", ["order", "execution.fast", "execution.fast.linear", "wallet", "position.inverse"]
)
def test_private_topics_need_a_login(topic: str) -> None:
    assert BYBIT.stream(topic, session("private")) == Refusal(0, "Request not authorized")
    assert BYBIT.stream(topic, session("private", is_logged_in=True)) is SILENT


# Requests.


def test_requests() -> None:
    args = ["orderbook.1.BTCUSDT", "publicTrade.BTCUSDT", "orderbook.1.BTCUSDT"]
    topics = ("orderbook.1.BTCUSDT", "publicTrade.BTCUSDT")

    assert parse({"req_id": "test", "op": "subscribe", "args": args}) == Subscribe(topics, "test")
    assert parse({"op": "subscribe", "args": args}) == Subscribe(topics, None)
    assert parse({"req_id": "x", "op": "unsubscribe", "args": args}) == Unsubscribe(topics, "x")


@pytest.mark.parametrize(
    ("route", "success"),
    [
        (
            "linear",
            {"success": True, "ret_msg": "", "conn_id": PUBLIC_ID, "req_id": "", "op": "subscribe"},
        ),
        (
            "inverse",
            {"success": True, "ret_msg": "", "conn_id": PUBLIC_ID, "req_id": "", "op": "subscribe"},
        ),
        (
            "spot",
            {"success": True, "ret_msg": "subscribe", "conn_id": PUBLIC_ID, "op": "subscribe"},
        ),
        ("private", {"success": True, "ret_msg": "", "op": "subscribe", "conn_id": PRIVATE_ID}),
        (
            "option",
            {
                "success": True,
                "conn_id": PUBLIC_ID,
                "data": {"failTopics": [], "successTopics": ["a", "b"]},
                "type": "COMMAND_RESP",
            },
        ),
    ],
)
def test_each_socket_acknowledges_in_its_own_shape(route: str, success: dict[str, Any]) -> None:
    without_id = answered(Subscribe(("a", "b")), session(route))
    with_id = answered(Subscribe(("a", "b"), "10001"), session(route))

    assert without_id == success
    assert list(without_id) == list(success)
    assert with_id == (success if route == "option" else {**success, "req_id": "10001"})


def test_an_unsubscribe_request_is_acknowledged() -> None:
    answer = answered(Unsubscribe(("a",), "customised_id"), session("spot"))

    assert answer["ret_msg"] == answer["op"] == "unsubscribe"
    assert answer["req_id"] == "customised_id"


@pytest.mark.parametrize("route", ["linear", "inverse", "spot", "private"])
def test_one_bad_topic_fails_the_whole_request(route: str) -> None:
    at = session(route)
    refused = {"b": Refusal(0, "error:handler not found,topic:b"), "c": Refusal(0, "never told")}

    answer = answered(Subscribe(("a", "b", "c"), "1"), at, refused)

    assert BYBIT.refuses_whole(at)
    assert answer["success"] is False
    assert answer["ret_msg"] == "error:handler not found,topic:b"
    assert (answer["req_id"], answer["op"]) == ("1", "subscribe")


def test_options_tell_the_good_from_the_bad() -> None:
    at = session("option")

    answer = answered(Subscribe(("a", "b"), "1"), at, {"b": Refusal(0, "no")})

    assert not BYBIT.refuses_whole(at)
    assert answer["success"] is False
    assert answer["data"] == {"failTopics": ["b"], "successTopics": ["a"]}


@pytest.mark.parametrize(
    ("route", "pong"),
    [
        ("spot", {"success": True, "ret_msg": "pong", "conn_id": PUBLIC_ID, "op": "ping"}),
        (
            "linear",
            {"success": True, "ret_msg": "pong", "conn_id": PUBLIC_ID, "req_id": "", "op": "ping"},
        ),
        ("option", {"args": ["1672916271846"], "op": "pong"}),
        ("private", {"op": "pong", "args": ["1672916271846"], "conn_id": PRIVATE_ID}),
    ],
)
def test_each_socket_has_its_own_pong(route: str, pong: dict[str, Any]) -> None:
    without_id = parse({"op": "ping"}, session(route))
    with_id = parse({"req_id": "100001", "op": "ping"}, session(route))

    assert isinstance(without_id, Heartbeat)
    assert isinstance(with_id, Heartbeat)
    assert json.loads(without_id.answer) == pong
    assert json.loads(with_id.answer) == (
        pong if route == "option" else {**pong, "req_id": "100001"}
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("nonsense", "Params Error"),
        (b"\xff\x00", "Params Error"),
        ([], "Params Error"),
        ({"op": "subscribe"}, "Params Error"),
        ({"op": "subscribe", "args": []}, "Params Error"),
        ({"op": "subscribe", "args": [1]}, "Params Error"),
        ({"op": "unsubscribe", "args": "publicTrade.BTCUSDT"}, "Params Error"),
        ({"op": "dance", "args": ["a"]}, "error:invalid op"),
        ({"op": 1}, "error:invalid op"),
        ({}, "error:invalid op"),
        # Only the private socket knows a login.
        ({"op": "auth", "args": ["k", 1, "s"]}, "error:invalid op"),
    ],
)
def test_what_is_no_request(message: object, text: str) -> None:
    reply = parse(message)

    assert isinstance(reply, Reply)
    assert json.loads(reply.payload)["success"] is False
    assert json.loads(reply.payload)["ret_msg"] == text


@pytest.mark.parametrize("second", ["order.linear", "order.spot"])
def test_all_orders_and_those_of_a_category_do_not_go_together(second: str) -> None:
    reply = parse({"op": "subscribe", "args": ["order", second]}, session("private"))

    assert isinstance(reply, Reply)
    both = parse({"op": "subscribe", "args": ["order.linear", "order.spot"]}, session("private"))
    assert isinstance(both, Subscribe)


# Limits.


def test_a_request_that_is_too_large_is_refused() -> None:
    request = Subscribe(("a",), "9")

    (too_many,) = BYBIT.penalty(Limit.REQUEST_TOPICS, request, session("spot"))
    (too_long,) = BYBIT.penalty(Limit.TOPICS_SIZE, request, session("linear"))

    assert isinstance(too_many, str)
    assert isinstance(too_long, str)
    assert json.loads(too_many) == {
        "success": False,
        "ret_msg": "args size >10",
        "conn_id": PUBLIC_ID,
        "req_id": "9",
        "op": "subscribe",
    }
    assert json.loads(too_long)["success"] is False


def test_who_is_silent_too_long_is_cut_and_who_is_too_old_is_closed() -> None:
    assert BYBIT.penalty(Limit.IDLE, None, session()) == [Close(None)]
    (end,) = BYBIT.penalty(Limit.AGE, None, session())
    assert isinstance(end, Close)
    assert end.code == 1008


# Logins.


def sign(expires: int, secret: bytes = b"the-secret") -> str:
    return hmac.new(secret, f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()


def login(expires: object = NOW + 1000, key: object = "the-key", signature: object = None) -> Login:
    if signature is None:
        signature = sign(int(str(expires)))
    request = {"req_id": "10001", "op": "auth", "args": [key, expires, signature]}
    action = parse(request, session("private"))
    assert isinstance(action, Login)
    return action


def test_a_login_is_accepted() -> None:
    assert BYBIT.check_login(login(), CREDENTIALS, NOW) is None
    assert BYBIT.check_login(login(str(NOW + 1)), CREDENTIALS, NOW) is None

    (answer,) = BYBIT.login_answer(login(), None, session("private"))

    assert isinstance(answer, str)
    assert json.loads(answer) == {
        "req_id": "10001",
        "success": True,
        "ret_msg": "",
        "op": "auth",
        "conn_id": PRIVATE_ID,
    }


@pytest.mark.parametrize(
    ("attempt", "code", "text"),
    [
        (login(key="another"), 10003, "Invalid apikey"),
        (login(signature=sign(NOW + 1000, b"wrong")), 10004, "Invalid sign"),
        (login(signature="ü"), 10004, "Invalid sign"),
        (login(signature=sign(NOW + 999)), 10004, "Invalid sign"),
        (login(NOW), 10002, "Params Error"),
        (login(NOW - 1), 10002, "Params Error"),
    ],
)
def test_a_login_is_refused(attempt: Login, code: int, text: str) -> None:
    refusal = BYBIT.check_login(attempt, CREDENTIALS, NOW)

    assert refusal == Refusal(code, text)
    (answer,) = BYBIT.login_answer(attempt, refusal, session("private"))
    assert isinstance(answer, str)
    body = json.loads(answer)
    assert (body["success"], body["ret_msg"], body["op"]) == (False, text, "auth")


@pytest.mark.parametrize(
    "args", [None, [], ["k", 1], ["k", 1, 2], [1, 1, "s"], ["k", None, "s"], ["k", -1, "s"]]
)
def test_what_is_no_login(args: object) -> None:
    reply = parse({"op": "auth", "args": args}, session("private"))

    assert isinstance(reply, Reply)
    assert json.loads(reply.payload)["ret_msg"] == "Params Error"
    assert json.loads(reply.payload)["op"] == "auth"


def test_what_is_known_of_a_login_shows_no_secret() -> None:
    assert "the-key" not in repr(login())
    assert sign(NOW + 1000) not in repr(login())


# Data.


def data(event: Any, topic: str, market: str = "linear") -> Any:
    return json.loads(BYBIT.data(event, topic, market))


def test_a_trade() -> None:
    trade = Trade("BTCUSDT", 255, 16578.5, 0.001, True, 1672304486865)

    message = data(trade, "publicTrade.BTCUSDT")

    assert message == {
        "topic": "publicTrade.BTCUSDT",
        "type": "snapshot",
        "ts": 1672304486865,
        "data": [
            {
                "T": 1672304486865,
                "s": "BTCUSDT",
                "S": "Sell",
                "v": "0.00100000",
                "p": "16578.50000000",
                "L": "PlusTick",
                "i": "20f43950-d8dd-5b31-9112-0000000000ff",
                "BT": False,
                "seq": 7000000255,
            }
        ],
    }
    assert (
        data(trade._replace(is_buyer_maker=False), "publicTrade.BTCUSDT")["data"][0]["S"] == "Buy"
    )


def test_a_trade_on_spot_has_a_number_of_digits_and_another_order() -> None:
    trade = Trade("BTCUSDT", 255, 16578.5, 0.001, True, 1672304486865)

    message = data(trade, "publicTrade.BTCUSDT", "spot")

    assert message["data"][0]["i"] == "2290000000000000255"
    assert list(message)[:3] == ["topic", "ts", "type"]


def test_the_order_book() -> None:
    snapshot = Depth(
        "BTCUSDT", 9, 9, 9, ((16493.5, 0.006),), ((16611.0, 0.029),), 1672304484978, True, 7
    )
    delta = Depth("BTCUSDT", 10, 12, 9, ((16493.5, 0.0),), (), 1672304484979, False, 8)

    first = data(snapshot, "orderbook.50.BTCUSDT")
    second = data(delta, "orderbook.50.BTCUSDT")

    assert first == {
        "topic": "orderbook.50.BTCUSDT",
        "type": "snapshot",
        "ts": 1672304484978,
        "data": {
            "s": "BTCUSDT",
            "b": [["16493.50000000", "0.00600000"]],
            "a": [["16611.00000000", "0.02900000"]],
            "u": 7,
            "seq": 7000000009,
        },
        "cts": 1672304484978,
    }
    assert second["type"] == "delta"
    assert second["data"]["b"] == [["16493.50000000", "0"]]
    assert (second["data"]["a"], second["data"]["u"]) == ([], 8)
    assert second["data"]["seq"] == 7000000012


def test_level_1_has_another_order() -> None:
    snapshot = Depth("BTCUSDT", 9, 9, 9, ((1.0, 2.0),), ((3.0, 4.0),), 5, True)

    assert list(data(snapshot, "orderbook.1.BTCUSDT"))[:3] == ["topic", "ts", "type"]
    assert list(data(snapshot, "orderbook.50.BTCUSDT"))[:3] == ["topic", "type", "ts"]


def test_a_candle_has_no_symbol() -> None:
    kline = Kline(
        symbol="BTCUSDT",
        interval=300,
        opened_at=1672324800000,
        open=16649.5,
        high=16677.0,
        low=16608.0,
        close=16677.0,
        volume=2.081,
        turnover=34666.4005,
        trade_count=5,
        first_trade_id=1,
        last_trade_id=5,
        is_closed=False,
        at=1672324988882,
    )

    message = data(kline, "kline.5.BTCUSDT")

    assert message == {
        "topic": "kline.5.BTCUSDT",
        "data": [
            {
                "start": 1672324800000,
                "end": 1672325099999,
                "interval": "5",
                "open": "16649.50000000",
                "close": "16677.00000000",
                "high": "16677.00000000",
                "low": "16608.00000000",
                "volume": "2.08100000",
                "turnover": "34666.40050000",
                "confirm": False,
                "timestamp": 1672324988882,
            }
        ],
        "ts": 1672324988882,
        "type": "snapshot",
    }
    assert data(kline._replace(is_closed=True), "kline.5.BTCUSDT")["data"][0]["confirm"] is True


TICKER = Ticker("BTCUSDT", 200.0, 210.0, 220.0, 190.0, 5.0, 1000.0, 3, 3, 209.9, 210.1, NOW)


def test_a_contracts_ticker_is_at_first_complete_and_then_a_change() -> None:
    first = data(TICKER._replace(is_snapshot=True), "tickers.BTCUSDT")
    second = data(TICKER._replace(update_id=5), "tickers.BTCUSDT")

    assert set(first) == set(second) == {"topic", "type", "data", "cs", "ts"}
    assert (first["type"], second["type"]) == ("snapshot", "delta")
    assert (first["cs"], second["cs"]) == (7000000000, 7000000005)
    assert set(first["data"]) == {
        *("symbol", "tickDirection", "price24hPcnt", "lastPrice", "prevPrice24h", "highPrice24h"),
        *("lowPrice24h", "prevPrice1h", "markPrice", "indexPrice", "openInterest"),
        *("openInterestValue", "turnover24h", "volume24h", "nextFundingTime", "fundingRate"),
        *("bid1Price", "bid1Size", "ask1Price", "ask1Size"),
    }
    assert set(first["data"]) > set(second["data"]) > {"symbol", "lastPrice"}
    assert first["data"]["price24hPcnt"] == "0.050000"
    assert int(first["data"]["nextFundingTime"]) > NOW


def test_a_spot_ticker_is_always_complete_and_has_no_best_prices() -> None:
    for ticker in (TICKER, TICKER._replace(is_snapshot=True)):
        message = data(ticker, "tickers.BTCUSDT", "spot")

        assert message["type"] == "snapshot"
        assert message["data"]["lastPrice"] == "210.00000000"
        assert "bid1Price" not in message["data"]


def test_an_options_ticker_is_always_complete() -> None:
    message = data(TICKER, "tickers.BTC-6JAN23-18000-C", "option")

    assert message["type"] == "snapshot"
    assert message["data"]["bidPrice"] == "209.90000000"


@pytest.mark.parametrize("event", [Quote("A", 1, 1, 1, 1, 1, 1), Mark("A", 1, 1, 1, 1, 1)])
def test_there_are_no_other_events(event: Quote | Mark) -> None:
    with pytest.raises(TypeError, match=type(event).__name__):
        BYBIT.data(event, "x", "linear")


def test_private_data_is_a_list_in_an_envelope() -> None:
    at = session("private", "order", is_logged_in=True)

    one = json.loads(BYBIT.private("order", {"orderId": "1"}, at, NOW))
    two = json.loads(BYBIT.private("order", [{"orderId": "1"}, {"orderId": "2"}], at, NOW))

    assert set(one) == {"id", "topic", "creationTime", "data"}
    assert (one["topic"], one["creationTime"], one["data"]) == ("order", NOW, [{"orderId": "1"}])
    assert [each["orderId"] for each in two["data"]] == ["1", "2"]


def test_private_data_goes_to_who_is_subscribed_and_logged_in() -> None:
    assert BYBIT.receives("order", session("private", "order", is_logged_in=True), {})
    assert not BYBIT.receives("wallet", session("private", "order", is_logged_in=True), {})
    assert not BYBIT.receives("order", session("private", "order"), {})
