"""When planned rotations happen. Pure: age and local time are arguments.

Connections that were opened together must not be replaced together, so each has a place of its
own, a number from 0 to 1 that follows from its name and stays the same over restarts.

Without a window a connection is due at 88 to 98 % of ``max_age``, by its place. With a window
(``("03:00", "04:00")``, local time) it is due inside of it only, at its place in the first four
fifths, if it would be too old before the next window opens. A connection that comes up at the very
beginning of a window, so that it cannot last until the next one either, is due a second time in
the same window. Where ``max_age`` is shorter than the window, it is due inside of it as without.

So a window and a veto may let a connection get older than ``max_age``: it is the user who says so.
But whatever they say, it is overdue 60 to 300 s before the exchange would cut it, or 0.4 to 2 % of
that age where that is less. That happens on the day on which the clocks go back, and when a window
is skipped as they go forward.
"""

from __future__ import annotations

import enum
import re
import zlib
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError

__all__ = ["RotationDue", "RotationWindow", "parse_window", "place_of", "rotation_due"]

DAY = 86400.0
#: Without a window: the latest point, and how far before it the earliest is; parts of max_age.
LATEST, SPREAD = 0.98, 0.10
#: The longest time before an age at which a connection has to be replaced; in seconds, as a part.
MARGIN, MARGIN_PART = 300.0, 0.02
#: Inside of a window: the last fifth is for those that take long.
USED_PART = 0.8

_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)


class RotationDue(str, enum.Enum):
    """Whether a connection is to be rotated."""

    NO = "no"
    DUE = "due"  # unless somebody says that it is a bad moment
    OVERDUE = "overdue"  # now, whatever anybody says

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class RotationWindow:
    """A part of each day. It may go over midnight.

    :ivar start: seconds of the day, local time.
    :ivar length: seconds.
    """

    start: float
    length: float

    def offset(self, seconds_of_day: float) -> float | None:
        """Return seconds since it opened, or None outside of it."""
        offset = (seconds_of_day - self.start) % DAY
        return offset if offset < self.length else None


def parse_window(window: Any) -> RotationWindow | None:
    """Check ``rotate_window``.

    :param window: a pair of times, "HH:MM" or "HH:MM:SS", the second after the first or on the
        next day; "24:00" is midnight. None: no window.
    :raises ConfigurationError: it is something else.
    """
    if window is None:
        return None
    allowed = "allowed: two different times of the day, such as ('03:00', '04:00'), or None"
    if isinstance(window, str) or not hasattr(window, "__iter__"):
        raise ConfigurationError(f"rotate_window is {window!r:.60}; {allowed}")
    times = [_seconds_of_day(time) for time in window]
    if len(times) != 2 or None in times:
        raise ConfigurationError(f"rotate_window is {window!r:.60}; {allowed}")
    start, end = (time or 0.0 for time in times)
    if end - start == DAY:
        return None  # all day long is no window
    length = (end - start) % DAY
    if not length:
        raise ConfigurationError(f"rotate_window is {window!r:.60}, which is empty; {allowed}")
    return RotationWindow(start % DAY, length)


def _seconds_of_day(time: object) -> float | None:
    found = _TIME.fullmatch(time) if isinstance(time, str) else None
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + seconds
    return float(total) if minutes < 60 and seconds < 60 and total <= DAY else None


def place_of(name: str) -> float:
    """Give a connection its place among others: 0 to 1, evenly spread, always the same.

    >>> place_of("binance-1") == place_of("binance-1") != place_of("binance-2")
    True
    """
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) / 2**32


def rotation_due(
    age: float,
    *,
    max_age: float | None,
    name: str,
    seconds_of_day: float,
    window: RotationWindow | None = None,
    cut_at: float | None = None,
) -> RotationDue:
    """Say whether a connection is to be rotated now.

    :param age: seconds since it connected.
    :param max_age: seconds after which it has to be replaced. None: never.
    :param name: the connection's.
    :param seconds_of_day: local time, seconds since midnight as the clock on the wall shows it.
    :param window: when rotations may happen; None: at any time.
    :param cut_at: seconds after which the exchange cuts every connection; None: it does not.
    """
    if max_age is None:
        return RotationDue.NO
    place = place_of(name)
    if cut_at is not None and age >= _shortly_before(cut_at, place):
        return RotationDue.OVERDUE
    offset = None if window is None else window.offset(seconds_of_day)
    if window is None or (offset is not None and max_age <= window.length):
        is_due = age >= max_age * (LATEST - SPREAD * place)
    else:
        limit = _shortly_before(max_age, place)
        is_due = offset is not None and _is_due_in_window(age, limit, place, offset, window.length)
    return RotationDue.DUE if is_due else RotationDue.NO


def _shortly_before(end: float, place: float) -> float:
    return end - min(MARGIN, MARGIN_PART * end) * (0.2 + 0.8 * place)


def _is_due_in_window(age: float, limit: float, place: float, offset: float, length: float) -> bool:
    """Decide inside of a window, so many seconds after it opened."""
    if age + DAY - offset <= limit:
        return False  # young enough until the next window opens
    # Whoever comes up later in the window than this lasts until the next one.
    earliest = max(0.0, DAY - limit)
    if earliest >= USED_PART * length:
        # Nobody lasts that long: once in each window.
        earliest = 0.0
        if age <= offset:
            return False
    elif age >= limit:
        return True  # it is too old to wait for its place
    return offset >= earliest + place * (USED_PART * length - earliest)
