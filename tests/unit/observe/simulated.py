"""A connection whose whole life is arithmetic: an hour of it passes in milliseconds."""

from __future__ import annotations

from typing import Any

from wsresilient import Gap, Thresholds
from wsresilient.core.history import ConnectionHistory
from wsresilient.core.samples import Totals
from wsresilient.observe.diagnosis import Observation, diagnose
from wsresilient.observe.foreign import ForeignConnection

__all__ = ["WALL", "SimulatedStream"]

WALL = 1_700_000_000.0  # the wall clock at monotonic 0


class SimulatedStream:
    """Counts, samples and is judged as a real connection is, at times that the test gives."""

    def __init__(self) -> None:
        self.history = ConnectionHistory()
        self.now = 1000.0
        self.stats: dict[str, Any] = ForeignConnection("feed", self.now).stats(self.now, WALL)
        self._connected_at: float | None = None
        self._last_message_at: float | None = None

    # What happens to it.

    def start(self) -> None:
        self.history.begin(self.now)
        self.stats["state"] = "connecting"

    def open(self) -> None:
        self.history.opened(self.now)
        self._connected_at = self.now
        self.stats["state"] = "connected"

    def lose(self, kind: str = "network", text: str = "OSError: gone", **others: Any) -> None:
        """An open connection ends; unless planned, it is an error and makes a gap."""
        planned = bool(others.get("planned"))
        self.history.ended(self.now, self.wall, kind=kind, text=text, **others)
        self.stats["state"] = "reconnecting"
        self._connected_at = None
        if not planned:
            self.error(text)
        self.gap("rotation" if kind == "rotation" else "reconnect")

    def fail(self, kind: str = "network", text: str = "OSError: refused") -> None:
        """An attempt does not become a connection."""
        self.history.ended(self.now, self.wall, kind=kind, text=text, was_open=False)
        self.stats["state"] = "reconnecting"
        self.stats["retry_count"] += 1
        self.error(text)

    def give_up(self) -> None:
        self.stats["state"] = "failed"

    def stop(self) -> None:
        self.history.ended(self.now, self.wall, kind="stopped", text="stop()", planned=True)
        self.stats["state"] = "disconnected"
        self._connected_at = None

    def raise_in_handler(self, count: int, text: str = "KeyError: 'p'") -> None:
        self.stats["callback_errors"] += count
        self.history.add_handler_error(self.wall, text)

    def error(self, text: str = "OSError: gone") -> None:
        self.stats["error_count"] += 1
        self.stats["last_error"] = text
        self.history.add_error(self.wall, text)

    def gap(self, reason: str, **others: Any) -> None:
        began, ended = self.wall - 2.0, self.wall
        self.history.add_gap(Gap("feed", (), reason, began, ended, **others))

    def messages(self, count: int) -> None:
        self.stats["message_count"] += count
        self._last_message_at = self.now

    # Time.

    @property
    def wall(self) -> float:
        return WALL + self.now

    def wait(self, seconds: float, *, per_second: int = 0) -> None:
        """Let time pass, and the watchdog look every second."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            if per_second and self._connected_at is not None:
                self.messages(per_second)
            self.sample()

    def sample(self) -> None:
        stats = self.stats
        totals = Totals(
            self.now,
            stats["message_count"],
            stats["error_count"],
            stats["callback_errors"],
            stats["dropped_messages"],
            self.history.holes,
            self.history.link_errors,
        )
        self.history.sample(totals, self.wall, stats["ping_rtt"])

    # How it is judged.

    def observe(self) -> Observation:
        stats, now = self.stats, self.now
        connected_at, last = self._connected_at, self._last_message_at
        stats["connection_duration"] = 0.0 if connected_at is None else now - connected_at
        stats["last_message_age"] = None if last is None else now - last
        stats.update(self.history.stats(now))
        return Observation(dict(stats), self.history, now, stats["state"] == "disconnected")

    def issues(self, thresholds: Thresholds | None = None) -> dict[str, dict[str, Any]]:
        """What is wrong now: {issue: finding}."""
        found = diagnose({"feed": self.observe()}, thresholds or Thresholds())
        assert all(len(findings) <= 1 for findings in found.values())
        return {issue: findings[0] for issue, findings in found.items() if findings}
