"""A connection of another library, known only from what its owner tells the monitor.

It is a plain value with the same stats as one of ours; the monitor guards it with its lock
and gives it the time.
"""

from __future__ import annotations

from typing import Any

from ..config import ConnectionConfig
from ..core.health import is_healthy, rate_stats
from ..core.history import ConnectionHistory
from ..core.metrics import RateWindow
from ..core.redact import redact_text, shorten
from ..core.samples import Totals
from ..core.state import ConnectionState
from ..core.urls import redact_name
from ..errors import describe

__all__ = ["ForeignConnection", "error_text"]

_CONNECTED, _DISCONNECTED = ConnectionState.CONNECTED, ConnectionState.DISCONNECTED

#: Seconds without a message after which such a connection is not healthy: the default of ours.
STALE_AFTER = ConnectionConfig().stale_after

#: Seconds behind a sample at which the counters are sampled when nothing came for so long: as far
#: apart as the history keeps them.
_PAUSES = (1.0, 4.0, 16.0, 64.0, 240.0)
#: The kind of outages of which only the owner knows the cause.
REPORTED = "reported"


def error_text(error: BaseException | str) -> str:
    """Say an error as it may be shown: on one line, redacted, never empty."""
    text = describe(error) if isinstance(error, BaseException) else str(error)
    return shorten(redact_text(text)).strip() or "an error without a text"


class ForeignConnection:
    """State, counters and history of one connection; times are monotonic seconds.

    Until :meth:`change_state` is called, messages and reconnects are taken as signs of being
    connected.

    :param name: its name in the monitor.
    :param now: when it was first heard of.
    :param wall: the wall clock at the same moment.
    """

    def __init__(self, name: str, now: float, wall: float = 0.0) -> None:
        self.name = redact_name(name)
        self.state = ConnectionState.DISCONNECTED
        self.history = ConnectionHistory()
        #: When its owner told that it was stopped, or None.
        self.stopped_at: float | None = None
        #: The wall clock minus the monotonic one; its owner keeps it up to date, as it may be set.
        self.wall_ahead = wall - now
        self._is_state_told = False
        self._connected_at: float | None = None
        self._last_message_at: float | None = None
        self._connects = 0
        self._reconnects = 0
        self._failures = 0
        self._messages = 0
        self._bytes = 0
        self._errors = 0
        self._last_error = ""
        self._cause = ""  # the latest error since it was connected
        self._rate = RateWindow()
        self._rate.sample(now, 0)
        self._rate_sampled_at = now
        self._sample(now)

    def add_messages(self, count: int, size: int, now: float) -> None:
        """Count messages.

        :param size: bytes of all of them.
        """
        self._sample_what_was(now)
        self._infer_connected(now)
        self._messages += count
        self._bytes += size
        if count:
            self._last_message_at = now
        self._sample_rate(now)

    def add_error(self, text: str, now: float) -> None:
        """Count an error and keep its text."""
        self._sample_what_was(now)
        self._errors += 1
        self._last_error = self._cause = text
        self.history.add_error(now + self.wall_ahead, text)

    def add_reconnect(self, now: float) -> None:
        """Count a connection that came back."""
        self._reconnects += 1
        self.history.add_reconnect(now)
        self._infer_connected(now)

    def change_state(self, state: ConnectionState, now: float) -> None:
        """Note the state; the first word from its owner ends all guessing."""
        self._is_state_told = True
        if state is not _DISCONNECTED:
            self.stopped_at = None
        elif self.stopped_at is None:
            self.stopped_at = now
        self._enter(state, now)

    def _infer_connected(self, now: float) -> None:
        if not self._is_state_told:
            self._enter(_CONNECTED, now)

    def _enter(self, state: ConnectionState, now: float) -> None:
        if state is self.state:
            return
        previous, self.state = self.state, state
        if state is _CONNECTED:
            self._connected_at = now
            self._connects += 1
            self._cause = ""
            self.history.opened(now, counts=False)
            return
        self._connected_at = None
        self._failures += state is ConnectionState.FAILED
        if previous is _DISCONNECTED:
            self.history.begin(now)
        if previous is _CONNECTED or state is ConnectionState.FAILED:
            is_stopped = state is _DISCONNECTED
            self.history.ended(
                now,
                now + self.wall_ahead,
                kind="stopped" if is_stopped else REPORTED,
                text=("" if is_stopped else self._cause) or f"its owner said {state}",
                planned=is_stopped,
                was_open=previous is _CONNECTED,
                is_error=False,  # its errors are told one by one
            )

    def _sample_what_was(self, now: float) -> None:
        """Sample the counters as they have been until now, before they change.

        Nobody looks at them every second: an old error must not seem to come with a new message.
        """
        before = self._sampled_at
        if now - before < _PAUSES[0]:
            return
        for pause in _PAUSES:
            if before + pause < now:
                self._sample(before + pause)
        self._sample(now)

    def _sample_rate(self, now: float) -> None:
        # Behind the change: a rate is of what came between two samples.
        if now - self._rate_sampled_at >= _PAUSES[0]:
            self._rate_sampled_at = now
            self._rate.sample(now, self._messages)

    def _sample(self, now: float) -> None:
        self._sampled_at = now
        totals = Totals(now, self._messages, self._errors)
        self.history.sample(totals, now + self.wall_ahead, None)

    def stats(self, now: float, wall: float) -> dict[str, Any]:
        """Everything in one dict, with the keys that connections of the library have.

        :param wall: the wall clock at the same moment.
        """
        self.wall_ahead = wall - now  # a clock may have been set
        self._sample_what_was(now)
        self._sample_rate(now)
        duration = 0.0 if self._connected_at is None else now - self._connected_at
        age = None if self._last_message_at is None else max(0.0, now - self._last_message_at)
        healthy = is_healthy(
            connected=self.state is _CONNECTED,
            last_message_age=age,
            duration=duration,
            stale_after=STALE_AFTER,
        )
        stats = {
            "name": self.name,
            "url": "",
            "state": self.state.value,
            "is_healthy": healthy,
            "reconnect_count": self._reconnects,
            "rotations": 0,
            "retry_count": 0,
            "subscribed_pairs": 0,
            "connect_time": None if self._connected_at is None else wall - duration,
            "connection_duration": duration,
            "last_message_time": None if age is None else wall - age,
            "last_message_age": age,
            "message_count": self._messages,
            "bytes_received": self._bytes,
            "messages_per_minute": round(self._rate.per_minute(now, self._messages), 1),
            "error_count": self._errors,
            "last_error": self._last_error,
            "callback_errors": 0,
            "dropped_messages": 0,
            "unrouted_messages": 0,
            "connection_failures": self._failures,
            "queue_depth": 0,
            "ping_rtt": None,
            "endpoint": "",
            "endpoints": [],
            "address": None,
            "generation": self._connects,
            "confirmed_subscriptions": 0,
            "failed_subscriptions": 0,
            "subscription_limit": None,
            "expects_data": True,
            "stale_after": STALE_AFTER,
            "slow_handler": None,
            **self.history.stats(now),
        }
        stats["quality_score"] = rate_stats(stats, self.history.hour_ago)
        return stats
