"""``wsresilient listen``: messages on standard output, everything else on standard error.

What it listens to is found out in ``source.py``, what it says of unknown symbols in ``symbols.py``.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..config import check_integer, check_seconds
from ..core.backoff import ReconnectPolicy
from ..core.events import Message, StateChange
from ..core.state import ConnectionState
from ..errors import (
    ConfigurationError,
    NotConnectedError,
    SendTimeoutError,
    SubscriptionError,
    describe,
)
from ..observe import Monitor, format_report
from ..runtime.clock import monotonic
from ..runtime.connection import ResilientWebSocket
from ..venues.base import Venue
from .output import LineWriter, logging_to, silence_standard_output
from .source import Source, source_of
from .symbols import SymbolAdviser

__all__ = ["Listener", "MessagePrinter", "connection_settings", "decoded_line", "run_listen"]

logger = logging.getLogger("wsresilient.cli")

#: Seconds after which a topic that brings nothing is told; somebody is looking.
FIRST_DATA = 5.0
#: How often it is looked for what has to be told; also so that Ctrl-C is heard on every system.
LOOK_EVERY = 0.2

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
        listener = Listener(arguments, source_of(arguments, os.environ), LineWriter(sys.stdout))
        code = listener.run()
    if listener.summary is not None and not arguments.quiet:
        errors.write("\n" + format_report(listener.summary))
    return code


def connection_settings(
    arguments: argparse.Namespace, venue: Venue | None = None
) -> dict[str, Any]:
    """Turn the options into arguments of a connection; what was not given is left out.

    :param venue: whose policy counts where none is given.
    :raises ConfigurationError: a header is given twice, or a value is not allowed.
    """
    policy = ReconnectPolicy() if venue is None else venue.policy()
    given = {
        "initial_delay": arguments.initial_delay,
        "max_delay": arguments.max_delay,
        "max_attempts": arguments.max_attempts,
    }
    settings: dict[str, Any] = {
        "headers": _headers(arguments.header),
        "subprotocols": arguments.subprotocol or None,
        "compression": arguments.compression,
        "reconnect": dataclasses.replace(
            policy, **{name: value for name, value in given.items() if value is not None}
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


def decoded_line(message: Message) -> str:
    """Write a decoded message as JSON."""
    shown = {
        "topic": message.topic,
        "channel": message.channel,
        "symbol": message.symbol,
        "data": message.data,
        "received_at": message.received_at,
    }
    return json.dumps(shown, ensure_ascii=False)


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
    :param source: what to listen to.
    :param output: where messages go.
    :ivar summary: of the monitor, from just before the connection was stopped; None when
        there is nobody to read it.
    :raises ConfigurationError: an argument is wrong.
    :raises SubscriptionLimitError: there are more topics than a connection may have.
    """

    def __init__(self, arguments: argparse.Namespace, source: Source, output: LineWriter) -> None:
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
            source.url,
            on_message=None if arguments.decoded else self._print,
            on_data=self._print_decoded if arguments.decoded else None,
            on_open=self._greet,
            on_error=self._note_error,
            on_state_change=self._note_state,
            monitor=self._monitor,
            venue=source.venue,
            auth=source.auth,
            first_data_timeout=FIRST_DATA,
            **connection_settings(arguments, source.venue),
        )
        self._topics = source.topics
        if source.topics:
            self._connection.subscribe(*source.topics)
        self._doubtful: deque[str] = deque()  # topics that bring nothing, until they are told
        self._adviser: SymbolAdviser | None = None
        if source.venue is not None and source.is_rest_known:
            self._adviser = SymbolAdviser(source.venue)

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
        while not self._done.is_set():
            rest = LOOK_EVERY if deadline is None else min(LOOK_EVERY, deadline - monotonic())
            if rest <= 0.0:
                break
            self._done.wait(rest)
            self._explain([self._doubtful.popleft() for _ in range(len(self._doubtful))])
            if self._is_refused:
                break
        if self._was_connected and not self._print.printed:
            self._explain(self._topics)

    def _explain(self, topics: Sequence[str]) -> None:
        """Say of topics that bring nothing what can be found out."""
        if topics and self._adviser is not None:
            for text in self._adviser.explain(topics):
                logger.warning("%s", text)

    @property
    def _is_refused(self) -> bool:
        """Whether the exchange has refused all topics."""
        return bool(self._topics) and not self._connection.subscriptions

    def _complaint(self, last_error: str) -> str:
        """Say why this is no success; "" when it is."""
        if self._print.is_complete:
            return ""
        if self._is_refused:
            return "the exchange has refused all topics"
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

    def _print_decoded(self, message: Message) -> None:
        self._print(decoded_line(message))

    def _note_error(self, error: Exception) -> None:
        # The library's log tells it; what is to be found out takes time, which no handler has.
        if isinstance(error, SubscriptionError) and error.topic is not None:
            self._doubtful.append(error.topic)

    def _note_state(self, change: StateChange) -> None:
        if change.state is ConnectionState.CONNECTED:
            self._was_connected = True
        elif change.state is ConnectionState.FAILED:
            self._has_failed = True
            self._done.set()
