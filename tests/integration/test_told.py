"""What a connection tells of itself: states, names, reprs, threads, and get_stats() by its keys."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

import wsresilient
from wsresilient import ConfigurationError
from wsresilient.core.state import TRANSITIONS

from .clients import Seen, library_threads, quick, running
from .servers import Peer, raw_server, serve_nothing, wait_until

#: API.md, "The monitor".
STATS_KEYS = set(
    """name, url, state, is_healthy, reconnect_count, retry_count, subscribed_pairs, connect_time,
    connection_duration, last_message_time, last_message_age, message_count, bytes_received,
    messages_per_minute, error_count, last_error, callback_errors, dropped_messages, queue_depth,
    ping_rtt, quality_score, endpoint, generation""".replace(",", " ").split()
)
#: What get_summary() adds up, beyond the list.
MORE_KEYS = set(
    """unrouted_messages, connection_failures, rotations, address, endpoints,
    reconnects_last_hour, gap_count, slow_handler, last_close_code, last_failure_kind,
    confirmed_subscriptions, failed_subscriptions, subscription_limit, stale_after,
    expects_data""".replace(",", " ").split()
)


def test_states_follow_each_other_by_the_table_and_say_why() -> None:
    def behave(peer: Peer) -> None:
        if peer.number > 2:
            peer.serve()

    with raw_server(behave) as server, running(server.url) as (ws, seen):
        seen.wait_for_opens(3)
        assert ws.stop()
        states = [str(change.state) for change in seen.states]
        cycle = ["connecting", "connected", "reconnecting"]
        assert states == [*cycle, *cycle, "connecting", "connected", "disconnected"]
        for change in seen.states:
            assert change.state in TRANSITIONS[change.previous]
            assert change.message
            assert change.connection == "test"
            assert change.at > 1e9
        retries = [change.retry_count for change in seen.states]
        assert retries == [0, 0, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("ws://example.com", "example.com"),
        ("ws://example.com/", "example.com"),
        ("wss://user:hunter2-pw@example.com/ws/stream?token=hunter2-pw", "example.com/ws/stream"),
        (["ws://one.test/a", "ws://two.test/b"], "one.test/a"),
    ],
    ids=str,
)
def test_name_is_host_and_path_without_the_query(url: Any, name: str) -> None:
    ws = wsresilient.ResilientWebSocket(url)
    assert ws.name.rstrip("/") == name
    assert "hunter2" not in repr(ws) + str(ws.get_stats())


def test_name_of_a_callable_url_is_the_functions() -> None:
    def signed_url() -> str:
        raise AssertionError("not in the constructor")

    ws = wsresilient.ResilientWebSocket(signed_url)
    assert ws.name == "signed_url"
    assert ws.get_stats()["url"] == ""


def test_repr_says_name_state_url_and_counts() -> None:
    def behave(peer: Peer) -> None:
        peer.text("x")
        peer.serve()

    with raw_server(behave) as server, running(f"{server.url}/?key=hunter2-pw") as (ws, seen):
        seen.wait_for_messages(1)
        text = repr(ws)
        assert "'test' connected" in text
        assert server.url in text
        assert "messages=1 reconnects=0" in text
        assert "hunter2" not in text


def test_threads_have_the_names_of_the_design() -> None:
    settings: dict[str, Any] = {"ping_interval": 5, "ping_timeout": 2}
    with raw_server(serve_nothing) as server, running(server.url, **settings) as (_, seen):
        seen.wait_for_opens(1)
        names = set(library_threads())
        assert {"wsr-test", "wsr-watchdog"} <= names
        others = names - {"wsr-test", "wsr-watchdog"}
        assert all(name.startswith("wsr-dispatch-") or "_send_ping" in name for name in others)
        assert 2 <= len(others) <= 4
        assert all(
            thread.daemon for thread in threading.enumerate() if thread.name.startswith("wsr-")
        )


def test_stats_have_the_keys_of_the_api_at_every_time() -> None:
    def behave(peer: Peer) -> None:
        peer.text("four")
        peer.serve()

    seen = Seen()
    with raw_server(behave) as server:
        ws = quick(server.url, **seen.handlers())
        before = ws.get_stats()
        with ws:
            seen.wait_for_messages(1)
            during = ws.get_stats()
        after = ws.get_stats()
    for stats in (before, during, after):
        assert set(stats) == STATS_KEYS | MORE_KEYS
        assert json.loads(json.dumps(stats)) == stats
    assert [stats["state"] for stats in (before, during, after)] == [
        "disconnected",
        "connected",
        "disconnected",
    ]
    assert before["connect_time"] is before["last_message_age"] is before["ping_rtt"] is None
    assert (during["message_count"], during["is_healthy"], during["generation"]) == (1, True, 1)
    assert during["bytes_received"] >= 6
    assert during["connection_duration"] > 0.0
    assert 0 < during["quality_score"] <= 100
    assert (after["message_count"], after["is_healthy"], after["quality_score"]) == (1, False, 0)
    assert after["connect_time"] is None


def test_freshness_is_the_age_of_the_latest_message() -> None:
    def behave(peer: Peer) -> None:
        peer.text("x")
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (ws, seen):
        seen.wait_for_messages(1)
        assert ws.is_fresh(max_age=60.0)
        wait_until(lambda: not ws.is_fresh(max_age=0.001))


@pytest.mark.parametrize("call", ["subscribe", "unsubscribe", "add_pair", "remove_pair"])
def test_topics_without_a_venue_are_refused(call: str) -> None:
    ws = quick("ws://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="venue"):
        getattr(ws, call)("btcusdt@trade")
