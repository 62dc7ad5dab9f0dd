"""The data lane for all streams: however they are cut, whatever they hold, and next to wsproto.

Streams are built from messages with known contents, so that what must come out is known without
any parser. wsproto is the second opinion, above all for streams in which something is wrong.
Profiles set the number of examples: ``--hypothesis-profile=long`` for many.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import (
    CloseReason,
    FrameDecoder,
    FrameProtocol,
    Opcode,
    ParseFailed,
    RsvBits,
)

from wsresilient.core.deflate import DeflateParameters, MessageInflater
from wsresilient.core.frames import FrameParser, Payload

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1 = 0x80, 0x40
# What comes out of a stream: messages, and (opcode, payload) for control frames.
Event = Payload | tuple[int, bytes]


@dataclass
class Outcome:
    """What a parser made of a stream."""

    events: list[Event] = field(default_factory=list)
    close_code: int | None = None  # of the failure, if any
    unfinished: bool = False


@dataclass(frozen=True)
class Message:
    """A message to be sent: its cuts are places in what goes over the wire."""

    content: Payload
    compress: bool
    cuts: tuple[int, ...]
    controls: tuple[tuple[int, bytes], ...]  # between the fragments


@dataclass(frozen=True)
class Stream:
    """What a server sends after it agreed to ``parameters`` (None: no compression)."""

    parameters: DeflateParameters | None
    messages: tuple[Message, ...]

    def build(self) -> tuple[bytes, list[Event]]:
        """Give its bytes and what must come out of them."""
        data, events = bytearray(), list[Event]()
        compressor = None if self.parameters is None else Compressor(self.parameters)
        for message in self.messages:
            first = TEXT if isinstance(message.content, str) else BINARY
            content = message.content
            payload = content.encode() if isinstance(content, str) else content
            if compressor is not None and message.compress:
                payload = compressor.compress(payload)
                first |= RSV1
            places = [0, *sorted(cut % (len(payload) + 1) for cut in message.cuts), len(payload)]
            for n, (start, stop) in enumerate(itertools.pairwise(places)):
                fin = FIN if n == len(places) - 2 else 0
                if n:
                    for opcode, body in message.controls[n - 1 : n]:
                        data += frame(FIN | opcode, body)
                        events.append((opcode, body))
                data += frame(fin | (CONTINUATION if n else first), payload[start:stop])
            events.append(content)
        return bytes(data), events


def frame(first: int, payload: bytes) -> bytes:
    """Build a frame from its first byte and its payload."""
    length = len(payload)
    if length < 126:
        return bytes([first, length]) + payload
    if length < 65_536:
        return bytes([first, 126]) + length.to_bytes(2, "big") + payload
    return bytes([first, 127]) + length.to_bytes(8, "big") + payload


class Compressor:
    """The server's side of permessage-deflate, from zlib alone."""

    def __init__(self, parameters: DeflateParameters) -> None:
        self.parameters = parameters
        self.stream = self.new()

    def new(self) -> zlib._Compress:
        return zlib.compressobj(wbits=-self.parameters.server_max_window_bits)

    def compress(self, payload: bytes) -> bytes:
        compressed = self.stream.compress(payload) + self.stream.flush(zlib.Z_SYNC_FLUSH)
        if self.parameters.server_no_context_takeover:
            self.stream = self.new()
        return compressed[:-4] or b"\x00"


# -- strategies ------------------------------------------------------------------------------

borders = st.sampled_from([124, 125, 126, 127, 1000, 65_534, 65_535, 65_536, 65_537])
texts = st.one_of(
    st.text(max_size=40),
    st.text("aé日\U0001f4b8", max_size=200),
    st.builds(lambda size, end: "x" * (size - len(end.encode())) + end, borders, st.text("xé")),
)
binaries = st.one_of(st.binary(max_size=60), st.builds(bytes, borders))
controls = st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=10)), max_size=3)
messages = st.builds(
    Message,
    content=st.one_of(texts, binaries),
    compress=st.booleans(),
    cuts=st.lists(st.integers(0, 70_000), max_size=3).map(tuple),
    controls=controls.map(tuple),
)
agreed = st.builds(
    DeflateParameters,
    server_no_context_takeover=st.booleans(),
    server_max_window_bits=st.integers(9, 15),
)
streams = st.builds(
    Stream,
    parameters=st.one_of(st.none(), agreed),
    messages=st.lists(messages, max_size=4).map(tuple),
)
short_streams = st.builds(
    Stream,
    parameters=st.one_of(st.none(), agreed),
    messages=st.lists(
        st.builds(
            Message,
            content=st.one_of(st.text(max_size=20), st.binary(max_size=130)),
            compress=st.booleans(),
            cuts=st.lists(st.integers(0, 200), max_size=3).map(tuple),
            controls=controls.map(tuple),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
)
chunk_sizes = st.one_of(st.just([1]), st.lists(st.integers(1, 300), min_size=1, max_size=8))
# Small enough for the path that takes no complete frames at once, or large enough for the other.
limits = st.sampled_from([65_535, 1 << 20])
closes = st.builds(
    lambda code, reason: frame(FIN | CLOSE, code.to_bytes(2, "big") + reason),
    st.one_of(st.sampled_from([1000, 1005, 1014, 1015, 3000, 4999, 5000]), st.integers(0, 65_535)),
    st.binary(max_size=4) | st.text(max_size=8).map(str.encode),
)
# Frames that may be anything, of which most have a sensible beginning.
wild_frames = st.one_of(
    closes,
    st.binary(max_size=12),
    st.builds(
        lambda first, length, payload: bytes([first]) + length + payload,
        st.one_of(st.sampled_from([0x01, 0x81, 0x82, 0x00, 0x80, 0x89, 0xC1]), st.integers(0, 255)),
        st.one_of(
            st.integers(0, 130).map(lambda n: bytes([n])),
            st.integers(0, 300).map(lambda n: b"\x7e" + n.to_bytes(2, "big")),
            st.integers(0, 1 << 64).map(lambda n: b"\x7f" + (n >> 1).to_bytes(8, "big")),
        ),
        st.one_of(st.binary(max_size=20), st.text(max_size=20).map(str.encode)),
    ),
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[DeflateParameters | None, bytes]:
    """Give a valid stream in which one to three bytes are changed, missing or too many."""
    stream = draw(short_streams)
    data = bytearray(stream.build()[0] + draw(st.one_of(st.just(b""), closes)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["bit", "byte", "insert", "delete", "truncate", "repeat"]))
        if kind == "bit" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "insert":
            data.insert(place, draw(st.integers(0, 255)))
        elif kind == "delete":
            del data[place : place + draw(st.integers(1, 3))]
        elif kind == "truncate":
            del data[place:]
        elif kind == "repeat":
            data[place:place] = data[place : place + draw(st.integers(1, 20))]
    return stream.parameters, bytes(data)


def cut(data: bytes, sizes: list[int]) -> Iterable[bytes]:
    """Cut into chunks of the sizes in turn; what is long, only for a while."""
    position = 0
    for n in range(2000):
        if position >= len(data):
            return
        size = sizes[n % len(sizes)]
        yield data[position : position + size]
        position += size
    yield data[position:]


# -- parsers ---------------------------------------------------------------------------------


def ours(
    chunks: Iterable[bytes], parameters: DeflateParameters | None = None, max_size: int = 1 << 20
) -> Outcome:
    """Feed chunks, as the library does, up to a close frame or a failure."""
    inflater = None if parameters is None else MessageInflater(parameters)
    parser = FrameParser(max_size=max_size, inflater=inflater)
    outcome = Outcome()
    for chunk in chunks:
        outcome.events += parser.feed(chunk)
        while parser.control is not None:
            control = parser.control
            outcome.events.append((control.opcode, control.payload))
            if control.opcode == CLOSE:
                assert control.close_reason is not None
                return outcome
            outcome.events += parser.feed(b"")
        if parser.failure is not None:
            outcome.close_code = parser.failure.close_code
            assert str(parser.failure)
            # Nothing comes after a failure, and it stays the same one.
            assert parser.feed(b"\x81\x01a\x89\x00") == []
            assert parser.control is None
            return outcome
    outcome.unfinished = parser.inside
    return outcome


class Repaired(PerMessageDeflate):
    """wsproto's extension without its bug 205: a control frame made it forget the message.

    It also says whether it is at its wits' end. A final block ends its DEFLATE stream, and it
    gives nothing more (RFC 7692 section 7.2.3.4 has an answer); a compressed message of no bytes
    at all makes it take what follows for something else.
    """

    at_its_end = False
    in_control = False
    size = 0

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, length: int
    ) -> CloseReason | RsvBits:
        self.in_control = opcode.iscontrol()
        if self.in_control:
            return RsvBits(False, False, False)
        return super().frame_inbound_header(proto, opcode, rsv, length)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        if self.in_control:
            return data
        self.size += len(data)
        result = super().frame_inbound_payload_data(proto, data)
        self.at_its_end |= self._decompressor is not None and self._decompressor.eof
        return result

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if self.in_control:
            return None
        stream, compressed = self._decompressor, self._inbound_compressed
        result = super().frame_inbound_complete(proto, fin)
        self.at_its_end |= stream is not None and stream.eof
        if fin:
            self.at_its_end |= bool(compressed) and self.size == 0
            self.size = 0
        return result


def wsproto(data: bytes, parameters: DeflateParameters | None) -> Outcome | None:
    """Give wsproto's opinion; None where it has none (see :class:`Repaired`)."""
    extension = Repaired()
    if parameters is not None:
        extension.server_no_context_takeover = parameters.server_no_context_takeover
        extension.server_max_window_bits = parameters.server_max_window_bits
        extension.finalize("permessage-deflate")
    protocol = FrameProtocol(client=True, extensions=[extension])
    outcome = Outcome()
    parts: list[Payload] = []
    protocol.receive_bytes(data)
    try:
        for frame in protocol.received_frames():
            payload = frame.payload
            if isinstance(payload, tuple):
                code, reason = payload
                body = b"" if code == CloseReason.NO_STATUS_RCVD else int(code).to_bytes(2, "big")
                outcome.events.append((CLOSE, body + reason.encode()))
            elif isinstance(payload, bytes) and frame.opcode.iscontrol():
                outcome.events.append((int(frame.opcode), payload))
            else:
                parts.append(payload)
                if frame.message_finished:
                    nothing: Payload = "" if frame.opcode is Opcode.TEXT else b""
                    outcome.events.append(nothing.join(parts))  # type: ignore[arg-type]
                    parts = []
    except ParseFailed as error:
        outcome.close_code = int(error.code)
    decoder = protocol._frame_decoder
    outcome.unfinished = bool(
        decoder.header or len(decoder.buffer) or protocol._message_decoder.opcode is not None
    )
    return None if extension.at_its_end else outcome


def compare(mine: Outcome, theirs: Outcome) -> None:
    """Check that both say the same, but for what is justified."""
    if mine.events[-1:] and isinstance(mine.events[-1], tuple):
        opcode, payload = mine.events[-1]
        if opcode == CLOSE and payload[:2] == (1014).to_bytes(2, "big"):
            # Registered with IANA (bad gateway) after wsproto's list was made.
            assert theirs.close_code == 1002
            assert mine.events[:-1] == theirs.events
            return
    assert mine.events == theirs.events
    if theirs.close_code is not None:
        assert mine.close_code is not None
    elif mine.close_code is not None:
        # We fail with the first bad byte, wsproto waits for the rest of the header, the payload or
        # the character; and it has no limits.
        assert theirs.unfinished


# -- properties ------------------------------------------------------------------------------


@given(streams, chunk_sizes, limits)
def test_a_stream_gives_its_messages_however_it_is_cut(
    stream: Stream, sizes: list[int], max_size: int
) -> None:
    data, events = stream.build()
    if any(len(one) * 4 > max_size for one in events if not isinstance(one, tuple)):
        max_size = 1 << 20
    expected = Outcome(events)

    assert ours([data], stream.parameters, max_size) == expected
    assert ours(cut(data, sizes), stream.parameters, max_size) == expected


@given(streams)
def test_a_stream_gives_what_wsproto_gives(stream: Stream) -> None:
    data, events = stream.build()

    theirs = wsproto(data, stream.parameters)
    assert theirs == Outcome(events)
    assert ours([data], stream.parameters) == theirs


@given(st.lists(wild_frames, max_size=8).map(b"".join), chunk_sizes, st.none() | agreed, limits)
def test_any_bytes_give_messages_or_one_protocol_error(
    data: bytes, sizes: list[int], parameters: DeflateParameters | None, max_size: int
) -> None:
    whole = ours([data], parameters, max_size)

    assert whole.close_code in (None, 1002, 1007, 1009)
    assert ours(cut(data, sizes), parameters, max_size) == whole
    theirs = wsproto(data, parameters)
    if theirs is not None:
        compare(whole, theirs)


@given(mutated(), chunk_sizes, limits)
def test_a_damaged_stream_is_judged_like_wsproto_does(
    damaged: tuple[DeflateParameters | None, bytes], sizes: list[int], max_size: int
) -> None:
    parameters, data = damaged
    whole = ours([data], parameters, max_size)

    assert ours(cut(data, sizes), parameters, max_size) == whole
    theirs = wsproto(data, parameters)
    if theirs is not None:
        compare(whole, theirs)
