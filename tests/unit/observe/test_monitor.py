"""The monitor without a network: names, what is recorded, threads, forks."""

from __future__ import annotations

import gc
import io
import json
import os
import threading
from typing import Any, cast

import pytest

import wsresilient
from wsresilient import ConfigurationError, ConnectionState, ResilientWebSocket
from wsresilient.observe import Monitor, get_monitor, get_summary, print_connection_report
from wsresilient.runtime.registry import default_registry

URL = "ws://127.0.0.1:1/stream"

#: What API.md promises of each connection.
STATS_KEYS = {
    "name", "url", "state", "is_healthy", "reconnect_count", "retry_count", "subscribed_pairs",
    "connect_time", "connection_duration", "last_message_time", "last_message_age",
    "message_count", "bytes_received", "messages_per_minute", "error_count", "last_error",
    "callback_errors", "dropped_messages", "queue_depth", "ping_rtt", "quality_score",
    "endpoint", "generation",
}  # fmt: skip


class Stub:
    """Stands for a connection in a registry."""

    def __init__(self, name: str, *, running: bool = True) -> None:
        self.name = name
        self.is_running = running

    def get_stats(self) -> dict[str, Any]:
        return ResilientWebSocket(URL, name=self.name, monitor=Monitor()).get_stats()


def attach(monitor: Monitor, *stubs: Stub) -> None:
    for stub in stubs:
        monitor.registry.attach(cast(ResilientWebSocket, stub))


def names(monitor: Monitor) -> list[str]:
    return list(monitor.get_summary()["connections"])


def test_the_default_monitor_reads_the_default_registry() -> None:
    assert get_monitor() is get_monitor()
    assert get_monitor().registry is default_registry()
    ws = ResilientWebSocket(URL, name="seen by default")
    assert ws.name in get_summary()["connections"]


def test_a_connection_belongs_to_the_monitor_it_was_made_with() -> None:
    monitor = Monitor()
    ws = ResilientWebSocket(URL, name="seen elsewhere", monitor=monitor)

    assert names(monitor) == [ws.name]
    assert ws.name not in get_summary()["connections"]


def test_stats_have_every_key_whoever_fills_them() -> None:
    monitor = Monitor()
    ws = ResilientWebSocket(URL, name="ours", monitor=monitor)
    monitor.record_message("theirs")

    connections = monitor.get_summary()["connections"]

    assert set(connections) == {ws.name, "theirs"}
    assert connections["ours"].keys() >= STATS_KEYS
    assert connections["ours"].keys() == connections["theirs"].keys()


def test_summary_is_json_and_its_uptime_grows() -> None:
    monitor = Monitor()
    monitor.record_error("theirs", ValueError("no"))
    first, second = monitor.get_summary(), monitor.get_summary()

    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert 0.0 <= first["uptime"] <= second["uptime"]


def test_two_connections_with_one_name_are_told_apart() -> None:
    monitor = Monitor()
    first, second, other = Stub("feed"), Stub("feed"), Stub("feed#2")
    attach(monitor, first, second, other)

    assert names(monitor) == ["feed", "feed#2", "feed#2#2"]
    summary = monitor.get_summary()
    assert [stats["name"] for stats in summary["connections"].values()] == names(monitor)


def test_a_running_connection_keeps_its_name() -> None:
    monitor = Monitor()
    first, second = Stub("feed"), Stub("feed")
    attach(monitor, first, second)
    assert names(monitor) == ["feed", "feed#2"]

    del first
    gc.collect()

    assert names(monitor) == ["feed#2"]
    assert second.name == "feed"


def test_a_stopped_connection_gives_way_to_a_running_one() -> None:
    monitor = Monitor()
    stopped = Stub("feed")
    attach(monitor, stopped)
    assert names(monitor) == ["feed"]

    stopped.is_running = False
    following = Stub("feed")
    attach(monitor, following)

    assert names(monitor) == ["feed#2", "feed"]
    assert following.is_running


def test_recorded_names_give_way_to_connections_of_ours() -> None:
    monitor = Monitor()
    ours = Stub("feed")
    attach(monitor, ours)
    monitor.record_message("feed", 5)

    connections = monitor.get_summary()["connections"]

    assert connections["feed#2"]["message_count"] == 5
    assert ours.is_running


def test_what_is_recorded_is_summed_up() -> None:
    monitor = Monitor()

    monitor.record_state("a", ConnectionState.CONNECTED)
    monitor.record_message("a", count=10, size=500)
    monitor.record_message("b")
    monitor.record_error("b", "wss://u:p@h/?token=abcdef broke")
    monitor.record_reconnect("b")
    monitor.record_state("c", "failed")

    summary = monitor.get_summary()
    assert summary["connections"]["a"]["bytes_received"] == 500
    assert summary["connections"]["b"]["last_error"] == "wss://***@h/?token=*** broke"
    assert summary["connections"]["b"]["error_count"] == 1
    assert summary["routing_stats"]["total_messages"] == 11
    assert summary["routing_stats"]["reconnections"] == 1
    assert summary["routing_stats"]["connection_failures"] == 1
    assert summary["total_connections"] == 3
    assert summary["active_connections"] == summary["healthy_connections"] == 2
    assert summary["status"] == "critical"


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("record_message", ("",), "name is ''"),
        ("record_message", (7,), "name is 7"),
        ("record_message", ("a", -1), "count is -1"),
        ("record_message", ("a", 1, 0.5), "size is 0.5"),
        ("record_error", (None, "text"), "name is None"),
        ("record_reconnect", ([],), "name is []"),
        ("record_state", ("a", "up"), "'disconnected', 'connecting'"),
    ],
)
def test_wrong_arguments_are_refused(method: str, arguments: tuple[Any, ...], said: str) -> None:
    monitor = Monitor()

    with pytest.raises(ConfigurationError) as caught:
        getattr(monitor, method)(*arguments)

    assert said in str(caught.value)
    assert monitor.get_summary()["total_connections"] == 0


def test_a_registry_must_be_one() -> None:
    with pytest.raises(ConfigurationError, match="registry is 3"):
        Monitor(registry=3)  # type: ignore[arg-type]


def test_recording_from_many_threads_loses_nothing() -> None:
    monitor = Monitor()
    summaries: list[dict[str, Any]] = []

    def record(number: int) -> None:
        for _ in range(500):
            monitor.record_message(f"feed {number % 3}", size=2)
            monitor.record_error("shared", "no")
        summaries.append(monitor.get_summary())

    threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    summary = monitor.get_summary()
    assert summary["routing_stats"]["total_messages"] == 4000
    assert summary["connections"]["shared"]["error_count"] == 4000
    for one in [*summaries, summary]:
        routing, each = one["routing_stats"], one["connections"].values()
        assert routing["total_messages"] == sum(stats["message_count"] for stats in each)
        assert (
            routing["routed_messages"] + routing["unrouted_messages"] == (routing["total_messages"])
        )


def test_the_report_goes_where_it_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor()
    monitor.record_message("feed")
    file = io.StringIO()

    monitor.print_connection_report(file)
    monitor.print_connection_report()
    print_connection_report()

    out = capsys.readouterr().out
    assert "feed  " in file.getvalue()
    assert "feed  " in out
    assert out.count("wsresilient: connection report") == 2
    assert out.endswith("\n")


def test_the_report_survives_a_stream_that_cannot_show_a_name() -> None:
    monitor = Monitor()
    monitor.record_message("Zürich ☕")
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")

    monitor.print_connection_report(file)
    file.flush()

    assert rb"Z\xfcrich \u2615" in raw.getvalue()


def test_repr_tells_how_many() -> None:
    monitor = Monitor()
    monitor.record_message("feed")

    assert repr(monitor) == "<Monitor of 0 connections, 1 recorded>"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are a thing of POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_is_not_held_up_by_a_lock_of_its_parent() -> None:
    monitor = Monitor()
    monitor.record_message("feed")
    with monitor._lock:  # as if another thread were recording right now
        child = os.fork()
        if child == 0:
            os._exit(0 if monitor.get_summary()["total_connections"] == 1 else 1)

    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_it_is_part_of_the_public_names() -> None:
    for name in ("Monitor", "get_monitor", "get_summary", "print_connection_report"):
        assert name in wsresilient.__all__
        assert getattr(wsresilient, name).__module__ == "wsresilient.observe.monitor"
