"""When a connection gets a successor, and when it has to end without one."""

from __future__ import annotations

import pytest

from wsresilient import Failure, FailureKind
from wsresilient.core import demand as module
from wsresilient.core.demand import SuccessionDemand

NOTICE = Failure(FailureKind.ROTATION, "the server asks for it", is_error=False)
DAY = 86400.0


def made(max_age: float | None = DAY) -> SuccessionDemand:
    return SuccessionDemand("feed", max_age)


def test_a_connection_is_due_shortly_before_max_age() -> None:
    demand = made()
    assert demand.reason(1, connected_at=100.0, now=100.0 + 0.8 * DAY) is None

    reason = demand.reason(1, connected_at=100.0, now=100.0 + 0.99 * DAY)

    assert reason is not None
    assert (reason.kind, reason.is_error) == (FailureKind.ROTATION, False)
    assert reason.text == "planned rotation: connected for 85536 s, max_age is 86400 s"


def test_without_max_age_only_somebody_who_asks_counts() -> None:
    demand = made(None)
    assert demand.reason(1, connected_at=0.0, now=1e9) is None

    assert demand.ask(1, NOTICE, connected_at=0.0, now=1e9)

    assert demand.reason(1, connected_at=0.0, now=1e9) is NOTICE


def test_what_was_asked_for_one_connection_is_not_for_the_next() -> None:
    demand = made()
    demand.ask(1, NOTICE, connected_at=0.0, now=1.0)

    assert demand.reason(2, connected_at=2.0, now=3.0) is None


def test_pauses_grow_and_begin_anew_with_another_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE", 12.0)
    demand = made()
    assert demand.may_begin(1, 0.0)
    for pause in (5.0, 10.0, 12.0, 12.0):
        demand.failed(1, 100.0)
        assert not demand.may_begin(1, 100.0 + pause - 0.1)
        assert demand.may_begin(1, 100.0 + pause)

    assert demand.may_begin(2, 100.0)
    demand.failed(2, 100.0)
    assert demand.may_begin(2, 105.0)
    assert "1 failures" in repr(demand)


def test_the_first_try_is_waited_for_beyond_max_age_and_no_other() -> None:
    demand = made()
    assert demand.ask(1, NOTICE, connected_at=0.0, now=DAY + 1.0)
    demand.failed(1, DAY - 100.0)

    assert demand.ask(1, NOTICE, connected_at=0.0, now=DAY - 1.0)
    assert not demand.ask(1, NOTICE, connected_at=0.0, now=DAY + 1.0)


def test_where_none_can_be_made_max_age_is_the_limit() -> None:
    demand = made()

    assert demand.ask(1, NOTICE, connected_at=0.0, now=DAY - 1.0, is_blocked=True)
    assert not demand.ask(1, NOTICE, connected_at=0.0, now=DAY + 1.0, is_blocked=True)


def test_where_none_is_possible_nobody_waits_for_one() -> None:
    demand = made()
    assert demand.ask(1, NOTICE, connected_at=0.0, now=1.0)
    demand.rule_out(1)

    assert demand.reason(1, connected_at=0.0, now=0.99 * DAY) is None
    assert not demand.ask(1, NOTICE, connected_at=0.0, now=2.0)
    assert demand.ask(2, NOTICE, connected_at=3.0, now=4.0)


def test_the_pause_can_be_told_after_any_number_of_successors_in_vain() -> None:
    demand = made(None)
    for _ in range(2000):
        demand.failed(1, 0.0)

    assert not demand.may_begin(1, module.LONGEST_PAUSE - 0.1)
    assert demand.may_begin(1, module.LONGEST_PAUSE)
