"""What a connection notes of its past, and what is left when it has ended."""

from __future__ import annotations

from typing import Any

import pytest

from wsresilient import ConnectionConfig, ConnectionState, Failure, FailureKind, Gap
from wsresilient.core.metrics import Traffic
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.delivery import Delivery
from wsresilient.runtime.dispatcher import Dispatcher
from wsresilient.runtime.handlers import HandlerSet, SlowCall
from wsresilient.runtime.status import Status

CONFIG = ConnectionConfig()
GONE = Failure(FailureKind.NETWORK, "OSError: gone")


def made() -> tuple[Status, HandlerSet]:
    status, handlers = Status("feed", "wss://host/", CONFIG), HandlerSet("feed")
    handlers.note_error = status.note_handler_error
    return status, handlers


def stats(status: Status, handlers: HandlerSet, **extra: Any) -> dict[str, Any]:
    return status.stats(attempt=None, delivery=None, handlers=handlers, extra=extra)


def test_the_past_is_part_of_the_stats() -> None:
    status, handlers = made()
    status.begin_life()
    status.note_opened()
    closed = Failure(FailureKind.CLOSED, "closed", close_code=1012)
    status.note_end(closed, 1012, was_open=True)
    status.note_end(GONE, None, was_open=False)
    status.note_opened()
    status.note_gap(Gap("feed", (), "reconnect", 1.0, 2.0))

    told = stats(status, handlers)

    assert (told["last_close_code"], told["last_failure_kind"]) == (1012, "network")
    assert (told["reconnects_last_hour"], told["gap_count"]) == (1, 1)
    assert told["slow_handler"] is None


def test_the_code_that_a_failure_knows_stands_in_for_that_of_the_attempt() -> None:
    status, handlers = made()
    refused = Failure(FailureKind.AUTHENTICATION, "no", close_code=4401)

    status.note_end(refused, None, was_open=True)

    assert stats(status, handlers)["last_close_code"] == 4401


def test_a_failure_is_counted_kept_and_the_last_error() -> None:
    status, handlers = made()

    status.note_error("OSError: gone")

    told = stats(status, handlers)
    assert (told["error_count"], told["last_error"]) == (1, "OSError: gone")
    assert [one["text"] for one in status.history.as_dict()["errors"]] == ["OSError: gone"]


def test_what_others_know_wins_over_the_defaults() -> None:
    status, handlers = made()

    assert stats(status, handlers)["subscription_limit"] is None
    assert stats(status, handlers, subscription_limit=100)["subscription_limit"] == 100


def test_old_errors_cost_no_quality_once_an_hour_has_passed() -> None:
    status, handlers = made()
    delivery = Delivery("feed", CONFIG, handlers, Dispatcher(), None)
    status.begin_life()
    status.advance(ConnectionState.CONNECTING, "test")
    status.advance(ConnectionState.CONNECTED, "test")
    status.count(Traffic(messages=100))
    for _ in range(50):
        status.note_error("OSError: gone")
    assert stats(status, handlers)["quality_score"] == 70

    for second in range(10_000_000, 10_000_000 + 8000, 60):
        status.sample(float(second), attempt=None, delivery=delivery, handlers=handlers)

    assert stats(status, handlers)["quality_score"] == 100


def test_samples_become_the_totals_of_a_window() -> None:
    status, handlers = made()
    delivery = Delivery("feed", CONFIG, handlers, Dispatcher(), None)
    status.count(Traffic(messages=7))
    status.dropped_before = 3
    status.note_error("x")
    status.note_gap(Gap("feed", (), "sequence", 1.0, 2.0))
    handlers.fail(ValueError("bad"))

    status.sample(50.0, attempt=None, delivery=delivery, handlers=handlers)

    assert status.history.totals_before(50.0) == (50.0, 7, 1, 1, 3, 1, 0)


def test_lost_connections_are_told_from_other_errors() -> None:
    status, handlers = made()
    delivery = Delivery("feed", CONFIG, handlers, Dispatcher(), None)
    status.note_end(GONE, None, was_open=True)
    status.note_end(GONE, None, was_open=False)
    status.note_end(Failure(FailureKind.CLOSED, "1000", is_error=False), 1000, was_open=True)
    status.note_end(Failure(FailureKind.ROTATION, "old", is_error=False), 1000, was_open=True)

    status.sample(50.0, attempt=None, delivery=delivery, handlers=handlers)

    assert status.history.totals_before(50.0).link_errors == 2


def test_what_its_stats_and_its_health_say_of_silence_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, handlers = made()
    status.advance(ConnectionState.CONNECTING, "")
    status.advance(ConnectionState.CONNECTED, "")
    status.connected_at = monotonic()
    monkeypatch.setattr("wsresilient.runtime.status.monotonic", lambda: monotonic() + 1000.0)
    assert not status.is_healthy()
    assert not stats(status, handlers)["is_healthy"]
    assert stats(status, handlers)["stale_after"] == CONFIG.stale_after

    status.expects_data = False

    assert status.is_healthy()
    assert stats(status, handlers)["is_healthy"]


def test_a_handler_that_raises_at_every_message_is_noted_once_a_second() -> None:
    status, handlers = made()

    def raises(_message: object) -> None:
        raise ValueError("token wss://user:hunter2@host/")

    handlers.add("message", raises)
    handlers.deliver("message", list(range(100)))

    texts = [one["text"] for one in status.history.as_dict()["errors"]]
    assert 1 <= len(texts) < 10
    assert texts[0].endswith("raises, for 'message': ValueError: token wss://***@host/")
    assert handlers.counters.callback_errors == 100


def test_slow_calls_are_kept_for_the_diagnosis() -> None:
    status, _ = made()
    for seconds in (1.0, 2.0):
        call = SlowCall("message", "on_message (x.py:1)", seconds)
        status.note_slow_call(call, 10.0 + seconds, is_new=seconds == 1.0)

    assert [note.seconds for note in status.history.slow_calls_since(0.0)] == [2.0]


def test_a_new_life_has_not_ended() -> None:
    status, handlers = made()
    status.begin_life()
    status.end_life(stats(status, handlers))
    ended_at = status.ended_at

    status.begin_life()

    assert ended_at is not None
    assert status.ended_at is None


def test_a_successor_goes_on_with_counts_and_history() -> None:
    (old, old_handlers), (new, new_handlers) = made(), made()
    old.begin_life()
    old.note_opened()
    old.counters.reconnects, old.generation = 2, 3
    old.count(Traffic(messages=100, last_message_at=monotonic()))
    old.dropped_before, old_handlers.counters.unrouted = 5, 7
    old.note_error("OSError: gone")
    old.note_gap(Gap("feed", (), "sequence", 1.0, 2.0))
    new.begin_life()
    new.note_opened()
    new.connected_at = monotonic()
    new.count(Traffic(messages=10))
    new.generation = 1
    new.note_gap(Gap("feed", (), "rotation", 1.0, 2.0))
    new_handlers.fail(ValueError("bad"))
    before = stats(old, old_handlers)

    new.take_over(old, before)

    told, left = stats(new, new_handlers), stats(old, old_handlers)
    assert (told["message_count"], told["reconnect_count"], told["generation"]) == (110, 2, 4)
    assert (told["dropped_messages"], told["unrouted_messages"]) == (5, 7)
    assert (told["error_count"], told["callback_errors"], told["gap_count"]) == (1, 1, 2)
    assert told["last_error"] == "OSError: gone"
    assert told["last_message_age"] is not None
    assert {left[key] for key in new.carried} == {0}  # nothing is counted twice
    past = new.history.as_dict()
    assert [one["text"] for one in past["errors"]] == ["OSError: gone", "ValueError: bad"]
    assert [(one["kind"], one["lasted"]) for one in past["events"]] == [("rotation", 0.0)]
    assert new.history.down_since is None
    assert new.history.reconnects_since(0.0) == 0

    old.note_end(GONE, None, was_open=True)  # is its own business
    assert len(new.history.as_dict()["events"]) == 1


def test_messages_of_two_connections_are_counted_whatever_has_become_of_them() -> None:
    status, handlers = made()
    old, new = Traffic(messages=5), Traffic(messages=1)
    status.count(old)
    status.count(new)
    status.count_beside(2)
    status.settle(new)
    status.count_beside(3)

    assert status.messages == stats(status, handlers)["message_count"] == 11


def test_a_successor_of_a_lost_connection_ends_the_outage() -> None:
    (old, handlers), (new, _) = made(), made()
    old.begin_life()
    old.note_opened()
    old.note_end(GONE, None, was_open=True)
    new.connected_at = monotonic()

    new.take_over(old, stats(old, handlers))

    (event,) = new.history.as_dict()["events"]
    assert event["kind"] == "network"
    assert event["lasted"] is not None
    assert new.history.reconnects_since(0.0) == 1


def test_samples_go_on_without_a_step() -> None:
    (old, old_handlers), (new, new_handlers) = made(), made()
    delivery = Delivery("feed", CONFIG, old_handlers, Dispatcher(), None)
    old.count(Traffic(messages=100))
    old.sample(50.0, attempt=None, delivery=delivery, handlers=old_handlers)
    new.count(Traffic(messages=1))

    new.take_over(old, stats(old, old_handlers))
    new.sample(51.0, attempt=None, delivery=delivery, handlers=new_handlers)

    assert new.history.totals_before(50.5).messages == 100
    assert new.history.totals_before(51.0).messages == 101
