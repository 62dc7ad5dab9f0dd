"""Connections of other libraries: what their stats make of what was recorded."""

from __future__ import annotations

import pytest

from wsresilient import ConnectionState
from wsresilient.observe.foreign import STALE_AFTER, ForeignConnection, error_text

WALL = 1_700_000_000.0


def test_it_begins_with_nothing() -> None:
    stats = ForeignConnection("feed", 100.0).stats(160.0, WALL)

    assert stats["state"] == "disconnected"
    assert stats["message_count"] == stats["error_count"] == stats["generation"] == 0
    assert stats["last_message_age"] is None
    assert stats["connect_time"] is None
    assert stats["last_error"] == ""
    assert not stats["is_healthy"]


def test_messages_are_a_sign_of_being_connected() -> None:
    feed = ForeignConnection("feed", 100.0)

    feed.add_messages(3, 120, 101.0)

    stats = feed.stats(103.0, WALL)
    assert (stats["state"], stats["is_healthy"], stats["generation"]) == ("connected", True, 1)
    assert (stats["message_count"], stats["bytes_received"]) == (3, 120)
    assert stats["last_message_age"] == pytest.approx(2.0)
    assert stats["last_message_time"] == pytest.approx(WALL - 2.0)
    assert stats["connection_duration"] == pytest.approx(2.0)
    assert stats["connect_time"] == pytest.approx(WALL - 2.0)
    assert stats["messages_per_minute"] == pytest.approx(60.0)


def test_a_state_that_was_told_is_not_guessed_any_more() -> None:
    feed = ForeignConnection("feed", 0.0)

    feed.change_state(ConnectionState.RECONNECTING, 1.0)
    feed.add_messages(1, 0, 2.0)
    feed.add_reconnect(3.0)

    assert feed.stats(4.0, WALL)["state"] == "reconnecting"
    assert feed.stats(4.0, WALL)["reconnect_count"] == 1


def test_no_message_at_all_is_no_message_that_has_come() -> None:
    feed = ForeignConnection("feed", 0.0)

    feed.add_messages(0, 0, 1.0)

    assert feed.stats(2.0, WALL)["last_message_age"] is None


def test_the_rate_is_that_of_the_last_minute() -> None:
    feed = ForeignConnection("feed", 0.0)
    for second in range(120):
        feed.add_messages(10, 0, float(second))

    assert feed.stats(120.0, WALL)["messages_per_minute"] == pytest.approx(600.0, rel=0.05)
    assert feed.stats(3600.0, WALL)["messages_per_minute"] == pytest.approx(0.0, abs=5.0)


def test_what_has_happened_becomes_history() -> None:
    feed = ForeignConnection("feed", 100.0, WALL)
    feed.change_state(ConnectionState.CONNECTING, 100.0)
    feed.change_state(ConnectionState.CONNECTED, 101.0)
    feed.add_error("gone", 110.0)
    feed.change_state(ConnectionState.RECONNECTING, 111.0)
    assert feed.history.down_since == 111.0
    feed.change_state(ConnectionState.CONNECTED, 114.0)
    feed.add_reconnect(114.0)
    feed.change_state(ConnectionState.DISCONNECTED, 120.0)

    past = feed.history.as_dict()
    assert past["errors"] == [{"at": WALL + 10.0, "text": "gone"}]
    assert [(one["at"], one["kind"], one["lasted"]) for one in past["events"]] == [
        (WALL + 11.0, "reported", 3.0),
        (WALL + 20.0, "stopped", None),
    ]
    stats = feed.stats(120.0, WALL + 20.0)
    assert (stats["reconnects_last_hour"], stats["last_failure_kind"]) == (1, "reported")


def test_messages_make_points_of_a_rate() -> None:
    feed = ForeignConnection("feed", 0.0, WALL)
    for second in range(121):
        feed.add_messages(10, 0, float(second))

    assert feed.history.as_dict()["rates"] == [[WALL + 60, 600.0], [WALL + 120, 600.0]]


def test_bursts_are_not_counted_once_too_often() -> None:
    feed = ForeignConnection("feed", 0.0, WALL)
    for burst in range(1, 11):
        feed.add_messages(50, 0, 30.0 * burst)

    assert feed.stats(300.0, WALL + 300.0)["messages_per_minute"] == 100.0


def test_what_was_counted_long_ago_is_not_new_when_it_is_heard_of_again() -> None:
    feed = ForeignConnection("feed", 0.0, WALL)
    feed.add_messages(1000, 0, 0.0)
    for _ in range(100):
        feed.add_error("old", 20.0)

    feed.add_messages(1, 0, 1220.0)
    for second in range(1221, 1300):
        feed.add_messages(1, 0, float(second))

    for window in (50.0, 300.0, 1000.0):
        before = feed.history.totals_before(1300.0 - window)
        assert before.errors == 100, window
        assert before.messages >= 1000


def test_a_clock_that_was_set_is_followed() -> None:
    feed = ForeignConnection("feed", 0.0, WALL)
    feed.stats(1.0, WALL + 5000.0)
    feed.add_error("gone", 2.0)

    assert feed.history.as_dict()["errors"][0]["at"] == WALL + 5001.0


def test_it_is_stopped_when_its_owner_says_so() -> None:
    feed = ForeignConnection("feed", 0.0)
    feed.add_error("no", 1.0)
    told = [feed.stopped_at]  # nobody has said that it is down on purpose
    feed.change_state(ConnectionState.DISCONNECTED, 2.0)
    feed.change_state(ConnectionState.DISCONNECTED, 3.0)
    told.append(feed.stopped_at)
    feed.change_state(ConnectionState.CONNECTING, 4.0)
    told.append(feed.stopped_at)

    assert told == [None, 2.0, None]


def test_a_silent_one_is_not_healthy() -> None:
    feed = ForeignConnection("feed", 0.0)
    feed.add_messages(1, 0, 1.0)
    assert STALE_AFTER is not None

    assert feed.stats(1.0 + STALE_AFTER, WALL)["is_healthy"]
    assert not feed.stats(2.0 + STALE_AFTER, WALL)["is_healthy"]
    assert feed.stats(2.0 + STALE_AFTER, WALL)["quality_score"] == 0


def test_failures_are_counted_as_they_begin() -> None:
    feed = ForeignConnection("feed", 0.0)

    for state in ("connecting", "failed", "failed", "connecting", "failed"):
        feed.change_state(ConnectionState(state), 1.0)

    assert feed.stats(2.0, WALL)["connection_failures"] == 2


def test_reconnects_cost_quality_for_an_hour() -> None:
    feed = ForeignConnection("feed", 0.0)
    for second in range(5):
        feed.add_reconnect(float(second))
        feed.add_messages(1000, 0, float(second))

    assert feed.stats(10.0, WALL)["quality_score"] == 80
    feed.add_messages(1, 0, 3700.0)
    assert feed.stats(3701.0, WALL)["quality_score"] == 100


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("gone"), "OSError: gone"),
        (OSError(), "OSError"),
        ("gone", "gone"),
        ("", "an error without a text"),
        (" \n ", "an error without a text"),
        ("a\nb", "a b"),
        ("GET wss://user:pw@host/s?key=abc123 failed", "GET wss://***@host/s?key=*** failed"),
    ],
)
def test_errors_are_said_on_one_line_and_never_empty(error: Exception | str, text: str) -> None:
    assert error_text(error) == text


def test_a_long_error_is_cut() -> None:
    assert len(error_text("x" * 10_000)) == 200


def test_a_name_that_is_a_url_shows_no_secret() -> None:
    assert "abc123" not in ForeignConnection("wss://host/s?key=abc123", 0.0).name
