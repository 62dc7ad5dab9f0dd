"""The half of a pool that tells how it is, and restarts what is not well."""

from __future__ import annotations

from typing import Any

from ..errors import WSResilientError, describe
from .clock import monotonic
from .logs import Log
from .pool_member import ConnectionMetrics
from .pool_symbols import PoolSymbols

__all__ = ["PoolHealth"]

log = Log("wsresilient.pool")


class PoolHealth(PoolSymbols):
    """Metrics, health and statistics of a pool."""

    def get_connection_metrics(self) -> dict[str, ConnectionMetrics]:
        """Say how each connection is, by its name."""
        return {member.name: member.metrics() for member in self._roster.members()}

    def check_health(self) -> dict[str, Any]:
        """Say which connections are not healthy.

        :returns: all_healthy, unhealthy (names), healthy and total (numbers), waiting (those whose
            turn in the warm-up has not come; they are neither healthy nor unhealthy), and reasons
            {name: last error}.
        """
        members = self._roster.members()
        started = [member for member in members if member.is_started]
        unhealthy = [member for member in started if not member.ws.is_healthy]
        return {
            "all_healthy": len(started) == len(members) and not unhealthy,
            "unhealthy": [member.name for member in unhealthy],
            "healthy": len(started) - len(unhealthy),
            "total": len(members),
            "waiting": len(members) - len(started),
            "reasons": {
                member.name: member.ws.last_error or f"it is {member.ws.state}"
                for member in unhealthy
            },
        }

    def restart_unhealthy_connections(self) -> list[str]:
        """Restart the connections that are not healthy, now, whatever they are waiting for.

        :returns: their names.
        """
        restarted = []
        for member in self._roster.members():
            if self._is_started and member.is_started and not member.ws.is_healthy:
                try:
                    is_restarted = member.restart(monotonic())
                except WSResilientError as error:
                    log.warning("%s: not restarted: %s", member.name, describe(error))
                    is_restarted = False
                if is_restarted:
                    restarted.append(member.name)
        return restarted

    def get_statistics(self) -> dict[str, Any]:
        """Say how the pool is, in plain values that JSON can hold."""
        with self._roster.hold():
            members = self._roster.members()
            others = [one for one in self._roster.everybody() if one not in members]
            messages, reconnects = self._roster.messages_before, self._roster.reconnects_before
            duplicates = self._moves.duplicates
        stats = [member.ws.get_stats() for member in members]
        counted = [*stats, *(one.ws.get_stats() for one in others)]
        if self._redundancy is not None:
            duplicates += self._redundancy.duplicates
        return {
            "name": self.name,
            "total_connections": len(members),
            "active_connections": sum(one["state"] == "connected" for one in stats),
            "healthy_connections": sum(one["is_healthy"] for one in stats),
            "waiting_connections": sum(not member.is_started for member in members),
            "total_subscriptions": len(self.subscriptions),
            "confirmed_subscriptions": sum(one["confirmed_subscriptions"] for one in stats),
            "failed_subscriptions": len(self.failed_subscriptions),
            "free_slots": self.free_slots(),
            "messages_per_minute": round(sum(one["messages_per_minute"] for one in stats), 1),
            "total_messages": messages + sum(one["message_count"] for one in counted),
            "reconnects": reconnects + sum(one["reconnect_count"] for one in counted),
            "rotations": self._keeper.rotations,
            "duplicates_dropped": duplicates,
            "endpoints": {one["name"]: one["endpoints"] for one in stats},
            "following": self.following_stats(),
        }
