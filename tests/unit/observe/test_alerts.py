"""The alert manager without a network: who is told, on which thread, and how it ends."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import BOUND, Gate, eventually
from wsresilient import ConfigurationError, Monitor, ReconnectPolicy
from wsresilient.core.alerting import ISSUES, Alert, AlertRule
from wsresilient.observe.alerts import AlertManager, log_alert
from wsresilient.observe.courier import Courier
from wsresilient.observe.webhook import Receipt, WebhookNotifier

QUICK = ReconnectPolicy(initial_delay=0.001, max_delay=0.01)
RULES = [AlertRule(issue, clear_seconds=0.0) for issue in ISSUES]
WEBHOOK = "https://hooks.example.com/T0KEN-xyz-123"


class StubMonitor:
    """Finds what it is told to find."""

    def __init__(self) -> None:
        self.lost: tuple[str, ...] = ()
        self.error: Exception | None = None
        self.looks = 0

    def diagnose_connection_issues(self) -> dict[str, list[dict[str, Any]]]:
        self.looks += 1
        if self.error is not None:
            raise self.error
        found: dict[str, list[dict[str, Any]]] = {issue: [] for issue in ISSUES}
        for name in self.lost:
            found["lost_connections"].append(
                {"connection": name, "value": 1, "threshold": 0, "detail": "d", "suggestion": "s"}
            )
        return found


class Heard:
    """A notifier that keeps what it is told, and on which thread."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.threads: set[str] = set()

    def __call__(self, alert: Alert) -> None:
        self.threads.add(threading.current_thread().name)
        self.alerts.append(alert)

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(alert.connection, alert.state) for alert in self.alerts]

    def wait_for(self, *states: tuple[str, str]) -> None:
        assert eventually(lambda: self.states == list(states)), self.states


class ScriptedWebhook(WebhookNotifier):
    """Answers with what it was given, then with success."""

    def __init__(self, *receipts: Receipt | Exception) -> None:
        super().__init__(WEBHOOK, retry=QUICK)
        self.receipts = list(receipts)
        self.heard = Heard()
        self.tries = 0

    def send(self, alert: Alert) -> Receipt:
        self.tries += 1
        receipt = self.receipts.pop(0) if self.receipts else Receipt(True)
        if isinstance(receipt, Exception):
            raise receipt
        if receipt.delivered:
            self.heard(alert)
        return receipt


@pytest.fixture
def monitor() -> StubMonitor:
    return StubMonitor()


@pytest.fixture
def heard() -> Heard:
    return Heard()


def manager(monitor: StubMonitor, *notifiers: Any, **settings: Any) -> AlertManager:
    usual: dict[str, Any] = {"rules": RULES, "check_interval": 0.005}
    return AlertManager(notifiers=notifiers, monitor=monitor, **(usual | settings))


def test_each_notifier_is_told_once_at_the_beginning_and_once_at_the_end(
    monitor: StubMonitor, heard: Heard
) -> None:
    other = Heard()
    with manager(monitor, heard, other):
        monitor.lost = ("feed",)
        heard.wait_for(("feed", "firing"))
        looks = monitor.looks
        assert eventually(lambda: monitor.looks > looks + 3)
        monitor.lost = ()
        heard.wait_for(("feed", "firing"), ("feed", "resolved"))
        other.wait_for(("feed", "firing"), ("feed", "resolved"))

    assert heard.threads == {"wsr-alerts-1"}
    assert other.threads == {"wsr-alerts-2"}
    assert abs(heard.alerts[0].at - time.time()) < BOUND


def test_every_issue_is_told_by_default(heard: Heard) -> None:
    class AllIsLost(StubMonitor):
        def diagnose_connection_issues(self) -> dict[str, list[dict[str, Any]]]:
            return {issue: [{"connection": "feed"}] for issue in ISSUES}

    with manager(AllIsLost(), heard, rules=None):
        assert eventually(lambda: len(heard.alerts) == len(ISSUES) - 1)

    # A gap alone is no news: its rule waits for more of them.
    assert [alert.issue for alert in heard.alerts] == list(ISSUES[:-1])


def test_the_monitor_finds_just_the_issues_that_there_are_rules_for() -> None:
    assert tuple(Monitor().diagnose_connection_issues()) == ISSUES


def test_a_reminder_comes_while_it_lasts(monitor: StubMonitor, heard: Heard) -> None:
    monitor.lost = ("feed",)
    with manager(monitor, heard, reminder_interval=0.01):
        assert eventually(lambda: len(heard.alerts) >= 3)

    assert [alert.reminder for alert in heard.alerts[:3]] == [0, 1, 2]


def test_without_notifiers_the_log_is_told(
    monitor: StubMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsresilient.alerts")
    with AlertManager(RULES, [], monitor, check_interval=0.005):
        monitor.lost = ("feed",)
        assert eventually(lambda: len(caplog.records) == 1)
        monitor.lost = ()
        assert eventually(lambda: len(caplog.records) == 2)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "FIRING lost connections: feed: d To do: s"),
        ("INFO", "RESOLVED lost connections: feed: over after 0 s; it was: d"),
    ]


def test_the_log_may_be_one_of_several(caplog: pytest.LogCaptureFixture) -> None:
    log_alert(Alert("data_gaps", "feed", "firing", "5 gaps."))

    assert caplog.messages == ["FIRING data gaps: feed: 5 gaps. To do: -"]


def test_a_notifier_that_raises_is_logged_and_told_the_next_alert(
    monitor: StubMonitor, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[Alert] = []

    def broken(alert: Alert) -> None:
        tries.append(alert)
        raise SystemExit("no")

    with manager(monitor, broken, heard):
        monitor.lost = ("a", "b")
        assert eventually(lambda: len(tries) == 2)
        heard.wait_for(("a", "firing"), ("b", "firing"))
        monitor.lost = ()
        assert eventually(lambda: len(tries) == 4)

    assert "broken raised, told of: FIRING lost connections: a" in caplog.text
    assert "SystemExit: no" in caplog.text


def test_a_notifier_that_does_not_return_holds_up_no_other(
    monitor: StubMonitor, heard: Heard
) -> None:
    gate = Gate()
    with manager(monitor, gate.pass_through, heard) as alerts:
        monitor.lost = ("a",)
        gate.wait_for_arrival()
        monitor.lost = ("a", "b")
        heard.wait_for(("a", "firing"), ("b", "firing"))
        before = time.monotonic()
        assert not alerts.stop(timeout=0.05)
        assert time.monotonic() - before < BOUND / 2
        gate.open()
        assert alerts.stop(BOUND)


def test_a_webhook_that_fails_gets_each_notice_later_once_and_in_order(
    monitor: StubMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    down = Receipt(False, may_retry=True, text="HTTP 500: later")
    webhook = ScriptedWebhook(*[down] * 5)
    with manager(monitor, webhook):
        monitor.lost = ("feed",)
        assert eventually(lambda: webhook.tries >= 2)
        monitor.lost = ()
        webhook.heard.wait_for(("feed", "firing"), ("feed", "resolved"))

    assert webhook.tries == 7
    assert "<WebhookNotifier json https://hooks.example.com/***>: HTTP 500: later; again in" in (
        caplog.text
    )


def test_a_notice_that_no_try_can_deliver_is_given_up(
    monitor: StubMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    webhook = ScriptedWebhook(Receipt(False, text="HTTP 404"))
    with manager(monitor, webhook):
        monitor.lost = ("a",)
        assert eventually(lambda: "HTTP 404; given up: FIRING lost connections: a" in caplog.text)
        monitor.lost = ("b",)
        webhook.heard.wait_for(("b", "firing"))  # and no "resolved" of a


def test_a_webhook_with_a_bug_is_logged_and_told_the_next_alert(
    monitor: StubMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    webhook = ScriptedWebhook(ValueError("a bug"))
    with manager(monitor, webhook):
        monitor.lost = ("a", "b")
        webhook.heard.wait_for(("b", "firing"))

    assert "ValueError: a bug" in caplog.text


def test_too_many_alerts_are_dropped_with_a_word(
    monitor: StubMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    monitor.lost = ("a", "b", "c", "d")
    with manager(monitor, gate.pass_through, queue_size=2):
        assert eventually(lambda: "dropped (1 so far)" in caplog.text)
        gate.open()


def test_a_diagnosis_that_fails_is_told_once_and_tried_again(
    monitor: StubMonitor, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.error = ValueError("no diagnosis")
    with manager(monitor, heard):
        assert eventually(lambda: monitor.looks > 5)
        assert caplog.text.count("ValueError: no diagnosis") == 1
        monitor.lost, monitor.error = ("feed",), None
        heard.wait_for(("feed", "firing"))


# Start and stop.


def test_stop_looks_once_more_and_delivers(monitor: StubMonitor, heard: Heard) -> None:
    alerts = manager(monitor, heard, check_interval=BOUND).start()
    assert eventually(lambda: monitor.looks == 1)
    monitor.lost = ("feed",)

    assert alerts.stop(BOUND)

    assert heard.states == [("feed", "firing")]
    assert not [thread for thread in threading.enumerate() if "alerts" in thread.name]


def test_stop_does_not_wait_for_a_receiver_that_is_down(monitor: StubMonitor) -> None:
    webhook = ScriptedWebhook(Receipt(False, may_retry=True, retry_after=3000.0, text="HTTP 503"))
    monitor.lost = ("feed",)
    alerts = manager(monitor, webhook).start()
    assert eventually(lambda: webhook.tries == 1)

    assert alerts.stop(BOUND)

    assert "1 waiting, stopped" in repr(alerts)
    assert webhook.heard.states == []


def test_it_may_be_started_and_stopped_again_and_tells_nothing_twice(
    monitor: StubMonitor, heard: Heard
) -> None:
    alerts = manager(monitor, heard)
    assert alerts.stop()
    assert "stopped" in repr(alerts)
    monitor.lost = ("feed",)
    with alerts:
        assert alerts.start() is alerts
        heard.wait_for(("feed", "firing"))
        assert "running" in repr(alerts)
    assert alerts.stop()
    looks = monitor.looks
    with alerts:
        assert eventually(lambda: monitor.looks > looks + 2)
        monitor.lost = ()
        heard.wait_for(("feed", "firing"), ("feed", "resolved"))


def test_stop_may_be_called_by_a_notifier(monitor: StubMonitor) -> None:
    results: list[bool] = []
    monitor.lost = ("feed",)

    def stop(_: Alert) -> None:
        results.append(alerts.stop(BOUND))

    alerts = manager(monitor, stop)
    alerts.start()  # on a line of its own: the notifier may come before start() has returned

    assert eventually(lambda: results == [True])
    assert not alerts.is_running


def test_starts_and_stops_of_several_threads_leave_nothing(monitor: StubMonitor) -> None:
    alerts = manager(monitor, lambda _: None)

    def toggle() -> None:
        for _ in range(20):
            alerts.start()
            alerts.stop(BOUND)

    threads = [threading.Thread(target=toggle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert alerts.stop(BOUND)


def test_a_thread_that_cannot_be_made_leaves_nothing_running(
    monitor: StubMonitor, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_settings: object) -> None:
        raise RuntimeError("no more threads")

    alerts = manager(monitor, heard)
    monkeypatch.setattr("wsresilient.observe.alerts.spawn", fail)
    with pytest.raises(RuntimeError):
        alerts.start()

    assert not alerts.is_running
    assert alerts.stop(BOUND)


def test_one_that_was_never_started_is_not_kept(monitor: StubMonitor) -> None:
    kept = weakref.ref(manager(monitor))
    gc.collect()

    assert kept() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are a thing of POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_begins_anew_and_is_not_held_up_by_a_lock_of_its_parent(
    monitor: StubMonitor, heard: Heard
) -> None:
    monitor.lost = ("feed",)
    with manager(monitor, heard) as alerts:
        heard.wait_for(("feed", "firing"))
        with alerts._lock:
            child = os.fork()
        if child == 0:
            heard.alerts.clear()
            with alerts:
                told = eventually(lambda: heard.states == [("feed", "firing")])
            os._exit(0 if told else 1)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert heard.states == [("feed", "firing")]


@pytest.fixture
def courier(heard: Heard) -> Iterator[Courier]:
    one = Courier(heard, name="wsr-alerts-1", capacity=5)
    yield one
    one.stop(by=0.0)


def test_a_courier_that_is_not_started_keeps_what_it_gets(courier: Courier, heard: Heard) -> None:
    courier.push(Alert("data_gaps", "feed", "firing", "d"))
    assert (courier.waiting, heard.states) == (1, [])

    courier.start()
    heard.wait_for(("feed", "firing"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"rules": ["lost_connections"]}, "a rule is 'lost_connections'; allowed: an AlertRule"),
        ({"notifiers": [WEBHOOK]}, "a notifier is a str; allowed: a function"),
        ({"notifiers": print}, "notifiers is a single notifier; allowed: a list"),
        ({"notifiers": WebhookNotifier(WEBHOOK)}, "notifiers is a single notifier"),
        ({"notifiers": WEBHOOK}, "notifiers is of type str"),
        ({"notifiers": 5}, "notifiers is of type int"),
        ({"rules": AlertRule("data_gaps")}, "rules is AlertRule("),
        ({"rules": "data_gaps"}, "rules is 'data_gaps'"),
        ({"rules": 5}, "rules is 5"),
        ({"monitor": 5}, "monitor is 5; allowed: a Monitor"),
        ({"reminder_interval": 0}, "reminder_interval is 0; allowed: "),
        ({"check_interval": 0}, "check_interval is 0; allowed: "),
        ({"queue_size": 0}, "queue_size is 0; allowed: "),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AlertManager(**({"monitor": StubMonitor()} | arguments))

    assert why in str(caught.value)
    assert "T0KEN" not in str(caught.value)
