"""What ``listen`` makes of its arguments: a URL, or the topics of an exchange."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from wsresilient import ConfigurationError, Credentials
from wsresilient.cli.command import build_parser
from wsresilient.cli.source import Source, source_of

URL = "ws://127.0.0.1:1/edge"
LOGIN = {"WSR_API_KEY": "key", "WSR_API_SECRET": "hunter2", "WSR_PASSPHRASE": "pass"}


def source(*options: str, environ: Mapping[str, str] | None = None) -> Source:
    return source_of(build_parser().parse_args(["listen", *options]), environ or {})


def test_a_url_alone_is_all_that_there_is() -> None:
    assert source(URL) == Source(URL)


@pytest.mark.parametrize(
    ("options", "topics"),
    [
        (
            ("okx", "--channel", "tickers", "--symbols", "BTC-USDT,ETH-USDT"),
            ("tickers:BTC-USDT", "tickers:ETH-USDT"),
        ),
        (
            ("bybit", "--channel", "publicTrade,tickers", "--symbols", "BTCUSDT"),
            ("publicTrade.BTCUSDT", "tickers.BTCUSDT"),
        ),
        (
            ("binance", "--channel", "trade", "--channel", "kline_1m", "--symbols", "btcusdt, ,"),
            ("btcusdt@trade", "btcusdt@kline_1m"),
        ),
        (
            (
                "mexc",
                "--channel",
                "deal",
                "--symbols",
                "BTC_USDT",
                "--symbols",
                "ETH_USDT,BTC_USDT",
            ),
            ("deal:BTC_USDT", "deal:ETH_USDT"),
        ),
        (("mexc", "--channel", "tickers"), ("tickers",)),
    ],
)
def test_each_channel_of_each_symbol(options: tuple[str, ...], topics: tuple[str, ...]) -> None:
    found = source("--venue", *options)

    assert found.topics == topics
    assert found.url is None
    assert found.auth is None


def test_market_and_environment_choose_the_servers() -> None:
    given = ("--market", "futures", "--environment", "testnet", "--channel", "!bookTicker")
    found = source("--venue", "binance", *given)

    assert repr(found.venue) == "Binance('futures', 'testnet')"


def test_urls_take_the_place_of_the_venue_s() -> None:
    given = ("--venue", "mexc", "--channel", "tickers")
    plain, moved = source(*given), source(*given, "--url", URL)
    both = source(*given, "--url", URL, "--rest-url", "http://127.0.0.1:2")

    assert plain.venue is not None
    assert moved.venue is not None
    assert both.venue is not None
    assert plain.venue.urls() == ("wss://contract.mexc.com/edge",)
    assert moved.venue.urls() == both.venue.urls() == (URL,)
    assert both.venue.rest_url == "http://127.0.0.1:2"
    # Another server has other symbols than the exchange, so that is not asked.
    assert [one.is_rest_known for one in (plain, moved, both)] == [True, False, True]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "neither a URL nor --venue is given"),
        ((URL, "--venue", "okx"), "both a URL and --venue are given"),
        ((URL, "--channel", "tickers"), "--channel needs --venue"),
        ((URL, "--symbols", "BTCUSDT"), "--symbols needs --venue"),
        (("--url", URL), "--url needs --venue"),
        ((URL, "--rest-url", "http://h"), "--rest-url needs --venue"),
        ((URL, "--market", "spot"), "--market needs --venue"),
        ((URL, "--environment", "demo"), "--environment needs --venue"),
        ((URL, "--decoded"), "--decoded needs --venue"),
        (("--venue", "nyse", "--channel", "trade"), "unknown venue 'nyse'. Known: binance, .*okx"),
        (("--venue", "okx"), "--channel is missing; okx has: .*tickers, trades"),
        (("--venue", "okx", "--channel", ","), "--channel is missing"),
        (
            ("--venue", "okx", "--channel", "tickerz", "--symbols", "BTC-USDT"),
            "unknown channel 'tickerz'; did you mean 'tickers'.* Known: .*books5",
        ),
        (("--venue", "okx", "--channel", "tickers"), "'tickers' needs an instrument"),
        (
            ("--venue", "okx", "--channel", "tickers", "--symbols", "BTC/USDT"),
            "OKX spells it with hyphens: 'BTC-USDT'",
        ),
        (
            ("--venue", "okx", "--channel", "candle1m", "--symbols", "BTC-USDT"),
            r"not on OKX's /public URL.* \(--venue okx-business would take it\)",
        ),
        (
            ("--venue", "bybit", "--channel", "wallet"),
            r"private topic.* \(--venue bybit-private would take it\)",
        ),
        (
            ("--venue", "mexc", "--channel", "tickers", "--rest-url", "ftp://h"),
            "--rest-url is 'ftp://h'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_there_is(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        source(*options)


PRIVATE = [
    ("okx-private", "orders?instType=ANY"),
    ("bybit-private", "order"),
    ("binance", "userData"),
    ("binance-futures", "userData"),
    ("mexc", "personal.order"),
]


@pytest.mark.parametrize(("venue", "channel"), PRIVATE)
def test_private_channels_take_their_credentials_from_the_environment(
    venue: str, channel: str
) -> None:
    found = source("--venue", venue, "--channel", channel, environ=LOGIN)

    assert found.auth == Credentials("key", "hunter2", "pass")
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(("venue", "channel"), PRIVATE)
@pytest.mark.parametrize("environ", [{}, {"WSR_API_KEY": "key"}, {**LOGIN, "WSR_API_SECRET": ""}])
def test_without_credentials_the_variables_are_named(
    venue: str, channel: str, environ: Mapping[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match="WSR_API_KEY and WSR_API_SECRET"):
        source("--venue", venue, "--channel", channel, environ=environ)


def test_a_missing_passphrase_is_told_without_the_rest() -> None:
    environ = {**LOGIN, "WSR_PASSPHRASE": ""}

    with pytest.raises(ConfigurationError, match="WSR_PASSPHRASE") as caught:
        source("--venue", "okx-private", "--channel", "account", environ=environ)

    assert "hunter2" not in str(caught.value)


def test_public_channels_need_no_login_and_make_none() -> None:
    found = source("--venue", "okx", "--channel", "status", environ=LOGIN)

    assert found.auth is None
