"""Counters over time: how they stood at the beginning of a window, and a point for each minute.

Bounded: samples grow sparser with their age, and points go back a day. One thread writes;
readers copy with one operation of the interpreter.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["HOUR", "MOST_POINTS", "MinuteSeries", "ThinningSamples", "Totals"]

HOUR = 3600.0
MOST_POINTS = 1440  # minutes: a day

# Samples of the counters grow sparser with their age: how far back a window reaches is known to
# a few percent, whether it is a second or an hour. Seconds between samples, and how many.
_SPACINGS = (0.05, 0.25, 1.0, 4.0, 16.0, 64.0, 240.0)
_SAMPLES_EACH = 24

#: Seconds by which a wall clock that is set back differs from one that is only adjusted.
_CLOCK_STEP = 1.0


class Totals(NamedTuple):
    """Counters that only grow, at one moment.

    :ivar at: monotonic seconds.
    :ivar messages: data messages.
    :ivar errors: failures of attempts and connections.
    :ivar callback_errors: handler calls that raised.
    :ivar dropped: messages dropped by the overflow policy.
    :ivar holes: gaps that were neither planned nor filled.
    :ivar link_errors: of the errors those that were a lost connection or an attempt that failed.
    """

    at: float
    messages: int = 0
    errors: int = 0
    callback_errors: int = 0
    dropped: int = 0
    holes: int = 0
    link_errors: int = 0


class ThinningSamples:
    """Samples of the counters that grow sparser with their age."""

    __slots__ = ("_tiers",)

    def __init__(self) -> None:
        self._tiers: tuple[deque[Totals], ...] = tuple(
            deque(maxlen=_SAMPLES_EACH) for _ in _SPACINGS
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is no sample yet."""
        return not self._tiers[0]

    def add(self, totals: Totals) -> bool:
        """Add a sample; returns whether it went as far as the sparsest tier."""
        for tier, spacing in zip(self._tiers, _SPACINGS, strict=True):
            if tier and totals.at - tier[-1].at < spacing:
                return False
            tier.append(totals)
        return True

    def before(self, at: float) -> Totals:
        """The counters as they were at ``at``, or shortly before; else the oldest."""
        oldest = Totals(at)
        for tier in self._tiers:
            samples: Sequence[Totals] = tuple(tier)
            if not samples:
                return oldest
            oldest = samples[0]
            if oldest.at <= at:
                return samples[bisect_right(samples, at, key=_time_of) - 1]
        return oldest

    def hour_ago(self) -> Totals:
        """The counters as they were about an hour before the latest sample, or at the beginning."""
        tier = self._tiers[-1]
        return tier[-min(len(tier), 1 + math.ceil(HOUR / _SPACINGS[-1]))]


def _time_of(totals: Totals) -> float:
    return totals.at


class MinuteSeries:
    """Message rate and round-trip time, one point a minute.

    In one array of doubles: a day of a connection takes 34 KiB. Each point goes in and out with
    one operation, so that readers never see half of one.
    """

    __slots__ = ("_begun", "_clock", "_latest", "_points", "_worst_rtt")

    def __init__(self) -> None:
        self._points = array("d")  # wall clock, messages a minute, seconds; and again
        self._clock: tuple[float, float] | None = None  # now and wall of the latest look
        self._begun: tuple[float, int] | None = None  # of the running minute: time, messages
        self._latest: tuple[float, float, float] | None = None  # the point so far
        self._worst_rtt = math.nan

    def interrupt(self) -> None:
        """Begin a new minute with the next sample: in between there was nothing."""
        self._begun = self._latest = None
        self._worst_rtt = math.nan

    def add(self, now: float, wall: float, messages: int, ping_rtt: float | None) -> None:
        """Add to the running minute.

        :param messages: all up to now.
        :param ping_rtt: seconds that the latest ping took, or None.
        """
        if self._clock is not None:
            set_back = self._clock[1] + (now - self._clock[0]) - wall
            if set_back > _CLOCK_STEP:
                self._move_back(set_back)
        self._clock = (now, wall)
        if self._begun is None:
            self._begun = (now, messages)
            return
        if ping_rtt is not None and not self._worst_rtt >= ping_rtt:
            self._worst_rtt = ping_rtt
        began, before = self._begun
        elapsed = now - began
        if elapsed < 1.0:
            return  # too short to tell a rate
        point = (wall, (messages - before) * 60.0 / elapsed, self._worst_rtt)
        if elapsed < 60.0:
            self._latest = point
            return
        if len(self._points) >= 3 * MOST_POINTS:
            del self._points[:3]
        self._points.extend(array("d", point))
        self._begun, self._latest, self._worst_rtt = (now, messages), None, math.nan

    def _move_back(self, seconds: float) -> None:
        """Move all points, since the wall clock was set back: no point is later than now."""
        moved = self._points[:]
        for number in range(0, len(moved), 3):
            moved[number] -= seconds
        self._points = moved  # at once: others may read
        if self._latest is not None:
            wall, rate, rtt = self._latest
            self._latest = (wall - seconds, rate, rtt)

    def series(self, since: float) -> tuple[list[list[float]], list[list[float]]]:
        """Give [wall, messages a minute] and [wall, seconds]; the running minute comes last.

        :param since: wall clock; leave out what is older.
        """
        latest, flat = self._latest, self._points[:]
        # A page asks for the last seconds of a day, again and again.
        first = bisect_left(range(len(flat) // 3), since, key=lambda minute: flat[3 * minute])
        flat = flat[3 * first :]
        points = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        if latest is not None and (not points or latest[0] > points[-1][0]):
            points.append(latest)
        rates: list[list[float]] = []
        rtts: list[list[float]] = []
        for wall, rate, rtt in points:
            if wall < since:
                continue
            rates.append([round(wall, 1), round(rate, 1)])
            if not math.isnan(rtt):
                rtts.append([round(wall, 1), round(rtt, 5)])
        return rates, rtts
