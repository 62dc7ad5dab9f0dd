"""When a heartbeat is due, and when its silence means that the link is dead. Time comes in."""

from __future__ import annotations

import math

__all__ = ["HeartbeatSchedule"]


class HeartbeatSchedule:
    """Keeps the time of one connection's heartbeats.

    :param interval: seconds from one to the next.
    :param timeout: seconds in which something must come after one.
    :param only_in_silence: only after ``interval`` seconds without a byte.
    :param now: monotonic time at which the connection opened.
    """

    def __init__(
        self, *, interval: float, timeout: float, only_in_silence: bool, now: float
    ) -> None:
        self._interval = interval
        self._timeout = timeout
        self._only_in_silence = only_in_silence
        self._last = now  # sent, or opened
        self._unanswered: float | None = None  # since when, the oldest

    def __repr__(self) -> str:
        return f"<HeartbeatSchedule every {self._interval:g} s, timeout {self._timeout:g} s>"

    def wait(self, now: float, last_received: float) -> float:
        """Seconds until the next one is due: 0 means now.

        :param last_received: monotonic time of the latest byte of the server.
        """
        since = max(self._last, last_received) if self._only_in_silence else self._last
        return max(0.0, since + self._interval - now)

    def silence(self, now: float, last_received: float) -> float | None:
        """Seconds without a byte, where they say that the link is dead; else None."""
        if self._unanswered is None:
            return None
        if last_received > self._unanswered:
            self._unanswered = None
            return None
        return now - last_received if now >= self._unanswered + self._timeout else None

    def deadline(self) -> float:
        """Monotonic time at which :meth:`silence` has to be asked."""
        return math.inf if self._unanswered is None else self._unanswered + self._timeout

    def sent(self, now: float) -> None:
        """Note that one went out."""
        self._last = now
        self.missed(now)

    def missed(self, now: float) -> None:
        """Note that one could not go out: a peer that takes nothing is dead after a while too."""
        if self._unanswered is None:
            self._unanswered = now
