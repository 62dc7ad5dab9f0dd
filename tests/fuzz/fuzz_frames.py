"""A coverage-guided fuzzer for the data lane; not part of the tests, because it never ends.

Whatever a server sends, :class:`FrameParser` gives messages or one failure, the same ones however
the bytes are cut. Everything else is a finding, and becomes a test in
``tests/unit/core/test_frames.py``.

Run it from the top folder, for as long as you like::

    pip install atheris .
    python tests/fuzz/fuzz_frames.py CORPUS_FOLDER -max_total_time=600 -max_len=4096

An empty folder gets seeds first. What it finds is written to ``crash-...`` in the current folder;
give such a file instead of the folder to see it again. atheris needs CPython 3.11 or later on
Linux.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["wsresilient.core.frames", "wsresilient.core.deflate"]):
    from wsresilient.core.deflate import DeflateParameters, MessageInflater
    from wsresilient.core.frames import FrameParser

# The first byte of an input says what the parser is told, the second how the rest is cut, and the
# third byte on is what the server sends.
WITH_INFLATER, NO_TAKEOVER, SMALL_LIMIT, STRUCTURED = 1, 2, 4, 8
HEADER = 2
RSV1 = 0x40
MAX_FRAGMENTS = 50


def deflated(stream: zlib._Compress, payload: bytes) -> bytes:
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


def structured(data: bytes) -> bytes:
    """Build frames with the right lengths, of which the payloads are compressed where RSV1 is set.

    Without this the fuzzer would hardly ever come by a compressed message that is sound.
    """
    stream, frames, position = zlib.compressobj(wbits=-15), bytearray(), 0
    while position + 1 < len(data):
        first, length = data[position], data[position + 1]
        payload = data[position + 2 : position + 2 + length]
        if first & RSV1:
            payload = deflated(stream, payload)
        size = len(payload)
        frames += bytes([first, size]) if size < 126 else bytes([first, 126, size >> 8, size & 255])
        frames += payload
        position += 2 + length
    return bytes(frames)


def outcome(flags: int, chunks: Iterator[bytes]) -> tuple[list[object], int | None]:
    """Give messages and control frames in their order, and the failure's code if it failed."""
    max_size = 300 if flags & SMALL_LIMIT else 1 << 17
    inflater = None
    if flags & WITH_INFLATER:
        inflater = MessageInflater(
            DeflateParameters(server_no_context_takeover=bool(flags & NO_TAKEOVER))
        )
    parser = FrameParser(max_size=max_size, max_fragments=MAX_FRAGMENTS, inflater=inflater)
    events: list[object] = []
    for chunk in chunks:
        messages = parser.feed(chunk)
        while True:
            for message in messages:
                size = len(message.encode() if isinstance(message, str) else message)
                assert size <= max_size, f"a message of {size} bytes"
            events += messages
            if parser.control is None:
                break
            # The reason is decoded only now; whatever was let through must have a good one.
            events.append((parser.control, parser.control.close_code, parser.control.close_reason))
            messages = parser.feed(b"")
        if parser.failure is not None:
            assert parser.feed(b"\x81\x01a\x89\x00") == [], "something came after a failure"
            assert parser.control is None, "a control frame came after a failure"
            return events, parser.failure.close_code
    return events, None


def pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """Cut into pieces, all of one size or, for high seeds, of changing sizes."""
    position, size = 0, seed % 64 + 1
    while position < len(data):
        yield data[position : position + size]
        position += size
        if seed >= 128:
            size = size * 7 % 61 + 1


def test_one_input(data: bytes) -> None:
    """Raise where the parser does what it must not."""
    if len(data) < HEADER:
        return
    flags, seed = data[0], data[1]
    sent = structured(data[HEADER:]) if flags & STRUCTURED else data[HEADER:]
    whole, whole_code = outcome(flags, iter([sent]))
    cut, cut_code = outcome(flags, pieces(sent, seed))
    assert whole == cut, f"whole {whole!r}, cut {cut!r}"
    # A compressed message may be both too long and no UTF-8; the cuts say what is seen first.
    same = whole_code == cut_code or {whole_code, cut_code} == {1007, 1009}
    assert same, f"whole {whole_code}, cut {cut_code}"


def seeds() -> Iterator[bytes]:
    """Give inputs to begin with: a stream that has everything, for every parser and many cuts."""
    text = "gr\u00fc\u00df 日本 \U0001f4b8".encode()
    stream = zlib.compressobj(wbits=-15)
    packed = [deflated(stream, text * 3) for _ in range(2)]
    plain = (
        b"\x81\x01a\x82\x00" + bytes([0x81, len(text)]) + text + b"\x82\x7e\x00\x80" + bytes(128)
    )
    fragments = b"\x01\x03" + text[:3] + b"\x89\x02hi" + bytes([0x80, len(text) - 3]) + text[3:]
    close = b"\x88\x05\x03\xe8bye"
    squeezed = b"".join(bytes([0xC1, len(one)]) + one for one in packed)
    halves = bytes([0x42, 9]) + packed[0][:9] + b"\x8a\x00" + bytes([0x80, len(packed[0]) - 9])
    final = bytes.fromhex("c108f348cdc9c9070000")
    long = b"\x82\x7f" + (70_000).to_bytes(8, "big") + bytes(3000)
    for flags in range(16):
        for seed in (0, 2, 40, 200):
            head = bytes([flags, seed])
            yield head + plain + fragments + close
            yield head + squeezed + plain + halves + packed[0][9:] + final + squeezed
            yield head + b"\x41\x20" + b"z" * 32 + b"\x00\x01a\x80\x01b\xc2\xff" + bytes(255)
            yield head + long


def main() -> None:
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            for n, seed in enumerate(seeds()):
                folder.joinpath(f"seed-{n:03}").write_bytes(seed)
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
