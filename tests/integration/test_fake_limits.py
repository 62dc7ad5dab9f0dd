"""The limits of the fake exchange: each is enforced as the venue does it, and written down."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_client

from wsresilient.testing import FakeExchange, wait_until
from wsresilient.testing.limits import Limit, Rate

from .venue_peers import TIMEOUT, VenuePeer, opened

TRADE, TICKER = "btcusdt@trade", "ethusdt@ticker"
# Longer than any test may take.
NEVER = 1000.0


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("binance", rate=500.0) as exchange:
        yield exchange


def connect(exchange: FakeExchange) -> AbstractContextManager[VenuePeer]:
    return opened(exchange.url, lambda message: "stream" in message)


def subscribe(*topics: str) -> dict[str, Any]:
    return {"method": "SUBSCRIBE", "params": list(topics), "id": 1}


def violated(exchange: FakeExchange) -> list[Limit]:
    return [violation.what for violation in exchange.violations]


def close_code(client: VenuePeer) -> int | None:
    received = client.end().rcvd
    return None if received is None else received.code


# Messages.


def test_who_is_too_fast_is_closed(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        for _ in range(6):
            client.send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        closed = client.end().rcvd

    assert closed is not None
    assert (closed.code, closed.reason) == (1008, "Too many requests")
    (violation,) = exchange.violations
    assert (violation.connection, violation.what) == (1, Limit.MESSAGES)
    assert violation.at <= time.monotonic()
    assert len(exchange.requests) == 6


def test_pings_and_pongs_are_messages_too() -> None:
    with (
        FakeExchange("binance", message_rate=(3, NEVER)) as exchange,
        connect_client(exchange.url, ping_interval=None) as client,
    ):
        for _ in range(3):
            assert client.ping().wait(TIMEOUT)
        client.pong()
        with pytest.raises(ConnectionClosed):
            client.recv(TIMEOUT)

        assert violated(exchange) == [Limit.MESSAGES]


def test_who_keeps_to_the_rate_may_go_on() -> None:
    with FakeExchange("binance", message_rate=(1, 0.01)) as exchange, connect(exchange) as client:
        for _ in range(5):
            client.ask(subscribe(TRADE))
            time.sleep(0.02)  # the pace that is tested

        assert violated(exchange) == []


def test_a_request_that_is_too_large_is_passed_over(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.send(subscribe(*[f"s{number}usdt@trade" for number in range(400)]))
        assert client.ask(subscribe(TRADE)) == {"result": None, "id": 1}

        assert exchange.active_topics(1) == (TRADE,)
    assert violated(exchange) == [Limit.REQUEST_SIZE]


def test_too_many_topics() -> None:
    with FakeExchange("binance", max_topics=2) as exchange, connect(exchange) as client:
        client.ask(subscribe(TRADE, TICKER))
        refused = client.ask(subscribe("ethusdt@trade"))

        assert refused["error"] == {"code": 4, "msg": "Too many subscriptions"}
        assert exchange.active_topics(1) == (TRADE, TICKER)
        assert violated(exchange) == [Limit.TOPICS]


# Connects.


@pytest.mark.parametrize(
    ("venue", "limits", "limit"),
    [
        ("binance", {"connect_rate": (2, NEVER)}, Limit.CONNECTS),
        ("okx", {"connect_rate": (2, NEVER)}, Limit.CONNECTS),
        ("mexc", {"max_connections": 2}, Limit.CONNECTIONS),
        ("bybit", {"max_connections": 2}, Limit.CONNECTIONS),
    ],
)
def test_one_connection_too_many(venue: str, limits: dict[str, Any], limit: Limit) -> None:
    with FakeExchange(venue, **limits) as exchange, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect_client(exchange.url))
        with pytest.raises(InvalidStatus) as rejected:
            connect_client(exchange.url)

        assert rejected.value.response.status_code == 429
        assert [handshake.status for handshake in exchange.handshakes] == [101, 101, 429]
        assert [(v.connection, v.what) for v in exchange.violations] == [(3, limit)]
        # An echo is not of the venue.
        with connect_client(exchange.echo_url):
            assert exchange.connection_count == 3


def test_a_connection_that_has_gone_makes_room() -> None:
    with FakeExchange("mexc", max_connections=1) as exchange:
        for _ in range(3):
            with connect_client(exchange.url):
                pass
            wait_until(lambda: exchange.connection_count == 0)

        assert violated(exchange) == []


# As time goes by.


def test_an_old_connection_is_closed() -> None:
    with FakeExchange("binance", max_age=0.1) as exchange, connect(exchange) as client:
        client.ask(subscribe(TRADE))

        assert close_code(client) == 1001
        assert violated(exchange) == [Limit.AGE]


def test_pings_of_the_exchange_are_answered() -> None:
    with (
        FakeExchange("binance", ping_interval=0.02, pong_timeout=NEVER) as exchange,
        connect(exchange) as client,
    ):
        exchange.change_limits(message_rate=(4, NEVER))

        # Pongs count: this is how a client learns it that is too close to the limit.
        assert close_code(client) == 1008
        assert violated(exchange) == [Limit.MESSAGES]


def test_who_answers_pings_stays() -> None:
    with (
        FakeExchange(
            "binance", ping_interval=0.02, pong_timeout=TIMEOUT, message_rate=None, rate=500.0
        ) as exchange,
        connect(exchange) as client,
    ):
        client.ask(subscribe(TRADE))
        started = time.monotonic()
        while time.monotonic() - started < 0.2:
            client.data(1)

        assert violated(exchange) == []


def test_who_does_not_answer_pings_is_cut() -> None:
    with (
        FakeExchange("binance", ping_interval=0.02, pong_timeout=0.1) as exchange,
        socket.create_connection((exchange.host, exchange.port), TIMEOUT) as client,
    ):
        client.sendall(
            b"GET /stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        received = b""
        while b"Pong timeout" not in received:
            received += client.recv(65536)

        assert violated(exchange) == [Limit.PONG]


SUBSCRIBE_ON: dict[str, dict[str, Any]] = {
    "okx": {"op": "subscribe", "args": [{"channel": "tickers", "instId": "BTC-USDT"}]},
    "mexc": {"method": "sub.deal", "param": {"symbol": "BTC_USDT"}},
}


def test_data_does_not_keep_a_connection_to_mexc() -> None:
    with FakeExchange("mexc", idle_limit=0.2, rate=500.0) as exchange:
        with opened(exchange.url, lambda message: "ts" in message) as client:
            client.send(SUBSCRIBE_ON["mexc"])
            assert client.data(10)

            assert close_code(client) in (None, 1005)
        assert violated(exchange) == [Limit.IDLE]


@pytest.mark.parametrize("message", [SUBSCRIBE_ON["okx"], "ping"], ids=["data", "ping"])
def test_data_or_a_ping_keeps_a_connection_to_okx(message: dict[str, Any] | str) -> None:
    with (
        FakeExchange("okx", idle_limit=1.5, rate=500.0) as exchange,
        opened(exchange.url, lambda _: True) as client,
    ):
        client.send(message)
        started = time.monotonic()
        while time.monotonic() - started < 2.0:
            assert client.data(1)
            if message == "ping":
                time.sleep(0.05)  # not as fast as it goes
                client.send(message)

        assert violated(exchange) == []


def test_limits_may_change_at_any_time(exchange: FakeExchange) -> None:
    assert exchange.limits.message_rate == Rate(5, 1.0)
    with connect(exchange) as client:
        client.ask(subscribe(TRADE))
        exchange.change_limits(max_topics=1, max_age=None, message_rate=(100, 1.0))
        assert client.ask(subscribe(TICKER))["error"]["code"] == 4

        exchange.change_limits(max_age=0.01)
        assert close_code(client) == 1001

    assert violated(exchange) == [Limit.TOPICS, Limit.AGE]
    exchange.stop()
    exchange.change_limits(max_age=None, idle_limit=NEVER)
    with exchange.start(), connect(exchange) as client:
        assert client.ask(subscribe(TRADE))["result"] is None
