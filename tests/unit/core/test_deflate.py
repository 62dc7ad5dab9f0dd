"""permessage-deflate: the answer is read strictly, and no bytes do harm to the inflater."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.deflate import (
    DeflateParameters,
    MessageDeflater,
    MessageInflater,
    negotiate,
    offer,
)
from wsresilient.core.frames import FrameParser
from wsresilient.errors import HandshakeError, MessageTooBigError, ProtocolError

MIB = 1 << 20
TAIL = b"\x00\x00\xff\xff"
TAKEOVER = DeflateParameters()
NO_TAKEOVER = DeflateParameters(server_no_context_takeover=True)
# The examples of RFC 7692 section 7.2.3, each of which is "Hello".
HELLO = bytes.fromhex("f248cdc9c90700")
HELLO_AGAIN = bytes.fromhex("f200110000")  # by reference to the message before
HELLO_STORED = bytes.fromhex("000500faff48656c6c6f00")
HELLO_FINAL = bytes.fromhex("f348cdc9c9070000")
HELLO_TWO_BLOCKS = bytes.fromhex("f24805000000ffffcac9c90700")


def sync_flushed(*payloads: bytes, bits: int = 15) -> list[bytes]:
    """Compress messages with context takeover, as most servers do."""
    stream = zlib.compressobj(wbits=-bits)
    return [(stream.compress(one) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4] for one in payloads]


def final(payload: bytes) -> bytes:
    """Compress into a block that is marked as the last one, and nothing behind it."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(payload) + stream.flush()


def bomb(size: int) -> bytes:
    """Compress zeros, a thousandfold."""
    stream = zlib.compressobj(wbits=-15)
    zeros = bytes(MIB)
    parts = [stream.compress(zeros) for _ in range(size // MIB)]
    return b"".join(parts) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4]


def inflate(
    inflater: MessageInflater, payload: bytes, *, room: int = MIB, size: int | None = None
) -> bytes:
    """Inflate a message, whole or in pieces of a size."""
    if size is None:
        return inflater.inflate_message(payload, room)
    came = b""
    for start in range(0, len(payload), size):
        came += b"".join(inflater.inflate(payload[start : start + size], room - len(came)))
    return came + b"".join(inflater.finish(room - len(came)))


# -- negotiation -----------------------------------------------------------------------------


def test_the_offer() -> None:
    assert offer() == "permessage-deflate; client_max_window_bits"
    assert offer(DeflateParameters(True, True, 12, 10)) == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=12; client_max_window_bits=10"
    )


@pytest.mark.parametrize("header", [None, "", "  ", " , "])
def test_no_answer_is_no_compression(header: str | None) -> None:
    assert negotiate(header) is None


@pytest.mark.parametrize(
    ("header", "agreed"),
    [
        ("permessage-deflate", DeflateParameters()),
        (" permessage-deflate ;server_no_context_takeover", DeflateParameters(True)),
        ("permessage-deflate; client_no_context_takeover,", DeflateParameters(False, True)),
        ("permessage-deflate; server_max_window_bits=8", DeflateParameters(False, False, 8)),
        ("permessage-deflate; client_max_window_bits = 15", DeflateParameters()),
        (
            'permessage-deflate; client_max_window_bits="8"',
            DeflateParameters(client_max_window_bits=8),
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=10; "
            "client_no_context_takeover; server_no_context_takeover",
            DeflateParameters(True, True, 10, 9),
        ),
    ],
)
def test_answers(header: str, agreed: DeflateParameters) -> None:
    assert negotiate(header) == agreed


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("permessage-deflate, permessage-deflate", "2 extensions"),
        ("permessage-deflate, x-webkit-deflate-frame", "2 extensions"),
        ("x-webkit-deflate-frame", "x-webkit-deflate-frame"),
        ("Permessage-Deflate", "not offered"),
        ("; server_no_context_takeover", "not offered"),
        ("permessage-deflate; c2s_max_window_bits=10", "c2s_max_window_bits"),
        ("permessage-deflate;", "unknown"),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", "twice"),
        ("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", "twice"),
        ("permessage-deflate; server_no_context_takeover=1", "takes no value"),
        ("permessage-deflate; client_no_context_takeover=", "takes no value"),
        ("permessage-deflate; client_max_window_bits", "no value"),
        ("permessage-deflate; server_max_window_bits=", "8 to 15"),
        ("permessage-deflate; server_max_window_bits=7", "'7'"),
        ("permessage-deflate; server_max_window_bits=16", "'16'"),
        ("permessage-deflate; server_max_window_bits=09", "'09'"),
        ("permessage-deflate; server_max_window_bits=\u0661\u0662", "8 to 15"),
        ('permessage-deflate; server_max_window_bits="10', "8 to 15"),
        ("permessage-deflate; server_max_window_bits=" + "9" * 5000, "8 to 15"),
    ],
)
def test_wrong_answers_are_refused(header: str, text: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        negotiate(header)

    assert text in str(caught.value)
    assert len(str(caught.value)) < 200
    assert caught.value.status == 101


def test_what_was_asked_of_the_server_it_has_to_confirm() -> None:
    wished = DeflateParameters(server_no_context_takeover=True, server_max_window_bits=10)
    head = "permessage-deflate; server_max_window_bits="

    assert negotiate(head + "9; server_no_context_takeover", wished) == DeflateParameters(
        server_no_context_takeover=True, server_max_window_bits=9
    )
    for header, missing in (
        (head + "10", "server_no_context_takeover"),
        (head + "11; server_no_context_takeover", "server_max_window_bits=10"),
        ("permessage-deflate; server_no_context_takeover", "server_max_window_bits=10"),
    ):
        with pytest.raises(HandshakeError, match=missing):
            negotiate(header, wished)


def test_what_we_limit_on_our_side_needs_no_confirmation() -> None:
    wished = DeflateParameters(client_no_context_takeover=True, client_max_window_bits=11)

    assert negotiate("permessage-deflate", wished) == wished
    assert negotiate("permessage-deflate; client_max_window_bits=12", wished) == wished


# -- inflating -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 1, 3])
def test_the_examples_of_the_rfc(size: int | None) -> None:
    inflater = MessageInflater(TAKEOVER)
    examples = [HELLO, HELLO_AGAIN, HELLO_STORED, HELLO_TWO_BLOCKS, HELLO_FINAL, HELLO]

    assert [inflate(inflater, one, size=size) for one in examples] == [b"Hello"] * 6
    assert inflate(inflater, b"\x00", size=size) == b""


@pytest.mark.parametrize("size", [None, 1])
def test_an_empty_payload_is_an_empty_message_and_disturbs_nothing(size: int | None) -> None:
    for before in ([], [HELLO], [HELLO_FINAL], [final(b"Hello")]):
        inflater = MessageInflater(TAKEOVER)
        came = [inflate(inflater, one, size=size) for one in (*before, b"", b"", HELLO, b"", HELLO)]
        assert came == [b"Hello"] * len(before) + [b"", b"", b"Hello", b"", b"Hello"]


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize("end", [b"", b"\x00"], ids=["bare", "with the octet of 7.2.3.4"])
def test_final_blocks_end_a_stream_but_not_the_connection(size: int | None, end: bytes) -> None:
    inflater = MessageInflater(TAKEOVER)
    [after] = sync_flushed(b"and goes on")

    for _ in range(2):
        assert inflate(inflater, final(b"it ends") + end, size=size) == b"it ends"
        assert inflate(inflater, final(b"one, ") + final(b"two") + end, size=size) == b"one, two"
        assert inflate(inflater, final(b"it ends ") + after, size=size) == b"it ends and goes on"
        assert inflate(inflater, after, size=size) == b"and goes on"


@pytest.mark.parametrize("size", [None, 5])
def test_context_takeover_is_honoured(size: int | None) -> None:
    first, second = sync_flushed(b"the same text again", b"the same text again")
    assert len(second) < len(first)

    inflater = MessageInflater(TAKEOVER)
    assert inflate(inflater, first, size=size) == inflate(inflater, second, size=size)
    inflater = MessageInflater(NO_TAKEOVER)
    for _ in range(2):
        assert inflate(inflater, first, size=size) == b"the same text again"
    with pytest.raises(ProtocolError, match="too far back"):
        inflate(inflater, second, size=size)


@pytest.mark.parametrize("bits", range(8, 16))
def test_every_window(bits: int) -> None:
    payload = bytes(n * n % 251 for n in range(5000)) * 3
    inflater = MessageInflater(DeflateParameters(server_max_window_bits=bits))

    for compressed in sync_flushed(payload, payload, bits=max(bits, 9)):
        assert inflate(inflater, compressed) == payload


def test_a_server_that_takes_9_for_8_is_understood() -> None:
    inflater = MessageInflater(DeflateParameters(server_max_window_bits=8))
    payload = bytes(range(256)) + b"x" * 100  # too long for a reference back to its beginning
    first, second = sync_flushed(payload, payload[:50], bits=10)

    assert len(second) < 10
    assert inflate(inflater, first) == payload
    assert inflate(inflater, second) == payload[:50]


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("bad", [b"\xff", b"\x07" * 20, b"\x01\x05\x00\x00\x00", b"\xf2\x00\x11"])
def test_corrupt_data_ends_with_1007(size: int | None, bad: bytes) -> None:
    with pytest.raises(ProtocolError, match="corrupt") as caught:
        inflate(MessageInflater(TAKEOVER), bad + b"\xff" * 20, size=size)

    assert caught.value.close_code == 1007


@pytest.mark.parametrize("size", [None, 1, 1000])
@pytest.mark.parametrize("room", [0, 1, 5000, 3 * MIB])
def test_room_is_exact(size: int | None, room: int) -> None:
    fits, too_much = sync_flushed(b"x" * room, b"x" * (room + 1))
    inflater = MessageInflater(TAKEOVER)

    assert inflate(inflater, fits, room=room, size=size) == b"x" * room
    with pytest.raises(MessageTooBigError) as caught:
        inflate(inflater, too_much, room=room, size=size)
    assert caught.value.close_code == 1009


def frames(payload: bytes, size: int) -> bytes:
    """Build a compressed binary message in fragments of a size."""
    parts = [payload[n : n + size] for n in range(0, len(payload), size)]
    return b"".join(
        bytes([(0x42 if n == 0 else 0) | (0x80 if n == len(parts) - 1 else 0), 127])
        + len(part).to_bytes(8, "big")
        + part
        for n, part in enumerate(parts)
    )


def test_a_bomb_costs_max_size_and_little_more() -> None:
    payload = bomb(256 * MIB)
    stream = frames(payload, 70_000)
    parser = FrameParser(max_size=4 * MIB, inflater=MessageInflater(TAKEOVER))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        messages = [
            one
            for start in range(0, len(stream), 65_536)
            for one in parser.feed(stream[start : start + 65_536])
        ]
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

    assert messages == []
    assert isinstance(parser.failure, MessageTooBigError)
    assert peak < 8 * MIB


@pytest.mark.parametrize("size", [None, 65_536])
def test_a_flood_of_final_blocks_takes_linear_time(size: int | None) -> None:
    flood = b"\x03\x00" * 30_000  # each of them a whole stream with nothing in it
    started = time.thread_time()

    assert inflate(MessageInflater(TAKEOVER), flood, size=size) == b""
    assert time.thread_time() - started < 2.0


# -- deflating -------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("no_takeover", [False, True])
def test_what_is_deflated_can_be_inflated(bits: int, no_takeover: bool) -> None:
    payload = b'{"op": "subscribe", "args": ["trade.BTCUSDT", "trade.ETHUSDT"]}' * 40
    deflater = MessageDeflater(
        DeflateParameters(client_no_context_takeover=no_takeover, client_max_window_bits=bits)
    )
    stream = zlib.decompressobj(-bits)
    sizes = []
    for _ in range(3):
        compressed = deflater.deflate(payload)
        assert compressed is not None
        sizes.append(len(compressed))
        assert stream.decompress(compressed + TAIL) == payload
        if no_takeover:
            stream = zlib.decompressobj(-bits)

    assert (sizes[1] < sizes[0]) is not no_takeover


def test_small_payloads_go_as_they_are() -> None:
    deflater = MessageDeflater(TAKEOVER, threshold=10)

    assert deflater.deflate(b"x" * 9) is None
    assert deflater.deflate(b"x" * 10) is not None
    assert MessageDeflater(TAKEOVER).deflate(b"x" * 1023) is None
    assert MessageDeflater(TAKEOVER, threshold=0).deflate(b"") is None


def test_with_a_window_that_zlib_cannot_nothing_is_compressed() -> None:
    assert MessageDeflater(DeflateParameters(client_max_window_bits=8)).deflate(b"x" * MIB) is None


# -- properties ------------------------------------------------------------------------------


def pieces_of(data: bytes, sizes: list[int]) -> Iterable[bytes]:
    position = n = 0
    while position < len(data):
        yield data[position : position + sizes[n % len(sizes)]]
        position += sizes[n % len(sizes)]
        n += 1


def outcome(inflater: MessageInflater, pieces: Iterable[bytes], room: int) -> bytes | None:
    """Inflate a message in pieces; None when it fails."""
    came = b""
    try:
        for piece in pieces:
            came += b"".join(inflater.inflate(piece, room - len(came)))
        return came + b"".join(inflater.finish(room - len(came)))
    except ProtocolError:
        return None


deflate_like = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from([TAIL, b"\x00", b"\x03\x00", b"\x01\x00\x00\xff\xff", HELLO_AGAIN]),
        st.binary(max_size=50).map(final),
        st.binary(max_size=50).map(lambda data: sync_flushed(data)[0]),
        st.integers(1, 5000).map(lambda size: sync_flushed(bytes(size))[0]),
    ),
    max_size=5,
).map(b"".join)


@given(
    st.lists(deflate_like, min_size=1, max_size=4),
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.sampled_from([0, 1, 10, 5000]),
    st.booleans(),
)
def test_any_bytes_inflate_alike_whole_and_in_pieces(
    payloads: list[bytes], sizes: list[int], room: int, no_takeover: bool
) -> None:
    parameters = NO_TAKEOVER if no_takeover else TAKEOVER
    whole, in_pieces = MessageInflater(parameters), MessageInflater(parameters)
    for payload in payloads:
        came = outcome(in_pieces, pieces_of(payload, sizes), room)
        if came is None:
            with pytest.raises(ProtocolError):
                whole.inflate_message(payload, room)
            return
        assert len(came) <= room
        assert whole.inflate_message(payload, room) == came


@given(
    st.lists(st.binary(max_size=3000), max_size=6),
    st.booleans(),
    st.integers(9, 15),
    st.integers(-1, 9),
)
def test_whatever_we_deflate_zlib_inflates(
    payloads: list[bytes], no_takeover: bool, bits: int, level: int
) -> None:
    parameters = DeflateParameters(
        client_no_context_takeover=no_takeover, client_max_window_bits=bits
    )
    deflater = MessageDeflater(parameters, threshold=0, level=level)
    stream = zlib.decompressobj(-bits)
    for payload in payloads:
        compressed = deflater.deflate(payload)
        assert (compressed is None) == (payload == b"")
        if compressed is not None:
            assert stream.decompress(compressed + TAIL) == payload
            if no_takeover:
                stream = zlib.decompressobj(-bits)
