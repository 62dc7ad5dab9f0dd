"""How the fake exchange speaks Binance spot. What is expected is copied from the documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.testing.formats.base import (
    Action,
    ListTopics,
    Refusal,
    Reply,
    Session,
    Stream,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.formats.binance import BinanceFormat
from wsresilient.testing.market import Kind, Market, Quote, Ticker, Trade

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


@pytest.mark.parametrize("target", ["/", "/streams", "/stream/a@trade", "/wss", "/ws-api/v3"])
def test_other_paths_do_not_exist(target: str) -> None:
    assert BINANCE.open(target) is None


def test_the_url_for_topics_is_the_combined_stream() -> None:
    assert BINANCE.target([]) == "/stream"
    assert BINANCE.target(["a@trade", "b@ticker"]) == "/stream?streams=a@trade/b@ticker"


@pytest.mark.parametrize(
    ("topic", "stream"),
    [
        ("btcusdt@trade", Stream("BTCUSDT", Kind.TRADE)),
        ("1inchusdt@ticker", Stream("1INCHUSDT", Kind.TICKER)),
        ("btcusdt@bookTicker", Stream("BTCUSDT", Kind.QUOTE)),
        ("BTCUSDT@trade", Stream("", Kind.TRADE)),
        ("btcusdt@Trade", None),
        ("btcusdt@depth", None),
        ("btcusdt", None),
        ("@trade", None),
        ("", None),
    ],
)
def test_topics(topic: str, stream: Stream | None) -> None:
    assert BINANCE.stream(topic) == stream


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

    assert BINANCE.answer(request, ["a@trade"], {}) == ['{"result":null,"id":312}']
    assert BINANCE.listing(ListTopics(3), ["a@trade"]) == ['{"result":["a@trade"],"id":3}']


def test_a_refusal_is_in_the_nested_shape() -> None:
    request = Subscribe(("a@nothing",), 2)
    refused = {"a@nothing": BINANCE.refusal("a@nothing")}

    assert BINANCE.answer(request, [], refused) == [
        '{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":2}'
    ]
    assert BINANCE.answer(request, [], {"a": Refusal(9, "no")}) == [
        '{"error":{"code":9,"msg":"no"},"id":2}'
    ]
    assert BINANCE.too_many(Subscribe(("a@trade",), 19)) == [
        '{"error":{"code":4,"msg":"Too many subscriptions"},"id":19}'
    ]


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
    ticker = Market(["BNBBTC"]).next("BNBBTC", Kind.TICKER, 1672515782136)
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


def test_the_envelope_names_the_stream() -> None:
    trade = Trade("BNBBTC", 1, 2.0, 3.0, False, 4)
    raw = BINANCE.data(trade, "bnbbtc@trade", "raw")

    combined = BINANCE.data(trade, "bnbbtc@trade", "combined")

    assert json.loads(combined) == {"stream": "bnbbtc@trade", "data": json.loads(raw)}
