"""What has happened at the fake exchange, for the test to look at. Bounded; no clock, no socket."""

from __future__ import annotations

from collections import deque

from wsresilient.testing.limits import Violation
from wsresilient.testing.records import Handshake, LoginAttempt, ReceivedRequest, RestRecord

__all__ = ["Ledger"]

_MEMORY = 100_000  # how many of each kind are remembered


class Ledger:
    """Lists that only grow, each in the order of what happened.

    :ivar sent_count: data messages, to each client counted.
    :ivar ping_count: pings of clients, heartbeats included.
    """

    def __init__(self) -> None:
        self.requests: deque[ReceivedRequest] = deque(maxlen=_MEMORY)
        self.handshakes: deque[Handshake] = deque(maxlen=_MEMORY)
        self.close_codes: deque[int | None] = deque(maxlen=_MEMORY)
        self.logins: deque[LoginAttempt] = deque(maxlen=_MEMORY)
        self.violations: deque[Violation] = deque(maxlen=_MEMORY)
        self.rest_requests: deque[RestRecord] = deque(maxlen=_MEMORY)
        self.sent_count = 0
        self.ping_count = 0

    def __repr__(self) -> str:
        return f"<Ledger {len(self.requests)} requests, {self.sent_count} messages>"
