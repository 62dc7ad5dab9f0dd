"""What Bybit's messages mean. The samples are its documentation's, or were observed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import Message
from wsresilient.core.incoming import (
    MOST_TEXT,
    Acknowledged,
    Answer,
    Data,
    Incoming,
    LoggedIn,
    LoginRefused,
    Pong,
    Refused,
)
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.venues import Bybit, SequenceNumbers

from .wire_tools import ANY_JSON, message_in, objects

LINEAR, OPTION, PRIVATE = Bybit(), Bybit("option"), Bybit(private=True)


def read(text: str) -> Incoming:
    return LINEAR.read(json.loads(text))


# Data.

TICKER = (
    '{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"symbol":"BTCUSDT","tickDirection":'
    '"PlusTick","price24hPcnt":"0.017103","lastPrice":"17216.00","prevPrice24h":"16926.50",'
    '"highPrice24h":"17281.50","lowPrice24h":"16915.00","prevPrice1h":"17238.00","markPrice":'
    '"17217.33","indexPrice":"17227.36","openInterest":"68744.761","openInterestValue":'
    '"1183601235.91","turnover24h":"1570383121.943499","volume24h":"91705.276",'
    '"nextFundingTime":"1673280000000","fundingRate":"-0.000212","bid1Price":"17215.50",'
    '"bid1Size":"84.489","ask1Price":"17216.00","ask1Size":"83.020"},"cs":24987956059,'
    '"ts":1673272861686}'
)
TRADE = (
    '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":'
    '1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":'
    '"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"seq":1783284617}]}'
)
KLINE = (
    '{"topic":"kline.5.BTCUSDT","data":[{"start":1672324800000,"end":1672325099999,"interval":'
    '"5","open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081",'
    '"turnover":"34666.4005","confirm":false,"timestamp":1672324988882}],"ts":1672324988882,'
    '"type":"snapshot"}'
)
BOOK = (
    '{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1672304484978,"data":{"s":"BTCUSDT",'
    '"b":[["16493.50","0.006"],["16493.00","0.100"]],"a":[["16611.00","0.029"],["16612.00",'
    '"0.213"]],"u":18521288,"seq":7961638724},"cts":1672304484976}'
)
BOOK_CHANGE = (
    '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT","b":'
    '[["30247.20","30.028"],["30245.40","0.224"],["30240.00","0"]],"a":[["30248.70","0"],'
    '["30249.30","0.892"]],"u":177400507,"seq":66544703342},"cts":1687940967464}'
)
ORDER = (
    '{"id":"5923240c6880ab-c59f-420b-9adb-3639adc9dd90","topic":"order","creationTime":'
    '1672364262474,"data":[{"symbol":"ETH-30DEC22-1400-C","orderId":'
    '"5cf98598-39a7-459e-97bf-76ca765ee020","side":"Sell","orderType":"Market","price":"72.5",'
    '"qty":"1","timeInForce":"IOC","orderStatus":"Filled","orderLinkId":"","cumExecQty":"1",'
    '"cumExecValue":"75","avgPrice":"75","createdTime":"1672364262444","updatedTime":'
    '"1672364262457","rejectReason":"EC_NoError","category":"option"}]}'
)
EXECUTION = (
    '{"topic":"execution","id":"386825804_BTCUSDT_140612148849382","creationTime":1746270400355,'
    '"data":[{"category":"linear","symbol":"BTCUSDT","execFee":"26.3725275","execId":'
    '"0ab1bdf7-4219-438b-b30a-32ec863018f7","execPrice":"95900.1","execQty":"0.5","execType":'
    '"Trade","execValue":"47950.05","feeRate":"0.00055","leavesQty":"0","orderId":'
    '"9aac161b-8ed6-450d-9cab-c5cc67c21784","orderLinkId":"test-order-link-001","side":"Sell",'
    '"execTime":"1746270400353","isMaker":false,"seq":140612148849382}]}'
)
STATUS = (
    '{"topic":"system.status","ts":1751858399649,"data":[{"id":'
    '"4d95b2a0-587f-11f0-bcc9-56f28c94d6ea","title":"t06","state":"completed","begin":'
    '"1751596902000","end":"1751597011000","href":"","serviceTypes":[2,3,4,5],"product":[1,2],'
    '"uidSuffix":[],"maintainType":1,"env":1}]}'
)


@pytest.mark.parametrize(
    ("text", "topic", "channel", "symbol"),
    [
        (TICKER, "tickers.BTCUSDT", "tickers", "BTCUSDT"),
        (TRADE, "publicTrade.BTCUSDT", "publicTrade", "BTCUSDT"),
        (KLINE, "kline.5.BTCUSDT", "kline.5", "BTCUSDT"),  # in the topic only
        (BOOK, "orderbook.50.BTCUSDT", "orderbook.50", "BTCUSDT"),
        (BOOK_CHANGE, "orderbook.50.BTCUSDT", "orderbook.50", "BTCUSDT"),
        (ORDER, "order", "order", "ETH-30DEC22-1400-C"),
        (EXECUTION, "execution", "execution", "BTCUSDT"),
        (STATUS, "system.status", "system.status", None),
    ],
)
def test_data_goes_by_its_topic(text: str, topic: str, channel: str, symbol: str | None) -> None:
    assert read(text) == Data(topic, channel, symbol, json.loads(text)["data"])
    assert LINEAR.data_mark is not None
    assert LINEAR.data_mark in text


def test_rows_of_several_symbols_have_none_in_common() -> None:
    rows = [{"symbol": "A"}, {"symbol": "B"}]

    assert PRIVATE.read({"topic": "position", "data": rows}) == Data(
        "position", "position", None, rows
    )
    assert PRIVATE.read({"topic": "wallet", "data": []}) == Data("wallet", "wallet", None, [])
    assert PRIVATE.read({"topic": "order", "data": [rows[0], 5]}) == Data(
        "order", "order", None, [rows[0], 5]
    )


# Answers.

ACKS = [
    '{"success":true,"ret_msg":"","conn_id":"3cd84cb1-4d06-4a05-930a-2efe5fc70f0f","req_id":"",'
    '"op":"subscribe"}',
    '{"success":true,"ret_msg":"subscribe","conn_id":"2324d924-aa4d-45b0-a858-7b8be29ab52b",'
    '"req_id":"10001","op":"subscribe"}',
    '{"success":true,"ret_msg":"","op":"subscribe","conn_id":"cejreassvfrsfvb9v1a0-2m"}',
]


@pytest.mark.parametrize(
    ("text", "request_id"), [(ACKS[0], None), (ACKS[1], 10001), (ACKS[2], None)]
)
def test_an_acknowledgement_names_its_request(text: str, request_id: int | None) -> None:
    assert read(text) == Acknowledged(request_id)
    assert read(text.replace('"op":"subscribe"', '"op":"unsubscribe"')) == Acknowledged(request_id)


def test_an_id_that_is_no_number_stays_as_it_is() -> None:
    text = '{"success":true,"ret_msg":"","req_id":"customised_id","op":"unsubscribe"}'

    assert read(text) == Acknowledged("customised_id")
    assert read(text.replace("customised_id", "9" * 5000)) == Acknowledged("9" * 5000)


def test_the_option_market_names_topics_and_no_request() -> None:
    text = (
        '{"success":true,"conn_id":"aa01fbfffe80af37-00000001-000b37b9-7147f432704fd28c-00e1c172"'
        ',"data":{"failTopics":[],"successTopics":["orderbook.100.BTC-6JAN23-18000-C"]},"type":'
        '"COMMAND_RESP"}'
    )

    assert read(text) == Acknowledged(topics=("orderbook.100.BTC-6JAN23-18000-C",))
    mixed = text.replace('"failTopics":[]', '"failTopics":["orderbook.100.NOPE"]')
    assert read(mixed) == Refused(
        topics=("orderbook.100.NOPE",),
        text="Bybit names it among the failTopics",
        accepted=("orderbook.100.BTC-6JAN23-18000-C",),
    )
    neither = '{"success":false,"ret_msg":"no","data":{},"type":"COMMAND_RESP"}'
    assert read(neither) == Refused(text="no", whole_request=True)
    assert read('{"success":true,"type":"COMMAND_RESP"}') == Answer()


def refusal(text: str, request_id: str = "3") -> str:
    return (
        f'{{"success":false,"ret_msg":"{text}","conn_id":"c","req_id":"{request_id}",'
        '"op":"subscribe"}'
    )


@pytest.mark.parametrize(
    ("text", "topics", "present"),
    [
        ("error:handler not found,topic:orderbook.7.BTCUSDT", ("orderbook.7.BTCUSDT",), False),
        (
            "error:already subscribed,topic:allLiquidation.ORDERUSDT",
            ("allLiquidation.ORDERUSDT",),
            True,
        ),
        ("Invalid topic: orderbook.7.BTCUSDT", ("orderbook.7.BTCUSDT",), False),
        ("Invalid symbol :[tickers.XUSDT]", ("tickers.XUSDT",), False),
        ("Invalid symbol :[tickers.X,tickers.Y]", ("tickers.X", "tickers.Y"), False),
        ("Request not authorized", (), False),
        ("error:topic:order needs auth first", (), False),
    ],
)
def test_a_refusal_concerns_the_whole_request(
    text: str, topics: tuple[str, ...], present: bool
) -> None:
    assert read(refusal(text)) == Refused(
        3, topics=topics, text=text, whole_request=True, present=present
    )


def test_too_many_requests_are_a_passing_refusal() -> None:
    incoming = read(
        '{"op":"subscribe","retCode":10006,"retMsg":"Too many visits!","success":false}'
    )

    assert incoming == Refused(
        code=10006, text="Too many visits!", whole_request=True, temporary=True
    )


def test_one_bad_topic_of_many_fails_alone() -> None:
    topics = ["publicTrade.BTCUSDT", "orderbook.7.BTCUSDT", "tickers.BTCUSDT"]
    registry = SubscriptionRegistry(LINEAR)
    registry.want(topics)
    registry.opened()
    first = registry.next_request(0.0)
    assert first is not None
    registry.sent(first, 0.0)

    bad = refusal(f"error:handler not found,topic:{topics[1]}", str(first.request_id))
    answer = read(bad)
    assert isinstance(answer, Refused)
    errors = registry.refused(answer, 0.0)

    assert errors is not None
    assert [error.topic for error in errors] == [topics[1]]
    again = registry.next_request(0.0)
    assert again is not None
    assert again.topics == (topics[0], topics[2])
    registry.sent(again, 0.0)
    accepted = read(ACKS[1].replace("10001", str(again.request_id)))
    assert isinstance(accepted, Acknowledged)
    assert registry.acknowledged(accepted, 0.0)
    assert registry.confirmed == {topics[0], topics[2]}


def test_a_topic_that_is_there_already_is_confirmed_and_the_rest_asked_again() -> None:
    topics = ["publicTrade.BTCUSDT", "tickers.BTCUSDT"]
    registry = SubscriptionRegistry(LINEAR)
    registry.want(topics)
    registry.opened()
    first = registry.next_request(0.0)
    assert first is not None
    registry.sent(first, 0.0)

    answer = read(refusal(f"error:already subscribed,topic:{topics[0]}", str(first.request_id)))
    assert isinstance(answer, Refused)

    assert registry.refused(answer, 0.0) == []
    assert registry.confirmed == {topics[0]}
    again = registry.next_request(0.0)
    assert again is not None
    assert again.topics == (topics[1],)


@pytest.mark.parametrize(
    "text",
    [
        '{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a-a679-ff7f55e0b16a",'
        '"op":"ping"}',
        '{"success":true,"ret_msg":"pong","conn_id":"465772b1-7630-4fdc-a492-e003e6f0f260",'
        '"req_id":"","op":"ping"}',
        '{"args":["1672916271846"],"op":"pong"}',
        '{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":'
        '"cfcb4ocsvfriu23r3er0-1b"}',
    ],
)
def test_every_socket_has_its_own_pong(text: str) -> None:
    assert read(text) == Pong()


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        ({"op": "order.create", "reqId": "7", "retCode": 0}, 7),
        ({"op": "order.create", "reqId": "x"}, "x"),
        ({}, None),
        ([1, 2], None),
        ("text", None),
        (None, None),
    ],
)
def test_what_is_something_else_is_an_answer(message: Any, request_id: Any) -> None:
    assert LINEAR.read(message) == Answer(request_id)


def test_a_pong_may_answer_a_request_as_other_answers_do() -> None:
    pong = {"success": True, "ret_msg": "pong", "req_id": "7", "op": "ping"}

    assert LINEAR.answer_id(pong) == 7
    assert LINEAR.answer_id({**pong, "ret_msg": "", "op": "order.create"}) == 7
    assert LINEAR.answer_id({**pong, "req_id": "hb-1"}) == "hb-1"  # a heartbeat's: no number


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("error:handler not found,topic:publicTrade.X", ("publicTrade.X",)),
        ("error:handler not found,topic: a,b", ("a", "b")),
        ("Invalid symbol :[orderbook.50.X]", ("orderbook.50.X",)),
        ("Invalid symbol:[X", ()),
        ("symbol : []", ()),
        ("topic:a b", ()),
        ("topic:", ()),
        ("other:a", ()),
        ("", ()),
    ],
)
def test_topics_are_named_at_the_end_of_a_text(text: str, topics: tuple[str, ...]) -> None:
    incoming = LINEAR.read({"op": "subscribe", "success": False, "ret_msg": text, "req_id": "1"})

    assert isinstance(incoming, Refused)
    assert incoming.topics == topics


@pytest.mark.parametrize("piece", ["topic:", "topic: ", "symbol :[", "symbol : ", " "])
def test_of_a_text_without_an_end_only_the_beginning_is_read(piece: str) -> None:
    text = piece * (1_000_000 // len(piece)) + " x"
    incoming = LINEAR.read({"op": "subscribe", "success": False, "ret_msg": text, "req_id": "1"})

    assert isinstance(incoming, Refused)
    assert len(incoming.text) <= MOST_TEXT


# Login.


def test_a_login_that_is_accepted() -> None:
    assert (
        read('{"success":true,"ret_msg":"","op":"auth","conn_id":"cejreaspqfh3sjdnldmg-p"}')
        == LoggedIn()
    )
    assert read('{"op":"auth","retCode":0,"retMsg":"OK","connId":"c"}') == LoggedIn()


@pytest.mark.parametrize("code", [10003, 10004, 10005, 10007, 10008, 10009, 10010, 33004])
def test_a_login_that_can_never_succeed_is_final(code: int) -> None:
    text = (
        f'{{"op":"auth","success":false,"retCode":{code},"retMsg":"Invalid apikey","connId":'
        '"cejreaspqfm9se7usbrg-3ab"}'
    )

    assert read(text) == LoginRefused(code=code, text="Invalid apikey", final=True)


@pytest.mark.parametrize(("code", "said"), [(99999, "?"), (None, "system error")])
def test_a_login_refused_for_an_unknown_reason_is_tried_once_more(
    code: int | None, said: str
) -> None:
    incoming = LINEAR.read({"op": "auth", "success": False, "retCode": code, "retMsg": said})

    assert incoming == LoginRefused(code, said, final=False, retries=1)


@pytest.mark.parametrize("code", [10006, 10016, 10019, 10429, 20003])
def test_a_login_that_may_succeed_later_is_not_final(code: int) -> None:
    incoming = LINEAR.read({"op": "auth", "success": False, "retCode": code, "retMsg": "busy"})

    assert incoming == LoginRefused(code=code, text="busy", final=False)


def test_a_wrong_clock_is_told_with_the_time_of_the_server() -> None:
    text = (
        "invalid request, please check your server timestamp or recv_window param. "
        "req_timestamp[1707328989637],server_timestamp[1707328995183],recv_window[5000]"
    )
    incoming = LINEAR.read({"op": "auth", "success": False, "retCode": 10002, "retMsg": text})

    assert incoming == LoginRefused(
        code=10002, text=text, final=False, clock=True, server_time=1707328995.183
    )
    expired = LINEAR.read({"op": "auth", "success": False, "ret_msg": "error:request expired"})
    assert expired == LoginRefused(text="error:request expired", final=False, clock=True)


@pytest.mark.parametrize("said", ["Invalid apikey", "error sign! invalid signature"])
def test_a_text_about_the_key_is_final_without_a_code(said: str) -> None:
    incoming = LINEAR.read({"op": "auth", "success": False, "ret_msg": said})

    assert incoming == LoginRefused(text=said, final=True)


def test_params_error_may_be_the_clock_and_is_tried_once_more() -> None:
    incoming = read(
        '{"success":false,"ret_msg":"Params Error","op":"auth","conn_id":'
        '"cno3gd1qo29t7ommtc60-18fpo"}'
    )

    assert isinstance(incoming, LoginRefused)
    assert not incoming.final
    assert incoming.retries == 1
    assert incoming.text.startswith("Params Error, ")
    assert "check the clock of this machine (NTP), key and secret" in incoming.text


def test_nothing_is_put_behind_a_text_that_may_be_cut_inside_of_a_secret() -> None:
    said = "Params Error " + 2000 * "x"
    incoming = LINEAR.read({"op": "auth", "success": False, "ret_msg": said})

    assert isinstance(incoming, LoginRefused)
    assert incoming.text.endswith("xxx")


# Names and numbers.


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        (TICKER, ("tickers.BTCUSDT", "snapshot", 24987956059, 1673272861686)),
        (
            TRADE,
            (
                "publicTrade.BTCUSDT",
                "20f43950-d8dd-5b31-9112-a178eb6023af",
                "20f43950-d8dd-5b31-9112-a178eb6023af",
                1,
            ),
        ),
        (KLINE, ("kline.5.BTCUSDT", 1672324800000, 1672324988882, False, "2.081")),
        (BOOK, ("orderbook.50.BTCUSDT", "snapshot", 18521288, 7961638724)),
        (BOOK_CHANGE, ("orderbook.50.BTCUSDT", "delta", 177400507, 66544703342)),
        (
            ORDER,
            ("order", "5cf98598-39a7-459e-97bf-76ca765ee020", "1672364262457", "Filled"),
        ),
        (EXECUTION, ("execution", "0ab1bdf7-4219-438b-b30a-32ec863018f7")),
        (STATUS, None),
        ('{"id":"tickers.X-1","topic":"tickers.X","data":{}}', ("tickers.X", "tickers.X-1")),
        ('{"topic":"order","data":[]}', None),
        ('{"topic":"publicTrade.X","data":[]}', None),
    ],
)
def test_the_same_message_has_the_same_name(text: str, identity: tuple[object, ...] | None) -> None:
    assert LINEAR.identity(message_in(LINEAR, text)) == identity


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (BOOK, SequenceNumbers("orderbook.50.BTCUSDT", 18521288, 18521288, restart=True)),
        (BOOK_CHANGE, SequenceNumbers("orderbook.50.BTCUSDT", 177400507, 177400507)),
        (TRADE, None),
        (TICKER, None),
        (ORDER, None),
    ],
)
def test_order_books_have_a_number(text: str, numbers: SequenceNumbers | None) -> None:
    assert LINEAR.sequence(message_in(LINEAR, text)) == numbers


def test_update_one_begins_anew_whatever_its_type() -> None:
    text = BOOK_CHANGE.replace('"u":177400507', '"u":1')

    assert LINEAR.sequence(message_in(LINEAR, text)) == SequenceNumbers(
        "orderbook.50.BTCUSDT", 1, 1, restart=True
    )


def test_level_one_sent_again_is_the_same_message_and_no_gap() -> None:
    text = (
        '{"topic":"orderbook.1.BTCUSDT","ts":%d,"type":"snapshot","data":{"s":"BTCUSDT","b":[],'
        '"a":[],"u":500,"seq":900},"cts":1}'
    )
    first, again = (message_in(LINEAR, text % ts) for ts in (1000, 4000))

    assert LINEAR.identity(first) == LINEAR.identity(again) is not None
    numbers = LINEAR.sequence(again)
    assert numbers is not None
    assert numbers.restart


# Whatever comes.

WORDS = st.sampled_from(
    [
        *("subscribe", "unsubscribe", "auth", "ping", "pong", "COMMAND_RESP", "snapshot", "1"),
        *("orderbook.50.BTCUSDT", "order", "kline.5", "error:handler not found,topic:a", "."),
    ]
)
ROWS = st.lists(objects(i=WORDS, u=st.integers(), symbol=WORDS, execId=WORDS), max_size=2)


@given(
    objects(
        op=WORDS,
        topic=WORDS,
        type=WORDS,
        success=st.booleans(),
        ret_msg=WORDS,
        retCode=st.integers(),
        req_id=WORDS,
        data=ROWS | objects(failTopics=st.lists(WORDS), u=st.integers()),
    )
    | ANY_JSON
)
def test_nothing_that_comes_raises(message: Any) -> None:
    incoming = LINEAR.read(message)

    hash(LINEAR.answer_id(message))
    if isinstance(incoming, Data):
        made = Message(data=incoming.data, topic=incoming.topic, raw=message)
        hash(LINEAR.identity(made))
        assert isinstance(LINEAR.sequence(made), (SequenceNumbers, type(None)))
