"""``wsresilient listen URL``: messages on standard output, everything else on standard error."""

from __future__ import annotations

import argparse
import base64
import logging
import sys
import threading
from typing import Any

from ..config import check_integer, check_seconds
from ..core.backoff import ReconnectPolicy
from ..core.events import StateChange
from ..core.state import ConnectionState
from ..errors import ConfigurationError, NotConnectedError, SendTimeoutError, describe
from ..observe import Monitor, format_report
from ..runtime.clock import monotonic
from ..runtime.connection import ResilientWebSocket
from .output import LineWriter, logging_to, silence_standard_output

__all__ = ["Listener", "MessagePrinter", "connection_settings", "run_listen"]

logger = logging.getLogger("wsresilient.cli")

_LINE_ENDS = str.maketrans({"\n": " ", "\r": " "})
# What a server sends must not move the cursor or change the title of somebody's terminal.
_CONTROL_CHARACTERS = dict.fromkeys(
    [*range(9), *range(10, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}"
)


def run_listen(arguments: argparse.Namespace) -> int:
    """Listen until something ends it.

    :returns: the exit code.
    :raises ConfigurationError: an argument is wrong.
    """
    if arguments.count is not None:
        check_integer("--count", arguments.count, minimum=1)
    if arguments.duration is not None:
        check_seconds("--duration", arguments.duration, exclusive=True)
    level = logging.DEBUG if arguments.verbose else logging.INFO
    errors = LineWriter(sys.stderr)
    with logging_to(
        errors.write,
        level=logging.WARNING if arguments.quiet else level,
        formatter=logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"),
    ):
        listener = Listener(arguments, LineWriter(sys.stdout))
        code = listener.run()
    if listener.summary is not None and not arguments.quiet:
        errors.write("\n" + format_report(listener.summary))
    return code


def connection_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Turn the options into arguments of a connection; what was not given is left out.

    :raises ConfigurationError: a header is given twice, or a value is not allowed.
    """
    settings: dict[str, Any] = {
        "headers": _headers(arguments.header),
        "subprotocols": arguments.subprotocol or None,
        "compression": arguments.compression,
        "reconnect": ReconnectPolicy(
            initial_delay=arguments.initial_delay,
            max_delay=arguments.max_delay,
            max_attempts=arguments.max_attempts,
        ),
    }
    if arguments.ping_interval is not None:
        settings["ping_interval"] = arguments.ping_interval
        if arguments.ping_interval > 0:
            settings["ping_timeout"] = arguments.ping_interval / 2
    if arguments.ping_timeout is not None:
        settings["ping_timeout"] = arguments.ping_timeout
    if arguments.stale_after is not None:
        settings["stale_after"] = arguments.stale_after or None
    return settings


def _headers(pairs: list[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        if name.lower() in (known.lower() for known in headers):
            raise ConfigurationError(f"--header {name!r:.60} is given twice; allowed: once")
        headers[name] = value
    return headers


class MessagePrinter:
    """Prints messages, one on each line, up to a number.

    :param writer: where to.
    :param count: how many; None: all.
    :param binary: "hex" or "base64".
    :param done: is set when there is nothing more to print.
    :ivar printed: how many have been.
    """

    def __init__(
        self, writer: LineWriter, *, count: int | None, binary: str, done: threading.Event
    ) -> None:
        self._writer = writer
        self._count = count
        self._binary = binary
        self._done = done
        self.printed = 0

    @property
    def is_complete(self) -> bool:
        """Whether as many as were asked for have been printed."""
        return self._count is not None and self.printed >= self._count

    def __call__(self, payload: str | bytes) -> None:
        """Print one message."""
        if self.is_complete:
            return
        if not self._writer.write(self._line(payload)):
            self._done.set()
            return
        self.printed += 1
        if self.printed == self._count:
            self._done.set()

    def _line(self, payload: str | bytes) -> str:
        if isinstance(payload, bytes):
            if self._binary == "base64":
                return base64.b64encode(payload).decode("ascii")
            return payload.hex()
        line = payload.translate(_LINE_ENDS)
        return line.translate(_CONTROL_CHARACTERS) if self._writer.is_terminal else line


class Listener:
    """One run of the command.

    :param arguments: the parsed ones.
    :param output: where messages go.
    :ivar summary: of the monitor, from just before the connection was stopped; None when
        there is nobody to read it.
    :raises ConfigurationError: an argument is wrong.
    """

    def __init__(self, arguments: argparse.Namespace, output: LineWriter) -> None:
        self._count: int | None = arguments.count
        self._duration: float | None = arguments.duration
        self._send: list[str] = arguments.send
        self._output = output
        self._done = threading.Event()
        self._has_failed = False
        self._was_connected = False
        self._monitor = Monitor()
        self.summary: dict[str, Any] | None = None
        self._print = MessagePrinter(
            output, count=arguments.count, binary=arguments.binary, done=self._done
        )
        self._connection = ResilientWebSocket(
            arguments.url,
            on_message=self._print,
            on_open=self._greet,
            on_state_change=self._note_state,
            monitor=self._monitor,
            **connection_settings(arguments),
        )

    def run(self) -> int:
        """Listen; returns the exit code."""
        interrupted = False
        try:
            self._connection.start()
            self._wait()
        except KeyboardInterrupt:
            interrupted = True
        self.summary = self._monitor.get_summary()
        last_error = self._connection.last_error
        self._output.close()
        self._connection.stop()
        if self._output.is_broken:
            self.summary = None
            silence_standard_output()
            return 0
        if interrupted:
            return 0
        if self._has_failed:  # the library's log has said why
            return 1
        complaint = self._complaint(last_error)
        if complaint:
            logger.error("%s", complaint)
        return 1 if complaint else 0

    def _wait(self) -> None:
        deadline = None if self._duration is None else monotonic() + self._duration
        # In short pieces, so that Ctrl-C is heard on every system.
        while not self._done.is_set():
            rest = 1.0 if deadline is None else min(1.0, deadline - monotonic())
            if rest <= 0.0:
                return
            self._done.wait(rest)

    def _complaint(self, last_error: str) -> str:
        """Say why this is no success; "" when it is."""
        if self._print.is_complete:
            return ""
        if not self._was_connected:
            return f"never connected within {self._duration:g} s: {last_error or 'no answer yet'}"
        if self._count is not None:
            return f"only {self._print.printed} of {self._count} messages in {self._duration:g} s"
        return ""

    # Handlers.

    def _greet(self, connection: ResilientWebSocket) -> None:
        for text in self._send:
            try:
                connection.send(text)
            except (NotConnectedError, SendTimeoutError) as error:
                logger.warning("--send was not sent: %s", describe(error))
                return

    def _note_state(self, change: StateChange) -> None:
        if change.state is ConnectionState.CONNECTED:
            self._was_connected = True
        elif change.state is ConnectionState.FAILED:
            self._has_failed = True
            self._done.set()
