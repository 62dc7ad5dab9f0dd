"""How the REST of the fake Binance looks. The fields are those of the documentation's samples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.testing.events import Kind, Stream
from wsresilient.testing.listen_keys import ListenKeys
from wsresilient.testing.market import Market
from wsresilient.testing.rest_server import MarketDesk
from wsresilient.testing.rest_shapes.base import RestAnswer, RestRequest, RestShape
from wsresilient.testing.rest_shapes.binance import BinanceFuturesShape, BinanceSpotShape

NOW = 1_672_515_782_136
MINUTE = 60_000
SPOT, FUTURES = BinanceSpotShape(), BinanceFuturesShape()
PREFIXES: dict[RestShape, str] = {SPOT: "/api/v3", FUTURES: "/fapi/v1"}
BOTH = pytest.mark.parametrize("shape", [SPOT, FUTURES], ids=["spot", "futures"])


def desk_of(market: Market) -> MarketDesk:
    return MarketDesk(
        market, Credentials("theKey", "s"), ListenKeys(60.0, lambda: 0.0), lambda: NOW
    )


MARKET = Market(["BTCUSDT", "ETHBTC", "XRPUSDC"], seed=1)
DESK = desk_of(MARKET)


def answer(shape: RestShape, path: str, desk: MarketDesk = DESK, **query: object) -> RestAnswer:
    named = {name: str(value) for name, value in query.items()}
    found = shape.answer(RestRequest("GET", f"{PREFIXES[shape]}/{path}", named), desk)
    assert found is not None
    return found


def get(shape: RestShape, path: str, desk: MarketDesk = DESK, **query: object) -> Any:
    found = answer(shape, path, desk, **query)
    assert (found.status, found.headers) == (200, {"X-MBX-USED-WEIGHT-1M": "20"})
    return json.loads(found.body)


@BOTH
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "nothing"), ("GET", ""), ("POST", "time"), ("GET", "../v3/time")],
)
def test_other_paths_do_not_exist(shape: RestShape, method: str, path: str) -> None:
    assert shape.answer(RestRequest(method, f"{PREFIXES[shape]}/{path}"), DESK) is None


def test_each_market_has_its_own_paths() -> None:
    assert SPOT.answer(RestRequest("GET", "/fapi/v1/time"), DESK) is None
    assert FUTURES.answer(RestRequest("GET", "/api/v3/time"), DESK) is None


@BOTH
def test_ping_and_time(shape: RestShape) -> None:
    assert get(shape, "ping") == {}
    assert get(shape, "time") == {"serverTime": NOW}


def test_symbols() -> None:
    spot, futures = get(SPOT, "exchangeInfo"), get(FUTURES, "exchangeInfo", symbol="BTCUSDT")

    assert spot["symbols"] == [
        {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"},
        {"symbol": "ETHBTC", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "BTC"},
        {"symbol": "XRPUSDC", "status": "TRADING", "baseAsset": "XRP", "quoteAsset": "USDC"},
    ]
    (perpetual,) = futures["symbols"]
    assert perpetual["contractType"] == "PERPETUAL"
    assert get(SPOT, "exchangeInfo", desk_of(Market(["QQQ"])))["symbols"][0]["quoteAsset"] == ""


@BOTH
def test_tickers(shape: RestShape) -> None:
    every = get(shape, "ticker/24hr")
    one = get(shape, "ticker/24hr", symbol="ETHBTC")
    some = get(shape, "ticker/24hr", symbols='["XRPUSDC","BTCUSDT"]')

    assert [each["symbol"] for each in every] == ["BTCUSDT", "ETHBTC", "XRPUSDC"]
    volumes = [float(each["quoteVolume"]) for each in every]
    assert volumes == sorted(set(volumes), reverse=True)
    assert one == every[1]
    assert [each["symbol"] for each in some] == ["XRPUSDC", "BTCUSDT"]
    assert list(one) == [
        *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "lastPrice"),
        *("lastQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume", "openTime"),
        *("closeTime", "firstId", "lastId", "count"),
    ]


@BOTH
def test_candles(shape: RestShape) -> None:
    rows = get(shape, "klines", symbol="BTCUSDT", interval="1m", limit=3)
    first = NOW - NOW % MINUTE - 2 * MINUTE

    assert [row[0] for row in rows] == [first, first + MINUTE, first + 2 * MINUTE]
    assert [row[6] - row[0] for row in rows] == [MINUTE - 1] * 3
    assert all(len(row) == 12 and row[11] == "0" for row in rows)
    assert [type(value) for value in rows[0]] == [
        *(int, str, str, str, str, str, int, str, int, str, str, str),
    ]
    again = get(shape, "klines", symbol="BTCUSDT", interval="1m", startTime=first, limit=2)
    assert again == rows[:2]
    end = first + MINUTE
    until = get(shape, "klines", symbol="BTCUSDT", interval="1m", startTime=first, endTime=end)
    assert until == rows[:2]
    most = get(shape, "klines", symbol="BTCUSDT", interval="1m", limit=9999)
    assert len(most) == (1000 if shape is SPOT else 1500)


def test_trades() -> None:
    market = Market(["BTCUSDT"])
    follower = market.follow(Stream("BTCUSDT", Kind.TRADE))
    made = [follower.next(NOW + number) for number in range(4)]
    desk = desk_of(market)

    trades = get(SPOT, "trades", desk, symbol="BTCUSDT", limit=3)
    aggregates = get(SPOT, "aggTrades", desk, symbol="BTCUSDT", limit=3)

    ids = [trade["id"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + 3))
    assert [trade["price"] for trade in trades] == [f"{m.price:.8f}" for m in made[1:]]  # type: ignore[union-attr]
    assert list(trades[0]) == [
        *("id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"),
    ]
    assert [each["a"] for each in aggregates] == ids
    assert list(aggregates[0]) == list("apqflTmM")
    assert "isRPITrade" in get(FUTURES, "trades", desk, symbol="BTCUSDT")[0]
    assert list(get(FUTURES, "aggTrades", desk, symbol="BTCUSDT")[0]) == list("apqflTm")


@pytest.mark.parametrize("path", ["aggTrades", "historicalTrades"])
def test_trades_by_id_repair_a_gap(path: str) -> None:
    name = "a" if path == "aggTrades" else "id"
    latest = get(SPOT, path, symbol="BTCUSDT", limit=5)

    missing = get(SPOT, path, symbol="BTCUSDT", fromId=latest[1][name], limit=2)

    assert missing == latest[1:3]


def test_aggregates_by_time() -> None:
    latest = get(SPOT, "aggTrades", symbol="BTCUSDT", limit=5)
    start, end = latest[1]["T"], latest[3]["T"]

    between = get(SPOT, "aggTrades", symbol="BTCUSDT", startTime=start, endTime=end)

    assert between == latest[1:4]
    assert get(SPOT, "aggTrades", symbol="BTCUSDT", startTime=start, limit=2) == latest[1:3]


def test_the_latest_trades_have_no_first() -> None:
    latest = get(SPOT, "trades", symbol="BTCUSDT", limit=2)

    assert get(SPOT, "trades", symbol="BTCUSDT", limit=2, fromId=1) == latest


def test_the_order_book_has_the_numbers_of_the_stream() -> None:
    market = Market(["BTCUSDT"])
    follower = market.follow(Stream("BTCUSDT", Kind.DEPTH))
    depth = follower.next(NOW)
    desk = desk_of(market)

    spot = get(SPOT, "depth", desk, symbol="BTCUSDT", limit=5)
    futures = get(FUTURES, "depth", desk, symbol="BTCUSDT")

    assert list(spot) == ["lastUpdateId", "bids", "asks"]
    assert spot["lastUpdateId"] == depth.last_id  # type: ignore[union-attr]
    assert futures["lastUpdateId"] == depth.last_id * 10  # type: ignore[union-attr]
    assert (len(spot["bids"]), len(futures["bids"])) == (5, 50)
    assert (futures["E"], futures["T"]) == (NOW, NOW)
    assert float(spot["bids"][0][0]) < float(spot["asks"][0][0])


def test_premium_index() -> None:
    every = get(FUTURES, "premiumIndex")

    assert get(FUTURES, "premiumIndex", symbol="BTCUSDT") == every[0]
    assert list(every[0]) == [
        *("symbol", "markPrice", "indexPrice", "lastFundingRate", "nextFundingTime", "time"),
    ]


@BOTH
@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("klines", {"interval": "1m"}, -1102),
        ("klines", {"symbol": "NOPE", "interval": "1m"}, -1121),
        ("klines", {"symbol": "BTCUSDT"}, -1120),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("depth", {"symbol": "btcusdt"}, -1121),
        ("trades", {}, -1102),
        ("ticker/24hr", {"symbol": "NOPE"}, -1121),
        ("ticker/24hr", {"symbols": '["NOPE"]'}, -1121),
        ("ticker/24hr", {"symbols": "BTCUSDT"}, -1101),
    ],
)
def test_errors(shape: RestShape, path: str, query: dict[str, str], code: int) -> None:
    found = answer(shape, path, DESK, **query)

    assert found.status == 400
    error = json.loads(found.body)
    assert error["code"] == code
    assert error["msg"]


def test_the_life_of_a_listen_key() -> None:
    desk = desk_of(MARKET)

    def ask(method: str, key: str = "theKey") -> tuple[int, Any]:
        headers = {"x-mbx-apikey": key}
        request = RestRequest(method, "/fapi/v1/listenKey", headers=headers)
        found = FUTURES.answer(request, desk)
        assert found is not None
        return found.status, json.loads(found.body)

    assert ask("PUT") == (400, {"code": -1125, "msg": "This listenKey does not exist."})
    status, made = ask("POST")
    assert (status, list(made)) == (200, ["listenKey"])
    assert ask("POST") == ask("PUT") == (200, made)
    assert ask("POST", "otherKey")[1]["code"] == -2015
    assert ask("POST", "no key") == (401, {"code": -2014, "msg": "API-key format invalid."})
    assert ask("DELETE") == (200, {})
    assert ask("DELETE")[1]["code"] == -1125
    get_request = RestRequest("GET", "/fapi/v1/listenKey", headers={"x-mbx-apikey": "theKey"})
    assert FUTURES.answer(get_request, desk) is None
