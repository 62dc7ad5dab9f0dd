"""Which hosts must not be asked anything for a while, for all clients of this process.

Exchanges count by address and not by client: one that goes on asking after HTTP 429 gets all of
them banned.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from .clock import monotonic
from .logs import Log

__all__ = ["HostPauses", "Pause", "default_host_pauses"]

log = Log("wsresilient.rest")

#: The longest ban that an exchange tells of (Binance). More is taken for a mistake.
LONGEST_PAUSE = 3 * 86400.0


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a host is left alone.

    :ivar ends_at: monotonic time.
    :ivar why: what it answered.
    """

    ends_at: float
    why: str


class HostPauses:
    """Remembers the pauses of hosts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _pauses
        self._pauses: dict[str, Pause] = {}

    def begin(self, host: str, *, seconds: float, why: str) -> None:
        """Leave a host alone; a pause is made longer by this, never shorter.

        :param host: name and port.
        :param seconds: three days at most count.
        :param why: what it answered.
        """
        now = monotonic()
        seconds = min(seconds, LONGEST_PAUSE)
        pause = Pause(now + seconds, why)
        with self._lock:
            self._pauses = {
                name: other for name, other in self._pauses.items() if other.ends_at > now
            }
            known = self._pauses.get(host)
            if known is None or known.ends_at < pause.ends_at:
                self._pauses[host] = pause
        log.warning("%s is left alone for %.1f s: %s", host, seconds, why)

    def running(self, host: str) -> Pause | None:
        """Give the pause of a host that is not over yet."""
        with self._lock:
            pause = self._pauses.get(host)
        return pause if pause is not None and pause.ends_at > monotonic() else None

    def forget_lock(self) -> None:
        """In a child after a fork: the lock may have been held by a thread that is no more."""
        self._lock = threading.Lock()


_default = HostPauses()


def default_host_pauses() -> HostPauses:
    """Return the one that all clients share."""
    return _default


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_default.forget_lock)
