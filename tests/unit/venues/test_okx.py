"""OKX: URLs, topics, requests, the login. What is expected is copied from the documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.config import ConnectionConfig
from wsresilient.core.credentials import Credentials
from wsresilient.core.incoming import Data
from wsresilient.errors import ConfigurationError
from wsresilient.venues import OKX, Heartbeat, Limits
from wsresilient.venues.base import split_topic

PUBLIC, PRIVATE, BUSINESS = OKX(), OKX("private"), OKX("business")


# Where.


@pytest.mark.parametrize("channel_type", ["public", "private", "business"])
def test_urls_in_failover_order(channel_type: str) -> None:
    live, demo = OKX(channel_type), OKX(channel_type, "demo")

    assert live.urls() == (
        f"wss://ws.okx.com:8443/ws/v5/{channel_type}",
        f"wss://wsaws.okx.com:8443/ws/v5/{channel_type}",
    )
    assert demo.urls() == (f"wss://wspap.okx.com:8443/ws/v5/{channel_type}",)
    assert live.rest_url == demo.rest_url == "https://www.okx.com"


def test_testnet_is_another_name_for_demo() -> None:
    assert OKX(environment="testnet").urls() == OKX(environment="demo").urls()
    assert OKX(environment="testnet").environment == "demo"


def test_a_url_of_ones_own() -> None:
    regional = OKX("private", url="wss://wseea.okx.com:8443", rest_url="https://eea.okx.com/")

    assert regional.urls() == ("wss://wseea.okx.com:8443/ws/v5/private",)
    assert regional.rest_url == "https://eea.okx.com"
    assert OKX(url=["ws://a/x", "ws://b?k=v"]).urls() == ("ws://a/x", "ws://b/ws/v5/public?k=v")
    assert PUBLIC.replace(url="ws://127.0.0.1:1/y").urls(group="private") == ("ws://127.0.0.1:1/y",)
    assert OKX(url="ws://[::1").urls() == ("ws://[::1",)
    assert PUBLIC.url_topics("wss://ws.okx.com:8443/ws/v5/public") == ()


# Topics.


@pytest.mark.parametrize(
    ("venue", "channel", "symbol", "parameters", "topic"),
    [
        (PUBLIC, "tickers", "BTC-USDT", {}, "tickers:BTC-USDT"),
        (PUBLIC, "tickers", "btc-usdt", {}, "tickers:BTC-USDT"),
        (PUBLIC, "trades", "BTC-USDT-SWAP", {}, "trades:BTC-USDT-SWAP"),
        (PUBLIC, "trades", "1INCH-USDT", {}, "trades:1INCH-USDT"),
        (PUBLIC, "tickers", "BTC-USD-260925-50000-C", {}, "tickers:BTC-USD-260925-50000-C"),
        (PUBLIC, "bbo-tbt", None, {"instId": "BCH-USDT-SWAP"}, "bbo-tbt:BCH-USDT-SWAP"),
        (PUBLIC, "instruments", None, {"instType": "SPOT"}, "instruments?instType=SPOT"),
        (PUBLIC, "status", None, {}, "status"),
        (PRIVATE, "orders", None, {"instType": "ANY"}, "orders?instType=ANY"),
        (PRIVATE, "orders?instType=ANY", None, {}, "orders?instType=ANY"),
        (PRIVATE, "orders?instType=ANY", None, {"instType": "SPOT"}, "orders?instType=SPOT"),
        (
            PRIVATE,
            "orders",
            "BTC-USDT",
            {"instType": "SPOT", "instFamily": "BTC-USDT"},
            "orders:BTC-USDT?instFamily=BTC-USDT&instType=SPOT",
        ),
        (PRIVATE, "account", None, {}, "account"),
        (BUSINESS, "candle1m", "BTC-USDT", {}, "candle1m:BTC-USDT"),
        (BUSINESS, "candle", "BTC-USDT", {"bar": "1D"}, "candle1D:BTC-USDT"),
        (BUSINESS, "mark-price-candle1H", "BTC-USDT", {}, "mark-price-candle1H:BTC-USDT"),
        (BUSINESS, "index-candle1Dutc", "BTC-USD", {}, "index-candle1Dutc:BTC-USD"),
        (BUSINESS, "trades-all", "BTC-USDT", {}, "trades-all:BTC-USDT"),
        (
            BUSINESS,
            "sprd-books5",
            "BTC-USDT_BTC-USDT-SWAP",
            {},
            "sprd-books5:BTC-USDT_BTC-USDT-SWAP",
        ),
        (BUSINESS, "orders-algo", None, {"instType": "ANY"}, "orders-algo?instType=ANY"),
    ],
)
def test_topics(
    venue: OKX, channel: str, symbol: str | None, parameters: dict[str, str], topic: str
) -> None:
    assert venue.topic(channel, symbol, **parameters) == topic
    assert venue.checked(topic) == topic


def test_one_topic_is_written_in_one_way() -> None:
    written = "orders:BTC-USDT?instFamily=BTC-USDT&instType=SPOT"

    assert PRIVATE.checked("orders?instType=SPOT&instId=btc-usdt&instFamily=BTC-USDT") == written
    assert PRIVATE.checked(("orders?instType=SPOT&instFamily=BTC-USDT", "BTC-USDT")) == written


@pytest.mark.parametrize(
    ("venue", "topic", "texts"),
    [
        (PUBLIC, "tikers:BTC-USDT", ["'tikers'", "did you mean 'tickers'", "books5", "candle"]),
        (PUBLIC, "candle1m:BTC-USDT", ["'candle1m'", "/public", "OKX(channel_type='business')"]),
        (PUBLIC, "index-candle1m:BTC-USD", ["OKX(channel_type='business')"]),
        (PUBLIC, "trades-all:BTC-USDT", ["OKX(channel_type='business')"]),
        (PUBLIC, "orders-algo?instType=ANY", ["OKX(channel_type='business')"]),
        (PUBLIC, "orders?instType=ANY", ["/public", "OKX(channel_type='private')"]),
        (PRIVATE, "tickers:BTC-USDT", ["/private", "OKX(channel_type='public')"]),
        (BUSINESS, "books:BTC-USDT", ["/business", "OKX(channel_type='public')"]),
        (BUSINESS, "candle7m:BTC-USDT", ["candle7m", "candle5m", "candle1Dutc"]),
        (BUSINESS, "candle:BTC-USDT", ["candle1s"]),
        (PUBLIC, "tickers", ["needs an instrument", "'tickers:BTC-USDT'"]),
        (BUSINESS, "candle1m", ["needs an instrument", "'candle1m:BTC-USDT'"]),
        (PUBLIC, "tickers:BTC/USDT", ["'BTC/USDT'", "'BTC-USDT'"]),
        (PUBLIC, "tickers:eth_btc", ["'eth_btc'", "'ETH-BTC'"]),
        (PUBLIC, "tickers:BTCUSDT", ["'BTCUSDT'", "hyphens", "'BTC-USDT-SWAP'"]),
        (PUBLIC, "tickers:", ["symbol is ''", "'BTC-USDT'"]),
        (PRIVATE, "orders?type=ANY", ["'type'", "instType"]),
        (PUBLIC, "", ["a pair (channel, symbol)"]),
        (PUBLIC, None, ["a pair (channel, symbol)"]),
        (PUBLIC, 7, ["a pair (channel, symbol)"]),
    ],
)
def test_wrong_topics_say_what_exists(venue: OKX, topic: Any, texts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        venue.checked(topic)

    for text in texts:
        assert text in str(caught.value)


def test_what_is_no_str_is_no_channel_and_no_symbol() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown channel '7'"):
        PUBLIC.topic(7, "BTC-USDT")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"symbol is 7; .*'BTC-USDT'"):
        PUBLIC.topic("tickers", 7)  # type: ignore[arg-type]


def test_channels_are_those_of_the_url() -> None:
    assert "tickers" in PUBLIC.channels
    assert "orders" in PRIVATE.channels
    assert "candle" in BUSINESS.channels
    assert not {*PUBLIC.channels} & {*BUSINESS.channels}
    assert not {*PRIVATE.channels} & {*BUSINESS.channels, *PUBLIC.channels}


def test_what_needs_a_login_is_on_another_connection() -> None:
    assert PUBLIC.group_of("tickers:BTC-USDT") is None
    assert PUBLIC.group_of("books-l2-tbt:BTC-USDT") == "private"
    assert BUSINESS.group_of("candle1m:BTC-USDT") is None
    assert BUSINESS.group_of("orders-algo?instType=ANY") == "private"
    # On /private everything does.
    assert PRIVATE.group_of("orders?instType=ANY") is None

    assert PRIVATE.needs_login()
    assert not PUBLIC.needs_login()
    assert not BUSINESS.needs_login()
    assert PUBLIC.needs_login(group="private")
    assert BUSINESS.needs_login(group="private")
    assert not PRIVATE.is_implicit("orders?instType=ANY")
    assert PRIVATE.is_private("orders?instType=ANY")
    assert PUBLIC.is_private("books-l2-tbt:BTC-USDT")
    assert BUSINESS.is_private("orders-algo?instType=ANY")
    assert not PUBLIC.is_private("tickers:BTC-USDT")
    assert not BUSINESS.is_private("candle1m:BTC-USDT")
    assert PRIVATE.listen_key(group="private") is None


@given(
    channel_type=st.sampled_from(["public", "private", "business"]),
    symbol=st.from_regex(r"[A-Z0-9]{1,8}(-[A-Z0-9]{1,8}){1,4}", fullmatch=True),
    data=st.data(),
)
def test_a_topic_that_was_built_is_one(channel_type: str, symbol: str, data: st.DataObject) -> None:
    venue = OKX(channel_type)
    channel = data.draw(st.sampled_from(venue.channels))
    if channel.endswith("candle"):
        channel += data.draw(st.sampled_from(["1s", "1m", "1H", "1Dutc"]))
    parameters = data.draw(st.sampled_from([{}, {"instType": "ANY"}, {"ccy": "BTC"}]))

    topic = venue.topic(channel, symbol, **parameters)

    assert venue.checked(topic) == topic
    assert split_topic(topic) == (channel, symbol, parameters)
    assert venue.group_of(topic) in (None, "private")
    assert venue.needs_login(group=venue.group_of(topic)) or channel_type != "private"
    # What the wire says of it leads back to the same topic.
    (argument,) = json.loads(venue.subscribe([topic], 1))["args"]
    rows = [{"ts": "1"}]
    pushed = venue.read({"arg": {**argument, "uid": "1"}, "data": rows})
    assert pushed == Data(topic, channel, symbol, rows)
    assert venue.covers(topic, pushed)


# Requests.


def test_requests_are_byte_for_byte() -> None:
    assert PUBLIC.subscribe(["tickers:BTC-USDT"], 1512) == (
        '{"id":"1512","op":"subscribe","args":[{"channel":"tickers","instId":"BTC-USDT"}]}'
    )
    assert PUBLIC.unsubscribe(["tickers:BTC-USDT"], 1512) == (
        '{"id":"1512","op":"unsubscribe","args":[{"channel":"tickers","instId":"BTC-USDT"}]}'
    )
    assert PRIVATE.subscribe(["orders?instType=ANY"], 1512) == (
        '{"id":"1512","op":"subscribe","args":[{"channel":"orders","instType":"ANY"}]}'
    )


def test_one_request_has_many_arguments() -> None:
    request = BUSINESS.subscribe(
        ["candle1m:BTC-USDT", "sprd-trades:BTC-USDT_BTC-USDT-SWAP", "orders-algo?instType=ANY"], 2
    )

    assert json.loads(request)["args"] == [
        {"channel": "candle1m", "instId": "BTC-USDT"},
        {"channel": "sprd-trades", "sprdId": "BTC-USDT_BTC-USDT-SWAP"},
        {"channel": "orders-algo", "instType": "ANY"},
    ]


def test_a_users_request_gets_an_id() -> None:
    assert PRIVATE.with_id({"op": "order"}, 7) == ({"op": "order", "id": "7"}, 7)
    assert PRIVATE.with_id({"op": "order", "id": "b1"}, 7) == ({"op": "order", "id": "b1"}, "b1")
    assert PRIVATE.with_id({"op": "order", "id": ""}, 7) == ({"op": "order", "id": "7"}, 7)
    assert PRIVATE.answer_id({"id": "7", "op": "order", "code": "0", "data": []}) == 7
    assert PRIVATE.answer_id({"id": "b1"}) == "b1"
    assert PRIVATE.answer_id("pong") is None
    assert PRIVATE.answer_id({"id": "9" * 5000}) == "9" * 5000


# Limits and settings.


def test_the_heartbeat_is_a_text_in_silence() -> None:
    heartbeat = PUBLIC.heartbeat

    assert heartbeat is not None
    assert heartbeat.message(1) == "ping"
    assert heartbeat.when == "silent"
    assert PUBLIC.limits.idle is not None
    assert heartbeat.interval + heartbeat.timeout <= PUBLIC.limits.idle


def test_requests_are_counted_by_the_hour_so_they_are_large() -> None:
    limits = PUBLIC.limits

    assert limits.requests is not None
    assert (limits.requests.count, limits.requests.seconds) == (480, 3600.0)
    assert limits.connects is not None
    assert (limits.connects.count, limits.connects.seconds) == (3, 1.0)
    assert (limits.topics_per_request, limits.request_size) == (100, 65536)
    assert limits.max_age is None


def test_settings_are_settings_of_a_connection() -> None:
    public, private, business, behind_login = (
        ConnectionConfig.from_dict(settings)
        for settings in (
            PUBLIC.settings,
            PRIVATE.settings,
            BUSINESS.settings,
            BUSINESS.settings_for(group="private"),
        )
    )

    assert public.ping_interval == 0
    # An order book in which nothing changes is sent about every 60 s.
    assert public.stale_after == 90.0
    assert business.stale_after is not None
    assert private.stale_after is None
    assert behind_login == private
    assert BUSINESS.settings_for() == BUSINESS.settings
    assert (PUBLIC.policy().initial_delay, PUBLIC.policy().max_delay) == (1.0, 30.0)


def test_a_key_that_is_gone_is_fatal() -> None:
    assert 4007 in PRIVATE.fatal_close_codes
    assert 4004 not in PRIVATE.fatal_close_codes


def test_what_is_given_wins() -> None:
    heartbeat, limits = Heartbeat(payload="x", interval=1.0), Limits(topics_per_connection=3)
    venue = OKX("business", "demo", heartbeat=heartbeat, limits=limits)

    assert (venue.heartbeat, venue.limits) == (heartbeat, limits)
    assert PUBLIC.heartbeat != heartbeat
    assert repr(venue) == "OKX('business', 'demo')"


def test_wrong_arguments_say_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match="channel_type is 'spot'; allowed: 'public', 'pri"):
        OKX("spot")
    with pytest.raises(ConfigurationError, match="environment is 'prod'; allowed: 'live', 'demo'"):
        OKX(environment="prod")


# Login.


def test_the_login_is_byte_for_byte() -> None:
    request = PRIVATE.login(Credentials("the-key", "the-secret", "the-words"), 1538054050.9)

    # The signature was computed with openssl dgst -sha256 -hmac the-secret -binary | base64.
    assert request == (
        '{"op":"login","args":[{"apiKey":"the-key","passphrase":"the-words",'
        '"timestamp":"1538054050","sign":"SoRRu20FmkSoNwxGckA8ZaApKOum8Ee8rQKVJA0R1c8="}]}'
    )


def test_the_login_is_made_anew_each_time() -> None:
    credentials = Credentials("the-key", "the-secret", "the-words")

    assert PRIVATE.login(credentials, 1.0) != PRIVATE.login(credentials, 2.0)
    assert "the-secret" not in PRIVATE.login(credentials, 1.0)


def test_without_a_passphrase_there_is_no_login() -> None:
    with pytest.raises(ConfigurationError, match="passphrase is None") as caught:
        PRIVATE.login(Credentials("the-key", "the-secret"), 1.0)

    assert "the-" not in str(caught.value)
