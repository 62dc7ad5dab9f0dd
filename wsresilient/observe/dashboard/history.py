"""From the monitor's history to what a page needs of it: as much as it asks for, and no more; pure.

A day of three hundred connections is half a million points; a plot of some hundred pixels shows
a few dozen of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .request import RefusedRequestError

__all__ = ["Window", "bounded", "thin", "window_of"]

MINUTE = 60.0
DAY_MINUTES = 1440
MAX_POINTS = 1440
#: Of each kind and connection.
MAX_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked for.

    :ivar since: on the wall clock; not what was over before.
    :ivar points: at most so many of each series.
    :ivar connection: the name of the only one, or None for all.
    """

    since: float
    points: int = 120
    connection: str | None = None


def window_of(query: Mapping[str, str], now: float) -> Window:
    """Read the parameters of a request for the history.

    ``minutes`` (default 60, a day at most) tells how far back, or ``since`` the wall clock from
    which on; ``points`` (default 120) how many of each series, ``connection`` which one.

    :param now: the wall clock.
    :raises RefusedRequestError: 400; a parameter is no number or out of range.
    """
    minutes = _number(query, "minutes", 60.0, least=0.0, most=DAY_MINUTES)
    return Window(
        since=_number(query, "since", now - minutes * MINUTE, least=0.0, most=1e12),
        points=int(_number(query, "points", 120, least=1, most=MAX_POINTS)),
        connection=query.get("connection") or None,
    )


def _number(
    query: Mapping[str, str], name: str, default: float, *, least: float, most: float
) -> float:
    try:
        number = float(query[name]) if name in query else default
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise RefusedRequestError(400, f"{name} must be a number from {least:g} to {most:g}.")
    return number


def bounded(history: Mapping[str, Any], window: Window) -> dict[str, Any]:
    """Leave as much of a history as a page can show.

    :param history: as :meth:`~wsresilient.observe.monitor.Monitor.get_history` returns it, of
        the window.
    :returns: the same shape.
    """
    return {
        "at": history["at"],
        "connections": {
            name: {
                kind: _bounded_kind(entries, kind, window, until=history["at"])
                for kind, entries in kinds.items()
            }
            for name, kinds in history["connections"].items()
        },
    }


def _bounded_kind(entries: Sequence[Any], kind: str, window: Window, *, until: float) -> list[Any]:
    if kind in ("rates", "rtt"):
        return thin(entries, window.points, since=window.since, until=until)
    return list(entries[-MAX_ENTRIES:])


def thin(
    points: Sequence[Sequence[float]], most: int, *, since: float, until: float
) -> list[list[float]]:
    """Replace neighbours by their mean, so that few enough points are left.

    :param points: [wall clock, value], oldest first.
    :param most: so many spans of equal length the window is cut into; each gives one point,
        at the latest time in it.
    """
    if len(points) <= most:
        return [list(point) for point in points]
    span = max(until - since, 1e-9) / most
    sums: dict[int, tuple[float, float, int]] = {}
    for at, value in points:
        number = min(most - 1, max(0, int((at - since) / span)))
        _, total, count = sums.get(number, (at, 0.0, 0))
        sums[number] = (at, total + value, count + 1)
    return [[at, total / count] for at, total, count in sums.values()]
