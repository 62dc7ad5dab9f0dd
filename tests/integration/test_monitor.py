"""The monitor over connections that are really there."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from wsresilient import Monitor, ReconnectPolicy, ResilientWebSocket
from wsresilient.testing import FakeExchange, FaultProxy, wait_until

from .pool_tools import pooling, trades
from .test_pool import unpaced

QUICK = ReconnectPolicy(initial_delay=0.01, max_delay=0.05)
TOPICS = ("btcusdt@trade", "ethusdt@ticker")


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("binance", rate=500.0) as running:
        yield running


def stream(exchange: FakeExchange, monitor: Monitor, **settings: Any) -> ResilientWebSocket:
    given: dict[str, Any] = {"on_message": len, "reconnect": QUICK, "name": "feed"} | settings
    return ResilientWebSocket(exchange.url_for(*TOPICS), monitor=monitor, **given)


def check_sums(summary: dict[str, Any]) -> None:
    """What must hold at any moment."""
    routing, each = summary["routing_stats"], list(summary["connections"].values())
    total = sum(stats["message_count"] for stats in each)
    assert routing["total_messages"] == total
    assert routing["routed_messages"] + routing["unrouted_messages"] == total
    assert min(routing.values()) >= 0
    assert routing["reconnections"] == sum(stats["reconnect_count"] for stats in each)
    assert summary["total_connections"] == len(each)
    assert (
        summary["healthy_connections"]
        <= summary["active_connections"]
        <= summary["total_connections"]
    )


def test_a_stream_is_seen_from_its_start_to_its_stop(exchange: FakeExchange) -> None:
    monitor = Monitor()
    ws = stream(exchange, monitor)
    assert monitor.get_summary()["active_connections"] == 0

    with ws:
        wait_until(lambda: monitor.get_summary()["routing_stats"]["total_messages"] > 20)
        summary = monitor.get_summary()

    stats = summary["connections"]["feed"]
    assert (summary["status"], summary["return_code"]) == ("ok", 0)
    assert summary["active_connections"] == summary["healthy_connections"] == 1
    assert summary["messages_per_minute"] > 0
    assert stats["bytes_received"] > stats["message_count"] > 0
    assert stats["is_healthy"]
    check_sums(summary)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary

    after = monitor.get_summary()
    assert after["active_connections"] == after["healthy_connections"] == 0
    assert (after["status"], after["connections"]["feed"]["state"]) == ("ok", "disconnected")


def test_two_streams_with_one_name_are_both_there(exchange: FakeExchange) -> None:
    monitor = Monitor()
    with stream(exchange, monitor) as first, stream(exchange, monitor) as second:
        first.wait_until_connected(30)
        second.wait_until_connected(30)
        assert list(monitor.get_summary()["connections"]) == ["feed", "feed#2"]
        first.stop()
        assert list(monitor.get_summary()["connections"]) == ["feed", "feed#2"]
        with stream(exchange, monitor) as third:
            third.wait_until_connected(30)
            states = {
                name: stats["state"] for name, stats in monitor.get_summary()["connections"].items()
            }
    assert states == {"feed#3": "disconnected", "feed#2": "connected", "feed": "connected"}


def test_a_restart_of_the_server_is_a_warning_and_then_a_reconnect(
    exchange: FakeExchange,
) -> None:
    monitor = Monitor()
    with (
        FaultProxy(exchange.host, exchange.port) as proxy,
        stream(exchange, monitor, name="safe") as safe,
        ResilientWebSocket(
            proxy.through(exchange.url_for(*TOPICS)),
            name="hit",
            on_message=len,
            reconnect=QUICK,
            monitor=monitor,
        ) as hit,
    ):
        safe.wait_until_connected(30)
        hit.wait_until_connected(30)
        assert monitor.get_summary()["status"] == "ok"

        proxy.refuse()
        proxy.reset_all()
        wait_until(lambda: monitor.get_summary()["status"] == "warning")
        wait_until(lambda: monitor.get_summary()["routing_stats"]["connection_failures"] >= 2)
        out = io.StringIO()
        monitor.print_connection_report(out)
        assert "ConnectionRefusedError" in out.getvalue()
        assert "Status: warning (1 of 2 active healthy)" in out.getvalue()

        proxy.accept()
        wait_until(lambda: monitor.get_summary()["status"] == "ok")
        assert monitor.get_summary()["routing_stats"]["reconnections"] == 1


def test_a_stream_that_gave_up_is_critical(exchange: FakeExchange) -> None:
    monitor = Monitor()
    exchange.respond_status(404, count=None)

    with stream(exchange, monitor) as ws:
        assert ws.join(30)
        summary = monitor.get_summary()

    assert (summary["status"], summary["return_code"]) == ("critical", 2)
    assert summary["connections"]["feed"]["state"] == "failed"
    assert "404" in summary["connections"]["feed"]["last_error"]


def test_summaries_of_many_threads_match_during_a_storm(exchange: FakeExchange) -> None:
    monitor = Monitor()
    exchange.rate = 5000.0
    streams = [stream(exchange, monitor) for _ in range(6)]
    summaries: list[dict[str, Any]] = []
    is_over = threading.Event()

    def look() -> None:
        # The pause leaves the interpreter to the streams: without it they need half a minute.
        while not is_over.wait(0.005):
            summaries.append(monitor.get_summary())

    threads = [threading.Thread(target=look) for _ in range(8)]
    try:
        for ws in streams:
            ws.start()
        for thread in threads:
            thread.start()
        for count in (1, 2, 3):
            wait_until(
                lambda: monitor.get_summary()["healthy_connections"] == 6,
                description="all healthy",
            )
            exchange.abort_all()
            wait_until(
                lambda expected=6 * count: (  # type: ignore[misc]
                    monitor.get_summary()["routing_stats"]["reconnections"] >= expected
                ),
                description="all back",
            )
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        for ws in streams:
            ws.stop()

    assert len(summaries) > 8
    for summary in summaries:
        check_sums(summary)
        assert set(summary["connections"]) == {"feed", *(f"feed#{n}" for n in range(2, 7))}
    totals = [summary["routing_stats"]["total_messages"] for summary in summaries[-1:]]
    assert totals[0] > 0


def test_counts_and_history_of_a_pool_go_on_over_rotations_and_ends() -> None:
    monitor = Monitor()
    with FakeExchange("binance", rate=500.0, message_rate=None, connect_rate=None) as exchange:
        topics = trades(exchange.symbols)[:2]
        settings: dict[str, Any] = {
            "venue": unpaced(exchange.venue, connects=None),
            "monitor": monitor,
            "rotation": "make_before_break",
            "max_subscriptions_per_connection": 1,
            "max_connections": 2,
            "on_data": lambda _message: None,
        }
        with pooling(exchange, *topics, **settings) as pool:
            totals = [0]

            def is_settled() -> bool:
                summary = monitor.get_summary()
                check_sums(summary)
                totals.append(summary["routing_stats"]["total_messages"])
                return not pool.is_moving

            for count in (1, 2):
                wait_until(lambda: is_settled() and totals[-1] > 20)
                pool.rotate()
                wait_until(
                    lambda expected=2 * count: (  # type: ignore[misc]
                        is_settled() and pool.get_statistics()["rotations"] == expected
                    )
                )
            pool.unsubscribe(topics[1])
            wait_until(lambda: is_settled() and monitor.get_summary()["active_connections"] == 1)
        is_settled()

        assert totals == sorted(totals)
        history = monitor.get_history()["connections"]
        assert list(history) == ["pool-1", "pool-2"]
        for past in history.values():
            kinds = [(event["kind"], event["lasted"]) for event in past["events"]]
            assert kinds[:2] == [("rotation", 0.0)] * 2
        for stats in monitor.get_summary()["connections"].values():
            assert (stats["state"], stats["generation"]) == ("disconnected", 3)
            assert stats["reconnects_last_hour"] == 0
