"""Dead and frozen links, frames that stop half-way, steps of the clock: noticed, or rightly not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import websocket._app

from wsresilient import PingTimeoutError, ReconnectPolicy, SendTimeoutError, StaleConnectionError

from .clients import QUICK, SLOW_RETRY, quick, running
from .servers import PATIENCE, PING, PONG, TEXT, Peer, frame, raw_server, serve_nothing, wait_until

PINGS: dict[str, Any] = {"ping_interval": 0.3, "ping_timeout": 0.2}

SERVER = """
import sys
from websockets.sync.server import serve
def handle(connection):
    connection.send("hello")
    for message in connection:
        connection.send(message)
with serve(handle, "127.0.0.1", 0) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"""


def test_frozen_server_is_noticed_within_six_seconds_at_ping_2_1() -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = f"ws://127.0.0.1:{int(process.stdout.readline())}"
        with running(url, ping_interval=2, ping_timeout=1, reconnect=SLOW_RETRY) as (_, seen):
            seen.wait_for_messages(1)
            frozen_at = time.monotonic()
            os.kill(process.pid, signal.SIGSTOP)
            error = seen.wait_for_errors(1)[0]
            assert time.monotonic() - frozen_at < 6.0
            assert isinstance(error, PingTimeoutError)
    finally:
        process.kill()
        process.communicate()


def test_server_that_stops_reading_and_answering_is_left() -> None:
    with raw_server(Peer.ignore) as server, running(server.url, **PINGS) as (ws, seen):
        server.wait_for(2)
        assert isinstance(seen.wait_for_errors(1)[0], PingTimeoutError)
        assert "ping/pong timed out" in ws.last_error
        assert seen.closes[0][0] is None


def test_frame_that_stops_half_way_is_noticed() -> None:
    def behave(peer: Peer) -> None:
        peer.sock.sendall(frame(TEXT, "x" * 1000)[:700])
        peer.ignore()

    with raw_server(behave) as server, running(server.url, **PINGS) as (_, seen):
        server.wait_for(2)
        assert isinstance(seen.wait_for_errors(1)[0], PingTimeoutError)
        assert seen.messages == []


def test_frame_that_drips_for_ever_is_a_stalled_feed() -> None:
    def behave(peer: Peer) -> None:
        peer.sock.sendall(frame(TEXT, "x" * 60_000)[:10])
        while not peer.leaving.wait(0.01):
            peer.sock.sendall(b"x")

    with raw_server(behave) as server, running(server.url, stale_after=0.3, **PINGS) as (_, seen):
        server.wait_for(2)
        assert isinstance(seen.wait_for_errors(1)[0], StaleConnectionError)


def test_end_inside_a_frame_says_so() -> None:
    def behave(peer: Peer) -> None:
        peer.sock.sendall(frame(TEXT, "x" * 1000)[:700])

    settings: dict[str, Any] = {"reconnect": SLOW_RETRY, "connected": False}
    with raw_server(behave) as server, running(server.url, **settings) as (ws, seen):
        seen.wait_for_errors(1)
        assert len(seen.opens) == 1
        assert "inside a frame" in ws.last_error
        assert seen.messages == []
        assert server.count == 1


def test_slow_handler_is_no_reason_to_reconnect() -> None:
    def behave(peer: Peer) -> None:
        for number in range(4):
            peer.text(str(number))
        peer.serve()

    delivered: list[object] = []

    def slow(message: object) -> None:
        pause.wait(0.4)
        delivered.append(message)

    pause = threading.Event()
    with (
        raw_server(behave) as server,
        running(server.url, on_message=slow, queue_size=1, **PINGS) as (ws, seen),
    ):
        wait_until(lambda: len(delivered) == 4)
        assert server.count == 1
        assert seen.errors == []
        assert ws.is_connected


def test_reader_held_back_by_a_full_lane_is_no_dead_peer() -> None:
    """The handler blocks for many ping timeouts while the kernel's buffer is full of pongs."""

    def behave(peer: Peer) -> None:
        sender = threading.Thread(target=flood, args=(peer,))
        sender.start()
        try:
            peer.serve()
        finally:
            sender.join()

    def flood(peer: Peer) -> None:
        for number in range(50):
            peer.text(str(number) + "x" * 1000)

    go_on, entered = threading.Event(), threading.Event()

    def block(_message: object) -> None:
        entered.set()
        go_on.wait(PATIENCE)

    with raw_server(behave) as server:
        settings: dict[str, Any] = {"queue_size": 5, "stale_after": 0.5, **PINGS}
        with running(server.url, on_message=block, **settings) as (ws, seen):
            assert entered.wait(PATIENCE)
            started = time.monotonic()
            wait_until(lambda: time.monotonic() - started > 1.5 or bool(seen.errors))
            go_on.set()
            wait_until(lambda: ws.get_stats()["queue_depth"] == 0)
            assert server.count == 1
            assert seen.errors == []


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_step_of_the_wall_clock_does_not_kill_a_healthy_link(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pings = threading.Semaphore(0)

    def behave(peer: Peer) -> None:
        while True:
            got = peer.read()
            if got.opcode == PING:
                pings.release()
                peer.send(PONG, got.payload)

    class SteppingClock:
        calls = 0

        def time(self) -> float:
            self.calls += 1
            return time.time() + (step if self.calls % 2 else 0.0)

        def __getattr__(self, name: str) -> object:
            return getattr(time, name)

    monkeypatch.setattr(websocket._app, "time", SteppingClock())
    with (
        raw_server(behave) as server,
        running(server.url, ping_interval=0.1, ping_timeout=0.09) as (ws, seen),
    ):
        for _ in range(5):
            assert pings.acquire(timeout=PATIENCE)
        assert server.count == 1
        assert seen.errors == []
        assert ws.is_connected
        wait_until(lambda: ws.get_stats()["ping_rtt"] is not None)
        assert ws.get_stats()["ping_rtt"] < 5.0


def test_pings_of_the_server_are_answered_with_their_payload() -> None:
    answers: list[bytes] = []

    def behave(peer: Peer) -> None:
        for payload in (b"", b"one", b"x" * 125):
            peer.send(PING, payload)
            answers.append(peer.read_until(PONG).payload)
        peer.serve()

    with raw_server(behave) as server, running(server.url):
        wait_until(lambda: len(answers) == 3)
        assert answers == [b"", b"one", b"x" * 125]


def test_ping_between_the_frames_of_a_message_is_answered_at_once() -> None:
    def behave(peer: Peer) -> None:
        peer.send(TEXT, "a", fin=False)
        peer.send(PING, b"now")
        assert peer.read_until(PONG).payload == b"now"
        peer.send(0, "b")
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (_, seen):
        assert seen.wait_for_messages(1) == ["ab"]


def test_send_that_the_peer_does_not_take_ends_the_connection() -> None:
    with raw_server(Peer.ignore) as server, running(server.url) as (ws, seen):
        with pytest.raises(SendTimeoutError):
            ws.send(b"x" * 50_000_000, timeout=0.2)
        server.wait_for(2)
        assert isinstance(seen.wait_for_errors(1)[0], SendTimeoutError)


def test_fifty_connections_come_back_at_once() -> None:
    policy = ReconnectPolicy(initial_delay=0.05, jitter=1.0)
    crowd = []
    with raw_server(serve_nothing) as server:
        try:
            crowd = [quick(server.url, name=f"n{n}", reconnect=policy) for n in range(50)]
            for ws in crowd:
                ws.start()
            assert all(ws.wait_until_connected(PATIENCE) for ws in crowd)
            server.wait_for(50)
            for peer in server.peers[:50]:
                peer.cut()
            wait_until(lambda: all(ws.get_stats()["reconnect_count"] == 1 for ws in crowd))
        finally:
            for ws in crowd:
                ws.request_stop()
            assert all(ws.stop(PATIENCE) for ws in crowd)


def test_flapping_server_never_makes_it_give_up() -> None:
    def behave(peer: Peer) -> None:
        kind = peer.number % 3
        if kind == 0:
            peer.reset()
        elif kind == 1:
            peer.close(1011)

    with (
        raw_server(behave) as server,
        running(server.url, connected=False, reconnect=QUICK) as (
            ws,
            _,
        ),
    ):
        server.wait_for(15)
        assert ws.state != "failed"
