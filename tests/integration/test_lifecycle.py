"""Lifecycle: start, stop, join, with, run_forever, wait_until_connected, and what it is called."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

import wsresilient
from tests.support import Running
from wsresilient import ConnectionFailedError, ReconnectPolicy, StateChange

from .clients import SLOW_RETRY, library_threads, quick, running
from .servers import PATIENCE, Peer, free_port, raw_server, serve_nothing, wait_until

NEVER = ReconnectPolicy(max_attempts=0)

# Before the start.


def test_constructor_does_no_io_and_starts_no_thread() -> None:
    def asked() -> Any:
        raise AssertionError("asked before the start")

    threads = threading.enumerate()
    ws = quick(asked, headers=asked)
    assert threading.enumerate() == threads
    assert (ws.state, ws.last_error, ws.generation) == ("disconnected", "", 0)
    assert (ws.is_connected, ws.is_running, ws.subprotocol) == (False, False, None)
    assert ws.subscriptions == frozenset()


def test_connection_that_was_never_started_costs_nothing_to_forget() -> None:
    ws = quick("ws://127.0.0.1:9")
    forgotten = weakref.ref(ws)
    del ws
    gc.collect()
    assert forgotten() is None


def test_everything_may_be_asked_before_the_start() -> None:
    ws = quick("ws://127.0.0.1:9")
    assert ws.stop()
    assert ws.join()
    assert not ws.wait_until_connected()
    assert not ws.wait_until_connected(0.01)
    assert not ws.is_fresh(max_age=1.0)
    assert ws.get_stats()["state"] == "disconnected"


# Start and stop.


def test_start_returns_itself_and_twice_is_once() -> None:
    with raw_server(serve_nothing) as server, running(server.url) as (ws, seen):
        assert ws.start() is ws
        assert ws.start() is ws
        seen.wait_for_opens(1)
        assert server.count == 1


def test_connect_gives_a_started_connection() -> None:
    with raw_server(serve_nothing) as server:
        ws = wsresilient.connect(server.url)
        try:
            assert ws.wait_until_connected(PATIENCE)
        finally:
            assert ws.stop()


def test_with_starts_and_stops() -> None:
    with raw_server(serve_nothing) as server:
        ws = quick(server.url)
        with ws:
            assert ws.wait_until_connected(PATIENCE)
            assert "wsr-test" in library_threads()
        assert not ws.is_running
        assert library_threads() == []


def test_with_stops_when_its_block_raises() -> None:
    with raw_server(serve_nothing) as server:
        ws = quick(server.url)

        def fail() -> None:
            with ws:
                raise LookupError

        with pytest.raises(LookupError):
            fail()
        assert not ws.is_running
        assert ws.state == "disconnected"


def test_connection_that_nobody_holds_goes_on() -> None:
    def behave(peer: Peer) -> None:
        go_on.wait(PATIENCE)
        peer.text("still here")
        peer.serve()

    go_on = threading.Event()
    got: list[Any] = []
    with raw_server(behave) as server:
        held = weakref.ref(quick(server.url, on_message=got.append).start())
        server.wait_for(1)
        gc.collect()
        go_on.set()
        wait_until(lambda: got == ["still here"])
        ws = held()
        assert ws is not None
        assert ws.stop()


def test_join_tells_whether_it_has_ended() -> None:
    with raw_server(serve_nothing) as server, running(server.url) as (ws, _):
        assert not ws.join(0.01)
        waiting = Running(ws.join)
        assert waiting.waits_in("join")
        ws.request_stop()
        assert waiting.result() is True
        assert ws.join()


def test_all_events_have_been_told_when_stop_returns() -> None:
    with raw_server(serve_nothing) as server, running(server.url) as (ws, seen):
        assert ws.stop()
        assert seen.log == ["connecting", "connected", "open", "close 1000", "disconnected"]


# run_forever.


def test_run_forever_blocks_until_it_is_stopped() -> None:
    with raw_server(serve_nothing) as server:
        ws = quick(server.url)
        waiting = Running(ws.run_forever)
        wait_until(lambda: ws.is_connected)
        assert not waiting.is_over
        assert ws.stop()
        assert waiting.result() is None


def test_run_forever_returns_when_a_handler_stops() -> None:
    def behave(peer: Peer) -> None:
        peer.text("enough")
        peer.serve()

    with raw_server(behave) as server:
        ws = quick(server.url)
        ws.on("message", lambda _: ws.stop())
        assert Running(ws.run_forever).result() is None
        assert ws.state == "disconnected"
        assert ws.stop()


def test_run_forever_joins_a_connection_that_runs_already() -> None:
    with raw_server(serve_nothing) as server, running(server.url) as (ws, _):
        waiting = Running(ws.run_forever)
        assert waiting.waits_in("join")
        assert ws.stop()
        assert waiting.result() is None
        assert server.count == 1


def test_run_forever_raises_when_it_is_given_up() -> None:
    ws = quick(f"ws://127.0.0.1:{free_port()}", reconnect=NEVER)
    with pytest.raises(ConnectionFailedError, match="refused"):
        ws.run_forever()
    assert ws.state == "failed"
    assert ws.stop()


# wait_until_connected.


def test_wait_ends_without_a_connection_at_its_timeout() -> None:
    with (
        raw_server(Peer.ignore, handshake=False) as server,
        running(server.url, connected=False) as (ws, _),
    ):
        assert not ws.wait_until_connected(0.05)
        assert not ws.wait_until_connected(0)


def test_wait_begins_before_the_start() -> None:
    with raw_server(serve_nothing) as server:
        ws = quick(server.url)
        waiting = Running(ws.wait_until_connected, PATIENCE)
        assert waiting.waits_in("wait_until_connected")
        with ws:
            assert waiting.result() is True


def test_wait_is_for_a_reconnect_too() -> None:
    allowed = threading.Event()

    def behave(peer: Peer) -> None:
        if peer.number > 1:
            allowed.wait(PATIENCE)
        peer.accept()
        if peer.number > 1:
            peer.serve()

    with raw_server(behave, handshake=False) as server, running(server.url) as (ws, seen):
        seen.wait_for_closes(1)
        waiting = Running(ws.wait_until_connected)
        assert waiting.waits_in("wait_until_connected")
        allowed.set()
        assert waiting.result() is True
        assert ws.generation == 2


def test_failure_is_raised_in_every_thread_that_waits() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        go_on.wait(PATIENCE)

    go_on = threading.Event()
    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, connected=False, reconnect=NEVER) as (ws, _),
    ):
        waiting = [Running(ws.wait_until_connected) for _ in range(4)]
        assert all(run.waits_in("wait_until_connected") for run in waiting)
        go_on.set()
        errors = []
        for run in waiting:
            with pytest.raises(ConnectionFailedError) as caught:
                run.result()
            errors.append(caught.value)
        assert len({id(error) for error in errors}) == 4
        assert len({str(error) for error in errors}) == 1
        assert all(error.__cause__ is not None for error in errors)


# Once more.


def test_restart_after_failure_goes_on_counting_and_forgets_the_failure() -> None:
    port = free_port()
    ws = quick(f"ws://127.0.0.1:{port}", reconnect=NEVER)
    for attempts in (1, 2):
        ws.start()
        with pytest.raises(ConnectionFailedError):
            ws.wait_until_connected(PATIENCE)
        assert ws.join(PATIENCE)
        assert ws.generation == attempts
    with raw_server(serve_nothing, port=port):
        ws.start()
        assert ws.wait_until_connected(PATIENCE)
        assert (ws.generation, ws.get_stats()["retry_count"]) == (3, 0)
        assert "refused" in ws.last_error
        assert ws.stop(PATIENCE)


@pytest.mark.parametrize("dispatch", ["thread", "inline"])
@pytest.mark.parametrize("state", ["failed", "disconnected"])
def test_restart_from_inside_on_state_change(state: str, dispatch: str) -> None:
    port = free_port()
    policy = NEVER if state == "failed" else SLOW_RETRY
    ws = quick(f"ws://127.0.0.1:{port}", reconnect=policy, dispatch=dispatch)
    restarts: list[int] = []

    @ws.on("state")  # type: ignore[untyped-decorator]
    def restart(change: StateChange) -> None:
        if change.state == state and len(restarts) < 2:
            restarts.append(ws.generation)
            ws.start()

    with ws:
        if state == "disconnected":
            for count in (1, 2):
                wait_until(lambda: ws.state == "reconnecting")
                ws.request_stop()
                wait_until(lambda: len(restarts) == count)  # noqa: B023
        wait_until(lambda: len(restarts) == 2 and ws.generation == 3)
        if state == "failed":
            assert ws.join(PATIENCE)
        else:
            wait_until(lambda: ws.state == "reconnecting")
        with raw_server(serve_nothing, port=port):
            if state == "failed":
                ws.start()
            else:
                ws.reconnect()
            assert ws.wait_until_connected(PATIENCE)
            assert ws.get_stats()["callback_errors"] == 0
            assert ws.stop(PATIENCE)
