"""MEXC futures over REST: the requests, the answers of its documentation, its errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.venues.rest_tools import NOW, D, read, refusal_of
from wsresilient import ConfigurationError
from wsresilient.core.market import Kline, OrderBook, Symbol, Ticker24h, Trade
from wsresilient.venues import MEXC
from wsresilient.venues.rest_mexc import MEXCRest

REST = MEXCRest()

TICKER = (
    '{"success":true,"code":0,"data":{"symbol":"BTC_USDT","lastPrice":31199,"bid1":31198.5,'
    '"ask1":31199,"volume24":40146908,"amount24":124905007.4428,"holdVol":55102960,'
    '"lower24Price":27795,"high24Price":33152.5,"riseFallRate":-0.0176,"riseFallValue":-562,'
    '"indexPrice":31016.3,"fairPrice":31199.5,"fundingRate":0.001,"maxBidPrice":31946.5,'
    '"minAskPrice":30085.5,"timestamp":1609831334016}}'
)
KLINES = (
    '{"success":true,"code":0,"data":{"time":[1609740600],"open":[33016.5],"close":[33040.5],'
    '"high":[33094.0],"low":[32995.0],"vol":[67332.0],"amount":[222515.85925]}}'
)
DEALS = '{"success":true,"code":0,"data":[{"p":31199,"v":18,"T":1,"O":3,"M":2,"t":1609831235985}]}'
DEPTH = (
    '{"success":true,"code":0,"data":{"cts":null,"asks":[[3968.5,121,3]],"bids":[[3968.4,179,4]],'
    '"version":222542631,"timestamp":1587442022003}}'
)
#: Not asked for by the client; its levels have the same form.
COMMITS = (
    '{"success":true,"code":0,"data":[{"asks":[[31792,59105,1]],"bids":[],"version":1481763378}]}'
)
PING = '{"success":true,"code":0,"data":1587442022003}'
UNKNOWN = '{"success":false,"code":1001,"message":"Contract does not exist"}'


def klines(interval: str = "1m", **arguments: Any) -> Any:
    usual = {"start": None, "end": None, "limit": None, "now": NOW}
    return REST.klines("BTC_USDT", interval, **{**usual, **arguments})


def test_symbols() -> None:
    query = REST.symbols(kind=None)
    body = (
        '{"success":true,"code":0,"data":[{"symbol":"BTC_USDT","baseCoin":"BTC",'
        '"quoteCoin":"USDT","settleCoin":"USDT","contractSize":0.0001,"priceUnit":0.1,'
        '"volUnit":1,"state":0,"apiAllowed":false},'
        '{"symbol":"OLD_USD","settleCoin":"OLD","state":2}]}'
    )

    assert (query.path, query.parameters) == ("/api/v1/contract/detail", {})
    assert read(query, body) == (
        Symbol("BTC_USDT", "BTC", "USDT", True, "perpetual"),
        Symbol("OLD_USD", "OLD", "USD", False, "perpetual"),
    )
    with pytest.raises(ConfigurationError, match="kind is 'spot'"):
        REST.symbols(kind="spot")


def test_tickers_rank_by_turnover_and_come_as_one_or_several() -> None:
    query = REST.tickers(kind="perpetual")

    assert query.path == "/api/v1/contract/ticker"
    expected = (Ticker24h("BTC_USDT", D("124905007.4428"), D(31199)),)
    assert read(query, TICKER) == expected
    assert read(query, TICKER.replace('"data":{', '"data":[{').replace("}}", "}]}")) == expected


def test_klines_come_in_columns_and_seconds() -> None:
    query = klines("Min1")

    assert query.path == "/api/v1/contract/kline/BTC_USDT"
    assert query.parameters == {"interval": "Min1"}
    assert read(query, KLINES) == (
        Kline(
            "BTC_USDT",
            "Min1",
            1609740600.0,
            D("33016.5"),
            D("33094.0"),
            D("32995.0"),
            D("33040.5"),
            D("67332.0"),
            True,
        ),
    )


def test_columns_of_different_lengths_are_no_klines() -> None:
    with pytest.raises(ValueError, match=r"longer|shorter"):
        read(klines(), KLINES.replace("[33016.5]", "[33016.5,1]"))


def test_times_stand_for_the_limit_that_there_is_not() -> None:
    assert klines("1h", start=7200.0, limit=5).parameters == {
        "interval": "Min60",
        "start": "7200",
        "end": str(7200 + 5 * 3600),
    }
    assert klines("1h", end=720000.0, limit=5).parameters == {
        "interval": "Min60",
        "start": str(720000 - 5 * 3600),
        "end": "720000",
    }
    assert klines("1h", limit=5).parameters == {"interval": "Min60"}
    assert klines("1h", end=10.0).parameters["start"] == "0"
    with pytest.raises(ConfigurationError, match="1 to 2000"):
        klines(limit=2001)
    with pytest.raises(ConfigurationError, match="unknown interval '3m'"):
        klines("3m")


def test_a_limit_is_kept_here_and_the_end_is_left_out() -> None:
    body = (
        '{"success":true,"code":0,"data":{"time":[0,60,120,180],"open":[1,1,1,1],"close":[1,1,1,1],'
        '"high":[1,1,1,1],"low":[1,1,1,1],"vol":[1,1,1,1]}}'
    )

    assert [k.opened_at for k in read(klines(limit=2), body)] == [120.0, 180.0]
    assert [k.opened_at for k in read(klines(start=60.0, limit=2), body)] == [60.0, 120.0]


def test_trades() -> None:
    query = REST.trades("BTC_USDT", limit=100, from_id=None, aggregated=False)

    assert query.path == "/api/v1/contract/deals/BTC_USDT"
    assert query.parameters == {"limit": "100"}
    assert read(query, DEALS) == (Trade("BTC_USDT", None, D(31199), D(18), "buy", 1609831235.985),)
    sold = read(query, DEALS.replace('"T":1', '"T":2,"i":13064218826'))
    assert (sold[0].side, sold[0].id) == ("sell", 13064218826)


def test_trades_are_the_latest_only() -> None:
    with pytest.raises(ConfigurationError, match="1 to 100"):
        REST.trades("BTC_USDT", limit=101, from_id=None, aggregated=False)
    with pytest.raises(ConfigurationError, match="only the latest"):
        REST.trades("BTC_USDT", limit=None, from_id=1, aggregated=False)


def test_order_book() -> None:
    query = REST.order_book("BTC_USDT", limit=20)

    assert query.path == "/api/v1/contract/depth/BTC_USDT"
    assert query.parameters == {"limit": "20"}
    assert read(query, DEPTH) == OrderBook(
        "BTC_USDT", ((D("3968.4"), D(179)),), ((D("3968.5"), D(121)),), 222542631, 1587442022.003
    )


def test_server_time() -> None:
    assert REST.server_time().path == "/api/v1/contract/ping"
    assert read(REST.server_time(), PING) == 1587442022.003


def test_a_symbol_in_a_path_stays_one_piece() -> None:
    assert REST.order_book("币安_USDT", limit=None).path.endswith("/depth/%E5%B8%81%E5%AE%89_USDT")
    with pytest.raises(ConfigurationError, match="BTC_USDT"):
        REST.order_book("../../private/account", limit=None)


@pytest.mark.parametrize("body", [TICKER, KLINES, DEALS, DEPTH, COMMITS, PING])
def test_a_good_answer_is_no_refusal(body: str) -> None:
    assert refusal_of(REST, body) is None


def test_an_error_comes_with_a_good_status() -> None:
    refusal = refusal_of(REST, UNKNOWN)

    assert refusal is not None
    assert (refusal.code, refusal.text) == (1001, "Contract does not exist")
    assert "symbols()" in refusal.hint
    assert not refusal.temporary


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, '{"success":false,"code":510,"message":"Requests are too frequent"}'),
        (429, ""),
        (510, '{"success":false,"code":510,"message":"Requests are too frequent"}'),
    ],
)
def test_too_many_requests(status: int, body: str) -> None:
    refusal = refusal_of(REST, body, status=status)

    assert refusal is not None
    assert (refusal.retry_after, refusal.for_all, refusal.temporary) == (2.0, True, True)


def test_no_success_without_a_code_is_an_error_too() -> None:
    refusal = refusal_of(REST, '{"success":false,"code":0,"message":"no"}')

    assert refusal is not None
    assert (refusal.code, refusal.text) == (None, "no")


def test_the_venue_has_the_dialect() -> None:
    assert isinstance(MEXC().rest, MEXCRest)
