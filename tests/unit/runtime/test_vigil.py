"""What the watchdog does for one connection, without a thread, a socket and real time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from wsresilient import ConnectionConfig, Failure, FailureKind
from wsresilient.runtime.delivery import Delivery
from wsresilient.runtime.dispatcher import Dispatcher
from wsresilient.runtime.handlers import HandlerSet
from wsresilient.runtime.status import Status
from wsresilient.runtime.vigil import GRACE, Vigil

CONFIG = ConnectionConfig(stale_after=10.0)


class FakeAttempt:
    """An open connection on which nothing is being sent."""

    is_open = True
    ping_rtt = None
    sender = SimpleNamespace(due=None)

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.ends: list[Failure] = []
        self.is_cut = False

    def interrupt(self, reason: Failure, *, graceful: bool) -> None:
        assert not graceful
        self.ends.append(reason)

    def cut(self) -> None:
        self.is_cut = True


def broken(_now: float) -> float:
    raise RuntimeError("a bug of the succession")


def vigil_over(*attempts: FakeAttempt) -> Vigil:
    """Make one whose succession fails at each step."""
    present = tuple(
        SimpleNamespace(attempt=attempt, connected_at=0.0, last_message_at=0.0)
        for attempt in attempts
    )
    links: Any = SimpleNamespace(present=present, running=present[0], attempt=attempts[0])
    handlers = HandlerSet("feed")
    return Vigil(
        status=Status("feed", "wss://host/", CONFIG),
        config=CONFIG,
        handlers=handlers,
        delivery=Delivery("feed", CONFIG, handlers, Dispatcher(), None),
        links=links,
        let_rotate=lambda _link, _failure: False,
        step=broken,
        stats=dict,
        expects_data=lambda: True,
    )


def test_links_are_watched_whatever_becomes_of_a_succession() -> None:
    silent, hanging = FakeAttempt(), FakeAttempt(deadline=99.0 - GRACE)
    with pytest.raises(RuntimeError, match="a bug"):  # the watchdog logs it
        vigil_over(silent, hanging).watch(100.0)

    assert [failure.kind for failure in silent.ends] == [FailureKind.STALLED]
    assert hanging.is_cut
