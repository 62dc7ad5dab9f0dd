"""How the fake exchange speaks Binance USD-M futures, after samples of the documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import (
    SILENT,
    Depth,
    Event,
    Kind,
    Kline,
    Mark,
    Quote,
    Stream,
    Ticker,
    Trade,
)
from wsresilient.testing.formats.base import Refusal, Session
from wsresilient.testing.formats.binance_futures import BinanceFuturesFormat

FUTURES = BinanceFuturesFormat()
AT = 1_672_515_782_136


def data(event: Event, stream: str, variant: str = "raw") -> Any:
    return json.loads(FUTURES.data(event, stream, variant))


# Routes.


@pytest.mark.parametrize(
    ("topics", "target"),
    [
        ([], "/market/stream"),
        (["btcusdt@aggTrade"], "/market/stream?streams=btcusdt@aggTrade"),
        (["a@depth5", "b@trade"], "/public/stream?streams=a@depth5/b@trade"),
        (["nonsense"], "/market/stream?streams=nonsense"),
    ],
)
def test_the_url_has_the_route_of_its_streams(topics: list[str], target: str) -> None:
    assert FUTURES.target(topics) == target


def test_streams_of_several_routes_have_no_common_url() -> None:
    with pytest.raises(ConfigurationError, match="each of which needs a URL of its own"):
        FUTURES.target(["btcusdt@aggTrade", "btcusdt@depth"])


@pytest.mark.parametrize(
    ("target", "variant", "route", "topics"),
    [
        ("/market/ws", "raw", "market", ()),
        ("/public/ws/a@depth/b@trade", "raw", "public", ("a@depth", "b@trade")),
        ("/market/stream?streams=a@aggTrade", "combined", "market", ("a@aggTrade",)),
        ("/stream?streams=a@depth/a@nonsense", "combined", "", ("a@depth",)),
        ("/ws/a@markPrice", "raw", "", ("a@markPrice",)),
    ],
)
def test_urls(target: str, variant: str, route: str, topics: tuple[str, ...]) -> None:
    assert FUTURES.open(target) == Session(variant, topics, route)


@pytest.mark.parametrize("target", ["/", "/market", "/market/x", "/private/stream/k", "/moon/ws"])
def test_other_paths_do_not_exist(target: str) -> None:
    assert FUTURES.open(target) is None


@pytest.mark.parametrize(
    ("topic", "route", "stream"),
    [
        ("btcusdt@trade", "public", Stream("BTCUSDT", Kind.TRADE)),
        ("btcusdt@bookTicker", "public", Stream("BTCUSDT", Kind.QUOTE)),
        ("!bookTicker", "public", Stream("*", Kind.QUOTE)),
        ("btcusdt@depth", "public", Stream("BTCUSDT", Kind.DEPTH)),
        ("btcusdt@depth@500ms", "public", Stream("BTCUSDT", Kind.DEPTH)),
        ("btcusdt@rpiDepth@500ms", "public", Stream("BTCUSDT", Kind.DEPTH)),
        ("btcusdt@depth10@100ms", "public", Stream("BTCUSDT", Kind.BOOK, levels=10)),
        ("btcusdt@aggTrade", "market", Stream("BTCUSDT", Kind.TRADE)),
        ("btcusdt@markPrice@1s", "market", Stream("BTCUSDT", Kind.MARK)),
        ("!markPrice@arr", "market", Stream("*", Kind.MARK)),
        ("btcusdt@kline_1m", "market", Stream("BTCUSDT", Kind.KLINE, interval=60)),
        ("btcusdt@ticker", "market", Stream("BTCUSDT", Kind.TICKER)),
        ("!miniTicker@arr", "market", Stream("*", Kind.TICKER)),
        ("BTCUSDT@ticker", "market", Stream("", Kind.TICKER)),
        ("btcusdt@forceOrder", "market", SILENT),
        ("!contractInfo", "market", SILENT),
        ("btcusdt_perpetual@continuousKline_1m", "market", SILENT),
    ],
)
def test_a_stream_is_silent_on_any_route_but_its_own(
    topic: str, route: str, stream: Stream
) -> None:
    other = "market" if route == "public" else "public"

    assert FUTURES.stream(topic, Session("raw", route=route)) == stream
    assert FUTURES.stream(topic, Session("raw", route=other)) == SILENT
    # Without a route there are the public ones.
    legacy = FUTURES.stream(topic, Session("raw"))
    assert legacy == (stream if route == "public" else SILENT)


@pytest.mark.parametrize("topic", ["btcusdt@nonsense", "btcusdt@depth7", "btcusdt", "!trade"])
def test_topics_that_there_are_not(topic: str) -> None:
    refusal = Refusal(2, "Invalid request: invalid stream")

    assert FUTURES.stream(topic, Session("raw", route="market")) == refusal


# The own account.


@pytest.mark.parametrize(
    ("target", "variant", "keys", "events"),
    [
        ("/private/ws/k1", "raw", ("k1",), set()),
        ("/private/ws?listenKey=k1&events=A/B", "raw", ("k1",), {"A", "B"}),
        ("/private/stream?streams=k1", "combined", ("k1",), set()),
        ("/private/stream?listenKey=k1&events=A&listenKey=k2", "combined", ("k1", "k2"), {"A"}),
        ("/private/ws", "raw", (), set()),
    ],
)
def test_listen_keys_stand_in_the_url(
    target: str, variant: str, keys: tuple[str, ...], events: set[str]
) -> None:
    assert FUTURES.open(target) == Session(
        variant, route="private", listen_keys=keys, memory={"events": events}
    )


def test_who_gets_events_of_the_account() -> None:
    session = Session("raw", route="private", listen_keys=("k",), memory={"events": {"A"}})
    assert not FUTURES.receives("userData", session, {"e": "A"})
    session.is_logged_in = True

    assert FUTURES.receives("userData", session, {"e": "A"})
    assert not FUTURES.receives("userData", session, {"e": "B"})
    assert not FUTURES.receives("btcusdt@trade", session, {"e": "A"})
    session.memory["events"] = set()
    assert FUTURES.receives("userData", session, {"e": "B"})
    assert FUTURES.stream("btcusdt@trade", session) == SILENT


def test_events_of_the_account_in_their_envelope() -> None:
    raw = Session("raw", route="private", listen_keys=("k",))
    combined = Session("combined", route="private", listen_keys=("k",))
    expired = {"e": "listenKeyExpired", "E": "1693427319838", "listenKey": "k"}

    assert FUTURES.private("userData", {"e": "A"}, raw, AT) == '{"e":"A"}'
    assert (
        FUTURES.private("userData", {"e": "A"}, combined, AT) == '{"stream":"k","data":{"e":"A"}}'
    )
    assert json.loads(FUTURES.expiry_notice("k", raw, 1693427319838) or "") == expired
    assert json.loads(FUTURES.expiry_notice("k", combined, 1693427319838) or "") == {
        "stream": "k",
        "data": expired,
    }


# Data.


def test_trades() -> None:
    trade = Trade("BTCUSDT", 5933014, 0.001, 100.0, True, 123456785)

    assert data(trade, "btcusdt@aggTrade") == {
        **{"e": "aggTrade", "E": 123456785, "s": "BTCUSDT", "a": 5933014, "p": "0.00100000"},
        **{"q": "100.00000000", "nq": "100.00000000", "f": 5933014, "l": 5933014},
        **{"T": 123456785, "m": True, "st": 1},
    }
    assert data(trade, "btcusdt@trade", "combined") == {
        "stream": "btcusdt@trade",
        "data": {
            **{"e": "trade", "E": 123456785, "T": 123456785, "s": "BTCUSDT", "t": 5933014},
            **{"p": "0.00100000", "q": "100.00000000", "X": "MARKET", "m": True},
        },
    }


def test_numbers_of_the_order_book_skip() -> None:
    first = Depth("BTCUSDT", 11, 12, 10, ((0.0024, 10.0),), ((0.0026, 100.0),), AT)
    second = Depth("BTCUSDT", 13, 13, 12, (), (), AT)

    one, two = data(first, "btcusdt@depth"), data(second, "btcusdt@depth")

    assert one == {
        **{"e": "depthUpdate", "E": AT, "T": AT, "s": "BTCUSDT", "ps": "BTCUSDT", "st": 1},
        **{"U": 107, "u": 120, "pu": 100},
        **{"b": [["0.00240000", "10.00000000"]], "a": [["0.00260000", "100.00000000"]]},
    }
    assert two["pu"] == one["u"]
    assert two["U"] > one["u"] + 1
    assert data(first._replace(is_snapshot=True), "btcusdt@depth5")["e"] == "depthUpdate"


def test_tickers() -> None:
    ticker = Ticker("BTCUSDT", 10.0, 11.0, 12.0, 9.0, 100.0, 1000.0, 20, 5, 10.9, 11.1, AT)

    message = data(ticker, "btcusdt@ticker")

    # No best prices, unlike spot.
    assert list(message) == [*list("eEspPwcQohlvqOCFLn"), "st"]
    assert (message["p"], message["P"], message["F"]) == ("1.00000000", "10.000", 16)
    assert data(ticker, "!ticker@arr") == [message]
    assert data(ticker, "btcusdt@miniTicker")["e"] == "24hrMiniTicker"
    assert data(ticker, "!miniTicker@arr")[0]["e"] == "24hrMiniTicker"


def test_the_other_streams() -> None:
    quote = Quote("ETHUSDT", 11139947831981, 1943.64, 113.445, 1943.65, 182.433, AT)
    mark = Mark("BTCUSDT", 11794.15, 11784.62, 0.00038167, 1562306400000, AT)
    kline = Kline("BTCUSDT", 60, AT, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 1, 1, True, AT)

    assert data(quote, "ethusdt@bookTicker") == {
        **{"e": "bookTicker", "u": 11139947831981, "s": "ETHUSDT", "ps": "ETHUSDT"},
        **{"b": "1943.64000000", "B": "113.44500000", "a": "1943.65000000"},
        **{"A": "182.43300000", "T": AT, "E": AT, "st": 1},
    }
    assert data(mark, "btcusdt@markPrice") == {
        **{"e": "markPriceUpdate", "E": AT, "s": "BTCUSDT", "p": "11794.15000000"},
        **{"i": "11784.62000000", "P": "11794.15000000", "r": "0.00038167"},
        **{"T": 1562306400000, "st": 1},
    }
    assert data(mark, "!markPrice@arr@1s") == [data(mark, "btcusdt@markPrice")]
    candle = data(kline, "btcusdt@kline_1m")["k"]
    assert (candle["i"], candle["x"]) == ("1m", True)
