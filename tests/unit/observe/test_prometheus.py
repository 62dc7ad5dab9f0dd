"""Metrics, as Prometheus would read them."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from wsresilient import ConfigurationError, Monitor
from wsresilient.observe.prometheus import OTHERS, MonitorCollector, expose


def scrape(monitor: Monitor, **settings: Any) -> dict[tuple[str, str], float]:
    """Read everything: {(name, the one label's value): value}."""
    registry = CollectorRegistry()
    registry.register(MonitorCollector(monitor, **settings))
    text = generate_latest(registry).decode()
    samples = [
        ((sample.name, next(iter(sample.labels.values()), "")), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert len(dict(samples)) == len(samples), "a series twice"
    return dict(samples)


def monitor_of(*names: str) -> Monitor:
    monitor = Monitor()
    for number, name in enumerate(names, 1):
        monitor.record_message(name, number, 100 * number)
    return monitor


def test_a_connection_has_its_counters_and_gauges() -> None:
    monitor = monitor_of("feed")
    monitor.record_error("feed", "no")
    monitor.record_reconnect("feed")

    told = scrape(monitor)

    assert told["wsresilient_connection_up", "feed"] == 1.0
    assert told["wsresilient_connection_healthy", "feed"] == 1.0
    assert told["wsresilient_connection_messages_total", "feed"] == 1.0
    assert told["wsresilient_connection_received_bytes_total", "feed"] == 100.0
    assert told["wsresilient_connection_reconnects_total", "feed"] == 1.0
    assert told["wsresilient_connection_errors_total", "feed"] == 1.0
    assert 0.0 <= told["wsresilient_connection_last_message_age_seconds", "feed"] < 60.0
    assert told["wsresilient_connections", "connected"] == 1.0
    assert told["wsresilient_connections", "failed"] == 0.0
    assert told["wsresilient_status", ""] == 0.0
    assert told["wsresilient_issues", "lost_connections"] == 0.0


def test_what_is_not_known_is_left_out() -> None:
    monitor = Monitor()
    monitor.record_state("feed", "connecting")

    told = scrape(monitor)

    assert told["wsresilient_connection_up", "feed"] == 0.0
    assert ("wsresilient_connection_ping_rtt_seconds", "feed") not in told
    assert ("wsresilient_connection_last_message_age_seconds", "feed") not in told


def test_a_connection_that_failed_is_seen() -> None:
    monitor = monitor_of("good", "bad")
    monitor.record_state("bad", "failed")

    told = scrape(monitor)

    assert told["wsresilient_connection_up", "bad"] == 0.0
    assert told["wsresilient_connections", "failed"] == 1.0
    assert told["wsresilient_status", ""] == 2.0
    assert told["wsresilient_issues", "lost_connections"] == 1.0


def test_labels_are_bounded_and_the_rest_is_one() -> None:
    monitor = monitor_of("a", "b", "c", "d")
    monitor.record_state("d", "reconnecting")

    told = scrape(monitor, max_connections=2)

    labels = {label for name, label in told if name == "wsresilient_connection_up"}
    assert labels == {"a", "b", OTHERS}
    assert told["wsresilient_connection_messages_total", OTHERS] == 3.0 + 4.0
    assert told["wsresilient_connection_up", OTHERS] == 0.0  # the worst of them
    assert told["wsresilient_connections", "connected"] == 3.0


@pytest.mark.parametrize("name", ['quote"d', "back\\slash", "new\nline", "ünï"])
def test_any_name_can_be_a_label(name: str) -> None:
    assert scrape(monitor_of(name))["wsresilient_connection_up", name] == 1.0


def test_half_a_surrogate_pair_in_a_name_does_not_cost_the_scrape() -> None:
    body, _ = expose(monitor_of("a\ud800b"), "")

    assert rb'wsresilient_connection_up{connection="a\\ud800b"} 1.0' in body


def test_registering_reads_nothing_and_two_do_not_collide_with_others() -> None:
    class Unread(Monitor):
        def get_summary(self) -> dict[str, Any]:
            raise AssertionError("read")

    CollectorRegistry(auto_describe=True).register(MonitorCollector(Unread()))


def test_all_names_are_described() -> None:
    collector = MonitorCollector(monitor_of("feed"))

    assert [family.name for family in collector.describe()] == [
        family.name for family in collector.collect()
    ]


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_connections is 0"):
        MonitorCollector(Monitor(), max_connections=0)


@pytest.mark.parametrize(
    ("accept", "content_type", "last"),
    [
        ("", "text/plain; version=0.0.4", b"\n"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
        ("application/openmetrics-text; version=abc", "text/plain; version=0.0.4", b"\n"),
        ("text/plain; version=1.x", "text/plain; version=0.0.4", b"\n"),
    ],
)
def test_a_scraper_gets_the_format_it_asks_for(accept: str, content_type: str, last: bytes) -> None:
    body, told = expose(monitor_of("feed"), accept)

    assert told.startswith(content_type)
    assert body.endswith(last)
    assert b'wsresilient_connection_messages_total{connection="feed"} 1.0\n' in body
