"""What the watchdog sees: silence, age, slow handlers, stuck sends; and the status that it logs."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Gate, Running
from wsresilient import NotConnectedError, SendTimeoutError, StaleConnectionError
from wsresilient.runtime.wire import PlainStream

from .clients import running
from .servers import PATIENCE, PONG, Peer, raw_server, serve_nothing, wait_until


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [line for line in caplog.messages if word in line]


# Silence.


def test_feed_that_stalls_is_left_for_another(caplog: pytest.LogCaptureFixture) -> None:
    def behave(peer: Peer) -> None:
        peer.text(f"from {peer.number}")
        peer.serve()

    with raw_server(behave) as server, running(server.url, stale_after=0.2) as (ws, seen):
        assert seen.wait_for_messages(3) == ["from 1", "from 2", "from 3"]
        assert isinstance(seen.errors[0], StaleConnectionError)
        assert "stale_after is 0.2 s" in ws.last_error
        assert lines(caplog, "stalled: retry [1]")
        assert ws.get_stats()["error_count"] >= 2


def test_messages_keep_a_feed_alive_and_pongs_do_not() -> None:
    quiet = threading.Event()

    def behave(peer: Peer) -> None:
        for _ in range(25):
            peer.text("tick")
            quiet.wait(0.05)
        while not peer.leaving.wait(0.05):
            peer.send(PONG)

    with raw_server(behave) as server, running(server.url, stale_after=1.0) as (_, seen):
        seen.wait_for_errors(1)
        assert server.count == 1 or len(seen.closes) == 1
        assert len(seen.messages) >= 25
        assert isinstance(seen.errors[0], StaleConnectionError)


def test_none_switches_staleness_off() -> None:
    with (
        raw_server(serve_nothing) as server,
        running(server.url, stale_after=None, max_age=0.3) as (_, seen),
    ):
        server.wait_for(2)  # by age, so it lived through its silence
        assert seen.errors == []


# Age.


def test_rotation_is_planned_and_closes_with_1000(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="wsresilient")
    closings: list[int | None] = []

    def behave(peer: Peer) -> None:
        closings.append(peer.serve().code)

    with raw_server(behave) as server, running(server.url, max_age=0.1) as (ws, seen):
        seen.wait_for_opens(3)
        server.wait_for(3)
        assert closings[:2] == [1000, 1000]
        assert [gap.reason for gap in seen.gaps[:2]] == ["rotation", "rotation"]
        assert seen.errors == []
        assert ws.last_error == ""
        assert ws.get_stats()["error_count"] == ws.get_stats()["connection_failures"] == 0
        assert lines(caplog, "planned rotation")
        assert all(record.levelno <= logging.INFO for record in caplog.records)


def test_rotation_does_not_wait_for_a_peer_that_is_silent() -> None:
    with (
        raw_server(Peer.ignore) as server,
        running(server.url, max_age=0.1, close_timeout=0.1) as (_, seen),
    ):
        server.wait_for(2)
        assert seen.wait_for_closes(1)[0] == (1000, "")
        assert seen.errors == []


# Slow handlers.


def blocking_message(gate: Gate) -> tuple[Callable[[object], None], int]:
    def on_message(_message: object) -> None:
        gate.pass_through()

    return on_message, inspect.getsourcelines(on_message)[1] + 1


@pytest.mark.parametrize("dispatch", ["thread", "inline"])
def test_slow_handler_is_reported_once_with_its_file_and_line(
    dispatch: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    handler, line = blocking_message(gate)

    def behave(peer: Peer) -> None:
        peer.text("one", "two")
        peer.serve()

    settings: dict[str, Any] = {"on_message": handler, "slow_handler_after": 0.1}
    with raw_server(behave) as server, running(server.url, dispatch=dispatch, **settings):
        try:
            gate.wait_for_arrival()
            wait_until(lambda: lines(caplog, "slow handler"))
            report = lines(caplog, "slow handler")[0]
            assert "slow handler for 'message'" in report
            assert f"on_message ({__file__}:{line})" in report
            assert "in wait (" in report
        finally:
            gate.open()
        gate.wait_for_arrival()
    assert len(lines(caplog, "slow handler")) == 1


def test_slow_callback_of_another_event_is_reported_too(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    settings: dict[str, Any] = {"on_open": gate.pass_through, "slow_handler_after": 0.05}
    with raw_server(serve_nothing) as server, running(server.url, **settings) as (ws, _):
        try:
            wait_until(lambda: lines(caplog, "slow handler for 'open'"))
            assert ws.is_connected
        finally:
            gate.open()


def test_many_quick_calls_are_not_a_slow_one(caplog: pytest.LogCaptureFixture) -> None:
    pause = threading.Event()

    def behave(peer: Peer) -> None:
        peer.text(*map(str, range(60)))
        peer.serve()

    got: list[object] = []

    def handle(message: object) -> None:
        pause.wait(0.01)
        got.append(message)

    # In one batch they last longer than the limit, though none does.
    with (
        raw_server(behave) as server,
        running(server.url, on_message=handle, slow_handler_after=0.5),
    ):
        wait_until(lambda: len(got) == 60)
    assert lines(caplog, "slow handler") == []


# Status.


def test_stats_and_status_line_come_at_their_interval(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="wsresilient")
    given: list[dict[str, Any]] = []

    def behave(peer: Peer) -> None:
        peer.text("a", "b")
        peer.serve()

    settings: dict[str, Any] = {"stats_interval": 0.1, "on_stats": given.append}
    with raw_server(behave) as server, running(server.url, **settings) as (ws, _):
        wait_until(lambda: given and given[-1]["message_count"] == 2)
        assert given[-1].keys() == ws.get_stats().keys()
        wait_until(lambda: lines(caplog, "status: connected, 2 messages"))
    line = lines(caplog, "status: connected, 2 messages")[0]
    assert "0 reconnects, 0 errors, queue 0, quality 100" in line


def test_status_comes_though_the_handler_is_blocked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="wsresilient")
    gate = Gate()

    def behave(peer: Peer) -> None:
        peer.text("a")
        peer.serve()

    settings: dict[str, Any] = {"on_message": gate.pass_through, "stats_interval": 0.1}
    with raw_server(behave) as server, running(server.url, **settings):
        try:
            gate.wait_for_arrival()
            caplog.clear()
            wait_until(lambda: lines(caplog, "status: connected, 1 messages"))
        finally:
            gate.open()


def test_zero_switches_the_status_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="wsresilient")
    given: list[object] = []
    settings: dict[str, Any] = {"stats_interval": 0, "on_stats": given.append, "max_age": 0.3}
    with raw_server(serve_nothing) as server, running(server.url, **settings):
        server.wait_for(2)
    assert given == []
    assert lines(caplog, "status:") == []


# Stuck sends.


def test_send_that_is_stuck_in_spite_of_its_deadline_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered, original = threading.Event(), PlainStream.send

    def send(stream: PlainStream, data: bytes, **options: Any) -> None:
        if len(data) < 5_000:
            original(stream, data, **options)
            return
        entered.set()
        stream.raw.setblocking(True)
        stream.raw.recv(1)  # whatever the system may do: until the socket is shut down
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(PlainStream, "send", send)
    with (
        raw_server(serve_nothing) as server,
        running(server.url, send_timeout=0.1) as (ws, seen),
    ):
        sending = Running(lambda: ws.send("x" * 10_000))
        assert entered.wait(PATIENCE)
        with pytest.raises(NotConnectedError):
            sending.result()
        assert isinstance(seen.wait_for_errors(1)[0], SendTimeoutError)
        assert "stuck" in ws.last_error
        server.wait_for(2)
