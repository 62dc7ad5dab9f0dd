"""Alerts that wait for a receiver: order, what is dropped in pairs, when it is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsresilient import ReconnectPolicy
from wsresilient.core.alert_queue import AlertQueue
from wsresilient.core.alerting import Alert

EXACT = ReconnectPolicy(jitter=0.0)


def notice(state: str, connection: str = "feed", *, at: float = 0.0, reminder: int = 0) -> Alert:
    return Alert("lost_connections", connection, state, "", at=at, reminder=reminder)


def firing(connection: str = "feed", **fields: Any) -> Alert:
    return notice("firing", connection, **fields)


def resolved(connection: str = "feed", **fields: Any) -> Alert:
    return notice("resolved", connection, **fields)


def queue(*alerts: Alert, capacity: int = 10, policy: ReconnectPolicy = EXACT) -> AlertQueue:
    one = AlertQueue(policy, capacity=capacity)
    for alert in alerts:
        one.push(alert)
    return one


def deliver_all(one: AlertQueue) -> list[Alert]:
    delivered = []
    while one.wait(1e9) is not None:
        delivered.append(one.take())
        one.delivered()
    return delivered


def test_alerts_leave_in_the_order_in_which_they_came() -> None:
    alerts = [firing("a"), firing("b"), resolved("a"), resolved("b")]

    assert deliver_all(queue(*alerts)) == alerts


def test_an_alert_that_is_over_before_it_was_delivered_is_told_with_its_end() -> None:
    one = queue(firing())
    one.take()
    one.failed(0.0)
    one.push(resolved())

    assert deliver_all(one) == [firing(), resolved()]


def test_an_episode_that_nobody_has_seen_is_forgotten_when_the_next_begins() -> None:
    one = queue(firing(at=1.0), resolved(at=2.0), firing(at=3.0), resolved(at=4.0), firing(at=5.0))

    assert deliver_all(one) == [firing(at=5.0)]


def test_the_end_of_an_alert_that_was_delivered_is_never_forgotten() -> None:
    one = queue(firing(at=1.0))
    deliver_all(one)
    for alert in (resolved(at=2.0), firing(at=3.0), resolved(at=4.0), firing(at=5.0)):
        one.push(alert)

    assert deliver_all(one) == [resolved(at=2.0), firing(at=5.0)]


def test_an_alert_on_its_way_is_not_forgotten() -> None:
    one = queue(firing(at=1.0))
    assert one.take() == firing(at=1.0)
    one.push(resolved(at=2.0))
    one.push(firing(at=3.0))
    one.delivered()

    assert deliver_all(one) == [resolved(at=2.0), firing(at=3.0)]


def test_nobody_is_reminded_of_what_he_has_not_heard() -> None:
    one = queue(firing(), firing(reminder=1))
    assert len(one) == 1
    one.take()
    one.push(firing(reminder=2))
    one.delivered()
    assert len(one) == 0

    one.push(firing(reminder=3))
    one.push(firing(reminder=4))
    assert deliver_all(one) == [firing(reminder=3)]


def test_nobody_is_reminded_of_what_is_over() -> None:
    one = queue(firing())
    deliver_all(one)
    one.push(firing(reminder=1))
    one.push(resolved())

    assert deliver_all(one) == [resolved()]


def test_a_full_queue_takes_no_new_alert_and_then_not_its_end_either() -> None:
    one = queue(firing("a"), firing("b"), capacity=2)

    assert not one.push(firing("c"))
    assert one.push(resolved("c"))
    assert one.push(resolved("a"))
    assert one.dropped == 1
    assert deliver_all(one) == [firing("a"), firing("b"), resolved("a")]


def test_an_alert_that_was_dropped_is_told_by_its_reminder_when_there_is_room() -> None:
    one = queue(firing("a"), firing("b"), capacity=1)
    assert not one.push(firing("b", reminder=1))
    deliver_all(one)

    one.push(firing("b", reminder=2))
    one.push(resolved("b"))

    assert deliver_all(one) == [firing("b", reminder=2), resolved("b")]


def test_an_alert_that_was_given_up_takes_its_end_with_it() -> None:
    waiting = queue(firing("a"), resolved("a"), firing("b"))
    waiting.take()
    waiting.give_up()
    assert deliver_all(waiting) == [firing("b")]

    not_yet_over = queue(firing("a"))
    not_yet_over.take()
    not_yet_over.give_up()
    not_yet_over.push(resolved("a"))
    assert deliver_all(not_yet_over) == []


def test_the_end_of_an_alert_may_be_given_up_too() -> None:
    one = queue(firing(at=1.0))
    deliver_all(one)
    one.push(resolved(at=2.0))
    one.take()
    one.give_up()
    one.push(firing(at=3.0))

    assert deliver_all(one) == [firing(at=3.0)]


def test_what_failed_is_tried_again_later_and_later() -> None:
    one = queue(firing())
    waits = []
    for now in (100.0, 200.0, 300.0):
        assert one.wait(now) == 0.0
        one.take()
        waits.append(one.failed(now))
        assert one.wait(now) == waits[-1]

    assert waits == [1.0, 2.0, 4.0]
    assert one.wait(303.0) == 1.0
    assert len(one) == 1


def test_a_success_ends_the_waiting_for_those_behind() -> None:
    one = queue(firing("a"), firing("b"))
    one.take()
    one.failed(0.0)
    assert one.wait(0.0) == 1.0
    assert one.take() == firing("a")
    one.delivered()

    assert one.wait(0.0) == 0.0
    one.take()
    assert one.failed(0.0) == 1.0


def test_the_receiver_may_ask_for_more_time() -> None:
    one = queue(firing())
    one.take()

    assert one.failed(0.0, retry_after=30.0) == 30.0


def test_a_policy_may_give_up() -> None:
    one = queue(firing("a"), firing("b"), policy=ReconnectPolicy(jitter=0.0, max_attempts=1))
    one.take()
    assert one.failed(0.0) == 1.0
    one.take()
    assert one.failed(1.0) is None

    assert one.wait(1.0) == 0.0
    assert one.take() == firing("b")
    assert one.failed(1.0) == 1.0


def test_a_policy_may_pause_and_begin_afresh() -> None:
    policy = ReconnectPolicy(jitter=0.0, max_attempts=1, cooldown=50.0)
    one = queue(firing(), policy=policy)

    waits = []
    for _ in range(4):
        one.take()
        waits.append(one.failed(0.0))

    assert waits == [1.0, 50.0, 1.0, 50.0]


def test_an_empty_queue_has_nothing_to_wait_for() -> None:
    assert queue().wait(0.0) is None
    with pytest.raises(AssertionError):
        queue().delivered()


class Receiver(RuleBasedStateMachine):
    """Alerts that begin, go on and end at any time, over a receiver that fails at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = AlertQueue(EXACT, capacity=4)
        self.now = 0.0
        self.burning: dict[str, int] = {}  # connection -> reminders so far
        self.heard: dict[str, list[Alert]] = {name: [] for name in "abc"}

    @rule(name=st.sampled_from("abc"))
    def begin_or_go_on(self, name: str) -> None:
        self.now += 1.0
        reminder = self.burning.get(name, -1) + 1
        self.burning[name] = reminder
        self.queue.push(firing(name, at=self.now, reminder=reminder))

    @precondition(lambda self: self.burning)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.now += 1.0
        name = data.draw(st.sampled_from(sorted(self.burning)))
        del self.burning[name]
        self.queue.push(resolved(name, at=self.now))

    @precondition(lambda self: self.queue.wait(self.now) is not None)
    @rule(fate=st.sampled_from(["delivered", "failed", "give_up"]))
    def deliver(self, fate: str) -> None:
        alert = self.queue.take()
        if fate == "failed":
            self.queue.failed(self.now)
            return
        if fate == "delivered":
            self.heard[alert.connection].append(alert)
        getattr(self.queue, fate)()

    @invariant()
    def an_end_follows_a_beginning(self) -> None:
        for alerts in self.heard.values():
            believed = False
            for alert in alerts:
                assert alert.is_firing or believed
                believed = alert.is_firing

    @invariant()
    def order_is_kept(self) -> None:
        for alerts in self.heard.values():
            assert [alert.at for alert in alerts] == sorted({alert.at for alert in alerts})

    @invariant()
    def it_stays_small(self) -> None:
        assert len(self.queue) <= 4 + 2 * 3

    def teardown(self) -> None:
        for alert in deliver_all(self.queue):
            self.heard[alert.connection].append(alert)
        self.an_end_follows_a_beginning()
        self.order_is_kept()


TestReceiver = Receiver.TestCase


@given(st.lists(st.booleans(), max_size=30))
def test_a_receiver_that_is_back_knows_what_is_true(looks: list[bool]) -> None:
    one, burning = queue(), False
    for at, is_lost in enumerate(looks):
        if is_lost != burning:
            one.push(notice("firing" if is_lost else "resolved", at=float(at)))
            burning = is_lost

    delivered = deliver_all(one)

    assert len(delivered) <= 2
    assert (bool(delivered) and delivered[-1].is_firing) is burning
