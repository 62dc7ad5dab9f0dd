"""A pool against the fake exchange: where topics go, how connections come, go and fail."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from typing import Any

import pytest

from tests.support import Gate, Running, eventually
from wsresilient import (
    ConfigurationError,
    ConnectionPool,
    Credentials,
    EndpointPolicy,
    Message,
    Monitor,
    ReconnectPolicy,
    StateChange,
    SubscriptionLimitError,
)
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.venues import MEXC, Binance, Venue

from .clients import QUICK, SLOW_RETRY, library_threads
from .pool_tools import Numbers, by_itself, pooling, symbols, trades
from .servers import LOCALHOST, PATIENCE, free_port
from .venue_clients import CREDENTIALS

CHANNELS = ["deal", "ticker", "depth", "kline?interval=Min1", "funding.rate"]


def unpaced(venue: Venue, **limits: Any) -> Venue:
    """Let a venue send as fast as it can, and give it other limits."""
    return venue.replace(limits=dataclasses.replace(venue.limits, messages=None, **limits))


# Where topics go.


def test_750_pairs_of_five_channels_do_not_fit_on_mexc_and_nothing_is_done_by_halves() -> None:
    pairs = symbols(750, "_USDT")
    with (
        FakeExchange("mexc", symbols=pairs) as exchange,
        pooling(exchange, channels=CHANNELS) as pool,
    ):
        topics = [(channel, pair) for pair in pairs for channel in CHANNELS]
        with pytest.raises(SubscriptionLimitError, match=r"3750 more .* and 1000 fit: 10 conn"):
            pool.subscribe(*topics)

        assert pool.subscriptions == frozenset()
        assert pool.get_connection_metrics() == {}
        assert exchange.handshakes == []
        assert pool.free_slots() == 1000

        pool.add_pair(pairs[0])
        assert list(pool.get_connection_metrics()) == ["pool-1"]
        assert len(pool.subscriptions) == 5
        assert pool.free_slots() == 995


def test_750_topics_on_eight_connections_of_at_most_95() -> None:
    pairs = symbols(750, "_USDT")
    limits: dict[str, Any] = {"max_connections": 8, "max_subscriptions_per_connection": 95}
    with (
        FakeExchange("mexc", symbols=pairs, rate=1.0) as exchange,
        pooling(
            exchange, *(("deal", pair) for pair in pairs), venue=unpaced(exchange.venue), **limits
        ) as pool,
    ):
        loads = [len(exchange.active_topics(number)) for number in exchange.connections]
        assert sorted(loads) == [85, *[95] * 7]
        assert set(exchange.subscriptions.values()) == {1}
        assert exchange.violations == []
        assert pool.free_slots() == 10
        with pytest.raises(SubscriptionLimitError, match=r"11 more .* and 10 fit"):
            pool.subscribe(*(("ticker", pair) for pair in pairs[:11]))
        assert len(pool.subscriptions) == 750


def test_750_pairs_of_five_channels_where_they_fit() -> None:
    pairs = symbols(750, "_USDT")
    with FakeExchange("mexc", symbols=pairs, rate=1.0, max_topics=400) as exchange:
        venue = unpaced(exchange.venue, topics_per_connection=400)
        topics = [venue.topic(channel, pair) for pair in pairs for channel in CHANNELS]
        with pooling(exchange, *topics, venue=venue, max_subscriptions_per_connection=400) as pool:
            assert len(pool.subscriptions) == 3750
            assert set(exchange.subscriptions) == set(topics)
            assert exchange.violations == []
            where = by_itself(exchange)
            for pair in pairs:  # all channels of a pair are on one connection
                assert len({where[venue.topic(channel, pair)] for channel in CHANNELS}) == 1


def test_set_subscriptions_sends_the_difference_only() -> None:
    with (
        FakeExchange("binance", message_rate=None) as exchange,
        pooling(
            exchange, venue=unpaced(exchange.venue), max_subscriptions_per_connection=2
        ) as pool,
    ):
        first, second, third, fourth, *_ = trades(exchange.symbols)
        pool.set_subscriptions([first, second, third])
        assert pool.wait_until_ready(PATIENCE)
        asked = len(exchange.requests)
        pool.set_subscriptions([first, fourth])

        wait_until(lambda: set(exchange.subscriptions) == {first, fourth})
        sent = [request.message for request in exchange.requests[asked:]]
        assert sorted((one["method"], topic) for one in sent for topic in one["params"]) == [
            ("SUBSCRIBE", fourth),
            *(("UNSUBSCRIBE", topic) for topic in sorted([second, third])),
        ]
        assert pool.subscriptions == {first, fourth}
        pool.unsubscribe(fourth)
        wait_until(lambda: exchange.connection_count == 1)
        assert len(pool.get_connection_metrics()) == 1


def test_set_subscriptions_of_too_many_changes_nothing() -> None:
    with (
        FakeExchange("binance") as exchange,
        pooling(exchange, max_connections=2, max_subscriptions_per_connection=2) as pool,
    ):
        topics = trades(exchange.symbols)
        pool.set_subscriptions(topics[:4])
        assert pool.wait_until_ready(PATIENCE)
        asked = len(exchange.requests)
        with pytest.raises(SubscriptionLimitError, match=r"4 more .* and 3 fit"):
            pool.set_subscriptions([topics[0], topics[4], *(f"x{n}usdt@trade" for n in range(3))])

        assert pool.subscriptions == set(topics[:4])
        assert len(exchange.requests) == asked
        pool.set_subscriptions([])
        wait_until(lambda: exchange.connection_count == 0)
        assert pool.get_connection_metrics() == {}


def test_connections_are_named_in_order_and_refusals_use_up_no_name() -> None:
    pool = ConnectionPool(
        Binance(), name="feed", max_connections=2, max_subscriptions_per_connection=1
    )
    for _ in range(2):
        with pytest.raises(SubscriptionLimitError):
            pool.subscribe("a@trade", "b@trade", "c@trade")
        with pytest.raises(SubscriptionLimitError):
            pool.set_subscriptions(["a@trade", "b@trade", "c@trade"])
    pool.subscribe("a@trade")
    pool.set_subscriptions(["a@trade", "b@trade"])

    assert list(pool.get_connection_metrics()) == ["feed-1", "feed-2"]
    assert repr(pool).startswith("<ConnectionPool 'feed' Binance('spot', 'live') 0 of 2 ")


def test_handlers_of_single_topics_come_along() -> None:
    heard: list[str | None] = []
    with FakeExchange("binance", rate=500.0) as exchange:
        first, second, *_ = trades(exchange.symbols)
        with pooling(exchange, max_subscriptions_per_connection=1) as pool:
            pool.subscribe(first, second, handler=lambda message: heard.append(message.topic))
            wait_until(lambda: set(heard) == {first, second})
            pool.unsubscribe(second)
            pool.subscribe(second)
            assert pool.wait_until_ready(PATIENCE)
            others: list[str | None] = []
            pool.subscribe(second, handler=lambda message: others.append(message.topic))
            wait_until(lambda: others)
            assert set(others) == {second}


def test_a_refused_topic_is_told_and_leaves_no_connection_behind() -> None:
    with FakeExchange("okx") as exchange:
        exchange.refuse_topic("tickers:BTC-USDT")
        with pooling(exchange, max_subscriptions_per_connection=1) as pool:
            pool.subscribe("tickers:BTC-USDT", "tickers:ETH-USDT")
            wait_until(lambda: len(pool.get_connection_metrics()) == 1)
            assert pool.subscriptions == {"tickers:ETH-USDT"}
            error = pool.failed_subscriptions["tickers:BTC-USDT"]
            assert error.code == "60018"
            assert pool.get_statistics()["failed_subscriptions"] == 1

            exchange.permit_topic("tickers:BTC-USDT")
            pool.subscribe("tickers:BTC-USDT")
            assert pool.failed_subscriptions == {}
            assert pool.wait_until_ready(PATIENCE)
            assert len(pool.subscriptions) == 2


def test_routes_of_one_exchange_have_connections_of_their_own() -> None:
    topics = ["btcusdt@aggTrade", "ethusdt@aggTrade", "btcusdt@bookTicker"]
    with (
        FakeExchange("binance-futures") as exchange,
        pooling(exchange, *topics) as pool,
    ):
        assert len(pool.get_connection_metrics()) == 2
        paths = sorted(handshake.target for handshake in exchange.handshakes)
        assert [path.split("/")[1] for path in paths] == ["market", "public"]


def test_only_the_connection_of_the_account_logs_in() -> None:
    heard: list[Message] = []
    with (
        FakeExchange("binance") as exchange,
        pooling(
            exchange, "btcusdt@trade", "userData", auth=CREDENTIALS, on_data=heard.append
        ) as pool,
    ):
        assert pool.subscriptions == {"userData", "btcusdt@trade"}
        assert len(pool.get_connection_metrics()) == 2
        assert [login.was_accepted for login in exchange.logins] == [True]
        exchange.push_private("userData", {"e": "balanceUpdate", "a": "BTC"})
        wait_until(lambda: {"userData", "btcusdt@trade"} <= {one.topic for one in heard})


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"url_or_venue": "ws://127.0.0.1:9"}, "so it needs one: ConnectionPool.Binance"),
        ({"url_or_venue": Binance}, r"write Binance\(\)"),
        ({"url_or_venue": "binance"}, "so it needs one"),
        ({"venue": MEXC()}, "there are two venues"),
        ({"max_connections": 0}, "max_connections is 0"),
        ({"redundancy": 11}, "redundancy is 11"),
        ({"url_or_venue": MEXC(), "redundancy": 12, "max_connections": 20}, "allows 10 conn"),
        ({"rotation": "never"}, "rotation is 'never'"),
        ({"rotate_window": "03:00"}, "rotate_window is '03:00'"),
        ({"may_rotate": 1}, "may_rotate is 1"),
        ({"message_key": "t"}, "message_key is 't'"),
        ({"on_state_change": 1}, "on_state_change is 1"),
        ({"on_data": 1}, "on_data is 1"),
        ({"channels": "trade"}, "channels is 'trade'; allowed: a list"),
        ({"channels": 7}, "channels is 7"),
        ({"ping_intervall": 7.0}, "did you mean 'ping_interval'"),
        ({"auth": "key"}, "auth is a str"),
        (
            {"url_or_venue": "wss://stream.binance.com/stream?streams=a@trade", "venue": Binance()},
            "the URL subscribes a@trade on each connection",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        ConnectionPool(**{"url_or_venue": Binance(), **arguments})


def test_topics_in_a_functions_url_are_ended() -> None:
    with FakeExchange("binance") as exchange:
        url = exchange.url_for("ethusdt@trade")
        pool = ConnectionPool(lambda: url, venue=exchange.venue)
        pool.subscribe("btcusdt@trade")
        with pool:
            wait_until(lambda: [*exchange.subscriptions] == ["btcusdt@trade"], PATIENCE)
            assert pool.subscriptions == {"btcusdt@trade"}


@pytest.mark.parametrize("wrong", ["btcusdt@trade", "", 3, None])
def test_topics_come_in_a_list(wrong: Any) -> None:
    pool = ConnectionPool(Binance())
    pool.subscribe("btcusdt@trade")
    with pytest.raises(ConfigurationError, match="allowed: a list of topics"):
        pool.set_subscriptions(wrong)

    assert pool.subscriptions == {"btcusdt@trade"}


def test_private_topics_without_credentials_leave_nothing_behind() -> None:
    pool = ConnectionPool(Binance())
    with pytest.raises(ConfigurationError, match="is private"):
        pool.subscribe("btcusdt@trade", "userData")

    assert pool.subscriptions == frozenset()
    assert pool.get_connection_metrics() == {}


def test_credentials_bring_no_topics_of_their_own() -> None:
    assert ConnectionPool(Binance(), auth=CREDENTIALS).subscriptions == frozenset()


@pytest.mark.parametrize("call", ["subscribe", "unsubscribe", "set_subscriptions"])
def test_what_is_no_topic_is_named(call: str) -> None:
    pool = ConnectionPool(Binance(), name="x")
    argument: Any = ["nonsense"] if call == "set_subscriptions" else "nonsense"
    with pytest.raises(ConfigurationError, match="nonsense"):
        getattr(pool, call)(argument)
    assert pool.get_connection_metrics() == {}


def test_pairs_need_channels() -> None:
    pool = ConnectionPool(Binance())
    with pytest.raises(ConfigurationError, match="need channels="):
        pool.add_pair("BTCUSDT")
    pool = ConnectionPool(Binance(), channels=["trade", "bookTicker"])
    with pytest.raises(ConfigurationError, match="symbol is ''"):
        pool.add_pair("")
    pool.add_pair("BTCUSDT")
    assert pool.subscriptions == {"btcusdt@trade", "btcusdt@bookTicker"}
    pool.remove_pair("BTCUSDT")
    assert pool.subscriptions == frozenset()
    with pytest.raises(ConfigurationError, match="unknown connection 'x-7'"):
        pool.rotate("x-7")


# Life.


def test_before_the_start_nothing_happens_and_after_a_stop_it_starts_again() -> None:
    numbers = Numbers()
    with FakeExchange("binance", rate=500.0) as exchange:
        topics = trades(exchange.symbols)
        pool = ConnectionPool(
            exchange.venue,
            name="pool",
            max_subscriptions_per_connection=2,
            connect_batch_interval=0.05,
            on_data=numbers.on_data,
            reconnect=QUICK,
        )
        pool.subscribe(*topics)
        health = pool.check_health()
        assert (health["waiting"], health["all_healthy"], health["unhealthy"]) == (3, False, [])
        assert not pool.wait_until_ready(PATIENCE)
        for _ in range(2):
            assert pool.start() is pool
            assert pool.start() is pool
            assert pool.wait_until_ready(PATIENCE)
            numbers.wait_for(topics)
            assert pool.check_health()["all_healthy"]
            assert pool.stop()
            assert pool.stop()
            assert pool.subscriptions == set(topics)
            assert pool.check_health()["waiting"] == 3
            assert [name for name in library_threads() if "test" not in name] == []
        assert exchange.connection_count == 0
        assert set(exchange.close_codes) == {1000}


def test_warm_up_is_by_batches_and_says_who_waits() -> None:
    with FakeExchange("binance", connect_rate=(8, 0.5)) as exchange:
        topics = [f"x{number}usdt@trade" for number in range(12)]
        with pooling(
            exchange,
            *topics,
            max_connections=12,
            max_subscriptions_per_connection=1,
            connect_batch_size=4,
            connect_batch_interval=0.5,
            ready=False,
        ) as pool:
            waiting = pool.get_statistics()["waiting_connections"]
            assert waiting >= 8
            assert pool.wait_until_ready(PATIENCE)
            assert pool.check_health()["all_healthy"]
            assert exchange.connection_count == 12
            # A stretch of half a second may see four; the exchange cuts at more than eight.
            assert exchange.violations == []


def test_stop_from_inside_a_handler_returns_at_once() -> None:
    results: list[tuple[bool, float]] = []
    pools: list[ConnectionPool] = []
    both_inside = threading.Barrier(2, timeout=PATIENCE)

    def stop(_message: Message) -> None:
        both_inside.wait()  # each would wait for the other
        before = time.monotonic()
        stopped = pools[0].stop(PATIENCE)
        results.append((stopped, time.monotonic() - before))

    with FakeExchange("binance", rate=500.0) as exchange:
        pool = ConnectionPool(exchange.venue, max_subscriptions_per_connection=1, on_data=stop)
        pools.append(pool)
        pool.subscribe(*trades(exchange.symbols[:2]))
        pool.start()
        wait_until(lambda: len(results) == 2)
        assert pool.stop(PATIENCE)
        assert all(not stopped and seconds < PATIENCE / 2 for stopped, seconds in results)
        assert [name for name in library_threads() if "test" not in name] == []


def test_a_stuck_handler_holds_up_its_own_connection_only() -> None:
    gate, numbers = Gate(), Numbers()

    def handle(message: Message) -> None:
        if message.topic == stuck:
            gate.pass_through()
        numbers.on_data(message)

    with FakeExchange("binance", rate=500.0) as exchange:
        stuck, *others = trades(exchange.symbols)
        with pooling(
            exchange, stuck, *others, max_subscriptions_per_connection=1, on_data=handle
        ) as pool:
            gate.wait_for_arrival()
            numbers.wait_for(others, 20)
            assert numbers.faults(others) == []
            before = time.monotonic()
            assert not pool.stop(0.5)
            assert time.monotonic() - before < PATIENCE / 2
            gate.open()


def test_one_that_has_not_ended_yet_holds_no_other_up_when_the_pool_starts_again() -> None:
    gate, numbers = Gate(), Numbers()

    def handle(message: Message) -> None:
        if message.topic == stuck:
            gate.pass_through()
        numbers.on_data(message)

    with FakeExchange("binance", rate=500.0) as exchange:
        stuck, *others = trades(exchange.symbols)
        with pooling(
            exchange, stuck, *others, max_subscriptions_per_connection=1, on_data=handle
        ) as pool:
            gate.wait_for_arrival()
            assert not pool.stop(0.1)
            numbers.by_topic.clear()
            pool.start()
            wait_until(lambda: set(numbers.by_topic) == set(others), PATIENCE / 2)
            assert pool.get_statistics()["waiting_connections"] == 1
            gate.open()
            assert pool.wait_until_ready(PATIENCE)
            numbers.wait_for([stuck, *others])


def test_handlers_may_change_the_pool() -> None:
    with FakeExchange("binance", rate=500.0, message_rate=None) as exchange:
        first, second, third, *_ = trades(exchange.symbols)
        heard: set[str] = set()
        pools: list[ConnectionPool] = []

        def handle(message: Message) -> None:
            pool = pools[0]
            heard.add(message.topic or "")
            if message.topic == first:
                pool.subscribe(second)
                pool.unsubscribe(first)
            elif message.topic == second:
                pool.set_subscriptions([third])
                pool.rebalance()
                pool.get_statistics()

        settings: dict[str, Any] = {"max_subscriptions_per_connection": 1, "on_data": handle}
        with pooling(exchange, venue=unpaced(exchange.venue), **settings) as pool:
            pools.append(pool)
            pool.subscribe(first)
            wait_until(lambda: third in heard)
            assert pool.subscriptions == {third}


# Failures.


def test_when_one_connection_of_ten_is_cut_the_other_nine_miss_nothing() -> None:
    numbers = Numbers()
    names = symbols(10)
    with FakeExchange("binance", symbols=names, rate=1000.0) as exchange:
        topics = trades(names)
        with pooling(
            exchange, *topics, max_subscriptions_per_connection=1, on_data=numbers.on_data
        ) as pool:
            victim = topics[3]
            others = [topic for topic in topics if topic != victim]
            numbers.wait_for(topics, 5)
            assert exchange.abort_one(by_itself(exchange)[victim])
            numbers.wait_for(others, 20)
            numbers.wait_for([victim], 5)

            assert numbers.faults(others) == []
            assert pool.wait_until_ready(PATIENCE)
            metrics = pool.get_connection_metrics()
            assert sum(one.reconnect_count for one in metrics.values()) == 1
            assert pool.get_statistics()["reconnects"] == 1


def test_after_a_restart_of_the_server_all_come_back() -> None:
    pairs = symbols(30, "_USDT")
    with FakeExchange("mexc", symbols=pairs, max_connections=None) as exchange:
        venue = exchange.venue.replace(limits=dataclasses.replace(MEXC().limits, connections=None))
        heard: set[str | None] = set()
        with pooling(
            exchange,
            *(("deal", symbol) for symbol in exchange.symbols),
            venue=venue,
            max_connections=30,
            max_subscriptions_per_connection=1,
            connect_batch_size=30,
            on_data=lambda message: heard.add(message.topic),
        ) as pool:
            exchange.restart(downtime=0.05)
            assert pool.wait_until_ready(PATIENCE)
            heard.clear()
            wait_until(lambda: len(heard) == 30)
            assert exchange.connection_count == 30


def test_the_usual_delays_spread_a_herd_out() -> None:
    """What 200 connections wait after a restart; that they do is measured by tox -e pool."""
    delays = sorted(ReconnectPolicy().next_delay() or 0.0 for _ in range(200))
    assert max(sum(begin <= at < begin + 0.1 for at in delays) for begin in delays) <= 50


def test_a_failed_connection_is_restarted_by_the_pool() -> None:
    changes: list[StateChange] = []
    with (
        FakeExchange("binance") as exchange,
        pooling(
            exchange,
            "btcusdt@trade",
            reconnect=ReconnectPolicy(max_attempts=0),
            auto_restart=True,
            unhealthy_after=0.05,
            on_state_change=changes.append,
        ) as pool,
    ):
        exchange.restart(downtime=0.2)
        wait_until(lambda: "failed" in [change.state for change in changes])
        assert pool.wait_until_ready(PATIENCE)
        assert pool.check_health()["all_healthy"]


def test_a_connection_whose_credentials_were_refused_is_left_alone() -> None:
    with FakeExchange("okx-private") as exchange:
        exchange.reject_logins()
        with pooling(
            exchange,
            "orders?instType=ANY",
            auth=Credentials("a", "b", "c"),
            auto_restart=True,
            unhealthy_after=0.0,
            ready=False,
        ) as pool:
            wait_until(
                lambda: "failed" in [m.state for m in pool.get_connection_metrics().values()]
            )
            unhealthy = pool.check_health()["unhealthy"]
            assert unhealthy == ["pool-1"]
            asked = len(exchange.logins)
            # Many looks of the pool later it is still so.
            assert not eventually(lambda: len(exchange.logins) > asked, within=0.3)
            assert "AuthenticationError" in pool.check_health()["reasons"]["pool-1"]

            exchange.accept_logins()
            assert pool.restart_unhealthy_connections() == ["pool-1"]
            wait_until(lambda: len(exchange.logins) > asked)


def test_unhealthy_connections_are_restarted_on_demand() -> None:
    with (
        FakeExchange("binance") as exchange,
        pooling(exchange, "btcusdt@trade", "ethusdt@trade", reconnect=SLOW_RETRY) as pool,
    ):
        assert pool.restart_unhealthy_connections() == []
        exchange.abort_all()
        wait_until(lambda: pool.check_health()["unhealthy"] == ["pool-1"])
        assert pool.restart_unhealthy_connections() == ["pool-1"]
        assert pool.wait_until_ready(PATIENCE)
        assert pool.stop(PATIENCE)
        assert pool.restart_unhealthy_connections() == []


def test_one_that_somebody_else_has_stopped_is_started_again() -> None:
    opened: list[Any] = []
    with (
        FakeExchange("binance") as exchange,
        pooling(exchange, "btcusdt@trade", on_open=opened.append) as pool,
    ):
        wait_until(lambda: opened)
        assert opened[0].stop(PATIENCE)
        wait_until(lambda: len(opened) == 2)
        assert pool.wait_until_ready(PATIENCE)


def test_the_state_of_each_endpoint_is_in_the_statistics() -> None:
    dead = f"ws://{LOCALHOST}:{free_port()}/stream"
    with (
        FakeExchange("binance") as exchange,
        pooling(
            exchange,
            *trades(exchange.symbols[:2]),
            venue=exchange.venue.replace(url=[dead, exchange.url]),
            max_subscriptions_per_connection=1,
            endpoint_policy=EndpointPolicy(failures=1),
        ) as pool,
    ):
        endpoints = pool.get_statistics()["endpoints"]
        assert sorted(endpoints) == ["pool-1", "pool-2"]
        for each in endpoints.values():
            assert [one["state"] for one in each] == ["open", "closed"]
            assert [one["is_current"] for one in each] == [False, True]
            assert each[0]["url"] == dead


# What is told.


def test_metrics_health_and_statistics_are_plain_and_complete() -> None:
    numbers = Numbers()
    with FakeExchange("binance", rate=500.0) as exchange:
        topics = trades(exchange.symbols)
        with pooling(
            exchange, *topics, max_subscriptions_per_connection=3, on_data=numbers.on_data
        ) as pool:
            numbers.wait_for(topics, 2)
            metrics = pool.get_connection_metrics()
            assert list(metrics) == ["pool-1", "pool-2"]
            assert [one.subscriptions_count for one in metrics.values()] == [3, 2]
            for one in metrics.values():
                assert one.is_healthy
                assert one.messages_received > 0
                assert one.age is not None
                assert one.quality_score == 100
                assert one.endpoint.startswith("ws://127.0.0.1")
            statistics = pool.get_statistics()
            json.dumps(statistics)
            assert statistics["active_connections"] == statistics["healthy_connections"] == 2
            assert statistics["total_subscriptions"] == statistics["confirmed_subscriptions"] == 5
            assert statistics["total_messages"] > 0
            assert statistics["following"] is None
            assert json.dumps(pool.check_health())


def test_the_monitor_sees_the_connections_and_no_alarm_of_full_ones() -> None:
    monitor = Monitor()
    with FakeExchange("binance") as exchange:
        topics = trades(exchange.symbols)
        with pooling(
            exchange, *topics, max_subscriptions_per_connection=2, monitor=monitor
        ) as pool:
            summary = monitor.get_summary()
            assert list(summary["connections"]) == ["pool-1", "pool-2", "pool-3"]
            assert summary["total_subscriptions"] == 5
            assert monitor.diagnose_connection_issues()["subscription_limits"] == []
            pool.set_subscriptions(topics[:2])
            wait_until(lambda: monitor.get_summary()["active_connections"] == 1)
            # What was there is not forgotten: its counts are part of the sums.
            assert list(monitor.get_summary()["connections"]) == ["pool-1", "pool-2", "pool-3"]
            assert monitor.get_summary()["status"] == "ok"


def test_rebalancing_before_the_start_moves_at_once() -> None:
    pool = ConnectionPool(Binance(), max_subscriptions_per_connection=4)
    pool.subscribe(*(f"x{number}@trade" for number in range(8)))
    pool.unsubscribe("x0@trade", "x1@trade", "x2@trade")

    assert pool.rebalance() == 1
    assert pool.rebalance() == 0
    assert not pool.is_moving
    counts = [one.subscriptions_count for one in pool.get_connection_metrics().values()]
    assert sorted(counts) == [2, 3]
    assert len(pool.subscriptions) == 5


def test_waiting_ends_when_the_pool_is_stopped() -> None:
    with FakeExchange("binance") as exchange:
        exchange.pause_accepting()
        with pooling(exchange, "btcusdt@trade", ready=False) as pool:
            waiting = Running(pool.wait_until_ready)
            assert waiting.waits_in("wait_until_ready")
            assert not pool.wait_until_ready(0.0)
            assert pool.stop(PATIENCE)
            assert waiting.result() is False
