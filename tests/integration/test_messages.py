"""Messages of every size and kind, whole, compressed and in fragments, both ways."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from wsresilient import MessageTooBigError, ProtocolError

from .clients import SLOW_RETRY, Session, running
from .servers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Behaviour,
    Peer,
    frame,
    good_server,
    raw_server,
    wait_until,
)

MIB = 1024 * 1024
SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, MIB, 16 * MIB]

# Every length of a character in UTF-8, the first and last of each, and a byte order mark.
UNICODE = (
    "a\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\ufeff\uffff\U00010000\U0010ffff \N{SNOWMAN}\U0001f600"
)

BAD_UTF8 = {
    "lone continuation byte": b"ab\x80",
    "lead byte at the end": b"ab\xc3",
    "three quarters of a character": b"\xf0\x9f\x98",
    "overlong": b"\xc0\xaf",
    "overlong in three": b"\xe0\x80\xaf",
    "surrogate": b"\xed\xa0\x80",
    "beyond the last": b"\xf4\x90\x80\x80",
    "never a byte": b"\xff",
}

VIOLATIONS = {
    "reserved bit 1": b"\xc1\x01x",
    "reserved bit 2": b"\xa1\x01x",
    "reserved bit 3": b"\x91\x01x",
    "reserved data opcode": b"\x83\x01x",
    "reserved control opcode": b"\x8b\x00",
    "masked": b"\x81\x81\0\0\0\0x",
    "continuation of nothing": b"\x80\x01x",
    "message inside a message": b"\x01\x01x\x81\x01y",
    "control frame in fragments": b"\x09\x01x",
    "control frame that is too long": frame(PING, b"x" * 126),
    "close frame of one byte": frame(CLOSE, b"\x03"),
    "length with the highest bit": b"\x82\x7f\xff" + bytes(7),
}


def saying(data: bytes) -> Behaviour:
    """Make a server that sends these bytes to the first client, and then behaves."""

    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.sock.sendall(data)
        peer.serve()

    return behave


def digest(message: str | bytes) -> str:
    data = message.encode() if isinstance(message, str) else message
    return f"{len(data)} {hashlib.sha256(data).hexdigest()[:16]}"


def echoed(session: Session, *messages: str | bytes) -> None:
    for message in messages:
        assert session.ws.send(message) == "sent"
    got = session.seen.wait_for_messages(len(messages))
    # Digests, as pytest takes minutes to show how 16 MiB differ.
    assert [type(message) for message in got] == [type(message) for message in messages]
    assert [digest(message) for message in got] == [digest(message) for message in messages]


# Whole.


@pytest.mark.parametrize("size", SIZES)
def test_text_and_binary_of_any_size_come_back_as_they_went(size: int) -> None:
    pattern = bytes(range(256)) * (size // 256 + 1)
    with (
        good_server(max_size=None, compression=None) as server,
        running(server.url, max_size=16 * MIB) as session,
    ):
        echoed(session, "x" * size, pattern[:size])


def test_text_is_all_of_unicode() -> None:
    with good_server() as server, running(server.url) as session:
        echoed(session, UNICODE, UNICODE * 5000)


def test_surrogates_of_json_stay_as_they_are() -> None:
    """Escaped in JSON they are plain ASCII on the wire."""
    with good_server() as server, running(server.url) as session:
        echoed(session, r'{"x":"\ud83d\ude00 \ud800"}')


def test_small_messages_between_large_ones_keep_their_order() -> None:
    messages = [str(n) * (1 if n % 7 else 30_000) for n in range(200)]
    with good_server() as server, running(server.url) as session:
        echoed(session, *messages)


# In fragments.


def test_message_of_the_websockets_server_in_fragments_is_one() -> None:
    with good_server() as server, running(server.url) as (_, seen):
        connection = server.wait_for(1)
        connection.send(str(n) for n in range(100))
        connection.send(bytes([n]) for n in range(100))
        connection.send(["", "", ""])
        got = seen.wait_for_messages(3)
        assert got == ["".join(map(str, range(100))), bytes(range(100)), ""]


def test_characters_may_be_cut_by_fragments() -> None:
    data = UNICODE.encode()
    pieces = [data[n : n + 1] for n in range(len(data))]
    cut = frame(TEXT, b"", fin=False)
    cut += b"".join(frame(CONTINUATION, piece, fin=False) for piece in pieces)
    cut += frame(CONTINUATION)
    with raw_server(saying(cut)) as server, running(server.url) as (_, seen):
        assert seen.wait_for_messages(1) == [UNICODE]
        assert seen.errors == []


def test_control_frames_between_fragments_cost_the_message_nothing() -> None:
    def behave(peer: Peer) -> None:
        peer.send(BINARY, b"0", fin=False)
        for number in range(1, 50):
            peer.send(PING, str(number).encode())
            peer.send(PONG, b"unasked")
            peer.send(CONTINUATION, b"-", fin=False)
            assert peer.read_until(PONG).payload == str(number).encode()
        peer.send(CONTINUATION, b"end")
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (_, seen):
        assert seen.wait_for_messages(1) == [b"0" + b"-" * 49 + b"end"]


# Compressed.


def deflating(**parameters: Any) -> dict[str, Any]:
    """Make the settings of a server that compresses all that it sends."""
    factory = ServerPerMessageDeflateFactory(**parameters)
    return {"extensions": [factory], "compression": None, "max_size": None}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        {"server_max_window_bits": 9},
        {"server_max_window_bits": 15, "client_max_window_bits": 9},
        {"client_no_context_takeover": True, "client_max_window_bits": 12},
    ],
    ids=str,
)
def test_compressed_messages_go_both_ways(parameters: dict[str, Any]) -> None:
    messages: list[str | bytes] = ["", b"", "x", UNICODE * 100, bytes(range(16)) * 8000]
    messages += [f'{{"price":{n},"pair":"btcusdt"}}' * 20 for n in range(100)]
    size = sum(len(message) for message in messages)
    with (
        good_server(**deflating(**parameters)) as server,
        running(server.url, compression="deflate") as session,
    ):
        assert server.wait_for(1).protocol.extensions
        echoed(session, *messages)
        received = session.ws.get_stats()["bytes_received"]
        assert received < size / 4


def test_compressed_fragments_are_one_message() -> None:
    with (
        good_server(**deflating()) as server,
        running(server.url, compression="deflate") as (_, seen),
    ):
        server.wait_for(1).send("piece " * 100 for _ in range(10))
        assert seen.wait_for_messages(1) == ["piece " * 1000]


def test_server_that_does_not_compress_is_fine() -> None:
    with (
        good_server(compression=None) as server,
        running(server.url, compression="deflate") as session,
    ):
        assert server.wait_for(1).protocol.extensions == []
        echoed(session, "plain " * 1000, b"\0" * 1000)


def test_compression_is_not_offered_unless_asked_for() -> None:
    with good_server() as server, running(server.url) as session:
        connection = server.wait_for(1)
        assert connection.request is not None
        assert "Sec-WebSocket-Extensions" not in connection.request.headers
        assert connection.protocol.extensions == []
        echoed(session, "plain " * 1000)


def test_compressed_message_without_an_agreement_is_a_violation() -> None:
    with raw_server(saying(b"\xc1\x03abc")) as server, running(server.url) as (_, seen):
        error = seen.wait_for_errors(1)[0]
        assert isinstance(error, ProtocolError)


# Not as they should be.


def closed_with(data: bytes, **settings: Any) -> tuple[int | None, Exception, list[str | bytes]]:
    """Send some bytes to a client; returns the code with which it closes, and what it tells."""
    codes: list[int | None] = []

    def behave(peer: Peer) -> None:
        if peer.number == 1:
            peer.sock.sendall(data)
            codes.append(peer.read_until(CLOSE).code)
        peer.serve()

    with (
        raw_server(behave) as server,
        running(server.url, connected=False, **settings) as (ws, seen),
    ):
        error = seen.wait_for_errors(1)[0]
        wait_until(lambda: bool(codes))
        server.wait_for(2)  # it is retried
        wait_until(lambda: ws.is_connected)
        assert seen.closes == [(codes[0], seen.closes[0][1])]
        assert seen.closes[0][1]  # what we said
        return codes[0], error, seen.messages


@pytest.mark.parametrize("data", BAD_UTF8.values(), ids=BAD_UTF8)
def test_bad_utf8_closes_with_1007(data: bytes) -> None:
    code, error, messages = closed_with(frame(TEXT, "good") + frame(TEXT, data))
    assert code == 1007
    assert isinstance(error, ProtocolError)
    assert error.close_code == 1007
    assert messages == ["good"]


@pytest.mark.parametrize("data", BAD_UTF8.values(), ids=BAD_UTF8)
def test_bad_utf8_is_found_in_the_last_fragment(data: bytes) -> None:
    code, _, messages = closed_with(frame(TEXT, "go", fin=False) + frame(CONTINUATION, data))
    assert code == 1007
    assert messages == []


def test_bad_utf8_is_found_before_the_message_is_over() -> None:
    code, _, _ = closed_with(frame(TEXT, "go", fin=False) + frame(CONTINUATION, b"\xff", fin=False))
    assert code == 1007


def test_bad_utf8_in_a_close_reason_is_1007() -> None:
    assert closed_with(frame(CLOSE, b"\x03\xe8\xff"))[0] == 1007


def test_binary_may_be_anything() -> None:
    with (
        raw_server(saying(b"".join(frame(BINARY, data) for data in BAD_UTF8.values()))) as server,
        running(server.url) as (_, seen),
    ):
        assert seen.wait_for_messages(len(BAD_UTF8)) == list(BAD_UTF8.values())


@pytest.mark.parametrize("data", VIOLATIONS.values(), ids=VIOLATIONS)
def test_violation_of_the_protocol_closes_with_1002(data: bytes) -> None:
    code, error, messages = closed_with(frame(TEXT, "good") + data)
    assert code == 1002
    assert isinstance(error, ProtocolError)
    assert not isinstance(error, MessageTooBigError)
    assert error.close_code == 1002
    assert messages == ["good"]


def test_text_of_a_violation_is_short_and_without_the_payload() -> None:
    _, error, _ = closed_with(frame(TEXT, b"hunter2" * 1000 + b"\xff"))
    assert len(str(error)) < 300
    assert "hunter2" not in str(error)


# Too big.


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, "x" * 1001),
        frame(BINARY, b"x" * 100_000),
        frame(TEXT, "x" * 600, fin=False) + frame(CONTINUATION, "x" * 401),
        frame(TEXT, "x" * 1000, fin=False) + frame(CONTINUATION, "x", fin=False),
        b"\x82\x7f" + (2**40).to_bytes(8, "big"),
    ],
    ids=["one more", "much more", "in two fragments", "in a fragment", "claimed only"],
)
def test_message_beyond_max_size_closes_with_1009_and_is_retried(data: bytes) -> None:
    code, error, messages = closed_with(frame(TEXT, "good") + data, max_size=1000)
    assert code == 1009
    assert isinstance(error, MessageTooBigError)
    assert error.close_code == 1009
    assert "1000" in str(error)
    assert messages == ["good"]


def test_message_of_exactly_max_size_is_delivered() -> None:
    text = frame(TEXT, "x" * 600, fin=False) + frame(CONTINUATION, "x" * 400)
    with (
        raw_server(saying(frame(BINARY, b"x" * 1000) + text)) as server,
        running(server.url, max_size=1000) as (_, seen),
    ):
        assert seen.wait_for_messages(2) == [b"x" * 1000, "x" * 1000]
        assert seen.errors == []


def test_size_counts_after_decompression() -> None:
    with (
        good_server(**deflating()) as server,
        running(server.url, compression="deflate", max_size=1000, reconnect=SLOW_RETRY) as (
            _,
            seen,
        ),
    ):
        connection = server.wait_for(1)
        connection.send("x" * 1000)
        connection.send("x" * 1001)
        assert isinstance(seen.wait_for_errors(1)[0], MessageTooBigError)
        assert seen.messages == ["x" * 1000]
        wait_until(lambda: connection.protocol.close_code is not None)
        assert connection.protocol.close_code == 1009
