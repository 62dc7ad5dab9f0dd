"""Answers that come late: after a while, or when the test lets them go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wsresilient.errors import ConfigurationError

__all__ = ["DelayLine"]


class DelayLine:
    """What is passed on at once, after some seconds, or not before it is released.

    Everything runs on the loop's thread.

    :ivar seconds: how long it takes; 0: no time.
    :ivar is_holding: nothing is passed on until :meth:`release`.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.is_holding = False
        self._held: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<DelayLine seconds={self.seconds:g} held={len(self._held)}>"

    @property
    def is_idle(self) -> bool:
        """Whether everything is passed on at once."""
        return not self.seconds and not self.is_holding

    def set_seconds(self, seconds: float) -> None:
        """Let what comes from now on take so long.

        :raises ConfigurationError: it is negative.
        """
        if seconds < 0:
            raise ConfigurationError(f"seconds must be 0 or more, not {seconds!r}")
        self.seconds = seconds

    def hold(self) -> None:
        """Keep what comes from now on."""
        self.is_holding = True

    def release(self) -> int:
        """Pass on what was kept, in its order, and keep nothing any more; return how much it was.

        What is passed on here is not delayed again.
        """
        self.is_holding = False
        held, self._held = self._held, []
        for deliver in held:
            deliver()
        return len(held)

    def pass_on(self, deliver: Callable[[], None]) -> None:
        """Call ``deliver`` when it is due, on the loop's thread."""
        if self.is_holding:
            self._held.append(deliver)
        elif self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, deliver)
        else:
            deliver()
