"""Counters with one writer each, and what is derived from them when somebody looks.

Nothing here is called per message: a thread adds to its own counters per batch, a reader
copies them. Time is an argument.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Carried", "ConnectionCounters", "HandlerCounters", "RateWindow", "Traffic"]


class Carried(Protocol):
    """What one connection has brought so far: a :class:`Traffic` that still grows."""

    @property
    def messages(self) -> int:
        """Data messages that reached the lane while there was no other connection beside it."""

    @property
    def bytes_received(self) -> int:
        """Bytes."""

    @property
    def last_message_at(self) -> float | None:
        """Monotonic time of the latest message, or None."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What connections have brought that have ended; see :class:`Carried`."""

    messages: int = 0
    bytes_received: int = 0
    last_message_at: float | None = None

    def plus(self, other: Carried) -> Traffic:
        """Return the sum."""
        times = [one.last_message_at for one in (self, other) if one.last_message_at is not None]
        return Traffic(
            self.messages + other.messages,
            self.bytes_received + other.bytes_received,
            max(times, default=None),
        )


@dataclass(slots=True)
class ConnectionCounters:
    """Written by the connection's thread only.

    :ivar errors: failures of attempts and connections.
    :ivar connects: successful attempts.
    :ivar reconnects: those that brought a lost connection back.
    :ivar rotations: those that replaced a connection as planned, with or without a hole.
    :ivar failures: attempts that did not succeed.
    """

    errors: int = 0
    connects: int = 0
    reconnects: int = 0
    rotations: int = 0
    failures: int = 0


@dataclass(slots=True)
class HandlerCounters:
    """Written by the one thread that serves the lane at a time.

    :ivar callback_errors: handler calls that raised.
    :ivar unrouted: messages that no handler took.
    """

    callback_errors: int = 0
    unrouted: int = 0


class RateWindow:
    """A rate over the last minute, from samples of a counter that only grows.

    :param span: seconds.
    """

    def __init__(self, span: float = 60.0) -> None:
        self._span = span
        self._samples: deque[tuple[float, int]] = deque()
        # The ends of it: whoever looks at hundreds of connections need not touch the deque.
        self._oldest: tuple[float, int] | None = None
        self._sampled_at = 0.0

    def sample(self, now: float, count: int) -> None:
        """Note the counter; about once a second is enough."""
        samples = self._samples
        samples.append((now, count))
        while len(samples) > 2 and samples[1][0] <= now - self._span:
            samples.popleft()
        self._sampled_at = now
        self._oldest = samples[0]

    def per_minute(self, now: float, count: int) -> float:
        """Messages a minute over the window, or since the first sample if that is shorter."""
        oldest = self._oldest
        if oldest is None:
            return 0.0
        then, before = oldest
        elapsed = now - then
        # Nobody samples a connection that has ended.
        if elapsed <= 0.0 or now - self._sampled_at > self._span:
            return 0.0
        # A stream that began a moment ago is not extrapolated from a fraction of a second.
        return (count - before) * 60.0 / max(elapsed, 1.0)
