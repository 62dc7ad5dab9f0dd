"""Binance over REST: the requests, the answers of its documentation, its errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.venues.rest_tools import NOW, D, read, refusal_of
from wsresilient import ConfigurationError
from wsresilient.core.market import Kline, OrderBook, Symbol, Ticker24h, Trade
from wsresilient.venues import Binance
from wsresilient.venues.rest_binance import BinanceRest

SPOT, FUTURES = BinanceRest("spot"), BinanceRest("futures")

KLINES = (
    '[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",'
    '1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]]'
)
TRADES = (
    '[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012",'
    '"time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}]'
)
FUTURES_TRADES = (
    '[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.00",'
    '"time":1499865549590,"isBuyerMaker":true,"isRPITrade":true}]'
)
AGGREGATED = (
    '[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true}]'
)
DEPTH = (
    '{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],'
    '"asks":[["4.00000200","12.00000000"]]}'
)
FUTURES_DEPTH = (
    '{"lastUpdateId":1027024,"E":1589436922972,"T":1589436922959,'
    '"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}'
)
TICKER = (
    '{"symbol":"BTCUSDT","priceChange":"-94.99999800","priceChangePercent":"-95.960",'
    '"weightedAvgPrice":"0.29628482","lastPrice":"4.00000200","lastQty":"200.00000000",'
    '"openPrice":"99.00000000","highPrice":"100.00000000","lowPrice":"0.10000000",'
    '"volume":"8913.30000000","quoteVolume":"15.30000000","openTime":1499783499040,'
    '"closeTime":1499869899040,"firstId":28385,"lastId":28460,"count":76}'
)


def klines(dialect: BinanceRest, interval: str = "1m", **arguments: Any) -> Any:
    usual = {"start": None, "end": None, "limit": None, "now": NOW}
    return dialect.klines("BTCUSDT", interval, **{**usual, **arguments})


def test_symbols() -> None:
    query = SPOT.symbols(kind=None)
    body = (
        '{"symbols":[{"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC"},'
        '{"symbol":"OLDBTC","status":"BREAK","baseAsset":"OLD","quoteAsset":"BTC"}]}'
    )

    assert (query.path, query.parameters) == ("/api/v3/exchangeInfo", {})
    assert query.following is None
    assert read(query, body) == (
        Symbol("ETHBTC", "ETH", "BTC", True, "spot"),
        Symbol("OLDBTC", "OLD", "BTC", False, "spot"),
    )


def test_symbols_of_the_futures_are_of_two_kinds() -> None:
    body = (
        '{"symbols":['
        '{"symbol":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC",'
        '"quoteAsset":"USDT"},'
        '{"symbol":"XAUUSDT","contractType":"TRADIFI_PERPETUAL","status":"TRADING",'
        '"baseAsset":"XAU","quoteAsset":"USDT"},'
        '{"symbol":"BTCUSDT_260925","contractType":"CURRENT_QUARTER","status":"TRADING",'
        '"baseAsset":"BTC","quoteAsset":"USDT"}],"rateLimits":[]}'
    )

    assert FUTURES.symbols(kind=None).path == "/fapi/v1/exchangeInfo"
    kinds = [symbol.kind for symbol in read(FUTURES.symbols(kind=None), body)]
    assert kinds == ["perpetual", "perpetual", "future"]
    only = read(FUTURES.symbols(kind="future"), body)
    assert [symbol.name for symbol in only] == ["BTCUSDT_260925"]


def test_tickers() -> None:
    query = SPOT.tickers(kind=None)

    assert (query.path, query.parameters) == ("/api/v3/ticker/24hr", {"type": "MINI"})
    assert FUTURES.tickers(kind=None).path == "/fapi/v1/ticker/24hr"
    assert FUTURES.tickers(kind=None).parameters == {}
    expected = (Ticker24h("BTCUSDT", D("15.3"), D("4.000002")),)
    assert read(query, TICKER) == expected
    assert read(query, f"[{TICKER}]") == expected


def test_klines() -> None:
    query = klines(SPOT, limit=1)

    assert query.path == "/api/v3/klines"
    assert query.parameters == {"symbol": "BTCUSDT", "interval": "1m", "limit": "1"}
    assert read(query, KLINES) == (
        Kline(
            "BTCUSDT",
            "1m",
            1499040000.0,
            D("0.0163479"),
            D("0.8"),
            D("0.015758"),
            D("0.015771"),
            D("148976.11427815"),
            True,
        ),
    )


def test_klines_of_a_time() -> None:
    query = klines(SPOT, "1h", start=7200.0, limit=2)

    # both of the venue's own bounds are included, ours leaves the end out
    assert query.parameters["startTime"] == "7200000"
    assert query.parameters["endTime"] == "14399999"
    assert klines(SPOT, end=60.0).parameters["endTime"] == "59999"


@pytest.mark.parametrize(("dialect", "most"), [(SPOT, 1000), (FUTURES, 1500)])
def test_as_many_klines_as_a_request_gives(dialect: BinanceRest, most: int) -> None:
    assert klines(dialect, limit=most).parameters["limit"] == str(most)
    assert klines(dialect).parameters["limit"] == "500"
    with pytest.raises(ConfigurationError, match=f"1 to {most}"):
        klines(dialect, limit=most + 1)


def test_seconds_are_klines_of_spot_only() -> None:
    assert klines(SPOT, "1s").parameters["interval"] == "1s"
    with pytest.raises(ConfigurationError, match="unknown interval '1s'"):
        klines(FUTURES, "1s")


@pytest.mark.parametrize(
    ("dialect", "body", "path"),
    [(SPOT, TRADES, "/api/v3/trades"), (FUTURES, FUTURES_TRADES, "/fapi/v1/trades")],
)
def test_trades(dialect: BinanceRest, body: str, path: str) -> None:
    query = dialect.trades("BTCUSDT", limit=5, from_id=None, aggregated=False)

    assert (query.path, query.parameters) == (path, {"symbol": "BTCUSDT", "limit": "5"})
    # the buyer's order was there first, so the taker sold
    assert read(query, body) == (
        Trade("BTCUSDT", 28457, D("4.000001"), D(12), "sell", 1499865549.59),
    )


def test_aggregated_trades_from_an_id() -> None:
    query = FUTURES.trades("btcusdt", limit=None, from_id=26129, aggregated=True)

    assert query.path == "/fapi/v1/aggTrades"
    assert query.parameters == {"symbol": "BTCUSDT", "fromId": "26129"}
    assert read(query, AGGREGATED) == (
        Trade("BTCUSDT", 26129, D("0.01633102"), D("4.70443515"), "sell", 1498793709.153),
    )


def test_earlier_trades_one_by_one_are_told_on_spot_only() -> None:
    query = SPOT.trades("BTCUSDT", limit=1000, from_id="7", aggregated=False)
    assert (query.path, query.parameters["fromId"]) == ("/api/v3/historicalTrades", "7")

    with pytest.raises(ConfigurationError, match=r"from_id is 7: .*aggregated=True"):
        FUTURES.trades("BTCUSDT", limit=None, from_id=7, aggregated=False)


@pytest.mark.parametrize("from_id", [-1, "x", True, 1.5, ""])
def test_an_id_that_is_none_is_refused(from_id: Any) -> None:
    with pytest.raises(ConfigurationError, match="from_id is"):
        SPOT.trades("BTCUSDT", limit=None, from_id=from_id, aggregated=True)


def test_order_book() -> None:
    query = SPOT.order_book("btcusdt", limit=7)

    assert (query.path, query.parameters) == ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "7"})
    assert read(query, DEPTH) == OrderBook(
        "BTCUSDT", ((D(4), D(431)),), ((D("4.000002"), D(12)),), 1027024, None
    )


def test_the_futures_know_only_some_depths_of_which_the_next_is_cut() -> None:
    query = FUTURES.order_book("BTCUSDT", limit=7)
    levels = ",".join(f'["{n}","1"]' for n in range(1, 11))

    assert (query.path, query.parameters["limit"]) == ("/fapi/v1/depth", "10")
    book = read(query, FUTURES_DEPTH.replace('["4.00000000","431.00000000"]', levels))
    assert [price for price, _ in book.bids] == [D(n) for n in range(10, 3, -1)]
    assert book.at == 1589436922.959
    with pytest.raises(ConfigurationError, match="1 to 1000"):
        FUTURES.order_book("BTCUSDT", limit=1001)
    assert FUTURES.order_book("BTCUSDT", limit=None).parameters == {"symbol": "BTCUSDT"}


def test_server_time() -> None:
    assert SPOT.server_time().path == "/api/v3/time"
    assert FUTURES.server_time().path == "/fapi/v1/time"
    assert read(SPOT.server_time(), '{"serverTime":1499827319559}') == 1499827319.559


@pytest.mark.parametrize("body", [KLINES, TRADES, DEPTH, TICKER, f"[{TICKER}]", "{}", "[]"])
def test_a_good_answer_is_no_refusal(body: str) -> None:
    assert refusal_of(SPOT, body) is None


def test_an_unknown_symbol_is_told_with_where_to_look() -> None:
    refusal = refusal_of(SPOT, '{"code":-1121,"msg":"Invalid symbol."}', status=400)

    assert refusal is not None
    assert (refusal.code, refusal.text) == (-1121, "Invalid symbol.")
    assert "symbols()" in refusal.hint
    assert (refusal.temporary, refusal.retry_after, refusal.for_all) == (False, None, False)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "7"}, 7.0),
        (429, {}, 60.0),
        (418, {"retry-after": "259200"}, 259200.0),
        (418, {}, 120.0),
    ],
)
def test_too_many_requests_and_a_ban_are_for_all_clients_of_the_address(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    body = '{"code":-1003,"msg":"Too many requests."}'
    refusal = refusal_of(FUTURES, body, status=status, headers=headers)

    assert refusal is not None
    assert (refusal.retry_after, refusal.for_all, refusal.temporary) == (seconds, True, True)


def test_too_many_connections_are_a_reason_to_wait() -> None:
    refusal = refusal_of(SPOT, '{"code":-1034,"msg":"Too many connections."}', status=400)

    assert refusal is not None
    assert (refusal.retry_after, refusal.temporary) == (60.0, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, "Service Unavailable."), (408, ""), (400, '{"code":-1008,"msg":"throttled"}')],
)
def test_what_passes_may_be_tried_again(status: int, body: str) -> None:
    refusal = refusal_of(FUTURES, body, status=status)

    assert refusal is not None
    assert refusal.temporary
    assert not refusal.for_all


@pytest.mark.parametrize("status", [403, 451])
def test_a_closed_door_is_explained(status: int) -> None:
    refusal = refusal_of(SPOT, "<html>", status=status)

    assert refusal is not None
    assert refusal.hint
    assert not refusal.temporary


def test_an_error_with_a_good_status_is_one_all_the_same() -> None:
    assert refusal_of(SPOT, '{"code":-1121,"msg":"Invalid symbol."}') is not None


def test_the_venue_has_the_dialect_of_its_market() -> None:
    assert Binance().rest.server_time().path == "/api/v3/time"
    assert Binance("futures").rest.server_time().path == "/fapi/v1/time"
    with pytest.raises(ConfigurationError, match="market is 'coin'"):
        BinanceRest("coin")
