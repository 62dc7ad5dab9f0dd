"""Why an attempt is to end: the first reason wins, over all others and over every exception."""

from __future__ import annotations

import threading

from ..core.failure import Failure

__all__ = ["Ending"]


class Ending:
    """The reason of an attempt's end, once there is one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # guards the writing of both
        self.recorded: Failure | None = None
        #: Whether an open connection says goodbye with a close frame first.
        self.graceful = False

    def record(self, reason: Failure, *, graceful: bool) -> bool:
        """Record a reason.

        :returns: whether it was the first.
        """
        with self._lock:
            if self.recorded is not None:
                return False
            self.graceful = graceful
            self.recorded = reason
            return True
