"""What the watchdog decides: stuck sends, a silent feed, age; and how a connection is rated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConnectionConfig, FailureKind, SendTimeoutError, StaleConnectionError
from wsresilient.core.failure import Failure
from wsresilient.core.health import Vitals, is_healthy, quality_score, verdict

CONFIG = ConnectionConfig(stale_after=60.0, max_age=3600.0, send_timeout=10.0)
NEVER = ConnectionConfig(stale_after=None, max_age=None)
BEGIN = 1000.0  # monotonic


def look(age: float, *, config: ConnectionConfig = CONFIG, **vitals: Any) -> Failure | None:
    """Look at a connection that is so old."""
    return verdict(
        Vitals(BEGIN, vitals.pop("last_message_at", None), **vitals), config, BEGIN + age
    )


def test_a_connection_that_is_not_open_has_no_verdict() -> None:
    closed = Vitals(connected_at=None, last_message_at=0.0, send_due=0.0)

    assert verdict(closed, CONFIG, 1e9) is None


def test_silence_means_nothing_where_no_topic_is_wanted() -> None:
    assert look(100.0) is not None
    assert look(100.0, expects_data=False) is None


# The feed.


def test_a_silent_feed_is_stalled() -> None:
    failure = look(100.5, last_message_at=BEGIN + 40.0)

    assert failure is not None
    assert failure.kind is FailureKind.STALLED
    assert failure.retryable
    assert failure.is_error
    assert isinstance(failure.error, StaleConnectionError)
    assert "no message for 60.5 s" in failure.text
    assert "stale_after is 60 s" in failure.text


@pytest.mark.parametrize(
    ("age", "last"), [(60.0, None), (100.0, 40.0), (60.0, -5.0), (100.0, 100.0)]
)
def test_a_feed_within_its_limit_is_alive(age: float, last: float | None) -> None:
    assert look(age, last_message_at=None if last is None else BEGIN + last) is None


@pytest.mark.parametrize("last", [None, BEGIN - 1000.0])
def test_a_feed_that_has_not_begun_is_counted_from_the_connect(last: float | None) -> None:
    assert look(60.0, last_message_at=last) is None
    failure = look(60.1, last_message_at=last)
    assert failure is not None
    assert failure.kind is FailureKind.STALLED


def test_a_reader_that_waits_for_room_is_no_silent_feed() -> None:
    assert look(1000.0, held_back_since=BEGIN + 10.0) is None


# Age.


def test_an_old_connection_is_rotated_by_plan() -> None:
    failure = look(3600.5, last_message_at=BEGIN + 3600.0)

    assert failure is not None
    assert failure.kind is FailureKind.ROTATION
    assert failure.planned
    assert not failure.is_error
    assert failure.error is None
    assert "max_age is 3600 s" in failure.text


def test_an_old_connection_is_rotated_though_its_reader_waits_for_room() -> None:
    failure = look(3601.0, held_back_since=BEGIN)

    assert failure is not None
    assert failure.kind is FailureKind.ROTATION


# Sending.


def test_a_send_that_is_stuck_beyond_its_own_deadline_ends_the_connection() -> None:
    failure = look(50.0, last_message_at=BEGIN + 50.0, send_due=BEGIN + 48.0)

    assert failure is not None
    assert failure.kind is FailureKind.TIMEOUT
    assert isinstance(failure.error, SendTimeoutError)
    assert "2 s" in failure.text


def test_a_send_has_one_second_more_than_its_deadline() -> None:
    assert look(50.0, last_message_at=BEGIN + 50.0, send_due=BEGIN + 49.0) is None


def test_a_stuck_send_is_told_before_the_silence_that_it_causes() -> None:
    failure = look(100.0, send_due=BEGIN)

    assert failure is not None
    assert failure.kind is FailureKind.TIMEOUT


@given(st.floats(0.0, 1e9))
def test_what_is_switched_off_never_ends_a_connection(age: float) -> None:
    assert look(age, config=NEVER) is None


# Health.


@pytest.mark.parametrize(
    ("connected", "age", "duration", "stale_after", "healthy"),
    [
        (False, 0.0, 0.0, 60.0, False),
        (False, None, 0.0, None, False),
        (True, None, 60.0, 60.0, True),
        (True, None, 60.1, 60.0, False),
        (True, 60.0, 500.0, 60.0, True),
        (True, 60.1, 500.0, 60.0, False),
        (True, 500.0, 10.0, 60.0, True),  # the silence was before this connection
        (True, None, 1e9, None, True),
    ],
)
def test_healthy_is_connected_with_a_feed_that_is_alive(
    connected: bool, age: float | None, duration: float, stale_after: float | None, healthy: bool
) -> None:
    assert (
        is_healthy(
            connected=connected, last_message_age=age, duration=duration, stale_after=stale_after
        )
        is healthy
    )


# Quality.

PERFECT: dict[str, Any] = {
    "healthy": True,
    "last_message_age": 0.1,
    "reconnects_per_hour": 0,
    "errors": 0,
    "messages": 1000,
    "dropped": 0,
    "ping_rtt": 0.05,
}


def score(**changes: Any) -> int:
    return quality_score(**{**PERFECT, **changes})


def test_nothing_to_complain_of_is_100_and_not_healthy_is_0() -> None:
    assert score() == 100
    assert score(last_message_age=None, ping_rtt=None, messages=0) == 100
    assert score(healthy=False) == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reconnects_per_hour": 1}, 96),
        ({"reconnects_per_hour": 10}, 60),
        ({"reconnects_per_hour": 1000}, 60),
        ({"last_message_age": 60.0}, 100),
        ({"last_message_age": 180.0}, 90),
        ({"last_message_age": 1e9}, 80),
        ({"ping_rtt": 0.2}, 100),
        ({"ping_rtt": 1.1}, 90),
        ({"ping_rtt": 60.0}, 80),
        ({"errors": 25}, 85),
        ({"errors": 50}, 70),
        ({"errors": 5000}, 70),
        ({"dropped": 1000}, 70),
        ({"messages": 0, "errors": 1}, 70),
    ],
)
def test_what_is_taken_from_100(changes: dict[str, Any], expected: int) -> None:
    assert score(**changes) == expected


MEASURES = st.fixed_dictionaries(
    {
        "last_message_age": st.none() | st.floats(0.0, 1e6),
        "reconnects_per_hour": st.integers(0, 1000),
        "errors": st.integers(0, 10_000),
        "messages": st.integers(0, 10_000),
        "dropped": st.integers(0, 10_000),
        "ping_rtt": st.none() | st.floats(0.0, 100.0),
    }
)


@given(MEASURES)
def test_a_healthy_connection_is_rated_from_1_to_100(measures: dict[str, Any]) -> None:
    assert 1 <= score(**measures) <= 100


@given(
    MEASURES,
    st.sampled_from(["last_message_age", "reconnects_per_hour", "errors", "ping_rtt"]),
    st.integers(0, 1000),
)
def test_worse_is_never_rated_better(measures: dict[str, Any], name: str, more: int) -> None:
    worse = {**measures, name: (measures[name] or 0) + more}

    assert score(**worse) <= score(**measures)
