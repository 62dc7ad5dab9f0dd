"""What the watchdog does for one connection: look, record, cut. It waits for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config import ConnectionConfig
from ..core.failure import Failure
from ..core.health import Vitals, verdict
from .clock import monotonic
from .delivery import Delivery
from .handlers import HandlerSet
from .logs import Log
from .status import Status
from .transport import Attempt

__all__ = ["Vigil"]

log = Log("wsresilient.connection")

#: Seconds beyond a deadline after which whoever should keep it is no longer trusted.
GRACE = 0.5


class Vigil:
    """Watches one life of a connection.

    :param attempt: gives the running attempt, or None.
    :param stats: makes the dict for on_stats.
    :param expects_data: whether topics are wanted that are never silent for long.
    :param rotate: whether somebody else replaces a connection that is to be rotated.
    """

    def __init__(
        self,
        *,
        status: Status,
        config: ConnectionConfig,
        handlers: HandlerSet,
        delivery: Delivery,
        attempt: Callable[[], Attempt | None],
        stats: Callable[[], dict[str, Any]],
        rotate: Callable[[Failure], bool],
        expects_data: Callable[[], bool],
    ) -> None:
        self._status = status
        self._config = config
        self._handlers = handlers
        self._delivery = delivery
        self._attempt = attempt
        self._stats = stats
        self._rotate = rotate
        self._expects_data = expects_data
        self._next_stats = monotonic() + config.stats_interval

    def watch(self, now: float) -> float:
        """See :class:`wsresilient.runtime.watchdog.Watched`."""
        config = self._config
        attempt = self._attempt()
        self._status.sample(now, attempt=attempt, delivery=self._delivery, handlers=self._handlers)
        if attempt is not None:
            self._watch_attempt(attempt, now)
        self._watch_handlers(now)
        if config.stats_interval and now >= self._next_stats:
            self._next_stats = now + config.stats_interval
            self._delivery.note(self._log_stats)
            if self._handlers.has("stats"):
                self._delivery.emit_call(lambda: self._handlers.call("stats", self._stats()))
        if self._handlers.any_running:
            return min(config.check_interval, config.slow_handler_after / 2)
        return config.check_interval

    def _watch_attempt(self, attempt: Attempt, now: float) -> None:
        deadline = attempt.deadline
        if deadline is not None and now > deadline + GRACE:
            attempt.cut()
            return
        self._status.expects_data = self._expects_data()
        vitals = Vitals(
            connected_at=self._status.connected_at if attempt.is_open else None,
            last_message_at=self._status.counters.last_message_at,
            held_back_since=self._delivery.held_back_since,
            send_due=attempt.sender.due,
            expects_data=self._status.expects_data,
        )
        failure = verdict(vitals, self._config, now)
        if failure is not None and not (failure.planned and self._rotate(failure)):
            attempt.interrupt(failure, graceful=failure.planned)

    def _watch_handlers(self, now: float) -> None:
        limit = self._config.slow_handler_after
        slow = self._handlers.find_slow_call(limit, now)
        lasting = slow or self._handlers.slow_call(limit, now)
        if lasting is not None:
            self._status.note_slow_call(lasting, now, is_new=slow is not None)
        if slow is not None:
            text = (
                f"slow handler for {slow.event!r}: {slow.seconds:.1f} s and not back; "
                f"it stands in {slow.where}"
            )
            self._delivery.note(lambda: log.warning("%s: %s", self._status.name, text))

    def _log_stats(self) -> None:
        stats = self._stats()
        log.info(
            "%s: status: %s, %d messages (%s a minute), %d reconnects, %d errors, queue %d, "
            "quality %d",
            stats["name"],
            stats["state"],
            stats["message_count"],
            stats["messages_per_minute"],
            stats["reconnect_count"],
            stats["error_count"],
            stats["queue_depth"],
            stats["quality_score"],
        )
