"""From where on the diagnosis calls something an issue."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..config import check_integer, check_seconds
from ..errors import ConfigurationError

__all__ = ["LONGEST_WINDOW", "Thresholds", "checked_thresholds"]

#: Seconds; what is older the history cannot tell.
LONGEST_WINDOW = 3600.0
#: The default of ``stale_after``.
STALE_AFTER = 60.0


def _number(default: float, *, exclusive: bool = False, optional: bool = True) -> Any:
    def check(name: str, value: object) -> None:
        check_seconds(name, value, exclusive=exclusive, optional=optional)

    return field(default=default, metadata={"check": check})


def _count(default: int, *, optional: bool = True) -> Any:
    def check(name: str, value: object) -> None:
        check_integer(name, value, minimum=0, optional=optional)

    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What is still normal; what is more, is an issue. None: this is never an issue.

    Counts and shares are those of the latest ``window`` seconds, so that an issue ends when its
    cause has been over for so long.

    :param window: seconds; at most an hour.
    :param error_rate: errors (failures of the connection, and of handlers) for each message.
    :param min_errors: fewer errors are never an issue, however few the messages are. Lost
        connections and attempts that failed are not counted here: they are lost_connections
        and frequent_reconnects.
    :param reconnects_per_hour: unplanned ones.
    :param stale_after: seconds without a message while connected. While it is the default, a
        longer ``stale_after`` of the connection itself counts, which its venue or its user
        chose; a connection that has None is never stale.
    :param lost_after: seconds without a connection. One that was given up is an issue at once.
    :param ping_rtt: seconds that the latest ping took.
    :param slow_handler_after: seconds of one handler call. What the connection's own
        ``slow_handler_after`` does not report is not known.
    :param dropped_messages: by the overflow policy.
    :param subscription_share: of the topics that the venue allows on one connection, from 0 to
        1; reaching it is an issue.
    :param failed_subscriptions: topics that the server refused or never confirmed.
    :param gaps: holes in the stream, but for those of planned rotations and those filled.
    :raises ConfigurationError: a value is not allowed.
    """

    window: float = _number(300.0, exclusive=True, optional=False)
    error_rate: float | None = _number(0.05)
    min_errors: int = _count(1, optional=False)
    reconnects_per_hour: int | None = _count(10)
    stale_after: float | None = _number(STALE_AFTER)
    lost_after: float | None = _number(30.0)
    ping_rtt: float | None = _number(1.0)
    slow_handler_after: float | None = _number(1.0)
    dropped_messages: int | None = _count(0)
    subscription_share: float | None = _number(0.9, exclusive=True)
    failed_subscriptions: int | None = _count(0)
    gaps: int | None = _count(0)

    def __post_init__(self) -> None:
        for threshold in dataclasses.fields(self):
            check: Callable[[str, object], None] = threshold.metadata["check"]
            check(threshold.name, getattr(self, threshold.name))
        if self.window > LONGEST_WINDOW:
            raise ConfigurationError(
                f"window is {self.window:g}; allowed: at most {LONGEST_WINDOW:g} seconds, "
                "which is how far back the history tells"
            )
        if self.subscription_share is not None and self.subscription_share > 1.0:
            raise ConfigurationError(
                f"subscription_share is {self.subscription_share:g}; "
                "allowed: a number > 0 and <= 1, or None"
            )

    def silence_allowed(self, own: float | None) -> float | None:
        """Seconds for which a connection may bring nothing; None: for ever.

        :param own: the ``stale_after`` that was chosen for it: who did knows how quiet the
            stream is. 0: nobody chose one.
        """
        if self.stale_after is None or own is None:
            return None
        return max(self.stale_after, own) if self.stale_after == STALE_AFTER else self.stale_after


def checked_thresholds(value: object, default: Thresholds) -> Thresholds:
    """Return the thresholds that were given, or the default for None.

    :raises ConfigurationError: they are something else.
    """
    if value is None:
        return default
    if not isinstance(value, Thresholds):
        raise ConfigurationError(f"thresholds is {value!r:.60}; allowed: Thresholds(...), or None")
    return value
