"""What MEXC pushes: topics, names and numbers. The samples are its documentation's or a probe's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import Message
from wsresilient.core.incoming import Data
from wsresilient.venues import MEXC, SequenceNumbers

from .wire_tools import ANY_JSON, data_in, message_in, objects

VENUE = MEXC()

TICKER = (
    '{"channel":"push.ticker","data":{"ask1":6866.5,"bid1":6865,"contractId":1,"fairPrice":6867.4,'
    '"fundingRate":0.0008,"high24Price":7223.5,"indexPrice":6861.6,"lastPrice":6865.5,'
    '"lower24Price":6756,"maxBidPrice":7073.42,"minAskPrice":6661.37,"riseFallRate":-0.0424,'
    '"riseFallValue":-304.5,"symbol":"BTC_USDT","timestamp":1587442022003,"holdVol":2284742,'
    '"volume24":164586129},"symbol":"BTC_USDT","ts":1587442022003}'
)
TICKERS = (
    '{"channel":"push.tickers","data":[{"fairPrice":183.01,"lastPrice":183,"riseFallRate":-0.0708,'
    '"symbol":"BSV_USDT","volume24":200}],"ts":1587442022003}'
)
DEAL = (
    '{"symbol":"BTC_USDT","data":[{"p":115309.8,"v":55,"T":2,"O":3,"M":1,"t":1755487578276,"i":'
    '13064218826},{"p":115309.8,"v":11,"T":1,"O":3,"M":1,"t":1755487578275,"i":13064218827}],'
    '"channel":"push.deal","ts":1755487578276}'
)
ONE_DEAL = (
    '{"channel":"push.deal","data":{"M":1,"O":1,"T":1,"p":6866.5,"t":1587442049632,"v":2096,"i":7},'
    '"symbol":"BTC_USDT","ts":1587442022003}'
)
KLINE = (
    '{"channel":"push.kline","data":{"a":233.740269343644737245,"c":6885,"h":6910.5,"interval":'
    '"Min60","l":6885,"o":6894.5,"q":1611754,"symbol":"BTC_USDT","t":1587448800},"symbol":'
    '"BTC_USDT","ts":1587442022003}'
)
MERGED = (
    '{"symbol":"SKHYNIXSTOCK_USDT","data":{"cts":1789498405579,"asks":[[1235.06,606,1]],"bids":'
    '[[1233.04,0,0]],"end":1111084807,"begin":1111084806,"version":1111084807},"channel":'
    '"push.depth","ts":1789498405588}'
)
CHANGE = (
    '{"symbol":"ETH_USDT","data":{"cts":1789498321765,"asks":[[2384.59,42,1]],"bids":[],"version":'
    '37723308980},"channel":"push.depth","ts":1789498321801}'
)
FULL = (
    '{"symbol":"RIF_USDT","data":{"cts":1789498322165,"asks":[[0.080550,48,1],[0.080560,347,1]],'
    '"bids":[[0.080490,46,1],[0.080480,489,1]],"version":5220571685},"channel":"push.depth.full",'
    '"ts":1789498322169}'
)
FAIR = (
    '{"symbol":"BTC_USDT","data":{"symbol":"BTC_USDT","price":75986},"channel":"push.fair.price",'
    '"ts":1789498540821}'
)
FUNDING = (
    '{"symbol":"BTC_USDT","data":{"symbol":"BTC_USDT","rate":0.000081,"nextSettleTime":'
    '1789516800000},"channel":"push.funding.rate","ts":1789498561049}'
)
ORDER = (
    '{"channel":"push.personal.order","data":{"category":1,"createTime":1610005069976,'
    '"dealAvgPrice":0.731,"dealVol":1,"errorCode":0,"externalOid":'
    '"_m_95bc2b72d3784bce8f9efecbdef9fe35","feeCurrency":"USDT","leverage":0,"makerFee":0,'
    '"openType":1,"orderId":"102067003631907840","orderMargin":0,"orderType":5,"positionId":'
    '1397818,"price":0.707,"profit":-0.0005,"remainVol":0,"side":4,"state":3,"symbol":"CRV_USDT",'
    '"takerFee":0.00004386,"updateTime":1610005069983,"usedMargin":0,"version":2,"vol":1},'
    '"ts":1610005069989}'
)
ORDER_DEAL = (
    '{"channel":"push.personal.order.deal","data":{"id":987654321,"symbol":"BTC_USDT","side":1,'
    '"vol":10,"price":45000.5,"feeCurrency":"USDT","fee":0.225,"timestamp":1760942212000,'
    '"profit":0,"isTaker":true,"category":1,"orderId":123456789,"isSelf":false,"externalOid":'
    '"ext_001","positionMode":1,"reduceOnly":false},"ts":1760942212000}'
)
ASSET = (
    '{"channel":"push.personal.asset","data":{"availableBalance":0.7514236,"bonus":0,"currency":'
    '"USDT","frozenBalance":0,"positionMargin":0},"ts":1610005070083}'
)
POSITION = (
    '{"channel":"push.personal.position","data":{"autoAddIm":false,"closeAvgPrice":0.731,'
    '"closeVol":1,"frozenVol":0,"holdAvgPrice":0.736,"holdFee":0,"holdVol":0,"im":0,"leverage":15,'
    '"liquidatePrice":0,"oim":0,"openAvgPrice":0.736,"openType":1,"positionId":1397818,'
    '"positionType":1,"realised":-0.0005,"state":3,"symbol":"CRV_USDT"},"ts":1610005070157}'
)
CONTRACT = '{"channel":"push.contract","data":{"amountScale":4,"symbol":"CLO_USDT"},"ts":1}'


@pytest.mark.parametrize(
    ("text", "topic", "channel", "symbol"),
    [
        (TICKER, "ticker:BTC_USDT", "ticker", "BTC_USDT"),
        (TICKERS, "tickers", "tickers", None),
        (DEAL, "deal:BTC_USDT", "deal", "BTC_USDT"),
        (ONE_DEAL, "deal:BTC_USDT", "deal", "BTC_USDT"),
        (KLINE, "kline:BTC_USDT?interval=Min60", "kline", "BTC_USDT"),
        (MERGED, "depth:SKHYNIXSTOCK_USDT", "depth", "SKHYNIXSTOCK_USDT"),
        (CHANGE, "depth:ETH_USDT", "depth", "ETH_USDT"),
        (FULL, "depth.full:RIF_USDT", "depth.full", "RIF_USDT"),
        (FAIR, "fair.price:BTC_USDT", "fair.price", "BTC_USDT"),
        (FUNDING, "funding.rate:BTC_USDT", "funding.rate", "BTC_USDT"),
        (ORDER, "personal.order", "personal.order", "CRV_USDT"),
        (ORDER_DEAL, "personal.order.deal", "personal.order.deal", "BTC_USDT"),
        (ASSET, "personal.asset", "personal.asset", None),
        (POSITION, "personal.position", "personal.position", "CRV_USDT"),
        (CONTRACT, "contract", "contract", "CLO_USDT"),
        ('{"channel":"push.new.thing","data":[1]}', "new.thing", "new.thing", None),
    ],
)
def test_data_goes_by_channel_and_symbol(
    text: str, topic: str, channel: str, symbol: str | None
) -> None:
    assert data_in(VENUE, text) == Data(topic, channel, symbol, json.loads(text)["data"])
    assert VENUE.data_mark is not None
    assert VENUE.data_mark in text


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        (DEAL, ("deal", "BTC_USDT", 13064218826, 13064218827, 2)),
        (ONE_DEAL, ("deal", "BTC_USDT", 7, 7, 1)),
        (ONE_DEAL.replace(',"i":7', ""), None),
        (
            KLINE,
            (
                *("kline", "BTC_USDT", "Min60", 1587448800, 1611754, 233.740269343644737245),
                *(6894.5, 6910.5, 6885, 6885),
            ),
        ),
        (MERGED, ("depth", "SKHYNIXSTOCK_USDT", 1111084806, 1111084807)),
        (CHANGE, ("depth", "ETH_USDT", 37723308980, 37723308980)),
        (FULL, ("depth.full", "RIF_USDT", 5220571685)),
        (TICKER, ("ticker", "BTC_USDT", 1587442022003)),
        (ORDER, ("personal.order", "CRV_USDT", "102067003631907840", 1610005069983, 3)),
        (ORDER_DEAL, ("personal.order.deal", "BTC_USDT", 987654321)),
        (POSITION, None),  # older messages have no version
        (TICKERS, None),
        (FAIR, None),
        (ASSET, None),
    ],
)
def test_the_same_message_has_the_same_name(text: str, identity: tuple[object, ...] | None) -> None:
    assert VENUE.identity(message_in(VENUE, text)) == identity


def test_an_order_id_may_be_a_number_or_a_text() -> None:
    as_number = ORDER.replace('"102067003631907840"', "102067003631907840")

    assert VENUE.identity(message_in(VENUE, as_number)) == VENUE.identity(message_in(VENUE, ORDER))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (MERGED, SequenceNumbers(("depth", "SKHYNIXSTOCK_USDT"), 1111084806, 1111084807)),
        (CHANGE, SequenceNumbers(("depth", "ETH_USDT"), 37723308980, 37723308980)),
        (FULL, None),  # its versions rise and are not consecutive
        (DEAL, None),  # its ids are in no order
        (TICKERS, None),
        ('{"channel":"push.depth","symbol":"A_USDT","data":{"version":"x"}}', None),
        ('{"channel":"push.depth","symbol":"A_USDT","data":[]}', None),
    ],
)
def test_changes_of_a_book_have_numbers(text: str, numbers: SequenceNumbers | None) -> None:
    assert VENUE.sequence(message_in(VENUE, text)) == numbers


WORDS = st.sampled_from(
    [
        *("push.deal", "push.kline", "push.depth", "push.personal.order", "push.ticker", "pong"),
        *("rs.error", "rs.login", "rs.sub.deal", "success", "A_USDT", "Contract [A] not exists"),
    ]
)
DATA = objects(
    symbol=WORDS, interval=WORDS, i=st.integers(), t=st.integers(), version=st.integers()
)


@given(
    objects(channel=WORDS, symbol=WORDS, data=DATA | WORDS | st.lists(DATA), code=st.integers())
    | ANY_JSON
)
def test_nothing_that_comes_raises(message: Any) -> None:
    incoming = VENUE.read(message)

    if isinstance(incoming, Data):
        made = Message(
            data=incoming.data, channel=incoming.channel, symbol=incoming.symbol, raw=message
        )
        hash(VENUE.identity(made))
        assert isinstance(VENUE.sequence(made), (SequenceNumbers, type(None)))
