"""What the fake exchange writes down for the test, and what the test has it answer.

Values only: no socket, no clock.
"""

from __future__ import annotations

import http
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from wsresilient.errors import ConfigurationError

__all__ = [
    "Handshake",
    "LoginAttempt",
    "ReceivedRequest",
    "RestRecord",
    "ScriptedResponse",
    "take_scripted",
]


class ReceivedRequest(NamedTuple):
    """A control message of a client.

    :ivar at: seconds of time.monotonic().
    :ivar connection: the number of its connection, counted from 1.
    :ivar payload: what came: text as str, binary as bytes.
    """

    at: float
    connection: int
    payload: str | bytes

    @property
    def message(self) -> Any:
        """The payload as JSON.

        :raises ValueError: it is no JSON.
        """
        return json.loads(self.payload)


class Handshake(NamedTuple):
    """An opening handshake that was answered.

    :ivar at: seconds of time.monotonic().
    :ivar connection: the number of its connection, counted from 1.
    :ivar target: path and query.
    :ivar headers: with lower-case names; of several with one name the last.
    :ivar status: the HTTP status of the answer; 101 is success.
    """

    at: float
    connection: int
    target: str
    headers: dict[str, str]
    status: int


@dataclass(frozen=True)
class LoginAttempt:
    """A login of a client.

    :ivar at: seconds of time.monotonic(), when it came.
    :ivar connection: the number of its connection, counted from 1.
    :ivar api_key: as the client wrote it.
    :ivar code: why it was refused, in the venue's terms; None: it was accepted.
    :ivar message: what the venue says of that.
    """

    at: float
    connection: int
    api_key: str = field(repr=False)
    code: int | None = None
    message: str = ""

    @property
    def was_accepted(self) -> bool:
        """Whether it was accepted."""
        return self.code is None


@dataclass(frozen=True)
class RestRecord:
    """A request over REST.

    :ivar at: seconds of time.monotonic().
    :ivar path: without the query.
    :ivar query: of several values of one name the last.
    :ivar headers: with lower-case names.
    :ivar status: the HTTP status of the answer.
    """

    at: float
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int


@dataclass(frozen=True)
class ScriptedResponse:
    """An HTTP response in place of the handshake, or of an answer over REST.

    :ivar count: how many requests get it; None: all.
    :ivar path: only those with this path get it; None: any.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    count: int | None
    path: str | None = None

    def __post_init__(self) -> None:
        if not 100 <= self.status <= 999:
            raise ConfigurationError(f"status must be a number of three digits, not {self.status}")
        if self.count is not None and self.count < 1:
            raise ConfigurationError(f"count must be 1 or more or None, not {self.count}")
        if any("\n" in text or "\r" in text for item in self.headers.items() for text in item):
            raise ConfigurationError("headers must not contain line ends")

    def encode(self) -> bytes:
        """Write it as HTTP/1.1. Content-Length and Connection are added unless they are given."""
        try:
            phrase = http.HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        headers = {"content-length": str(len(self.body)), "connection": "close"}
        headers.update((name.lower(), value) for name, value in self.headers.items())
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name.title()}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def used_once(self) -> ScriptedResponse | None:
        """Give what is left of it after one request; None: nothing."""
        if self.count is None:
            return self
        return replace(self, count=self.count - 1) if self.count > 1 else None


def take_scripted(
    responses: deque[ScriptedResponse], path: str | None = None
) -> ScriptedResponse | None:
    """Use the first response that is for this path; None: there is none."""
    for place, response in enumerate(responses):
        if response.path is None or response.path == path:
            rest = response.used_once()
            if rest is None:
                del responses[place]
            else:
                responses[place] = rest
            return response
    return None
