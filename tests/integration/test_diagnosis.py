"""The nine issues, each from a real fault: found while it lasts, and gone when it is over."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import Gate
from wsresilient import Message, Monitor, ResilientWebSocket, Thresholds
from wsresilient.runtime.clock import monotonic
from wsresilient.testing import FakeExchange, FaultProxy
from wsresilient.venues import Binance

from .clients import QUICK, SLOW_RETRY
from .servers import wait_until

TOPIC = "btcusdt@trade"
#: A window so short that an issue is over within a test.
SMALL = Thresholds(window=1.0, stale_after=0.4, lost_after=0.3, ping_rtt=0.2)


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("binance", rate=200.0) as running:
        yield running


@pytest.fixture
def monitor() -> Monitor:
    return Monitor(thresholds=SMALL)


@contextlib.contextmanager
def stream(url: str, monitor: Monitor, **settings: Any) -> Iterator[ResilientWebSocket]:
    """A stream that the monitor sees, up and well at the beginning."""
    given: dict[str, Any] = {
        "on_message": len,
        "reconnect": QUICK,
        "name": "feed",
        "check_interval": 0.05,
    }
    with ResilientWebSocket(url, monitor=monitor, **given | settings) as ws:
        assert ws.wait_until_connected(30), ws.last_error
        wait_until(lambda: ws.get_stats()["message_count"] > 0)
        yield ws


def found(monitor: Monitor, issue: str) -> dict[str, Any]:
    """Wait for an issue; returns its finding."""
    wait_until(
        lambda: monitor.diagnose_connection_issues()[issue],
        description=f"{issue} in {monitor.diagnose_connection_issues()}",
    )
    (finding,) = monitor.diagnose_connection_issues()[issue]
    assert finding["connection"] == "feed"
    return finding


def wait_until_well(monitor: Monitor) -> None:
    """Wait until there is no issue of any kind."""
    wait_until(
        lambda: not any(monitor.diagnose_connection_issues().values()),
        description=f"the end of {monitor.diagnose_connection_issues()}",
    )


def test_a_handler_that_raises(exchange: FakeExchange, monitor: Monitor) -> None:
    is_broken = [True]

    def on_price(_message: object) -> None:
        if is_broken:
            raise KeyError("price")

    with stream(exchange.url_for(TOPIC), monitor, on_message=on_price):
        finding = found(monitor, "high_error_rate")
        assert finding["value"] > 0.05
        assert "of handlers" in finding["detail"]
        assert "on_price, for 'message': KeyError: 'price'" in finding["detail"]
        assert "tracebacks" in finding["suggestion"]
        is_broken.clear()
        wait_until_well(monitor)


def test_a_server_that_closes_again_and_again(
    exchange: FakeExchange, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = Thresholds(window=1.0, reconnects_per_hour=2)
    with stream(exchange.url_for(TOPIC), monitor) as ws:
        for count in (1, 2, 3):
            assert monitor.diagnose_connection_issues(strict)["frequent_reconnects"] == []
            exchange.close_all(1008, "too many requests")
            wait_until(lambda expected=count: ws.get_stats()["reconnect_count"] == expected)  # type: ignore[misc]

        (finding,) = monitor.diagnose_connection_issues(strict)["frequent_reconnects"]
        assert (finding["value"], finding["threshold"]) == (3, 2)
        assert "3 x closed with 1008 (policy violation)" in finding["detail"]
        assert "enforces a limit" in finding["suggestion"]
        history = monitor.get_history("feed")["connections"]["feed"]
        assert [(event["kind"], event["close_code"]) for event in history["events"]] == [
            ("closed", 1008)
        ] * 3
        assert all(event["lasted"] is not None for event in history["events"])

        monkeypatch.setattr("wsresilient.observe.monitor.monotonic", lambda: monotonic() + 3601.0)
        assert monitor.diagnose_connection_issues(strict)["frequent_reconnects"] == []


def test_a_feed_that_falls_silent_while_pings_are_answered(
    exchange: FakeExchange, monitor: Monitor
) -> None:
    with stream(exchange.url_for(TOPIC), monitor, ping_interval=0.2, ping_timeout=0.1) as ws:
        wait_until(lambda: ws.get_stats()["ping_rtt"] is not None)
        exchange.stop_feed()
        finding = found(monitor, "stale_connections")
        assert finding["value"] > finding["threshold"] == 0.4
        assert "the link lives" in finding["detail"]
        assert "lost the subscription" in finding["suggestion"]
        exchange.resume_feed()
        wait_until_well(monitor)


def test_a_server_that_is_away(exchange: FakeExchange, monitor: Monitor) -> None:
    with (
        FaultProxy(exchange.host, exchange.port) as proxy,
        stream(proxy.through(exchange.url_for(TOPIC)), monitor),
    ):
        proxy.refuse()
        proxy.reset_all()
        finding = found(monitor, "lost_connections")
        assert finding["value"] > finding["threshold"] == 0.3
        assert "ConnectionRefusedError" in finding["detail"]
        assert "the server runs" in finding["suggestion"]
        proxy.accept()
        wait_until_well(monitor)


def test_credentials_that_are_refused(exchange: FakeExchange, monitor: Monitor) -> None:
    with stream(exchange.url_for(TOPIC), monitor) as ws:
        exchange.respond_status(401, body=b"invalid API key")
        exchange.abort_all()
        assert ws.join(30)
        finding = found(monitor, "lost_connections")
        assert finding["detail"].startswith("Given up; ")
        assert "permissions" in finding["suggestion"]
        assert ws.get_stats()["last_failure_kind"] == "authentication"
        ws.start()
        wait_until_well(monitor)


def test_a_handler_that_is_stuck(exchange: FakeExchange, monitor: Monitor) -> None:
    gate = Gate()
    strict = Thresholds(window=1.0, slow_handler_after=0.1)

    def on_price(_message: object) -> None:
        gate.pass_through()  # the line of the handler

    line = on_price.__code__.co_firstlineno + 1
    with stream(exchange.url_for(TOPIC), monitor, on_message=on_price, slow_handler_after=0.1):
        try:
            wait_until(lambda: monitor.diagnose_connection_issues(strict)["slow_handlers"])
            (finding,) = monitor.diagnose_connection_issues(strict)["slow_handlers"]
            assert finding["value"] > finding["threshold"] == 0.1
            assert f"on_price ({__file__}:{line})" in finding["detail"]
            assert "pass_through (" in finding["detail"]  # the stack
            assert "queue.Queue" in finding["suggestion"]
        finally:
            gate.open()
        wait_until(lambda: not any(monitor.diagnose_connection_issues(strict).values()))


def test_a_handler_that_is_too_slow_for_the_stream(
    exchange: FakeExchange, monitor: Monitor
) -> None:
    gate = Gate()
    settings: dict[str, Any] = {"queue_size": 5, "overflow": "drop_oldest"}
    with stream(exchange.url_for(TOPIC), monitor, on_message=gate.pass_through, **settings) as ws:
        try:
            finding = found(monitor, "dropped_messages")
            assert finding["value"] > finding["threshold"] == 0
            assert "the queue was full" in finding["detail"]
        finally:
            gate.open()
        wait_until(lambda: ws.get_stats()["gap_count"] == 1)  # told behind what was dropped
        wait_until_well(monitor)


def test_a_way_that_is_slow(exchange: FakeExchange, monitor: Monitor) -> None:
    with (
        FaultProxy(exchange.host, exchange.port) as proxy,
        stream(
            proxy.through(exchange.url_for(TOPIC)), monitor, ping_interval=1.0, ping_timeout=0.9
        ),
    ):
        proxy.latency = 0.15
        finding = found(monitor, "high_latency")
        assert finding["value"] > finding["threshold"] == 0.2
        assert "nearer" in finding["suggestion"]
        proxy.latency = 0.0
        wait_until_well(monitor)


def test_a_connection_that_is_cut_leaves_a_gap(exchange: FakeExchange, monitor: Monitor) -> None:
    with stream(exchange.url_for(TOPIC), monitor) as ws:
        exchange.abort_all()
        finding = found(monitor, "data_gaps")
        assert finding["value"] == 1
        assert "The latest, by reconnect," in finding["detail"]
        assert "on_gap" in finding["suggestion"]
        (gap,) = monitor.get_history("feed")["connections"]["feed"]["gaps"]
        assert gap["reason"] == "reconnect"
        assert gap["started_at"] <= gap["ended_at"]
        wait_until_well(monitor)
        assert ws.get_stats()["gap_count"] == 1


@contextlib.contextmanager
def subscribed(exchange: FakeExchange, monitor: Monitor, *topics: str) -> Iterator[Any]:
    """A stream of a venue, its topics confirmed or refused."""
    settings: dict[str, Any] = {"venue": Binance(), "on_data": len_of, "on_message": None}
    with ResilientWebSocket(
        exchange.url, monitor=monitor, name="feed", reconnect=QUICK, check_interval=0.05, **settings
    ) as ws:
        assert ws.wait_until_connected(30), ws.last_error
        ws.subscribe(*topics)
        wait_until(lambda: ws.get_stats()["message_count"] > 0)
        yield ws


def len_of(message: Message) -> int:
    return len(message.data)


def test_a_topic_that_is_refused(exchange: FakeExchange, monitor: Monitor) -> None:
    exchange.refuse_topic("nosuch@trade")
    with subscribed(exchange, monitor, TOPIC, "nosuch@trade") as ws:
        finding = found(monitor, "subscription_limits")
        assert finding["detail"] == "The server refused or never confirmed 1 of 2 topics."
        assert list(ws.failed_subscriptions) == ["nosuch@trade"]
        ws.unsubscribe("nosuch@trade")
        wait_until_well(monitor)


def test_topics_near_the_limit_of_the_venue(exchange: FakeExchange, monitor: Monitor) -> None:
    with subscribed(exchange, monitor, TOPIC, "ethusdt@trade") as ws:
        strict = Thresholds(subscription_share=2 / ws.get_stats()["subscription_limit"])
        (finding,) = monitor.diagnose_connection_issues(strict)["subscription_limits"]
        assert finding["value"] == finding["threshold"]
        assert "that the venue allows on one connection" in finding["detail"]
        ws.unsubscribe("ethusdt@trade")
        assert monitor.diagnose_connection_issues(strict)["subscription_limits"] == []


def test_pings_that_are_not_answered_are_told_as_the_cause(
    exchange: FakeExchange, monitor: Monitor
) -> None:
    strict = Thresholds(reconnects_per_hour=0)
    with stream(exchange.url_for(TOPIC), monitor, ping_interval=0.3, ping_timeout=0.2):
        exchange.ignore_pings()
        exchange.stop_feed()  # any byte would be a sign of life
        wait_until(lambda: monitor.diagnose_connection_issues(strict)["frequent_reconnects"])
        (finding,) = monitor.diagnose_connection_issues(strict)["frequent_reconnects"]
        assert "x ping" in finding["detail"]
        assert "shorter ping_interval" in finding["suggestion"]


def test_a_stream_that_rotates_as_planned_has_no_issue(exchange: FakeExchange) -> None:
    monitor = Monitor()  # the usual thresholds
    with stream(exchange.url_for(TOPIC), monitor, max_age=0.1) as ws:

        def has_rotated_often() -> bool:
            issues = monitor.diagnose_connection_issues()
            assert not any(issues.values()), issues
            return bool(ws.get_stats()["reconnect_count"] >= 8)

        wait_until(has_rotated_often)
        assert ws.get_stats()["reconnects_last_hour"] == 0
        assert ws.get_stats()["gap_count"] >= 7
    assert not any(monitor.diagnose_connection_issues().values())


def test_what_failed_and_was_let_go_is_still_seen(exchange: FakeExchange, monitor: Monitor) -> None:
    exchange.respond_status(404, count=None)
    ResilientWebSocket(
        exchange.url_for(TOPIC), monitor=monitor, on_message=len, reconnect=SLOW_RETRY, name="feed"
    ).start()  # as in a script that keeps no reference

    finding = found(monitor, "lost_connections")

    assert "404" in finding["detail"]
    assert monitor.get_summary()["status"] == "critical"
    report = io.StringIO()
    monitor.print_connection_report(report)
    assert "ISSUE: lost connections" in report.getvalue()
    assert "check the path of the url" in " ".join(report.getvalue().split())
