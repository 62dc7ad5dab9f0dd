"""How the demo of many pairs is shown: a table of the connections and the totals, as text.

On a terminal the table is drawn anew some times a second; elsewhere there are lines for logs and
pipes, and one table at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.redact import shorten
from ..observe.report import WIDTH, format_age, format_count, format_number
from .output import LineWriter, Screen
from .pool_script import Trial
from .views import TimedLines

__all__ = ["PoolLines", "PoolScene", "PoolScreen", "PoolView", "connection_table"]

_HEADINGS = ("CONNECTION", "STATE", "PAIRS", "CONFIRMED", "MESSAGES", "/S", "RECONN", "AGE")
_WIDTHS = (12, 13, 6, 10, 10, 6, 7, 7)
#: How many survived faults, and how many lines of the library's log, a screen shows.
_MOST_TRIALS, _MOST_LOGS = 4, 4
#: Seconds between two drawings.
_REDRAW = 0.2


@dataclass(frozen=True)
class PoolScene:
    """What there is to see at one moment.

    :ivar elapsed: seconds since the start.
    :ivar duration: seconds in all.
    :ivar connections: the stats of each, by name.
    :ivar live: pairs that are confirmed and bring data.
    :ivar pairs: how many there should be.
    :ivar trials: all so far; the last one may still be on.
    """

    elapsed: float
    duration: float
    connections: Mapping[str, Mapping[str, Any]]
    live: int
    pairs: int
    trials: Sequence[Trial]

    @property
    def current(self) -> Trial | None:
        """The fault that is not over."""
        return self.trials[-1] if self.trials and self.trials[-1].back is None else None

    def total(self, key: str) -> int:
        """Add up one count of all connections."""
        return sum(int(stats[key]) for stats in self.connections.values())

    @property
    def connected(self) -> int:
        """How many connections are up."""
        return sum(stats["state"] == "connected" for stats in self.connections.values())

    @property
    def is_whole(self) -> bool:
        """Whether every connection is up and every pair live."""
        return self.connected == len(self.connections) and self.live == self.pairs

    def status(self) -> str:
        """Say in one line how things are."""
        return (
            f"{self.connected} of {len(self.connections)} connections up, "
            f"{self.live:,} of {self.pairs:,} pairs live, "
            f"{format_number(self.total('message_count'), 'message')}, "
            f"{format_number(self.total('reconnect_count'), 'reconnect')}, fault: "
            f"{self.current.fault.title if self.current else 'none'}"
        )


class PoolView(Protocol):
    """A way to show it."""

    log_format: str

    @property
    def is_closed(self) -> bool:
        """Whether nobody looks any more."""

    def show(self, scene: PoolScene) -> None:
        """Show how things are."""

    def event(self, text: str) -> None:
        """Tell what has just happened."""

    def log(self, text: str) -> None:
        """Tell what the library says; called from any thread."""


class PoolLines(TimedLines):
    """Lines: the status every second, and when a fault begins or ends.

    :param writer: where to.
    :param elapsed: seconds since the start.
    """

    def __init__(self, writer: LineWriter, elapsed: Callable[[], float]) -> None:
        super().__init__(writer, elapsed)
        self._shown: tuple[int, bool] | None = None

    def show(self, scene: PoolScene) -> None:
        """Write a status line, if it is time for one."""
        key = (int(scene.elapsed), scene.current is not None)
        if key != self._shown:
            self._shown = key
            self.line(scene.status())


class PoolScreen:
    """The table, drawn anew some times a second.

    :param writer: of the terminal.
    """

    log_format = "%(message)s"

    def __init__(self, writer: LineWriter) -> None:
        self._screen = Screen(writer)
        self._logs: deque[str] = deque(maxlen=_MOST_LOGS)
        self._drawn_at = -1.0

    @property
    def is_closed(self) -> bool:
        """Whether nobody looks any more."""
        return False

    def event(self, text: str) -> None:
        """Events are in the list of faults already."""

    def log(self, text: str) -> None:
        """Keep it for the next drawing."""
        self._logs.append(shorten(text, WIDTH - 2))

    def show(self, scene: PoolScene) -> None:
        """Draw, if it is time for it."""
        if scene.elapsed - self._drawn_at >= _REDRAW:
            self._drawn_at = scene.elapsed
            self._screen.draw(self.lines(scene))

    def lines(self, scene: PoolScene) -> list[str]:
        """Compose the picture."""
        current = scene.current
        survived = [trial for trial in scene.trials if trial.back is not None]
        return [
            f"wsresilient demo: {scene.elapsed:.0f} of {scene.duration:.0f} s, Ctrl-C ends it",
            "",
            *connection_table(scene),
            "",
            f"fault: {current.fault.title}: {current.fault.story}" if current else "fault: none",
            "survived:",
            *(f"  {trial.sentence()}" for trial in survived[-_MOST_TRIALS:]),
            "the library says:",
            *(f"  {line}" for line in self._logs),
        ]


def connection_table(scene: PoolScene) -> list[str]:
    """Lay out the connections and the totals, in lines for 80 columns."""
    rows = [_row(_HEADINGS), "-" * (WIDTH - 1)]
    for name, stats in scene.connections.items():
        rows.append(
            _row(
                (
                    name,
                    stats["state"],
                    str(stats["subscribed_pairs"]),
                    str(stats["confirmed_subscriptions"]),
                    format_count(stats["message_count"], 8),
                    format_count(stats["messages_per_minute"] / 60.0, 6),
                    str(stats["reconnect_count"]),
                    format_age(stats["last_message_age"]),
                )
            )
        )
    totals = (
        f"{scene.connected} of {len(scene.connections)}",
        f"{scene.live} live",
        str(scene.total("subscribed_pairs")),
        str(scene.total("confirmed_subscriptions")),
        format_count(scene.total("message_count"), 8),
        format_count(scene.total("messages_per_minute") / 60.0, 6),
        str(scene.total("reconnect_count")),
        "",
    )
    return [*rows, "-" * (WIDTH - 1), _row(totals)]


def _row(cells: Sequence[str]) -> str:
    """Put cells into columns: the first two to the left, numbers to the right."""
    parts = [
        f"{cell:<{width}}" if at < 2 else f"{cell:>{width}}"
        for at, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    ]
    return " ".join(parts).rstrip()
