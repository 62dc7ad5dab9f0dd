"""Where a connection stands: its state, its counters, and what is derived from them.

The supervisor writes, on the connection's thread; everybody else reads or waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ..config import ConnectionConfig
from ..core.events import StateChange
from ..core.health import is_healthy, quality_score
from ..core.metrics import ConnectionCounters, RateWindow
from ..core.state import ConnectionState, transition
from .clock import monotonic, wall_clock
from .delivery import Delivery
from .handlers import HandlerSet
from .transport import Attempt

__all__ = ["Status"]

HOUR = 3600.0


class Status:
    """State and counters of one connection, over all its lives.

    :param name: the connection's.
    :param url: shown until an attempt knows better.
    """

    def __init__(self, name: str, url: str, config: ConnectionConfig) -> None:
        self.name = name
        self.url = url
        self._config = config
        # Guards state; told about every change of it, and of what supervisors wait for.
        self.changed = threading.Condition(threading.RLock())
        self.state = ConnectionState.DISCONNECTED
        self.counters = ConnectionCounters()
        self.rate = RateWindow()
        self.generation = 0
        self.retry_count = 0
        self.last_error = ""
        self.connected_at: float | None = None  # monotonic
        self.connected_wall: float | None = None
        self.endpoint = ""
        self.ping_rtt: float | None = None
        self.dropped_before = 0  # in earlier lives
        self.unrouted_before = 0
        self.reconnect_times: deque[float] = deque(maxlen=1000)

    def advance(self, new: ConnectionState, message: str) -> StateChange:
        """Take one step; the one place that writes the state.

        :raises IllegalTransitionError: it may not follow.
        """
        with self.changed:
            previous = self.state
            self.state = transition(previous, new)
            self.changed.notify_all()
        return StateChange(
            state=new,
            message=message,
            retry_count=self.retry_count,
            previous=previous,
            connection=self.name,
            at=wall_clock(),
        )

    def keep_counts(self, delivery: Delivery) -> None:
        """Add up what an ended life counted for itself."""
        self.dropped_before += delivery.dropped
        self.unrouted_before += delivery.unpulled

    def forget_after_fork(self) -> None:
        """In a child: nothing of the parent's connection is left."""
        self.changed = threading.Condition(threading.RLock())
        self.state = ConnectionState.DISCONNECTED
        self.connected_at = self.connected_wall = None

    def wait_for(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until a condition holds.

        :param timeout: seconds; None waits for ever. It is waited in short pieces, so that
            Ctrl-C is heard on every system.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self.changed:
            while not condition():
                rest = 1.0 if deadline is None else min(1.0, deadline - monotonic())
                if rest <= 0.0:
                    return False
                self.changed.wait(rest)
        return True

    @property
    def last_message_age(self) -> float | None:
        """Seconds since the latest data message, or None before the first."""
        at = self.counters.last_message_at
        return None if at is None else max(0.0, monotonic() - at)

    def bytes_received(self, attempt: Attempt | None) -> int:
        """Bytes of all attempts, the running one included."""
        return self.counters.bytes_received + (attempt.bytes_received if attempt else 0)

    def reconnects_last_hour(self, now: float) -> int:
        """How often it had to come back in the last hour."""
        return sum(1 for at in tuple(self.reconnect_times) if now - at <= HOUR)

    def is_healthy(self) -> bool:
        """Whether it is connected and its feed alive."""
        connected_at = self.connected_at
        return is_healthy(
            connected=self.state is ConnectionState.CONNECTED,
            last_message_age=self.last_message_age,
            duration=0.0 if connected_at is None else monotonic() - connected_at,
            stale_after=self._config.stale_after,
        )

    def stats(
        self,
        *,
        attempt: Attempt | None,
        delivery: Delivery | None,
        handlers: HandlerSet,
        subscribed: int,
    ) -> dict[str, Any]:
        """Everything in one dict of plain values; the keys are part of the API."""
        now, wall = monotonic(), wall_clock()
        counters = self.counters
        age = self.last_message_age
        connected_at = self.connected_at
        dropped, unrouted = self.dropped_before, self.unrouted_before + handlers.counters.unrouted
        if delivery is not None:
            dropped, unrouted = dropped + delivery.dropped, unrouted + delivery.unpulled
        ping_rtt = attempt.ping_rtt if attempt is not None else None
        healthy = self.is_healthy()
        return {
            "name": self.name,
            "url": self.url,
            "state": self.state.value,
            "is_healthy": healthy,
            "reconnect_count": counters.reconnects,
            "retry_count": self.retry_count,
            "subscribed_pairs": subscribed,
            "connect_time": self.connected_wall,
            "connection_duration": 0.0 if connected_at is None else now - connected_at,
            "last_message_time": None if age is None else wall - age,
            "last_message_age": age,
            "message_count": counters.messages,
            "bytes_received": self.bytes_received(attempt),
            "messages_per_minute": round(self.rate.per_minute(now, counters.messages), 1),
            "error_count": counters.errors,
            "last_error": self.last_error,
            "callback_errors": handlers.counters.callback_errors,
            "dropped_messages": dropped,
            "unrouted_messages": unrouted,
            "connection_failures": counters.failures,
            "queue_depth": 0 if delivery is None else delivery.queue_depth,
            "ping_rtt": ping_rtt,
            "quality_score": quality_score(
                healthy=healthy,
                last_message_age=age,
                reconnects_per_hour=self.reconnects_last_hour(now),
                errors=counters.errors + handlers.counters.callback_errors,
                messages=counters.messages,
                dropped=dropped,
                ping_rtt=ping_rtt,
            ),
            "endpoint": self.endpoint,
            "address": attempt.address if attempt is not None else None,
            "generation": self.generation,
        }
