"""permessage-deflate (RFC 7692): what is offered, what was agreed, and the two streams of it.

What a server compresses is not trusted: a megabyte may hold a gigabyte, and a DEFLATE block may
end where no sender's library would let it. So inflating goes in steps, each step is counted
before the next, and no step copies more than its own bytes. Nothing here is thread-safe, and
nothing here reads or writes: see :mod:`wsresilient.core.frames` for the frames around it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import HandshakeError, MessageTooBigError, ProtocolError
from .redact import shorten

__all__ = ["DeflateParameters", "MessageDeflater", "MessageInflater", "negotiate", "offer"]

NAME = "permessage-deflate"
#: What a message's last empty block ends with; the sender leaves it out (RFC 7692 section 7.2.1).
TAIL = b"\x00\x00\xff\xff"
#: Smaller payloads are sent as they are: they gain a few bytes and cost a compressor.
THRESHOLD = 1024

# zlib makes no raw stream with a window of 256 bytes: it takes 512 instead, or refuses. It reads
# one, but a peer's zlib that was told 8 may have written with 9; a window too large does no harm.
SMALLEST_ZLIB_WINDOW = 9
LARGEST_WINDOW = 15
# 128 KiB less for a compressor than the default of 8, for about one percent of the ratio.
COMPRESSOR_MEMORY = 5

# Bytes that come out of zlib at a time. Between two steps the size is checked, so this is what a
# bomb costs beyond max_size.
STEP = 1 << 20
# Bytes that go into zlib at a time. It copies what stands behind a final block, and final blocks
# may be two bytes long, so this bounds the copying.
SLICE = 1 << 14

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS = ("server_max_window_bits", "client_max_window_bits")
# Decimal, without leading zeros (RFC 7692 section 7.1.2).
_WINDOW_BITS = {str(bits): bits for bits in range(8, LARGEST_WINDOW + 1)}


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """The parameters of permessage-deflate (RFC 7692 section 7.1), wished for or agreed.

    :ivar server_no_context_takeover: the server starts anew with every message.
    :ivar client_no_context_takeover: we start anew with every message.
    :ivar server_max_window_bits: of the server's LZ77 window: 8 (256 bytes) to 15 (32 KiB).
    :ivar client_max_window_bits: of our window, 8 to 15; with 8 nothing is compressed, because
        zlib cannot.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = LARGEST_WINDOW
    client_max_window_bits: int = LARGEST_WINDOW


_NO_LIMITS = DeflateParameters()


def offer(wished: DeflateParameters = _NO_LIMITS) -> str:
    """Write the Sec-WebSocket-Extensions of a request (RFC 7692 section 5).

    ``client_max_window_bits`` is always in it, which lets the server limit our window.

    :param wished: limits to ask for; by default none, because they cost compression.

    >>> offer()
    'permessage-deflate; client_max_window_bits'
    """
    items = [NAME]
    items += [name for name in _FLAGS if getattr(wished, name)]
    if wished.server_max_window_bits < LARGEST_WINDOW:
        items.append(f"server_max_window_bits={wished.server_max_window_bits}")
    if wished.client_max_window_bits < LARGEST_WINDOW:
        items.append(f"client_max_window_bits={wished.client_max_window_bits}")
    else:
        items.append("client_max_window_bits")
    return "; ".join(items)


def negotiate(
    header_value: str | None, wished: DeflateParameters = _NO_LIMITS
) -> DeflateParameters | None:
    """Read the server's answer to :func:`offer`, strictly (RFC 7692 sections 5 and 7.1).

    A server may limit its own side without having been asked. What it does not mention of what
    we asked for ourselves (``client_...``) is in force all the same.

    :param header_value: its Sec-WebSocket-Extensions, several joined with commas, or None.
    :param wished: what was offered.
    :returns: what is in force, or None where the server chose no extension.
    :raises HandshakeError: it answered what was not offered or what cannot be; the text says what.
    """
    extensions = [item for item in (header_value or "").split(",") if item.strip()]
    if not extensions:
        return None
    if len(extensions) > 1:
        raise _refused(f"the server chose {len(extensions)} extensions; one was offered")
    name, *items = (item.strip() for item in extensions[0].split(";"))
    if name != NAME:
        raise _refused(f"the server chose extension {shorten(name, 60)!r}, which was not offered")
    flags: dict[str, bool] = {}
    windows: dict[str, int] = {}
    for item in items:
        _read_parameter(item, flags, windows)
    return _agree(wished, flags, windows)


def _read_parameter(item: str, flags: dict[str, bool], windows: dict[str, int]) -> None:
    name, equals, value = (part.strip() for part in item.partition("="))
    if name in flags or name in windows:
        raise _refused(f"{name} is there twice")
    if name in _FLAGS:
        if equals:
            raise _refused(f"{name} takes no value, but has {shorten(value, 60)!r}")
        flags[name] = True
    elif name in _WINDOWS:
        # A value may stand in quotes (RFC 6455 section 9.1).
        bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if bare not in _WINDOW_BITS:
            shown = repr(shorten(value, 60)) if equals else "no value"
            raise _refused(f"{name} has {shown}, wanted 8 to 15")
        windows[name] = _WINDOW_BITS[bare]
    else:
        raise _refused(f"parameter {shorten(name, 60)!r} is unknown")


def _agree(
    wished: DeflateParameters, flags: dict[str, bool], windows: dict[str, int]
) -> DeflateParameters:
    if wished.server_no_context_takeover and "server_no_context_takeover" not in flags:
        raise _refused("the server did not confirm server_no_context_takeover")
    server_window = windows.get("server_max_window_bits", LARGEST_WINDOW)
    if server_window > wished.server_max_window_bits:
        raise _refused(
            f"the server did not confirm server_max_window_bits={wished.server_max_window_bits}"
        )
    return DeflateParameters(
        server_no_context_takeover="server_no_context_takeover" in flags,
        client_no_context_takeover=(
            wished.client_no_context_takeover or "client_no_context_takeover" in flags
        ),
        server_max_window_bits=server_window,
        client_max_window_bits=min(
            wished.client_max_window_bits,
            windows.get("client_max_window_bits", LARGEST_WINDOW),
        ),
    )


def _refused(reason: str) -> HandshakeError:
    return HandshakeError(f"Sec-WebSocket-Extensions of the answer: {reason}", status=101)


class MessageInflater:
    """Inflates what the server sends; one for a connection (RFC 7692 section 7.2.2).

    Each message goes through either :meth:`inflate_message`, or :meth:`inflate` for each of its
    pieces and then :meth:`finish`. After an exception it is of no more use.

    A block may be marked as the last of its stream (section 7.2.3.4), which ends zlib's stream.
    What follows is a stream of its own, with an empty window: no known sender refers back over
    that mark, and keeping the last 32 KiB of every message for it would slow down all others.
    Some senders put only such a block, without the octet 0x00 that should follow it; that is
    taken as well.

    :param parameters: what was agreed.
    """

    __slots__ = ("_bits", "_open", "_stream", "_takeover")

    def __init__(self, parameters: DeflateParameters) -> None:
        self._bits = -max(parameters.server_max_window_bits, SMALLEST_ZLIB_WINDOW)
        self._takeover = not parameters.server_no_context_takeover
        self._stream = zlib.decompressobj(self._bits)
        # Whether there is something for TAIL to end: not if no byte of the message has come, or
        # the last one ended a stream. There it would be taken for the beginning of a stored block.
        self._open = False

    def inflate_message(self, payload: bytes, room: int) -> bytes:
        """Inflate a message that came in one piece.

        :param payload: of all its frames.
        :param room: how many bytes may come out.
        :raises MessageTooBigError: more would come out.
        :raises ProtocolError: it is not DEFLATE; close code 1007.
        """
        if not payload:
            return b""  # RFC 7692 section 7.2.3.6 wants an octet 0x00, but this is clear enough
        limit = room + 1 if room < STEP else STEP
        stream = self._stream
        try:
            output = stream.decompress(payload + TAIL, limit)
        except zlib.error as error:
            raise _corrupt(error) from None
        # Nearly always that was all. For the rest, go on like for a message in pieces.
        if len(output) == limit or stream.eof:
            output = b"".join(self._go_on(output, limit, room, len(TAIL)))
        if not self._takeover:
            self._stream = zlib.decompressobj(self._bits)
        return output

    def inflate(self, piece: bytes, room: int) -> Iterator[bytes]:
        """Inflate a piece of a message, step by step.

        :param piece: may be empty, and may be cut anywhere.
        :param room: how many bytes may come out.
        :returns: what comes out, at most a megabyte at a time.
        :raises MessageTooBigError: more would come out.
        :raises ProtocolError: it is not DEFLATE; close code 1007.
        """
        for start in range(0, len(piece), SLICE):
            for output in self._run(piece[start : start + SLICE], room, 0):
                room -= len(output)
                yield output

    def finish(self, room: int) -> Iterator[bytes]:
        """Inflate what is left at the end of a message; like :meth:`inflate`."""
        if self._open:
            yield from self._run(TAIL, room, len(TAIL))
            self._open = False
        if not self._takeover:
            self._stream = zlib.decompressobj(self._bits)

    def _run(self, data: bytes, room: int, tail: int) -> Iterator[bytes]:
        self._open = True
        limit = min(room + 1, STEP)
        return self._go_on(self._step(data, limit), limit, room, tail)

    def _step(self, data: bytes, limit: int) -> bytes:
        try:
            return self._stream.decompress(data, limit)
        except zlib.error as error:
            raise _corrupt(error) from None

    def _go_on(self, output: bytes, limit: int, room: int, tail: int) -> Iterator[bytes]:
        """Give a step's output and that of the steps after it.

        :param limit: what that step might give at most; it gave less if it had no more.
        :param tail: how many of the last bytes are not the server's but TAIL's.
        """
        while True:
            room -= len(output)
            if room < 0:
                raise MessageTooBigError("a compressed message is larger than max_size")
            if output:
                yield output
            if self._stream.eof:
                data = self._stream.unused_data
                self._stream = zlib.decompressobj(self._bits)
                if len(data) <= tail:
                    self._open = False
                    return
            elif len(output) == limit:
                data = self._stream.unconsumed_tail
            else:
                return
            limit = min(room + 1, STEP)
            output = self._step(data, limit)


def _corrupt(error: zlib.error) -> ProtocolError:
    # RFC 7692 names no code. 1007 (data not consistent with the type of the message) is what
    # wsproto and Node's ws send; websockets sends 1002.
    return ProtocolError(f"compressed data is corrupt: {error}", close_code=1007)


class MessageDeflater:
    """Compresses what we send; one for a connection (RFC 7692 section 7.2.1).

    Not thread-safe, and more than that: with context takeover the server inflates messages in the
    order in which they arrive, so the lock that is held for :meth:`deflate` has to be held until
    the message is sent. What was compressed has to be sent.

    :param parameters: what was agreed.
    :param threshold: smaller payloads are not compressed, in bytes.
    :param level: zlib's, 1 (fast) to 9 (small); -1 is its default, 6.
    """

    __slots__ = ("_bits", "_level", "_stream", "_takeover", "_threshold")

    def __init__(
        self, parameters: DeflateParameters, *, threshold: int = THRESHOLD, level: int = -1
    ) -> None:
        self._bits = parameters.client_max_window_bits
        self._takeover = not parameters.client_no_context_takeover
        # Nothing is gained by an empty payload, and zlib flushes nothing twice.
        self._threshold = max(threshold, 1)
        self._level = level
        # Made when it is needed: it takes 144 KiB, and most clients never send that much.
        self._stream: zlib._Compress | None = None

    def deflate(self, payload: bytes) -> bytes | None:
        """Compress a message.

        :returns: the payload for frames of which the first has RSV1 set, or None where the
            message goes as it is: it is small, or our window may only be one that zlib cannot.
        """
        if len(payload) < self._threshold or self._bits < SMALLEST_ZLIB_WINDOW:
            return None
        stream = self._stream
        if stream is None:
            stream = zlib.compressobj(self._level, zlib.DEFLATED, -self._bits, COMPRESSOR_MEMORY)
            if self._takeover:
                self._stream = stream
        compressed = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
        return compressed[: -len(TAIL)]
