"""The two clocks. Durations are measured with the monotonic one; the wall clock is for show."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["monotonic", "wall_clock"]

monotonic: Callable[[], float] = time.monotonic
wall_clock: Callable[[], float] = time.time
