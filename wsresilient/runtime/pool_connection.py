"""A connection as its pool handles it: what nobody else may ask of a connection.

The public half is :class:`~wsresilient.ResilientWebSocket`; this adds looks at a life that is
under way, and the ways in which one connection takes the place of another.
"""

from __future__ import annotations

from ..core.events import Gap
from ..core.failure import Failure, FailureKind
from .connection import ResilientWebSocket

__all__ = ["PoolConnection"]


class PoolConnection(ResilientWebSocket):
    """See :class:`~wsresilient.ResilientWebSocket`."""

    @property
    def is_ending(self) -> bool:
        """Whether a life of it is over and has not ended yet, so that it cannot be started."""
        life = self._life
        return life is not None and life.is_over and not life.ended.is_set()

    def is_calling(self) -> bool:
        """Whether the calling thread is the connection's, or inside one of its handlers."""
        life = self._life
        return life is not None and life.is_own_thread()

    def tell(self, event: str, *args: object) -> None:
        """Call the handlers of an event, in its true place between the messages."""
        life = self._life
        if life is not None:
            life.delivery.emit(event, *args)

    def tell_gap(self, gap: Gap) -> None:
        """Note a gap, and tell of it in its true place between the messages."""
        life = self._life
        if life is not None:
            life.delivery.emit_gap(gap)

    def rotate(self, why: str) -> bool:
        """Begin a planned rotation, break before make.

        :returns: False: there is no connection that could be replaced.
        """
        life = self._life
        attempt = None if life is None else life.attempt
        if attempt is None or not attempt.is_open:
            return False
        reason = Failure(FailureKind.ROTATION, f"planned rotation: {why}", is_error=False)
        return attempt.interrupt(reason, graceful=True)

    def take_place_of(self, other: PoolConnection) -> None:
        """Be seen by the other one's monitor, in its place, and go on with its counts and past."""
        self._status.take_over(other._status, other.get_stats())
        other._registry.replace(other, self)
        self._registry = other._registry
