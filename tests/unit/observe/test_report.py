"""The report's layout: 80 columns, whatever is in it."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from wsresilient.observe import format_report, summarise
from wsresilient.observe.foreign import ForeignConnection
from wsresilient.observe.report import format_age, format_count, format_duration

YEAR = 365 * 86400.0


def stats(**others: Any) -> dict[str, Any]:
    """Stats of a connection that is up."""
    feed = ForeignConnection("feed", 0.0)
    feed.add_messages(1234, 0, 1.0)
    return feed.stats(2.0, 1_700_000_000.0) | others


def report(connections: dict[str, dict[str, Any]], uptime: float = 3720.0) -> list[str]:
    lines = format_report(summarise(connections, uptime=uptime)).split("\n")
    assert all(len(line) <= 80 for line in lines), lines
    assert all(line == line.rstrip() for line in lines)
    assert all(character.isprintable() for line in lines for character in line)
    return lines


def test_it_reads_like_this() -> None:
    connections = {
        "stream.binance.com/ws": stats(reconnect_count=3),
        "okx": stats(state="reconnecting", is_healthy=False, last_error="OSError: gone"),
    }

    assert report(connections) == [
        "wsresilient: connection report, up 1 h 2 min",
        "",
        "CONNECTION                 STATE         MESSAGES     /MIN  RECONN     AGE  QUAL",
        "-" * 80,
        "stream.binance.com/ws      connected         1234    37020       3   1.0 s   100",
        "okx                        reconnecting      1234    37020       0   1.0 s   100",
        "  last error: OSError: gone",
        "",
        "2 connections, 2 active, 1 healthy; 0 subscriptions.",
        "2,468 messages (74040 a minute), 0 unrouted.",
        "3 reconnects, 0 failed attempts, 0 handler errors.",
        "Status: warning (1 of 2 active healthy)",
    ]


def test_nothing_is_said_in_a_word() -> None:
    lines = report({}, uptime=1.0)

    assert "No connections." in lines
    assert lines[-1] == "Status: ok (nothing is running)"


def test_huge_values_fit() -> None:
    huge: dict[str, Any] = dict.fromkeys(
        (
            "message_count",
            "messages_per_minute",
            "reconnect_count",
            "queue_depth",
            "dropped_messages",
            "callback_errors",
            "connection_failures",
            "subscribed_pairs",
        ),
        10**15,
    )
    name = "wss://" + "very-long-host." * 10 + "com/ws"

    lines = report(
        {name: stats(**huge, last_error="E" * 500, last_message_age=9 * YEAR, quality_score=100)},
        uptime=9 * YEAR,
    )

    row = lines[4]
    assert row.startswith("wss://very-..-host.com/ws  connected  ")
    assert lines[5].endswith("...")
    assert "dropped" in lines[6]


def test_names_and_errors_of_others_cannot_break_the_layout() -> None:
    lines = report({"a\nb\x1b[2J": stats(last_error="c\r\nd\x1b]0;title\x07\x9b1m")})

    assert lines[4].startswith("a b")
    assert lines[5].startswith("  last error: c d")


def columns(line: str) -> int:
    """How wide a terminal shows a line."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in line
    )


@pytest.mark.parametrize(
    "name", ["日本語の接続名前がとても長い場合の幅", "🚀" * 50, "é" * 30, "ok", "日x" * 9]
)
def test_wide_characters_count_for_two_columns(name: str) -> None:
    event = {"at": 0.0, "kind": "closed", "text": name * 9, "attempts": 0, "lasted": None}
    text = format_report(
        summarise({name: stats(last_error=name * 9)}, uptime=1.0),
        issues={"lost_connections": [finding(name, f"It is x{name * 9}.", f"y {name} " * 30)]},
        history={"at": 9.0, "connections": {name: {"events": [event]}}},
    )

    lines = text.splitlines()
    assert max(map(columns, lines)) <= 80
    heading, row = (line for line in lines if line.startswith(("CONNECTION", name[:5])))
    assert columns(row[: row.index("connected")]) == heading.index("STATE")


def test_one_error_of_a_handler_is_one() -> None:
    lines = report({"feed": stats(callback_errors=1), "other": stats(callback_errors=2)})

    assert "  1 handler error" in lines
    assert "  2 handler errors" in lines


def test_a_few_waiting_messages_are_no_news() -> None:
    assert len(report({"a": stats(queue_depth=9)})) + 1 == len(
        report({"a": stats(queue_depth=9999)})
    )


# Issues and reconnects.

RECONNECT = {"at": 1000.0, "kind": "closed", "close_code": 1012, "text": "closed with code 1012"}


def full_report(
    issues: dict[str, list[dict[str, Any]]] | None = None,
    events: dict[str, list[dict[str, Any]]] | None = None,
) -> list[str]:
    history = (
        {"at": 1300.0, "connections": {name: {"events": e} for name, e in events.items()}}
        if (events is not None)
        else None
    )
    text = format_report(summarise({"a": stats()}, uptime=1.0), issues=issues, history=history)
    lines = text.split("\n")
    assert all(len(line) <= 80 for line in lines), lines
    assert all(line == line.rstrip() for line in lines)
    return lines[5:-4]  # between the table and the totals


def finding(connection: str, detail: str = "It is bad.", suggestion: str = "Mend it.") -> Any:
    return {
        "connection": connection,
        "value": 1.0,
        "threshold": 0.0,
        "detail": detail,
        "suggestion": suggestion,
    }


def test_issues_stand_below_the_table_with_what_to_do() -> None:
    issues = {
        "high_error_rate": [],
        "lost_connections": [
            finding("okx", "No connection for 31 s, allowed are 30 s. " + "Latest: gone. " * 5),
            finding("binance"),
        ],
        "data_gaps": [finding("okx", suggestion="Fetch what is missing over REST. " * 4)],
    }

    assert full_report(issues) == [
        "",
        "ISSUE: lost connections",
        "  okx: No connection for 31 s, allowed are 30 s. Latest: gone. Latest: gone.",
        "    Latest: gone. Latest: gone. Latest: gone.",
        "  binance: It is bad.",
        "  > Mend it.",
        "",
        "ISSUE: data gaps",
        "  okx: It is bad.",
        "  > Fetch what is missing over REST. Fetch what is missing over REST. Fetch what",
        "    is missing over REST. Fetch what is missing over REST.",
        "",
    ]


def test_no_issue_takes_no_line() -> None:
    assert full_report({"lost_connections": []}, {"a": []}) == [""]
    assert full_report() == [""]


def test_an_issue_of_many_connections_names_a_few() -> None:
    lines = full_report({"data_gaps": [finding(f"feed {number}") for number in range(300)]})

    assert lines[-3:] == ["  and 295 more connections", "  > Mend it.", ""]
    assert len(lines) == 10


def test_texts_of_others_cannot_break_the_layout_of_issues() -> None:
    nasty = "a\nb\x1b[2J" + "x" * 1000
    lines = full_report(
        {"data_gaps": [finding(nasty, nasty, nasty)]},
        {nasty: [RECONNECT | {"text": nasty, "attempts": 0, "lasted": None}]},
    )

    assert all(character.isprintable() for line in lines for character in line)
    assert len(lines) < 40


def test_the_latest_reconnects_are_told_with_their_causes() -> None:
    events = {
        "okx": [
            RECONNECT | {"at": 100.0 * number, "attempts": 0, "lasted": 2.5} for number in range(9)
        ],
        "binance": [
            {**RECONNECT, "at": 1290.0, "kind": "network", "text": "ConnectionResetError: [Errno "
             "104] Connection reset by peer", "attempts": 0, "lasted": None},
            {**RECONNECT, "at": 1200.0, "kind": "name", "text": "no address", "attempts": 7,
             "lasted": None},
            {**RECONNECT, "at": 1295.0, "kind": "stopped", "attempts": 0, "lasted": None},
        ],
    }  # fmt: skip

    assert full_report(events=events) == [
        "",
        "LATEST RECONNECTS",
        "  10 s ago  binance: network, not back: ConnectionResetError: [Errno 104]",
        "            Connection reset by peer",
        " 100 s ago  binance: name, not back after 7 attempts: no address",
        " 8 min ago  okx: closed, back after 2.5 s: closed with code 1012",
        "10 min ago  okx: closed, back after 2.5 s: closed with code 1012",
        "12 min ago  okx: closed, back after 2.5 s: closed with code 1012",
        "",
    ]


def test_the_status_names_what_failed() -> None:
    failed = stats(state="failed", is_healthy=False)

    assert report({"a": failed})[-1] == "Status: critical (a failed)"
    assert report({"a": failed, "b": failed})[-1] == "Status: critical (a and 1 more failed)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (172_800.0, "2 d"),
    ],
)
def test_ages(seconds: float | None, text: str) -> None:
    assert format_age(seconds) == text


@pytest.mark.parametrize(
    ("count", "width", "text"),
    [
        (0, 6, "0"),
        (12.6, 6, "13"),
        (999_999, 6, "999999"),
        (1_000_000, 6, "1.0M"),
        (123_456_789, 8, "123.5M"),
        (999_999_999, 8, "1.0G"),
        (1_500_000_000_000, 8, "1.5T"),
        (10**18, 8, "1e+18"),
    ],
)
def test_counts(count: float, width: int, text: str) -> None:
    assert format_count(count, width) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (60.0, "1 min"),
        (61.0, "1 min 1 s"),
        (3600.0, "1 h"),
        (3661.0, "1 h 1 min"),
        (86_400.0, "1 d"),
        (90_061.0, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
