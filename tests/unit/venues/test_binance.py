"""Binance: URLs, topics, requests, the login. What is expected is copied from the documentation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.config import ConnectionConfig
from wsresilient.core.credentials import Credentials
from wsresilient.core.incoming import Data
from wsresilient.errors import ConfigurationError
from wsresilient.venues import Binance, Heartbeat, Limits, ListenKey
from wsresilient.venues.binance_answers import signed_text

SPOT, FUTURES = Binance(), Binance("futures")

# The documentation's example.
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


# Where.


def test_spot_urls_are_combined_streams_in_failover_order() -> None:
    assert SPOT.urls() == (
        "wss://stream.binance.com:9443/stream",
        "wss://stream.binance.com:443/stream",
        "wss://data-stream.binance.vision/stream",
    )


@pytest.mark.parametrize(
    ("environment", "stream", "api", "rest"),
    [
        (
            "live",
            "wss://stream.binance.com:9443/stream",
            "wss://ws-api.binance.com:443/ws-api/v3",
            "https://api.binance.com",
        ),
        (
            "testnet",
            "wss://stream.testnet.binance.vision/stream",
            "wss://ws-api.testnet.binance.vision/ws-api/v3",
            "https://testnet.binance.vision",
        ),
        (
            "demo",
            "wss://demo-stream.binance.com/stream",
            "wss://demo-ws-api.binance.com/ws-api/v3",
            "https://demo-api.binance.com",
        ),
    ],
)
def test_spot_environments(environment: str, stream: str, api: str, rest: str) -> None:
    venue = Binance(environment=environment)

    assert venue.urls()[0] == stream
    assert venue.urls(group="private")[0] == api
    assert venue.rest_url == rest


@pytest.mark.parametrize(
    ("environment", "host", "rest"),
    [
        ("live", "wss://fstream.binance.com", "https://fapi.binance.com"),
        ("testnet", "wss://fstream.binancefuture.com", "https://testnet.binancefuture.com"),
        ("demo", "wss://demo-fstream.binance.com", "https://demo-fapi.binance.com"),
    ],
)
def test_futures_have_a_route_for_each_group(environment: str, host: str, rest: str) -> None:
    venue = Binance("futures", environment)

    assert venue.urls(group="public")[0] == f"{host}/public/stream"
    assert venue.urls(group="market")[0] == f"{host}/market/stream"
    assert venue.urls()[0] == f"{host}/market/stream"
    assert venue.urls(group="private", listen_key="pqia91")[0] == f"{host}/private/ws/pqia91"
    assert venue.rest_url == rest


@pytest.mark.parametrize(
    ("url", "group", "expected"),
    [
        ("ws://127.0.0.1:9000", None, "ws://127.0.0.1:9000/market/stream"),
        ("ws://127.0.0.1:9000/", "public", "ws://127.0.0.1:9000/public/stream"),
        ("ws://127.0.0.1:9000/stream", None, "ws://127.0.0.1:9000/stream"),
        ("ws://127.0.0.1:9000/stream", "public", "ws://127.0.0.1:9000/public/stream"),
        ("ws://127.0.0.1:9000/market/stream", "public", "ws://127.0.0.1:9000/public/stream"),
        ("ws://h/ws/btcusdt@depth", "public", "ws://h/public/ws/btcusdt@depth"),
        ("ws://h/stream?streams=a@depth", "public", "ws://h/public/stream?streams=a@depth"),
        ("ws://h/stream?streams=a@depth", "private", "ws://h/private/ws/key"),
        ("ws://h/public/stream?token=1", "private", "ws://h/private/ws/key?token=1"),
        ("ws://h:1/private/ws", "private", "ws://h:1/private/ws/key"),
        ("ws://h/gateway/binance", "public", "ws://h/gateway/binance"),
        ("ws://h/public", "market", "ws://h/public"),
        ("ws://[::1", "public", "ws://[::1"),
    ],
)
def test_a_url_of_ones_own_gets_the_route_where_it_is_binances_path(
    url: str, group: str | None, expected: str
) -> None:
    venue = Binance("futures", url=url)

    assert venue.urls(group=group, listen_key="key") == (expected,)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("private/ws/pqia91", "private/ws/pqia91"),
        ("ws/pqia91", "private/ws/pqia91"),
        ("private/stream?streams=pqia91", "private/stream?streams=pqia91"),
        ("market/stream?streams=a@markPrice", "private/ws"),
    ],
)
def test_a_listen_key_of_ones_own_stays_in_the_url(path: str, expected: str) -> None:
    venue = Binance("futures", url=f"ws://h/{path}")

    assert venue.urls(group="private") == (f"ws://h/{expected}",)
    assert venue.urls(group="private", listen_key="key") == ("ws://h/private/ws/key",)


def test_a_url_of_ones_own_on_spot() -> None:
    assert Binance(url="wss://stream.binance.us:9443").urls() == (
        "wss://stream.binance.us:9443/stream",
    )
    assert Binance(url=["ws://a/ws", "ws://b/x"]).urls() == ("ws://a/ws", "ws://b/x")
    assert SPOT.replace(url="ws://a/stream").urls(group="private") == ("ws://a/ws-api/v3",)
    assert SPOT.urls()[0].startswith("wss://stream.binance.com")
    assert Binance(rest_url="http://127.0.0.1:1/").rest_url == "http://127.0.0.1:1"


def test_what_is_no_url_is_left_for_the_check_of_urls() -> None:
    venue = Binance(url=[None])  # type: ignore[list-item]

    assert [*venue.urls()] == [None]


@pytest.mark.parametrize(
    ("url", "topics"),
    [
        ("wss://stream.binance.com:9443/ws/btcusdt@trade", ("btcusdt@trade",)),
        ("wss://h/ws/a@trade/b@depth5@100ms/", ("a@trade", "b@depth5@100ms")),
        ("wss://h/ws", ()),
        ("wss://h/stream", ()),
        ("wss://h/stream?streams=", ()),
        ("wss://h/stream?streams=a@trade/!miniTicker@arr", ("a@trade", "!miniTicker@arr")),
        ("wss://h/stream?timeUnit=MICROSECOND&streams=a%40trade", ("a@trade",)),
        ("wss://h/stream?streams=a@trade/a@trade", ("a@trade",)),
        ("wss://h/stream?streams=a@kline_1d@+08:00", ("a@kline_1d@+08:00",)),
        ("wss://h/stream?streams=a@kline_1d@%2B08:00", ("a@kline_1d@+08:00",)),
        ("wss://h/ws/a@kline_1d@+08:00", ("a@kline_1d@+08:00",)),
        ("wss://fstream.binance.com/market/ws/a@aggTrade", ("a@aggTrade",)),
        ("wss://fstream.binance.com/public/stream?streams=a@depth", ("a@depth",)),
        ("wss://fstream.binance.com/ws/tradingSession", ("tradingSession",)),
        ("wss://h/gateway/ws/a@trade", ()),
        ("ws://[::1", ()),
    ],
)
def test_topics_in_a_url(url: str, topics: tuple[str, ...]) -> None:
    assert SPOT.url_topics(url) == topics


def test_a_listen_key_in_a_url_is_the_account_and_is_not_shown() -> None:
    for path in ("private/ws/pqia91ma19", "ws/pqia91ma19", "stream?streams=pqia91ma19"):
        assert FUTURES.url_topics(f"wss://fstream.binance.com/{path}") == ("userData",)


# Topics.


@pytest.mark.parametrize(
    ("venue", "channel", "symbol", "topic"),
    [
        (SPOT, "trade", "BTCUSDT", "btcusdt@trade"),
        (SPOT, "aggTrade", "bnbBTC", "bnbbtc@aggTrade"),
        (SPOT, "trade", "1INCHUSDT", "1inchusdt@trade"),
        (SPOT, "trade", "币安人生USDT", "币安人生usdt@trade"),
        (SPOT, "kline_1m", "BTCUSDT", "btcusdt@kline_1m"),
        (SPOT, "kline_1d@+08:00", "BTCUSDT", "btcusdt@kline_1d@+08:00"),
        (SPOT, "kline_1M", "BTCUSDT", "btcusdt@kline_1M"),
        (SPOT, "kline?interval=5m", "BTCUSDT", "btcusdt@kline_5m"),
        (SPOT, "depth5@100ms", "BTCUSDT", "btcusdt@depth5@100ms"),
        (SPOT, "depth", "BTCUSDT", "btcusdt@depth"),
        (SPOT, "ticker_1h", "BTCUSDT", "btcusdt@ticker_1h"),
        (SPOT, "!miniTicker@arr", None, "!miniTicker@arr"),
        (SPOT, "!ticker_4h@arr", None, "!ticker_4h@arr"),
        (SPOT, "userData", None, "userData"),
        (FUTURES, "markPrice@1s", "BTCUSDT", "btcusdt@markPrice@1s"),
        (FUTURES, "ticker", "BTCUSDT_260925", "btcusdt_260925@ticker"),
        (
            FUTURES,
            "continuousKline_1m",
            "BTCUSDT_PERPETUAL",
            "btcusdt_perpetual@continuousKline_1m",
        ),
        (FUTURES, "depth20@500ms", "BTCUSDT", "btcusdt@depth20@500ms"),
        (FUTURES, "!markPrice@arr@1s", None, "!markPrice@arr@1s"),
        (FUTURES, "!contractInfo", None, "!contractInfo"),
        (FUTURES, "tradingSession", None, "tradingSession"),
        (FUTURES, "userData", None, "userData"),
    ],
)
def test_topics_are_stream_names(
    venue: Binance, channel: str, symbol: str | None, topic: str
) -> None:
    assert venue.topic(channel, symbol) == topic
    assert venue.checked((channel, symbol)) == topic
    assert venue.checked(topic) == topic


def test_parameters_are_written_as_binance_does() -> None:
    assert SPOT.topic("kline", "BTCUSDT", interval="1m") == "btcusdt@kline_1m"
    assert SPOT.topic("kline?interval=5m", "BTCUSDT", interval="1m") == "btcusdt@kline_1m"
    assert SPOT.topic("ticker", "BTCUSDT", window="1d") == "btcusdt@ticker_1d"
    assert SPOT.topic("depth", "BTCUSDT", levels=5, speed="100ms") == "btcusdt@depth5@100ms"
    assert SPOT.topic("depth", "BTCUSDT", speed="100ms") == "btcusdt@depth@100ms"
    assert FUTURES.topic("markPrice", "BTCUSDT", speed="1s") == "btcusdt@markPrice@1s"


def test_symbols_of_a_topic_become_lower_case_since_others_stay_silent() -> None:
    assert SPOT.checked("BTCUSDT@aggTrade") == "btcusdt@aggTrade"
    assert SPOT.checked("BtcUsdt@kline_1M") == "btcusdt@kline_1M"


@pytest.mark.parametrize(
    ("venue", "channel", "symbol", "texts"),
    [
        (
            SPOT,
            "trades",
            "BTCUSDT",
            ["'trades'", "'trade'", "aggTrade", "kline_", "!miniTicker@arr"],
        ),
        (SPOT, "aggtrade", "BTCUSDT", ["did you mean 'aggTrade'"]),
        (SPOT, "markPrice", "BTCUSDT", ["unknown channel 'markPrice'"]),
        (SPOT, "!ticker@arr", None, ["2026-03-26", "!miniTicker@arr"]),
        (SPOT, "!forceOrder@arr", None, ["unknown channel"]),
        (SPOT, "kline_7m", "BTCUSDT", ["kline_7m", "kline_5m", "kline_1M"]),
        (SPOT, "kline", "BTCUSDT", ["allowed: kline_1s"]),
        (FUTURES, "kline_1s", "BTCUSDT", ["allowed: kline_1m"]),
        (SPOT, "depth7", "BTCUSDT", ["unknown channel 'depth7'"]),
        (SPOT, "trade", None, ["needs a symbol", "topic('trade', 'BTCUSDT')"]),
        (SPOT, "userData", "BTCUSDT", ["'userData' has none"]),
        (SPOT, "!miniTicker@arr", "BTCUSDT", ["'!miniTicker@arr' has none"]),
        (SPOT, "trade", "BTC-USDT", ["'BTC-USDT'", "'BTCUSDT'"]),
        (SPOT, "trade", "btc/usdt", ["'btc/usdt'", "'BTCUSDT'"]),
        (SPOT, "trade", "BTC_USDT", ["'BTC_USDT'", "'BTCUSDT'"]),
        (FUTURES, "ticker", "BTC_USDT", ["'BTC_USDT'", "'BTCUSDT'"]),
        (SPOT, "trade", "", ["''", "'BTCUSDT'"]),
        (SPOT, "trade", " ", ["' '", "'BTCUSDT'"]),
    ],
)
def test_wrong_topics_say_what_exists(
    venue: Binance, channel: str, symbol: str | None, texts: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        venue.checked((channel, symbol))

    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("BTCUSDT", "<symbol>@<channel>, such as 'btcusdt@trade'"),
        ("trade:BTCUSDT", "<symbol>@<channel>"),
        ("@trade", "symbol is ''"),
        ("btc-usdt@trade", "'BTCUSDT'"),
        ("btcusdt@", "unknown channel ''"),
        ("btcusdt@trades", "unknown channel 'trades'"),
        ("!ticker", "unknown channel '!ticker'"),
        ("", "a pair (channel, symbol)"),
        (7, "a pair (channel, symbol)"),
        (None, "a pair (channel, symbol)"),
    ],
)
def test_wrong_stream_names_say_how_they_are_written(topic: object, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SPOT.checked(topic)

    assert text in str(caught.value)


def test_an_unknown_parameter_says_which_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'depth'.*Known: interval, levels"):
        SPOT.topic("depth", "BTCUSDT", depth=5)


def test_what_is_no_str_is_no_channel_and_no_symbol() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown channel '7'"):
        SPOT.topic(7, "BTCUSDT")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"symbol is 7; .*'BTCUSDT'"):
        SPOT.topic("trade", 7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("topic", "group"),
    [
        ("btcusdt@bookTicker", "public"),
        ("!bookTicker", "public"),
        ("btcusdt@depth", "public"),
        ("btcusdt@depth@100ms", "public"),
        ("btcusdt@depth20@500ms", "public"),
        ("btcusdt@rpiDepth@500ms", "public"),
        ("btcusdt@trade", "public"),
        ("btcusdt@aggTrade", "market"),
        ("btcusdt@markPrice@1s", "market"),
        ("!markPrice@arr", "market"),
        ("btcusdt@kline_1m", "market"),
        ("btcusdt_perpetual@continuousKline_1m", "market"),
        ("btcusdt@ticker", "market"),
        ("!ticker@arr", "market"),
        ("btcusdt@miniTicker", "market"),
        ("!miniTicker@arr", "market"),
        ("btcusdt@forceOrder", "market"),
        ("!forceOrder@arr", "market"),
        ("defiusdt@compositeIndex", "market"),
        ("!contractInfo", "market"),
        ("!assetIndex@arr", "market"),
        ("tradingSession", "market"),
        ("userData", "private"),
        ("btcusdt@somethingNew", "market"),
    ],
)
def test_futures_topics_have_routes(topic: str, group: str) -> None:
    """Trap 1: on the wrong route a stream is acknowledged and never delivers."""
    assert FUTURES.group_of(topic) == group


def test_on_spot_only_the_account_is_on_another_connection() -> None:
    assert SPOT.group_of("btcusdt@trade") == "market"
    assert SPOT.urls(group="market") == SPOT.urls()
    assert SPOT.group_of("!miniTicker@arr") == "market"
    assert SPOT.group_of("userData") == "private"


@given(
    market=st.sampled_from(["spot", "futures"]),
    symbol=st.from_regex(r"[A-Z0-9]{1,20}", fullmatch=True),
    data=st.data(),
)
def test_a_topic_that_was_built_is_one(market: str, symbol: str, data: st.DataObject) -> None:
    venue = Binance(market)
    whole = [name for name in venue.channels if not name.isalnum() and not name.endswith("_")]
    channels = [name for name in venue.channels if name.isalnum() and name != "userData"]
    channel = data.draw(st.sampled_from([*channels, *whole, "kline_1m"]))
    symbols = (symbol,) if channel not in whole and channel != "tradingSession" else ()

    topic = venue.topic(channel, *symbols)

    assert venue.checked(topic) == topic
    assert venue.checked((channel, *(symbols or (None,)))) == topic
    assert venue.group_of(topic) in (("market",) if market == "spot" else ("public", "market"))
    # What a combined stream says of it leads back to the same topic.
    incoming = venue.read({"stream": topic, "data": {"s": symbol}})
    assert incoming == Data(topic, channel, symbol, {"s": symbol})


# Requests.


def test_requests_are_byte_for_byte() -> None:
    assert SPOT.subscribe(["btcusdt@aggTrade", "btcusdt@depth"], 1) == (
        '{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth"],"id":1}'
    )
    assert FUTURES.unsubscribe(("btcusdt@depth",), 312) == (
        '{"method":"UNSUBSCRIBE","params":["btcusdt@depth"],"id":312}'
    )


def test_a_users_request_gets_an_id() -> None:
    assert SPOT.with_id({"method": "LIST_SUBSCRIPTIONS"}, 3) == (
        {"method": "LIST_SUBSCRIPTIONS", "id": 3},
        3,
    )
    assert SPOT.with_id({"id": "mine"}, 3) == ({"id": "mine"}, "mine")
    assert SPOT.with_id({"id": None}, 3) == ({"id": 3}, 3)
    assert SPOT.answer_id({"result": ["btcusdt@aggTrade"], "id": 3}) == 3
    assert SPOT.answer_id({"e": "trade"}) is None
    assert SPOT.answer_id([]) is None


# Limits and settings.


def test_control_messages_are_spaced_and_small() -> None:
    """Trap 10: pongs count, and who sends in bursts is cut; large requests are passed over."""
    limits = SPOT.limits

    assert limits.messages is not None
    assert limits.messages.seconds / limits.messages.count >= 0.25
    assert limits.burst == 1
    assert limits.request_size == 4096
    assert limits.topics_per_connection == 1024
    assert FUTURES.limits.topics_per_connection == 200
    assert FUTURES.limits.messages is not None
    assert FUTURES.limits.messages.per_second < 10
    assert limits.max_age == FUTURES.limits.max_age == 86400.0


@pytest.mark.parametrize("venue", [SPOT, FUTURES])
def test_settings_are_settings_of_a_connection(venue: Binance) -> None:
    market = ConnectionConfig.from_dict(venue.settings)
    private = ConnectionConfig.from_dict(venue.settings_for(group="private"))

    assert market.max_age is not None
    assert venue.limits.max_age is not None
    assert market.max_age < venue.limits.max_age
    assert market.stale_after is not None
    assert private.stale_after is None
    assert private.max_age == market.max_age
    assert venue.settings_for() == venue.settings_for(group="market") == venue.settings
    assert (venue.policy().initial_delay, venue.policy().max_delay) == (1.0, 30.0)


def test_what_is_given_wins() -> None:
    heartbeat, limits = Heartbeat(payload="x", interval=1.0), Limits(topics_per_connection=3)
    venue = Binance("futures", heartbeat=heartbeat, limits=limits)

    assert (venue.heartbeat, venue.limits) == (heartbeat, limits)
    assert (SPOT.heartbeat, SPOT.limits.topics_per_connection) == (None, 1024)
    assert repr(venue) == "Binance('futures', 'live')"


def test_wrong_arguments_say_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match="market is 'coin'; allowed: 'spot', 'futures'"):
        Binance("coin")
    with pytest.raises(ConfigurationError, match="environment is 'prod'; allowed: 'live', 'test"):
        Binance(environment="prod")


# Login.


def test_the_signature_of_the_documentation() -> None:
    parameters = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "recvWindow": 100,
        "timestamp": 1645423376532,
        "apiKey": API_KEY,
    }

    signature = Credentials(API_KEY, SECRET).hex_signature(signed_text(parameters))

    assert signature == "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"


def test_the_login_of_spot_asks_for_the_users_data() -> None:
    """Trap 4: listen keys are gone on spot."""
    request = SPOT.login(Credentials(API_KEY, SECRET), 1747385641.6369)

    # Computed with openssl dgst -sha256 -hmac.
    assert request == (
        '{"id":"login","method":"userDataStream.subscribe.signature","params":{'
        f'"apiKey":"{API_KEY}","timestamp":1747385641636,"signature":"681110a6057ad58657af22f5640fab9dd17418834cdfccdc81be8b0f7b2cde3e"}}}}'
    )
    assert SPOT.needs_login(group="private")
    assert SPOT.listen_key(group="private") is None


def test_the_login_is_made_anew_each_time() -> None:
    credentials = Credentials("key", "secret")
    first, second = SPOT.login(credentials, 1.0), SPOT.login(credentials, 2.0)

    assert first is not None
    assert second is not None
    assert json.loads(first)["params"]["timestamp"] == 1000
    assert json.loads(first)["params"]["signature"] != json.loads(second)["params"]["signature"]
    assert "secret" not in first


def test_the_futures_take_a_listen_key_in_the_url() -> None:
    assert FUTURES.listen_key(group="private") == ListenKey(
        path="/fapi/v1/listenKey", header="X-MBX-APIKEY", interval=1800.0
    )
    assert FUTURES.listen_key(group="market") is None
    assert FUTURES.listen_key() is None
    assert not FUTURES.needs_login(group="private")
    assert FUTURES.login(Credentials("key", "secret"), 1.0) is None


@pytest.mark.parametrize("venue", [SPOT, FUTURES])
def test_nothing_else_needs_credentials(venue: Binance) -> None:
    assert not venue.needs_login()
    assert not venue.needs_login(group="market")
    assert venue.is_implicit("userData")
    assert not venue.is_implicit("btcusdt@trade")
    assert venue.is_private("userData")
    assert not venue.is_private("btcusdt@trade")


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("private/ws/pqia91ma19a5s61cv6", ("pqia91ma19a5s61cv6",)),
        ("ws/btcusdt@trade/a%2Fkey", ("a/key",)),
        ("stream?streams=btcusdt@trade", ()),
        ("market/stream", ()),
    ],
)
def test_a_listen_key_is_a_secret_of_its_url(path: str, keys: tuple[str, ...]) -> None:
    assert FUTURES.secrets_in(f"wss://fstream.binance.com/{path}") == keys
    assert FUTURES.secrets_in("ws://[") == ()
