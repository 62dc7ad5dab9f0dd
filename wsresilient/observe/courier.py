"""Brings alerts to one notifier, on a thread that belongs to it.

It holds the queue (``core/alert_queue.py`` has the rules) and the clock; what a notifier does
with an alert is its own business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..core.alert_queue import AlertQueue
from ..core.alerting import Alert
from ..core.backoff import ReconnectPolicy
from ..runtime.clock import monotonic
from ..runtime.logs import Log
from ..runtime.threads import spawn
from .webhook import Receipt, WebhookNotifier

__all__ = ["Courier"]

log = Log("wsresilient.alerts")


class Courier:
    """Serves one notifier.

    :param notifier: a function, told once whatever it does; or a webhook, told until it answers.
    :param name: of the thread.
    :param capacity: alerts that may wait.
    """

    def __init__(
        self,
        notifier: Callable[[Alert], object] | WebhookNotifier,
        *,
        name: str,
        capacity: int,
    ) -> None:
        self._notifier = notifier
        self._name = name
        policy = notifier.retry if isinstance(notifier, WebhookNotifier) else ReconnectPolicy()
        # Guards the fields below; told when one of them changes.
        self._changed = threading.Condition(threading.Lock())
        self._queue = AlertQueue(policy, capacity=capacity)
        self._stop_by: float | None = None  # monotonic; None: it shall run
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Alerts that are not delivered yet."""
        return len(self._queue)

    def start(self) -> None:
        """Begin, or go on."""
        with self._changed:
            self._stop_by = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = spawn(self._run, name=self._name)

    def stop(self, *, by: float) -> threading.Thread | None:
        """Deliver what is due and end; returns at once.

        :param by: monotonic time after which nothing more is begun.
        :returns: the thread that is about to end, if there is one.
        """
        with self._changed:
            self._stop_by = by
            self._changed.notify_all()
            return self._thread

    def push(self, alert: Alert) -> None:
        """Add an alert; never waits for the notifier."""
        with self._changed:
            is_taken = self._queue.push(alert)
            dropped = self._queue.dropped
            self._changed.notify_all()
        if not is_taken:
            log.error(
                "%s: too many alerts wait for %s; dropped (%d so far): %s",
                self._name,
                self._shown,
                dropped,
                alert.title,
            )

    @property
    def _shown(self) -> str:
        """The notifier as a log line may show it; a function's repr is the user's business."""
        if isinstance(self._notifier, WebhookNotifier):
            return repr(self._notifier)
        return str(getattr(self._notifier, "__qualname__", type(self._notifier).__name__))

    # On its own thread.

    def _run(self) -> None:
        while (alert := self._next()) is not None:
            self._settle(alert, self._tell(alert))

    def _next(self) -> Alert | None:
        """Wait for the next alert that is due; None: it is time to end."""
        with self._changed:
            while True:
                now = monotonic()
                pause = self._queue.wait(now)
                if pause == 0.0 and (self._stop_by is None or now < self._stop_by):
                    return self._queue.take()
                if self._stop_by is not None:
                    self._thread = None  # start() makes another one
                    return None
                self._changed.wait(pause)

    def _tell(self, alert: Alert) -> Receipt:
        try:
            if isinstance(self._notifier, WebhookNotifier):
                return self._notifier.send(alert)
            self._notifier(alert)
        except BaseException:  # a user's function may raise anything
            log.exception("notifier %s raised, told of: %s", self._shown, alert.title)
        return Receipt(True)

    def _settle(self, alert: Alert, receipt: Receipt) -> None:
        delay: float | None = None
        with self._changed:
            if receipt.delivered:
                self._queue.delivered()
            elif receipt.may_retry:
                delay = self._queue.failed(monotonic(), retry_after=receipt.retry_after)
            else:
                self._queue.give_up()
        if receipt.delivered:
            return
        what = "given up" if delay is None else f"again in {delay:.1f} s"
        log.warning("%s: %s; %s: %s", self._shown, receipt.text, what, alert.title)
