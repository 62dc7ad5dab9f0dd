"""A close that the server begins: code and reason, told and echoed, and what follows."""

from __future__ import annotations

import struct

import pytest

from wsresilient import ConnectionLostError, ProtocolError

from .clients import SLOW_RETRY, running
from .servers import CLOSE, Frame, Peer, raw_server, wait_until

CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
INVALID = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65_535]
NO_ERROR = (1000, 1001)


@pytest.mark.parametrize("code", CODES)
def test_code_and_reason_are_told_echoed_and_retried(code: int) -> None:
    answers: list[Frame] = []

    def behave(peer: Peer) -> None:
        if peer.number == 1:
            answers.append(peer.close(code, "see you \N{SNOWMAN}"))
        else:
            peer.serve()

    with raw_server(behave) as server, running(server.url, connected=False) as (ws, seen):
        assert seen.wait_for_closes(1) == [(code, "see you \N{SNOWMAN}")]
        server.wait_for(2)
        wait_until(lambda: ws.is_connected)
        assert answers[0].payload == struct.pack("!H", code)
        assert len(seen.errors) == (code not in NO_ERROR)
        for error in seen.errors:
            assert isinstance(error, ConnectionLostError)
            assert (error.close_code, error.reason) == (code, "see you \N{SNOWMAN}")
            assert str(code) in ws.last_error


def test_close_without_a_code_is_answered_without_one() -> None:
    answers: list[Frame] = []

    def behave(peer: Peer) -> None:
        if peer.number == 1:
            answers.append(peer.close(None))
        else:
            peer.serve()

    with raw_server(behave) as server, running(server.url, connected=False) as (ws, seen):
        server.wait_for(2)
        wait_until(lambda: ws.is_connected)
        assert [answer.payload for answer in answers] == [b""]
        assert seen.closes[0][0] is None
        assert "without a code" in seen.closes[0][1]


@pytest.mark.parametrize("code", INVALID)
def test_code_that_must_not_be_sent_is_a_violation(code: int) -> None:
    answers: list[Frame] = []

    def behave(peer: Peer) -> None:
        answers.append(peer.close(code, "?"))

    with (
        raw_server(behave) as server,
        running(server.url, connected=False, reconnect=SLOW_RETRY) as (_, seen),
    ):
        assert isinstance(seen.wait_for_errors(1)[0], ProtocolError)
        wait_until(lambda: bool(answers))
        assert answers[0].code == 1002


def test_reason_of_full_length_is_told_whole() -> None:
    def behave(peer: Peer) -> None:
        peer.close(4000, "r" * 123)

    with (
        raw_server(behave) as server,
        running(server.url, connected=False, reconnect=SLOW_RETRY) as (_, seen),
    ):
        assert seen.wait_for_closes(1) == [(4000, "r" * 123)]


def test_messages_before_the_close_frame_are_delivered_and_those_behind_are_not() -> None:
    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.text("before")
            peer.send(CLOSE, struct.pack("!H", 1000))
            peer.text("behind")
        peer.serve()

    with raw_server(behave) as server, running(server.url, connected=False) as (ws, seen):
        server.wait_for(2)
        seen.wait_for_opens(2)
        assert seen.messages == ["before"]
        order = seen.log
        assert order.index("before") < order.index("close 1000")
        assert ws.get_stats()["message_count"] == 1


def test_end_without_a_close_frame_has_no_code_but_a_reason() -> None:
    with (
        raw_server(lambda peer: None) as server,
        running(server.url, connected=False, reconnect=SLOW_RETRY) as (_, seen),
    ):
        ((code, reason),) = seen.wait_for_closes(1)
        assert code is None
        assert "without a close frame" in reason


def test_tcp_that_stays_open_after_the_close_does_not_hold_it_up() -> None:
    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.close(1000)
            peer.ignore()
        peer.serve()

    with raw_server(behave) as server, running(server.url, connected=False) as (ws, _):
        server.wait_for(2)
        wait_until(lambda: ws.is_connected)
        server.peers[0].leaving.set()
