"""The life of the fake exchange: many clients, start and stop, TLS, a proxy in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from websockets.asyncio import client as async_client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wsresilient.errors import ConfigurationError
from wsresilient.testing import FakeExchange, FaultProxy, wait_until

from .binance_peers import A_MOMENT, TIMEOUT, TRADE, connect, end_of, holes, receive


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange(rate=500.0) as exchange:
        yield exchange


# Life.


def test_three_hundred_clients_in_one_thread(exchange: FakeExchange) -> None:
    threads = threading.active_count()
    exchange.stop_feed()  # no client reads: who has come first must not have fallen too far behind
    clients = [
        socket.create_connection((exchange.host, exchange.port), TIMEOUT) for _ in range(300)
    ]
    try:
        for client in clients:
            client.sendall(
                f"GET /ws/{TRADE} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
        wait_until(lambda: exchange.subscriptions == {TRADE: 300})
        exchange.resume_feed()
        wait_until(lambda: exchange.sent_count > 3000)

        assert threading.active_count() == threads
        assert [t.name for t in threading.enumerate()].count("wsr-test-exchange") == 1
        assert exchange.connection_count == 300
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: exchange.connection_count == 0)


def test_stop_says_goodbye_and_can_be_repeated(exchange: FakeExchange) -> None:
    port = exchange.port
    with connect(exchange.url_for(TRADE)) as client:
        with ThreadPoolExecutor(1) as pool:
            closed = pool.submit(end_of, client)
            exchange.stop()
            exchange.stop()
            frame = closed.result(TIMEOUT).rcvd

        assert frame is not None
        assert frame.code == 1001
    assert exchange.connection_count == 0
    with pytest.raises(ConnectionRefusedError):
        connect(exchange.url)

    with exchange.start():
        assert exchange.port == port
        with pytest.raises(ConfigurationError, match="wsr-test-exchange is already started"):
            exchange.start()
        with connect(exchange.url_for(TRADE)) as client:
            assert receive(client)["stream"] == TRADE


def test_stop_cuts_who_does_not_answer(exchange: FakeExchange) -> None:
    with FaultProxy(exchange.host, exchange.port) as proxy:
        with (
            connect(proxy.through(exchange.url), close_timeout=0.1),
            socket.create_connection((proxy.host, proxy.port), TIMEOUT),
        ):
            wait_until(lambda: exchange.connection_count == 1)
            proxy.freeze()
            exchange.stop()
            proxy.reset_all()

        assert exchange.close_codes == [1006]


def test_a_port_that_is_taken_is_an_error(exchange: FakeExchange) -> None:
    second = FakeExchange(port=exchange.port)

    with pytest.raises(OSError, match="in use"):
        second.start()

    assert "stopped" in repr(second)
    second.stop()


def test_everything_from_many_threads(exchange: FakeExchange) -> None:
    def act(number: int) -> None:
        exchange.stop_feed()
        exchange.restart(0.0)
        exchange.refuse_topic(f"t{number}")
        exchange.resume_feed()
        assert exchange.connection_count == 0

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(40)))

    with connect(exchange.url_for(TRADE)) as client:
        assert receive(client)["stream"] == TRADE


def test_calls_while_it_stops_return(exchange: FakeExchange) -> None:
    stopped = threading.Event()

    def call() -> int:
        count = 0
        while not stopped.is_set():
            count += 1 + exchange.connection_count
        return count

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call) for _ in range(4)]
        exchange.stop()
        stopped.set()
        assert all(each.result(TIMEOUT) > 0 for each in calls)


def test_no_warning_of_asyncio_is_left(
    exchange: FakeExchange, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        receive(client)
        exchange.abort_all()
        end_of(client)
    exchange.stop()

    assert [record for record in caplog.records if record.name == "asyncio"] == []


# TLS, and the proxy in between. With a client of one thread: websockets' sync client reads and
# writes one SSLSocket in two threads at once, which Python up to 3.13.0 at least does not survive
# (lost writes, "internal error", now and then a segmentation fault).


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_exchange(authority: trustme.CA) -> Iterator[FakeExchange]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FakeExchange(ssl_context=context, rate=500.0) as exchange:
        yield exchange


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def connect_tls(
    url: str, trust: ssl.SSLContext
) -> AsyncIterator[async_client.ClientConnection]:
    """Connect with a client that answers the server however much waits to be read."""
    async with async_client.connect(url, ssl=trust, max_queue=None) as client:
        try:
            yield client
        finally:
            # Python 3.10 takes a TLS transport for unclosed when the other side was the first.
            client.transport.close()


async def next_id(client: async_client.ClientConnection, timeout: float = TIMEOUT) -> int:
    """Give the number of the next trade."""
    number: int = json.loads(await asyncio.wait_for(client.recv(), timeout))["data"]["t"]
    return number


async def ids_until_silent(client: async_client.ClientConnection) -> list[int]:
    """Read what is there, until nothing comes for a moment."""
    ids: list[int] = []
    while True:
        try:
            ids.append(await next_id(client, A_MOMENT))
        except asyncio.TimeoutError:
            return ids


async def code_of(client: async_client.ClientConnection) -> int | None:
    """Read until the connection ends, and give the close code."""
    while True:
        try:
            await asyncio.wait_for(client.recv(), TIMEOUT)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


def test_tls(tls_exchange: FakeExchange, trust: ssl.SSLContext) -> None:
    url = tls_exchange.url_for(TRADE)
    assert url.startswith("wss://")

    async def visit() -> None:
        async with connect_tls(url, trust) as client:
            assert await next_id(client)
            tls_exchange.close_all(1013)
            assert await code_of(client) == 1013
        async with connect_tls(url, trust) as client:
            tls_exchange.abort_all()
            assert await code_of(client) is None
        async with connect_tls(tls_exchange.echo_url, trust) as client:
            await client.send(b"x" * 1_000_000)
            assert await client.recv() == b"x" * 1_000_000
        tls_exchange.respond_status(401, body=b"no")
        with pytest.raises(InvalidStatus) as rejected:
            await async_client.connect(url, ssl=trust)
        assert rejected.value.response.body == b"no"

    asyncio.run(visit())


def test_stop_with_tls_clients_at_every_stage(
    tls_exchange: FakeExchange, trust: ssl.SSLContext
) -> None:
    address = (tls_exchange.host, tls_exchange.port)

    async def visit() -> None:
        async with connect_tls(tls_exchange.url_for(TRADE), trust) as client:
            assert await next_id(client)
            # This client cannot answer the close frame meanwhile.
            tls_exchange.stop()
            assert await code_of(client) in (1001, None)

    with (
        socket.create_connection(address, TIMEOUT),
        socket.create_connection(address, TIMEOUT) as half,
    ):
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        asyncio.run(visit())


def test_what_is_no_tls_is_survived(tls_exchange: FakeExchange, trust: ssl.SSLContext) -> None:
    async def visit() -> None:
        async with connect_tls(tls_exchange.url_for(TRADE), trust) as client:
            assert await next_id(client)

    for noise in (b"GET / HTTP/1.1\r\n\r\n", b""):
        with socket.create_connection((tls_exchange.host, tls_exchange.port), TIMEOUT) as stranger:
            stranger.sendall(noise)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(65536):
                continue
    asyncio.run(visit())


def test_through_the_proxy_with_tls(tls_exchange: FakeExchange, trust: ssl.SSLContext) -> None:
    async def visit(proxy: FaultProxy) -> None:
        url = proxy.through(tls_exchange.url_for(TRADE))
        async with connect_tls(url, trust) as client:
            ids = [await next_id(client) for _ in range(10)]
            proxy.freeze()
            ids += await ids_until_silent(client)
            proxy.thaw()
            ids += [await next_id(client) for _ in range(10)]
            assert holes(ids) == 0
            proxy.cut_after(100)
            assert await code_of(client) is None
        async with connect_tls(url, trust) as client:
            assert await next_id(client) > ids[-1]

    with FaultProxy(tls_exchange.host, tls_exchange.port, latency=0.01) as proxy:
        asyncio.run(visit(proxy))
