"""The data lane: bytes in, complete messages out (RFC 6455 section 5), without any I/O.

The speed of the library comes from here. Nothing is done per byte in Python: a text is cut
out and decoded, which validates it, in C. Nothing is done per frame but indexing: complete,
unfragmented frames are taken in one loop over local variables; all others (partial,
fragmented, compressed, control) go through :meth:`FrameParser._take`.

Lengths are checked before anything is buffered, text is decoded strictly and as it comes,
so that a bad fragment fails at once, and no payload is copied more often than twice.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable

from ..errors import MessageTooBigError, ProtocolError
from .control import BINARY, CLOSE, CONTINUATION, PONG, TEXT, ControlFrame, check_close
from .deflate import MessageInflater

__all__ = ["MAX_FRAGMENTS", "FrameParser", "Payload"]

Payload = str | bytes

FIN, RSV1, RSV2_AND_3, OPCODE_BITS, MASK = 0x80, 0x40, 0x30, 0x0F, 0x80

#: A message in more fragments than this is refused with 1009.
MAX_FRAGMENTS = 100_000
# Pieces of one message are joined whenever there are so many, which bounds their overhead.
PIECES_PER_BLOCK = 512
# What inflates to more than this is returned before more is inflated.
BATCH_SIZE = 1 << 20
# A compressed frame up to this size is inflated in one go. At most 1032 bytes come out of one, so
# that the copies made on the way stay below 32 MiB.
SHORT_COMPRESSED = 1 << 14

_unpack_two_uint16: Callable[[bytes, int], tuple[int, int]] = struct.Struct(">HH").unpack_from
_new_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class FrameParser:
    """Turns what a server sends into messages and control frames.

    :param max_size: of one message in bytes, after decompression.
    :param max_fragments: of one message.
    :param inflater: takes messages with RSV1 set apart; None refuses them.

    Call :meth:`feed` with what was received. It stops behind a control frame, so that
    messages and control frames keep their order: handle :attr:`control` where it is set, and
    feed ``b""`` as long as there is :attr:`more`. After an error :attr:`failure` is set; the
    messages before it are returned, and nothing after it ever is.
    """

    __slots__ = (
        "_blocks",
        "_compressed",
        "_decoder",
        "_final",
        "_fragments",
        "_held",
        "_held_at",
        "_inflate_message",
        "_inflater",
        "_max_fragments",
        "_max_size",
        "_opcode",
        "_pieces",
        "_remaining",
        "_size",
        "control",
        "failure",
        "more",
        "size",
    )

    def __init__(
        self,
        *,
        max_size: int,
        max_fragments: int = MAX_FRAGMENTS,
        inflater: MessageInflater | None = None,
    ) -> None:
        self._max_size = max_size
        self._max_fragments = max_fragments
        self._inflater = inflater
        self._inflate_message = inflater.inflate_message if inflater is not None else None
        self.control: ControlFrame | None = None
        self.failure: ProtocolError | None = None
        #: Bytes of the messages that the latest :meth:`feed` returned, after inflating.
        self.size = 0
        #: Whether ``feed(b"")`` would go on with what was fed already.
        self.more = False
        # What was fed and is not taken yet, from _held_at on: what follows a control frame, or an
        # incomplete header. An index, so that going on copies nothing.
        self._held = b""
        self._held_at = 0
        # The message under way, if any: one that is fragmented, or came only in part.
        self._opcode = CONTINUATION  # TEXT or BINARY while there is one
        self._compressed = False
        self._final = False  # whether the current frame is its last one
        self._remaining = 0  # bytes of the current frame's payload that have not come yet
        self._size = 0  # bytes so far; inflated ones where it is compressed
        self._fragments = 0
        self._pieces: list[Payload] = []
        self._blocks: list[Payload] = []  # joined pieces, so that tiny ones cost no memory
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def inside(self) -> bool:
        """Whether a frame or message has begun and is not complete."""
        return self._held_at < len(self._held) or self._opcode != CONTINUATION

    def feed(self, data: bytes) -> list[Payload]:
        """Take bytes apart.

        :param data: what was received; ``b""`` goes on behind a control frame.
        :returns: the messages that are complete now, in order.
        """
        messages: list[Payload] = []
        if self.failure is not None:
            return messages
        self.control = None
        self.more = False
        self.size = 0
        position = self._held_at
        if position < len(self._held):
            if data:
                data, position = self._held[position:] + data, 0
            else:
                data = self._held
        else:
            position = 0
        self._held, self._held_at = b"", 0
        try:
            self._parse(data, position, messages)
        except ProtocolError as error:
            self.failure = error.with_traceback(None)  # which would keep the chunk alive
        except UnicodeDecodeError as error:
            self.failure = ProtocolError(f"text is not UTF-8: {error.reason}", close_code=1007)
        if self.failure is not None:
            self._held, self._pieces, self._blocks = b"", [], []
        return messages

    def _parse(self, data: bytes, position: int, messages: list[Payload]) -> None:
        end = len(data)
        if self._remaining:
            position = self._take_payload(data, position, messages)
        while position < end:
            if self._inflate_message is not None and self.size > BATCH_SIZE:
                self._hold(data, position)
                return
            if self._opcode == CONTINUATION and self._max_size > 0xFFFF:
                before = position
                position = self._take_run(data, position, end, messages)
                if position == end:
                    return
                if position > before:
                    continue
            after = self._take(data, position, messages)
            if after < 0:
                self._held = data[position:]  # a few bytes, which must not keep the chunk alive
                return
            position = after
            if self.control is not None:
                self._hold(data, position)
                return

    def _hold(self, data: bytes, position: int) -> None:
        if position < len(data):
            self._held, self._held_at, self.more = data, position, True

    def _take_run(self, data: bytes, position: int, end: int, messages: list[Payload]) -> int:
        """Take complete frames of one of the common kinds; returns the position behind them."""
        after = _take_complete(data, position, end, messages.append)
        self.size += after - position
        if after > position or self._inflate_message is None:
            return after
        count = len(messages)
        after = _take_deflated(
            data, position, end, messages.append, self._inflate_message, self._max_size
        )
        self.size += sum(map(len, messages[count:]))
        return after

    def _take(self, data: bytes, position: int, messages: list[Payload]) -> int:
        """Take one frame of any kind, or its beginning; -1 when its header is incomplete."""
        available = len(data) - position
        if available < 2:
            return -1
        first, second = data[position], data[position + 1]
        self._check_header(first, second)
        length, start = second & 0x7F, position + 2
        if length > 125:
            width = 2 if length == 126 else 8
            if available < 2 + width:
                return -1
            length = int.from_bytes(data[start : start + width], "big")
            start += width
            _check_length(length, width)
        if first & 0x08:
            return self._take_control(data, position, start, start + length)
        self._begin_frame(first, length)
        return self._take_payload(data, start, messages)

    def _check_header(self, first: int, second: int) -> None:
        opcode = first & OPCODE_BITS
        if first & RSV2_AND_3:
            raise ProtocolError("a reserved bit is set that no extension gives a sense")
        if first & RSV1 and (self._inflater is None or opcode not in (TEXT, BINARY)):
            raise ProtocolError("reserved bit RSV1 is set where no compression was agreed")
        if second & MASK:
            raise ProtocolError("the server masked a frame (RFC 6455 section 5.1)")
        if opcode & 0x08:
            if opcode > PONG:
                raise ProtocolError(f"control opcode {opcode} is not defined")
            if not first & FIN:
                raise ProtocolError("a control frame is fragmented")
            if second > 125:
                raise ProtocolError("a control frame is longer than 125 bytes")
        elif opcode > BINARY:
            raise ProtocolError(f"opcode {opcode} is not defined")
        elif opcode == CONTINUATION and self._opcode == CONTINUATION:
            raise ProtocolError("a continuation frame continues nothing")
        elif opcode != CONTINUATION and self._opcode != CONTINUATION:
            raise ProtocolError("a new message begins inside a fragmented one")

    def _take_control(self, data: bytes, position: int, start: int, stop: int) -> int:
        if stop > len(data):
            return -1
        opcode = data[position] & OPCODE_BITS
        frame = ControlFrame(opcode, payload=data[start:stop], raw=data[position:stop])
        if opcode == CLOSE:
            check_close(frame.payload)
        self.control = frame
        return stop

    def _begin_frame(self, first: int, length: int) -> None:
        opcode = first & OPCODE_BITS
        if opcode != CONTINUATION:
            self._opcode = opcode
            self._compressed = bool(first & RSV1)
            self._size = 0
            self._fragments = 0
            self._decoder = _new_utf8_decoder() if opcode == TEXT else None
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise MessageTooBigError(
                f"a message has more than {self._max_fragments} fragments; "
                f"{self._size} bytes of it came"
            )
        # What is compressed may be at most as large as what comes out of it, give or take the
        # overhead of stored blocks; the exact check is the inflater's.
        known = self._size + length if not self._compressed else length - 1024 - length // 64
        if known > self._max_size:
            raise MessageTooBigError(
                f"a message of {known} bytes or more was announced; max_size is {self._max_size}"
            )
        self._final = bool(first & FIN)
        self._remaining = length

    def _take_payload(self, data: bytes, start: int, messages: list[Payload]) -> int:
        stop = min(start + self._remaining, len(data))
        self._remaining -= stop - start
        last = self._final and not self._remaining
        piece = data if start == 0 and stop == len(data) else data[start:stop]
        keep = self._keep_inflated if self._compressed else self._keep
        keep(piece, last)
        if last:
            self.size += self._size
            messages.append(self._join(self._blocks + self._pieces))
            self._opcode = CONTINUATION
            self._pieces, self._blocks = [], []
            self._decoder = None
        return stop

    def _keep_inflated(self, piece: bytes, last: bool) -> None:
        assert self._inflater is not None, "RSV1 without an inflater is refused in the header"
        for inflated in self._inflater.inflate(piece, self._max_size - self._size):
            self._keep(inflated, False)
        if last:
            for inflated in self._inflater.finish(self._max_size - self._size):
                self._keep(inflated, False)
            self._keep(b"", True)

    def _keep(self, piece: bytes, last: bool) -> None:
        self._size += len(piece)
        kept = piece if self._decoder is None else _decode(self._decoder, piece, last)
        if kept:
            self._pieces.append(kept)
            if len(self._pieces) == PIECES_PER_BLOCK:
                self._blocks.append(self._join(self._pieces))
                self._pieces = []

    def _join(self, pieces: list[Payload]) -> Payload:
        nothing: Payload = "" if self._opcode == TEXT else b""
        return nothing.join(pieces)  # type: ignore[arg-type]  # one piece alone is not copied


def _decode(decoder: codecs.IncrementalDecoder, piece: bytes, last: bool) -> str:
    text = decoder.decode(piece, last)
    held = decoder.getstate()[0]
    # Surrogates: no character begins like this, but Python waits for the third byte to say so.
    if b"\xed\xa0" <= held < b"\xee":
        raise UnicodeDecodeError("utf-8", held, 0, 1, "invalid continuation byte")
    return text


def _take_complete(
    data: bytes,
    position: int,
    end: int,
    append: Callable[[Payload], None],
    unpack: Callable[[bytes, int], tuple[int, int]] = _unpack_two_uint16,
) -> int:
    """Take complete, unfragmented, uncompressed frames of at most 65535 bytes.

    The hot loop: measured, not pretty. Short texts are found by indexing; a run of texts with
    a 16-bit length is quicker by unpacking four bytes at once. It reads past nothing: where a
    header may be cut it stops, and so it does at every frame of another kind.

    :returns: the position of the first frame that it does not take.
    """
    last_header = end - 4
    while position <= last_header:
        first = data[position]
        length = data[position + 1]
        if length < 126:
            start = position + 2
        elif first == 0x81 and length == 126:
            while position <= last_header:
                word, length = unpack(data, position)
                if word != 0x817E:
                    break
                start = position + 4
                stop = start + length
                if stop > end or length < 126:
                    return position
                append(data[start:stop].decode())
                position = stop
            continue
        elif length == 126:
            start = position + 4
            length = data[position + 2] << 8 | data[position + 3]
            if length < 126:
                break
        else:
            break
        stop = start + length
        if stop > end:
            break
        if first == 0x81:
            append(data[start:stop].decode())
        elif first == 0x82:
            append(data[start:stop])
        else:
            break
        position = stop
    return position


def _take_deflated(
    data: bytes,
    position: int,
    end: int,
    append: Callable[[Payload], None],
    inflate: Callable[[bytes, int], bytes],
    max_size: int,
) -> int:
    """Take complete, unfragmented, compressed frames, like :func:`_take_complete`.

    A loop of its own: as two more branches of that one it would cost all others three percent.
    """
    inflated = 0
    last_header = end - 4
    while position <= last_header:
        first = data[position]
        if first != 0xC1 and first != 0xC2:
            break
        length = data[position + 1]
        if length < 126:
            start = position + 2
        elif length == 126:
            length = data[position + 2] << 8 | data[position + 3]
            if not 126 <= length <= SHORT_COMPRESSED:
                break
            start = position + 4
        else:
            break
        stop = start + length
        if stop > end:
            break
        payload = inflate(data[start:stop], max_size)
        append(str(payload, "utf-8") if first == 0xC1 else payload)
        position = stop
        inflated += len(payload)
        if inflated > BATCH_SIZE:
            break
    return position


def _check_length(length: int, width: int) -> None:
    if width == 8 and length >> 63:
        raise ProtocolError("the highest bit of a 64-bit length is set (RFC 6455 section 5.2)")
    if length < (126 if width == 2 else 1 << 16):
        raise ProtocolError(f"a length of {length} is not encoded in the shortest form")
