"""OKX over REST: the requests, the answers of its documentation, its pages, its errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.venues.rest_tools import NOW, D, as_text, read, refusal_of
from wsresilient import ConfigurationError
from wsresilient.core.market import Kline, OrderBook, Symbol, Ticker24h, Trade
from wsresilient.venues import OKX
from wsresilient.venues.dialect import decode_answer
from wsresilient.venues.rest_okx import OKXRest

OKX_REST = OKXRest()

BOOK = (
    '{"code":"0","msg":"","data":[{"asks":[["41006.8","0.60038921","0","1"]],'
    '"bids":[["41006.3","0.30178218","0","2"]],"ts":"1629966436396","seqId":3235851742}]}'
)
TRADES = (
    '{"code":"0","msg":"","data":[{"instId":"BTC-USDT","side":"sell","sz":"0.00013669",'
    '"px":"102537.9","tradeId":"734864333","ts":"1747087163557"}]}'
)
KLINES = (
    '{"code":"0","msg":"","data":[["1597026383085","3.721","3.743","3.677","3.708","8422410",'
    '"22698348.04828491","12698348.04828491","1"]]}'
)
INSTRUMENTS = (
    '{"code":"0","msg":"","data":[{"instType":"SWAP","instId":"ETH-USDT-SWAP",'
    '"instFamily":"ETH-USDT","ctType":"linear","ctVal":"0.1","ctValCcy":"ETH",'
    '"settleCcy":"USDT","state":"live","lotSz":"0.01","tickSz":"0.01"}]}'
)
TIME = '{"code":"0","msg":"","data":[{"ts":"1597026383085"}]}'


def klines(interval: str = "1m", **arguments: Any) -> Any:
    usual = {"start": None, "end": None, "limit": None, "now": NOW}
    return OKX_REST.klines("BTC-USDT", interval, **{**usual, **arguments})


def rows(opened: list[int]) -> str:
    made = [[str(1000 * at), "1", "1", "1", "1", "1", "1", "1", "1"] for at in opened]
    return as_text({"code": "0", "msg": "", "data": made})


def test_symbols() -> None:
    query = OKX_REST.symbols(kind="perpetual")

    assert query.path == "/api/v5/public/instruments"
    assert query.parameters == {"instType": "SWAP"}
    assert read(query, INSTRUMENTS) == (Symbol("ETH-USDT-SWAP", "ETH", "USDT", True, "perpetual"),)


def test_symbols_of_spot_and_of_what_is_suspended() -> None:
    body = (
        '{"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC",'
        '"quoteCcy":"USDT","instFamily":"","state":"suspend"}]}'
    )

    assert OKX_REST.symbols(kind=None).parameters == {"instType": "SPOT"}
    assert OKX_REST.symbols(kind="future").parameters == {"instType": "FUTURES"}
    assert read(OKX_REST.symbols(kind=None), body) == (
        Symbol("BTC-USDT", "BTC", "USDT", False, "spot"),
    )
    with pytest.raises(ConfigurationError, match="kind is 'option'; allowed: 'spot', 'perpetual'"):
        OKX_REST.symbols(kind="option")


def test_the_volume_of_derivatives_is_made_comparable() -> None:
    query = OKX_REST.tickers(kind="perpetual")
    body = (
        '{"code":"0","msg":"","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","last":"9999.99",'
        '"volCcy24h":"2222","vol24h":"222200","ts":"1597026383085"}]}'
    )

    assert (query.path, query.parameters) == ("/api/v5/market/tickers", {"instType": "SWAP"})
    assert read(query, body) == (
        Ticker24h("BTC-USDT-SWAP", D("2222") * D("9999.99"), D("9999.99")),
    )


def test_the_volume_of_spot_is_in_the_quote_currency_already() -> None:
    body = (
        '{"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USDT","last":"9999.99",'
        '"volCcy24h":"2222","vol24h":"2222"},'
        '{"instType":"SPOT","instId":"NEW-USDT","last":"","volCcy24h":"","vol24h":""}]}'
    )

    assert read(OKX_REST.tickers(kind=None), body) == (
        Ticker24h("BTC-USDT", D(2222), D("9999.99")),
        Ticker24h("NEW-USDT", D(0), None),
    )


def test_klines() -> None:
    query = klines()

    assert query.path == "/api/v5/market/candles"
    assert query.parameters == {"instId": "BTC-USDT", "bar": "1m", "limit": "100"}
    assert read(query, KLINES) == (
        Kline(
            "BTC-USDT",
            "1m",
            1597026383.085,
            D("3.721"),
            D("3.743"),
            D("3.677"),
            D("3.708"),
            D(8422410),
            True,
        ),
    )
    assert not read(query, KLINES.replace('"1"]]', '"0"]]'))[0].closed


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("1m", "1m"), ("4h", "4H"), ("6h", "6Hutc"), ("1d", "1Dutc"), ("1M", "1Mutc"), ("6H", "6H")],
)
def test_days_begin_in_utc_unless_the_venues_own_notation_says_hong_kong(
    asked: str, sent: str
) -> None:
    assert klines(asked).parameters["bar"] == sent


def test_klines_of_a_time_have_two_bounds_since_one_gives_the_newest_of_all() -> None:
    start = NOW - 600.0
    query = klines(start=start, limit=3)

    assert query.path == "/api/v5/market/candles"
    assert int(query.parameters["before"]) == 1000 * int(start) - 1
    assert int(query.parameters["after"]) == 1000 * int(start) + 180_000


def test_what_is_no_longer_recent_is_elsewhere_and_comes_in_pages() -> None:
    first = klines(start=6000.0, limit=250)
    assert first.path == "/api/v5/market/history-candles"
    assert first.parameters["limit"] == "100"
    assert first.parameters["after"] == str(1000 * (6000 + 250 * 60))

    # newest first
    opened = [6000 + 60 * n for n in reversed(range(250))]
    second = first.following(decode_answer(rows(opened[:100])))
    assert second.parameters["after"] == str(1000 * opened[99])
    assert second.parameters["before"] == first.parameters["before"]
    third = second.following(decode_answer(rows(opened[100:200])))
    assert third.parameters["limit"] == "50"
    assert third.following(decode_answer(rows(opened[200:]))) is None
    assert [kline.opened_at for kline in read(third, rows(opened[200:]))] == sorted(opened[200:])


def test_a_page_that_is_not_full_is_the_last() -> None:
    query = klines(start=6000.0, limit=250)

    assert query.following(decode_answer(rows([6060, 6000]))) is None
    assert query.following(decode_answer(rows([]))) is None


def test_recent_klines_come_in_one_page() -> None:
    query = klines(limit=300)

    assert query.parameters["limit"] == "300"
    assert query.following(decode_answer(rows([60 * n for n in range(300)]))) is None
    with pytest.raises(ConfigurationError, match="1 to 300"):
        klines(limit=301)


def test_trades() -> None:
    query = OKX_REST.trades("BTC-USDT", limit=500, from_id=None, aggregated=False)

    assert query.path == "/api/v5/market/trades"
    assert query.parameters == {"instId": "BTC-USDT", "limit": "500"}
    assert read(query, TRADES) == (
        Trade("BTC-USDT", "734864333", D("102537.9"), D("0.00013669"), "sell", 1747087163.557),
    )


def test_trades_from_an_id_on_are_bounded_at_both_ends() -> None:
    query = OKX_REST.trades("BTC-USDT", limit=20, from_id="1000", aggregated=False)

    assert query.path == "/api/v5/market/history-trades"
    assert query.parameters == {
        "instId": "BTC-USDT",
        "type": "1",
        "before": "999",
        "after": "1020",
        "limit": "20",
    }
    with pytest.raises(ConfigurationError, match="1 to 100"):
        OKX_REST.trades("BTC-USDT", limit=101, from_id=1, aggregated=False)
    with pytest.raises(ConfigurationError, match="from_id is 'x'"):
        OKX_REST.trades("BTC-USDT", limit=1, from_id="x", aggregated=False)
    with pytest.raises(ConfigurationError, match="aggregated is True"):
        OKX_REST.trades("BTC-USDT", limit=1, from_id=None, aggregated=True)


def test_order_book() -> None:
    query = OKX_REST.order_book("BTC-USDT", limit=400)

    assert query.path == "/api/v5/market/books"
    assert query.parameters == {"instId": "BTC-USDT", "sz": "400"}
    assert read(query, BOOK) == OrderBook(
        "BTC-USDT",
        ((D("41006.3"), D("0.30178218")),),
        ((D("41006.8"), D("0.60038921")),),
        3235851742,
        1629966436.396,
    )


def test_server_time() -> None:
    assert OKX_REST.server_time().path == "/api/v5/public/time"
    assert read(OKX_REST.server_time(), TIME) == 1597026383.085


@pytest.mark.parametrize("body", [BOOK, TRADES, KLINES, INSTRUMENTS, TIME])
def test_a_good_answer_is_no_refusal(body: str) -> None:
    assert refusal_of(OKX_REST, body) is None


@pytest.mark.parametrize("status", [200, 400])
def test_an_error_is_told_by_its_code_whatever_the_status(status: int) -> None:
    body = '{"code":"51001","msg":"Instrument ID does not exist","data":[]}'
    refusal = refusal_of(OKX_REST, body, status=status)

    assert refusal is not None
    assert (refusal.code, refusal.text) == ("51001", "Instrument ID does not exist")
    assert "symbols(" in refusal.hint
    assert not refusal.temporary


@pytest.mark.parametrize("status", [200, 429])
def test_too_many_requests(status: int) -> None:
    refusal = refusal_of(OKX_REST, '{"code":"50011","msg":"Too Many Requests"}', status=status)

    assert refusal is not None
    assert (refusal.retry_after, refusal.for_all, refusal.temporary) == (2.0, True, True)


@pytest.mark.parametrize("code", ["50001", "50013"])
def test_what_passes_may_be_tried_again(code: str) -> None:
    refusal = refusal_of(OKX_REST, f'{{"code":"{code}","msg":"busy"}}', status=503)

    assert refusal is not None
    assert refusal.temporary


def test_demo_says_so_in_a_header() -> None:
    assert OKX(environment="demo").rest.headers == {"x-simulated-trading": "1"}
    assert OKX().rest.headers == {}
