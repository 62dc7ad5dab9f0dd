"""When a connection should have a successor: it is due, or somebody has asked for one.

Pure: connections are known by their generation, times are monotonic seconds and arguments. The
caller holds a lock.
"""

from __future__ import annotations

import math

from .failure import Failure, FailureKind
from .rotation import RotationDue, rotation_due

__all__ = ["SuccessionDemand"]

#: Seconds after a successor that did not come up until the next one, and the longest such pause.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0


class SuccessionDemand:
    """The demand of one life, for the running connection.

    :param name: of the connection; gives it its place among others.
    :param max_age: seconds after which a connection has to be replaced. None: never.
    """

    def __init__(self, name: str, max_age: float | None) -> None:
        self._name = name
        self._max_age = max_age
        self._asked: tuple[int, Failure] | None = None
        self._failed = 0  # generation whose successors did not come up
        self._failures = 0  # how many in a row
        self._not_before = -math.inf
        self._in_vain = 0  # generation that can have no successor

    def __repr__(self) -> str:
        return f"<SuccessionDemand of {self._name}, {self._failures} failures>"

    def ask(
        self,
        generation: int,
        reason: Failure,
        *,
        connected_at: float,
        now: float,
        is_blocked: bool = False,
    ) -> bool:
        """Ask for a successor of a connection.

        :param is_blocked: none can be made now, and nobody knows when one can.
        :returns: False: it did not get one when it could have, and is too old to wait longer; or it
            can have none.
        """
        if self._in_vain == generation:
            return False
        is_overdue = self._max_age is not None and now - connected_at > self._max_age
        if is_overdue and (is_blocked or self._failed == generation):
            return False
        self._asked = generation, reason
        return True

    def reason(self, generation: int, *, connected_at: float, now: float) -> Failure | None:
        """Say why a connection should have a successor now; None: it should not."""
        if self._in_vain == generation:
            return None
        if self._asked is not None and self._asked[0] == generation:
            return self._asked[1]
        age, max_age = now - connected_at, self._max_age
        due = rotation_due(age, max_age=max_age, name=self._name, seconds_of_day=0.0)
        if due is RotationDue.NO:
            return None
        text = f"planned rotation: connected for {age:.0f} s, max_age is {max_age:g} s"
        return Failure(FailureKind.ROTATION, text, is_error=False)

    def may_begin(self, generation: int, now: float) -> bool:
        """Tell whether a successor may be tried now, after others that did not come up."""
        return self._failed != generation or now >= self._not_before

    def failed(self, generation: int, now: float) -> None:
        """Note that the successor of a connection did not come up."""
        if self._failed != generation:
            self._failed, self._failures = generation, 0
        self._not_before = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures, 100))
        self._failures += 1

    def rule_out(self, generation: int) -> None:
        """Note that a connection can have no successor: a new one does not bring the same."""
        self._in_vain = generation
