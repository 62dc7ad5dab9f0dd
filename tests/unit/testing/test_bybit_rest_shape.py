"""How the REST of the fake Bybit looks. The fields are those of the documentation's samples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.testing.events import Depth, Kind, Stream
from wsresilient.testing.listen_keys import ListenKeys
from wsresilient.testing.market import Market
from wsresilient.testing.rest_server import MarketDesk
from wsresilient.testing.rest_shapes.base import RestRequest
from wsresilient.testing.rest_shapes.bybit import BybitShape

NOW = 1_672_053_054_358
HOUR = 3_600_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDC")
MARKET = Market(SYMBOLS, seed=1)
DESK = MarketDesk(MARKET, Credentials("k", "s"), ListenKeys(60.0, lambda: 0.0), lambda: NOW)


def get(path: str, **query: object) -> Any:
    request = RestRequest("GET", f"/v5/market/{path}", {k: str(v) for k, v in query.items()})
    answer = BybitShape().answer(request, DESK)
    assert answer is not None
    assert answer.status == 200
    return json.loads(answer.body)


def result(path: str, **query: object) -> Any:
    body = get(path, **query)
    assert body == {
        "retCode": 0,
        "retMsg": "OK",
        "result": body["result"],
        "retExtInfo": {},
        "time": NOW,
    }
    return body["result"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v5/market/nothing"), ("GET", "/v5/order"), ("POST", "/v5/market/time")],
)
def test_other_paths_do_not_exist(method: str, path: str) -> None:
    assert BybitShape().answer(RestRequest(method, path), DESK) is None


def test_the_time() -> None:
    assert result("time") == {"timeSecond": "1672053054", "timeNano": "1672053054358000000"}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("tickers", {}),
        ("tickers", {"category": "moon"}),
        ("tickers", {"category": "linear", "symbol": "NOPE"}),
        ("instruments-info", {"category": "linear", "symbol": "NOPE"}),
        ("kline", {"category": "linear", "interval": "5"}),
        ("kline", {"category": "linear", "symbol": "BTCUSDT"}),
        ("kline", {"category": "linear", "symbol": "BTCUSDT", "interval": "7"}),
        ("recent-trade", {"category": "linear", "symbol": "btcusdt"}),
        ("orderbook", {"symbol": "BTCUSDT"}),
    ],
)
def test_an_error_has_a_code_and_the_status_200(path: str, query: dict[str, str]) -> None:
    body = get(path, **query)

    assert body["retCode"] == 10001
    assert body["retMsg"].startswith("params error: ")
    assert body["result"] == {}


def test_instruments_come_in_pages() -> None:
    first = result("instruments-info", category="linear", limit=2)
    second = result("instruments-info", category="linear", limit=2, cursor=first["nextPageCursor"])

    assert [each["symbol"] for each in first["list"]] == ["BTCUSDT", "ETHUSDT"]
    assert [each["symbol"] for each in second["list"]] == ["XRPUSDC"]
    assert second["nextPageCursor"] == ""
    assert first["list"][0]["contractType"] == "LinearPerpetual"
    assert first["list"][0]["status"] == "Trading"
    coins = [(each["baseCoin"], each["quoteCoin"], each["settleCoin"]) for each in second["list"]]
    assert coins == [("XRP", "USDC", "USDC")]


def test_one_instrument() -> None:
    found = result("instruments-info", category="inverse", symbol="ETHUSDT")["list"]

    assert [each["symbol"] for each in found] == ["ETHUSDT"]
    assert found[0]["settleCoin"] == "ETH"


def test_instruments_of_spot_come_all_at_once() -> None:
    answer = result("instruments-info", category="spot", limit=1)

    assert len(answer["list"]) == 3
    assert "nextPageCursor" not in answer
    assert "contractType" not in answer["list"][0]


def test_an_option_is_taken_apart() -> None:
    market = Market(["BTC-6JAN23-18000-P"])
    desk = MarketDesk(market, Credentials("k", "s"), ListenKeys(60.0, lambda: 0.0), lambda: NOW)
    request = RestRequest("GET", "/v5/market/instruments-info", {"category": "option"})

    answer = BybitShape().answer(request, desk)

    assert answer is not None
    (option,) = json.loads(answer.body)["result"]["list"]
    assert (option["baseCoin"], option["quoteCoin"], option["optionsType"]) == ("BTC", "USD", "Put")


def test_tickers_rank_by_turnover() -> None:
    answer = result("tickers", category="linear")

    turnovers = [float(each["turnover24h"]) for each in answer["list"]]
    assert [each["symbol"] for each in answer["list"]] == list(SYMBOLS)
    assert turnovers == sorted(turnovers, reverse=True)
    assert len(set(turnovers)) == 3
    assert answer["category"] == "linear"
    assert "fundingRate" in answer["list"][0]


def test_the_turnover_of_inverse_contracts_is_in_the_base_coin() -> None:
    (linear,) = result("tickers", category="linear", symbol="BTCUSDT")["list"]
    (inverse,) = result("tickers", category="inverse", symbol="BTCUSDT")["list"]

    assert inverse["turnover24h"] == linear["volume24h"]
    assert inverse["volume24h"] == linear["turnover24h"]


def test_a_spot_ticker_has_the_fields_of_the_documentation() -> None:
    (ticker,) = result("tickers", category="spot", symbol="BTCUSDT")["list"]

    assert set(ticker) == {
        *("symbol", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "lastPrice"),
        *("prevPrice24h", "price24hPcnt", "highPrice24h", "lowPrice24h", "turnover24h"),
        *("volume24h", "usdIndexPrice"),
    }
    assert all(isinstance(value, str) for value in ticker.values())


def starts(**query: object) -> list[int]:
    answer = result("kline", category="linear", symbol="BTCUSDT", interval=60, **query)
    assert (answer["symbol"], answer["category"]) == ("BTCUSDT", "linear")
    assert all(len(row) == 7 for row in answer["list"])
    return [int(row[0]) for row in answer["list"]]


def test_candles_are_the_newest_first() -> None:
    latest = NOW - NOW % HOUR

    assert starts(limit=3) == [latest, latest - HOUR, latest - 2 * HOUR]
    assert len(starts()) == 200
    assert len(starts(limit=5000)) == 1000


def test_candles_of_a_span() -> None:
    latest = NOW - NOW % HOUR

    assert starts(start=latest - 2 * HOUR, limit=2) == [latest - HOUR, latest - 2 * HOUR]
    assert starts(end=latest - 1, limit=2) == [latest - HOUR, latest - 2 * HOUR]
    assert starts(start=latest - 2 * HOUR, end=latest - HOUR) == [
        latest - HOUR,
        latest - 2 * HOUR,
    ]


def test_a_candle_is_open_high_low_close() -> None:
    (row,) = result("kline", category="spot", symbol="BTCUSDT", interval="D", limit=1)["list"]

    opening, high, low, close, volume, turnover = map(float, row[1:])
    assert low <= min(opening, close) <= max(opening, close) <= high
    assert volume < turnover


def test_trades_are_the_newest_first_and_those_of_the_stream() -> None:
    follower = MARKET.follow(Stream("ETHUSDT", Kind.TRADE))
    for _ in range(3):
        follower.next(NOW)

    trades = result("recent-trade", category="linear", symbol="ETHUSDT", limit=3)["list"]

    assert [each["seq"] for each in trades] == ["7001000003", "7001000002", "7001000001"]
    assert set(trades[0]) == {
        *("execId", "symbol", "price", "size", "side", "time", "isBlockTrade", "isRPITrade", "seq"),
    }
    assert trades[0]["time"] == str(NOW)


@pytest.mark.parametrize(
    ("category", "limit", "count"),
    [("linear", 5000, 1000), ("linear", None, 500), ("spot", 500, 60), ("spot", None, 60)],
)
def test_there_are_no_more_trades_than_the_real_one_gives(
    category: str, limit: int | None, count: int
) -> None:
    query = {} if limit is None else {"limit": limit}

    assert (
        len(result("recent-trade", category=category, symbol="BTCUSDT", **query)["list"]) == count
    )


def test_the_order_book_has_the_numbers_of_the_stream() -> None:
    follower = MARKET.follow(Stream("BTCUSDT", Kind.DEPTH))
    depth = follower.next(NOW)

    book = result("orderbook", category="linear", symbol="BTCUSDT", limit=5)

    assert set(book) == {"s", "a", "b", "ts", "u", "seq", "cts"}
    assert isinstance(depth, Depth)
    assert book["u"] == depth.last_id
    assert len(book["a"]) == len(book["b"]) == 5
    assert float(book["b"][0][0]) < float(book["a"][0][0])
    assert len(result("orderbook", category="linear", symbol="BTCUSDT")["a"]) == 25
    assert len(result("orderbook", category="spot", symbol="BTCUSDT")["a"]) == 1
