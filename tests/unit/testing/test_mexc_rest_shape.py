"""How the REST of the fake MEXC futures looks. The fields are those of what was seen of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.testing.events import Depth, Kind, Stream, Trade
from wsresilient.testing.listen_keys import ListenKeys
from wsresilient.testing.market import Market
from wsresilient.testing.rest_server import MarketDesk
from wsresilient.testing.rest_shapes.base import RestRequest
from wsresilient.testing.rest_shapes.mexc import MEXCShape, contracts

NOW = 1_609_831_334_016
SYMBOLS = ("BTC_USDT", "ETH_USDT", "XRP_USD")
MARKET = Market(SYMBOLS, seed=1)
DESK = MarketDesk(MARKET, Credentials("k", "s"), ListenKeys(60.0, lambda: 0.0), lambda: NOW)


def get(path: str, **query: object) -> Any:
    request = RestRequest("GET", f"/api/v1/contract/{path}", {k: str(v) for k, v in query.items()})
    answer = MEXCShape().answer(request, DESK)
    assert answer is not None
    assert answer.status == 200
    return json.loads(answer.body)


def data(path: str, **query: object) -> Any:
    body = get(path, **query)
    assert body == {"success": True, "code": 0, "data": body["data"]}
    return body["data"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/contract/nothing"),
        ("GET", "/api/v1/contract/ping/x"),
        ("GET", "/api/v1/contract/deals/A/B"),
        ("GET", "/api/v1/private"),
        ("POST", "/api/v1/contract/ping"),
    ],
)
def test_other_paths_do_not_exist(method: str, path: str) -> None:
    assert MEXCShape().answer(RestRequest(method, path), DESK) is None


def test_a_ping_gives_the_time() -> None:
    assert data("ping") == NOW


@pytest.mark.parametrize(
    "path",
    [
        "detail?symbol=NOPE_USDT",
        "ticker?symbol=NOPE_USDT",
        "kline/NOPE_USDT",
        "kline",
        "deals/NOPE_USDT",
        "depth/NOPE_USDT",
        "funding_rate/NOPE_USDT",
    ],
)
def test_an_unknown_contract_is_an_error_with_the_status_200(path: str) -> None:
    name, _, query = path.partition("?symbol=")

    assert get(name, **({"symbol": query} if query else {})) == {
        "success": False,
        "code": 1001,
        "message": "Contract does not exist",
    }


def test_an_unknown_interval_is_an_error() -> None:
    assert get("kline/BTC_USDT", interval="Min2")["code"] == 600


def test_contracts() -> None:
    found = data("detail")

    assert [each["symbol"] for each in found] == list(SYMBOLS)
    assert data("detail/country") == found
    assert data("detail", symbol="BTC_USDT") == found[0]
    assert (found[0]["state"], found[0]["apiAllowed"]) == (0, True)
    assert [each["settleCoin"] for each in found] == ["USDT", "USDT", "XRP"]


def test_tickers_rank_by_amount() -> None:
    found = data("ticker")

    amounts = [each["amount24"] for each in found]
    assert [each["symbol"] for each in found] == list(SYMBOLS)
    assert amounts == sorted(amounts, reverse=True)
    # Whoever ranks by contracts gets it wrong.
    volumes = [each["volume24"] for each in found]
    assert volumes != sorted(volumes, reverse=True)
    assert set(found[0]) == {
        *("symbol", "lastPrice", "bid1", "ask1", "volume24", "amount24", "holdVol"),
        *("lower24Price", "high24Price", "riseFallRate", "riseFallValue", "indexPrice"),
        *("fairPrice", "fundingRate", "maxBidPrice", "minAskPrice", "timestamp"),
    }
    assert data("ticker", symbol="ETH_USDT") == found[1]


def test_candles_are_columns_and_the_oldest_first() -> None:
    latest = NOW // 60_000 * 60

    columns = data("kline/BTC_USDT", start=latest - 120)

    assert columns["time"] == [latest - 120, latest - 60, latest]
    assert set(columns) == {"time", "open", "close", "high", "low", "vol", "amount"}
    assert {len(column) for column in columns.values()} == {3}
    for low, opening, close, high in zip(
        *(columns[name] for name in ("low", "open", "close", "high")), strict=True
    ):
        assert low <= min(opening, close) <= max(opening, close) <= high


def test_candles_of_a_span() -> None:
    latest = NOW // 3_600_000 * 3600

    assert len(data("kline/BTC_USDT", interval="Min60")["time"]) == 2000
    assert data("kline/BTC_USDT", interval="Min60", start=latest - 7200, end=latest - 1)[
        "time"
    ] == [
        latest - 7200,
        latest - 3600,
    ]
    assert data("kline/BTC_USDT", interval="Min60", end=latest - 1)["time"][-1] == latest - 3600


def test_deals_are_the_newest_first_and_those_of_the_stream() -> None:
    follower = MARKET.follow(Stream("ETH_USDT", Kind.TRADE))
    made = [follower.next(NOW + number) for number in range(3)]

    deals = data("deals/ETH_USDT", limit=3)

    assert [each["t"] for each in deals] == [NOW + 2, NOW + 1, NOW]
    assert set(deals[0]) == {"p", "v", "T", "O", "M", "t"}
    assert isinstance(made[2], Trade)
    assert deals[0]["p"] == round(made[2].price, 8)
    assert deals[0]["v"] == contracts(made[2].quantity)
    assert deals[0]["T"] == (2 if made[2].is_buyer_maker else 1)
    assert len(data("deals/ETH_USDT", limit=5000)) == 100


def test_the_order_book_has_the_numbers_of_the_stream() -> None:
    follower = MARKET.follow(Stream("BTC_USDT", Kind.DEPTH))
    depth = follower.next(NOW)

    book = data("depth/BTC_USDT", limit=5)

    assert isinstance(depth, Depth)
    assert set(book) == {"cts", "asks", "bids", "version", "timestamp"}
    assert (book["cts"], book["version"], book["timestamp"]) == (None, depth.last_id, NOW)
    assert len(book["asks"]) == len(book["bids"]) == 5
    price, quantity, orders = book["bids"][0]
    assert price < book["asks"][0][0]
    assert quantity >= 1
    assert orders == 1
    assert len(data("depth/BTC_USDT")["bids"]) > 5


def test_funding_rates() -> None:
    every = data("funding_rate")

    assert [each["symbol"] for each in every] == list(SYMBOLS)
    assert data("funding_rate/BTC_USDT") == every[0]
    assert every[0]["nextSettleTime"] > NOW


@pytest.mark.parametrize(
    ("quantity", "count"), [(0.0, 0), (0.0001, 1), (0.001, 1), (0.606, 606), (1.5, 1500)]
)
def test_quantities_are_whole_contracts(quantity: float, count: int) -> None:
    assert contracts(quantity) == count
