"""When the connections of a pool are rotated: the plan, the local time, and the user's veto."""

from __future__ import annotations

from collections.abc import Callable

from ..config import check_callable
from ..core.rotation import RotationDue, parse_window, rotation_due
from .clock import local_seconds_of_day
from .logs import Log

__all__ = ["RotationPlan"]

log = Log("wsresilient.pool")


class RotationPlan:
    """Tells which connection is due.

    :param max_age: seconds after which a connection has to be replaced; None: never.
    :param window: ``("03:00", "04:00")``, local time; None: at any time.
    :param may_rotate: ``(connection_name) -> bool``: a veto.
    :param cut_at: seconds after which the exchange cuts every connection: window and veto count
        until shortly before. None: it does not.
    :raises ConfigurationError: the window is none, or the veto cannot be called.
    """

    def __init__(
        self,
        max_age: float | None,
        *,
        window: object = None,
        may_rotate: Callable[[str], object] | None = None,
        cut_at: float | None = None,
    ) -> None:
        check_callable("may_rotate", may_rotate)
        self._max_age = max_age
        self._window = parse_window(window)
        self._may_rotate = may_rotate
        self._cut_at = cut_at

    def __repr__(self) -> str:
        age = "never" if self._max_age is None else f"after {self._max_age:g} s"
        return f"<RotationPlan {age}, window {self._window}>"

    @property
    def is_restricted(self) -> bool:
        """Whether a connection may have to wait though it has reached ``max_age``."""
        return self._window is not None or self._may_rotate is not None

    @property
    def ask_every(self) -> float:
        """Seconds after which to ask again: short enough to come before ``max_age``."""
        return 0.02 * (self._max_age or float("inf"))

    def is_due(self, name: str, age: float) -> bool:
        """Tell whether a connection is to be replaced now; calls the user's veto."""
        due = rotation_due(
            age,
            max_age=self._max_age,
            name=name,
            seconds_of_day=local_seconds_of_day(),
            window=self._window,
            cut_at=self._cut_at,
        )
        if due is RotationDue.DUE and self._may_rotate is not None:
            try:
                return bool(self._may_rotate(name))
            except BaseException:  # a user's function may raise anything
                log.exception("may_rotate raised for %s; taken as yes", name)
        return due is not RotationDue.NO
