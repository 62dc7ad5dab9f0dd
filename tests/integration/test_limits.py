"""Hostile peers: whatever they send, time and memory stay bounded."""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from typing import Any

import pytest

from wsresilient import HandshakeError, MessageTooBigError, OpenTimeoutError

from .clients import SLOW_RETRY, running
from .servers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATIENCE,
    TEXT,
    Behaviour,
    Peer,
    frame,
    raw_server,
    wait_until,
)

KIB, MIB = 1024, 1024 * 1024
ONCE: dict[str, Any] = {"connected": False, "reconnect": SLOW_RETRY}
HEAD = b"HTTP/1.1 101 Switching Protocols\r\n"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def endless(piece: bytes) -> Behaviour:
    """Make a server that answers the handshake with this, again and again."""

    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(HEAD)
        while True:
            peer.sock.sendall(piece)

    return behave


# The handshake.


@pytest.mark.parametrize(
    "piece",
    [b"X-More: " + b"y" * 1000 + b"\r\n", b"y" * 1000, b"\r", b"X: y\r\n"],
    ids=["headers", "one line", "bytes", "short headers"],
)
def test_handshake_without_an_end_is_cut_off_at_64_kib(piece: bytes) -> None:
    behave = endless(piece if len(piece) > 100 else piece * 1000)
    with raw_server(behave, handshake=False) as server, running(server.url, **ONCE) as (ws, seen):
        error = seen.wait_for_errors(1)[0]
        assert isinstance(error, HandshakeError)
        assert "65536" in str(error)
        assert ws.get_stats()["message_count"] == 0


def test_head_that_is_larger_than_64_kib_is_refused_though_it_ends() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(peer.accept_answer("X-Large: " + "y" * 70_000))
        peer.wait_until_gone()

    with raw_server(behave, handshake=False) as server, running(server.url, **ONCE) as (_, seen):
        assert isinstance(seen.wait_for_errors(1)[0], HandshakeError)


def test_head_of_almost_64_kib_is_fine() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(peer.accept_answer("X-Large: " + "y" * 65_000))
        peer.serve()

    with raw_server(behave, handshake=False) as server, running(server.url):
        pass


def test_body_of_a_refusal_without_an_end_is_read_in_part() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(b"HTTP/1.1 503 Busy\r\n\r\n")
        while True:
            peer.sock.sendall(b"word " * 1000)

    with raw_server(behave, handshake=False) as server, running(server.url, **ONCE) as (_, seen):
        error = seen.wait_for_errors(1)[0]
        assert isinstance(error, HandshakeError)
        assert error.status == 503
        assert error.body.startswith("word word")
        assert len(error.body) <= 200
        assert len(str(error)) < 500


def test_body_of_a_refusal_that_is_withheld_is_not_waited_for() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\nbegin")
        peer.ignore()

    before = time.monotonic()
    with raw_server(behave, handshake=False) as server, running(server.url, **ONCE) as (_, seen):
        error = seen.wait_for_errors(1)[0]
        assert isinstance(error, HandshakeError)
        assert error.body == "begin"
        assert time.monotonic() - before < PATIENCE / 2


def test_handshake_that_drips_ends_at_the_open_timeout() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(HEAD)
        while not peer.leaving.wait(0.02):
            peer.sock.sendall(b"X")

    settings = {**ONCE, "open_timeout": 0.3}
    with (
        raw_server(behave, handshake=False) as server,
        running(server.url, **settings) as (_, seen),
    ):
        assert isinstance(seen.wait_for_errors(1)[0], OpenTimeoutError)


# Messages.


def test_eight_mib_in_fragments_of_one_kib_are_delivered_well_in_time() -> None:
    """What joins them one by one takes a quarter of a minute for it."""
    piece = frame(CONTINUATION, b"x" * KIB, fin=False)
    message = frame(BINARY, b"", fin=False) + piece * 8191 + frame(CONTINUATION, b"y" * KIB)

    def behave(peer: Peer) -> None:
        peer.sock.sendall(message)
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (_, seen):
        before = time.monotonic()
        (got,) = seen.wait_for_messages(1)
        assert time.monotonic() - before < PATIENCE / 2
        assert len(got) == 8 * MIB
        assert got[-KIB:] == b"y" * KIB


def test_fragments_without_content_have_a_bound_of_their_number() -> None:
    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.send(TEXT, "", fin=False)
            while True:
                peer.sock.sendall(frame(CONTINUATION, b"", fin=False) * 10_000)
        peer.serve()

    with raw_server(behave) as server, running(server.url, connected=False) as (_, seen):
        error = seen.wait_for_errors(1)[0]
        assert isinstance(error, MessageTooBigError)
        assert "fragments" in str(error)
        server.wait_for(2)


def test_flood_of_pings_does_not_starve_messages() -> None:
    def behave(peer: Peer) -> None:
        peer.sock.sendall(frame(9, b"x" * 125) * 2_000 + frame(TEXT, "behind"))
        while peer.read().opcode != CLOSE:
            pass
        peer.send(CLOSE, b"\x03\xe8")

    with raw_server(behave) as server, running(server.url) as (_, seen):
        assert seen.wait_for_messages(1) == ["behind"]


# Memory, in a process of its own.

MEASURE = """
import sys, threading
import wsresilient

def peak():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024

told = threading.Event()
errors = []
def failed(error):
    errors.append(error)
    told.set()
policy = wsresilient.ReconnectPolicy(initial_delay=60)
settings = {"name": "x", "reconnect": policy, "on_error": failed}
# Everything that is needed only once has been loaded by a first connection.
for url in sys.argv[1:3]:
    before = peak()
    with wsresilient.ResilientWebSocket(url, compression=sys.argv[3] or None, **settings):
        assert told.wait(30)
        told.clear()
    after = peak()
print(type(errors[-1]).__name__, errors[-1].close_code, after - before)
"""


def growth(behave: Behaviour, *, compression: str = "") -> tuple[str, int | None, int]:
    """Tell how an attack ended, with which code, and how much memory it took."""

    def harmless(peer: Peer) -> None:
        peer.send(BINARY, b"x" * 70_000)
        peer.sock.sendall(b"\x81\x01\xff")
        peer.wait_until_gone()

    with (
        raw_server(harmless) as first,
        raw_server(behave, handshake=False) as server,
    ):
        command = [sys.executable, "-c", MEASURE, first.url, server.url, compression]
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=40, check=False, env=None
        )
        assert run.returncode == 0, run.stderr
        kind, code, size = run.stdout.split()
        return kind, None if code == "None" else int(code), int(size)


@LINUX
def test_claim_of_two_to_the_62_bytes_costs_less_than_a_mebibyte() -> None:
    codes: list[int | None] = []

    def behave(peer: Peer) -> None:
        peer.accept()
        peer.sock.sendall(b"\x82\x7f" + (2**62).to_bytes(8, "big") + b"x" * 1000)
        codes.append(peer.read_until(CLOSE).code)

    kind, code, size = growth(behave)
    assert (kind, code) == ("MessageTooBigError", 1009)
    assert size < MIB
    wait_until(lambda: codes == [1009])


@LINUX
@pytest.mark.parametrize("pieces", [1, 100], ids=["one frame", "in fragments"])
def test_bomb_of_a_gibibyte_costs_max_size_and_a_little(pieces: int) -> None:
    """A gibibyte of zeros in about one mebibyte."""
    deflater = zlib.compressobj(wbits=-15)
    zeros = bytes(MIB)
    bomb = b"".join(deflater.compress(zeros) for _ in range(1024))
    bomb += deflater.flush(zlib.Z_SYNC_FLUSH)
    bomb = bomb[:-4]
    assert MIB * 0.9 < len(bomb) < MIB * 1.2
    codes: list[int | None] = []

    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(peer.accept_answer("Sec-WebSocket-Extensions: permessage-deflate"))
        step = len(bomb) // pieces + 1
        parts = [bomb[start : start + step] for start in range(0, len(bomb), step)]
        for number, part in enumerate(parts):
            opcode = (0 if number else BINARY) | (0 if number else 0x40)
            data = bytearray(frame(opcode & 0xF, part, fin=number == len(parts) - 1))
            data[0] |= opcode & 0x40
            peer.sock.sendall(data)
        codes.append(peer.read_until(CLOSE).code)

    kind, code, size = growth(behave, compression="deflate")
    assert (kind, code) == ("MessageTooBigError", 1009)
    assert size < (16 + 32) * MIB
    wait_until(lambda: codes == [1009])


@LINUX
def test_message_of_max_size_and_a_byte_in_fragments_costs_little_more_than_max_size() -> None:
    def behave(peer: Peer) -> None:
        peer.accept()
        peer.send(BINARY, b"", fin=False)
        while True:
            peer.send(CONTINUATION, b"x" * 64 * KIB, fin=False)

    kind, code, size = growth(behave)
    assert (kind, code) == ("MessageTooBigError", 1009)
    assert size < (16 + 32) * MIB
