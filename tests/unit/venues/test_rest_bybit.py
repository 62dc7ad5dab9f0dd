"""Bybit over REST: the requests, the answers of its documentation, its pages, its errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.venues.rest_tools import NOW, D, as_text, read, refusal_of
from wsresilient import ConfigurationError
from wsresilient.core.market import OrderBook, Symbol, Ticker24h, Trade
from wsresilient.venues import Bybit
from wsresilient.venues.dialect import decode_answer
from wsresilient.venues.rest_bybit import BybitRest

SPOT, LINEAR, INVERSE = BybitRest("spot"), BybitRest("linear"), BybitRest("inverse")
OPTION = BybitRest("option")

TICKERS = (
    '{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"symbol":"BTCUSDT",'
    '"bid1Price":"20517.96","bid1Size":"2","ask1Price":"20527.77","ask1Size":"1.862172",'
    '"lastPrice":"20533.13","prevPrice24h":"20393.48","price24hPcnt":"0.0068",'
    '"highPrice24h":"21128.12","lowPrice24h":"20318.89","turnover24h":"243765620.65899866",'
    '"volume24h":"11801.27771","usdIndexPrice":"20784.12009279"}]},"retExtInfo":{},'
    '"time":1673859087947}'
)
KLINES = (
    '{"retCode":0,"retMsg":"OK","result":{"symbol":"BTCUSD","category":"inverse","list":'
    '[["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"],'
    '["1670605200000","17071.5","17071.5","17061","17071","4177","0.24469757"]]},'
    '"retExtInfo":{},"time":1672025956592}'
)
TRADES = (
    '{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"execId":'
    '"2100000000007764263","symbol":"BTCUSDT","price":"16618.49","size":"0.00012","side":"Buy",'
    '"time":"1672052955758","isBlockTrade":false,"isRPITrade":true,"seq":"123456"}]},'
    '"retExtInfo":{},"time":1672053054358}'
)
BOOK = (
    '{"retCode":0,"retMsg":"OK","result":{"s":"BTCUSDT","a":[["65557.7","16.606555"]],'
    '"b":[["65485.47","47.081829"]],"ts":1716863719031,"u":230704,"seq":1432604333,'
    '"cts":1716863718905},"retExtInfo":{},"time":1716863719382}'
)
ENVELOPE = '{"retCode":0,"retMsg":"OK","result":{},"retExtInfo":{},"time":1672053054358}'


def klines(dialect: BybitRest, interval: str = "60", **arguments: Any) -> Any:
    usual = {"start": None, "end": None, "limit": None, "now": NOW}
    return dialect.klines("BTCUSD", interval, **{**usual, **arguments})


def instruments(names: list[str], cursor: str = "", **fields: str) -> str:
    rows = [
        {
            "symbol": name,
            "contractType": "LinearPerpetual",
            "status": "Trading",
            "baseCoin": name.removesuffix("USDT"),
            "quoteCoin": "USDT",
            **fields,
        }
        for name in names
    ]
    return as_text({"retCode": 0, "result": {"list": rows, "nextPageCursor": cursor}})


def test_symbols_come_in_pages() -> None:
    first = LINEAR.symbols(kind=None)
    assert first.path == "/v5/market/instruments-info"
    assert first.parameters == {"category": "linear", "limit": "1000"}
    assert first.following is not None

    second = first.following(decode_answer(instruments(["BTCUSDT"], "first%3DBTC")))
    assert second is not None
    assert second.parameters == {**first.parameters, "cursor": "first%3DBTC"}
    assert second.following is not None
    assert second.following(decode_answer(instruments(["ETHUSDT"]))) is None
    # a cursor behind an empty page leads nowhere
    assert second.following(decode_answer(instruments([], "x"))) is None
    assert read(second, instruments(["ETHUSDT"])) == (
        Symbol("ETHUSDT", "ETH", "USDT", True, "perpetual"),
    )


def test_the_kind_that_was_asked_for_holds_on_every_page() -> None:
    first = LINEAR.symbols(kind="future")
    assert first.following is not None
    second = first.following(decode_answer(instruments(["BTCUSDT"], "x")))
    assert second is not None

    dated = instruments(["BTC-29MAR24"], contractType="LinearFutures", status="Closed")
    for page in (first, second):
        assert read(page, instruments(["BTCUSDT"])) == ()
        assert [(s.kind, s.active) for s in read(page, dated)] == [("future", False)]


def test_symbols_of_spot_and_options() -> None:
    assert SPOT.symbols(kind="spot").parameters == {"category": "spot"}
    assert [s.kind for s in read(SPOT.symbols(kind=None), instruments(["A"]))] == ["spot"]
    assert OPTION.symbols(kind=None).parameters["baseCoin"] == "BTC"
    assert BybitRest("option", base="ETH").tickers(kind=None).parameters == {
        "category": "option",
        "baseCoin": "ETH",
    }


def test_tickers() -> None:
    query = SPOT.tickers(kind=None)

    assert (query.path, query.parameters) == ("/v5/market/tickers", {"category": "spot"})
    assert read(query, TICKERS) == (Ticker24h("BTCUSDT", D("243765620.65899866"), D("20533.13")),)


def test_the_turnover_of_inverse_contracts_is_turned_into_the_quote_currency() -> None:
    found = read(INVERSE.tickers(kind=None), TICKERS)

    assert found[0].quote_volume == D("243765620.65899866") * D("20533.13")


def test_a_ticker_of_what_was_never_traded() -> None:
    body = TICKERS.replace('"20533.13"', '""').replace('"243765620.65899866"', '""')

    assert read(INVERSE.tickers(kind=None), body) == (Ticker24h("BTCUSDT", D(0), None),)


def test_klines_are_turned_around() -> None:
    query = klines(INVERSE, limit=2)

    assert query.path == "/v5/market/kline"
    assert query.parameters == {
        "category": "inverse",
        "symbol": "BTCUSD",
        "interval": "60",
        "limit": "2",
    }
    found = read(query, KLINES)
    assert [kline.opened_at for kline in found] == [1670605200.0, 1670608800.0]
    assert (found[1].open, found[1].close, found[1].volume) == (D(17071), D("17055.5"), D(268611))
    assert found[1].closed


def test_klines_of_a_time() -> None:
    query = klines(LINEAR, "1d", start=86400.0, limit=3)

    assert query.parameters["interval"] == "D"
    assert query.parameters["start"] == "86400000"
    assert query.parameters["end"] == str(4 * 86_400_000 - 1)
    with pytest.raises(ConfigurationError, match="1 to 1000"):
        klines(LINEAR, limit=1001)
    with pytest.raises(ConfigurationError, match="no klines of options"):
        klines(OPTION)


def test_trades() -> None:
    query = SPOT.trades("btcusdt", limit=60, from_id=None, aggregated=False)

    assert query.path == "/v5/market/recent-trade"
    assert query.parameters == {"category": "spot", "symbol": "BTCUSDT", "limit": "60"}
    assert read(query, TRADES) == (
        Trade("BTCUSDT", "2100000000007764263", D("16618.49"), D("0.00012"), "buy", 1672052955.758),
    )


@pytest.mark.parametrize(("dialect", "most"), [(SPOT, 60), (LINEAR, 1000)])
def test_trades_are_the_latest_only(dialect: BybitRest, most: int) -> None:
    with pytest.raises(ConfigurationError, match=f"1 to {most}"):
        dialect.trades("BTCUSDT", limit=most + 1, from_id=None, aggregated=False)
    with pytest.raises(ConfigurationError, match="only the latest"):
        dialect.trades("BTCUSDT", limit=None, from_id=1, aggregated=False)


def test_order_book() -> None:
    query = LINEAR.order_book("BTCUSDT", limit=1000)

    assert query.path == "/v5/market/orderbook"
    assert query.parameters == {"category": "linear", "symbol": "BTCUSDT", "limit": "1000"}
    assert read(query, BOOK) == OrderBook(
        "BTCUSDT",
        ((D("65485.47"), D("47.081829")),),
        ((D("65557.7"), D("16.606555")),),
        230704,
        1716863718.905,
    )
    with pytest.raises(ConfigurationError, match="1 to 25"):
        OPTION.order_book("BTC-30DEC22-18000-C", limit=26)


def test_server_time() -> None:
    assert LINEAR.server_time().path == "/v5/market/time"
    assert read(LINEAR.server_time(), ENVELOPE) == 1672053054.358


@pytest.mark.parametrize("body", [TICKERS, KLINES, TRADES, BOOK, ENVELOPE])
def test_a_good_answer_is_no_refusal(body: str) -> None:
    assert refusal_of(LINEAR, body) is None


def test_an_error_comes_with_a_good_status() -> None:
    refusal = refusal_of(LINEAR, '{"retCode":10001,"retMsg":"Not supported symbols","result":{}}')

    assert refusal is not None
    assert (refusal.code, refusal.text) == (10001, "Not supported symbols")
    assert "symbols()" in refusal.hint
    assert not refusal.temporary


@pytest.mark.parametrize("body", ["access too frequent", "<html>Forbidden</html>", ""])
def test_403_keeps_all_of_http_quiet_for_ten_minutes(body: str) -> None:
    refusal = refusal_of(LINEAR, body, status=403)

    assert refusal is not None
    assert (refusal.retry_after, refusal.for_all) == (600.0, True)
    assert "region" in refusal.hint


def test_too_many_visits_tell_when_the_limit_is_reset() -> None:
    body = '{"retCode":10006,"retMsg":"Too many visits!","result":{}}'
    reset = {"x-bapi-limit-reset-timestamp": str(int(NOW * 1000) + 750)}

    refusal = refusal_of(LINEAR, body, headers=reset)
    assert refusal is not None
    assert refusal.retry_after == pytest.approx(0.75)
    assert (refusal.for_all, refusal.temporary) == (True, True)

    without = refusal_of(LINEAR, body)
    assert without is not None
    assert without.retry_after == 1.0


def test_what_passes_may_be_tried_again() -> None:
    refusal = refusal_of(LINEAR, '{"retCode":10016,"retMsg":"Server error"}')

    assert refusal is not None
    assert refusal.temporary


def test_the_venue_has_the_dialect_of_its_market() -> None:
    assert Bybit("spot").rest.tickers(kind=None).parameters == {"category": "spot"}
    with pytest.raises(ConfigurationError, match="market is 'swap'"):
        BybitRest("swap")
