"""A pool that follows symbols: over REST of the fake exchange, whose answers change."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support import Gate
from wsresilient import (
    ConfigurationError,
    ConnectionPool,
    RestClient,
    SubscriptionLimitError,
    Symbol,
    TopByVolume,
    VenueError,
)
from wsresilient.runtime import pool_follow, rest
from wsresilient.runtime.host_pauses import HostPauses
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.venues import Binance, Custom

from .clients import library_threads
from .pool_tools import pooling
from .servers import PATIENCE

INFO = "/api/v3/exchangeInfo"
FIVE = ["SOLUSDT", "BTCUSDT", "ETHUSDT", "DOGEUSDT", "XRPUSDT"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know of no pause of another test's exchange on the same port; try again soon."""
    pauses = HostPauses()
    monkeypatch.setattr(rest, "default_host_pauses", lambda: pauses)
    monkeypatch.setattr(pool_follow, "TRY_AGAIN", 0.05)


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("binance", symbols=FIVE, message_rate=None) as made:
        yield made


def list_only(exchange: FakeExchange, *names: str) -> None:
    """Let the exchange trade these symbols and no others, until told otherwise."""
    exchange.respond_rest_normally()
    with urllib.request.urlopen(exchange.rest_url + INFO, timeout=PATIENCE) as response:
        info = json.load(response)
    info["symbols"] = [one for one in info["symbols"] if one["symbol"] in names]
    exchange.respond_rest(200, body=json.dumps(info).encode(), count=None, path=INFO)


def everything(_symbol: Symbol) -> bool:
    return True


def wait_for_topics(pool: ConnectionPool, *topics: str) -> None:
    wait_until(lambda: pool.subscriptions == set(topics), PATIENCE, f"just {topics}")


def test_listings_are_subscribed_and_delistings_are_dropped(exchange: FakeExchange) -> None:
    list_only(exchange, "BTCUSDT", "ETHUSDT")
    with pooling(exchange, channels=["trade"]) as pool:
        pool.follow(everything, every=0.05)
        wait_for_topics(pool, "btcusdt@trade", "ethusdt@trade")
        list_only(exchange, "ETHUSDT", "SOLUSDT")
        wait_for_topics(pool, "ethusdt@trade", "solusdt@trade")
        wait_until(lambda: set(exchange.subscriptions) == {"ethusdt@trade", "solusdt@trade"})
        following = pool.get_statistics()["following"]
        assert (following["symbols"], following["topics"]) == (2, 2)
        assert following["refreshed_age"] >= 0.0
        assert following["last_error"] == ""


def test_the_most_traded_ones_are_followed_in_all_channels(exchange: FakeExchange) -> None:
    with pooling(exchange, channels=["trade", "bookTicker"]) as pool:
        pool.follow(TopByVolume(2, quote="USDT"))
        wait_for_topics(
            pool, "solusdt@trade", "solusdt@bookTicker", "btcusdt@trade", "btcusdt@bookTicker"
        )


def test_a_predicate_sees_whole_symbols(exchange: FakeExchange) -> None:
    seen: list[Symbol] = []

    def select(symbol: Symbol) -> bool:
        seen.append(symbol)
        return symbol.base.startswith(("B", "D"))

    with pooling(exchange, channels=["trade"]) as pool:
        pool.follow(select)
        wait_for_topics(pool, "btcusdt@trade", "dogeusdt@trade")
        assert {symbol.name for symbol in seen} == set(FIVE)
        assert {symbol.quote for symbol in seen} == {"USDT"}


def test_what_was_done_by_hand_stays(exchange: FakeExchange) -> None:
    list_only(exchange, "BTCUSDT", "ETHUSDT", "SOLUSDT")
    with pooling(exchange, "btcusdt@trade", channels=["trade"]) as pool:
        pool.follow(everything, every=0.05)
        wait_for_topics(pool, "btcusdt@trade", "ethusdt@trade", "solusdt@trade")
        pool.unsubscribe("solusdt@trade")
        pool.subscribe("xrpusdt@trade")
        asked = len(exchange.rest_requests)
        wait_until(lambda: len(exchange.rest_requests) > asked + 1)
        assert pool.subscriptions == {"btcusdt@trade", "ethusdt@trade", "xrpusdt@trade"}
        list_only(exchange, "SOLUSDT")
        wait_for_topics(pool, "btcusdt@trade", "xrpusdt@trade")


def test_errors_are_told_and_tried_again_and_change_nothing(exchange: FakeExchange) -> None:
    errors: list[Exception] = []
    list_only(exchange, "BTCUSDT")
    with pooling(exchange, channels=["trade"], on_error=errors.append) as pool:
        pool.follow(everything, every=0.05)
        wait_for_topics(pool, "btcusdt@trade")
        exchange.respond_rest_normally()
        exchange.respond_rest(400, body=b'{"code": -1, "msg": "no"}', count=2)
        wait_until(lambda: len(errors) == 2)
        assert all(isinstance(error, VenueError) for error in errors)
        wait_until(lambda: len(pool.subscriptions) == 5)  # all are listed again

        list_only(exchange)
        wait_until(lambda: len(errors) == 3)
        assert "named no symbols" in pool.get_statistics()["following"]["last_error"]
        assert len(pool.subscriptions) == 5


def test_a_predicate_that_raises_is_told(exchange: FakeExchange) -> None:
    errors: list[Exception] = []

    def select(symbol: Symbol) -> bool:
        if len(errors) < 2:
            raise SystemExit(symbol.name)
        return True

    def tell(error: Exception) -> None:
        errors.append(error)
        raise ValueError("on_error raises, too")

    with pooling(exchange, channels=["trade"], on_error=tell) as pool:
        pool.follow(select)
        wait_until(lambda: len(pool.subscriptions) == 5)
        assert "SystemExit" in str(errors[0])


def test_what_does_not_fit_is_told_and_the_rest_goes_on(exchange: FakeExchange) -> None:
    errors: list[Exception] = []
    list_only(exchange, "BTCUSDT", "ETHUSDT")
    with pooling(
        exchange,
        channels=["trade"],
        max_connections=1,
        max_subscriptions_per_connection=3,
        on_error=errors.append,
    ) as pool:
        pool.follow(everything, every=0.05)
        wait_for_topics(pool, "btcusdt@trade", "ethusdt@trade")
        list_only(exchange, "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")
        wait_until(lambda: errors)
        assert isinstance(errors[0], SubscriptionLimitError)
        wait_for_topics(pool, "ethusdt@trade")
        list_only(exchange, "ETHUSDT", "SOLUSDT")
        wait_for_topics(pool, "ethusdt@trade", "solusdt@trade")


def test_it_begins_with_the_start_and_ends_with_the_stop(exchange: FakeExchange) -> None:
    pool = ConnectionPool(exchange.venue, name="pool", channels=["trade"])
    pool.follow(everything, every=0.02)
    assert pool.subscriptions == frozenset()
    assert exchange.rest_requests == []
    with pool:
        wait_until(lambda: len(pool.subscriptions) == 5)
        assert "wsr-rest-pool" in library_threads()
    assert "wsr-rest-pool" not in library_threads()
    with pool:
        asked = len(exchange.rest_requests)
        assert pool.wait_until_ready(PATIENCE)
        assert len(exchange.rest_requests) == asked
        assert pool.get_statistics()["following"] is None
        assert len(pool.subscriptions) == 5


def test_another_selection_takes_the_place_of_the_first(exchange: FakeExchange) -> None:
    with pooling(exchange, channels=["trade"]) as pool:
        pool.follow(lambda symbol: symbol.base == "BTC")
        wait_for_topics(pool, "btcusdt@trade")
        pool.follow(lambda symbol: symbol.base == "ETH")
        wait_for_topics(pool, "ethusdt@trade")
        pool.unfollow()
        pool.unfollow()
        wait_until(lambda: "wsr-rest-pool" not in library_threads())
        assert pool.subscriptions == {"ethusdt@trade"}


def test_a_stop_gives_up_what_is_being_asked(exchange: FakeExchange) -> None:
    exchange.delay_rest(PATIENCE)
    with RestClient(exchange.venue, timeout=2 * PATIENCE) as client:
        pool = ConnectionPool(exchange.venue, channels=["trade"])
        pool.follow(everything, rest=client)
        pool.start()
        wait_until(lambda: "wsr-rest-binance" in library_threads())
        before = time.monotonic()
        assert pool.stop()
        assert time.monotonic() - before < PATIENCE / 2


def test_a_predicate_may_stop_the_pool(exchange: FakeExchange) -> None:
    results: list[bool] = []

    def select(_symbol: Symbol) -> bool:
        results.append(pool.stop(PATIENCE))
        return True

    pool = ConnectionPool(exchange.venue, channels=["trade"])
    pool.follow(select)
    pool.start()
    wait_until(lambda: results)
    assert pool.stop(PATIENCE)
    assert pool.subscriptions == frozenset()


def test_a_predicate_that_hangs_does_not_hold_a_stop_up(exchange: FakeExchange) -> None:
    gate = Gate()
    pool = ConnectionPool(exchange.venue, channels=["trade"])
    pool.follow(gate.pass_through)
    pool.start()
    gate.wait_for_arrival()
    before = time.monotonic()
    assert not pool.stop(0.2)
    assert time.monotonic() - before < PATIENCE / 2
    gate.open()
    assert pool.stop(PATIENCE)


def test_the_kind_is_asked_for() -> None:
    with (
        FakeExchange("okx", symbols=["BTC-USDT-SWAP", "ETH-USDT-SWAP"]) as exchange,
        pooling(exchange, channels=["tickers"]) as pool,
    ):
        pool.follow(TopByVolume(1), kind="perpetual")
        wait_for_topics(pool, "tickers:BTC-USDT-SWAP")
        assert exchange.rest_requests[0].query["instType"] == "SWAP"


@pytest.mark.parametrize(
    ("select", "settings", "text"),
    [
        (None, {}, "select is None; allowed: TopByVolume"),
        (TopByVolume, {}, "select is <class"),
        (5, {}, "select is 5"),
        (everything, {"every": 0.0}, "every is 0.0"),
        (everything, {"rest": 5}, "rest is 5; allowed: a RestClient"),
    ],
)
def test_wrong_arguments_are_named(select: Any, settings: dict[str, Any], text: str) -> None:
    pool = ConnectionPool(Binance(), channels=["trade"])
    with pytest.raises(ConfigurationError, match=text):
        pool.follow(select, **settings)


def test_it_needs_channels_and_rest() -> None:
    with pytest.raises(ConfigurationError, match=r"follow\(\) need channels="):
        ConnectionPool(Binance()).follow(everything)
    venue = Custom(
        url="ws://127.0.0.1:9",
        subscribe=lambda topics, number: "",
        unsubscribe=lambda topics, number: "",
        topic_of=lambda message: None,
    )
    with pytest.raises(ConfigurationError, match="has no REST"):
        ConnectionPool(venue, channels=["trade"]).follow(everything)


def test_volumes_are_what_the_exchange_says(exchange: FakeExchange) -> None:
    """The order of the fake's symbols is the order of their turnover."""
    with RestClient(exchange.venue) as client:
        assert client.top_by_volume(5) == FIVE
        volumes = {one.symbol: one.quote_volume for one in client.tickers()}
        assert volumes["SOLUSDT"] > volumes["XRPUSDT"] > Decimal(0)
