"""The monitor without a network: names, what is recorded, threads, forks."""

from __future__ import annotations

import dataclasses
import gc
import io
import json
import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest

import wsresilient
from wsresilient import (
    ConfigurationError,
    ConnectionConfig,
    ConnectionState,
    ResilientWebSocket,
    Thresholds,
)
from wsresilient.observe import (
    Monitor,
    diagnose_connection_issues,
    get_monitor,
    get_summary,
    print_connection_report,
)
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.registry import MOST_RECORDS, default_registry
from wsresilient.runtime.status import Status

URL = "ws://127.0.0.1:1/stream"

#: What API.md promises of each connection.
STATS_KEYS = {
    "name", "url", "state", "is_healthy", "reconnect_count", "retry_count", "subscribed_pairs",
    "connect_time", "connection_duration", "last_message_time", "last_message_age",
    "message_count", "bytes_received", "messages_per_minute", "error_count", "last_error",
    "callback_errors", "dropped_messages", "queue_depth", "ping_rtt", "quality_score",
    "endpoint", "generation", "reconnects_last_hour", "gap_count", "slow_handler", "expects_data",
    "last_close_code", "last_failure_kind", "subscription_limit", "failed_subscriptions",
}  # fmt: skip

ISSUES = {
    "high_error_rate", "frequent_reconnects", "stale_connections", "lost_connections",
    "slow_handlers", "dropped_messages", "high_latency", "subscription_limits", "data_gaps",
}  # fmt: skip


class Stub:
    """Stands for a connection in a registry; its record is a real one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_running = True
        self.record = Status(name, URL, ConnectionConfig())
        self.record.begin_life()
        self.record.advance(ConnectionState.CONNECTING, "for the test")

    def get_stats(self) -> dict[str, Any]:
        stats = ResilientWebSocket(URL, name=self.name, monitor=Monitor()).get_stats()
        return stats | {"state": self.record.state.value}

    def end(self, state: ConnectionState) -> None:
        self.is_running = False
        self.record.advance(state, "for the test")
        self.record.end_life(self.get_stats())


def attach(monitor: Monitor, *stubs: Stub) -> None:
    for stub in stubs:
        monitor.registry.attach(cast(ResilientWebSocket, stub))


def stop(stub: Stub) -> None:
    stub.end(ConnectionState.DISCONNECTED)


def fail(stub: Stub) -> None:
    stub.end(ConnectionState.FAILED)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Move the clock of the monitor's module."""
    monkeypatch.setattr("wsresilient.observe.monitor.monotonic", lambda: monotonic() + seconds)


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

    stop(stopped)
    following = Stub("feed")
    attach(monitor, following)

    assert names(monitor) == ["feed#2", "feed"]
    assert following.is_running


# After the end.


def test_a_stopped_connection_is_seen_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = Monitor(keep_stopped=60.0)
    stopped, other = Stub("feed"), Stub("other")
    attach(monitor, stopped, other)
    stop(stopped)

    later(monkeypatch, 59.0)
    assert names(monitor) == ["feed", "other"]
    later(monkeypatch, 61.0)
    assert names(monitor) == ["other"]
    assert list(monitor.get_history()["connections"]) == ["other"]

    stopped.is_running = True  # started again
    stopped.record.begin_life()
    assert names(monitor) == ["feed", "other"]


def test_a_connection_that_has_failed_is_seen_as_long_as_it_exists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = Monitor(keep_stopped=60.0)
    failed = Stub("feed")
    attach(monitor, failed)
    fail(failed)

    later(monkeypatch, 1e6)
    assert monitor.get_summary()["status"] == "critical"
    failed.record.advance(ConnectionState.DISCONNECTED, "stop()")
    assert names(monitor) == []


def test_what_has_ended_and_is_gone_is_seen_with_its_last_stats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = Monitor(keep_stopped=60.0)
    gone = Stub("feed")
    attach(monitor, gone)
    gone.record.note_error("OSError: gone")
    fail(gone)
    del gone
    gc.collect()

    summary = monitor.get_summary()
    assert (summary["status"], summary["return_code"]) == ("critical", 2)
    assert summary["connections"]["feed"]["state"] == "failed"
    assert [
        one["text"] for one in monitor.get_history("feed")["connections"]["feed"]["errors"]
    ] == ["OSError: gone"]
    later(monkeypatch, 61.0)
    assert monitor.get_summary()["status"] == "ok"
    assert names(monitor) == []


def test_the_age_of_the_last_message_grows_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Status("feed", URL, ConnectionConfig())
    assert record.last_stats() == {}
    last = {"state": "connected", "last_message_age": 5.0}
    record.end_life(last | {"messages_per_minute": 9.5, "queue_depth": 7})
    monkeypatch.setattr("wsresilient.runtime.status.monotonic", lambda: monotonic() + 100.0)

    stats = record.last_stats()

    assert stats["state"] == "disconnected"
    assert (stats["messages_per_minute"], stats["queue_depth"]) == (0.0, 0)  # nothing comes
    assert 105.0 <= stats["last_message_age"] < 106.0


def test_what_is_gone_gives_way_to_the_next_of_its_name() -> None:
    monitor = Monitor()
    for _ in range(5):  # as a script does that makes a new one after each failure
        one = Stub("feed")
        attach(monitor, one)
        assert names(monitor) == ["feed"]
        fail(one)
        del one
        gc.collect()
        assert names(monitor) == ["feed"]


def test_what_was_never_started_is_gone_without_a_trace() -> None:
    monitor = Monitor()
    unused = Stub("feed")
    attach(monitor, unused)
    unused.is_running = False
    del unused
    gc.collect()

    assert names(monitor) == []


def test_a_registry_keeps_a_bounded_number_of_records() -> None:
    monitor = Monitor()
    kept = Stub("kept")
    attach(monitor, kept)
    for number in range(3 * MOST_RECORDS):
        one = Stub(f"feed {number}")
        attach(monitor, one)
        stop(one)
        del one
    gc.collect()

    assert len(monitor.registry.entries()) == MOST_RECORDS + 1
    assert names(monitor)[0] == "kept"
    assert names(monitor)[-1] == f"feed {3 * MOST_RECORDS - 1}"
    assert [one.name for one in monitor.registry.connections()] == ["kept"]
    assert kept.is_running


def test_recorded_connections_that_were_stopped_are_forgotten_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = Monitor(keep_stopped=60.0)
    for name in ("stopped", "failed", "unknown"):
        monitor.record_error(name, "no")
    monitor.record_state("stopped", "disconnected")
    monitor.record_state("failed", "failed")

    later(monkeypatch, 61.0)

    assert names(monitor) == ["failed", "unknown"]


@pytest.mark.parametrize("keep", [-1.0, None, "1 h"])
def test_how_long_to_keep_is_checked(keep: Any) -> None:
    with pytest.raises(ConfigurationError, match="keep_stopped is"):
        Monitor(keep_stopped=keep)


# History and diagnosis.


def test_history_is_json_and_knows_every_connection() -> None:
    monitor = Monitor()
    ws = ResilientWebSocket(URL, name="ours", monitor=monitor)
    monitor.record_error("theirs", "wss://u:p@h/ broke")
    monitor.record_state("theirs", "connected")
    monitor.record_state("theirs", "reconnecting")

    history = monitor.get_history()

    assert json.loads(json.dumps(history, allow_nan=False)) == history
    assert set(history["connections"]) == {ws.name, "theirs"}
    for past in history["connections"].values():
        assert list(past) == ["events", "errors", "rates", "rtt", "gaps"]
    theirs = history["connections"]["theirs"]
    assert theirs["errors"] == [{"at": theirs["errors"][0]["at"], "text": "wss://***@h/ broke"}]
    assert [(event["kind"], event["lasted"]) for event in theirs["events"]] == [("reported", None)]
    assert abs(theirs["events"][0]["at"] - history["at"]) < 10.0
    assert list(monitor.get_history("theirs")["connections"]) == ["theirs"]
    assert monitor.get_history("nobody")["connections"] == {}
    assert monitor.get_history(since=history["at"] + 1.0)["connections"]["theirs"]["errors"] == []


def test_recorded_connections_are_diagnosed() -> None:
    monitor = Monitor()
    monitor.record_message("well", 100)
    monitor.record_message("errors", 100)
    for _ in range(11):
        monitor.record_error("errors", "no")
        monitor.record_reconnect("reconnects")
    for _ in range(3):
        monitor.record_error("nothing but errors", "no")
    monitor.record_error("one error", "no")
    monitor.record_state("failed", "failed")
    monitor.record_error("stopped", "no")
    monitor.record_state("stopped", "disconnected")

    found = monitor.diagnose_connection_issues()

    assert found.keys() == ISSUES
    concerned = {issue: [one["connection"] for one in found[issue]] for issue in ISSUES}
    assert {issue: names for issue, names in concerned.items() if names} == {
        "high_error_rate": ["errors", "nothing but errors", "one error"],
        "frequent_reconnects": ["reconnects"],
        "lost_connections": ["failed"],
    }


def test_recorded_connections_are_judged_by_their_silence_and_their_absence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = Monitor()
    monitor.record_message("silent")
    monitor.record_state("lost", "connected")
    monitor.record_state("lost", "reconnecting")
    assert not any(monitor.diagnose_connection_issues().values())

    later(monkeypatch, 61.0)
    found = monitor.diagnose_connection_issues()
    assert [one["connection"] for one in found["stale_connections"]] == ["silent"]
    assert [one["connection"] for one in found["lost_connections"]] == ["lost"]

    monitor.record_message("silent")
    monitor.record_state("lost", "connected")
    assert not any(monitor.diagnose_connection_issues().values())


def test_thresholds_come_from_the_monitor_or_from_the_call() -> None:
    monitor = Monitor(thresholds=Thresholds(error_rate=0.5))
    monitor.record_message("feed", 30)
    for _ in range(3):
        monitor.record_error("feed", "no")

    assert monitor.diagnose_connection_issues()["high_error_rate"] == []
    found = monitor.diagnose_connection_issues(Thresholds())["high_error_rate"]
    assert [(one["value"], one["threshold"]) for one in found] == [(0.1, 0.05)]
    monitor.thresholds = Thresholds()
    assert monitor.diagnose_connection_issues()["high_error_rate"] == found
    with pytest.raises(ConfigurationError, match="thresholds is 3"):
        monitor.diagnose_connection_issues(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="thresholds is 'strict'"):
        Monitor(thresholds="strict")  # type: ignore[arg-type]


def test_the_default_monitor_diagnoses_too() -> None:
    assert diagnose_connection_issues().keys() == ISSUES
    assert diagnose_connection_issues(Thresholds(window=10.0)).keys() == ISSUES


def test_the_report_says_what_is_wrong_and_what_to_do() -> None:
    monitor = Monitor()
    monitor.record_message("feed", 10)
    for _ in range(3):
        monitor.record_error("feed", "no")
    monitor.record_state("feed", "reconnecting")
    file = io.StringIO()

    monitor.print_connection_report(file)

    text = file.getvalue()
    assert "ISSUE: high error rate\n  feed: 3 errors (3 of the connection) for 10 messages" in text
    assert "LATEST RECONNECTS\n 0.0 s ago  feed: reported, not back: no\n" in text


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
        ("record_message", ("a", 10**400), "count has 1329 bits; allowed: at most 2**63 - 1"),
        ("record_message", ("a", 1, 2**63), "size has 64 bits"),
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


def test_what_can_be_seen_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "monitoring.rst").read_text(encoding="utf-8")
    stats = ResilientWebSocket(URL, monitor=Monitor()).get_stats()
    thresholds = {field.name for field in dataclasses.fields(Thresholds)}

    undocumented = {name for name in (*stats, *ISSUES, *thresholds) if f"``{name}``" not in text}

    assert undocumented == set()


def test_it_is_part_of_the_public_names() -> None:
    for name in (
        "Monitor",
        "diagnose_connection_issues",
        "get_monitor",
        "get_summary",
        "print_connection_report",
    ):
        assert name in wsresilient.__all__
        assert getattr(wsresilient, name).__module__ == "wsresilient.observe.monitor"
