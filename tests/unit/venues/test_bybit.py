"""Bybit: URLs, topics, requests, the login, presets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.config import ConnectionConfig
from wsresilient.core.credentials import Credentials
from wsresilient.core.incoming import Data
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.errors import ConfigurationError, SubscriptionLimitError
from wsresilient.venues import Bybit, Heartbeat, Limits, Rate, bybit_topics

LINEAR, SPOT, INVERSE, OPTION = (Bybit(m) for m in ("linear", "spot", "inverse", "option"))
PRIVATE = Bybit(private=True)


# Where.


@pytest.mark.parametrize("market", ["linear", "spot", "inverse", "option"])
def test_each_market_has_its_socket_and_a_second_host(market: str) -> None:
    assert Bybit(market).urls() == (
        f"wss://stream.bybit.com/v5/public/{market}",
        f"wss://stream.bytick.com/v5/public/{market}",
    )


@pytest.mark.parametrize(
    ("environment", "public", "private", "rest"),
    [
        ("live", "stream.bybit.com", "stream.bybit.com", "https://api.bybit.com"),
        (
            "testnet",
            "stream-testnet.bybit.com",
            "stream-testnet.bybit.com",
            "https://api-testnet.bybit.com",
        ),
        # A demo account looks at the live market.
        ("demo", "stream.bybit.com", "stream-demo.bybit.com", "https://api-demo.bybit.com"),
    ],
)
def test_environments(environment: str, public: str, private: str, rest: str) -> None:
    venue = Bybit(environment=environment)

    assert venue.urls()[0] == f"wss://{public}/v5/public/linear"
    assert venue.rest_url == rest
    assert Bybit(private=True, environment=environment).urls()[0] == f"wss://{private}/v5/private"


def test_a_given_url_wins_and_a_rest_url_loses_its_slash() -> None:
    venue = Bybit(url=["ws://a.example", "ws://b.example"], rest_url="http://c.example/")

    assert venue.urls() == ("ws://a.example/v5/public/linear", "ws://b.example/v5/public/linear")
    assert Bybit(url="ws://a.example/", private=True).urls() == ("ws://a.example/v5/private",)
    assert Bybit(url="ws://a.example/own").urls() == ("ws://a.example/own",)
    assert venue.rest_url == "http://c.example"
    assert venue.replace(url="ws://d.example").urls() == ("ws://d.example/v5/public/linear",)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"market": "futures"}, "'linear', 'spot', 'inverse', 'option'"),
        ({"environment": "prod"}, "'live', 'testnet', 'demo'"),
        ({"private": "yes"}, "True, False"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Bybit(**arguments)


# Topics.


@pytest.mark.parametrize(
    ("venue", "channel", "symbol", "parameters", "topic"),
    [
        (LINEAR, "publicTrade", "BTCUSDT", {}, "publicTrade.BTCUSDT"),
        (LINEAR, "tickers", "BTC-04APR25", {}, "tickers.BTC-04APR25"),
        (LINEAR, "orderbook.50", "BTCUSDT", {}, "orderbook.50.BTCUSDT"),
        (LINEAR, "orderbook", "BTCUSDT", {"depth": 50}, "orderbook.50.BTCUSDT"),
        (LINEAR, "kline", "BTCUSDT", {"interval": "5"}, "kline.5.BTCUSDT"),
        (LINEAR, "kline.D", "1000PEPEUSDT", {}, "kline.D.1000PEPEUSDT"),
        (LINEAR, "kline?interval=5", "BTCUSDT", {}, "kline.5.BTCUSDT"),
        (LINEAR, "allLiquidation", "ORDERUSDT", {}, "allLiquidation.ORDERUSDT"),
        (LINEAR, "insurance", "USDT", {}, "insurance.USDT"),
        (INVERSE, "adlAlert", "inverse", {}, "adlAlert.inverse"),
        (SPOT, "orderbook.full", "MNTUSDT", {}, "orderbook.full.MNTUSDT"),
        (OPTION, "publicTrade", "BTC", {}, "publicTrade.BTC"),
        (OPTION, "orderbook.25", "BTC-6JAN23-18000-C", {}, "orderbook.25.BTC-6JAN23-18000-C"),
        (OPTION, "tickers", "XRP-6JAN23-0.5-P-USDT", {}, "tickers.XRP-6JAN23-0.5-P-USDT"),
        (PRIVATE, "order", None, {}, "order"),
        (PRIVATE, "execution.fast.linear", None, {}, "execution.fast.linear"),
    ],
)
def test_topics_are_bybits_own(
    venue: Bybit, channel: str, symbol: str | None, parameters: dict[str, Any], topic: str
) -> None:
    assert venue.topic(channel, symbol, **parameters) == topic
    assert venue.checked(topic) == topic


@pytest.mark.parametrize(
    ("venue", "topic", "told"),
    [
        (LINEAR, "trade.BTCUSDT", "unknown channel.*'trade'.*publicTrade"),
        (OPTION, "kline.5.BTC", "unknown channel.*Known: orderbook., publicTrade, tickers"),
        (SPOT, "allLiquidation.BTCUSDT", "unknown channel of Bybit's spot market"),
        (LINEAR, "orderbook.7.BTCUSDT", "depth .*'7'; allowed: '1', '50', '200', '1000'"),
        (OPTION, "orderbook.50.BTC-6JAN23-18000-C", "allowed: '25', '100'"),
        (LINEAR, "kline.2.BTCUSDT", "interval .*'2'; allowed: '1', '3', '5'.*'M'"),
        (LINEAR, "orderbook.BTCUSDT", "depth .*'BTCUSDT'; allowed: '1'"),
        (LINEAR, "publicTrade", "has no symbol; .*'publicTrade.BTCUSDT'"),
        (LINEAR, "kline.5", "has no symbol; .*'kline.5.BTCUSDT'"),
        (LINEAR, "publicTrade.btcusdt", "'btcusdt' is no symbol.*'BTCUSDT'"),
        (LINEAR, "publicTrade.BTC/USDT", "'BTC/USDT' is no symbol.*'BTCUSDT'"),
        (SPOT, "tickers.BTC-USDT", "'BTC-USDT' is no symbol.*'BTCUSDT'"),
        (SPOT, "tickers.BTC_USDT", "'BTC_USDT' is no symbol.*'BTCUSDT'"),
        (LINEAR, "", "a topic is ''"),
        (PRIVATE, "orders", "unknown private topic.*'orders'; did you mean 'order'"),
        (PRIVATE, "order.BTCUSDT", "unknown private topic.*Known: dcp, execution"),
        (PRIVATE, "wallet.linear", "'wallet' has no categories"),
    ],
)
def test_a_wrong_topic_is_refused_with_what_exists(venue: Bybit, topic: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        venue.checked(topic)


@pytest.mark.parametrize(
    ("channel", "symbol", "parameters", "told"),
    [
        ("kline", "BTCUSDT", {"depth": 5}, "unknown parameter of 'kline' 'depth'.*interval"),
        ("tickers", "BTCUSDT", {"depth": 5}, "'tickers' has no parameters; 'depth'"),
        ("kline", "BTCUSDT", {}, "interval .*'BTCUSDT'; allowed: '1'"),
        ("publicTrade", None, {}, "has no symbol"),
    ],
)
def test_a_wrong_part_of_a_topic_is_refused(
    channel: str, symbol: str | None, parameters: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        LINEAR.topic(channel, symbol, **parameters)


def test_private_and_public_topics_each_name_the_other_connection() -> None:
    with pytest.raises(ConfigurationError, match=r"Bybit\('spot', private=True\) and auth="):
        SPOT.checked("order")
    with pytest.raises(ConfigurationError, match=r"venue=Bybit\('linear'\)"):
        PRIVATE.checked("publicTrade.BTCUSDT")
    with pytest.raises(ConfigurationError, match=r"has the private ones"):
        PRIVATE.topic("kline", "BTCUSDT", interval="5")


def test_the_channels_are_those_of_the_connection() -> None:
    assert OPTION.channels == ("orderbook.", "publicTrade", "tickers")
    assert "kline." in LINEAR.channels
    assert {"order", "execution", "position", "wallet"} <= set(PRIVATE.channels)


@pytest.mark.parametrize(
    ("subscribed", "received", "covered"),
    [
        ("order", "order", True),
        ("order", "order.linear", True),
        ("order.linear", "order", True),
        ("order.linear", "order.spot", False),
        ("execution", "execution.fast", False),
        ("execution.fast", "execution.fast.linear", True),
        ("order", "position", False),
        ("publicTrade.BTCUSDT", "publicTrade.ETHUSDT", False),
    ],
)
def test_all_in_one_topics_cover_categories(subscribed: str, received: str, covered: bool) -> None:
    assert PRIVATE.covers(subscribed, Data(received, received, None, [])) is covered


SYMBOLS = st.from_regex(r"[A-Z0-9]{2,12}", fullmatch=True)


@given(
    st.sampled_from(["publicTrade", "tickers", "orderbook.200", "kline.240", "priceLimit"]), SYMBOLS
)
def test_a_topic_that_was_built_is_accepted_and_read_back(channel: str, symbol: str) -> None:
    topic = LINEAR.topic(channel, symbol)
    read = LINEAR.read({"topic": topic, "data": []})

    assert LINEAR.checked(topic) == topic
    assert read == Data(topic, channel, symbol, [])


# Requests.


def test_requests_carry_a_number_as_text() -> None:
    topics = ["orderbook.1.BTCUSDT", "publicTrade.BTCUSDT"]

    assert LINEAR.subscribe(topics, 17) == (
        '{"req_id":"17","op":"subscribe","args":["orderbook.1.BTCUSDT","publicTrade.BTCUSDT"]}'
    )
    assert LINEAR.unsubscribe(topics[1:], 18) == (
        '{"req_id":"18","op":"unsubscribe","args":["publicTrade.BTCUSDT"]}'
    )


def test_the_heartbeat_is_a_ping_every_twenty_seconds() -> None:
    heartbeat = LINEAR.heartbeat

    assert heartbeat.message(100001) == '{"req_id":"hb-100001","op":"ping"}'
    assert (heartbeat.interval, heartbeat.when) == (20.0, "always")
    given = Heartbeat(payload="x", interval=5.0)
    assert Bybit(heartbeat=given).heartbeat is given


def test_a_users_request_gets_an_id_unless_it_has_one() -> None:
    assert LINEAR.with_id({"op": "x"}, 5) == ({"req_id": "5", "op": "x"}, 5)
    assert LINEAR.with_id({"op": "x", "req_id": "mine"}, 5) == (
        {"op": "x", "req_id": "mine"},
        "mine",
    )
    assert LINEAR.answer_id({"req_id": "5"}) == 5
    assert LINEAR.answer_id({"reqId": "mine"}) == "mine"
    assert LINEAR.answer_id({"req_id": ""}) is None
    assert LINEAR.answer_id([]) is None


# Login.


def test_only_topics_of_the_private_connection_need_credentials() -> None:
    assert PRIVATE.is_private("order")
    assert PRIVATE.is_private("execution.fast.linear")
    assert not Bybit("spot").is_private("tickers.BTCUSDT")


def test_only_the_private_connection_logs_in() -> None:
    credentials = Credentials("key", "secret")

    assert PRIVATE.needs_login()
    assert not LINEAR.needs_login()
    assert LINEAR.login(credentials, 1.0) is None


def test_the_login_is_signed_for_ten_seconds() -> None:
    request = PRIVATE.login(Credentials("bybit-key", "bybit-secret"), 1662350400.0)

    # printf '%s' GET/realtime1662350410000 | openssl dgst -sha256 -hmac bybit-secret
    signature = "67f16812a16142e86ee6aa1eba96be3056181422c7e9dc56e7599bd9e536ec34"
    assert request == (
        f'{{"req_id":"auth","op":"auth","args":["bybit-key",1662350410000,"{signature}"]}}'
    )


def test_each_login_is_made_anew() -> None:
    credentials = Credentials("key", "secret")
    first, second = (PRIVATE.login(credentials, now) for now in (1000.0, 1000.001))

    assert first is not None
    assert second is not None
    assert json.loads(second)["args"][1] - json.loads(first)["args"][1] == 1
    assert json.loads(second)["args"][2] != json.loads(first)["args"][2]


# Presets.


def test_settings_are_valid_and_ping_as_asked() -> None:
    config = ConnectionConfig.from_dict(LINEAR.settings)

    assert (config.ping_interval, config.ping_timeout, config.stale_after) == (60.0, 30.0, 60.0)
    assert ConnectionConfig.from_dict(OPTION.settings).stale_after == 300.0
    # Nothing comes while nothing happens in the account.
    assert ConnectionConfig.from_dict(PRIVATE.settings).stale_after is None


def test_limits_are_those_of_the_market() -> None:
    assert SPOT.limits.topics_per_request == 10
    assert LINEAR.limits.topics_per_request is None
    assert OPTION.limits.topics_per_connection == 2000
    assert (LINEAR.limits.topics_size, PRIVATE.limits.topics_size) == (21_000, None)
    assert LINEAR.limits.connects == Rate(500, 300.0)
    assert LINEAR.limits.connections == 1000
    # "order" and "order.linear" must not be asked for in one request.
    assert PRIVATE.limits.topics_per_request == 1
    assert Bybit(limits=Limits(topics_per_request=3)).limits == Limits(topics_per_request=3)


def test_no_more_topics_than_characters_fit_are_wanted() -> None:
    topics = [f"publicTrade.COIN{number:04}USDT" for number in range(1000)]
    fit = 21_000 // len(topics[0])
    registry = SubscriptionRegistry(LINEAR)

    with pytest.raises(SubscriptionLimitError, match=f"and {fit} fit.*21,000 characters"):
        registry.want(topics)
    assert registry.want(topics[:fit]) == tuple(topics[:fit])


def test_the_policy_is_patient_enough() -> None:
    assert LINEAR.policy().max_delay == 30.0


@pytest.mark.parametrize(
    ("venue", "shown"),
    [
        (LINEAR, "Bybit('linear')"),
        (Bybit("spot", True), "Bybit('spot', private=True)"),
        (Bybit("option", environment="demo"), "Bybit('option', environment='demo')"),
    ],
)
def test_it_shows_what_it_is(venue: Bybit, shown: str) -> None:
    assert repr(venue) == shown
    assert venue.name == "bybit"


def test_a_topic_without_an_end_is_not_remembered() -> None:
    before = bybit_topics._split_and_remember.cache_info().currsize
    for number in range(3):
        topic = f"publicTrade.{number}{'A' * 300}"
        assert bybit_topics.split(topic) == ("publicTrade", topic.partition(".")[2])

    assert bybit_topics._split_and_remember.cache_info().currsize == before
