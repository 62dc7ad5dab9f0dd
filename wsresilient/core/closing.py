"""How a connection's end is said: close codes by name, an end without one, our own."""

from __future__ import annotations

from ..errors import ConnectionLostError, ProtocolError
from .frames import FrameParser

__all__ = ["ClosedByUs", "close_text", "eof_error", "protocol_close_reason"]

#: RFC 6455 section 7.4.1 and the IANA registry.
CODE_NAMES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no code",
    1006: "no close frame",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension required",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
}


class ClosedByUs(Exception):  # noqa: N818 - it is no error
    """Leaves the read loop after a close that we wanted; never seen outside of it."""


def close_text(code: int | None, reason: str) -> str:
    """Say that the server closed, with code and reason.

    :param code: None where the close frame had none.
    :param reason: redacted before.
    """
    if code is None:
        text = "the server closed the connection without a code"
    else:
        name = CODE_NAMES.get(code)
        text = f"the server closed the connection with code {code}" + (f" ({name})" if name else "")
    return f"{text}: {reason}" if reason else text


def eof_error(parser: FrameParser | None) -> ConnectionLostError:
    """Make the error for an end without a close frame."""
    where = " inside a frame" if parser is not None and parser.inside else ""
    return ConnectionLostError(f"the connection ended{where} without a close frame (end of file)")


def protocol_close_reason(error: ProtocolError) -> str:
    """The reason that we give the server; short, and never a payload."""
    return str(error).partition(";")[0][:120]
