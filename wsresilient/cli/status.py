"""``wsresilient status URL``: how a running process's connections are, for people and monitors.

The process has to serve its dashboard; its ``/summary`` and ``/history`` are read.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from ..config import check_seconds
from ..core.redact import Redactor
from ..errors import ConfigurationError, describe
from ..observe import format_report
from ..runtime.clock import monotonic
from ..runtime.http_client import HttpAnswer, HttpClient, NoAnswerError, parse_base_url
from .output import LineWriter, Screen, silence_standard_output
from .parsing import EXIT_UNKNOWN

__all__ = ["Look", "StatusSource", "UnknownStatusError", "run_status", "target_of"]

TOKEN_VARIABLE = "WSRESILIENT_TOKEN"

#: Seconds for one answer in all, and without a byte; bytes of an answer.
DEADLINE = 10.0
SILENCE = 5.0
MAX_BODY = 32 * 1024 * 1024

#: What of the history the report shows.
_HISTORY = {"minutes": "60", "points": "1"}


class UnknownStatusError(Exception):
    """It cannot be told how the process is; the text says why."""


def run_status(arguments: argparse.Namespace) -> int:
    """Show the status once, or until Ctrl-C.

    :returns: the process's return code (0 ok, 1 warning, 2 critical), or 3 when it is unknown.
    """
    try:
        return _run(arguments)
    except Exception as error:
        # Not the code of other commands, nor that of a traceback: 1 and 2 would be alarms.
        with contextlib.suppress(OSError):
            print(f"wsresilient status: error: {_told(error)}", file=sys.stderr)
        silence_standard_output()
        return EXIT_UNKNOWN


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ConfigurationError) else describe(error)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.watch is not None:
        check_seconds("--watch", arguments.watch, minimum=0.1)
    url, token = target_of(arguments.url, arguments.token)
    source = StatusSource(url, token)
    repeats = arguments.watch is not None
    printer = _JsonPrinter(repeats) if arguments.json else _ReportPrinter(repeats, url)
    try:
        return _show(source, printer, arguments.watch)
    finally:
        source.close()
        if printer.writer.is_broken:
            silence_standard_output()


def _show(source: StatusSource, printer: _Printer, every: float | None) -> int:
    code = EXIT_UNKNOWN
    pause = threading.Event()  # nobody sets it: this is a sleep that Ctrl-C ends on every system
    try:
        while True:
            try:
                look = source.look()
                printer.show(look)
                code = look.return_code
            except UnknownStatusError as error:
                printer.complain(str(error))
                code = EXIT_UNKNOWN
            if every is None or printer.writer.is_broken:
                return code
            pause.wait(every)
    except KeyboardInterrupt:
        return code


def target_of(text: str, token: str | None) -> tuple[str, str | None]:
    """Find out what to ask, and with which token.

    :param text: as typed: with or without scheme and path, perhaps as the browser was given it.
    :param token: the option's; None: the one in the URL, else the environment's.
    :returns: the dashboard's URL without a slash at the end, and the token or None.
    :raises ConfigurationError: it is no URL.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError as error:
        raise ConfigurationError(f"URL is {text!r:.80}; allowed: http://host:port") from error
    given = parse_qs(parts.query).get("token", [None])[-1]
    path = parts.path.rstrip("/").removesuffix("/summary")
    url = parse_base_url("URL", urlunsplit((parts.scheme, parts.netloc, path, "", ""))).url
    return url, token or given or os.environ.get(TOKEN_VARIABLE) or None


@dataclass(frozen=True, slots=True)
class Look:
    """What the process said at one time.

    :ivar summary: of ``/summary``.
    :ivar history: of ``/history``, or None when it gave none.
    """

    summary: Mapping[str, Any] = field(repr=False)
    history: Mapping[str, Any] | None = field(repr=False)

    @property
    def return_code(self) -> int:
        """0 ok, 1 warning, 2 critical."""
        return int(self.summary["return_code"])

    def report(self) -> str:
        """Lay it out as the process itself would.

        :raises UnknownStatusError: it is not what a dashboard says.
        """
        issues = None if self.history is None else self.history.get("issues")
        try:
            text = format_report(self.summary, issues=issues, history=self.history)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnknownStatusError(
                f"its /summary is not that of a dashboard of this version: {describe(error)}"
            ) from error
        # What another process sends must not move the cursor of somebody's terminal.
        return "".join(
            char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}"
            for char in text
        )


class StatusSource:
    """Asks a dashboard.

    :param url: without a slash at the end.
    :param token: what it has to be told, or None.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        redact = Redactor([token] if token else [])
        self._client = HttpClient(redact=redact, max_body=MAX_BODY)

    def __repr__(self) -> str:
        return f"<StatusSource {self._url}>"

    def close(self) -> None:
        """Give its connections back."""
        self._client.close()

    def look(self) -> Look:
        """Ask once.

        :raises UnknownStatusError: there is no answer, or none that tells the status.
        """
        summary = self._json("/summary", {})
        if summary.get("return_code") not in (0, 1, 2):
            raise UnknownStatusError("it answers, but not as a dashboard of wsresilient")
        try:
            history = self._json("/history", _HISTORY)
        except UnknownStatusError:
            history = None  # the status is known without it
        return Look(summary, history)

    def _json(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        answer = self._ask(path, parameters)
        if answer.status != 200:
            raise UnknownStatusError(_refusal(answer))
        try:
            content = json.loads(answer.body)
        except ValueError as error:
            raise UnknownStatusError("it answers, but not with JSON") from error
        if not isinstance(content, dict):
            raise UnknownStatusError("it answers, but not as a dashboard of wsresilient")
        return content

    def _ask(self, path: str, parameters: Mapping[str, str]) -> HttpAnswer:
        try:
            return self._client.request(
                "GET",
                self._url + path,
                parameters=parameters,
                headers=self._headers,
                deadline=monotonic() + DEADLINE,
                silence=SILENCE,
            )
        except NoAnswerError as error:
            raise UnknownStatusError(f"no answer: {error}") from error


def _refusal(answer: HttpAnswer) -> str:
    if answer.status == 401:
        return f"HTTP 401: its token is needed: --token, or the variable {TOKEN_VARIABLE}"
    if 300 <= answer.status < 400:
        return f"HTTP {answer.status}: a redirect, which is not followed"
    return f"HTTP {answer.status}"


class _Printer(ABC):
    """Prints to standard output; a subclass says what.

    :param repeats: whether it will be called more than once.
    """

    def __init__(self, repeats: bool) -> None:
        self.writer = LineWriter(sys.stdout)
        self._repeats = repeats

    @abstractmethod
    def show(self, look: Look) -> None:
        """Print what was seen.

        :raises UnknownStatusError: it cannot be laid out.
        """

    @abstractmethod
    def complain(self, text: str) -> None:
        """Print why nothing was seen."""


class _JsonPrinter(_Printer):
    """Prints the summary; one line each when there are several."""

    def show(self, look: Look) -> None:
        self.writer.write(json.dumps(look.summary, indent=None if self._repeats else 2))

    def complain(self, text: str) -> None:
        print(f"wsresilient status: unknown: {text}", file=sys.stderr)


class _ReportPrinter(_Printer):
    """Prints the report; on a terminal each in the place of the one before."""

    def __init__(self, repeats: bool, url: str) -> None:
        super().__init__(repeats)
        self._url = url
        self._screen = Screen(self.writer)
        self._has_printed = False

    def show(self, look: Look) -> None:
        self._print(look.report())

    def complain(self, text: str) -> None:
        self._print(f"Status: unknown ({self._url}: {text})")

    def _print(self, text: str) -> None:
        lines = text.splitlines()
        if self._repeats and self.writer.is_terminal:
            self._screen.draw(lines)
        else:
            for line in ["", *lines] if self._has_printed else lines:
                self.writer.write(line)
        self._has_printed = True
