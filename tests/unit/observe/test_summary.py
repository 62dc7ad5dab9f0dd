"""The arithmetic of a summary: sums over the stats that it contains, and one judgement."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.observe.summary import overall_status, summarise


def stats(
    state: str = "connected", *, healthy: bool | None = None, **others: Any
) -> dict[str, Any]:
    """Stats of a connection, as far as a summary needs them."""
    return {
        "name": "one",
        "state": state,
        "is_healthy": state == "connected" if healthy is None else healthy,
        "subscribed_pairs": 0,
        "messages_per_minute": 0.0,
        "message_count": 0,
        "unrouted_messages": 0,
        "callback_errors": 0,
        "reconnect_count": 0,
        "connection_failures": 0,
    } | others


def test_nothing_gives_a_summary_with_every_key() -> None:
    assert summarise({}, uptime=3.0) == {
        "total_connections": 0,
        "healthy_connections": 0,
        "active_connections": 0,
        "total_subscriptions": 0,
        "messages_per_minute": 0,
        "uptime": 3.0,
        "routing_stats": {
            "total_messages": 0,
            "routed_messages": 0,
            "unrouted_messages": 0,
            "callback_errors": 0,
            "reconnections": 0,
            "connection_failures": 0,
        },
        "connections": {},
        "status": "ok",
        "return_code": 0,
    }


def test_sums_are_taken_over_all_connections() -> None:
    summary = summarise(
        {
            "a": stats(
                message_count=10,
                unrouted_messages=4,
                messages_per_minute=1.5,
                callback_errors=1,
                reconnect_count=2,
                connection_failures=3,
                subscribed_pairs=5,
            ),
            "b": stats("disconnected", message_count=7, messages_per_minute=0.2, reconnect_count=1),
        },
        uptime=1.0,
    )

    assert summary["routing_stats"] == {
        "total_messages": 17,
        "routed_messages": 13,
        "unrouted_messages": 4,
        "callback_errors": 1,
        "reconnections": 3,
        "connection_failures": 3,
    }
    assert summary["messages_per_minute"] == pytest.approx(1.7)
    assert summary["total_subscriptions"] == 5
    assert summary["total_connections"] == 2
    assert summary["active_connections"] == summary["healthy_connections"] == 1
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_no_message_is_both_routed_and_unrouted_when_counters_were_read_one_by_one() -> None:
    routing = summarise({"a": stats(message_count=5, unrouted_messages=6)}, uptime=0.0)[
        "routing_stats"
    ]

    assert routing["routed_messages"] == 0
    assert routing["unrouted_messages"] == routing["total_messages"] == 5


@pytest.mark.parametrize(
    ("connections", "status"),
    [
        ([], "ok"),
        ([stats("disconnected")], "ok"),
        ([stats()], "ok"),
        ([stats(), stats("disconnected")], "ok"),
        ([stats(), stats("reconnecting")], "warning"),
        ([stats(), stats(healthy=False)], "warning"),
        ([stats("connecting")], "critical"),
        ([stats("reconnecting"), stats("disconnected")], "critical"),
        ([stats(healthy=False)], "critical"),
        ([stats("failed")], "critical"),
        ([stats(), stats(), stats("failed")], "critical"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(s["state"] for s in value),
)
def test_status_follows_the_rule(connections: list[dict[str, Any]], status: str) -> None:
    assert overall_status(connections) == status
    summary = summarise({str(n): one for n, one in enumerate(connections)}, uptime=0.0)
    assert (summary["status"], summary["return_code"]) == (
        status,
        {"ok": 0, "warning": 1, "critical": 2}[status],
    )


def test_a_failed_connection_is_not_active() -> None:
    assert summarise({"a": stats("failed")}, uptime=0.0)["active_connections"] == 0
