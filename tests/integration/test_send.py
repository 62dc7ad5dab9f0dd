"""send(): what goes out, from where, in which order; and what happens when it cannot."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest

from tests.support import Running
from wsresilient import (
    NotConnectedError,
    RateLimiter,
    ReconnectPolicy,
    ResilientWebSocket,
    SendTimeoutError,
)

from .clients import SLOW_RETRY, is_sending, quick, running
from .servers import (
    BINARY,
    CLOSE,
    PATIENCE,
    TEXT,
    Frame,
    Peer,
    free_port,
    good_server,
    raw_server,
    serve_nothing,
    wait_until,
)

NEVER = ReconnectPolicy(max_attempts=0)


# What goes out.


@pytest.mark.parametrize(
    ("data", "opcode", "payload"),
    [
        ("text \N{SNOWMAN}", TEXT, "text \N{SNOWMAN}".encode()),
        ("", TEXT, b""),
        (b"\x00\xff", BINARY, b"\x00\xff"),
        (b"", BINARY, b""),
        (bytearray(b"array"), BINARY, b"array"),
        (memoryview(b"a view")[2:], BINARY, b"view"),
        ({"op": "subscribe", "args": ["\N{SNOWMAN}", 1.5, None]}, TEXT, None),
        ([1, "two", {"three": True}], TEXT, None),
        ({}, TEXT, b"{}"),
    ],
    ids=str,
)
def test_kind_of_the_data_is_the_kind_of_the_message(
    data: Any, opcode: int, payload: bytes | None
) -> None:
    got: list[Frame] = []

    def behave(peer: Peer) -> None:
        got.append(peer.read())
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (ws, _):
        assert ws.send(data) == "sent"
        wait_until(lambda: bool(got))
        assert got[0].opcode == opcode
        if payload is None:
            assert json.loads(got[0].payload) == data
        else:
            assert got[0].payload == payload


def test_data_may_be_changed_after_the_send() -> None:
    with good_server() as server, running(server.url) as (ws, _):
        data = bytearray(b"before")
        ws.send(data)
        data[:] = b"behind"
        wait_until(lambda: bool(server.received))
        assert server.received == [b"before"]


# From where.


@pytest.mark.parametrize("dispatch", ["thread", "inline"])
def test_on_open_sends_at_every_connect_before_all_else(dispatch: str) -> None:
    firsts: list[bytes] = []

    def behave(peer: Peer) -> None:
        firsts.append(peer.read_until(TEXT).payload)
        if peer.number == 3:
            peer.serve()

    def login(ws: ResilientWebSocket) -> None:
        ws.send({"op": "login"})
        assert ws.send("queued at the login", queue=True) == "sent"

    with raw_server(behave) as server:
        settings: dict[str, Any] = {"on_open": login, "dispatch": dispatch, "connected": False}
        with running(server.url, **settings) as (ws, _):
            wait_until(lambda: len(firsts) == 3)
            assert firsts == [b'{"op":"login"}'] * 3
            wait_until(lambda: ws.is_connected)


@pytest.mark.parametrize("dispatch", ["thread", "inline"])
def test_handler_may_answer(dispatch: str) -> None:
    answers: list[bytes] = []

    def behave(peer: Peer) -> None:
        for number in range(10):
            peer.text(str(number))
            answers.append(peer.read_until(TEXT).payload)
        peer.serve()

    with raw_server(behave) as server:
        ws = quick(server.url, dispatch=dispatch)
        ws.on("message", ws.send)
        with ws:
            wait_until(lambda: len(answers) == 10)
    assert answers == [str(number).encode() for number in range(10)]


@pytest.mark.parametrize("compression", [None, "deflate"], ids=str)
def test_messages_of_eight_threads_arrive_whole_and_in_the_order_of_each(
    compression: str | None,
) -> None:
    sizes = [0, 10, 200, 5_000, 70_000]
    start = threading.Barrier(8)

    def send(ws: ResilientWebSocket, sender: int) -> None:
        start.wait(PATIENCE)
        for number in range(50):
            ws.send(f"{sender} {number} " + str(sender) * sizes[number % 5])

    with good_server() as server, running(server.url, compression=compression) as (ws, _):
        senders = [Running(send, ws, sender) for sender in range(8)]
        for sender in senders:
            sender.result()
        wait_until(lambda: len(server.received) == 400)
        for sender_number in range(8):
            texts = [
                text
                for text in server.received
                if isinstance(text, str) and text.startswith(f"{sender_number} ")
            ]
            assert texts == [
                f"{sender_number} {number} " + str(sender_number) * sizes[number % 5]
                for number in range(50)
            ]


# Not connected.


def test_send_says_in_which_state_there_is_no_connection() -> None:
    ws = quick(f"ws://127.0.0.1:{free_port()}", reconnect=NEVER)
    with pytest.raises(NotConnectedError, match="disconnected"):
        ws.send("x")
    ws.start()
    assert ws.join(PATIENCE)
    with pytest.raises(NotConnectedError, match="failed"):
        ws.send("x")
    assert ws.stop()
    with pytest.raises(NotConnectedError, match="disconnected"):
        ws.send("x")


def test_send_is_refused_between_two_attempts() -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    with running(url, connected=False, reconnect=SLOW_RETRY) as (ws, _):
        wait_until(lambda: ws.state == "reconnecting")
        with pytest.raises(NotConnectedError, match="reconnecting"):
            ws.send("x")


def test_send_is_refused_behind_our_close_frame() -> None:
    got = threading.Semaphore(0)

    def behave(peer: Peer) -> None:
        peer.read_until(CLOSE)
        got.release()
        peer.ignore()

    with raw_server(behave) as server, running(server.url, connected=False) as (ws, _):
        server.wait_for(1)
        assert ws.wait_until_connected(PATIENCE)
        ws.reconnect()
        assert got.acquire(timeout=PATIENCE)
        with pytest.raises(NotConnectedError):
            ws.send("x")


def test_nothing_goes_out_before_the_handshake_is_over() -> None:
    asked, tried = threading.Event(), threading.Event()
    early: list[bytes] = []
    got: list[bytes] = []

    def behave(peer: Peer) -> None:
        peer.read_request()
        asked.set()
        assert tried.wait(PATIENCE)
        early.append(peer._buffer)
        try:
            early.append(peer.sock.recv(1000, socket.MSG_DONTWAIT))
        except BlockingIOError:
            early.append(b"")
        peer.sock.sendall(peer.accept_answer())
        got.append(peer.read_until(TEXT).payload)
        peer.serve()

    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, connected=False) as (ws, _),
    ):
        assert asked.wait(PATIENCE)
        with pytest.raises(NotConnectedError, match="connecting"):
            ws.send("too early")
        assert ws.send("in time", queue=True) == "queued"
        tried.set()
        wait_until(lambda: bool(got))
        assert early == [b"", b""]
        assert got == [b"in time"]


# Not taken.


def test_send_that_times_out_is_an_error_of_the_connection_which_comes_back() -> None:
    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.ignore()
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (ws, seen):
        with pytest.raises(SendTimeoutError, match="bytes"):
            ws.send(b"x" * 20_000_000, timeout=0.1)
        server.wait_for(2)
        seen.wait_for_opens(2)
        assert [type(error) for error in seen.errors] == [SendTimeoutError]
        assert "SendTimeoutError" in ws.last_error
        assert seen.closes[0][0] is None
        assert ws.send("again") == "sent"
        server.peers[0].leaving.set()


def test_send_may_take_longer_than_send_timeout_when_it_says_so() -> None:
    read_on = threading.Event()
    got: list[int] = []

    def behave(peer: Peer) -> None:
        read_on.wait(PATIENCE)
        left = 8_000_000
        while left > 0:
            left -= len(peer.sock.recv(1_000_000))
        got.append(peer.number)
        peer.wait_until_gone()

    with raw_server(behave) as server, running(server.url, send_timeout=0.1) as (ws, seen):
        sending = Running(lambda: ws.send(b"x" * 8_000_000, timeout=PATIENCE))
        started = time.monotonic()
        # Twice as long as it may take by the settings: the watchdog allows a second more.
        wait_until(lambda: sending.is_over or time.monotonic() - started > 1.5)
        read_on.set()
        assert sending.result() == "sent"
        wait_until(lambda: got == [1])
        assert seen.errors == []


def test_send_behind_one_that_is_stuck_times_out_by_itself_and_ends_nothing() -> None:
    read_on = threading.Event()

    def behave(peer: Peer) -> None:
        read_on.wait(PATIENCE)
        peer.wait_until_gone()

    with raw_server(behave) as server, running(server.url) as (ws, seen):
        first = Running(lambda: ws.send(b"x" * 20_000_000, timeout=PATIENCE))
        wait_until(lambda: is_sending(ws))
        with pytest.raises(SendTimeoutError, match="nothing was sent"):
            ws.send("me too", timeout=0.05)
        assert ws.is_connected
        read_on.set()
        assert first.result() == "sent"
        assert seen.errors == []


# No faster than allowed.


def test_send_rate_makes_senders_wait() -> None:
    limiter = RateLimiter(50.0, burst=1)
    with good_server() as server, running(server.url, send_rate=limiter) as (ws, _):
        before = time.monotonic()
        for number in range(11):
            ws.send(str(number))
        assert time.monotonic() - before >= 0.19
        wait_until(lambda: len(server.received) == 11)


def test_send_rate_as_a_number_lets_a_second_of_it_out_at_once() -> None:
    with good_server() as server, running(server.url, send_rate=5) as (ws, _):
        for number in range(5):
            ws.send(str(number), timeout=0.01)
        with pytest.raises(SendTimeoutError, match="5/s"):
            ws.send("one more", timeout=0.01)
        assert ws.is_connected
        wait_until(lambda: len(server.received) == 5)


def test_limiter_is_shared_by_connections() -> None:
    limiter = RateLimiter(1.0, burst=3)
    with (
        raw_server(serve_nothing) as server,
        running(server.url, send_rate=limiter) as (one, _),
        running(server.url, send_rate=limiter) as (other, _),
    ):
        one.send("1")
        other.send("2")
        one.send("3")
        with pytest.raises(SendTimeoutError):
            other.send("4", timeout=0.01)
        with pytest.raises(SendTimeoutError):
            one.send("4", timeout=0.01)
