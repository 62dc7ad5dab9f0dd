"""What the watchdog decides, as functions of a snapshot, the limits and the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import ConnectionConfig
from ..errors import SendTimeoutError, StaleConnectionError
from .failure import Failure, FailureKind, classify
from .samples import Totals

__all__ = ["Vitals", "is_healthy", "quality_score", "rate_stats", "silence", "verdict"]

#: A healthy connection may be without a message for so long; beyond it the score falls.
QUIET = 60.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the watchdog sees of a connection. Times are monotonic seconds, or None.

    :ivar connected_at: since when it is connected.
    :ivar last_message_at: the latest data message of this connection.
    :ivar held_back_since: since when the reader waits for room in the lane.
    :ivar send_due: by when the send that is under way must be over.
    :ivar expects_data: whether silence means something: topics are wanted, or there is no venue.
    """

    connected_at: float | None
    last_message_at: float | None
    held_back_since: float | None = None
    send_due: float | None = None
    expects_data: bool = True


def verdict(vitals: Vitals, config: ConnectionConfig, now: float) -> Failure | None:
    """Say whether a connection has to end, and why; None when all is well.

    A reader that is held back by a full lane makes a stream look silent that is not.
    """
    if vitals.connected_at is None:
        return None
    # One second more than the send's own deadline, which should have been enough.
    if vitals.send_due is not None and now > vitals.send_due + 1.0:
        late = now - vitals.send_due
        return classify(SendTimeoutError(f"a send is stuck, {late:.0f} s beyond its deadline"))
    if config.stale_after is not None and vitals.expects_data and vitals.held_back_since is None:
        last = max(vitals.connected_at, vitals.last_message_at or 0.0)
        if now - last > config.stale_after:
            return classify(
                StaleConnectionError(
                    f"stalled: no message for {now - last:.1f} s, "
                    f"stale_after is {config.stale_after:g} s"
                )
            )
    if config.max_age is not None and now - vitals.connected_at > config.max_age:
        return Failure(
            FailureKind.ROTATION,
            f"planned rotation: connected for {now - vitals.connected_at:.0f} s, "
            f"max_age is {config.max_age:g} s",
            is_error=False,
        )
    return None


def silence(last_message_age: float | None, duration: float) -> float:
    """Seconds without a message on this connection.

    :param last_message_age: seconds, or None before the first message; it may have come over
        an earlier connection.
    :param duration: seconds since it connected.
    """
    return duration if last_message_age is None else min(last_message_age, duration)


def is_healthy(
    *, connected: bool, last_message_age: float | None, duration: float, stale_after: float | None
) -> bool:
    """Tell whether a connection is up and its feed is alive.

    :param last_message_age: seconds, or None before the first message.
    :param duration: seconds since it connected.
    """
    if not connected:
        return False
    return stale_after is None or silence(last_message_age, duration) <= stale_after


def quality_score(
    *,
    healthy: bool,
    last_message_age: float | None,
    reconnects_per_hour: float,
    errors: int,
    messages: int,
    dropped: int,
    ping_rtt: float | None,
) -> int:
    """Rate a connection from 0 to 100.

    It is 0 while the connection is not healthy. From 100 are taken: 4 for each reconnect an
    hour (at most 40), up to 20 for silence beyond a minute, up to 20 for a ping's round trip
    beyond 0.2 s, up to 30 for the share of errors and dropped messages (5 % costs it all).
    """
    if not healthy:
        return 0
    score = 100.0 - min(40.0, 4.0 * reconnects_per_hour)
    if last_message_age is not None and last_message_age > QUIET:
        score -= min(20.0, 20.0 * (last_message_age - QUIET) / (4 * QUIET))
    if ping_rtt is not None and ping_rtt > 0.2:
        score -= min(20.0, 20.0 * (ping_rtt - 0.2) / 1.8)
    if errors or dropped:
        share = (errors + dropped) / max(1, messages + dropped)
        score -= min(30.0, 30.0 * share / 0.05)
    return max(1, round(score))


def rate_stats(stats: Mapping[str, Any], before: Totals) -> int:
    """Rate a connection by its stats and what has been counted since ``before``.

    :param stats: with all keys but quality_score.
    :param before: the counters of an hour ago, so that old sins are forgiven.
    """
    errors: int = stats["error_count"] + stats["callback_errors"]
    return quality_score(
        healthy=stats["is_healthy"],
        last_message_age=silence(stats["last_message_age"], stats["connection_duration"]),
        reconnects_per_hour=stats["reconnects_last_hour"],
        errors=errors - before.errors - before.callback_errors,
        messages=stats["message_count"] - before.messages,
        dropped=stats["dropped_messages"] - before.dropped,
        ping_rtt=stats["ping_rtt"],
    )
