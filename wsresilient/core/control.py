"""Control frames and opcodes (RFC 6455 sections 5.2 and 5.5): what they are, what they may be."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ProtocolError

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "ControlFrame",
    "check_close",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


@dataclass(frozen=True, slots=True)
class ControlFrame:
    """A ping, pong or close frame, checked.

    :ivar opcode: 8 close, 9 ping, 10 pong.
    :ivar payload: at most 125 bytes.
    :ivar raw: the frame as it came.
    """

    opcode: int
    payload: bytes
    raw: bytes

    @property
    def close_code(self) -> int | None:
        """The code of a close frame, or None where there is none (RFC 6455 section 7.1.5)."""
        has_one = self.opcode == CLOSE and self.payload
        return int.from_bytes(self.payload[:2], "big") if has_one else None

    @property
    def close_reason(self) -> str:
        """The reason of a close frame, or "" where there is none."""
        return str(self.payload[2:], "utf-8") if self.opcode == CLOSE else ""


def check_close(payload: bytes) -> None:
    """Check the body of a close frame (RFC 6455 sections 5.5.1 and 7.4).

    :raises ProtocolError: half a code, a code that may not be sent, a reason that is not UTF-8.
    """
    if not payload:
        return
    if len(payload) == 1:
        raise ProtocolError("a close frame has half a code")
    code = int.from_bytes(payload[:2], "big")
    if not (3000 <= code < 5000 or (1000 <= code < 1015 and code not in (1004, 1005, 1006))):
        raise ProtocolError(f"close code {code} may not be sent")
    try:
        str(payload[2:], "utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(
            f"a close reason is not UTF-8: {error.reason}", close_code=1007
        ) from None
