"""The nine issues: found with value, detail and a suggestion that fits, and over when they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.observe.simulated import SimulatedStream
from wsresilient import Thresholds
from wsresilient.core.history import SlowNote
from wsresilient.observe.diagnosis import ISSUES, diagnose

#: The contract of API.md.
NAMES = [
    "high_error_rate", "frequent_reconnects", "stale_connections", "lost_connections",
    "slow_handlers", "dropped_messages", "high_latency", "subscription_limits", "data_gaps",
]  # fmt: skip


def running(per_second: int = 10, seconds: float = 400.0) -> SimulatedStream:
    """A stream that has been well for a while."""
    stream = SimulatedStream()
    stream.start()
    stream.open()
    stream.wait(seconds, per_second=per_second)
    assert stream.issues() == {}
    return stream


def only(stream: SimulatedStream, issue: str, **thresholds: Any) -> dict[str, Any]:
    """The finding of one issue, of which there must be one."""
    issues = stream.issues(Thresholds(**thresholds) if thresholds else None)
    assert issue in issues, issues
    return issues[issue]


def test_every_issue_is_a_key_at_every_time() -> None:
    assert list(ISSUES) == NAMES
    assert diagnose({}, Thresholds()) == {name: [] for name in NAMES}


def test_a_finding_says_who_how_much_and_what_to_do() -> None:
    stream = running()
    stream.stats["ping_rtt"] = 1.5

    found = diagnose({"my feed": stream.observe()}, Thresholds())

    (finding,) = found["high_latency"]
    assert set(finding) == {"connection", "value", "threshold", "detail", "suggestion"}
    assert finding["connection"] == "my feed"
    assert (finding["value"], finding["threshold"]) == (1.5, 1.0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


# No false alarm.


def test_a_healthy_hour_has_no_issue() -> None:
    stream = SimulatedStream()
    assert stream.issues() == {}
    stream.start()
    stream.wait(5.0)
    assert stream.issues() == {}
    stream.open()
    stream.stats["ping_rtt"] = 0.03
    for minute in range(60):
        stream.wait(45.0, per_second=20)
        assert stream.issues() == {}, minute
        stream.wait(15.0)  # a quiet moment
        assert stream.issues() == {}, minute
        if minute % 5 == 4:  # far more often than a venue asks for
            stream.lose("rotation", "planned rotation", planned=True, close_code=1000)
            assert stream.issues() == {}, minute
            stream.wait(2.0)
            assert stream.issues() == {}, minute
            stream.open()
    stream.stop()
    stream.wait(4000.0)
    assert stream.issues() == {}
    assert stream.history.gap_count == 12


def test_a_stream_that_was_stopped_has_no_issue_whatever_was_before() -> None:
    stream = running()
    stream.stats["callback_errors"] = stream.stats["dropped_messages"] = 100_000
    assert set(stream.issues()) == {"high_error_rate", "dropped_messages"}

    stream.stop()

    assert stream.issues() == {}


def test_what_is_switched_off_is_no_issue() -> None:
    stream = running()
    stream.stats |= {"callback_errors": 10_000, "dropped_messages": 10, "ping_rtt": 9.0}
    stream.stats |= {"subscribed_pairs": 100, "subscription_limit": 100, "failed_subscriptions": 5}
    stream.stats["stale_after"] = 60.0
    stream.stats["slow_handler"] = slow_call(9.0)
    stream.gap("sequence")
    assert set(stream.issues()) == {
        "high_error_rate", "slow_handlers", "dropped_messages", "high_latency",
        "subscription_limits", "data_gaps",
    }  # fmt: skip
    for _ in range(20):
        stream.lose()
        stream.wait(1.0)
        stream.open()
    stream.wait(100.0)
    assert {"frequent_reconnects", "stale_connections"} <= set(stream.issues())

    off = dict.fromkeys(
        ("error_rate", "reconnects_per_hour", "stale_after", "lost_after", "ping_rtt",
         "slow_handler_after", "dropped_messages", "subscription_share", "failed_subscriptions",
         "gaps")
    )  # fmt: skip
    assert stream.issues(Thresholds(**off)) == {}  # type: ignore[arg-type]
    stream.lose()
    stream.give_up()
    assert stream.issues(Thresholds(**off)) == {}  # type: ignore[arg-type]


# high_error_rate


def test_errors_of_the_window_are_judged_and_forgotten() -> None:
    stream = running(seconds=3000.0)
    for _ in range(200):
        stream.error("SubscriptionError: no")
    finding = only(stream, "high_error_rate")
    assert finding["value"] == pytest.approx(200 / 3000, rel=0.1)
    assert finding["detail"].startswith("200 errors (200 of the connection) for 3,")
    assert "allowed are 5.0%. Latest: SubscriptionError: no" in finding["detail"]
    assert finding["detail"].count("%") == 2

    stream.wait(330.0, per_second=10)
    assert stream.issues() == {}


def test_a_share_at_the_threshold_is_allowed() -> None:
    stream = running(seconds=100.0)
    stream.raise_in_handler(50)
    assert stream.issues() == {}
    stream.raise_in_handler(1)
    assert only(stream, "high_error_rate")["value"] == pytest.approx(0.051)


def test_errors_of_handlers_are_the_handlers_business() -> None:
    stream = running(seconds=100.0)
    stream.raise_in_handler(500, "on_price, for 'message': KeyError: 'p'")
    stream.error()

    finding = only(stream, "high_error_rate")

    assert "(1 of the connection, 500 of handlers)" in finding["detail"]
    assert "Latest: on_price, for 'message': KeyError: 'p'" in finding["detail"]
    assert "tracebacks in the log" in finding["suggestion"]


def test_errors_that_are_no_lost_connections_are_advised_upon_by_what_they_say() -> None:
    stream = running(per_second=0, seconds=10.0)
    for _ in range(3):
        stream.error("VenueError: Too many requests")

    finding = only(stream, "high_error_rate")

    assert finding["value"] == 3.0
    assert "enforces a limit" in finding["suggestion"]
    stream.stats["failed_subscriptions"] = 1
    assert "failed_subscriptions" in only(stream, "high_error_rate")["suggestion"]


def test_a_few_errors_of_a_quiet_stream_may_be_no_issue() -> None:
    stream = running(per_second=0, seconds=10.0)
    stream.error()
    assert only(stream, "high_error_rate")["value"] == 1.0
    stream.raise_in_handler(1)
    assert stream.issues(Thresholds(min_errors=3)) == {}
    assert only(stream, "high_error_rate", min_errors=2)["value"] == 2.0
    assert only(stream, "high_error_rate", min_errors=0)["value"] == 2.0

    stream.error()
    assert only(stream, "high_error_rate", min_errors=3)["value"] == 3.0


def test_an_outage_of_a_quiet_stream_is_told_as_such_and_not_as_errors() -> None:
    stream = running(per_second=0, seconds=50.0)
    stream.lose()
    for _ in range(8):
        stream.fail()
        stream.wait(3.0)
    assert set(stream.issues()) == {"data_gaps"}
    stream.wait(10.0)
    assert set(stream.issues()) == {"data_gaps", "lost_connections"}

    stream.open()
    stream.wait(10.0)
    assert set(stream.issues()) == {"data_gaps"}

    for _ in range(3):
        stream.error("SubscriptionError: no")
    assert "12 errors" in only(stream, "high_error_rate")["detail"]


# frequent_reconnects


@pytest.mark.parametrize(
    ("cause", "others", "told", "advice"),
    [
        ("closed", {"close_code": 1008}, "closed with 1008 (policy violation)", "send_rate"),
        ("closed", {"close_code": 1012}, "closed with 1012 (service restart)", "second url"),
        ("closed", {"close_code": 4000}, "closed with 4000", "documentation"),
        ("closed", {"text": "slow down: rate limit"}, "closed", "enforces a limit"),
        ("network", {}, "network", "firewall"),
        ("ping", {}, "ping", "shorter ping_interval"),
        ("stalled", {}, "stalled", "subscription is valid"),
        ("too_big", {"close_code": 1009}, "too_big", "max_size"),
        ("reported", {}, "reported", "program that owns this connection"),
    ],
)
def test_many_reconnects_are_told_with_their_causes(
    cause: str, others: dict[str, Any], told: str, advice: str
) -> None:
    stream = running()
    for _ in range(10):
        stream.lose(cause, **others)
        stream.open()
        stream.wait(60.0, per_second=100)
    assert "frequent_reconnects" not in stream.issues()
    stream.lose(cause, **others)
    stream.open()

    finding = only(stream, "frequent_reconnects")

    assert (finding["value"], finding["threshold"]) == (11, 10)
    assert f"11 x {told}." in finding["detail"]
    assert advice in finding["suggestion"]
    stream.wait(3601.0, per_second=10)
    assert stream.issues() == {}


def test_ping_timeouts_with_a_slow_handler_are_the_handlers_fault() -> None:
    stream = running()
    for _ in range(3):
        stream.lose("ping", "PingTimeoutError: ping/pong timed out")
        stream.open()
    note = SlowNote(stream.now, "message", "on_price (feed.py:7)", 40.0)
    stream.history.note_slow_call(note, is_new=True)

    finding = only(stream, "frequent_reconnects", reconnects_per_hour=2)

    assert "Move the work off the handler" in finding["suggestion"]


def test_rotations_are_not_among_the_causes_unless_they_failed() -> None:
    stream = running()
    for _ in range(20):
        stream.lose("rotation", planned=True)
        stream.open()
    for _ in range(3):
        stream.lose()
        stream.open()

    finding = only(stream, "frequent_reconnects", reconnects_per_hour=2)

    assert "They began with: 3 x network." in finding["detail"]


# stale_connections


def test_silence_is_judged_from_the_connect_or_the_latest_message() -> None:
    stream = SimulatedStream()
    stream.start()
    stream.open()
    stream.wait(60.0)
    assert stream.issues() == {}
    stream.wait(1.0)
    finding = only(stream, "stale_connections")
    assert (finding["value"], finding["threshold"]) == (61.0, 60.0)
    assert "No message for 1 min 1 s, none since it connected" in finding["detail"]
    assert "on_open" in finding["suggestion"]

    stream.messages(1)
    assert stream.issues() == {}
    stream.wait(70.0)
    assert "none since" not in only(stream, "stale_connections")["detail"]
    stream.lose()
    stream.open()
    assert "stale_connections" not in stream.issues()  # the silence was before


def test_a_stream_is_as_quiet_as_was_chosen_for_it() -> None:
    stream = running()
    stream.wait(100.0)
    assert only(stream, "stale_connections")["threshold"] == 60.0
    stream.stats["stale_after"] = 90.0
    assert only(stream, "stale_connections")["threshold"] == 90.0
    stream.stats["stale_after"] = 120.0
    assert stream.issues() == {}
    assert only(stream, "stale_connections", stale_after=50.0)["value"] == 100.0
    stream.stats["stale_after"] = None
    assert stream.issues(Thresholds(stale_after=50.0)) == {}

    # The library's default was chosen by nobody, unless a venue says so.
    stream.stats["stale_after"] = 300.0
    assert only(stream, "stale_connections")["threshold"] == 60.0
    stream.stats |= {"subscribed_pairs": 1, "confirmed_subscriptions": 1}
    assert stream.issues() == {}


def test_silence_of_a_venues_topics_is_advised_upon() -> None:
    stream = running()
    stream.stats |= {"subscribed_pairs": 2, "confirmed_subscriptions": 1, "stale_after": 60.0}
    stream.wait(100.0)
    assert "has not confirmed" in only(stream, "stale_connections")["suggestion"]
    stream.stats["confirmed_subscriptions"] = 2
    assert "ws.reconnect() subscribes anew" in only(stream, "stale_connections")["suggestion"]


def test_silence_with_live_pings_is_a_lost_subscription_or_a_quiet_topic() -> None:
    stream = running()
    stream.stats["ping_rtt"] = 0.02
    stream.wait(100.0)

    finding = only(stream, "stale_connections")

    assert "the link lives" in finding["detail"]
    assert "lost the subscription, or the topic is quiet" in finding["suggestion"]


def test_silence_after_a_refused_topic_is_advised_upon() -> None:
    stream = running()
    stream.stats["failed_subscriptions"] = 2
    stream.wait(100.0)

    assert "failed_subscriptions" in only(stream, "stale_connections")["suggestion"]


def test_a_reader_that_waits_for_a_slow_handler_is_not_stale() -> None:
    stream = running()
    stream.stats |= {"slow_handler": slow_call(100.0), "queue_depth": 500}
    stream.wait(100.0)

    assert list(stream.issues()) == ["slow_handlers"]


# lost_connections


@pytest.mark.parametrize(
    ("kind", "text", "advice"),
    [
        ("name", "NameResolutionError: no address", "DNS server"),
        ("network", "ConnectionRefusedError: refused", "server runs"),
        ("timeout", "OpenTimeoutError: 10 s", "firewall"),
        ("tls", "CertificateError: expired", "certificates"),
        ("proxy", "ProxyError: 407", "proxy="),
        ("handshake", "HandshakeError: 404", "path of the url"),
        ("handshake", "HandshakeError: HTTP 429 Too Many Requests", "enforces a limit"),
        ("authentication", "AuthenticationError: bad key", "permissions"),
        ("authentication", "AuthenticationError: timestamp is ahead", "clock of this machine"),
        ("configuration", "KeyError: 'token'", "function of yours"),
        ("protocol", "ProtocolError: reserved bit", "compression"),
    ],
)
def test_a_lost_connection_is_found_with_its_cause_and_gone_when_it_is_back(
    kind: str, text: str, advice: str
) -> None:
    stream = running(per_second=1000)
    stream.lose()
    for _ in range(3):
        stream.wait(10.0)
        assert "lost_connections" not in stream.issues()
        stream.fail(kind, text)
    stream.wait(1.0)

    finding = only(stream, "lost_connections")

    assert (finding["value"], finding["threshold"]) == (31.0, 30.0)
    assert "No connection for 31 s" in finding["detail"]
    assert f"3 failed attempts. Latest: {text}" in finding["detail"]
    assert advice in finding["suggestion"]
    stream.open()
    assert "lost_connections" not in stream.issues()


def test_a_first_attempt_that_waits_for_an_answer_is_lost_after_a_while() -> None:
    stream = SimulatedStream()
    stream.start()
    stream.wait(31.0)

    finding = only(stream, "lost_connections")

    assert finding["detail"] == "No connection for 31 s, allowed are 30 s."
    assert "does not answer in time" in finding["suggestion"]


def test_a_connection_that_was_given_up_is_lost_at_once() -> None:
    stream = SimulatedStream()
    stream.start()
    stream.wait(1.0)
    stream.fail("authentication", "AuthenticationError: bad key")
    stream.give_up()

    finding = only(stream, "lost_connections")

    assert finding["detail"].startswith("Given up; no connection for 1 s, 1 failed attempt.")
    assert finding["suggestion"].endswith("Then call start() again.")


def test_a_lost_connection_is_no_failed_attempt() -> None:
    stream = running()
    stream.lose()
    stream.stats["retry_count"] = 1
    stream.wait(31.0)

    finding = only(stream, "lost_connections")

    assert finding["detail"].startswith("No connection for 31 s, allowed are 30 s. Latest:")


def test_the_latest_cause_is_advised_upon() -> None:
    stream = running()
    stream.lose("network", "ConnectionResetError: reset")
    stream.wait(1.0)
    stream.fail("authentication", "AuthenticationError: bad key")
    stream.give_up()

    finding = only(stream, "lost_connections")

    assert "1 failed attempt. Latest: AuthenticationError: bad key" in finding["detail"]
    assert "permissions" in finding["suggestion"]
    assert "high_error_rate" not in stream.issues()


# slow_handlers


def slow_call(seconds: float) -> dict[str, Any]:
    where = "on_price (feed.py:7), in sleep (work.py:3)"
    stack = ["on_price (feed.py:7)", "work (work.py:9)", "sleep (work.py:3)"]
    return {"event": "message", "where": where, "seconds": seconds, "stack": stack}


def test_a_stuck_handler_is_told_with_its_place_and_stack() -> None:
    stream = running()
    stream.stats |= {"slow_handler": slow_call(75.0), "queue_depth": 1}

    finding = only(stream, "slow_handlers")

    assert (finding["value"], finding["threshold"]) == (75.0, 1.0)
    assert finding["detail"] == (
        "A handler for 'message' has been running for 1 min 15 s; it stands in on_price "
        "(feed.py:7), in sleep (work.py:3). Stack: on_price (feed.py:7) > work (work.py:9) > "
        "sleep (work.py:3). Behind it: 1 message."
    )
    assert "queue.Queue" in finding["suggestion"]
    stream.stats["slow_handler"] = slow_call(0.9)
    assert stream.issues() == {}


def test_a_handler_that_was_slow_is_an_issue_for_the_window() -> None:
    stream = running()
    for seconds in (1.5, 2.5, 0.5):
        stream.wait(1.0, per_second=10)
        note = SlowNote(stream.now, "message", "on_price (feed.py:7)", seconds)
        stream.history.note_slow_call(note, is_new=True)

    finding = only(stream, "slow_handlers")

    assert finding["value"] == 2.5
    assert finding["detail"] == (
        "2 slow handler calls in the last 5 min; the longest, for 'message', took 2.5 s or more "
        "and stood in on_price (feed.py:7)."
    )
    stream.wait(301.0, per_second=10)
    assert stream.issues() == {}


# dropped_messages, high_latency


def test_dropped_messages_are_those_of_the_window() -> None:
    stream = running()
    stream.stats["dropped_messages"] = 300

    finding = only(stream, "dropped_messages")

    assert (finding["value"], finding["threshold"]) == (300, 0)
    assert finding["detail"].startswith("300 messages dropped in the last 5 min (")
    assert "slower than the stream" in finding["suggestion"]
    assert "dropped_messages" not in stream.issues(Thresholds(dropped_messages=300))
    stream.stats["slow_handler"] = slow_call(2.0)
    assert "Move the work" in only(stream, "dropped_messages")["suggestion"]
    stream.stats["slow_handler"] = None
    stream.wait(330.0, per_second=10)
    assert stream.issues() == {}


def test_latency_is_that_of_the_latest_ping() -> None:
    stream = running()
    stream.stats["ping_rtt"] = 1.0
    assert stream.issues() == {}
    stream.stats["ping_rtt"] = 2.25
    assert only(stream, "high_latency")["detail"] == (
        "The latest ping took 2.25 s, allowed are 1 s."
    )
    assert "nearer" in only(stream, "high_latency")["suggestion"]
    stream.stats["slow_handler"] = slow_call(3.0)
    assert "pong" in only(stream, "high_latency")["suggestion"]


# subscription_limits


@pytest.mark.parametrize(("wanted", "found"), [(0, False), (89, False), (90, True), (100, True)])
def test_topics_near_the_limit_of_a_connection_are_an_issue(wanted: int, found: bool) -> None:
    stream = running()
    stream.stats |= {"subscribed_pairs": wanted, "subscription_limit": 100}

    assert ("subscription_limits" in stream.issues()) is found


def test_topics_near_the_limit_are_told_in_numbers() -> None:
    stream = running()
    stream.stats |= {"subscribed_pairs": 95, "subscription_limit": 100, "failed_subscriptions": 2}

    finding = only(stream, "subscription_limits")

    assert (finding["value"], finding["threshold"]) == (0.95, 0.9)
    assert finding["detail"] == (
        "95 of 100 topics that the venue allows on one connection. Refused or never confirmed: 2."
    )
    assert "ConnectionPool" in finding["suggestion"]
    stream.stats |= {"subscription_limit": None, "failed_subscriptions": 0}
    assert stream.issues() == {}


def test_refused_topics_are_an_issue_until_they_are_taken_away() -> None:
    stream = running()
    stream.stats |= {"subscribed_pairs": 8, "failed_subscriptions": 2}

    finding = only(stream, "subscription_limits")

    assert (finding["value"], finding["threshold"]) == (2, 0)
    assert finding["detail"] == "The server refused or never confirmed 2 of 10 topics."
    assert "what the server said" in finding["suggestion"]


# data_gaps


@pytest.mark.parametrize(
    ("reason", "advice"),
    [("reconnect", "over REST"), ("sequence", "snapshot"), ("overflow", "The queue was full")],
)
def test_gaps_of_the_window_are_an_issue(reason: str, advice: str) -> None:
    stream = running()
    stream.gap(reason)
    stream.gap(reason)

    finding = only(stream, "data_gaps")

    assert (finding["value"], finding["threshold"]) == (2, 0)
    assert f"2 gaps in the last 5 min. The latest, by {reason}, lasted 2 s" in finding["detail"]
    assert advice in finding["suggestion"]
    stream.wait(330.0, per_second=10)
    assert stream.issues() == {}


def test_gaps_that_were_planned_or_filled_are_no_issue() -> None:
    stream = running()
    stream.gap("rotation")
    stream.gap("sequence", recovered=True)

    assert stream.issues() == {}
    assert stream.history.gap_count == 2


# Several at once.


def test_issues_of_several_connections_stand_side_by_side() -> None:
    first, second = running(), running()
    second.lose("name", "NameResolutionError: no address")
    second.wait(40.0)

    found = diagnose({"a": first.observe(), "b": second.observe()}, Thresholds())

    assert [one["connection"] for one in found["lost_connections"]] == ["b"]
    assert {one["connection"] for findings in found.values() for one in findings} == {"b"}


def test_no_finding_is_without_a_sentence_or_a_suggestion() -> None:
    stream = running()
    stream.stats |= {"callback_errors": 10_000, "dropped_messages": 10, "ping_rtt": 9.0}
    stream.stats |= {"subscribed_pairs": 100, "subscription_limit": 100}
    stream.stats["slow_handler"] = slow_call(9.0)
    for _ in range(20):
        stream.lose()
        stream.open()

    for finding in stream.issues().values():
        for text in (finding["detail"], finding["suggestion"]):
            assert text[0].isupper() or text[0].isdigit()
            assert text.endswith((".", "gone"))
            assert "  " not in text
