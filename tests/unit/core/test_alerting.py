"""When a diagnosis becomes a notice: durations, hysteresis, reminders, which rule counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.core.alerting import ISSUES, Alert, AlertRule, AlertTracker, default_rules

WALL = 1_700_000_000.0


def entry(connection: str = "feed", **fields: Any) -> dict[str, Any]:
    usual = {
        "connection": connection,
        "value": 31.0,
        "threshold": 30.0,
        "detail": "Not connected for 31 s.",
        "suggestion": "Look at the network.",
    }
    return usual | fields


def lost(*connections: str) -> dict[str, list[dict[str, Any]]]:
    return {"lost_connections": [entry(name) for name in connections]}


def tracker(*rules: AlertRule, reminder_interval: float | None = None) -> AlertTracker:
    return AlertTracker(rules or default_rules(), reminder_interval=reminder_interval)


def told(
    one: AlertTracker, found: dict[str, list[dict[str, Any]]], now: float
) -> list[tuple[str, str]]:
    alerts = one.update(found, now=now, wall=WALL + now)
    return [(alert.connection, alert.state) for alert in alerts]


def test_an_issue_is_told_when_it_begins_and_when_it_is_over_and_not_between() -> None:
    one = tracker(AlertRule("lost_connections", clear_seconds=0.0))

    assert told(one, {}, 0.0) == []
    assert told(one, lost("feed"), 1.0) == [("feed", "firing")]
    assert told(one, lost("feed"), 2.0) == []
    assert list(one.firing) == [("lost_connections", "feed")]
    assert told(one, {}, 3.0) == [("feed", "resolved")]
    assert told(one, {}, 4.0) == []
    assert list(one.firing) == []


def test_an_alert_says_what_was_found_and_when() -> None:
    one = tracker(AlertRule("lost_connections", 2.0, clear_seconds=3.0))
    one.update(lost("feed"), now=10.0, wall=WALL)
    later = {"lost_connections": [entry(value=33.0, detail="Not connected for 33 s.")]}
    (firing,) = one.update(later, now=12.0, wall=WALL + 2)
    one.update({}, now=13.0, wall=WALL + 3)
    (resolved,) = one.update({}, now=16.0, wall=WALL + 6)

    assert firing == Alert(
        issue="lost_connections",
        connection="feed",
        state="firing",
        detail="Not connected for 33 s.",
        suggestion="Look at the network.",
        at=WALL + 2,
        since=WALL,
        value=33.0,
        threshold=30.0,
    )
    assert firing.title == "FIRING lost connections: feed"
    assert (resolved.state, resolved.at, resolved.since) == ("resolved", WALL + 6, WALL)
    assert resolved.detail == "over after 3 s; it was: Not connected for 33 s."
    assert resolved.title == "RESOLVED lost connections: feed"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0 s"), (119.4, "119 s"), (600.0, "10 min"), (9000.0, "2.5 h")]
)
def test_the_end_says_how_long_it_lasted(seconds: float, words: str) -> None:
    one = tracker(AlertRule("lost_connections", clear_seconds=0.0))
    one.update(lost("feed"), now=0.0, wall=WALL)

    (resolved,) = one.update({}, now=seconds, wall=WALL + seconds)

    assert resolved.detail.startswith(f"over after {words};")


def test_it_fires_only_when_it_lasts_for_seconds_without_a_break() -> None:
    one = tracker(AlertRule("lost_connections", 10.0))

    assert told(one, lost("feed"), 0.0) == []
    assert told(one, lost("feed"), 9.9) == []
    assert told(one, {}, 9.95) == []
    assert told(one, lost("feed"), 10.0) == []  # begins anew
    assert told(one, lost("feed"), 19.9) == []
    assert told(one, lost("feed"), 20.0) == [("feed", "firing")]


def test_it_is_over_only_when_it_stays_away_for_clear_seconds() -> None:
    one = tracker(AlertRule("lost_connections", clear_seconds=10.0))

    assert told(one, lost("feed"), 0.0) == [("feed", "firing")]
    assert told(one, {}, 1.0) == []
    assert told(one, lost("feed"), 10.9) == []
    assert told(one, {}, 11.0) == []
    assert told(one, {}, 20.9) == []
    assert told(one, {}, 21.0) == [("feed", "resolved")]


def test_a_reminder_comes_each_interval_while_it_lasts() -> None:
    one = tracker(reminder_interval=60.0)
    alerts = [
        alert
        for now in range(200)
        for alert in one.update(lost("feed"), now=float(now), wall=WALL + now)
    ]

    assert [(alert.at - WALL, alert.reminder) for alert in alerts] == [
        (0.0, 0),
        (60.0, 1),
        (120.0, 2),
        (180.0, 3),
    ]
    assert alerts[1].title == "STILL FIRING lost connections: feed"
    assert {alert.since for alert in alerts} == {WALL}


def test_nobody_is_reminded_of_what_is_away_at_the_moment() -> None:
    one = tracker(AlertRule("lost_connections", clear_seconds=100.0), reminder_interval=10.0)
    one.update(lost("feed"), now=0.0, wall=WALL)

    assert told(one, {}, 15.0) == []


def test_without_an_interval_there_are_no_reminders() -> None:
    one = tracker(reminder_interval=None)
    one.update(lost("feed"), now=0.0, wall=WALL)

    assert told(one, lost("feed"), 1e6) == []


def test_issues_and_connections_are_told_apart() -> None:
    one = tracker(AlertRule("lost_connections"), AlertRule("data_gaps"))
    found = lost("a", "b") | {"data_gaps": [entry("a")]}

    alerts = one.update(found, now=0.0, wall=WALL)

    assert [(alert.issue, alert.connection) for alert in alerts] == [
        ("lost_connections", "a"),
        ("lost_connections", "b"),
        ("data_gaps", "a"),
    ]


def test_several_entries_of_one_connection_are_one_alert() -> None:
    one = tracker()
    found = {"high_latency": [entry(detail="first"), entry(detail="second")]}

    assert [alert.detail for alert in one.update(found, now=0.0, wall=WALL)] == ["first"]


def test_the_first_rule_that_fits_counts() -> None:
    one = tracker(
        AlertRule("lost_connections", 100.0, connections="test-*"),
        AlertRule("lost_connections", connections="*"),
    )

    assert told(one, lost("test-1", "live"), 0.0) == [("live", "firing")]
    assert told(one, lost("test-1", "live"), 100.0) == [("test-1", "firing")]


def test_an_issue_without_a_rule_is_not_told() -> None:
    assert told(tracker(AlertRule("data_gaps")), lost("feed"), 0.0) == []
    assert told(AlertTracker((), reminder_interval=None), lost("feed"), 0.0) == []


def test_the_default_rules_are_one_for_each_issue_and_wait_for_nothing_but_gaps() -> None:
    assert [rule.issue for rule in default_rules()] == list(ISSUES)
    waiting = {rule.issue: rule.for_seconds for rule in default_rules() if rule.for_seconds}
    assert waiting == {"data_gaps": 330.0}  # longer than one gap is found


def test_a_long_name_is_cut_in_the_title() -> None:
    assert len(Alert("data_gaps", "x" * 10_000, "firing", "").title) < 250


def test_an_entry_without_texts_is_told_all_the_same() -> None:
    (alert,) = tracker().update({"high_latency": [{}]}, now=0.0, wall=WALL)

    assert (alert.connection, alert.detail, alert.suggestion) == ("", "", "")


@given(
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.sampled_from([0.0, 1.0, 3.0]),
    st.sampled_from([0.0, 1.0, 4.0]),
)
def test_beginnings_and_ends_take_turns(looks: list[bool], wait: float, clear: float) -> None:
    one = tracker(AlertRule("lost_connections", wait, clear_seconds=clear))
    states = []
    for now, is_lost in enumerate(looks):
        found = lost("feed") if is_lost else {}
        states += [state for _, state in told(one, found, float(now))]

    assert states == ["firing", "resolved"] * (len(states) // 2) + ["firing"] * (len(states) % 2)
    assert bool(one.firing) is (len(states) % 2 == 1)


@given(st.lists(st.sampled_from(["", "a", "b", "ab"]), min_size=1, max_size=60))
def test_nothing_is_kept_of_what_is_over(looks: list[str]) -> None:
    one = tracker()
    for now, names in enumerate(looks):
        one.update(lost(*names), now=float(now), wall=WALL)
    one.update({}, now=1e4, wall=WALL)
    one.update({}, now=2e4, wall=WALL)

    assert one._cases == {}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"issue": "lost_conections"}, "did you mean 'lost_connections'"),
        ({"issue": None}, "unknown issue 'None'"),
        ({"for_seconds": -1}, "for_seconds is -1; allowed: "),
        ({"clear_seconds": None}, "clear_seconds is None; allowed: "),
        ({"connections": ""}, "connections is ''; allowed: "),
        ({"connections": None}, "connections is None; allowed: "),
    ],
)
def test_a_wrong_argument_of_a_rule_is_named(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AlertRule(**({"issue": "data_gaps"} | arguments))

    assert why in str(caught.value)
