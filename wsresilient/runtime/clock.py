"""The two clocks. Durations are measured with the monotonic one; the wall clock is for show."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["local_seconds_of_day", "monotonic", "wall_clock"]

monotonic: Callable[[], float] = time.monotonic
wall_clock: Callable[[], float] = time.time


def local_seconds_of_day() -> float:
    """Seconds since midnight, as the clock on the wall of this host shows them."""
    now = time.localtime(wall_clock())
    return now.tm_hour * 3600.0 + now.tm_min * 60.0 + now.tm_sec
