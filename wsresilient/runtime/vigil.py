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
from .link import Link
from .links import Links
from .logs import Log
from .status import Status

__all__ = ["Vigil"]

log = Log("wsresilient.connection")

#: Seconds beyond a deadline after which whoever should keep it is no longer trusted.
GRACE = 0.5


class Vigil:
    """Watches one life of a connection.

    :param links: those that are looked at.
    :param let_rotate: whether somebody replaces a link that is to be rotated.
    :param step: goes on with a succession; returns seconds until its next step.
    :param stats: makes the dict for on_stats.
    :param expects_data: whether topics are wanted that are never silent for long.
    """

    def __init__(
        self,
        *,
        status: Status,
        config: ConnectionConfig,
        handlers: HandlerSet,
        delivery: Delivery,
        links: Links,
        let_rotate: Callable[[Link, Failure], bool],
        step: Callable[[float], float],
        stats: Callable[[], dict[str, Any]],
        expects_data: Callable[[], bool],
    ) -> None:
        self._status = status
        self._config = config
        self._handlers = handlers
        self._delivery = delivery
        self._links = links
        self._let_rotate = let_rotate
        self._step = step
        self._stats = stats
        self._expects_data = expects_data
        self._next_stats = monotonic() + config.stats_interval

    def watch(self, now: float) -> float:
        """See :class:`wsresilient.runtime.watchdog.Watched`."""
        config = self._config
        links = self._links
        self._status.sample(
            now, attempt=links.attempt, delivery=self._delivery, handlers=self._handlers
        )
        for link in links.present:
            self._watch_link(link, now)
        self._watch_handlers(now)
        if config.stats_interval and now >= self._next_stats:
            self._next_stats = now + config.stats_interval
            self._delivery.note(self._log_stats)
            if self._handlers.has("stats"):
                self._delivery.emit_call(lambda: self._handlers.call("stats", self._stats()))
        # Last: whatever becomes of a succession, the links are looked at.
        pause = min(config.check_interval, self._step(now))
        if self._handlers.any_running:
            return min(pause, config.slow_handler_after / 2)
        return pause

    def _watch_link(self, link: Link, now: float) -> None:
        attempt = link.attempt
        if attempt is None:
            return
        deadline = attempt.deadline
        if deadline is not None and now > deadline + GRACE:
            attempt.cut()
            return
        self._status.expects_data = self._expects_data()
        vitals = Vitals(
            connected_at=link.connected_at if attempt.is_open else None,
            last_message_at=link.last_message_at,
            held_back_since=self._delivery.held_back_since,
            send_due=attempt.sender.due,
            expects_data=self._status.expects_data,
        )
        failure = verdict(vitals, self._config, now)
        if failure is None:
            return
        is_running = link is self._links.running
        if failure.planned and (not is_running or self._let_rotate(link, failure)):
            return
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
