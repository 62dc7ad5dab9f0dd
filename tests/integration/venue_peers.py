"""A client that speaks JSON with a fake exchange, on the sync client of the websockets library.

A peer of another make, so that a misunderstanding of ours is not on both sides.
"""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

__all__ = ["VenuePeer", "get_json", "opened"]

#: Seconds after which something that has to happen has not happened.
TIMEOUT = 10.0


class VenuePeer:
    """One connection.

    :param is_data: tells data from answers.
    """

    def __init__(self, client: ClientConnection, is_data: Callable[[Any], bool]) -> None:
        self._client = client
        self._is_data = is_data

    def send(self, message: dict[str, Any] | str) -> None:
        """Send a request; a str as it is."""
        self._client.send(message if isinstance(message, str) else json.dumps(message))

    def receive(self) -> Any:
        """Give the next message; a bare word as it is."""
        text = str(self._client.recv(timeout=TIMEOUT))
        return text if text.isalpha() else json.loads(text)

    def ask(self, message: dict[str, Any] | str) -> Any:
        """Send a request, pass over data, and give the answer."""
        self.send(message)
        return self.answer()

    def answer(self) -> Any:
        """Give the next message that is no data."""
        while self._is_data(message := self.receive()):
            continue
        return message

    def data(self, count: int) -> list[Any]:
        """Give the next messages that are data."""
        messages = iter(self.receive, None)
        return list(itertools.islice(filter(self._is_data, messages), count))

    def data_before(self, ping: dict[str, Any] | str) -> list[Any]:
        """Send a ping and give all data that comes before its answer: all that was sent so far."""
        self.send(ping)
        found = []
        while self._is_data(message := self.receive()):
            found.append(message)
        return found

    def end(self) -> ConnectionClosed:
        """Read until the connection ends."""
        while True:
            try:
                self._client.recv(timeout=TIMEOUT)
            except ConnectionClosed as closed:
                return closed


@contextmanager
def opened(url: str, is_data: Callable[[Any], bool]) -> Iterator[VenuePeer]:
    """Connect with a client that answers the server however much waits to be read."""
    with connect(url, max_queue=None) as client:
        yield VenuePeer(client, is_data)


def get_json(url: str) -> tuple[int, Any]:
    """Ask over REST; give the HTTP status and the answer."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None
