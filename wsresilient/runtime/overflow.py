"""Telling that messages were dropped, since handlers are too slow: once for each episode.

It decides nothing about what is dropped (``lanes.py``), and calls no handler itself.
"""

from __future__ import annotations

from collections.abc import Callable

from ..core.events import Gap
from .clock import wall_clock
from .lanes import Lane
from .logs import Log

__all__ = ["OverflowNotices"]

log = Log("wsresilient.handlers")


class OverflowNotices:
    """The episodes of one connection; the next one begins when the lane has come to its notice.

    :param name: of the connection.
    :param overflow: the policy, see :class:`wsresilient.config.ConnectionConfig`.
    :param note: makes a call soon, beside the lane.
    :param tell_gap: tells a gap, on the serving thread.
    """

    def __init__(
        self,
        name: str,
        overflow: str,
        *,
        note: Callable[[Callable[[], object]], object],
        tell_gap: Callable[[Gap], object],
    ) -> None:
        self._name = name
        self._overflow = overflow
        self._drops_old = overflow in ("drop_oldest", "keep_latest")
        self._note = note
        self._tell_gap = tell_gap
        self._since: float | None = None  # wall clock; None: no episode is under way

    def __repr__(self) -> str:
        return f"<OverflowNotices of {self._name} since={self._since}>"

    def dropped(self, lane: Lane) -> None:
        """Note that messages were dropped; the gap is told where they would have been."""
        began = wall_clock()
        if self._since is not None:
            return
        text = f"{self._name}: overflow: the handler is too slow, messages are dropped"
        self._note(lambda: log.warning("%s (overflow=%r)", text, self._overflow))
        self._since = began

        def tell() -> None:
            self._since = None
            self._tell_gap(
                Gap(
                    connection=self._name,
                    topics=(),
                    reason="overflow",
                    started_at=began,
                    ended_at=wall_clock(),
                )
            )

        lane.put_event(tell, before_messages=self._drops_old)
