"""Metrics of all connections for Prometheus, read from a snapshot when it scrapes.

.. code-block:: python

    import prometheus_client
    from wsresilient.observe.prometheus import MonitorCollector

    prometheus_client.REGISTRY.register(MonitorCollector())

Needs the extra ``metrics``. Nothing is counted here: a counter that Prometheus sees is the
connection's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..config import check_integer
from ..core.state import ConnectionState
from .monitor import Monitor, get_monitor

__all__ = ["OTHERS", "MonitorCollector", "expose"]

#: The label of what is beyond the limit; parentheses are in no host name.
OTHERS = "(others)"

_LABELS = ("connection",)
_Stats = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Measure:
    """One metric of each connection.

    :ivar name: without the library's prefix, and of a counter without ``_total``.
    :ivar read: its value, or None where there is none.
    :ivar join: makes one value of those of all connections beyond the limit: the sum, or the worst.
    """

    name: str
    help: str
    read: Callable[[_Stats], float | None]
    join: Callable[[Iterable[float]], float] = sum
    is_counter: bool = False

    def family(self) -> CounterMetricFamily | GaugeMetricFamily:
        """Make the metric without a value."""
        make = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        return make(f"wsresilient_connection_{self.name}", self.help, labels=_LABELS)


def _value(key: str) -> Callable[[_Stats], float | None]:
    def read(stats: _Stats) -> float | None:
        value = stats[key]
        return None if value is None else float(value)

    return read


def _counter(name: str, key: str, text: str) -> _Measure:
    return _Measure(name, text, _value(key), is_counter=True)


_MEASURES = (
    _Measure(
        "up",
        "Whether the connection is up: 1 or 0.",
        lambda stats: float(stats["state"] == ConnectionState.CONNECTED.value),
        min,
    ),
    _Measure(
        "healthy", "Whether it is up and its feed is alive: 1 or 0.", _value("is_healthy"), min
    ),
    _counter("messages", "message_count", "Data messages received."),
    _counter("received_bytes", "bytes_received", "Bytes received."),
    _counter("reconnects", "reconnect_count", "Successful reconnects."),
    _counter("failed_attempts", "connection_failures", "Attempts that led to no connection."),
    _counter("errors", "error_count", "Failures of the connection and its attempts."),
    _counter("handler_errors", "callback_errors", "Calls of handlers that raised."),
    _counter("dropped_messages", "dropped_messages", "Messages dropped because a queue was full."),
    _counter("unrouted_messages", "unrouted_messages", "Messages that no handler took."),
    _Measure("queued_messages", "Messages that wait for the handler.", _value("queue_depth")),
    _Measure("subscriptions", "Topics subscribed.", _value("subscribed_pairs")),
    _Measure(
        "ping_rtt_seconds", "Round trip of the latest ping; absent until one.", _value("ping_rtt"),
        max,
    ),
    _Measure(
        "last_message_age_seconds",
        "Seconds since the latest data message; absent before the first.",
        _value("last_message_age"),
        max,
    ),
    _Measure(
        "uptime_seconds", "Seconds since it connected; 0 while it is not connected.",
        _value("connection_duration"), min,
    ),
    _Measure("quality_score", "From 0 (not healthy) to 100.", _value("quality_score"), min),
)  # fmt: skip


class MonitorCollector(Collector):
    """Reads a monitor at every scrape; register it with a prometheus-client registry.

    Connections are told apart by the label ``connection``, their name in the monitor. Beyond
    ``max_connections``, the oldest ones keep their labels and all others are one: their counters
    are added up, of their gauges it is the worst.

    :param monitor: whose connections; None: those of the default one.
    :param max_connections: labels at most.
    :raises ConfigurationError: max_connections is no number, or less than 1.
    """

    def __init__(self, monitor: Monitor | None = None, *, max_connections: int = 1000) -> None:
        check_integer("max_connections", max_connections, minimum=1)
        self._monitor = get_monitor() if monitor is None else monitor
        self._max_connections = max_connections

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that registering does not read the monitor."""
        yield from (measure.family() for measure in _MEASURES)
        yield from _totals({})
        yield _issue_family()

    def collect(self) -> Iterator[Metric]:
        """Read the monitor once and give every metric."""
        summary = self._monitor.get_summary()
        connections = list(summary["connections"].items())
        labelled = connections[: self._max_connections]
        others = [stats for _, stats in connections[self._max_connections :]]
        for measure in _MEASURES:
            family = measure.family()
            for name, stats in labelled:
                value = measure.read(stats)
                if value is not None:
                    family.add_metric([_label(name)], value)
            rest = [value for stats in others if (value := measure.read(stats)) is not None]
            if rest:
                family.add_metric([OTHERS], measure.join(rest))
            yield family
        yield from _totals(summary)
        yield self._issues()

    def _issues(self) -> Metric:
        family = _issue_family()
        for issue, found in self._monitor.diagnose_connection_issues().items():
            family.add_metric([issue], len(found))
        return family


def _label(name: str) -> str:
    """Write a name as UTF-8 can; half of a surrogate pair has no form in it."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _totals(summary: Mapping[str, Any]) -> Iterator[Metric]:
    """Give what is known of all together; of an empty mapping the names alone."""
    states = GaugeMetricFamily(
        "wsresilient_connections", "Connections in each state.", labels=("state",)
    )
    status = GaugeMetricFamily(
        "wsresilient_status", "All together: 0 ok, 1 warning, 2 critical.", labels=()
    )
    if summary:
        found = [stats["state"] for stats in summary["connections"].values()]
        for state in ConnectionState:
            states.add_metric([state.value], found.count(state.value))
        status.add_metric([], summary["return_code"])
    yield states
    yield status


def _issue_family() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "wsresilient_issues", "Connections that have this issue now.", labels=("issue",)
    )


def expose(monitor: Monitor, accept: str) -> tuple[bytes, str]:
    """Write a monitor's metrics in the format that a scraper asks for.

    :param accept: its Accept header.
    :returns: the text and its content type.
    """
    registry = CollectorRegistry()
    registry.register(MonitorCollector(monitor))
    try:
        encode, content_type = choose_encoder(accept)
    except (ValueError, TypeError):  # prometheus-client does not check that a version is one
        encode, content_type = choose_encoder("")
    return encode(registry), content_type
