"""The data lane, frame by frame: what is a message, what is refused, with which code, and when."""

from __future__ import annotations

import random
import time
import tracemalloc
import zlib

import pytest

from wsresilient.core.control import ControlFrame
from wsresilient.core.deflate import DeflateParameters, MessageInflater
from wsresilient.core.frames import MAX_FRAGMENTS, FrameParser, Payload
from wsresilient.errors import MessageTooBigError, ProtocolError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MIB = 1 << 20

# Above 65535 the hot loop takes complete frames, below the other path does: both must agree.
SIZES = pytest.mark.parametrize("max_size", [16 * MIB, 65_535], ids=["fast", "slow"])


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0) -> bytes:
    """Build what a server would send; ``bits`` are set in the first byte."""
    length = len(payload)
    if length < 126:
        size = bytes([length])
    elif length < 65_536:
        size = b"\x7e" + length.to_bytes(2, "big")
    else:
        size = b"\x7f" + length.to_bytes(8, "big")
    return bytes([(0x80 if fin else 0) | bits | opcode]) + size + payload


def compressed(payload: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def parser(max_size: int = 16 * MIB, *, inflate: bool = False) -> FrameParser:
    inflater = MessageInflater(DeflateParameters()) if inflate else None
    return FrameParser(max_size=max_size, inflater=inflater)


def feed(lane: FrameParser, *chunks: bytes) -> list[Payload | ControlFrame]:
    """Feed chunks and give messages and control frames in their order."""
    came: list[Payload | ControlFrame] = []
    for chunk in chunks:
        came += lane.feed(chunk)
        while lane.control is not None:
            came.append(lane.control)
            came += lane.feed(b"")
    return came


def bytewise(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


def refusal(lane: FrameParser, *chunks: bytes) -> ProtocolError:
    """Feed what must be refused, and with no message before it."""
    assert feed(lane, *chunks) == []
    assert lane.failure is not None
    assert str(lane.failure)
    return lane.failure


# -- messages --------------------------------------------------------------------------------


@SIZES
@pytest.mark.parametrize("size", [0, 1, 2, 3, 125, 126, 127, 128, 65_534, 65_535])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_every_length_comes_out_as_it_went_in(max_size: int, size: int, cut: bool) -> None:
    data = bytes(n % 251 for n in range(size))
    text = "x" * size
    stream = frame(BINARY, data) + frame(TEXT, text.encode()) + frame(BINARY, data)
    chunks = bytewise(stream) if cut else [stream]

    assert feed(parser(max_size), *chunks) == [data, text, data]


@pytest.mark.parametrize("size", [65_536, 65_537, 3 * MIB])
def test_64_bit_lengths(size: int) -> None:
    data = b"\x00\xff" * (size // 2) + b"z" * (size % 2)
    stream = frame(TEXT, b"a") + frame(BINARY, data) + frame(TEXT, b"b")

    assert feed(parser(), stream) == ["a", data, "b"]
    assert feed(parser(), *(stream[n : n + 999] for n in range(0, len(stream), 999))) == [
        "a",
        data,
        "b",
    ]


@SIZES
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize(
    "text", ["", "ascii", "Grüße", "é" * 70, "日本語", "💸\U0010ffff", "\x00\x7f\x80\u07ff\u0800"]
)
def test_texts_are_decoded(max_size: int, cut: bool, text: str) -> None:
    # A text comes first, behind another message, and behind a control frame.
    for stream, expected in (
        (frame(TEXT, text.encode()) + frame(BINARY, b"\xff"), [text, b"\xff"]),
        (frame(BINARY, b"\xff") + frame(TEXT, text.encode()), [b"\xff", text]),
        (frame(BINARY) + frame(PONG) + frame(TEXT, text.encode()), [b"", text]),
    ):
        came = feed(parser(max_size), *(bytewise(stream) if cut else [stream]))
        assert [one for one in came if not isinstance(one, ControlFrame)] == expected


@SIZES
def test_fragments_are_joined_and_control_frames_between_them_keep_their_place(
    max_size: int,
) -> None:
    stream = (
        frame(TEXT, b"first")
        + frame(TEXT, "gr\u00fc".encode()[:3], fin=False)
        + frame(PING, b"one")
        + frame(CONTINUATION, b"", fin=False)
        + frame(CONTINUATION, "\u00fc\u00df".encode()[1:3], fin=False)
        + frame(PONG, b"two")
        + frame(CONTINUATION, "\u00df".encode()[1:])
        + frame(BINARY, b"", fin=False)
        + frame(CONTINUATION)
    )
    for chunks in ([stream], bytewise(stream)):
        lane = parser(max_size)
        came = feed(lane, *chunks)

        assert [one.payload if isinstance(one, ControlFrame) else one for one in came] == [
            "first",
            b"one",
            b"two",
            "gr\u00fc\u00df",
            b"",
        ]
        assert not lane.inside


def test_feeding_stops_behind_a_control_frame() -> None:
    lane = parser()
    ping = frame(PING, b"p" * 125)

    assert lane.feed(frame(TEXT, b"a") + ping + frame(TEXT, b"b") + frame(CLOSE)) == ["a"]
    assert lane.control == ControlFrame(PING, payload=b"p" * 125, raw=ping)
    assert lane.inside
    assert lane.feed(b"") == ["b"]
    assert lane.control == ControlFrame(CLOSE, payload=b"", raw=b"\x88\x00")
    assert feed(lane, b"", b"") == []


def test_inside_says_whether_something_is_incomplete() -> None:
    lane = parser()
    states = []
    for byte in bytewise(frame(TEXT, b"ab") + frame(BINARY, b"c", fin=False) + frame(CONTINUATION)):
        lane.feed(byte)
        states.append(lane.inside)

    assert states == [True, True, True, False] + [True] * 4 + [False]


# -- what is refused -------------------------------------------------------------------------


@SIZES
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (frame(TEXT, b"x", bits=0x40), "RSV1"),
        (frame(TEXT, b"x", bits=0x20), "reserved bit"),
        (frame(BINARY, b"x", bits=0x10), "reserved bit"),
        (frame(PING, bits=0x40), "RSV1"),
        (frame(0x3), "opcode 3"),
        (frame(0x7, b"x"), "opcode 7"),
        (frame(0xB), "opcode 11"),
        (frame(0xF), "opcode 15"),
        (frame(PING, fin=False), "fragmented"),
        (frame(CLOSE, fin=False), "fragmented"),
        (frame(PING, b"x" * 126), "longer than 125"),
        (b"\x81\x81abcdx", "masked"),
        (b"\x89\x80abcd", "masked"),
        (b"\x81\x7e\x00\x7d" + b"x" * 125, "shortest form"),
        (b"\x82\x7e\x00\x00", "shortest form"),
        (b"\x82\x7f" + (65_535).to_bytes(8, "big") + b"x" * 65_535, "shortest form"),
        (b"\x82\x7f" + (1 << 63).to_bytes(8, "big"), "highest bit"),
        (frame(CONTINUATION, b"x"), "continues nothing"),
        (frame(TEXT, b"", fin=False) + frame(TEXT, b"x"), "inside a fragmented"),
        (frame(BINARY, b"x", fin=False) + frame(BINARY, b"x", fin=False), "inside a fragmented"),
        (frame(CLOSE, b"\x03"), "half a code"),
    ],
)
def test_broken_frames_are_refused_with_1002(max_size: int, data: bytes, text: str) -> None:
    for chunks in ([data], bytewise(data)):
        error = refusal(parser(max_size), *chunks)
        assert error.close_code == 1002
        assert text in str(error)


def test_a_header_is_refused_before_its_payload_has_come() -> None:
    assert refusal(parser(), b"\xb1\x7f").close_code == 1002
    assert refusal(parser(), b"\x89\x7e").close_code == 1002
    assert refusal(parser(), b"\x81\xff").close_code == 1002


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999])
def test_close_codes_that_may_be_sent(code: int) -> None:
    [close] = feed(parser(), frame(CLOSE, code.to_bytes(2, "big") + "auf \u00fc".encode()))

    assert isinstance(close, ControlFrame)
    assert (close.opcode, close.close_code, close.close_reason) == (CLOSE, code, "auf \u00fc")


# The last two: found by fuzzing, and only a close frame has a code and a reason.
@pytest.mark.parametrize(
    "data", [frame(CLOSE), frame(PING, b"a\xff\x80"), frame(PONG, b"\x03\xe8")]
)
def test_a_control_frame_without_a_close_code(data: bytes) -> None:
    [control] = feed(parser(), data)

    assert isinstance(control, ControlFrame)
    assert (control.close_code, control.close_reason) == (None, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535])
def test_close_codes_that_may_not_be_sent(code: int) -> None:
    error = refusal(parser(), frame(CLOSE, code.to_bytes(2, "big")))

    assert (error.close_code, str(code) in str(error)) == (1002, True)


def test_a_close_reason_has_to_be_utf_8() -> None:
    assert refusal(parser(), frame(CLOSE, b"\x03\xe8\xff")).close_code == 1007
    assert refusal(parser(), frame(CLOSE, b"\x03\xe8\xc3")).close_code == 1007


# The last byte of each is the first that cannot be: no beginning, overlong, a surrogate, too large.
BAD_UTF8 = [
    b"\xff",
    b"\x80",
    b"a\xc0",
    b"\xc1",
    b"\xe0\x80",
    b"\xed\xa0",
    b"\xf0\x8f",
    b"\xf4\x90",
    b"\xf5",
    b"\xe2\x82a",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0",
]


@SIZES
@pytest.mark.parametrize("bad", BAD_UTF8)
def test_text_that_is_not_utf_8_fails_with_its_first_bad_byte(max_size: int, bad: bytes) -> None:
    # in a frame that is not complete, in a fragment, and cut anywhere before the bad byte
    announced = b"\x81\x7e\x03\xe8"
    for cut in range(len(bad)):
        for head in (announced, frame(TEXT, b"ok", fin=False) + b"\x00\x7e\x03\xe8"):
            lane = parser(max_size)
            assert feed(lane, head + bad[:cut]) == []
            assert lane.failure is None
            assert refusal(lane, bad[cut:]).close_code == 1007
    assert refusal(parser(max_size), frame(TEXT, bad)).close_code == 1007


@SIZES
def test_text_that_ends_inside_a_character_fails_at_its_end(max_size: int) -> None:
    for bad in (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x92"):
        assert refusal(parser(max_size), frame(TEXT, bad)).close_code == 1007
        fragmented = frame(TEXT, bad, fin=False)
        lane = parser(max_size)
        assert feed(lane, fragmented) == []
        assert lane.failure is None
        assert refusal(lane, frame(CONTINUATION)).close_code == 1007


@SIZES
def test_messages_before_a_failure_are_given_and_nothing_after_it(max_size: int) -> None:
    lane = parser(max_size)

    stream = frame(TEXT, b"a") + frame(BINARY, b"b") + frame(TEXT, b"\xff") + frame(TEXT, b"c")
    assert lane.feed(stream) == ["a", b"b"]
    failure = lane.failure
    assert failure is not None
    assert lane.feed(frame(TEXT, b"d") + frame(PING)) == []
    assert lane.control is None
    assert lane.failure is failure


# -- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("max_size", [10, 125, 126, 1000, 65_535, 65_536, 100_000])
def test_max_size_itself_is_allowed_and_one_byte_more_is_not(max_size: int) -> None:
    for opcode, expected in ((TEXT, "x" * max_size), (BINARY, b"x" * max_size)):
        fits = b"x" * max_size
        assert feed(parser(max_size), frame(opcode, fits)) == [expected]
        halves = frame(opcode, fits[:7], fin=False) + frame(CONTINUATION, fits[7:])
        assert feed(parser(max_size), halves) == [expected]

        for more in (
            frame(opcode, fits + b"x"),
            frame(opcode, fits[:7], fin=False) + frame(CONTINUATION, fits[7:] + b"x"),
        ):
            error = refusal(parser(max_size), more)
            assert isinstance(error, MessageTooBigError)
            assert error.close_code == 1009


@pytest.mark.parametrize(("inflate", "bits"), [(False, 0), (True, 0), (True, 0x40)])
def test_a_length_is_refused_before_anything_is_buffered(inflate: bool, bits: int) -> None:
    header = bytes([0x82 | bits, 0x7F]) + (1 << 62).to_bytes(8, "big")
    tracemalloc.start()
    try:
        lane = parser(inflate=inflate)
        before = tracemalloc.get_traced_memory()[0]
        error = refusal(lane, header)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(error, MessageTooBigError)
    assert peak - before < 64 * 1024


def test_the_number_of_fragments_is_bounded() -> None:
    lane = FrameParser(max_size=1000, max_fragments=3)
    three = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION)
    assert feed(lane, three + three) == ["", ""]
    error = refusal(lane, three[:4], frame(CONTINUATION, fin=False) + frame(CONTINUATION))

    assert isinstance(error, MessageTooBigError)
    assert "3 fragments" in str(error)


def test_an_endless_message_of_empty_fragments_ends() -> None:
    flood = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * MAX_FRAGMENTS

    assert refusal(parser(), flood).close_code == 1009


def test_tiny_pieces_cost_no_memory() -> None:
    size = MIB // 2
    text = "y\u00e4" * (size // 3)  # no single character is cached
    data = text.encode()
    header = frame(TEXT, data)[:10]
    lane = parser()
    assert feed(lane, header) == []
    pieces = [data[n : n + 3] for n in range(0, len(data), 3)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for piece in pieces[:-1]:
            lane.feed(piece)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert lane.feed(pieces[-1]) == [text]
    assert held < 2 * size


def test_many_fragments_are_joined_in_linear_time() -> None:
    pieces = 8 * 1024
    stream = b"".join(
        frame(BINARY if n == 0 else CONTINUATION, b"z" * 1024, fin=n == pieces - 1)
        for n in range(pieces)
    )
    started = time.thread_time()
    [message] = feed(parser(), *(stream[n : n + 65_536] for n in range(0, len(stream), 65_536)))
    elapsed = time.thread_time() - started

    assert message == b"z" * (8 * MIB)
    assert elapsed < 1.0


# -- compressed messages (the streams themselves: test_deflate.py) -----------------------------


@SIZES
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_compressed_and_plain_messages_alternate(max_size: int, cut: bool) -> None:
    texts = [f"gr\u00fc\u00df dich {n} " * 20 for n in range(3)]
    stream = b""
    for text in texts:
        stream += frame(TEXT, compressed(text.encode()), bits=0x40)
        stream += frame(TEXT, b"plain") + frame(BINARY, b"\xff")
        stream += frame(BINARY, compressed(text.encode()), bits=0x40)
    expected = [one for text in texts for one in (text, "plain", b"\xff", text.encode())]

    lane = parser(max_size, inflate=True)
    assert feed(lane, *(bytewise(stream) if cut else [stream])) == expected
    assert lane.failure is None


def test_only_the_first_fragment_says_that_a_message_is_compressed() -> None:
    data = compressed(b"one message in three fragments")
    begin = frame(TEXT, data[:9], fin=False, bits=0x40)
    stream = (
        begin
        + frame(PING)
        + frame(CONTINUATION, data[9:20], fin=False)
        + frame(CONTINUATION, data[20:])
    )
    came = feed(parser(inflate=True), stream)
    assert [one for one in came if not isinstance(one, ControlFrame)] == [
        "one message in three fragments"
    ]

    for wrong in (frame(CONTINUATION, data[9:], bits=0x40), frame(PING, bits=0x40)):
        assert refusal(parser(inflate=True), begin + wrong).close_code == 1002


@SIZES
@pytest.mark.parametrize("size", [90, 110, 130, 16_300, 16_400, 65_500, 65_600])
def test_compressed_frames_of_every_length(max_size: int, size: int) -> None:
    data = random.Random(size).randbytes(size)  # does not shrink
    stream = frame(BINARY, compressed(data), bits=0x40) + frame(TEXT, b"next")
    lane = parser(max(max_size, size), inflate=True)

    assert feed(lane, stream) == [data, "next"]
    for wrong in (b"\xc1\x7e\x00\x02ab", b"\xc1\x7f" + (9).to_bytes(8, "big")):
        assert "shortest form" in str(refusal(parser(max_size, inflate=True), wrong))


@SIZES
def test_a_compressed_text_has_to_be_utf_8(max_size: int) -> None:
    data = compressed(b"fine so far \xff and more")
    assert refusal(parser(max_size, inflate=True), frame(TEXT, data, bits=0x40)).close_code == 1007
    half = frame(TEXT, data, fin=False, bits=0x40)
    assert refusal(parser(max_size, inflate=True), half).close_code == 1007
    cut_off = frame(TEXT, compressed("\u00fc".encode()[:1]), bits=0x40)
    assert refusal(parser(max_size, inflate=True), *bytewise(cut_off)).close_code == 1007


@pytest.mark.parametrize("max_size", [100, 65_535, 65_536, 3 * MIB])
def test_max_size_counts_what_comes_out(max_size: int) -> None:
    fits = frame(BINARY, compressed(b"x" * max_size), bits=0x40)
    data = compressed(b"x" * (max_size + 1))
    too_big = frame(BINARY, data, bits=0x40)
    halves = frame(BINARY, data[:9], fin=False, bits=0x40) + frame(CONTINUATION, data[9:])

    for cut in (1, 5, 1 << 20):
        pieces = [fits[n : n + cut] for n in range(0, len(fits), cut)]
        assert feed(parser(max_size, inflate=True), *pieces) == [b"x" * max_size]
    for wrong in (too_big, halves):
        error = refusal(parser(max_size, inflate=True), wrong)
        assert isinstance(error, MessageTooBigError)
