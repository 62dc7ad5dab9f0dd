"""The messages of a benchmark: both ends build the same ones, so that nobody can lose one unseen.

The server repeats a fixed cycle of a few thousand messages. Server, client and parent process
each build that cycle from its size and alphabet alone, so the parent knows how many characters
must arrive, and a calibrating client can compare every single message with what was sent.

The messages look like an exchange's order book updates. Each carries its number, and lengths
differ by a few bytes from message to message: equal lengths would flatter a client that guesses
where the next frame begins.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

ALPHABETS = ("ascii", "utf8")
CYCLE_BYTES = 1024 * 1024
SHORTEST_CYCLE = 16
SMALLEST_SIZE = 100
LENGTH_SPREAD = 3
CLOSE_NORMAL = b"\x88\x02\x03\xe8"
"""The server's last frame: close with code 1000."""

_TEXT_FIN = 0x81
_MAX_SHORT_LENGTH = 125
_MAX_MEDIUM_LENGTH = 0xFFFF


@dataclass(frozen=True)
class Cycle:
    """A fixed run of messages that the server repeats until enough have been sent."""

    texts: tuple[str, ...]
    encoded: tuple[bytes, ...]
    wire: bytes
    """All messages as complete, unmasked frames."""
    offsets: tuple[int, ...]
    """offsets[n] is where the frame of message n begins; the last one is the end."""

    def __len__(self) -> int:
        return len(self.texts)

    def characters(self, count: int) -> int:
        """Length of the first `count` messages as text."""
        return _repeated_sum([len(text) for text in self.texts], count)

    def payload_bytes(self, count: int) -> int:
        """Length of the first `count` messages as UTF-8, without the frames around them."""
        return _repeated_sum([len(payload) for payload in self.encoded], count)

    def wire_bytes(self, count: int) -> int:
        """Length of the first `count` messages as frames."""
        rounds, rest = divmod(count, len(self))
        return rounds * len(self.wire) + self.offsets[rest]


@functools.lru_cache(maxsize=16)
def build_cycle(size: int, alphabet: str) -> Cycle:
    """Build the cycle of messages of about `size` bytes each (the mean is exact)."""
    if alphabet not in ALPHABETS:
        raise ValueError(f"alphabet must be one of {ALPHABETS}, not {alphabet!r}")
    if size < SMALLEST_SIZE:
        raise ValueError(f"size must be at least {SMALLEST_SIZE} bytes, not {size}")
    variants = 2 * LENGTH_SPREAD + 1
    # A whole number of variants makes the mean length exactly `size`.
    length = max(SHORTEST_CYCLE, CYCLE_BYTES // size) // variants * variants
    texts = tuple(
        _build_text(number, size + number * 5 % variants - LENGTH_SPREAD, alphabet)
        for number in range(length)
    )
    encoded = tuple(text.encode() for text in texts)
    frames = [frame_header(_TEXT_FIN, len(payload)) + payload for payload in encoded]
    offsets = tuple(itertools.accumulate((len(frame) for frame in frames), initial=0))
    return Cycle(texts, encoded, b"".join(frames), offsets)


def frame_header(first_byte: int, length: int) -> bytes:
    """Header of an unmasked frame (RFC 6455, section 5.2)."""
    if length <= _MAX_SHORT_LENGTH:
        return bytes((first_byte, length))
    if length <= _MAX_MEDIUM_LENGTH:
        return bytes((first_byte, 126)) + length.to_bytes(2, "big")
    return bytes((first_byte, 127)) + length.to_bytes(8, "big")


def _build_text(number: int, length: int, alphabet: str) -> str:
    """Build one JSON message that is exactly `length` bytes long as UTF-8."""
    opening = f'{{"e":"depthUpdate","s":"BTCUSDT","n":{number:08d},"b":['
    closing = '],"x":"'
    room = length - len(opening) - len(closing) - len('"}')
    levels: list[str] = []
    for index in itertools.count():
        level = _build_level(number, index, alphabet)
        room_after = room - len(level.encode()) - (1 if levels else 0)
        if room_after < 0:
            break
        levels.append(level)
        room = room_after
    return f'{opening}{",".join(levels)}{closing}{"0" * room}"}}'


def _build_level(number: int, index: int, alphabet: str) -> str:
    """Build one price level; with the utf8 alphabet every second one is a non-ASCII remark."""
    noise = (number * 7919 + index * 104729) % 10_000_000
    if alphabet == "utf8" and index % 2 == 0:
        return f'["Kürs 東京 €","{noise % 10_000:04d}"]'
    return f'["{43_000 + noise % 1_000}.{noise % 97:02d}","0.{noise % 99_991:05d}"]'


def _repeated_sum(lengths: list[int], count: int) -> int:
    rounds, rest = divmod(count, len(lengths))
    return rounds * sum(lengths) + sum(lengths[:rest])
