"""Binance: what comes, read. The messages are copied from the documentation and from captures."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.events import Message
from wsresilient.core.incoming import (
    Acknowledged,
    Answer,
    Data,
    Incoming,
    LoggedIn,
    LoginRefused,
    Notice,
    Refused,
)
from wsresilient.venues import Binance, SequenceNumbers

SPOT, FUTURES = Binance(), Binance("futures")


def read(text: str, venue: Binance = SPOT) -> Incoming:
    return venue.read(venue.decode(text))


def combined(stream: str, payload: str) -> str:
    return f'{{"stream":"{stream}","data":{payload}}}'


def looks_like_data(venue: Binance, text: str) -> bool:
    """What the fast path believes of a message that it has not decoded."""
    assert venue.data_mark is not None
    vetoed = any(mark in text for mark in venue.control_marks)
    return venue.data_mark in text and not vetoed


# Market data: each payload, the stream that it comes on, and what the payload alone tells of it.

AGG_TRADE = (
    '{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,'
    '"T":1672515782136,"m":true,"M":true}'
)
TRADE = (
    '{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136,'
    '"m":true,"M":true}'
)
KLINE = (
    '{"e":"kline","E":1672515782136,"s":"BNBBTC","k":{"t":1672515780000,"T":1672515839999,'
    '"s":"BNBBTC","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015",'
    '"v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}'
)
TICKER = (
    '{"e":"24hrTicker","E":1672515782136,"s":"BNBBTC","p":"0.0015","P":"250.00","w":"0.0018",'
    '"x":"0.0009","c":"0.0025","Q":"10","b":"0.0024","B":"10","a":"0.0026","A":"100","o":"0.0010",'
    '"h":"0.0025","l":"0.0010","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151}'
)
BOOK_TICKER = (
    '{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000",'
    '"A":"40.66000000"}'
)
DEPTH = (
    '{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],'
    '"a":[["0.0026","100"]]}'
)
PARTIAL_DEPTH = '{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}'

FUTURES_AGG_TRADE = (
    '{"e":"aggTrade","E":123456789,"s":"BTCUSDT","a":5933014,"p":"0.001","q":"100","nq":"100",'
    '"f":100,"l":105,"T":123456785,"m":true,"st":1}'
)
FUTURES_TRADE = (
    '{"e":"trade","E":1679851564490,"T":1679851564486,"s":"BTCUSDT","t":3493102749,"p":"27785.00",'
    '"q":"0.014","X":"MARKET","m":true}'
)
FUTURES_KLINE = (
    '{"e":"kline","E":1638747660000,"s":"BTCUSDT","k":{"t":1638747660000,"T":1638747719999,'
    '"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0010",'
    '"v":"1000","n":100,"x":true,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}'
)
FUTURES_TICKER = (
    '{"e":"24hrTicker","E":1672515782136,"s":"BTCUSDT","p":"-131.40000000","P":"-0.786",'
    '"w":"16628.97377498","c":"16584.60000000","Q":"0.002","o":"16716.00000000",'
    '"h":"16764.89000000","l":"16456.51000000","v":"122474.816","q":"2036102085.69746400",'
    '"O":1672429382136,"C":1672515782136,"F":2289691,"L":2432543,"n":142853,"st":1}'
)
MARK_PRICE = (
    '{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000",'
    '"i":"11784.62659091","P":"11784.25641265","r":"0.00038167","T":1562306400000,"st":1}'
)
FUTURES_BOOK_TICKER = (
    '{"e":"bookTicker","u":11139947831981,"s":"ETHUSDT","ps":"ETHUSDT","b":"1943.64","B":"113.445",'
    '"a":"1943.65","A":"182.433","T":1785121247583,"E":1785121247584,"st":1}'
)
FUTURES_DEPTH = (
    '{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BTCUSDT","ps":"BTCUSDT","st":1,"U":157,'
    '"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}'
)
FORCE_ORDER = (
    '{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC",'
    '"q":"0.014","p":"9910.00000000","ap":"9910.12345678","X":"FILLED","l":"0.014","z":"0.014",'
    '"T":1568014460893}}'
)

MARKET = [
    (SPOT, AGG_TRADE, "bnbbtc@aggTrade", "BNBBTC", "bnbbtc@aggTrade"),
    (SPOT, TRADE, "bnbbtc@trade", "BNBBTC", "bnbbtc@trade"),
    (SPOT, KLINE, "bnbbtc@kline_1m", "BNBBTC", "bnbbtc@kline_1m"),
    (SPOT, KLINE, "bnbbtc@kline_1m@+08:00", "BNBBTC", "bnbbtc@kline_1m"),
    (SPOT, TICKER, "bnbbtc@ticker", "BNBBTC", "bnbbtc@ticker"),
    (SPOT, BOOK_TICKER, "bnbusdt@bookTicker", "BNBUSDT", "bnbusdt@bookTicker"),
    (SPOT, DEPTH, "bnbbtc@depth", "BNBBTC", "bnbbtc@depth"),
    (SPOT, DEPTH, "bnbbtc@depth@100ms", "BNBBTC", "bnbbtc@depth"),
    # The symbol is in the name of the stream only.
    (SPOT, PARTIAL_DEPTH, "bnbbtc@depth5@100ms", "BNBBTC", None),
    (FUTURES, FUTURES_AGG_TRADE, "btcusdt@aggTrade", "BTCUSDT", "btcusdt@aggTrade"),
    (FUTURES, FUTURES_TRADE, "btcusdt@trade", "BTCUSDT", "btcusdt@trade"),
    (FUTURES, FUTURES_KLINE, "btcusdt@kline_1m", "BTCUSDT", "btcusdt@kline_1m"),
    (FUTURES, FUTURES_TICKER, "btcusdt@ticker", "BTCUSDT", "btcusdt@ticker"),
    (FUTURES, MARK_PRICE, "btcusdt@markPrice@1s", "BTCUSDT", "btcusdt@markPrice"),
    (FUTURES, FUTURES_BOOK_TICKER, "!bookTicker", "ETHUSDT", "ethusdt@bookTicker"),
    (FUTURES, FUTURES_BOOK_TICKER, "ethusdt@bookTicker", "ETHUSDT", "ethusdt@bookTicker"),
    (FUTURES, FUTURES_DEPTH, "btcusdt@depth@100ms", "BTCUSDT", "btcusdt@depth"),
    (FUTURES, FORCE_ORDER, "btcusdt@forceOrder", "BTCUSDT", "btcusdt@forceOrder"),
    (FUTURES, FORCE_ORDER, "!forceOrder@arr", "BTCUSDT", "btcusdt@forceOrder"),
]


@pytest.mark.parametrize(("venue", "payload", "stream", "symbol", "_raw"), MARKET)
def test_market_data_of_a_combined_stream(
    venue: Binance, payload: str, stream: str, symbol: str, _raw: str | None
) -> None:
    text = combined(stream, payload)
    _, at, channel = stream.partition("@")

    assert read(text, venue) == Data(
        topic=stream,
        channel=stream if stream.startswith("!") or not at else channel,
        symbol=symbol,
        data=json.loads(payload),
    )
    assert looks_like_data(venue, text)


@pytest.mark.parametrize(("venue", "payload", "stream", "symbol", "raw"), MARKET)
def test_market_data_of_a_raw_stream(
    venue: Binance, payload: str, stream: str, symbol: str, raw: str | None
) -> None:
    incoming = read(payload, venue)

    if raw is None:
        assert incoming == Answer()
        return
    assert incoming == Data(raw, raw.partition("@")[2], symbol, json.loads(payload))
    # What the payload does not tell (the speed) does not keep it from its subscription.
    assert stream.startswith("!") or venue.covers(stream, incoming)


@pytest.mark.parametrize(("venue", "payload", "stream", "symbol", "raw"), MARKET)
def test_it_is_known_which_streams_a_raw_connection_cannot_tell_apart(
    venue: Binance, payload: str, stream: str, symbol: str, raw: str | None
) -> None:
    url = "wss://h/public/ws/" + stream
    incoming = venue.read(json.loads(payload))
    is_told = isinstance(incoming, Data) and venue.covers(stream, incoming)

    assert venue.names_data(stream, url) == is_told
    assert venue.names_data(stream, f"wss://h/public/stream?streams={stream}")
    assert venue.names_data(stream, "wss://h")


@pytest.mark.parametrize(
    ("stream", "is_told"),
    [
        ("!miniTicker@arr", True),
        ("!ticker_1h@arr", True),
        ("!markPrice@arr@1s", True),
        ("!bookTicker", False),
        ("!forceOrder@arr", False),
        ("!contractInfo", False),
        ("tradingSession", False),
        ("btcusdt@depth@100ms", True),
        ("btcusdt@depth5@100ms", False),
        ("btcusdt@kline_1m@+08:00", True),
        ("btcusdt_perpetual@continuousKline_1m", True),
        ("btcusdt@rpiDepth", False),
    ],
)
def test_streams_of_a_raw_connection(stream: str, is_told: bool) -> None:
    assert FUTURES.names_data(stream, "wss://h/ws") == is_told


def test_a_raw_stream_does_not_belong_to_another_one() -> None:
    incoming = read(DEPTH)

    assert not SPOT.covers("ethbtc@depth@100ms", incoming)
    assert not SPOT.covers("bnbbtc@depth5@100ms", incoming)
    assert not SPOT.covers("bnbbtc@aggTrade", incoming)


def test_streams_of_the_whole_market_are_lists() -> None:
    events = [{"e": "24hrMiniTicker", "s": "BNBBTC"}, {"e": "24hrMiniTicker", "s": "ETHBTC"}]

    for text in (json.dumps(events), combined("!miniTicker@arr", json.dumps(events))):
        assert read(text) == Data("!miniTicker@arr", "!miniTicker@arr", None, events)
    prices = read('[{"e":"markPriceUpdate","s":"BTCUSDT"}]', FUTURES)
    assert isinstance(prices, Data)
    assert prices.topic == "!markPrice@arr"
    assert FUTURES.covers("!markPrice@arr@1s", prices)


def test_a_continuous_kline_names_pair_and_contract() -> None:
    payload = {"e": "continuous_kline", "ps": "BTCUSDT", "ct": "PERPETUAL", "k": {"i": "1m"}}
    topic = FUTURES.topic("continuousKline", "BTCUSDT_PERPETUAL", interval="1m")
    expected = Data(topic, "continuousKline_1m", "BTCUSDT_PERPETUAL", payload)

    assert FUTURES.read(payload) == expected
    assert FUTURES.read({"stream": topic, "data": payload}) == expected


# The account.

EXECUTION = (
    '{"e":"executionReport","E":1499405658658,"s":"ETHBTC","c":"mUvoqJxFIILMdfAW5iGSOW","S":"BUY",'
    '"o":"LIMIT","f":"GTC","q":"1.00000000","p":"0.10264410","P":"0.00000000","F":"0.00000000",'
    '"g":-1,"C":"","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.00000000","z":"0.00000000",'
    '"L":"0.00000000","n":"0","N":null,"T":1499405658657,"t":-1,"v":3,"I":8641984,"w":true,'
    '"m":false,"M":false,"O":1499405658657,"Z":"0.00000000","Y":"0.00000000","Q":"0.00000000",'
    '"W":1499405658657,"V":"NONE"}'
)
POSITION = (
    '{"e":"outboundAccountPosition","E":1564034571105,"u":1564034571073,'
    '"B":[{"a":"ETH","f":"10000.000000","l":"0.000000"}]}'
)
ORDER_UPDATE = (
    '{"e":"ORDER_TRADE_UPDATE","T":1568879465651,"E":1568879465651,"o":{"s":"BTCUSDT","c":"TEST",'
    '"S":"BUY","o":"LIMIT","f":"GTC","q":"0.001","p":"7100.50","ap":"7100.50","sp":"0",'
    '"x":"TRADE","X":"PARTIALLY_FILLED","i":8886774,"l":"0.001","z":"0.001","L":"7100.50",'
    '"N":"USDT","n":"0.01000000","T":1568879465651,"t":12345678,"b":"0","a":"0","m":true,"R":false,'
    '"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"LONG","cp":false,"rp":"12.34"}}'
)
ACCOUNT_UPDATE = (
    '{"e":"ACCOUNT_UPDATE","T":1564745798939,"E":1564745798939,"a":{"m":"ORDER","B":[{"a":"USDT",'
    '"wb":"122624.12345678","cw":"100.12345678","bc":"50.12345678"}],"P":[{"s":"BTCUSDT","pa":"0",'
    '"ep":"0.00000","cr":"200","up":"0","mt":"isolated","iw":"0.00000000","ps":"BOTH"}]}}'
)
TRADE_LITE = (
    '{"e":"TRADE_LITE","E":1568879465651,"T":1568879465651,"s":"BTCUSDT","c":"TEST","S":"BUY",'
    '"q":"0.001","p":"7100.50","i":8886774,"l":"0.001","L":"7100.50","t":12345678,"m":true}'
)


@pytest.mark.parametrize(("event", "symbol"), [(EXECUTION, "ETHBTC"), (POSITION, None)])
def test_user_data_of_spot(event: str, symbol: str | None) -> None:
    expected = Data("userData", "userData", symbol, json.loads(event))

    assert read(f'{{"subscriptionId":0,"event":{event}}}') == expected
    assert read(event) == expected


@pytest.mark.parametrize(
    ("event", "symbol"),
    [(ORDER_UPDATE, "BTCUSDT"), (ACCOUNT_UPDATE, None), (TRADE_LITE, "BTCUSDT")],
)
def test_user_data_of_the_futures(event: str, symbol: str | None) -> None:
    expected = Data("userData", "userData", symbol, json.loads(event))

    assert read(event, FUTURES) == expected
    # The stream is the listen key, which nobody has to see.
    assert read(combined("pqia91ma19a5s61cv6a81va65sdf19v8a65a1", event), FUTURES) == expected


# Notices.


@pytest.mark.parametrize(
    "text",
    [
        '{"e":"serverShutdown","E":1770123456789}',
        '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
        '{"event":{"e":"serverShutdown","E":1770123456789}}',
        '{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1728973001334}}',
        '{"e":"listenKeyExpired","E":"1693427319838","listenKey":"KEY-KEY-KEY"}',
        '{"stream":"KEY-KEY-KEY","data":{"e":"listenKeyExpired","listenKey":"KEY-KEY-KEY"}}',
    ],
)
@pytest.mark.parametrize("venue", [SPOT, FUTURES])
def test_what_ends_a_connection_or_its_session(venue: Binance, text: str) -> None:
    incoming = read(text, venue)

    assert isinstance(incoming, Notice)
    assert incoming.reconnect
    assert "KEY" not in incoming.text
    assert any(name in incoming.text for name in ("serverShutdown", "Terminated", "Expired"))


def test_a_shutdown_is_no_data_for_the_fast_path() -> None:
    assert not looks_like_data(
        SPOT, '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}'
    )


# Answers.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"result":null,"id":1}', Acknowledged(1)),
        ('{"result":null,"id":312}', Acknowledged(312)),
        ('{"result":null,"id":"mine"}', Acknowledged("mine")),
        ('{"result":["btcusdt@aggTrade"],"id":3}', Answer(3)),
        ('{"result":true,"id":2}', Answer(2)),
        ('{"id":"d3df8a22","status":200,"result":{"subscriptionId":0}}', Answer("d3df8a22")),
        ('{"id":"login","status":200,"result":{"subscriptionId":0}}', LoggedIn()),
        (
            '{"id":"c174a2b1","status":200,"result":{"apiKey":"<key>","authorizedSince":'
            '1649729878532,"connectedSince":1649729873021,"returnRateLimits":false,'
            '"serverTime":1649729878630,"userDataStream":false}}',
            Answer("c174a2b1"),
        ),
    ],
)
def test_answers(text: str, expected: Incoming) -> None:
    """Trap 2: an acknowledgement has an id and no streams; a symbol that is none gets one too."""
    assert read(text) == expected
    assert not looks_like_data(SPOT, text)


@pytest.mark.parametrize(
    ("text", "request_id", "code", "said"),
    [
        ('{"code":0,"msg":"Unknown property","id":7}', 7, 0, "Unknown property"),
        (
            '{"code":1,"msg":"Invalid value type: expected Boolean"}',
            None,
            1,
            "Invalid value type: expected Boolean",
        ),
        (
            '{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}',
            None,
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"code":2,"msg":"Invalid request: unknown variant %s, expected one of `SUBSCRIBE`, '
            "`UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column "
            '28"}',
            None,
            2,
            "unknown variant %s",
        ),
        ('{"code":2,"msg":"Invalid request: too many parameters"}', None, 2, "too many parameters"),
        (
            '{"code":2,"msg":"Invalid request: missing field `method` at line 1 column 73"}',
            None,
            2,
            "missing field `method`",
        ),
        (
            '{"code":3,"msg":"Invalid JSON: expected value at line %s column %s"}',
            None,
            3,
            "Invalid JSON",
        ),
        (
            '{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":2}',
            2,
            2,
            "Invalid request: invalid stream",
        ),
        (
            '{"error":{"code":4,"msg":"Too many subscriptions"},"id":19}',
            19,
            4,
            "Too many subscriptions",
        ),
    ],
)
def test_errors_flat_and_nested(text: str, request_id: int | None, code: int, said: str) -> None:
    incoming = read(text)

    assert isinstance(incoming, Refused)
    assert said in incoming.text
    assert (incoming.request_id, incoming.code) == (request_id, code)
    # Binance does not name the stream, and has subscribed none of the request.
    assert incoming.topics == ()
    assert incoming.whole_request
    assert not incoming.temporary
    assert not looks_like_data(SPOT, text)


def login_error(status: int, code: int, details: str = "", request_id: str = '"login"') -> str:
    error = f'{{"code":{code},"msg":"What they say."{details}}}'
    return f'{{"id":{request_id},"status":{status},"error":{error}}}'


@pytest.mark.parametrize("code", [-2014, -2015, -1022, -1002])
def test_wrong_credentials_are_final(code: int) -> None:
    expected = LoginRefused(code, "What they say.", final=True)

    assert read(login_error(401, code)) == expected
    revoked = dataclasses.replace(expected, revoked=True)
    assert read(login_error(401, code, request_id="null")) == revoked


def test_a_session_that_is_revoked_has_no_id() -> None:
    text = (
        '{"id":null,"status":401,"error":{"code":-2015,'
        '"msg":"Invalid API-key, IP, or permissions for action."}}'
    )

    assert read(text) == LoginRefused(
        -2015, "Invalid API-key, IP, or permissions for action.", final=True, revoked=True
    )


def test_a_wrong_clock_is_told_and_not_final() -> None:
    details = ',"data":{"serverTime":1659142907531}'

    assert read(login_error(400, -1021, details)) == LoginRefused(
        -1021, "What they say.", final=False, clock=True, server_time=1659142907.531
    )


@pytest.mark.parametrize(("status", "code"), [(429, -1003), (429, -1034), (503, -1008)])
def test_too_many_requests_pass(status: int, code: int) -> None:
    assert read(login_error(status, code)) == LoginRefused(code, "What they say.", final=False)


@pytest.mark.parametrize(
    ("status", "retries"), [(400, 1), (409, 1), (403, None), (418, None), (500, None)]
)
def test_a_refusal_with_an_unknown_code_goes_by_its_status(
    status: int, retries: int | None
) -> None:
    assert read(login_error(status, -9999)) == LoginRefused(
        -9999, "What they say.", final=False, retries=retries
    )


BANNED = (
    '{"id":"fc93a61a","status":418,"error":{"code":-1003,"msg":"Way too much request weight used; '
    "IP banned until 1659146400000. Please use WebSocket Streams for live updates to avoid bans."
    '","data":{"serverTime":1659142907531,"retryAfter":1659146400000}},"rateLimits":[]}'
)


@pytest.mark.parametrize("code", [-1000, -1001, -1007, -1016])
def test_trouble_of_binance_at_the_login_passes(code: int) -> None:
    assert read(login_error(400, code)) == LoginRefused(code, "What they say.", final=False)
    nobodys = read(login_error(500, code, request_id="null"))
    assert isinstance(nobodys, Refused)
    assert nobodys.temporary


@pytest.mark.parametrize("time", [10**400, -1, float("nan"), float("inf"), "soon", None, [1]])
def test_a_time_that_is_none_is_passed_over(time: Any) -> None:
    data = {"serverTime": time, "retryAfter": time}
    error = {"code": -1021, "msg": "m", "data": data}

    assert SPOT.read({"id": "login", "status": 400, "error": error}) == LoginRefused(
        -1021, "m", final=False, clock=True
    )


def test_what_is_no_code_and_no_text_is_passed_over() -> None:
    incoming = SPOT.read({"id": 7, "error": {"code": 10**400, "msg": ["x"]}})

    assert incoming == Refused(7, whole_request=True)


@pytest.mark.parametrize("kind", ["serverShutdown", "listenKeyExpired", "eventStreamTerminated"])
@pytest.mark.parametrize("venue", [SPOT, FUTURES])
def test_the_fast_path_lets_no_notice_through(venue: Binance, kind: str) -> None:
    text = combined("some-listen-key", f'{{"e":"{kind}","E":1}}')

    assert not looks_like_data(venue, text)
    assert isinstance(read(text, venue), Notice)


def test_a_ban_says_when_it_ends() -> None:
    incoming = read(BANNED.replace("fc93a61a", "login"))

    assert isinstance(incoming, LoginRefused)
    assert (incoming.code, incoming.final, incoming.retries) == (-1003, False, None)
    assert incoming.server_time == 1659142907.531
    assert incoming.retry_after == pytest.approx(3492.469)


def test_the_ban_of_another_request_is_its_refusal_and_no_data() -> None:
    incoming = read(BANNED)

    assert isinstance(incoming, Refused)
    assert (incoming.request_id, incoming.code, incoming.temporary) == ("fc93a61a", -1003, True)
    assert not looks_like_data(SPOT, BANNED)


@pytest.mark.parametrize(
    "message",
    [
        {"id": None, "status": 400, "error": {"code": -1100, "msg": "Illegal characters"}},
        {"id": [], "error": {"code": [], "msg": None}},
        {"id": {}, "code": {}},
    ],
)
def test_an_error_that_is_nobodys_is_a_refusal_without_id(message: dict[str, Any]) -> None:
    incoming = SPOT.read(message)

    assert isinstance(incoming, Refused)
    assert incoming.request_id is None
    hash(incoming)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*"eEsoktuUabci", "id", "ps", "data", "stream", "event", "error", "code", "result"]
            )
            | st.text(max_size=3),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(message=JSON, kind=st.sampled_from(["kline", "continuous_kline", "trade", "A", ""]))
def test_whatever_comes_is_read_without_a_word(message: Any, kind: str) -> None:
    for venue in (SPOT, FUTURES):
        for one in (message, {"stream": "a@" + kind, "data": message}, {"e": kind, "k": message}):
            incoming = venue.read(one)
            if isinstance(incoming, Data):
                assert incoming.topic
                event = Message(incoming.data, incoming.topic, incoming.channel, incoming.symbol)
                hash(venue.identity(event))
                venue.sequence(event)
            venue.answer_id(one)


# Identities and numbers.


def message(venue: Binance, stream: str, payload: str) -> Message:
    incoming = read(combined(stream, payload), venue)
    assert isinstance(incoming, Data)
    return Message(incoming.data, stream, incoming.channel, incoming.symbol)


@pytest.mark.parametrize(
    ("venue", "stream", "payload", "identity"),
    [
        (SPOT, "bnbbtc@trade", TRADE, (12345, "BNBBTC")),
        (SPOT, "bnbbtc@aggTrade", AGG_TRADE, (12345, "BNBBTC")),
        (SPOT, "bnbbtc@kline_1m", KLINE, (1672515782136, 1672515780000, False)),
        (SPOT, "bnbbtc@kline_1m@+08:00", KLINE, (1672515782136, 1672515780000, False)),
        (SPOT, "bnbusdt@bookTicker", BOOK_TICKER, (400900217, "BNBUSDT")),
        (SPOT, "bnbbtc@depth", DEPTH, (160,)),
        (SPOT, "bnbbtc@depth5", PARTIAL_DEPTH, (160,)),
        (SPOT, "bnbbtc@ticker", TICKER, None),
        (FUTURES, "btcusdt@trade", FUTURES_TRADE, (3493102749, "BTCUSDT")),
        (FUTURES, "!bookTicker", FUTURES_BOOK_TICKER, (11139947831981, "ETHUSDT")),
        (FUTURES, "btcusdt@depth5@100ms", FUTURES_DEPTH, (160,)),
        (FUTURES, "btcusdt@markPrice", MARK_PRICE, None),
        (FUTURES, "btcusdt@forceOrder", FORCE_ORDER, None),
        (SPOT, "userData", EXECUTION, ("executionReport", 8641984, 4293153, -1)),
    ],
)
def test_identities(venue: Binance, stream: str, payload: str, identity: object) -> None:
    if stream == "userData":
        assert venue.identity(Message(json.loads(payload), stream, stream)) == identity
    else:
        assert venue.identity(message(venue, stream, payload)) == identity


def test_account_events_without_an_id_are_named_by_their_text() -> None:
    first = Message(json.loads(ORDER_UPDATE), "userData", "userData")
    again = Message(json.loads(ORDER_UPDATE), "userData", "userData", connection="other")
    other = Message(json.loads(ACCOUNT_UPDATE), "userData", "userData")

    assert FUTURES.identity(first) == FUTURES.identity(again) is not None
    assert FUTURES.identity(other) != FUTURES.identity(first)


@pytest.mark.parametrize(
    ("venue", "stream", "payload", "numbers"),
    [
        (SPOT, "bnbbtc@trade", TRADE, (12345, 12345, None)),
        (SPOT, "bnbbtc@aggTrade", AGG_TRADE, (12345, 12345, None)),
        (SPOT, "bnbbtc@depth", DEPTH, (157, 160, None)),
        (SPOT, "bnbbtc@depth@100ms", DEPTH, (157, 160, None)),
        (FUTURES, "btcusdt@aggTrade", FUTURES_AGG_TRADE, (5933014, 5933014, None)),
        (FUTURES, "btcusdt@depth@100ms", FUTURES_DEPTH, (157, 160, 149)),
    ],
)
def test_numbers(
    venue: Binance, stream: str, payload: str, numbers: tuple[int, int, int | None]
) -> None:
    event = message(venue, stream, payload)

    assert venue.sequence(event) == SequenceNumbers((event.channel, event.symbol), *numbers)


@pytest.mark.parametrize(
    ("venue", "stream", "payload"),
    [
        (FUTURES, "btcusdt@trade", FUTURES_TRADE),  # may skip numbers
        (FUTURES, "btcusdt@depth5", FUTURES_DEPTH),  # each one is whole
        (SPOT, "bnbbtc@depth5", PARTIAL_DEPTH),
        (SPOT, "bnbusdt@bookTicker", BOOK_TICKER),
        (SPOT, "bnbbtc@kline_1m", KLINE),
        (SPOT, "bnbbtc@trade", '{"e":"trade","s":"BNBBTC"}'),
        (FUTURES, "btcusdt@depth", '{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2}'),
    ],
)
def test_what_is_in_no_gapless_count_has_no_numbers(
    venue: Binance, stream: str, payload: str
) -> None:
    assert venue.sequence(message(venue, stream, payload)) is None
