"""From the stats of single connections to one summary; arithmetic without a clock or a lock.

All sums are taken over the very dicts that the summary contains, so that they always match,
whatever the connections do meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..core.state import ConnectionState

__all__ = ["is_active", "overall_status", "summarise"]

#: Started and neither stopped nor given up.
_ACTIVE = frozenset(
    {
        ConnectionState.CONNECTING.value,
        ConnectionState.CONNECTED.value,
        ConnectionState.RECONNECTING.value,
    }
)

_RETURN_CODES = {"ok": 0, "warning": 1, "critical": 2}


def is_active(stats: Mapping[str, Any]) -> bool:
    """Tell whether a connection is meant to be up: started, and not stopped nor failed."""
    return stats["state"] in _ACTIVE


def overall_status(connections: Collection[Mapping[str, Any]]) -> str:
    """Judge all connections together, as monitoring plug-ins do.

    - "critical": a connection has failed, or connections are active and none of them is healthy;
    - "warning": some active connections are healthy and some are not;
    - "ok": every active connection is healthy, also when there is none: what was stopped on
      purpose, or never started, is no problem.

    :param connections: the stats of each.
    """
    if any(stats["state"] == ConnectionState.FAILED.value for stats in connections):
        return "critical"
    healthy = [bool(stats["is_healthy"]) for stats in connections if is_active(stats)]
    if all(healthy):
        return "ok"
    return "warning" if any(healthy) else "critical"


def summarise(connections: Mapping[str, dict[str, Any]], *, uptime: float) -> dict[str, Any]:
    """Make the summary of a process.

    ``messages_per_minute`` is the sum of the connections' rates, ``healthy_connections`` counts
    active ones only, ``connection_failures`` attempts that did not lead to a connection.
    ``return_code`` is 0 for "ok", 1 for "warning", 2 for "critical" (:func:`overall_status`).

    :param connections: the stats of each connection by its unique name; the dicts are used as
        they are.
    :param uptime: seconds since the monitor began.
    """
    each = list(connections.values())
    active = [stats for stats in each if is_active(stats)]
    status = overall_status(each)
    return {
        "total_connections": len(each),
        "healthy_connections": sum(1 for stats in active if stats["is_healthy"]),
        "active_connections": len(active),
        "total_subscriptions": sum(stats["subscribed_pairs"] for stats in each),
        "messages_per_minute": round(sum(stats["messages_per_minute"] for stats in each), 1),
        "uptime": uptime,
        "routing_stats": _routing_stats(each),
        "connections": dict(connections),
        "status": status,
        "return_code": _RETURN_CODES[status],
    }


def _routing_stats(each: list[dict[str, Any]]) -> dict[str, int]:
    total = sum(stats["message_count"] for stats in each)
    # The counters of one connection are read one after the other: never count one message twice.
    unrouted = sum(min(stats["unrouted_messages"], stats["message_count"]) for stats in each)
    return {
        "total_messages": total,
        "routed_messages": total - unrouted,
        "unrouted_messages": unrouted,
        "callback_errors": sum(stats["callback_errors"] for stats in each),
        "reconnections": sum(stats["reconnect_count"] for stats in each),
        "connection_failures": sum(stats["connection_failures"] for stats in each),
    }
