"""Alerts that wait for one receiver: in order, bounded, tried again later. Pure.

What it promises of one issue of one connection: a receiver gets "firing" before "resolved",
each once, and never a "resolved" whose "firing" was dropped. An alert that is over before
the receiver could be reached is still told, both notices, for the usual reason is that this
machine's own network was down, and then that is the news. Only when the same alert begins
again is the earlier pair, which nobody has seen, forgotten: a receiver that was down all night
gets the latest episode, not all of them.
"""

from __future__ import annotations

from collections import deque

from .alerting import Alert, Key
from .backoff import ReconnectPolicy

__all__ = ["AlertQueue"]


class AlertQueue:
    """Not thread-safe: whoever holds it has the lock.

    :param policy: how long to wait after a delivery that failed, and when to give up.
    :param capacity: no new alert is taken while so many notices wait; the "resolved" of an
        alert that was taken is taken always.
    """

    def __init__(self, policy: ReconnectPolicy, *, capacity: int) -> None:
        self._policy = policy
        self._capacity = capacity
        self._waiting: deque[Alert] = deque()
        self._leaving: Alert | None = None  # taken, and its fate not yet known
        self._failures = 0  # of the head, in a row
        self._not_before = 0.0
        self._told: set[Key] = set()  # alerts that the receiver believes to be firing
        #: Notices that were dropped since the queue was full.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting) + (self._leaving is not None)

    def push(self, alert: Alert) -> bool:
        """Add a notice at the end.

        :returns: False when it was dropped since the queue is full.
        """
        return self._push_firing(alert) if alert.is_firing else self._push_resolved(alert)

    def _push_firing(self, alert: Alert) -> bool:
        undelivered = self._undelivered(_key(alert))
        if alert.reminder and undelivered and undelivered[-1].is_firing:
            return True  # the receiver does not know of it yet: nothing to remind of
        if not alert.reminder:
            self._forget_unseen_episode(undelivered)
        if len(self) >= self._capacity:
            self.dropped += 1
            return False
        self._waiting.append(alert)
        return True

    def _push_resolved(self, alert: Alert) -> bool:
        key = _key(alert)
        undelivered = self._undelivered(key)
        latest = undelivered[-1] if undelivered else None
        reminds = latest is not None and latest.reminder and latest is not self._leaving
        if reminds and self._will_know(key, undelivered[:-1]):
            self._drop([undelivered.pop()])  # nothing to remind of any more
        if self._will_know(key, undelivered):
            self._waiting.append(alert)
        return True  # else its firing was dropped or given up, and so it is no news

    def _undelivered(self, key: Key) -> list[Alert]:
        leaving = [] if self._leaving is None else [self._leaving]
        return [alert for alert in (*leaving, *self._waiting) if _key(alert) == key]

    def _will_know(self, key: Key, undelivered: list[Alert]) -> bool:
        """Whether the receiver takes the alert for firing once it has got these notices."""
        return undelivered[-1].is_firing if undelivered else key in self._told

    def _forget_unseen_episode(self, undelivered: list[Alert]) -> None:
        """Drop the last "firing" and "resolved" of an alert, if both are still here."""
        episode = undelivered[-2:]
        if len(episode) == 2 and episode[0].is_firing and episode[0] is not self._leaving:
            self._drop(episode)

    def _drop(self, alerts: list[Alert]) -> None:
        unwanted = {id(alert) for alert in alerts}
        self._waiting = deque(alert for alert in self._waiting if id(alert) not in unwanted)

    # Delivery: take, then one of delivered, failed, give_up.

    def wait(self, now: float) -> float | None:
        """Return seconds until something may be taken, or None: nothing waits."""
        if not self._waiting:
            return None
        return max(0.0, self._not_before - now)

    def take(self) -> Alert:
        """Take the first one, to deliver it."""
        self._leaving = self._waiting.popleft()
        return self._leaving

    def delivered(self) -> None:
        """Note that the receiver has it."""
        alert = self._settle()
        if alert.is_firing:
            self._told.add(_key(alert))
        else:
            self._told.discard(_key(alert))

    def give_up(self) -> None:
        """Note that it will never arrive; the rest is not held up."""
        alert = self._settle()
        key = _key(alert)
        if not alert.is_firing:
            self._told.discard(key)
        elif key not in self._told:
            ends = [one for one in self._waiting if _key(one) == key and not one.is_firing]
            self._drop(ends[:1])

    def _settle(self) -> Alert:
        assert self._leaving is not None, "take() comes first"
        alert, self._leaving = self._leaving, None
        self._failures, self._not_before = 0, 0.0
        return alert

    def failed(self, now: float, *, retry_after: float | None = None) -> float | None:
        """Note that it did not arrive; it stays the first in the queue.

        :param retry_after: seconds that the receiver asked for, a lower bound.
        :returns: seconds until it is tried again, or None: the policy gave up on it.
        """
        assert self._leaving is not None, "take() comes first"
        self._failures += 1
        decision = self._policy.decide(self._failures, retry_after=retry_after)
        if decision.delay is None:
            self.give_up()
            return None
        if decision.fresh_start:
            self._failures = 0
        self._waiting.appendleft(self._leaving)
        self._leaving = None
        self._not_before = now + decision.delay
        return decision.delay


def _key(alert: Alert) -> Key:
    return alert.issue, alert.connection
