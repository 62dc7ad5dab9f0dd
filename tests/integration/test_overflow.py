"""A handler that cannot keep up: what each overflow policy keeps, drops, and says of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support import Gate
from wsresilient import ResilientWebSocket

from .clients import Seen, Session, is_held_back, is_served, quick, running
from .servers import CLOSE, PATIENCE, PING, PONG, Peer, frame, raw_server, serve_nothing, wait_until

KIB = 1024
DROPPING = ["drop_oldest", "drop_newest", "keep_latest"]


class Feed:
    """A server that sends what the test tells it to."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self._ready = threading.Semaphore(0)
        self._pongs = threading.Semaphore(0)

    def behave(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._ready.release()
        while True:
            got = peer.read()
            if got.opcode == PONG:
                self._pongs.release()
            elif got.opcode == CLOSE:
                peer.send(CLOSE, got.payload)
                return

    def wait_for_client(self) -> None:
        """Wait for the next connection, each of which counts once."""
        assert self._ready.acquire(timeout=PATIENCE)

    def settle(self) -> None:
        """Wait until the client has read all that was sent."""
        self.peers[-1].send(PING)
        assert self._pongs.acquire(timeout=PATIENCE)


class Blocked(NamedTuple):
    """A client whose handler stands in its first message, "0", until the gate is opened."""

    session: Session
    feed: Feed
    gate: Gate

    @property
    def ws(self) -> ResilientWebSocket:
        return self.session.ws

    def text(self, *texts: str) -> None:
        """Send texts in one piece."""
        self.feed.peers[-1].text(*texts)

    def open(self) -> list[str]:
        """Let the handler go on; returns messages and gaps until the queue was empty."""
        self.gate.open()
        self.feed.settle()
        wait_until(lambda: self.ws.get_stats()["queue_depth"] == 0)
        # Events stand in the same lane, and nothing tells when it is through with them.
        wait_until(lambda: is_served(self.ws))
        return [line for line in self.session.seen.log if line.isdecimal() or "gap" in line]


@contextlib.contextmanager
def blocked(**settings: Any) -> Iterator[Blocked]:
    gate, feed, seen = Gate(), Feed(), Seen()
    handlers = seen.handlers()
    record = handlers.pop("on_message")

    def handle(message: str) -> None:
        record(message)
        if message == "0":
            gate.pass_through()

    with raw_server(feed.behave) as server:
        ws = quick(server.url, on_message=handle, **handlers, **settings)
        try:
            with ws:
                feed.wait_for_client()
                feed.peers[-1].text("0")
                gate.wait_for_arrival()
                try:
                    yield Blocked(Session(ws, seen), feed, gate)
                finally:
                    gate.open()
        finally:
            assert ws.stop(PATIENCE)


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


# block.


def test_block_loses_nothing_and_says_nothing() -> None:
    with blocked(queue_size=10) as client:
        client.text(*numbers(1, 100))
        client.text(*numbers(101, 200))
        wait_until(lambda: client.ws.get_stats()["queue_depth"] >= 10)
        client.gate.open()
        assert client.session.seen.wait_for_messages(201) == numbers(0, 200)
        assert client.ws.get_stats()["dropped_messages"] == 0
        assert client.session.seen.gaps == []


@pytest.mark.parametrize(
    ("bound", "most"),
    [({"queue_size": 10}, 10 + 9), ({"queue_bytes": 320 * KIB}, 10 + 9)],
    ids=["messages", "bytes"],
)
def test_bound_is_exceeded_by_one_read_at_most(bound: dict[str, int], most: int) -> None:
    """A read is of 256 KiB, which are eight whole messages of this test and two halves."""
    message = frame(1, "x" * (32 * KIB - 4))
    with blocked(**bound) as client:
        sender = threading.Thread(target=client.feed.peers[0].sock.sendall, args=(message * 300,))
        sender.start()
        wait_until(lambda: is_held_back(client.ws))
        assert 10 <= client.ws.get_stats()["queue_depth"] <= most
        client.gate.open()
        sender.join(PATIENCE)
        assert len(client.session.seen.wait_for_messages(301)) == 301
        assert client.ws.get_stats()["dropped_messages"] == 0


def test_block_passes_the_pressure_on_to_the_server() -> None:
    """What the client does not read stays in the kernel, until the server's send waits."""
    with blocked(queue_size=1) as client:
        sender = threading.Thread(
            target=client.feed.peers[0].sock.sendall, args=(frame(1, "x" * KIB) * 30_000,)
        )
        sender.start()
        wait_until(lambda: is_held_back(client.ws))
        received = client.ws.get_stats()["bytes_received"]
        assert received < 2048 * KIB
        assert sender.is_alive()
        client.gate.open()
        sender.join(PATIENCE)
        assert len(client.session.seen.wait_for_messages(30_001)) == 30_001


# The others.


def test_drop_oldest_keeps_the_newest_and_says_where_the_hole_is() -> None:
    with blocked(queue_size=10, overflow="drop_oldest") as client:
        client.text(*numbers(1, 60))
        client.text(*numbers(61, 100))
        client.feed.settle()
        assert client.ws.get_stats()["queue_depth"] <= 10
        assert client.ws.get_stats()["dropped_messages"] == 91
        assert client.open() == ["0", "gap overflow", *numbers(92, 100)]


def test_drop_newest_keeps_the_oldest_and_says_where_the_hole_is() -> None:
    with blocked(queue_size=10, overflow="drop_newest") as client:
        client.text(*numbers(1, 60))
        client.text(*numbers(61, 100))
        client.feed.settle()
        assert client.ws.get_stats()["queue_depth"] <= 10
        assert client.ws.get_stats()["dropped_messages"] == 91
        assert client.open() == [*numbers(0, 9), "gap overflow"]
        client.text("101", "102")
        client.feed.settle()
        assert client.open() == [*numbers(0, 9), "gap overflow", "101", "102"]


def test_keep_latest_keeps_one_of_each_topic() -> None:
    """Without a venue all messages are of one topic."""
    with blocked(queue_size=10, overflow="keep_latest") as client:
        client.text(*numbers(1, 60))
        client.text(*numbers(61, 100))
        client.feed.settle()
        got = client.open()
        assert got[:2] == ["0", "gap overflow"]
        assert got[-1] == "100"
        assert len(got) <= 2 + 10
        assert client.ws.get_stats()["dropped_messages"] == 101 - (len(got) - 1)


@pytest.mark.parametrize("overflow", DROPPING)
def test_nothing_is_dropped_while_there_is_room(overflow: str) -> None:
    with blocked(queue_size=101, overflow=overflow) as client:
        client.text(*numbers(1, 60))
        client.text(*numbers(61, 100))
        client.feed.settle()
        assert client.open() == numbers(0, 100)
        assert client.ws.get_stats()["dropped_messages"] == 0


@pytest.mark.parametrize("overflow", DROPPING)
def test_gap_is_told_once_for_each_episode(overflow: str) -> None:
    with blocked(queue_size=2, overflow=overflow) as client:
        for number in range(1, 50):
            client.text(str(number))
        client.feed.settle()
        client.open()
        gaps = client.session.seen.gaps
        assert [gap.reason for gap in gaps] == ["overflow"]
        assert gaps[0].connection == "test"
        assert 1e9 < gaps[0].started_at <= gaps[0].ended_at


@pytest.mark.parametrize("overflow", DROPPING)
def test_bytes_are_bounded_too(overflow: str) -> None:
    with blocked(queue_bytes=100 * KIB, overflow=overflow) as client:
        for number in range(1, 101):
            client.text(f"{number:010240}")
        client.feed.settle()
        # Ten and "0", and under drop_newest the read with which it became full: 256 KiB at most.
        most = 11 + 26 * (overflow == "drop_newest")
        assert client.ws.get_stats()["queue_depth"] <= most
        assert client.ws.get_stats()["dropped_messages"] >= 100 - most
        assert [gap.reason for gap in client.session.seen.gaps] == []
        assert client.open().count("gap overflow") == 1


@pytest.mark.parametrize("overflow", ["block", *DROPPING])
def test_message_larger_than_the_whole_queue_is_delivered(overflow: str) -> None:
    def behave(peer: Peer) -> None:
        peer.text("x" * KIB)
        peer.serve()

    with (
        raw_server(behave) as server,
        running(server.url, queue_size=1, queue_bytes=1, overflow=overflow) as (_, seen),
    ):
        assert seen.wait_for_messages(1) == ["x" * KIB]
        assert seen.gaps == []


@pytest.mark.parametrize("overflow", DROPPING)
def test_events_are_never_dropped(overflow: str) -> None:
    with blocked(queue_size=1, overflow=overflow) as client:
        for _ in range(5):
            client.text(*numbers(1, 100))
            client.feed.settle()
            client.feed.peers[-1].cut()
            client.feed.wait_for_client()
        client.feed.settle()
        client.open()
        wait_until(lambda: len(client.session.seen.opens) == 6)
        seen = client.session.seen
        assert len(seen.closes) == len(seen.errors) == 5
        assert [gap.reason for gap in seen.gaps].count("reconnect") == 5
        states = [str(change.state) for change in seen.states]
        assert states == ["connecting", "connected", "reconnecting"] * 5 + [
            "connecting",
            "connected",
        ]
        order = [line for line in seen.log if line == "open" or line.startswith("close")]
        assert order == ["open", "close None"] * 5 + ["open"]


def test_blocked_handler_does_not_make_send_wait() -> None:
    with blocked(queue_size=1, overflow="drop_oldest") as client:
        client.text(*numbers(1, 100))
        client.feed.settle()
        assert client.ws.send("on my way") == "sent"


def test_full_queue_of_one_connection_is_nothing_to_another() -> None:
    with blocked(queue_size=1) as client, raw_server(serve_nothing) as server:
        client.text(*numbers(1, 100))
        with running(server.url) as (_, seen):
            seen.wait_for_opens(1)
