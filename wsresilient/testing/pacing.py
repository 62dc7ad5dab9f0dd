"""How fast bytes may pass: latency, bandwidth and slices, decided without a socket or a clock.

The proxy asks what may go now and says what went; the time always comes in as an argument, in
seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from wsresilient.errors import ConfigurationError

__all__ = ["Pace", "Pipe"]

# With a bandwidth, bytes go in portions of so many seconds: short enough to be a stream.
_QUANTUM = 0.02


@dataclass(frozen=True)
class Pace:
    """The settings of both directions of every connection.

    :ivar latency: seconds that each byte is held back, in each direction.
    :ivar bandwidth: bytes per second for each direction of each connection; None: no limit.
    :ivar slice_size: bytes per write at most; None: as many as there are.
    :ivar slice_interval: seconds between two writes.
    """

    latency: float = 0.0
    bandwidth: float | None = None
    slice_size: int | None = None
    slice_interval: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latency", "slice_interval"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be 0 or more, not {getattr(self, name)!r}")
        if self.bandwidth is not None and self.bandwidth <= 0:
            raise ConfigurationError(f"bandwidth must be above 0 or None, not {self.bandwidth!r}")
        if self.slice_size is not None and self.slice_size < 1:
            raise ConfigurationError(
                f"slice_size must be 1 or more or None, not {self.slice_size!r}"
            )


class Pipe:
    """The bytes of one direction that have come and may not go yet.

    :ivar buffered: how many bytes wait.
    """

    def __init__(self) -> None:
        self.buffered = 0
        self._chunks: deque[tuple[float, memoryview]] = deque()
        self._next_write_at = float("-inf")

    def __repr__(self) -> str:
        return f"<Pipe buffered={self.buffered}>"

    def push(self, data: bytes, now: float) -> None:
        """Take bytes that came at ``now``."""
        self._chunks.append((now, memoryview(data)))
        self.buffered += len(data)

    def portion(self, pace: Pace, now: float) -> memoryview | None:
        """Tell what may be written at ``now``; None: nothing. It stays until :meth:`sent`."""
        due = self.due(pace)
        if due is None or due > now:
            return None
        data = self._chunks[0][1]
        size = len(data)
        if pace.slice_size is not None:
            size = min(size, pace.slice_size)
        if pace.bandwidth is not None:
            size = min(size, max(1, int(pace.bandwidth * _QUANTUM)))
        return data[:size]

    def sent(self, count: int, pace: Pace, now: float) -> None:
        """Forget the first ``count`` bytes, which were written at ``now``."""
        came_at, data = self._chunks.popleft()
        if count < len(data):
            self._chunks.appendleft((came_at, data[count:]))
        self.buffered -= count
        if pace.bandwidth is not None:
            # Counted from when it was due and not from now: a late loop does not add up.
            start = max(self._next_write_at, now - _QUANTUM)
            self._next_write_at = start + count / pace.bandwidth
        if pace.slice_interval:
            self._next_write_at = max(self._next_write_at, now + pace.slice_interval)

    def due(self, pace: Pace) -> float | None:
        """Tell when the next byte may go; None: there is none. May be in the past."""
        if not self._chunks:
            return None
        return max(self._chunks[0][0] + pace.latency, self._next_write_at)

    def release(self) -> None:
        """Forget when the next write was due, because the pace was changed."""
        self._next_write_at = float("-inf")

    def flip_next(self) -> bool:
        """Turn every bit of the next byte around.

        :returns: False when no byte waits.
        """
        if not self._chunks:
            return False
        came_at, data = self._chunks[0]
        self._chunks[0] = (came_at, memoryview(bytes([data[0] ^ 0xFF]) + bytes(data[1:])))
        return True

    def clear(self) -> None:
        """Throw away what waits."""
        self._chunks.clear()
        self.buffered = 0
