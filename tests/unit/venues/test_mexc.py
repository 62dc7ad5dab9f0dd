"""MEXC futures: topics, requests, answers. The samples are from its documentation or a probe."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.config import ConnectionConfig
from wsresilient.core.credentials import Credentials
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
from wsresilient.errors import ConfigurationError
from wsresilient.venues import MEXC, Limits, Rate, mexc_topics
from wsresilient.venues.base import check_told_apart

VENUE = MEXC()


def read(text: str) -> Incoming:
    return VENUE.read(json.loads(text))


# Where, and presets.


def test_there_is_one_socket_for_everything() -> None:
    assert VENUE.urls() == ("wss://contract.mexc.com/edge",)
    assert VENUE.rest_url == "https://api.mexc.com"
    other = MEXC(url="ws://a.example", rest_url="http://b.example/", limits=Limits())
    assert (other.urls(), other.rest_url) == (("ws://a.example/edge",), "http://b.example")
    assert MEXC(url="ws://a.example/own").urls() == ("ws://a.example/own",)
    assert other.limits == Limits()
    assert (VENUE.name, repr(VENUE)) == ("mexc", "MEXC()")


def test_it_pings_by_itself_whatever_comes() -> None:
    heartbeat = VENUE.heartbeat

    # Data does not count as a sign of life: without a ping it closes after 60 s.
    assert heartbeat.message(1) == '{"method":"ping"}'
    assert (heartbeat.interval, heartbeat.when) == (15.0, "always")
    assert VENUE.limits.idle == 60.0
    config = ConnectionConfig.from_dict(VENUE.settings)
    assert (config.ping_interval, config.stale_after) == (0.0, 60.0)
    assert VENUE.policy().max_delay == 30.0


def test_limits() -> None:
    limits = VENUE.limits

    assert (limits.topics_per_request, limits.topics_per_connection) == (1, 100)
    assert (limits.connections, limits.messages) == (10, Rate(20, 1.0))
    assert limits.max_age is None


# Topics.


@pytest.mark.parametrize(
    ("channel", "symbol", "parameters", "topic"),
    [
        ("deal", "BTC_USDT", {}, "deal:BTC_USDT"),
        ("deal", "BTC_USDT", {"compress": False}, "deal:BTC_USDT?compress=false"),
        ("depth", "BTC_USDT", {"compress": "False"}, "depth:BTC_USDT?compress=false"),
        ("depth.full", "BTC_USDT", {"limit": 20}, "depth.full:BTC_USDT?limit=20"),
        ("depth.step", "BTC_USDT", {"step": "10"}, "depth.step:BTC_USDT?step=10"),
        ("kline", "BTC_USDT", {"interval": "Min60"}, "kline:BTC_USDT?interval=Min60"),
        ("kline?interval=Min60", "BTC_USDT", {}, "kline:BTC_USDT?interval=Min60"),
        ("funding.rate", "BTC_USD", {}, "funding.rate:BTC_USD"),
        ("index.price", "1000BONK_USDT", {}, "index.price:1000BONK_USDT"),
        ("fair.price", "BTC_USDT", {}, "fair.price:BTC_USDT"),
        ("ticker", "BTC_USDT", {}, "ticker:BTC_USDT"),
        ("tickers", None, {}, "tickers"),
        ("contract", None, {}, "contract"),
        ("personal.order", None, {}, "personal.order"),
    ],
)
def test_topics(channel: str, symbol: str | None, parameters: dict[str, Any], topic: str) -> None:
    assert VENUE.topic(channel, symbol, **parameters) == topic
    assert VENUE.checked(topic) == topic


@pytest.mark.parametrize(
    ("topic", "told"),
    [
        ("trade:BTC_USDT", "unknown channel of MEXC 'trade'.*Known: contract, deal, depth"),
        ("sub.deal:BTC_USDT", "unknown channel of MEXC 'sub.deal'"),
        ("personal.orders", "did you mean 'personal.order'"),
        ("deal", "'deal' has no symbol; write 'deal:BTC_USDT'"),
        ("deal:", "'deal' has no symbol"),
        ("deal:BTCUSDT", "'BTCUSDT' is no symbol of MEXC's.*'BTC_USDT'"),
        ("deal:ETH-USDT", "'ETH-USDT' is no symbol.*'ETH_USDT'"),
        ("deal:eth/usdt", "'eth/usdt' is no symbol.*'ETH_USDT'"),
        ("deal:btc_usdt", "'btc_usdt' is no symbol.*'BTC_USDT'"),
        ("tickers:BTC_USDT", "'tickers' has no symbol, it brings all"),
        ("personal.order:BTC_USDT", "'personal.order' has no symbol"),
        ("kline:BTC_USDT", r"has no interval; write 'kline:BTC_USDT\?interval=Min60'"),
        ("kline:BTC_USDT?interval=1m", "'1m'; allowed: 'Min1', 'Min5'"),
        ("depth.step:BTC_USDT", r"has no step; write 'depth.step:BTC_USDT\?step=10'"),
        ("depth.full:BTC_USDT?limit=7", "'7'; allowed: '5', '10', '20'"),
        ("depth:BTC_USDT?compress=no", "'no'; allowed: 'false', 'true'"),
        ("depth:BTC_USDT?level=5", "unknown parameter of 'depth' 'level'.*compress"),
        ("ticker:BTC_USDT?speed=5", "'ticker' has no parameters; 'speed' was given"),
    ],
)
def test_a_wrong_topic_is_refused_with_what_exists(topic: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        VENUE.checked(topic)


@pytest.mark.parametrize(
    ("subscribed", "received", "covered"),
    [
        ("depth:BTC_USDT?compress=false", "depth:BTC_USDT", True),
        ("depth.full:BTC_USDT?limit=20", "depth.full:BTC_USDT", True),
        ("depth.full:BTC_USDT?limit=20", "depth:BTC_USDT", False),
        ("depth:BTC_USDT?compress=false", "depth:ETH_USDT", False),
        ("kline:BTC_USDT?interval=Min60", "kline:BTC_USDT?interval=Min60", True),
        ("kline:BTC_USDT?interval=Min1", "kline:BTC_USDT?interval=Min60", False),
        ("kline:BTC_USDT?interval=Min1", "kline:BTC_USDT", True),
        ("tickers", "ticker:BTC_USDT", False),
    ],
)
def test_a_push_belongs_to_the_topic_with_more_parameters(
    subscribed: str, received: str, covered: bool
) -> None:
    assert VENUE.covers(subscribed, Data(received, None, None, {})) is covered


@given(
    st.sampled_from(["deal", "ticker", "depth", "fair.price", "kline?interval=Day1"]),
    st.from_regex(r"[A-Z0-9]{1,9}_(USDT|USDC|USD)", fullmatch=True),
)
def test_a_topic_that_was_built_is_accepted_and_covers_its_pushes(
    channel: str, symbol: str
) -> None:
    topic = VENUE.topic(channel, symbol)
    plain = channel.partition("?")[0]
    push = {"channel": f"push.{plain}", "symbol": symbol, "data": {"interval": "Day1"}}
    received = VENUE.read(push)

    assert VENUE.checked(topic) == topic
    assert isinstance(received, Data)
    assert VENUE.covers(topic, received)


# Requests.


@pytest.mark.parametrize(
    ("topic", "request_text"),
    [
        ("ticker:BTC_USDT", '{"method":"sub.ticker","param":{"symbol":"BTC_USDT"}}'),
        ("tickers", '{"method":"sub.tickers","param":{}}'),
        ("deal:BTC_USDT", '{"method":"sub.deal","param":{"symbol":"BTC_USDT"}}'),
        (
            "kline:BTC_USDT?interval=Min60",
            '{"method":"sub.kline","param":{"symbol":"BTC_USDT","interval":"Min60"}}',
        ),
        ("depth:BTC_USDT", '{"method":"sub.depth","param":{"symbol":"BTC_USDT"}}'),
        (
            "depth:BTC_USDT?compress=false",
            '{"method":"sub.depth","param":{"symbol":"BTC_USDT","compress":false}}',
        ),
        (
            "depth.full:BTC_USDT?limit=20",
            '{"method":"sub.depth.full","param":{"symbol":"BTC_USDT","limit":20}}',
        ),
        ("funding.rate:BTC_USDT", '{"method":"sub.funding.rate","param":{"symbol":"BTC_USDT"}}'),
        ("index.price:BTC_USDT", '{"method":"sub.index.price","param":{"symbol":"BTC_USDT"}}'),
        ("fair.price:BTC_USDT", '{"method":"sub.fair.price","param":{"symbol":"BTC_USDT"}}'),
        (
            "depth.step:BTC_USDT?step=10",
            '{"method":"sub.depth.step","param":{"symbol":"BTC_USDT","step":"10"}}',
        ),
        ("contract", '{"method":"sub.contract"}'),
    ],
)
def test_requests_are_those_of_the_documentation(topic: str, request_text: str) -> None:
    assert VENUE.subscribe([topic], 1) == request_text
    method = json.loads(request_text)["method"]
    assert VENUE.tag(topic, subscribing=True) == method
    assert VENUE.tag(topic, subscribing=False) == f"un{method}"


@pytest.mark.parametrize(
    ("topic", "request_text"),
    [
        ("deal:BTC_USDT", '{"method":"unsub.deal","param":{"symbol":"BTC_USDT"}}'),
        (
            "kline:BTC_USDT?interval=Min60",
            '{"method":"unsub.kline","param":{"symbol":"BTC_USDT"}}',
        ),
        (
            "depth:BTC_USDT?compress=false",
            '{"method":"unsub.depth","param":{"symbol":"BTC_USDT"}}',
        ),
        (
            "depth.step:BTC_USDT?step=10",
            '{"method":"unsub.depth.step","param":{"symbol":"BTC_USDT","step":"10"}}',
        ),
        ("tickers", '{"method":"unsub.tickers","param":{}}'),
        ("contract", '{"method":"unsub.contract"}'),
    ],
)
def test_some_topics_end_by_their_symbol_alone(topic: str, request_text: str) -> None:
    assert VENUE.unsubscribe([topic], 1) == request_text


def test_ending_one_candle_asks_again_for_the_others_of_its_symbol() -> None:
    kept, ended, other = (
        f"kline:{symbol}?interval={interval}"
        for symbol, interval in (("A_USDT", "Min1"), ("A_USDT", "Min5"), ("B_USDT", "Min5"))
    )
    registry = asked(kept, ended, other)
    ack = read('{"channel":"rs.sub.kline","data":"success"}')
    assert isinstance(ack, Acknowledged)
    for _ in range(3):
        assert registry.acknowledged(ack, 0.0)

    registry.unwant([ended])
    request = registry.next_request(0.0)
    assert request is not None
    registry.sent(request, 0.0)
    ended_ack = read('{"channel":"rs.unsub.kline","data":"success"}')
    assert isinstance(ended_ack, Acknowledged)
    assert registry.acknowledged(ended_ack, 0.0)

    again = registry.next_request(0.0)
    assert again is not None
    assert (again.subscribing, again.topics) == (True, (kept,))
    assert registry.confirmed == {other}


def test_two_topics_do_not_go_into_one_request() -> None:
    with pytest.raises(ConfigurationError, match=r"MEXC takes one.*topics_per_request=1"):
        VENUE.subscribe(["deal:BTC_USDT", "deal:ETH_USDT"], 1)


def test_private_topics_come_without_being_asked_for() -> None:
    assert VENUE.is_implicit("personal.order")
    assert not VENUE.is_implicit("deal:BTC_USDT")
    assert VENUE.is_private("personal.order")
    assert not VENUE.is_private("deal:BTC_USDT")
    registry = SubscriptionRegistry(VENUE)
    registry.want(["personal.order"])
    registry.opened()

    assert registry.confirmed == {"personal.order"}
    assert registry.next_request(0.0) is None


def test_requests_of_a_user_have_no_id() -> None:
    assert VENUE.with_id({"method": "personal.filter"}, 3) == ({"method": "personal.filter"}, None)
    assert VENUE.answer_id({"channel": "rs.personal.filter"}) is None


# Answers.


def test_an_acknowledgement_names_nothing_but_its_method() -> None:
    assert read('{"channel":"rs.sub.depth","data":"success","ts":1789498321789}') == Acknowledged(
        tag="sub.depth"
    )
    assert read('{"channel":"rs.unsub.deal","data":"success","ts":"1789498321789"}') == (
        Acknowledged(tag="unsub.deal")
    )
    assert read('{"channel":"rs.sub.deal","data":"no such thing"}') == Refused(text="no such thing")


def test_an_unknown_contract_is_named_by_its_text() -> None:
    text = '{"channel":"rs.error","data":"Contract [NOPE_USDT] not exists","ts":1789498321790}'

    assert read(text) == Refused(text="Contract [NOPE_USDT] not exists", symbol="NOPE_USDT")


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        (
            {"data": "Contract doesn't exist!"},
            Refused(text="Contract doesn't exist!", of_topic=True),
        ),
        ({"data": {"code": 1001, "msg": "?"}}, Refused(code=1001, text="?", of_topic=True)),
        (
            {"data": {"code": 2011, "message": "Order quantity error"}},
            Refused(code=2011, text="Order quantity error"),
        ),
        (
            {"data": {"code": 510, "msg": "Requests are too frequent, please try again later"}},
            Refused(
                code=510, text="Requests are too frequent, please try again later", temporary=True
            ),
        ),
        ({"code": "x", "message": "no"}, Refused(text="no")),
        ({}, Refused()),
    ],
)
def test_an_error_says_what_it_can(message: dict[str, Any], refused: Refused) -> None:
    assert VENUE.read({"channel": "rs.error", **message}) == refused


@pytest.mark.parametrize(
    "text",
    [
        '{"channel":"pong","data":1587453241453}',
        '{"channel":"pong","data":1789498336785,"ts":1789498336785}',
    ],
)
def test_pongs(text: str) -> None:
    assert read(text) == Pong()


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        "text",
        {},
        {"channel": 5},
        {"channel": "rs.personal.filter", "data": "success"},
        {"channel": "something"},
        {"error": "x"},
    ],
)
def test_what_is_something_else_is_an_answer(message: Any) -> None:
    assert VENUE.read(message) == Answer()


def asked(*topics: str) -> SubscriptionRegistry:
    registry = SubscriptionRegistry(VENUE)
    registry.want(topics)
    registry.opened()
    while (request := registry.next_request(0.0)) is not None:
        registry.sent(request, 0.0)
    return registry


def test_acknowledgements_without_names_go_to_the_oldest_of_their_method() -> None:
    registry = asked("deal:A_USDT", "depth:A_USDT", "deal:B_USDT")
    ack = read('{"channel":"rs.sub.deal","data":"success","ts":1}')
    assert isinstance(ack, Acknowledged)

    assert registry.acknowledged(ack, 0.0)
    assert registry.confirmed == {"deal:A_USDT"}
    assert registry.acknowledged(ack, 0.0)
    assert registry.confirmed == {"deal:A_USDT", "deal:B_USDT"}


def test_first_data_confirms_what_an_acknowledgement_cannot_name() -> None:
    registry = asked("deal:A_USDT", "deal:B_USDT")

    assert VENUE.data_confirms
    registry.data_came("deal:B_USDT", 0.0)
    assert registry.confirmed == {"deal:B_USDT"}


def test_an_unknown_contract_fails_alone() -> None:
    registry = asked("deal:A_USDT", "deal:NOPE_USDT", "deal:B_USDT")
    error = read('{"channel":"rs.error","data":"Contract [NOPE_USDT] not exists","ts":1}')
    assert isinstance(error, Refused)

    errors = registry.refused(error, 0.0)
    assert errors is not None
    assert [one.topic for one in errors] == ["deal:NOPE_USDT"]
    ack = read('{"channel":"rs.sub.deal","data":"success","ts":1}')
    assert isinstance(ack, Acknowledged)
    assert registry.acknowledged(ack, 0.0)
    assert registry.acknowledged(ack, 0.0)
    assert registry.confirmed == {"deal:A_USDT", "deal:B_USDT"}


def test_an_unknown_contract_without_a_name_fails_alone() -> None:
    registry = asked("deal:NOPE_USDT", "ticker:A_USDT", "deal:B_USDT")
    error = read('{"channel":"rs.error","data":"Contract doesn\'t exist!","ts":"1"}')
    assert isinstance(error, Refused)
    assert registry.refused(error, 0.0) == []
    now = 0.0
    while not registry.is_settled:
        request = registry.next_request(now)
        if request is None:
            now = registry.next_deadline() or 0.0
            continue
        registry.sent(request, now)
        if request.topics == ("deal:NOPE_USDT",):
            registry.refused(error, now)
        else:
            assert registry.acknowledged(Acknowledged(tag=request.tag), now)

    assert registry.failed.keys() == {"deal:NOPE_USDT"}
    assert registry.confirmed == {"ticker:A_USDT", "deal:B_USDT"}


# Login.


def test_the_login_is_signed_over_key_and_time() -> None:
    request = VENUE.login(Credentials("mxU1TzSmRDW1o5AsE", "mexc-secret"), 1611038237.237)

    # printf '%s' mxU1TzSmRDW1o5AsE1611038237237 | openssl dgst -sha256 -hmac mexc-secret
    signature = "357db94ae2de271b0fca7054f7650c5b7eb486a40676a5609c3b1c1617ec90bb"
    assert request == (
        '{"method":"login","param":{"apiKey":"mxU1TzSmRDW1o5AsE","reqTime":"1611038237237",'
        f'"signature":"{signature}"}}}}'
    )
    assert not VENUE.needs_login()


def test_a_login_that_is_accepted() -> None:
    assert read('{"channel":"rs.login","data":"success","ts":"1587442022003"}') == LoggedIn()


@pytest.mark.parametrize("code", [401, 402, 406, 602])
@pytest.mark.parametrize("channel", ["rs.login", "rs.error"])
def test_wrong_credentials_are_final(channel: str, code: int) -> None:
    message = {"channel": channel, "data": "failed", "code": code}

    assert VENUE.read(message) == LoginRefused(code=code, text="failed", final=True)


@pytest.mark.parametrize("text", ["Signature verification failed!", "Unauthorized"])
def test_wrong_credentials_are_final_by_the_text_alone(text: str) -> None:
    assert VENUE.read({"channel": "rs.error", "data": text}) == LoginRefused(text=text, final=True)


@pytest.mark.parametrize("code", [None, 2, 9999])
def test_a_login_refused_for_an_unknown_reason_is_tried_once_more(code: int | None) -> None:
    message = {"channel": "rs.login", "data": "failed", "code": code}

    assert VENUE.read(message) == LoginRefused(code, "failed", final=False, retries=1)


def test_of_a_text_without_an_end_only_the_beginning_is_read() -> None:
    for text in ("Contract [" * 100_000, "Contract [" + "X" * 1_000_000 + "]"):
        incoming = VENUE.read({"channel": "rs.error", "data": text})

        assert isinstance(incoming, Refused)
        assert len(incoming.text) <= MOST_TEXT
        assert incoming.symbol is None


def test_a_busy_system_refuses_no_login_for_good() -> None:
    text = "System busy, please try later"

    assert VENUE.read({"channel": "rs.login", "data": text}) == LoginRefused(text=text, final=False)
    assert VENUE.read({"channel": "rs.error", "data": text}) == Refused(text=text, temporary=True)


def test_a_wrong_clock_and_too_many_requests_pass() -> None:
    late = {"code": 513, "message": "request outside time window"}

    assert VENUE.read({"channel": "rs.login", "data": late}) == LoginRefused(
        code=513, text="request outside time window", final=False, clock=True
    )
    assert VENUE.read({"channel": "rs.login", "data": {"code": 510}}) == LoginRefused(
        code=510, final=False
    )


# Binary messages.


def test_a_gzip_message_is_unpacked() -> None:
    text = '{"channel":"pong","data":1587453241453}'

    assert VENUE.read(VENUE.decode(gzip.compress(text.encode()))) == Pong()
    assert VENUE.decode(text) == VENUE.decode(text.encode()) == json.loads(text)


def test_a_binary_message_that_is_none_cannot_be_decoded() -> None:
    whole = gzip.compress(b'{"channel":"pong"}')

    for wrong in (b"\x00\x01", b"\x1f\x8b rubbish", whole[:-3], gzip.compress(b"no JSON")):
        with pytest.raises(ValueError, match=r"."):
            VENUE.decode(wrong)


def test_a_gzip_message_does_not_unpack_without_a_bound() -> None:
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    block = b" " * 2**20
    bomb = b"".join([*(packer.compress(block) for _ in range(17)), packer.flush()])

    with pytest.raises(ValueError, match=r"unpacks to more than 1,048,576 bytes"):
        VENUE.decode(bomb)


def test_a_topic_without_an_end_is_not_remembered() -> None:
    before = mexc_topics._join_and_remember.cache_info().currsize
    for number in range(3):
        symbol = f"{number}{'A' * 300}"
        assert mexc_topics.wire_topic("deal", symbol, None) == f"deal:{symbol}"

    assert mexc_topics._join_and_remember.cache_info().currsize == before


@pytest.mark.parametrize(
    ("topics", "allowed"),
    [
        (["deal:BTC_USDT", "deal:BTC_USDT?compress=false"], False),
        (["depth.full:BTC_USDT?limit=5", "depth.full:BTC_USDT?limit=20"], False),
        (["kline:BTC_USDT?interval=Min1", "kline:BTC_USDT?interval=Min5"], True),
        (["deal:BTC_USDT", "deal:BTC_USDT", "deal:ETH_USDT?compress=false"], True),
    ],
)
def test_of_topics_that_look_alike_on_the_wire_only_one_can_be_had(
    topics: list[str], allowed: bool
) -> None:
    if allowed:
        check_told_apart(VENUE, topics)
        return
    with pytest.raises(ConfigurationError, match="cannot both be subscribed") as caught:
        check_told_apart(VENUE, topics)
    assert all(repr(topic) in str(caught.value) for topic in topics)
