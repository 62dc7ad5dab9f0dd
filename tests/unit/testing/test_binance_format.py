"""How the fake exchange speaks Binance spot. What is expected is copied from the documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.testing.events import Depth, Kind, Kline, Quote, Ticker, Trade
from wsresilient.testing.formats.base import (
    SILENT,
    Action,
    Answer,
    Close,
    ListTopics,
    Refusal,
    Reply,
    Session,
    Stream,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.formats.binance import BinanceFormat
from wsresilient.testing.limits import Limit
from wsresilient.testing.market import Market

BINANCE = BinanceFormat()


def parse(payload: object, session: Session | None = None) -> Action:
    text = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
    (action,) = BINANCE.parse(text, session or Session("raw"))
    return action


def reply(payload: object, session: Session | None = None) -> Any:
    action = parse(payload, session)
    assert isinstance(action, Reply)
    return json.loads(action.payload)


@pytest.mark.parametrize(
    ("target", "variant", "topics"),
    [
        ("/ws", "raw", ()),
        ("/ws/", "raw", ()),
        ("/ws/btcusdt@trade", "raw", ("btcusdt@trade",)),
        ("/ws/a@trade/b@ticker", "raw", ("a@trade", "b@ticker")),
        ("/stream", "combined", ()),
        ("/stream?streams=", "combined", ()),
        ("/stream?streams=a@trade", "combined", ("a@trade",)),
        ("/stream?streams=a@trade/b@bookTicker", "combined", ("a@trade", "b@bookTicker")),
        ("/stream?timeUnit=x&streams=a%40trade", "combined", ("a@trade",)),
        ("/stream?streams=a@trade/a@trade/nonsense", "combined", ("a@trade",)),
    ],
)
def test_the_url_chooses_envelope_and_streams(
    target: str, variant: str, topics: tuple[str, ...]
) -> None:
    assert BINANCE.open(target) == Session(variant, topics)


@pytest.mark.parametrize("target", ["/", "/streams", "/stream/a@trade", "/wss", "/ws-api/v1"])
def test_other_paths_do_not_exist(target: str) -> None:
    assert BINANCE.open(target) is None


def test_the_url_for_topics_is_the_combined_stream() -> None:
    assert BINANCE.target([]) == "/stream"
    assert BINANCE.target(["a@trade", "b@ticker"]) == "/stream?streams=a@trade/b@ticker"


@pytest.mark.parametrize(
    ("topic", "stream"),
    [
        ("btcusdt@trade", Stream("BTCUSDT", Kind.TRADE)),
        ("btcusdt@aggTrade", Stream("BTCUSDT", Kind.TRADE)),
        ("1inchusdt@ticker", Stream("1INCHUSDT", Kind.TICKER)),
        ("btcusdt@miniTicker", Stream("BTCUSDT", Kind.TICKER)),
        ("btcusdt@bookTicker", Stream("BTCUSDT", Kind.QUOTE)),
        ("btcusdt@kline_1s", Stream("BTCUSDT", Kind.KLINE, interval=1)),
        ("btcusdt@kline_1M", Stream("BTCUSDT", Kind.KLINE, interval=2_592_000)),
        ("btcusdt@kline_1d@+08:00", Stream("BTCUSDT", Kind.KLINE, interval=86_400)),
        ("btcusdt@depth", Stream("BTCUSDT", Kind.DEPTH)),
        ("btcusdt@depth@100ms", Stream("BTCUSDT", Kind.DEPTH)),
        ("btcusdt@depth5", Stream("BTCUSDT", Kind.BOOK, levels=5)),
        ("btcusdt@depth20@100ms", Stream("BTCUSDT", Kind.BOOK, levels=20)),
        ("!miniTicker@arr", Stream("*", Kind.TICKER)),
        ("btcusdt@avgPrice", SILENT),
        ("BTCUSDT@trade", Stream("", Kind.TRADE)),
    ],
)
def test_topics(topic: str, stream: Stream) -> None:
    assert BINANCE.stream(topic, Session("raw")) == stream


@pytest.mark.parametrize(
    "topic",
    [
        *("btcusdt@Trade", "btcusdt", "@trade", "", "btcusdt@kline_7m", "btcusdt@kline"),
        *("btcusdt@depth7", "btcusdt@depth@250ms", "btcusdt@markPrice", "!ticker@arr"),
    ],
)
def test_topics_that_there_are_not(topic: str) -> None:
    refusal = Refusal(2, "Invalid request: invalid stream")

    assert BINANCE.stream(topic, Session("raw")) == refusal
    assert BINANCE.refusal(topic) == refusal


@pytest.mark.parametrize("request_id", [1, -1, 2**63 - 1, "c174a2b1", "a" * 36, None])
def test_requests_keep_their_id(request_id: object) -> None:
    message = {"method": "SUBSCRIBE", "params": ["a@trade", "b@trade"], "id": request_id}

    assert parse(message) == Subscribe(("a@trade", "b@trade"), request_id)
    assert parse({**message, "method": "UNSUBSCRIBE"}) == Unsubscribe(
        ("a@trade", "b@trade"), request_id
    )
    assert parse({"method": "LIST_SUBSCRIPTIONS", "id": request_id}) == ListTopics(request_id)


def test_an_id_may_be_missing_and_topics_count_once() -> None:
    action = parse({"method": "SUBSCRIBE", "params": ["a@trade", "a@trade"]})

    assert action == Subscribe(("a@trade",), None)


def test_acknowledgements_carry_the_id_only() -> None:
    request = Subscribe(("a@trade",), 312)

    session = Session("raw", subscribed={"a@trade": None})

    assert BINANCE.answer(request, ["a@trade"], {}, session) == ['{"result":null,"id":312}']
    assert BINANCE.listing(ListTopics(3), session) == ['{"result":["a@trade"],"id":3}']


def test_a_refusal_is_in_the_nested_shape() -> None:
    request = Subscribe(("a@nothing",), 2)
    refused = {"a@nothing": BINANCE.refusal("a@nothing")}
    session = Session("raw")

    assert BINANCE.answer(request, [], refused, session) == [
        '{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":2}'
    ]
    assert BINANCE.answer(request, [], {"a": Refusal(9, "no")}, session) == [
        '{"error":{"code":9,"msg":"no"},"id":2}'
    ]


@pytest.mark.parametrize(
    ("limit", "answers"),
    [
        (Limit.TOPICS, ['{"error":{"code":4,"msg":"Too many subscriptions"},"id":19}']),
        (Limit.REQUEST_SIZE, []),
        (Limit.MESSAGES, [Close(1008, "Too many requests")]),
        (Limit.PONG, [Close(1008, "Pong timeout")]),
        (Limit.AGE, [Close(1001)]),
    ],
)
def test_penalties(limit: Limit, answers: list[Answer]) -> None:
    assert BINANCE.penalty(limit, Subscribe(("a@trade",), 19), Session("raw")) == answers


@pytest.mark.parametrize("payload", ["", "{", "nonsense", b"\xff\x00", b"\x00"])
def test_what_is_no_json(payload: str | bytes) -> None:
    error = reply(payload)

    assert error["code"] == 3
    assert error["msg"].startswith("Invalid JSON: expected value at line 1 column ")
    assert "id" not in error


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ([], 2, "Invalid request: expected an object"),
        ({"id": 1}, 2, "Invalid request: missing field `method` at line 1 column 8"),
        (
            {"method": "SUB", "id": 1},
            2,
            "Invalid request: unknown variant `SUB`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, "
            "`LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
        ),
        ({"method": "SUBSCRIBE", "id": 1}, 2, "Invalid request: missing field `params`"),
        ({"method": "SUBSCRIBE", "params": [], "id": 1}, 2, "Invalid request: missing field"),
        ({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2, "Invalid request: invalid type"),
        ({"method": [], "id": 1}, 2, "Invalid request: unknown variant `[]`"),
        ({"method": "GET_PROPERTY", "params": ["x"], "id": 7}, 0, "Unknown property"),
        (
            {"method": "SET_PROPERTY", "params": ["combined", 1], "id": 7},
            1,
            "Invalid value type: expected Boolean",
        ),
        (
            {"method": "SET_PROPERTY", "params": ["combined"], "id": 7},
            1,
            "Invalid value type: expected Boolean",
        ),
        (
            {"method": "GET_PROPERTY", "params": ["combined", True], "id": 7},
            2,
            "Invalid request: too many parameters",
        ),
    ],
)
def test_what_is_no_request(message: object, code: int, text: str) -> None:
    error = reply(message)

    assert error["code"] == code
    assert error["msg"].startswith(text)
    assert error.get("id") == (message.get("id") if isinstance(message, dict) else None)


@pytest.mark.parametrize("request_id", [True, 1.5, 2**63, "", "a" * 37, "a b", [], {}])
def test_what_is_no_id(request_id: object) -> None:
    error = reply({"method": "LIST_SUBSCRIPTIONS", "id": request_id})

    assert error["code"] == 2
    assert error["msg"] == "Invalid request: request ID must be an unsigned integer"


def test_the_envelope_can_be_switched() -> None:
    session = Session("raw")
    get = {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}
    on = {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}
    off = {"method": "SET_PROPERTY", "params": ["combined", False], "id": 6}

    assert reply(get, session) == {"result": False, "id": 2}
    assert reply(on, session) == {"result": None, "id": 5}
    assert reply(get, session) == {"result": True, "id": 2}
    assert reply(off, session) == {"result": None, "id": 6}
    assert session == Session("raw")


def test_a_trade() -> None:
    trade = Trade("BNBBTC", 12345, 0.001, 100, True, 1672515782136)

    assert json.loads(BINANCE.data(trade, "bnbbtc@trade", "raw")) == {
        "e": "trade",
        "E": 1672515782136,
        "s": "BNBBTC",
        "t": 12345,
        "p": "0.00100000",
        "q": "100.00000000",
        "T": 1672515782136,
        "m": True,
        "M": True,
    }


def test_a_ticker_has_the_fields_of_the_real_one() -> None:
    follower = Market(["BNBBTC"]).follow(Stream("BNBBTC", Kind.TICKER))
    ticker = follower.next(1672515782136)
    assert isinstance(ticker, Ticker)

    message = json.loads(BINANCE.data(ticker, "bnbbtc@ticker", "raw"))

    assert list(message) == list("eEspPwxcQbBaAohlvqOCFLn")
    assert message["e"] == "24hrTicker"
    assert message["s"] == "BNBBTC"
    assert all(isinstance(message[key], str) for key in "pPwxcQbBaAohlvq")
    assert all(isinstance(message[key], int) for key in "EOCFLn")


def test_a_book_ticker_has_no_type_and_no_time() -> None:
    quote = Quote("BNBUSDT", 400900217, 25.3519, 31.21, 25.3652, 40.66, 1)

    assert json.loads(BINANCE.data(quote, "bnbusdt@bookTicker", "raw")) == {
        "u": 400900217,
        "s": "BNBUSDT",
        "b": "25.35190000",
        "B": "31.21000000",
        "a": "25.36520000",
        "A": "40.66000000",
    }


def test_an_aggregate_trade() -> None:
    trade = Trade("BNBBTC", 12345, 0.001, 100, True, 1672515782136)

    assert json.loads(BINANCE.data(trade, "bnbbtc@aggTrade", "raw")) == {
        "e": "aggTrade",
        "E": 1672515782136,
        "s": "BNBBTC",
        "a": 12345,
        "p": "0.00100000",
        "q": "100.00000000",
        "f": 12345,
        "l": 12345,
        "T": 1672515782136,
        "m": True,
        "M": True,
    }


def test_a_candle() -> None:
    kline = Kline(
        *("BNBBTC", 60, 1672515780000, 0.001, 0.0025, 0.0015, 0.002, 1000.0, 1.0),
        *(100, 100, 200, False, 1672515782136),
    )

    assert json.loads(BINANCE.data(kline, "bnbbtc@kline_1m", "raw")) == {
        "e": "kline",
        "E": 1672515782136,
        "s": "BNBBTC",
        "k": {
            "t": 1672515780000,
            "T": 1672515839999,
            "s": "BNBBTC",
            "i": "1m",
            "f": 100,
            "L": 200,
            "o": "0.00100000",
            "c": "0.00200000",
            "h": "0.00250000",
            "l": "0.00150000",
            "v": "1000.00000000",
            "n": 100,
            "x": False,
            "q": "1.00000000",
            "V": "500.00000000",
            "Q": "0.50000000",
            "B": "0",
        },
    }
    assert json.loads(BINANCE.data(kline, "a@kline_1m@+08:00", "raw"))["k"]["i"] == "1m"


def test_order_books() -> None:
    change = Depth("BNBBTC", 157, 160, 156, ((0.0024, 10.0),), ((0.0026, 0.0),), 1672515782136)
    whole = Depth(
        "BNBBTC", 160, 160, 156, ((0.0024, 10.0),), ((0.0026, 100.0),), 1, is_snapshot=True
    )

    assert json.loads(BINANCE.data(change, "bnbbtc@depth", "raw")) == {
        "e": "depthUpdate",
        "E": 1672515782136,
        "s": "BNBBTC",
        "U": 157,
        "u": 160,
        "b": [["0.00240000", "10.00000000"]],
        "a": [["0.00260000", "0.00000000"]],
    }
    assert json.loads(BINANCE.data(whole, "bnbbtc@depth5", "raw")) == {
        "lastUpdateId": 160,
        "bids": [["0.00240000", "10.00000000"]],
        "asks": [["0.00260000", "100.00000000"]],
    }


def test_short_tickers_alone_and_of_all_symbols() -> None:
    follower = Market(["BNBBTC"]).follow(Stream("BNBBTC", Kind.TICKER))
    ticker = follower.next(1672515782136)

    alone = json.loads(BINANCE.data(ticker, "bnbbtc@miniTicker", "raw"))

    assert list(alone) == list("eEscohlvq")
    assert alone["e"] == "24hrMiniTicker"
    assert json.loads(BINANCE.data(ticker, "!miniTicker@arr", "raw")) == [alone]


def test_the_end_is_announced_in_three_shapes() -> None:
    event = {"e": "serverShutdown", "E": 7}
    notices = {
        variant: json.loads(BINANCE.shutdown_notice(Session(variant, route=route), 7) or "")
        for variant, route in (("raw", ""), ("combined", ""), ("api", "api"))
    }

    assert notices == {
        "raw": event,
        "combined": {"stream": "!serverShutdown", "data": event},
        "api": {"event": event},
    }


def test_the_envelope_names_the_stream() -> None:
    trade = Trade("BNBBTC", 1, 2.0, 3.0, False, 4)
    raw = BINANCE.data(trade, "bnbbtc@trade", "raw")

    combined = BINANCE.data(trade, "bnbbtc@trade", "combined")

    assert json.loads(combined) == {"stream": "bnbbtc@trade", "data": json.loads(raw)}
