"""When a connection may send: the exchange's limits, and the user's, one after the other."""

from __future__ import annotations

from typing import Any

from ..core.limits import Limits, Rate
from .ratelimit import RateLimiter

__all__ = ["Pacer"]


class Pacer:
    """The limits of one connection.

    :param limits: the exchange's.
    :param shared: the user's ``send_rate``: a number, a limiter that connections share, or None.
    """

    def __init__(self, limits: Limits, shared: Any = None) -> None:
        self._limits = limits
        self._shared = RateLimiter(shared) if isinstance(shared, (int, float)) else shared
        self._messages: RateLimiter | None = None
        self._requests: RateLimiter | None = None
        self.begin_connection()

    def __repr__(self) -> str:
        parts = [part for part in (self._messages, self._requests, self._shared) if part]
        return f"<Pacer {', '.join(map(repr, parts)) or 'without limits'}>"

    def begin_connection(self) -> None:
        """Begin anew where the exchange counts by connection."""
        limits = self._limits
        self._messages = self._requests = None
        if limits.messages is not None:
            self._messages = RateLimiter(limits.messages.per_second, burst=float(limits.burst))
        if limits.requests is not None:
            self._requests = _window(limits.requests)

    def for_connection(self) -> Pacer:
        """Make one for another connection; what the user shares, it shares too."""
        return Pacer(self._limits, self._shared)

    @property
    def text(self) -> str:
        """Say in words what limits there are."""
        limiters = [one for one in (self._messages, self._shared) if one is not None]
        return " and ".join(map(repr, limiters)) or "no limit"

    @property
    def is_unlimited(self) -> bool:
        """Whether anything may go out at any time."""
        return self._messages is None and self._shared is None

    def try_request(self) -> float:
        """Take what one request for topics needs; nothing where something is missing.

        :returns: 0.0 when it may go out, else seconds until it may.
        """
        own = [one for one in (self._messages, self._requests) if one is not None]
        wait = max((limiter.peek() for limiter in own), default=0.0)
        if wait <= 0.0 and self._shared is not None:
            wait = float(self._shared.try_acquire())
        if wait > 0.0:
            return wait
        for limiter in own:
            # Not try_acquire(): a send() of another thread may have come between.
            limiter.take()
        return 0.0

    def give_back(self) -> None:
        """Take back what :meth:`try_request` took for a request that did not go out."""
        for limiter in (self._messages, self._requests, self._shared):
            if isinstance(limiter, RateLimiter):
                limiter.give_back()

    def acquire(self, *, timeout: float) -> bool:
        """Wait until a user's message may go out; not on the reader's thread.

        :param timeout: seconds, for each limiter.
        """
        return all(
            limiter is None or bool(limiter.acquire(timeout=timeout))
            for limiter in (self._messages, self._shared)
        )

    def take(self) -> None:
        """Take what one message needs without waiting: heartbeats and logins."""
        if self._messages is not None:
            self._messages.take()


def _window(rate: Rate) -> RateLimiter:
    """Keep "so many in any window": half of them at once, the rest spread over the time."""
    burst = max(1, rate.count // 2)
    rest = max(1, rate.count - burst)  # of one in a window, the one is all there is
    return RateLimiter(rest / rate.seconds, burst=float(burst))
