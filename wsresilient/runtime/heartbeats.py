"""Sending an exchange's own heartbeats, and noticing that nothing comes back.

On the connection's thread; it never waits.
"""

from __future__ import annotations

import math

from ..config import ConnectionConfig
from ..core.heartbeat import HeartbeatSchedule
from ..errors import PingTimeoutError, SendTimeoutError
from ..venues.base import Heartbeat
from .pacing import Pacer
from .transport import Attempt

__all__ = ["RETRY", "HeartbeatSender"]

#: Seconds after which something that the socket did not take is tried again.
RETRY = 0.05


class HeartbeatSender:
    """The heartbeats of one connection, attempt after attempt.

    :param beat: what is sent and when; None: nothing.
    :param config: send_timeout.
    :param pacer: is told of each.
    """

    def __init__(self, beat: Heartbeat | None, config: ConnectionConfig, pacer: Pacer) -> None:
        self._beat = beat
        self._send_timeout = config.send_timeout
        self._pacer = pacer
        self._schedule: HeartbeatSchedule | None = None
        self._number = 0
        self._stuck_since: float | None = None  # a heartbeat is due and the socket takes none

    def opened(self, now: float) -> None:
        """A connection's handshake is done."""
        self._stuck_since = None
        beat = self._beat
        if beat is not None:
            self._schedule = HeartbeatSchedule(
                interval=beat.interval,
                timeout=beat.timeout,
                only_in_silence=beat.when == "silent",
                now=now,
            )

    def tick(self, attempt: Attempt, now: float) -> float:
        """Send a heartbeat if one is due, and see whether the last one was answered.

        :returns: seconds until it has to be called again.
        :raises PingTimeoutError: nothing has come since the last one.
        :raises SendTimeoutError: the peer takes none.
        :raises NotConnectedError: the connection was lost.
        """
        schedule, beat = self._schedule, self._beat
        if schedule is None or beat is None:
            return math.inf
        received = attempt.last_received_at
        silence = schedule.silence(now, received)
        if silence is not None:
            raise PingTimeoutError(
                f"heartbeat timed out: nothing came for {silence:.1f} s, "
                f"the timeout is {beat.timeout:g} s"
            )
        wait = schedule.wait(now, received)
        if wait <= 0.0:
            if not self._send(attempt, beat, now):
                return RETRY
            schedule.sent(now)
            wait = beat.interval
        return max(0.001, min(wait, schedule.deadline() - now))

    def _send(self, attempt: Attempt, beat: Heartbeat, now: float) -> bool:
        if attempt.sender.try_send_text(beat.message(self._number + 1).encode()):
            self._number += 1
            # Never starved: it goes out whatever the rate says, and the rest waits longer.
            self._pacer.take()
            self._stuck_since = None
            return True
        if attempt.sender.due is not None:
            self._stuck_since = None  # a large message is on its way, and has its own deadline
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since > self._send_timeout:
            raise SendTimeoutError(
                f"the peer took no heartbeat for {now - self._stuck_since:.1f} s; "
                f"send_timeout is {self._send_timeout:g} s"
            )
        return False
