"""The parts of ``listen`` that need no socket: settings, and how a message is printed."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from wsresilient import ConnectionConfig, Message, ReconnectPolicy
from wsresilient.cli.command import build_parser
from wsresilient.cli.listen import MessagePrinter, connection_settings, decoded_line
from wsresilient.cli.output import LineWriter
from wsresilient.venues import OKX


def settings(*options: str) -> dict[str, Any]:
    return connection_settings(build_parser().parse_args(["listen", "ws://127.0.0.1:1/", *options]))


def config(*options: str) -> ConnectionConfig:
    """What a connection would make of the options that are plain settings."""
    given = settings(*options)
    return ConnectionConfig().replace(
        **{name: value for name, value in given.items() if name in ConnectionConfig.names()}
    )


def test_without_options_everything_is_as_in_the_library() -> None:
    given = settings()

    assert config() == ConnectionConfig()
    policy = given["reconnect"]
    assert isinstance(policy, ReconnectPolicy)
    assert repr(policy) == repr(ReconnectPolicy())
    assert (given["headers"], given["subprotocols"]) == ({}, None)


@pytest.mark.parametrize(
    ("options", "interval", "timeout"),
    [
        ((), 60.0, 30.0),
        (("--ping-interval", "10"), 10.0, 5.0),
        (("--ping-interval", "10", "--ping-timeout", "3"), 10.0, 3.0),
        (("--ping-timeout", "3"), 60.0, 3.0),
        (("--ping-interval", "0"), 0.0, 30.0),
    ],
)
def test_the_ping_timeout_follows_the_interval(
    options: tuple[str, ...], interval: float, timeout: float
) -> None:
    made = config(*options)

    assert (made.ping_interval, made.ping_timeout) == (interval, timeout)


def test_zero_means_never_stale() -> None:
    assert config("--stale-after", "0").stale_after is None
    assert config("--stale-after", "7").stale_after == 7.0


def test_options_reach_the_policy_and_the_handshake() -> None:
    given = settings(
        "--initial-delay", "0.5", "--max-delay", "9", "--max-attempts", "4",
        "--header", "X-A: 1", "--subprotocol", "b", "--subprotocol", "a",
        "--compression", "deflate",
    )  # fmt: skip

    policy = given["reconnect"]
    assert (policy.initial_delay, policy.max_delay, policy.limit) == (0.5, 9.0, 4)
    assert given["headers"] == {"X-A": "1"}
    assert given["subprotocols"] == ["b", "a"]
    assert given["compression"] == "deflate"


def test_a_venue_has_its_own_policy_and_what_is_given_wins() -> None:
    arguments = build_parser().parse_args(["listen", "--venue", "okx", "--initial-delay", "0.5"])

    policy = connection_settings(arguments, OKX())["reconnect"]

    assert (policy.initial_delay, policy.max_delay) == (0.5, OKX().policy().max_delay)


def test_a_decoded_message_is_one_line_of_json() -> None:
    message = Message(
        data=[{"text": "ü\n"}], topic="a:B", channel="a", symbol="B", received_at=1.5, raw={}
    )

    assert decoded_line(message) == (
        '{"topic": "a:B", "channel": "a", "symbol": "B", "data": [{"text": "ü\\n"}], '
        '"received_at": 1.5}'
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(
    *payloads: str | bytes,
    stream: io.StringIO | None = None,
    count: int | None = None,
    binary: str = "hex",
) -> tuple[list[str], threading.Event]:
    stream, done = stream or io.StringIO(), threading.Event()
    print_message = MessagePrinter(LineWriter(stream), count=count, binary=binary, done=done)
    for payload in payloads:
        print_message(payload)
    return stream.getvalue().split("\n")[:-1], done


def test_one_message_is_one_line() -> None:
    lines, done = printed('{"a":\r\n1}', "", "ü☕")

    assert lines == ['{"a":  1}', "", "ü☕"]
    assert not done.is_set()


def test_binary_messages_are_printed_as_text() -> None:
    assert printed(b"\x00\xff", "text")[0] == ["00ff", "text"]
    assert printed(b"\x00\xff", "text", binary="base64")[0] == ["AP8=", "text"]


def test_not_one_more_than_was_asked_for() -> None:
    lines, done = printed("1", "2", "3", "4", count=3)

    assert lines == ["1", "2", "3"]
    assert done.is_set()


def test_a_terminal_is_not_steered_by_the_server() -> None:
    hostile = "\x1b]0;title\x07\x9b2J\x7f\tok"

    assert printed(hostile, stream=Terminal())[0] == ["�]0;title��2J�\tok"]
    assert printed(hostile)[0] == [hostile]
