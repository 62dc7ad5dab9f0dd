"""Tells somebody when a connection is in trouble, and when that is over.

The thread ``wsr-alerts`` asks the monitor for its diagnosis and passes on what is news
(``core/alerting.py`` decides). Each notifier has a queue and a thread of its own, so that one
that is slow or broken holds up neither the others nor, ever, a stream.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..config import check_integer, check_seconds
from ..core.alerting import Alert, AlertRule, AlertTracker, Findings, default_rules
from ..errors import ConfigurationError, describe, named_type
from ..runtime.clock import monotonic, wall_clock
from ..runtime.logs import Log
from ..runtime.threads import gather, spawn
from .courier import Courier
from .monitor import get_monitor
from .webhook import WebhookNotifier

__all__ = ["Alert", "AlertManager", "AlertRule", "default_rules", "log_alert"]

log = Log("wsresilient.alerts")

#: Seconds in which a process that ends tells what there still is to tell.
EXIT_PATIENCE = 3.0

Notifier = Callable[[Alert], object] | WebhookNotifier


class Diagnosed(Protocol):
    """What is asked of a monitor."""

    def diagnose_connection_issues(self) -> Findings:
        """Tell what is wrong now."""


def log_alert(alert: Alert) -> None:
    """Write an alert to the log "wsresilient.alerts"; the notifier that is used without others."""
    if alert.is_firing:
        log.warning("%s: %s To do: %s", alert.title, alert.detail, alert.suggestion or "-")
    else:
        log.info("%s: %s", alert.title, alert.detail)


class AlertManager:
    """Watches a monitor and tells notifiers what is news: once at the start, once at the end.

    A notifier that raises is logged, and told the next alert all the same. A webhook that cannot
    be reached is tried again later; what happened meanwhile arrives in order, the end of an
    alert never without its beginning (:mod:`wsresilient.core.alert_queue` says what is dropped
    when too much waits). A process that ends tells what is due first, within three seconds.

    :param rules: :class:`AlertRule`, the first that fits counts; None: one for each of the nine
        issues (:func:`~wsresilient.core.alerting.default_rules`).
    :param notifiers: functions that take an :class:`Alert`, and :class:`WebhookNotifier`; each is
        called on a thread of its own. None or empty: :func:`log_alert`.
    :param monitor: whose connections; None: ``get_monitor()``.
    :param reminder_interval: seconds until an alert that goes on is told again. None: never.
    :param check_interval: seconds from one look at the monitor to the next.
    :param queue_size: alerts that may wait for one notifier.
    :raises ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        rules: Iterable[AlertRule] | None = None,
        notifiers: Iterable[Notifier] | None = None,
        monitor: Diagnosed | None = None,
        reminder_interval: float | None = 3600.0,
        *,
        check_interval: float = 1.0,
        queue_size: int = 1000,
    ) -> None:
        check_seconds("reminder_interval", reminder_interval, exclusive=True, optional=True)
        check_seconds("check_interval", check_interval, exclusive=True)
        check_integer("queue_size", queue_size, minimum=1)
        self._rules = default_rules() if rules is None else _checked_rules(rules)
        self._notifiers = _checked_notifiers(notifiers) or (log_alert,)
        self._monitor: Diagnosed = get_monitor() if monitor is None else _checked_monitor(monitor)
        self._reminder_interval = reminder_interval
        self._check_interval = check_interval
        self._queue_size = queue_size
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Begin with nothing known: in the constructor, and in a child after a fork."""
        self._lock = threading.Lock()  # guards _thread and _stop, the latest of each
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        # Used by the watching thread only, of which there is one at a time.
        self._tracker = AlertTracker(self._rules, reminder_interval=self._reminder_interval)
        self._complaint = ""
        self._couriers = tuple(
            Courier(notifier, name=f"wsr-alerts-{number}", capacity=self._queue_size)
            for number, notifier in enumerate(self._notifiers, 1)
        )

    def __repr__(self) -> str:
        waiting = sum(courier.waiting for courier in self._couriers)
        return (
            f"<AlertManager {len(self._rules)} rules, {len(self._couriers)} notifiers, "
            f"{waiting} waiting, {'running' if self.is_running else 'stopped'}>"
        )

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._thread is not None and not self._stop.is_set()

    def start(self) -> AlertManager:
        """Start watching; does nothing while it runs.

        :returns: itself.
        :raises RuntimeError: the system makes no more threads; nothing is left running.
        """
        with self._lock:
            if self.is_running:
                return self
            previous, self._stop = self._thread, threading.Event()
            try:
                for courier in self._couriers:
                    courier.start()
                self._thread = spawn(self._watch, self._stop, previous, name="wsr-alerts")
            except BaseException:
                self._stop.set()
                for courier in self._couriers:
                    courier.stop(by=0.0)
                raise
        return self

    def stop(self, timeout: float = 5.0) -> bool:
        """Look once more, deliver what can be delivered, and stop; idempotent.

        What a webhook does not take within that time waits for the next :meth:`start`, or is
        lost with the process.

        :param timeout: seconds for all of it.
        :returns: whether every thread of it has ended, but for the caller's.
        """
        check_seconds("timeout", timeout)
        deadline = monotonic() + timeout
        with self._lock:
            watching = [] if self._thread is None else [self._thread]
            self._stop.set()
        left = gather(watching, timeout=timeout / 2)
        for courier in self._couriers:
            thread = courier.stop(by=deadline)
            left += [] if thread is None else [thread]
        return not gather(left, timeout=max(0.0, deadline - monotonic()))

    def __enter__(self) -> AlertManager:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # On the thread "wsr-alerts".

    def _watch(self, stop: threading.Event, previous: threading.Thread | None) -> None:
        if previous is not None:
            previous.join()  # it was told to stop, and may still be looking
        is_last = False
        while True:
            self._look()
            if is_last:
                return
            # One look more after stop(): what ended the program is what has to be told.
            is_last = stop.wait(self._check_interval)

    def _look(self) -> None:
        try:
            findings = self._monitor.diagnose_connection_issues()
            alerts = self._tracker.update(findings, now=monotonic(), wall=wall_clock())
        except Exception as error:  # a monitor of the user's may do anything
            self._complain(describe(error))
            return
        self._complaint = ""
        for alert in alerts:
            for courier in self._couriers:
                courier.push(alert)

    def _complain(self, text: str) -> None:
        """Say that the diagnosis failed, but not every second."""
        if text != self._complaint:
            self._complaint = text
            log.exception("the diagnosis failed; no alerts until it works again")


def _checked_rules(rules: Any) -> tuple[AlertRule, ...]:
    if isinstance(rules, (AlertRule, str)) or not isinstance(rules, Iterable):
        raise ConfigurationError(f"rules is {rules!r:.60}; allowed: a list of AlertRule, or None")
    checked = tuple(rules)
    for rule in checked:
        if not isinstance(rule, AlertRule):
            raise ConfigurationError(f"a rule is {rule!r:.60}; allowed: an AlertRule")
    return checked


def _checked_notifiers(notifiers: Any) -> tuple[Notifier, ...]:
    if notifiers is None:
        return ()
    if callable(notifiers) or isinstance(notifiers, WebhookNotifier):
        raise ConfigurationError("notifiers is a single notifier; allowed: a list of them")
    if isinstance(notifiers, (str, bytes)) or not isinstance(notifiers, Iterable):
        raise ConfigurationError(  # not shown: it may be the URL of a webhook
            f"notifiers is of type {type(notifiers).__name__}; allowed: a list of functions and "
            "WebhookNotifier(url)"
        )
    checked = tuple(notifiers)
    for notifier in checked:
        if not callable(notifier) and not isinstance(notifier, WebhookNotifier):
            # Not shown: it may be the URL of a webhook.
            raise ConfigurationError(
                f"a notifier is {named_type(notifier)}; allowed: a function that takes an "
                "Alert, or a WebhookNotifier(url)"
            )
    return checked


def _checked_monitor(monitor: Any) -> Diagnosed:
    if not callable(getattr(monitor, "diagnose_connection_issues", None)):
        raise ConfigurationError(f"monitor is {monitor!r:.60}; allowed: a Monitor, or None")
    return monitor  # type: ignore[no-any-return]


_all: weakref.WeakSet[AlertManager] = weakref.WeakSet()


def _stop_all() -> None:
    deadline = monotonic() + EXIT_PATIENCE
    for manager in list(_all):
        if manager.is_running:
            manager.stop(max(0.0, deadline - monotonic()))


def _begin_anew_in_child() -> None:
    for manager in list(_all):
        manager._begin()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
