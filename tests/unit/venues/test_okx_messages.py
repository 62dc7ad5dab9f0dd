"""OKX: what comes, read. The messages are copied from the documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.continuity import SequenceTracker
from wsresilient.core.events import Message
from wsresilient.core.incoming import (
    MOST_TEXT,
    Acknowledged,
    Answer,
    Data,
    Incoming,
    LoggedIn,
    LoginRefused,
    Notice,
    Pong,
    Refused,
)
from wsresilient.venues import OKX, SequenceNumbers

VENUE, PRIVATE = OKX(), OKX("private")


def read(text: str) -> Incoming:
    return VENUE.read(VENUE.decode(text))


def looks_like_data(text: str) -> bool:
    """What the fast path believes of a message that it has not decoded."""
    assert VENUE.data_mark is not None
    vetoed = any(mark in text for mark in VENUE.control_marks)
    return VENUE.data_mark in text and not vetoed


# Market data.

TICKERS = (
    '{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT",'
    '"instId":"BTC-USDT","last":"9999.99","lastSz":"0.1","askPx":"9999.99","askSz":"11",'
    '"bidPx":"8888.88","bidSz":"5","open24h":"9000","high24h":"10000","low24h":"8888.88",'
    '"volCcy24h":"2222","vol24h":"2222","sodUtc0":"2222","sodUtc8":"2222","ts":"1597026383085"}]}'
)
TRADES = (
    '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
    '"tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897",'
    '"count":"3","source":"0","seqId":1234}]}'
)
TRADES_ALL = (
    '{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
    '"tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","source":"0",'
    '"ts":"1630048897897"}]}'
)
CANDLE = (
    '{"arg":{"channel":"candle1D","instId":"BTC-USDT"},"data":[["1597026383085","8533.02",'
    '"8553.74","8527.17","8548.26","45247","529.5858061","5529.5858061","0"]]}'
)
SNAPSHOT = (
    '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":'
    '[["8476.98","415","0","13"],["8477","7","0","2"]],"bids":[["8476.97","256","0","12"],'
    '["8475.55","101","0","1"]],"ts":"1597026383085","checksum":0,"prevSeqId":-1,'
    '"seqId":123456}]}'
)
UPDATE = (
    '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":'
    '[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085",'
    '"checksum":0,"prevSeqId":123456,"seqId":123457}]}'
)
BEST = (
    '{"arg":{"channel":"bbo-tbt","instId":"BCH-USDT-SWAP"},"data":[{"asks":[["111.06","55154","0",'
    '"2"]],"bids":[["111.05","57745","0","2"]],"ts":"1670324386802","seqId":363996337}]}'
)
ORDERS = (
    '{"arg":{"channel":"orders","instType":"SPOT","instId":"BTC-USDT","uid":"614488474791936"},'
    '"data":[{"instType":"SPOT","instId":"BTC-USDT","ordId":"452197707845865472","clOrdId":"",'
    '"side":"sell","ordType":"limit","px":"31527.1","sz":"0.001","state":"filled",'
    '"fillPx":"31527.1","fillSz":"0.001","fillTime":"1654084353263","tradeId":"242589207",'
    '"accFillSz":"0.001","avgPx":"31527.1","fee":"-0.02522168","feeCcy":"USDT",'
    '"uTime":"1654084353264","cTime":"1654084334977"}]}'
)


@pytest.mark.parametrize(
    ("text", "topic", "channel", "symbol"),
    [
        (TICKERS, "tickers:BTC-USDT", "tickers", "BTC-USDT"),
        (TRADES, "trades:BTC-USDT", "trades", "BTC-USDT"),
        (TRADES_ALL, "trades-all:BTC-USDT", "trades-all", "BTC-USDT"),
        (CANDLE, "candle1D:BTC-USDT", "candle1D", "BTC-USDT"),
        (SNAPSHOT, "books:BTC-USDT", "books", "BTC-USDT"),
        (UPDATE, "books:BTC-USDT", "books", "BTC-USDT"),
        (BEST, "bbo-tbt:BCH-USDT-SWAP", "bbo-tbt", "BCH-USDT-SWAP"),
        (ORDERS, "orders:BTC-USDT?instType=SPOT", "orders", "BTC-USDT"),
    ],
)
def test_pushes(text: str, topic: str, channel: str, symbol: str) -> None:
    assert read(text) == Data(topic, channel, symbol, json.loads(text)["data"])
    assert looks_like_data(text)


@pytest.mark.parametrize(
    ("rows", "symbol"),
    [
        ([{"instId": "ETH-USDT-SWAP"}], "ETH-USDT-SWAP"),
        ([{"instId": "ETH-USDT-SWAP"}, {"instId": "BTC-USDT-SWAP"}], None),
        ([{"instId": ""}], None),
        ([{"ccy": "BTC"}], None),
        ([], None),
    ],
)
def test_a_push_without_instrument_has_that_of_its_only_row(
    rows: list[dict[str, str]], symbol: str | None
) -> None:
    incoming = VENUE.read(
        {"arg": {"channel": "positions", "instType": "ANY", "uid": "1"}, "data": rows}
    )

    assert incoming == Data("positions?instType=ANY", "positions", symbol, rows)


@pytest.mark.parametrize(
    ("subscribed", "is_covered"),
    [
        ("orders?instType=ANY", True),
        ("orders?instType=SPOT", True),
        ("orders?instType=SWAP", False),
        ("orders:BTC-USDT?instType=SPOT", True),
        ("orders:BTC-USDT?instType=ANY", True),
        ("orders:ETH-USDT?instType=ANY", False),
        # The push does not say which family it is of, so it may be this one.
        ("orders?instFamily=BTC-USDT&instType=ANY", True),
        ("fills?instType=ANY", False),
        ("orders-algo?instType=ANY", False),
    ],
)
def test_a_push_names_more_than_its_subscription(subscribed: str, is_covered: bool) -> None:
    assert PRIVATE.covers(subscribed, read(ORDERS)) is is_covered


# Answers.


def test_a_pong_is_no_json() -> None:
    assert read("pong") == Pong()
    assert VENUE.read(VENUE.decode(b"pong")) == Pong()
    with pytest.raises(ValueError, match=r".+"):
        VENUE.decode("ping pong")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"id":"1512","event":"subscribe","arg":{"channel":"tickers","instId":"BTC-USDT"},'
            '"connId":"a4d3ae55"}',
            Acknowledged(1512, ("tickers:BTC-USDT",)),
        ),
        (
            '{"id":"1512","event":"unsubscribe","arg":{"channel":"tickers","instId":"BTC-USDT"},'
            '"connId":"a4d3ae55"}',
            Acknowledged(1512, ("tickers:BTC-USDT",)),
        ),
        (
            '{"id":"1512","event":"subscribe","arg":{"channel":"orders","instType":"ANY"},'
            '"connId":"a4d3ae55"}',
            Acknowledged(1512, ("orders?instType=ANY",)),
        ),
        (
            '{"event":"subscribe","arg":{"channel":"tickers","instId":"BTC-USDT"}}',
            Acknowledged(None, ("tickers:BTC-USDT",)),
        ),
        ('{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}', LoggedIn()),
        ('{"event":"login","code":0,"msg":"","connId":"a4d3ae55"}', LoggedIn()),
        ('{"id":"b1","op":"order","data":[{"ordId":"1"}],"code":"0","msg":""}', Answer("b1")),
        ('{"id":"7","op":"order","data":[],"code":"1","msg":"failed"}', Answer(7)),
        ('{"event":"something-new","id":"7"}', Answer(7)),
    ],
)
def test_answers(text: str, expected: Incoming) -> None:
    assert read(text) == expected
    assert not looks_like_data(text)


def test_an_acknowledged_topic_is_the_one_that_was_asked_for() -> None:
    topic = "orders:BTC-USDT?instFamily=BTC-USDT&instType=SPOT"
    (argument,) = json.loads(PRIVATE.subscribe([topic], 3))["args"]
    # Whatever the order of the keys, and with the account's number added.
    echo = {"uid": "1", **dict(reversed(argument.items()))}

    assert PRIVATE.read({"id": "3", "event": "subscribe", "arg": echo}) == Acknowledged(3, (topic,))


def test_an_upgrade_is_a_notice_to_reconnect() -> None:
    text = (
        '{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service '
        'upgrade. Please reconnect.","connId":"a4d3ae55"}'
    )
    incoming = read(text)

    assert isinstance(incoming, Notice)
    assert incoming.reconnect
    assert "service upgrade" in incoming.text
    assert not looks_like_data(text)
    other = read('{"event":"notice","code":"1","msg":"Hello."}')
    assert other == Notice("code 1: Hello.", reconnect=False)


def test_the_number_of_connections_is_told() -> None:
    incoming = read(
        '{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}'
    )

    assert isinstance(incoming, Notice)
    assert not incoming.reconnect
    assert "2 connections" in incoming.text
    assert "'orders'" in incoming.text


def test_a_channel_can_fail_after_it_was_acknowledged() -> None:
    """Trap 7: the error names the channel and no request."""
    incoming = read(
        '{"event":"channel-conn-count-error","channel":"orders","connCount":"30",'
        '"connId":"a4d3ae55"}'
    )

    assert isinstance(incoming, Refused)
    assert (incoming.request_id, incoming.topics, incoming.channel) == (None, (), "orders")
    assert "'orders'" in incoming.text
    assert "30" in incoming.text
    assert not incoming.temporary
    assert not incoming.whole_request


@pytest.mark.parametrize("event", ["channel-conn-count", "channel-conn-count-error"])
def test_a_channel_or_a_count_that_is_none_is_not_cut_but_left_out(event: str) -> None:
    long = "x" * 30 + "a-secret-0123456789"
    incoming = read(f'{{"event":"{event}","channel":"{long}","connCount":"{long}"}}')

    assert isinstance(incoming, (Notice, Refused))
    assert "a-s" not in incoming.text


# Errors.


def error(code: str, text: str, request_id: str | None = "7") -> Incoming:
    message = {"event": "error", "code": code, "msg": text, "connId": "a4d3ae55"}
    return VENUE.read(message if request_id is None else {**message, "id": request_id})


def test_a_topic_that_does_not_exist_is_named_in_the_text_only() -> None:
    text = (
        '{"event":"error","msg":"Wrong URL or channel:candle1s,instId:BTC-USDT-SWAP doesn\'t exist.'
        " Please use the correct URL, channel and parameters referring to API document."
        '","code":"60018","connId":"2b5dc6ac"}'
    )
    incoming = read(text)

    assert isinstance(incoming, Refused)
    assert (incoming.request_id, incoming.code) == (None, "60018")
    assert incoming.topics == ("candle1s:BTC-USDT-SWAP",)
    assert not incoming.whole_request
    assert not incoming.temporary
    assert not looks_like_data(text)


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("Wrong URL or channel:tickers,instId:BTC-USDX doesn't exist.", ("tickers:BTC-USDX",)),
        ("channel: tickers, instId: BTC-USDX doesn't exist", ("tickers:BTC-USDX",)),
        ("channel:orders,instType:NONE doesn't exist.", ("orders?instType=NONE",)),
        ("channel:bbo doesn't exist.", ("bbo",)),
        ("channel:sprd-x,sprdId:A-B_A-B-SWAP doesn't exist", ("sprd-x:A-B_A-B-SWAP",)),
        ("something is wrong", ()),
    ],
)
def test_errors_name_topics(text: str, topics: tuple[str, ...]) -> None:
    incoming = error("60018", text)

    assert isinstance(incoming, Refused)
    assert (incoming.request_id, incoming.topics) == (7, topics)
    assert incoming.whole_request is not bool(topics)


def test_a_malformed_request_names_nothing_and_fails_as_a_whole() -> None:
    text = (
        '{"id":"1512","event":"error","code":"60012","msg":"Invalid request: {\\"op\\": '
        '\\"subscribe\\", \\"argss\\":[{ \\"channel\\" : \\"tickers\\", \\"instId\\" : '
        '\\"BTC-USDT\\"}]}","connId":"a4d3ae55"}'
    )
    incoming = read(text)

    assert isinstance(incoming, Refused)
    assert (incoming.request_id, incoming.topics, incoming.code) == (1512, (), "60012")
    assert incoming.whole_request
    assert not looks_like_data(text)


@pytest.mark.parametrize("code", ["60008", "60011", "60013", "60018", "64000", "64003", "64004"])
def test_refusals_for_good(code: str) -> None:
    incoming = error(code, "What they say.")

    assert isinstance(incoming, Refused)
    assert not incoming.temporary
    assert (incoming.code, incoming.text) == (code, "What they say.")


@pytest.mark.parametrize("code", ["60014", "60023", "63999", "64007"])
def test_refusals_that_pass(code: str) -> None:
    incoming = error(code, "Requests too frequent")

    assert isinstance(incoming, Refused)
    assert incoming.temporary


@pytest.mark.parametrize("code", ["60005", "60007", "60024", "60032", "50110"])
def test_wrong_credentials_are_final(code: str) -> None:
    assert error(code, "Invalid.", None) == LoginRefused(code, "Invalid.", final=True)


@pytest.mark.parametrize("code", ["60004", "60006"])
def test_a_wrong_clock_is_told_and_not_final(code: str) -> None:
    assert error(code, "Timestamp request expired", None) == LoginRefused(
        code, "Timestamp request expired", final=False, clock=True
    )


@pytest.mark.parametrize("code", ["60009", "60022"])
def test_a_login_that_fails_without_a_reason_is_tried_once_more(code: str) -> None:
    incoming = read(
        f'{{"event":"error","code":"{code}","msg":"Login failed.","connId":"a4d3ae55"}}'
    )

    assert incoming == LoginRefused(code, "Login failed.", final=False, retries=1)


def test_an_internal_error_at_the_login_passes() -> None:
    text = "Login failed due to internal error. Please try logging in again."

    assert error("63999", text, None) == LoginRefused("63999", text, final=False)


@pytest.mark.parametrize("code", ["", "6" * 41, None, [], 10**400])
def test_a_code_that_is_none_is_not_shown(code: Any) -> None:
    message = {"code": code, "msg": "no"}

    assert VENUE.read({"event": "error", **message}) == Refused(text="no", whole_request=True)
    assert VENUE.read({"event": "login", **message}) == LoginRefused(
        text="no", final=False, retries=1
    )


def test_a_login_event_with_a_code_is_a_refusal() -> None:
    assert read('{"event":"login","code":"60005","msg":"Invalid apiKey"}') == LoginRefused(
        "60005", "Invalid apiKey", final=True
    )
    assert read('{"event":"login","code":"1","msg":"?"}') == LoginRefused(
        "1", "?", final=False, retries=1
    )


@pytest.mark.parametrize("code", ["50001", "50011", "50013", "50026"])
def test_trouble_of_okx_at_the_login_passes(code: str) -> None:
    assert read(f'{{"event":"login","code":"{code}","msg":"busy"}}') == LoginRefused(
        code, "busy", final=False
    )
    incoming = error(code, "busy", None)
    assert isinstance(incoming, Refused)
    assert incoming.temporary


def test_of_a_text_without_an_end_only_the_beginning_is_read() -> None:
    incoming = error("60018", "channel:" * 125_000)

    assert isinstance(incoming, Refused)
    assert len(incoming.text) <= MOST_TEXT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("arg", "data", "event", "id", "code", "msg", "channel", "instId", "seqId"),
                    *("prevSeqId", "tradeId", "count", "ts", "connCount", "uid", "op"),
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
CHANNELS = st.sampled_from(["trades", "books", "candle1m", "orders", "sprd-trades", "books5"])
EVENTS = st.sampled_from(["subscribe", "login", "error", "notice", "channel-conn-count-error"])


@given(message=JSON, channel=CHANNELS, event=EVENTS)
def test_whatever_comes_is_read_without_a_word(message: Any, channel: str, event: str) -> None:
    push = {"arg": {"channel": channel, "instId": message}, "data": message}
    control = {**(message if isinstance(message, dict) else {}), "event": event}
    for one in (message, push, control):
        incoming = VENUE.read(one)
        hash(incoming if not isinstance(incoming, Data) else incoming.topic)
        if isinstance(incoming, Data):
            assert incoming.topic
            pushed = Message(incoming.data, incoming.topic, incoming.channel, incoming.symbol)
            hash(VENUE.identity(pushed))
            VENUE.sequence(pushed)
        VENUE.answer_id(one)


# Identities and numbers.


def message(text: str) -> Message:
    incoming = read(text)
    assert isinstance(incoming, Data)
    return Message(incoming.data, incoming.topic, incoming.channel, incoming.symbol)


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        (TRADES, ("130639474",)),
        (TRADES_ALL, ("130639474",)),
        (SNAPSHOT, (-1, 123456, "1597026383085")),
        (UPDATE, (123456, 123457, "1597026383085")),
        (BEST, (363996337, "1670324386802")),
        (ORDERS, ("452197707845865472", "1654084353264", "filled", "242589207")),
        (TICKERS, None),
    ],
)
def test_identities(text: str, identity: object) -> None:
    assert VENUE.identity(message(text)) == identity


def test_a_candle_is_named_by_its_content() -> None:
    grown = CANDLE.replace("8548.26", "8548.27")

    assert VENUE.identity(message(CANDLE)) == VENUE.identity(message(CANDLE)) is not None
    assert VENUE.identity(message(grown)) != VENUE.identity(message(CANDLE))


def book(previous: int, number: int, channel: str = "books") -> SequenceNumbers | None:
    rows = [{"asks": [], "bids": [], "ts": "1", "checksum": 0}]
    rows[0] |= {"prevSeqId": previous, "seqId": number}
    return VENUE.sequence(Message(rows, f"{channel}:BTC-USDT", channel, "BTC-USDT"))


def test_a_book_follows_the_number_before_it() -> None:
    """Trap 3: the checksum is a constant 0; the numbers are what there is."""
    key = ("books", "BTC-USDT")

    assert VENUE.sequence(message(SNAPSHOT)) == SequenceNumbers(
        key, 123456, 123456, -1, restart=True
    )
    assert VENUE.sequence(message(UPDATE)) == SequenceNumbers(key, 123457, 123457, 123456)


def test_an_empty_book_is_a_sign_of_life_and_a_falling_number_a_new_count() -> None:
    """Trap 9, with the documentation's example: 10 to 15, 15 to 15, 15 to 3, 3 to 5."""
    key = ("books", "BTC-USDT")

    assert book(10, 15) == SequenceNumbers(key, 15, 15, 10)
    assert book(15, 15) is None
    assert book(15, 3) == SequenceNumbers(key, 3, 3, 15)
    assert book(3, 5) == SequenceNumbers(key, 5, 5, 3)


@pytest.mark.parametrize(("last", "gaps"), [(15, 0), (14, 1), (20, 1)])
def test_a_gap_before_a_new_count_is_seen(last: int, gaps: int) -> None:
    tracker = SequenceTracker()
    for previous, number in ((-1, 10), (10, last), (15, 3), (3, 5)):
        numbers = book(previous, number)
        assert numbers is not None
        tracker.check(numbers)

    assert tracker.gaps == gaps


@pytest.mark.parametrize("channel", ["books-l2-tbt", "books50-l2-tbt"])
def test_other_books_that_are_differences(channel: str) -> None:
    assert book(10, 15, channel) == SequenceNumbers((channel, "BTC-USDT"), 15, 15, 10)


def test_a_trade_may_stand_for_several() -> None:
    assert VENUE.sequence(message(TRADES)) == SequenceNumbers(
        ("trades", "BTC-USDT"), 130639472, 130639474
    )
    assert VENUE.sequence(message(TRADES_ALL)) == SequenceNumbers(
        ("trades-all", "BTC-USDT"), 130639474, 130639474
    )


@pytest.mark.parametrize("text", [TICKERS, CANDLE, BEST, ORDERS])
def test_what_is_in_no_gapless_count_has_no_numbers(text: str) -> None:
    assert VENUE.sequence(message(text)) is None


def test_numbers_that_are_none_are_left_alone() -> None:
    wrong: list[Any] = [[{}], [{"tradeId": "x"}], [{"tradeId": "1", "count": "0"}], [1], [], None]
    for rows in wrong:
        assert VENUE.sequence(Message(rows, "trades:A-B", "trades", "A-B")) is None
    assert VENUE.identity(Message([{"tradeId": None}], "trades:A-B", "trades", "A-B")) is None
