from __future__ import annotations

import math
from typing import Any

import pytest

from wsresilient import ConnectionConfig, PingTimeoutError, SendTimeoutError
from wsresilient.core.limits import Limits
from wsresilient.runtime.heartbeats import RETRY, HeartbeatSender
from wsresilient.runtime.pacing import Pacer
from wsresilient.venues import Heartbeat, Rate


class Sender:
    """Takes what is sent, or does not."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.takes = True
        self.due: float | None = None

    def try_send_text(self, payload: bytes) -> bool:
        if self.takes:
            self.sent.append(payload)
        return self.takes


class Attempt:
    """A connection as heartbeats see it."""

    def __init__(self) -> None:
        self.sender = Sender()
        self.last_received_at = 0.0


def beating(attempt: Any, **settings: Any) -> HeartbeatSender:
    beat = Heartbeat(
        **{
            "payload": lambda number: f"ping {number}",
            "interval": 20.0,
            "timeout": 10.0,
            **settings,
        }
    )
    made = HeartbeatSender(beat, ConnectionConfig(send_timeout=3.0), Pacer(Limits()))
    made.opened(0.0)
    return made


def test_without_a_heartbeat_there_is_nothing_to_do() -> None:
    attempt: Any = Attempt()
    made = HeartbeatSender(None, ConnectionConfig(), Pacer(Limits()))
    made.opened(0.0)

    assert made.tick(attempt, 1e9) == math.inf
    assert attempt.sender.sent == []


def test_they_are_numbered_and_go_out_in_time() -> None:
    attempt: Any = Attempt()
    made = beating(attempt)
    assert made.tick(attempt, 0.0) == 20.0
    assert made.tick(attempt, 20.0) == 10.0  # then the answer is due
    attempt.last_received_at = 21.0
    made.tick(attempt, 21.0)
    made.tick(attempt, 40.0)

    assert attempt.sender.sent == [b"ping 1", b"ping 2"]


def test_each_counts_among_the_messages_and_is_never_held_back() -> None:
    attempt: Any = Attempt()
    pacer = Pacer(Limits(messages=Rate(2, 1000.0), burst=2))
    made = HeartbeatSender(
        Heartbeat(payload="ping", interval=20.0, timeout=1000.0), ConnectionConfig(), pacer
    )
    made.opened(0.0)
    assert pacer.try_request() == 0.0
    made.tick(attempt, 20.0)
    assert pacer.try_request() > 0.0  # the heartbeat has taken the second one
    made.tick(attempt, 40.0)

    assert attempt.sender.sent == [b"ping", b"ping"]


def test_silence_after_one_is_a_dead_link() -> None:
    attempt: Any = Attempt()
    made = beating(attempt)
    made.tick(attempt, 20.0)

    with pytest.raises(PingTimeoutError, match=r"nothing came for 30\.0 s, the timeout is 10 s"):
        made.tick(attempt, 30.0)


def test_a_peer_that_takes_none_is_left_though_its_data_flow() -> None:
    attempt: Any = Attempt()
    made = beating(attempt)
    attempt.sender.takes = False
    for now in (20.0, 21.0, 22.0, 23.0):
        attempt.last_received_at = now
        assert made.tick(attempt, now) == RETRY
    with pytest.raises(SendTimeoutError, match=r"took no heartbeat for 3\.5 s"):
        made.tick(attempt, 23.5)


def test_behind_a_large_message_it_waits_for_that_messages_own_deadline() -> None:
    attempt: Any = Attempt()
    made = beating(attempt)
    attempt.sender.takes, attempt.sender.due = False, 1e9
    for now in (20.0, 100.0, 1000.0):
        assert made.tick(attempt, now) == RETRY
    attempt.sender.takes, attempt.sender.due = True, None
    made.tick(attempt, 1001.0)

    assert attempt.sender.sent == [b"ping 1"]


def test_a_new_connection_begins_anew() -> None:
    attempt: Any = Attempt()
    made = beating(attempt)
    made.tick(attempt, 20.0)
    made.opened(25.0)

    assert made.tick(attempt, 40.0) == 5.0
