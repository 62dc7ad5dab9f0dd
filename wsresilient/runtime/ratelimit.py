"""A token bucket that several connections may share, so that a limit per address is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..config import check_seconds
from .clock import monotonic

__all__ = ["RateLimiter"]


class RateLimiter:
    """Lets ``rate`` messages a second pass, ``burst`` of them at once.

    :param rate: messages a second.
    :param burst: how many may go at once after a pause; None: as many as a second allows,
        at least one. With 1 they are evenly spaced, and no window of one second ever sees
        more than ``rate`` (but for :meth:`take`); otherwise up to ``burst`` come on top.
    :param clock: gives monotonic time, for tests.
    :raises ConfigurationError: a number is not allowed.
    """

    def __init__(
        self,
        rate: float,
        *,
        burst: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        check_seconds("rate", rate, exclusive=True)
        check_seconds("burst", burst, minimum=1.0, optional=True)
        self._rate = rate
        self._burst = max(1.0, rate) if burst is None else burst
        self._clock = clock
        # Guards the fields below; the wait for a token happens outside of it.
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._at = clock()
        self._pause = threading.Event()  # never set: a sleep that names what it waits for

    def __repr__(self) -> str:
        return f"<RateLimiter {self._rate:g}/s, burst {self._burst:g}>"

    def try_acquire(self) -> float:
        """Take a token if there is one.

        :returns: 0.0 when it was taken, else seconds until there will be one.
        """
        with self._lock:
            self._refill()
            if self._tokens >= 1.0:
                self._tokens -= 1.0
                return 0.0
            return (1.0 - self._tokens) / self._rate

    def reserve(self) -> float:
        """Do the same as :meth:`try_acquire`, for ``connect_limiter=``: a token is a connect."""
        return self.try_acquire()

    def take(self) -> None:
        """Take a token though there may be none: for what must not wait, such as heartbeats.

        The others make up for it: they wait until the debt is paid back. It never grows
        beyond what one second pays (or one token), so that they are not starved either.
        """
        with self._lock:
            self._refill()
            self._tokens = max(self._tokens - 1.0, -max(1.0, self._rate))

    def _refill(self) -> None:
        """Add the tokens that the time since the last look has brought; the lock is held."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now

    def peek(self) -> float:
        """Seconds until there will be a token; 0.0: there is one. Nothing is taken."""
        with self._lock:
            self._refill()
            return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate

    def give_back(self) -> None:
        """Put a token back that was taken for something that did not happen."""
        with self._lock:
            self._tokens = min(self._burst, self._tokens + 1.0)

    def acquire(self, *, timeout: float | None = None) -> bool:
        """Wait for a token and take it; not for the reader's thread.

        :param timeout: seconds; None waits for ever.
        :returns: whether there was one in time.
        """
        deadline = None if timeout is None else self._clock() + timeout
        while True:
            pause = self.try_acquire()
            if not pause:
                return True
            if deadline is not None and self._clock() + pause > deadline:
                return False
            self._pause.wait(min(pause, 1.0))  # in pieces, so that Ctrl-C is heard
