"""Connections with make_before_break, and servers whose messages are numbered."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from wsresilient import Failure, FailureKind, Message, ResilientWebSocket
from wsresilient.runtime.succeeding import Phase
from wsresilient.testing import FakeExchange, wait_until

from .clients import Seen, running
from .servers import CLOSE, PATIENCE, PING, PONG, TEXT, Peer, RawServer, raw_server
from .venue_clients import listening

__all__ = [
    "ROTATING",
    "TICKER",
    "TRADE",
    "UNROTATED",
    "Numbers",
    "Plain",
    "Trading",
    "is_whole",
    "numbers_of",
    "phase",
    "plain",
    "rotate_now",
    "rotations",
    "trading",
    "wait_for_phase",
    "wait_for_rotations",
]

TRADE, TICKER = "btcusdt@trade", "btcusdt@bookTicker"
#: What makes a connection be replaced every quarter of a second.
ROTATING: dict[str, Any] = {"rotation": "make_before_break", "max_age": 0.25, "min_uptime": 0.05}
#: And only when somebody wants it.
UNROTATED: dict[str, Any] = {**ROTATING, "max_age": None}


def is_whole(numbers: list[int]) -> bool:
    """Tell whether each number comes once and in its place."""
    return bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def numbers_of(messages: list[Any]) -> list[int]:
    """Give the numbers of trades, or of what :class:`Numbers` sends, without its echoes."""
    if messages and isinstance(messages[0], Message):
        return [number for message in messages for number in _trade_ids(message)]
    return [int(message) for message in messages if not str(message).startswith("echo")]


def _trade_ids(message: Message) -> list[int]:
    if message.topic == TRADE:
        return [message.data["t"]]
    if message.channel == "trades":
        return [int(trade["tradeId"]) for trade in message.data]
    return []


def rotations(ws: ResilientWebSocket) -> int:
    """Tell how many there were."""
    count: int = ws.get_stats()["rotations"]
    return count


def wait_for_rotations(ws: ResilientWebSocket, count: int) -> None:
    """Wait for so many."""
    wait_until(lambda: rotations(ws) >= count, 2 * PATIENCE, f"{count} rotations")


def rotate_now(ws: ResilientWebSocket) -> None:
    """Ask for a rotation, as a server's notice does."""
    assert ws._life is not None
    reason = Failure(FailureKind.ROTATION, "planned rotation: for a test", is_error=False)
    assert ws._life._succession.request(reason)


def phase(ws: ResilientWebSocket) -> Phase:
    """Tell how far a rotation is, which no member of a connection does."""
    assert ws._life is not None
    return ws._life._succession.phase


def wait_for_phase(ws: ResilientWebSocket, *wanted: Phase) -> None:
    """Wait until a rotation is so far."""
    wait_until(lambda: phase(ws) in wanted, 2 * PATIENCE, " or ".join(wanted))


class Numbers:
    """A server that sends numbers, the same to all who listen; some have to ask for them."""

    def __init__(self, *, on_request: bool = False) -> None:
        self._on_request = on_request
        self._lock = threading.Lock()  # guards the peers and the sending
        self._listeners: list[Peer] = []
        self._next = 0
        self.first: int | None = None  # that anybody got
        self._over = threading.Event()
        self.requests: list[tuple[int, str]] = []
        self.closes: list[tuple[int, int | None]] = []
        self._thread = threading.Thread(target=self._send, name="numbers")
        self._thread.start()

    def behave(self, peer: Peer) -> None:
        """Serve a connection."""
        if not self._on_request:
            self.listen(peer)
        try:
            while self._answer(peer):
                pass
        finally:
            with self._lock:
                self._listeners = [one for one in self._listeners if one is not peer]

    def _answer(self, peer: Peer) -> bool:
        frame = peer.read()
        if frame.opcode == TEXT:
            text = frame.payload.decode()
            self.requests.append((peer.number, text))
            with self._lock:
                peer.send(TEXT, f"echo {text}")
            if text == "numbers, please":
                self.listen(peer)
        elif frame.opcode == PING:
            with self._lock:
                peer.send(PONG, frame.payload)
        elif frame.opcode == CLOSE:
            self.closes.append((peer.number, frame.code))
            with self._lock:
                peer.send(CLOSE, frame.payload)
            return False
        return True

    def listen(self, peer: Peer) -> None:
        """Let a peer have the numbers."""
        with self._lock:
            self._listeners.append(peer)

    def _send(self) -> None:
        while not self._over.wait(0.002):
            with self._lock:
                for peer in self._listeners:
                    self.first = self._next if self.first is None else self.first
                    with contextlib.suppress(OSError):
                        peer.text(str(self._next))
                self._next += 1

    def end(self) -> None:
        """Send no more."""
        self._over.set()
        self._thread.join(PATIENCE)


class Plain(NamedTuple):
    """A connection without a venue, what it was told, and its server."""

    ws: ResilientWebSocket
    seen: Seen
    feed: Numbers
    server: RawServer


@contextlib.contextmanager
def plain(
    *, behave: Any = None, on_request: bool = False, settings: Any = None, **more: Any
) -> Iterator[Plain]:
    """Run a connection to a server of numbers.

    :param behave: ``(peer, feed)`` in place of the server's own handshake and behaviour.
    """
    feed = Numbers(on_request=on_request)

    def serve(peer: Peer) -> None:
        if behave is None:
            peer.accept()
            feed.behave(peer)
        else:
            behave(peer, feed)

    try:
        with (
            raw_server(serve, handshake=False) as server,
            running(server.url, **{**ROTATING, **(settings or {}), **more}) as (ws, seen),
        ):
            yield Plain(ws, seen, feed, server)
    finally:
        feed.end()


class Trading(NamedTuple):
    """A connection to an exchange with numbered trades, and what it was told."""

    ws: ResilientWebSocket
    seen: Seen
    messages: list[Message]
    exchange: FakeExchange

    @property
    def numbers(self) -> list[int]:
        """The numbers of the trades."""
        return numbers_of(self.messages)

    def wait_for_newest(self) -> None:
        """Wait until the running connection has brought something."""
        generation = self.ws.generation
        wait_until(
            lambda: self.messages and self.messages[-1].generation >= generation,
            PATIENCE,
            "data of the newest connection",
        )


@contextlib.contextmanager
def trading(*topics: str, venue: str = "binance", **settings: Any) -> Iterator[Trading]:
    """Run a connection to a fake exchange."""
    with (
        FakeExchange(venue, rate=500.0) as exchange,
        listening(exchange, *topics, **{**ROTATING, **settings}) as (ws, seen, messages),
    ):
        yield Trading(ws, seen, messages, exchange)
