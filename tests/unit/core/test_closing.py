"""How an end is said: with its code by name, without one, and by us."""

from __future__ import annotations

import pytest

from wsresilient import ProtocolError
from wsresilient.core.closing import CODE_NAMES, close_text, eof_error, protocol_close_reason
from wsresilient.core.frames import FrameParser


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (1000, "", "the server closed the connection with code 1000 (normal closure)"),
        (1001, "bye", "the server closed the connection with code 1001 (going away): bye"),
        (1013, "", "the server closed the connection with code 1013 (try again later)"),
        (4001, "own", "the server closed the connection with code 4001: own"),
        (None, "", "the server closed the connection without a code"),
    ],
)
def test_a_close_is_said_with_code_name_and_reason(
    code: int | None, reason: str, text: str
) -> None:
    assert close_text(code, reason) == text


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1005, 1015)])
def test_every_code_of_the_registry_has_a_name(code: int) -> None:
    assert CODE_NAMES[code] in close_text(code, "")


def parser_after(data: bytes) -> FrameParser:
    parser = FrameParser(max_size=1000)
    parser.feed(data)
    return parser


def test_an_end_inside_a_frame_is_told_from_an_end_between_two() -> None:
    inside = eof_error(parser_after(b"\x81\x05ab"))
    between = eof_error(parser_after(b"\x81\x02ab"))

    assert "inside a frame" in str(inside)
    for error in (between, eof_error(None)):
        assert "inside" not in str(error)
    for error in (inside, between):
        assert error.close_code is None
        assert "without a close frame" in str(error)


def test_the_reason_for_a_broken_protocol_is_the_first_part_of_its_text_and_fits() -> None:
    assert protocol_close_reason(ProtocolError("reserved bits; payload: swordfish")) == (
        "reserved bits"
    )
    assert len(protocol_close_reason(ProtocolError("x" * 500)).encode()) <= 123
