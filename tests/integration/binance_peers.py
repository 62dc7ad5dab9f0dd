"""A client of the fake Binance's market streams, on the sync client of the websockets library."""

from __future__ import annotations

import itertools
import json
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync import client as sync_client
from websockets.sync.client import ClientConnection

__all__ = [
    "A_MOMENT",
    "TICKER",
    "TIMEOUT",
    "TRADE",
    "answer",
    "ask",
    "connect",
    "end_of",
    "holes",
    "is_silent",
    "receive",
    "trade_ids",
]

TIMEOUT = 10.0
# How long a test looks before it says that nothing comes.
A_MOMENT = 0.15

TRADE = "btcusdt@trade"
TICKER = "ethusdt@ticker"


def connect(url: str, **settings: Any) -> ClientConnection:
    """Connect with a client that answers the server however much waits to be read."""
    client: ClientConnection = sync_client.connect(url, max_queue=None, **settings)
    return client


def receive(client: ClientConnection) -> Any:
    return json.loads(client.recv(timeout=TIMEOUT))


def ask(client: ClientConnection, method: str, *params: str, request_id: int = 1) -> Any:
    """Send a request, pass over data, and give the answer."""
    message: dict[str, Any] = {"method": method, "id": request_id}
    if params:
        message["params"] = params
    client.send(json.dumps(message))
    return answer(client)


def answer(client: ClientConnection) -> Any:
    return next(m for m in iter(lambda: receive(client), None) if not is_data(m))


def is_data(message: Any) -> bool:
    return isinstance(message, dict) and ("stream" in message or "e" in message)


def trade_ids(client: ClientConnection, count: int) -> list[int]:
    """Give the numbers of the next trades of a combined stream."""
    return [receive(client)["data"]["t"] for _ in range(count)]


def holes(ids: list[int]) -> int:
    return sum(b - a - 1 for a, b in itertools.pairwise(ids))


def is_silent(client: ClientConnection) -> bool:
    """Read what is there, and tell whether then nothing comes for a moment."""
    try:
        for _ in range(100_000):
            client.recv(timeout=A_MOMENT)
    except TimeoutError:
        return True
    return False


def end_of(client: ClientConnection) -> ConnectionClosed:
    """Read until the connection ends."""
    while True:
        try:
            client.recv(timeout=TIMEOUT)
        except ConnectionClosed as closed:
            return closed
