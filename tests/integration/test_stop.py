"""stop() in every phase: within its bound, with no thread and no socket left."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from tests.support import Gate
from wsresilient import ResilientWebSocket

from .clients import SLOW_RETRY, STOP_BOUND, is_sending, library_threads, started, stop_in_time
from .servers import (
    LOCALHOST,
    PATIENCE,
    TEXT,
    Behaviour,
    Peer,
    frame,
    free_port,
    raw_server,
    serve_nothing,
    wait_until,
)

# Opening.


def test_while_the_name_is_being_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = threading.Event(), threading.Event()
    original = socket.getaddrinfo

    def resolver(host: str, *args: object, **options: object) -> object:
        if host != "slow.test" or options.get("flags"):
            return original(host, *args, **options)  # type: ignore[arg-type]
        asked.set()
        go_on.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with started("ws://slow.test/") as (ws, seen):
        assert asked.wait(PATIENCE)
        before = time.monotonic()
        assert ws.stop()
        assert time.monotonic() - before < STOP_BOUND
        # The system's resolver cannot be interrupted; its thread is left to itself.
        assert library_threads() == ["wsr-resolve"]
        assert seen.errors == []
        go_on.set()
        wait_until(lambda: library_threads() == [])


def test_while_tcp_connects_to_a_black_hole() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOCALHOST, 0), backlog=0))
        address = listener.getsockname()
        for _ in range(3):  # fill the backlog
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        with started(f"ws://{LOCALHOST}:{address[1]}") as (ws, seen):
            wait_until(lambda: ws.state == "connecting")
            stop_in_time(ws)
            assert seen.errors == []


def test_while_the_tls_handshake_stalls() -> None:
    with (
        raw_server(Peer.ignore, handshake=False) as server,
        started(server.url.replace("ws://", "wss://")) as (ws, _),
    ):
        server.wait_for(1)
        stop_in_time(ws)


def drip(peer: Peer) -> None:
    peer.read_request()
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nX-Long: " + b"y" * 10_000:
        peer.sock.sendall(bytes([byte]))
        if peer.leaving.wait(0.02):
            return


def withheld_body(peer: Peer) -> None:
    peer.read_request()
    peer.sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\nbe")
    peer.ignore()


@pytest.mark.parametrize("behave", [Peer.ignore, drip, withheld_body], ids=lambda b: b.__name__)
def test_while_the_http_handshake_stalls_or_drips(behave: Behaviour) -> None:
    with raw_server(behave, handshake=False) as server, started(server.url) as (ws, seen):
        server.wait_for(1)
        stop_in_time(ws)
        assert seen.opens == []
        assert seen.closes == []
        server.peers[0].leaving.set()


def test_while_it_waits_for_the_next_attempt() -> None:
    with started(f"ws://{LOCALHOST}:{free_port()}", reconnect=SLOW_RETRY) as (ws, seen):
        seen.wait_for_errors(1)
        wait_until(lambda: ws.state == "reconnecting")
        stop_in_time(ws)


def test_right_after_the_start() -> None:
    with raw_server(serve_nothing) as server:
        for _ in range(20):
            with started(server.url) as (ws, _):
                stop_in_time(ws)


# Connected.


def test_while_it_reads_says_goodbye_with_1000() -> None:
    closings: list[int | None] = []

    def behave(peer: Peer) -> None:
        closings.append(peer.serve().code)
        peer.wait_until_gone()

    with raw_server(behave) as server, started(server.url) as (ws, seen):
        assert ws.wait_until_connected(PATIENCE)
        stop_in_time(ws)
        wait_until(lambda: bool(closings))
        assert closings == [1000]
        assert seen.closes == [(1000, "")]
        assert seen.errors == []
        assert seen.states[-1].state == "disconnected"
        assert "stop()" in seen.states[-1].message


def test_inside_a_frame() -> None:
    def behave(peer: Peer) -> None:
        peer.sock.sendall(frame(TEXT, "x" * 1000)[:500])
        peer.ignore()

    with raw_server(behave) as server, started(server.url) as (ws, _):
        wait_until(lambda: ws.get_stats()["bytes_received"] == 500)
        stop_in_time(ws)


def test_while_messages_pour_in() -> None:
    def behave(peer: Peer) -> None:
        while True:
            peer.text(*["x" * 100] * 100)

    with raw_server(behave) as server, started(server.url) as (ws, seen):
        seen.wait_for_messages(1000)
        stop_in_time(ws)
        count = len(seen.messages)
        assert not ws.wait_until_connected(0.05)
        assert len(seen.messages) == count


def test_while_a_send_is_stuck_since_the_peer_does_not_read() -> None:
    ends: list[Exception] = []

    def send_much(ws: ResilientWebSocket) -> None:
        try:
            ws.send(b"x" * 50_000_000)
        except Exception as error:
            ends.append(error)

    with raw_server(Peer.ignore) as server, started(server.url) as (ws, _):
        assert ws.wait_until_connected(PATIENCE)
        sender = threading.Thread(target=send_much, args=(ws,))
        sender.start()
        wait_until(lambda: is_sending(ws))
        stop_in_time(ws)
        sender.join(PATIENCE)
        assert [type(error).__name__ for error in ends] == ["NotConnectedError"]


def test_while_the_peer_is_silent_in_the_close_handshake() -> None:
    with raw_server(Peer.ignore) as server, started(server.url) as (ws, seen):
        assert ws.wait_until_connected(PATIENCE)
        stop_in_time(ws)
        assert len(seen.closes) == 1


def test_while_the_peer_keeps_talking_in_the_close_handshake() -> None:
    def behave(peer: Peer) -> None:
        while not peer.leaving.wait(0.001):
            peer.text("still here")

    with raw_server(behave) as server, started(server.url) as (ws, _):
        assert ws.wait_until_connected(PATIENCE)
        stop_in_time(ws)


def test_while_the_server_leaves_tcp_open_after_its_close() -> None:
    def behave(peer: Peer) -> None:
        peer.close(1000)
        peer.ignore()

    with raw_server(behave) as server, started(server.url) as (ws, _):
        server.wait_for(1)
        stop_in_time(ws)


def test_while_the_lane_is_full_and_the_handler_blocked() -> None:
    gate = Gate()

    def behave(peer: Peer) -> None:
        while True:
            peer.text(*["x" * 100] * 100)

    with raw_server(behave) as server:
        settings = {"on_message": gate.pass_through, "queue_size": 10}
        with started(server.url, **settings) as (ws, _):
            gate.wait_for_arrival()
            wait_until(lambda: ws.get_stats()["queue_depth"] >= 10)
            before = time.monotonic()
            assert not ws.stop(1.0)
            assert time.monotonic() - before < STOP_BOUND
            # Only the thread of the handler that is itself blocked is left.
            wait_until(lambda: len(library_threads()) <= 2)
            assert all(name.startswith("wsr-dispatch") for name in library_threads())
            gate.open()
            assert ws.stop(PATIENCE)
            assert library_threads() == []
