"""send(queue=True): kept while there is no connection, in order, bounded, forgotten in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from wsresilient import NotConnectedError, RateLimiter, ResilientWebSocket

from .clients import SLOW_RETRY, is_served, quick, running
from .servers import (
    PATIENCE,
    GoodServer,
    free_port,
    good_server,
    wait_until,
)


@pytest.fixture
def port() -> int:
    return free_port()


def waiting_for(port: int, **settings: Any) -> ResilientWebSocket:
    """Start a client that has found no server, and waits for the next attempt."""
    given = {"reconnect": SLOW_RETRY, **settings}
    ws = quick(f"ws://127.0.0.1:{port}", **given).start()
    wait_until(lambda: ws.state == "reconnecting")
    return ws


@pytest.fixture
def stopped_later() -> Iterator[list[ResilientWebSocket]]:
    """What is put into it is stopped at the end."""
    connections: list[ResilientWebSocket] = []
    yield connections
    assert all(ws.stop(PATIENCE) for ws in connections)


def received(server: GoodServer, count: int) -> list[str | bytes]:
    wait_until(lambda: len(server.received) >= count, PATIENCE, f"{count} messages")
    return server.received


def test_queued_messages_go_out_in_order_behind_on_open(
    port: int, stopped_later: list[ResilientWebSocket]
) -> None:
    ws = waiting_for(port, on_open=lambda ws: ws.send("login"))
    stopped_later.append(ws)
    assert ws.send("text", queue=True) == "queued"
    assert ws.send(b"binary", queue=True) == "queued"
    assert ws.send({"a": 1}, queue=True) == "queued"
    with good_server(port=port) as server:
        ws.reconnect()
        assert received(server, 4) == ["login", "text", b"binary", '{"a":1}']
        assert ws.stop(PATIENCE)


def test_connected_and_nothing_waiting_it_is_sent_at_once() -> None:
    with good_server() as server, running(server.url) as (ws, seen):
        seen.wait_for_opens(1)
        wait_until(lambda: is_served(ws))
        assert ws.send("now", queue=True) == "sent"
        assert received(server, 1) == ["now"]


def test_order_is_kept_while_the_queue_empties(
    port: int, stopped_later: list[ResilientWebSocket]
) -> None:
    ws = waiting_for(port, send_queue_size=2000)
    stopped_later.append(ws)
    for number in range(500):
        ws.send(str(number), queue=True)
    with good_server(port=port) as server:
        ws.reconnect()
        for number in range(500, 1000):
            ws.send(str(number), queue=True)
        assert received(server, 1000) == [str(number) for number in range(1000)]
        assert ws.stop(PATIENCE)


def test_expired_messages_are_forgotten(port: int, stopped_later: list[ResilientWebSocket]) -> None:
    ws = waiting_for(port)
    stopped_later.append(ws)
    ws.send("an order of yesterday", queue=True, ttl=0.01)
    ws.send("stays", queue=True, ttl=60.0)
    ws.send("stays too", queue=True)
    queued_at = time.monotonic()
    wait_until(lambda: time.monotonic() - queued_at > 0.02)
    with good_server(port=port) as server:
        ws.reconnect()
        assert received(server, 2) == ["stays", "stays too"]
        assert ws.stop(PATIENCE)


def test_full_queue_refuses_and_says_so(port: int, stopped_later: list[ResilientWebSocket]) -> None:
    ws = waiting_for(port, send_queue_size=2)
    stopped_later.append(ws)
    ws.send("1", queue=True)
    ws.send("2", queue=True)
    with pytest.raises(NotConnectedError, match="send_queue_size is 2"):
        ws.send("3", queue=True)


def test_expired_messages_make_room(port: int, stopped_later: list[ResilientWebSocket]) -> None:
    ws = waiting_for(port, send_queue_size=1)
    stopped_later.append(ws)
    ws.send("1", queue=True, ttl=0.0)
    assert ws.send("2", queue=True) == "queued"


def test_queue_of_size_zero_takes_nothing(
    port: int, stopped_later: list[ResilientWebSocket]
) -> None:
    ws = waiting_for(port, send_queue_size=0)
    stopped_later.append(ws)
    with pytest.raises(NotConnectedError, match="send_queue_size"):
        ws.send("x", queue=True)


def test_what_was_queued_before_start_goes_out_after_it() -> None:
    with good_server() as server:
        ws = quick(server.url)
        assert ws.send("before", queue=True) == "queued"
        with ws:
            assert received(server, 1) == ["before"]


def test_a_connection_that_is_not_running_still_bounds_its_queue(port: int) -> None:
    ws = quick(f"ws://127.0.0.1:{port}", send_queue_size=1)
    assert ws.send("kept", queue=True) == "queued"
    with pytest.raises(NotConnectedError, match="send_queue_size"):
        ws.send("too many", queue=True)


def test_stop_forgets_what_waits(port: int, stopped_later: list[ResilientWebSocket]) -> None:
    ws = waiting_for(port)
    stopped_later.append(ws)
    ws.send("stale", queue=True)
    assert ws.stop(PATIENCE)
    with good_server(port=port) as server:
        ws.start()
        assert ws.wait_until_connected(PATIENCE)
        ws.send("fresh")
        assert received(server, 1) == ["fresh"]
        assert ws.stop(PATIENCE)


def test_each_outage_has_its_own_messages_and_none_goes_out_twice(
    port: int, stopped_later: list[ResilientWebSocket]
) -> None:
    ws = waiting_for(port)
    stopped_later.append(ws)
    for outage in range(3):
        texts = [f"{outage}.{number}" for number in range(3)]
        for text in texts:
            assert ws.send(text, queue=True) == "queued"
        with good_server(port=port) as server:
            ws.reconnect()
            assert received(server, 3) == texts
        wait_until(lambda: ws.state == "reconnecting")


def test_queue_keeps_to_the_send_rate(port: int, stopped_later: list[ResilientWebSocket]) -> None:
    ws = waiting_for(port, send_rate=RateLimiter(50.0, burst=1))
    stopped_later.append(ws)
    for number in range(11):
        ws.send(str(number), queue=True)
    with good_server(port=port) as server:
        before = time.monotonic()
        ws.reconnect()
        assert received(server, 11) == [str(number) for number in range(11)]
        assert time.monotonic() - before >= 0.19
        assert ws.stop(PATIENCE)


def test_slow_on_open_holds_back_the_queue_only(port: int) -> None:
    go_on = threading.Event()
    with good_server() as server:
        settings: dict[str, Any] = {"on_open": lambda _: go_on.wait(PATIENCE)}
        with running(server.url, **settings) as (ws, _):
            assert ws.send("later", queue=True) == "queued"
            assert ws.send("at once") == "sent"
            assert received(server, 1) == ["at once"]
            go_on.set()
            assert received(server, 2) == ["at once", "later"]
