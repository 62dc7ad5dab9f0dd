"""What a user sends: at once where there is a connection, later where it may wait.

One for all lives of a connection; it paces by the send rate and knows the queue of messages
that wait. It does not know why there is no connection.
"""

from __future__ import annotations

import math
import threading

from ..config import ConnectionConfig
from ..core.outbox import Outbox, OutgoingMessage
from ..errors import NotConnectedError, SendTimeoutError
from .clock import monotonic
from .ratelimit import RateLimiter
from .sending import GateClosedError
from .transport import Attempt

__all__ = ["Outgoing"]


class Outgoing:
    """Sends messages of one connection.

    :param config: send_rate, send_queue_size, send_timeout.
    """

    def __init__(self, config: ConnectionConfig) -> None:
        rate = config.send_rate
        self._limiter = RateLimiter(rate) if isinstance(rate, (int, float)) else rate
        self._send_timeout = config.send_timeout
        self._lock = threading.Lock()  # guards _outbox
        self._outbox = Outbox(config.send_queue_size)

    @property
    def waiting(self) -> int:
        """Messages that wait for a connection."""
        return len(self._outbox)

    def send(self, attempt: Attempt, payload: bytes, *, text: bool, timeout: float) -> None:
        """Send at once, or as soon as the rate allows.

        :raises SendTimeoutError: the rate, or the peer, did not let it out in time.
        :raises NotConnectedError: the connection is closing, closed, or was lost meanwhile.
        """
        deadline = monotonic() + timeout
        if self._limiter is not None and not self._limiter.acquire(timeout=timeout):
            raise SendTimeoutError(
                f"nothing was sent: {self._limiter!r} let nothing out within {timeout:g} s"
            )
        rest = max(0.001, deadline - monotonic())
        attempt.sender.send_message(payload, text=text, timeout=rest)

    def enqueue(self, payload: bytes, *, text: bool, ttl: float | None) -> None:
        """Keep a message for the next connection.

        :param ttl: seconds after which it is forgotten, or None.
        :raises NotConnectedError: the queue is full.
        """
        now = monotonic()
        message = OutgoingMessage(payload, text, None if ttl is None else now + ttl)
        with self._lock:
            self._outbox.add(message, now=now)

    def flush(self, attempt: Attempt) -> float:
        """Send what waits, as the rate allows; on the connection's thread.

        :returns: seconds until the rate allows more, or infinity: nothing waits.
        """
        while True:
            with self._lock:
                message = self._outbox.next(now=monotonic())
            if message is None:
                return math.inf
            pause = 0.0 if self._limiter is None else self._limiter.try_acquire()
            if pause:
                self._put_back(message)
                return pause
            try:
                attempt.sender.send_message(
                    message.payload, text=message.text, timeout=self._send_timeout
                )
            except GateClosedError:
                self._put_back(message)
                return math.inf
            except (NotConnectedError, SendTimeoutError):
                # Part of it may be out; a message that could be a repeated order is not repeated.
                return math.inf

    def _put_back(self, message: OutgoingMessage) -> None:
        with self._lock:
            self._outbox.put_back(message)

    def clear(self) -> None:
        """Forget what waits."""
        with self._lock:
            self._outbox.clear()

    def forget_after_fork(self) -> None:
        """In a child: the lock may have been held by a thread that is no more."""
        self._lock = threading.Lock()
        self._outbox.clear()
