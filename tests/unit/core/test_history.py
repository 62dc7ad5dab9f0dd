"""The past of a connection: bounded, thinned out, and exact where it has to be."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import Gap
from wsresilient.core.history import (
    MOST_ERRORS,
    MOST_GAPS,
    MOST_OUTAGES,
    MOST_RECONNECTS,
    MOST_SLOW_CALLS,
    MOST_TOPICS,
    ConnectionHistory,
    SlowNote,
)
from wsresilient.core.samples import MOST_POINTS, MinuteSeries, Totals

WALL = 1_700_000_000.0  # the wall clock at monotonic 0


def lose(history: ConnectionHistory, now: float, **others: Any) -> None:
    """An open connection ends."""
    given: dict[str, Any] = {"kind": "network", "text": "OSError: gone"} | others
    history.ended(now, WALL + now, **given)


def fail(history: ConnectionHistory, now: float, **others: Any) -> None:
    """An attempt does not become a connection."""
    lose(history, now, was_open=False, **others)


def gap(reason: str = "reconnect", **others: Any) -> Gap:
    given: dict[str, Any] = {
        "connection": "feed",
        "topics": (),
        "reason": reason,
        "started_at": WALL,
        "ended_at": WALL + 2.0,
    } | others
    return Gap(**given)


def events(history: ConnectionHistory) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = history.as_dict()["events"]
    return found


# Outages.


def test_an_outage_tells_its_cause_its_attempts_and_how_long_it_lasted() -> None:
    history = ConnectionHistory()
    history.begin(0.0)
    history.opened(1.0)

    lose(history, 100.0, kind="closed", close_code=1012, text="restart")
    fail(history, 101.0, text="refused")
    fail(history, 103.0, kind="timeout", text="no answer")
    assert events(history) == [
        {
            "at": WALL + 100.0,
            "kind": "closed",
            "close_code": 1012,
            "text": "restart",
            "attempts": 2,
            "lasted": None,
        }
    ]
    history.opened(105.5)

    assert events(history)[0]["lasted"] == 5.5
    assert (history.last_failure_kind, history.last_close_code) == ("timeout", 1012)


def test_a_server_that_is_away_for_long_is_one_outage() -> None:
    history = ConnectionHistory()
    history.begin(0.0)

    for second in range(1, 1001):
        fail(history, float(second))

    assert [event["attempts"] for event in events(history)] == [1000]
    assert events(history)[0]["at"] == WALL + 1.0
    assert history.down_since == 0.0


def test_a_stop_ends_an_outage_so_that_the_next_life_begins_its_own() -> None:
    history = ConnectionHistory()
    history.begin(0.0)
    fail(history, 1.0)

    history.begin(5000.0)
    fail(history, 5001.0, text="another")

    assert [event["text"] for event in events(history)] == ["OSError: gone", "another"]
    assert history.down_since == 5000.0


def test_down_since_tells_how_long_there_is_no_connection() -> None:
    history = ConnectionHistory()
    told = [history.down_since]
    history.begin(10.0)
    told.append(history.down_since)
    history.opened(11.0)
    told.append(history.down_since)
    lose(history, 50.0)
    fail(history, 60.0)
    told.append(history.down_since)

    assert told == [None, 10.0, None, 50.0]


@pytest.mark.parametrize(
    ("planned", "attempts", "reconnects"),
    [(False, 0, 1), (False, 3, 1), (True, 0, 0), (True, 1, 1)],
)
def test_a_reconnect_counts_unless_it_was_planned_and_went_as_planned(
    planned: bool, attempts: int, reconnects: int
) -> None:
    history = ConnectionHistory()
    history.begin(0.0)
    history.opened(1.0)
    lose(history, 10.0, planned=planned)
    for number in range(attempts):
        fail(history, 11.0 + number)
    history.opened(20.0)

    assert history.reconnects_since(0.0) == reconnects
    assert history.stats(20.0)["reconnects_last_hour"] == reconnects
    assert history.stats(20.0 + 3601.0)["reconnects_last_hour"] == 0


def test_a_first_connect_after_failures_is_no_reconnect() -> None:
    history = ConnectionHistory()
    history.begin(0.0)
    fail(history, 1.0)
    history.opened(2.0)

    assert history.reconnects_since(0.0) == 0
    assert events(history)[0]["lasted"] == 1.0


def test_a_planned_end_is_an_event_and_no_failure() -> None:
    history = ConnectionHistory()
    history.begin(0.0)
    history.opened(1.0)

    lose(history, 9.0, kind="rotation", text="too old", planned=True, close_code=1000)

    assert [(one["kind"], one["attempts"]) for one in events(history)] == [("rotation", 0)]
    assert history.last_failure_kind is None
    assert history.last_close_code == 1000


# Errors, gaps, slow calls.


def test_errors_of_both_kinds_stand_in_the_order_of_time() -> None:
    history = ConnectionHistory()
    history.add_error(WALL + 1.0, "first")
    history.add_error(WALL + 3.0, "third")
    history.add_handler_error(WALL + 2.0, "second")

    assert [error["text"] for error in history.as_dict()["errors"]] == ["first", "second", "third"]
    assert history.latest_handler_error() == "second"
    assert ConnectionHistory().latest_handler_error() == ""


def test_gaps_are_counted_and_those_that_hurt_by_themselves() -> None:
    history = ConnectionHistory()
    for one in (gap(), gap("sequence", recovered=True), gap("overflow"), gap("rotation")):
        history.add_gap(one)

    assert (history.gap_count, history.holes) == (4, 2)
    latest = history.latest_gap()
    assert latest is not None
    assert latest.reason == "overflow"
    reasons = [one["reason"] for one in history.as_dict()["gaps"]]
    assert reasons == ["reconnect", "sequence", "overflow", "rotation"]
    assert ConnectionHistory().latest_gap() is None


def test_a_gap_of_many_topics_names_a_few() -> None:
    history = ConnectionHistory()
    history.add_gap(gap(topics=tuple(f"topic {number}" for number in range(500))))

    assert len(history.as_dict()["gaps"][0]["topics"]) == MOST_TOPICS


def test_a_slow_call_is_one_note_however_often_it_is_seen() -> None:
    history = ConnectionHistory()
    history.note_slow_call(SlowNote(1.0, "message", "a", 1.0), is_new=True)
    history.note_slow_call(SlowNote(3.0, "message", "b", 3.0), is_new=False)
    history.note_slow_call(SlowNote(9.0, "open", "c", 1.5), is_new=True)

    assert [note.seconds for note in history.slow_calls_since(0.0)] == [3.0, 1.5]
    assert [note.where for note in history.slow_calls_since(3.5)] == ["c"]


# Windows.


def test_totals_of_a_window_are_those_at_its_beginning() -> None:
    history = ConnectionHistory()
    for second in range(4000):
        history.sample(Totals(float(second), messages=10 * second), WALL + second, None)

    for window in (1.0, 10.0, 60.0, 300.0, 1000.0, 3600.0):
        before = history.totals_before(3999.0 - window)
        assert 3999.0 - 1.3 * window - 1.0 <= before.at <= 3999.0 - window
        assert before.messages == 10 * before.at


def test_a_window_that_reaches_beyond_the_beginning_takes_all() -> None:
    history = ConnectionHistory()
    assert history.totals_before(50.0) == Totals(50.0)
    history.begin(100.0)
    history.sample(Totals(101.0, errors=3), WALL, None)

    assert history.totals_before(50.0).errors == 0  # what came before the first look counts


def test_a_window_of_less_than_a_second_works_for_those_who_look_often() -> None:
    history = ConnectionHistory()
    for step in range(200):
        history.sample(Totals(0.05 * step, errors=step), WALL, None)

    before = history.totals_before(0.05 * 199 - 0.5)
    assert 0.05 * 199 - 0.8 <= before.at <= 0.05 * 199 - 0.5


def test_the_hour_reaches_back_about_an_hour() -> None:
    history = ConnectionHistory()
    assert history.hour_ago == Totals(0.0)
    for second in range(0, 20_000, 5):
        history.sample(Totals(float(second)), WALL, None)

    assert 3600.0 <= 19_995.0 - history.hour_ago.at <= 3900.0


@given(st.lists(st.floats(0.001, 500.0), min_size=1, max_size=400), st.floats(0.0, 5000.0))
def test_totals_before_never_come_from_within_the_window(
    pauses: list[float], window: float
) -> None:
    history = ConnectionHistory()
    history.begin(0.0)
    now = 0.0
    for number, pause in enumerate(pauses):
        now += pause
        history.sample(Totals(now, messages=number), WALL, None)

    before = history.totals_before(now - window)

    assert before.at <= now - window or before.at == 0.0


# Rates.


def test_rates_are_one_point_a_minute_and_one_for_the_running_minute() -> None:
    history = ConnectionHistory()
    for second in range(151):
        history.sample(Totals(float(second), messages=5 * second), WALL + second, 0.02)

    past = history.as_dict()
    assert past["rates"] == [[WALL + 60, 300.0], [WALL + 120, 300.0], [WALL + 150, 300.0]]
    assert past["rtt"] == [[WALL + 60, 0.02], [WALL + 120, 0.02], [WALL + 150, 0.02]]


def test_a_rate_is_not_told_from_less_than_a_second() -> None:
    history = ConnectionHistory()
    history.sample(Totals(0.0), WALL, None)
    history.sample(Totals(0.5, messages=100), WALL + 0.5, None)
    assert history.as_dict()["rates"] == []

    history.sample(Totals(2.0, messages=100), WALL + 2.0, None)
    assert history.as_dict()["rates"] == [[WALL + 2.0, 3000.0]]


def test_the_worst_ping_of_a_minute_is_kept_and_none_where_there_was_none() -> None:
    history = ConnectionHistory()
    for second, rtt in ((0, 0.1), (20, 0.9), (40, 0.2), (60, None), (90, None), (120, None)):
        history.sample(Totals(float(second)), WALL + second, rtt)

    assert history.as_dict()["rtt"] == [[WALL + 60, 0.9]]
    assert len(history.as_dict()["rates"]) == 2


def test_the_time_between_two_lives_is_no_point() -> None:
    history = ConnectionHistory()
    history.sample(Totals(0.0), WALL, None)
    history.sample(Totals(30.0, messages=30), WALL + 30, None)
    history.begin(5000.0)
    history.sample(Totals(5000.0, messages=30), WALL + 5000, None)
    history.sample(Totals(5060.0, messages=90), WALL + 5060, None)

    assert history.as_dict()["rates"] == [[WALL + 5060, 60.0]]


def test_points_stay_in_order_when_the_wall_clock_is_set_back() -> None:
    minutes = MinuteSeries()
    for minute in range(61):
        minutes.add(60.0 * minute, WALL + 60.0 * minute, 100 * minute, 0.01)
    minutes.add(3630.0, WALL + 3630.0, 6050, 0.01)
    for minute in range(61, 71):
        minutes.add(60.0 * minute, WALL + 60.0 * minute - 1800.0, 100 * minute, 0.01)

    rates, rtts = minutes.series(0.0)

    times = [at for at, _ in rates]
    now = WALL + 60.0 * 70 - 1800.0
    assert times == sorted(times)
    assert times[-1] == now
    assert [at for at, _ in rtts] == times
    assert len(minutes.series(now - 1800.0)[0]) == 31


def test_what_is_older_is_left_out_on_request() -> None:
    history = ConnectionHistory()
    for second in range(0, 301, 10):
        history.sample(Totals(float(second)), WALL + second, 0.1)
        history.add_error(WALL + second, "x")
        lose(history, float(second))
        history.opened(second + 1.0)
        history.add_gap(gap(ended_at=WALL + second))

    past = history.as_dict(WALL + 200)

    assert [at for at, _ in past["rates"]] == [WALL + 240, WALL + 300]
    assert [at for at, _ in past["rtt"]] == [WALL + 240, WALL + 300]
    for kind in ("events", "errors", "gaps"):
        assert [one["at"] for one in past[kind]] == [WALL + 200 + 10 * n for n in range(11)]


def test_an_outage_is_told_until_it_is_over() -> None:
    history = ConnectionHistory()
    lose(history, 0.0)
    history.opened(10.0)
    lose(history, 50.0)

    assert [one["at"] for one in events(history)] == [WALL, WALL + 50.0]
    for since, found in ((5.0, 2), (11.0, 1), (1e6, 1)):
        assert len(history.as_dict(WALL + since)["events"]) == found
    history.opened(60.0)
    assert history.as_dict(WALL + 61.0)["events"] == []


# Bounds.


def test_it_is_bounded_after_months() -> None:
    history = ConnectionHistory()
    for minute in range(3000):
        now = 60.0 * minute
        history.sample(Totals(now, messages=minute), WALL + now, 0.1)
        lose(history, now + 1.0)
        history.opened(now + 2.0)
        history.add_error(WALL + now, "x")
        history.add_handler_error(WALL + now, "y")
        history.add_gap(gap())
        history.note_slow_call(SlowNote(now, "message", "here", 2.0), is_new=True)

    past = history.as_dict()
    assert len(past["events"]) == MOST_OUTAGES
    assert len(past["errors"]) == 2 * MOST_ERRORS
    assert len(past["gaps"]) == MOST_GAPS
    assert len(past["rates"]) == len(past["rtt"]) == MOST_POINTS
    assert past["rates"][-1][0] == WALL + 60.0 * 2999
    assert len(history.slow_calls_since(0.0)) == MOST_SLOW_CALLS
    assert history.reconnects_since(0.0) == MOST_RECONNECTS
    assert history.gap_count == 3000
    assert json.loads(json.dumps(past, allow_nan=False)) == past


def test_a_day_of_points_takes_little_memory() -> None:
    history = ConnectionHistory()
    for second in range(0, 100_000, 10):
        history.sample(Totals(float(second)), WALL + second, 0.1)

    assert sys.getsizeof(history._minutes._points) < 64 * 1024
