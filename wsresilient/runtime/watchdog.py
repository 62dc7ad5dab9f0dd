"""One thread that looks at all connections: staleness, age, deadlines, slow handlers.

It only does bookkeeping: what it finds it records with the connection and then cuts the raw
socket. What has to be logged or told is put into a lane, so that it never waits for I/O.
"""

from __future__ import annotations

import threading
from typing import Protocol

from .clock import monotonic
from .logs import Log
from .threads import gather, spawn

__all__ = ["Watchdog", "Watched", "default_watchdog"]

log = Log("wsresilient.watchdog")


#: Looks that are due within so many seconds are made together: one wake-up for many connections.
SLACK = 0.25
LONGEST_WAIT = 60.0


class Watched(Protocol):
    """What the watchdog looks at."""

    def watch(self, now: float) -> float:
        """Look once; returns seconds until the next look is due."""


class Watchdog:
    """Runs while there is something to watch.

    :param name: of the thread.
    """

    def __init__(self, *, name: str = "wsr-watchdog") -> None:
        self._name = name
        # Guards the fields below; the condition wakes the thread.
        self._changed = threading.Condition(threading.Lock())
        self._due: dict[Watched, float] = {}
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Watchdog of {len(self._due)} connections>"

    def add(self, watched: Watched) -> None:
        """Watch something from now on; starts the thread if need be."""
        with self._changed:
            self._due[watched] = monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._thread = spawn(self._run, name=self._name)
            self._changed.notify_all()

    def remove(self, watched: Watched) -> None:
        """Watch something no more; with the last one the thread ends."""
        with self._changed:
            self._due.pop(watched, None)
            self._changed.notify_all()

    def join(self, *, timeout: float) -> bool:
        """Wait for the thread to end, if nothing is watched.

        :param timeout: seconds.
        :returns: whether it has ended, or is needed by others; the caller does not count.
        """
        with self._changed:
            thread = None if self._due else self._thread
        return thread is None or not gather([thread], timeout=timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    # add() starts another one; this one has seen that there is nothing to do.
                    self._thread = None
                    return
                now = monotonic()
                self._changed.wait(max(0.0, min(LONGEST_WAIT, min(self._due.values()) - now)))
                now = monotonic()
                soon = now + SLACK
                due = [watched for watched, when in self._due.items() if when <= soon]
            for watched in due:
                self._look(watched, now)

    def _look(self, watched: Watched, now: float) -> None:
        pause = 1.0
        try:
            pause = watched.watch(now)
        except Exception:
            # A bug in one connection's bookkeeping must not leave the others unwatched.
            log.exception("looking at %r failed", watched)
        with self._changed:
            if watched in self._due:
                self._due[watched] = now + pause

    def forget_threads(self) -> None:
        """Begin anew in a child after a fork, where no thread of the parent exists."""
        self._changed = threading.Condition(threading.Lock())
        self._due, self._thread = {}, None


_default = Watchdog()


def default_watchdog() -> Watchdog:
    """Return the one that all connections share."""
    return _default
