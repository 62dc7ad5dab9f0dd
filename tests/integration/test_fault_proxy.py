"""The fault proxy between two real sockets, both in the hands of the test."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wsresilient.errors import ConfigurationError
from wsresilient.testing import FaultProxy, wait_until

TIMEOUT = 10.0
# How long a test looks before it says that nothing comes.
A_MOMENT = 0.1


class Target:
    """A server of which the test accepts the connections itself."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.settimeout(TIMEOUT)
        self.host, self.port = self.listener.getsockname()
        self.open = contextlib.ExitStack()

    def accept(self) -> socket.socket:
        sock, _ = self.listener.accept()
        sock.settimeout(TIMEOUT)
        return self.open.enter_context(sock)

    def connect(self, proxy: FaultProxy) -> socket.socket:
        sock = socket.create_connection((proxy.host, proxy.port), TIMEOUT)
        return self.open.enter_context(sock)

    def pair(self, proxy: FaultProxy) -> tuple[socket.socket, socket.socket]:
        """Connect, and give the client's and the server's side."""
        return self.connect(proxy), self.accept()

    def is_asked(self) -> bool:
        """Whether a connection comes within a moment."""
        self.listener.settimeout(A_MOMENT)
        try:
            self.accept()
        except TimeoutError:
            return False
        finally:
            self.listener.settimeout(TIMEOUT)
        return True


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    with target.open, target.listener:
        yield target


@pytest.fixture
def proxy(target: Target) -> Iterator[FaultProxy]:
    with FaultProxy(target.host, target.port) as proxy:
        yield proxy


def receive(sock: socket.socket, size: int) -> bytes:
    """Receive exactly so many bytes, or what comes before the end of file."""
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def is_silent(sock: socket.socket) -> bool:
    """Whether nothing comes within a moment."""
    sock.settimeout(A_MOMENT)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(TIMEOUT)
    return False


def is_reset(sock: socket.socket) -> bool:
    """Whether the connection ends with a reset and not with an end of file."""
    try:
        while sock.recv(65536):
            continue
    except ConnectionResetError:
        return True
    return False


def talks(client: socket.socket, server: socket.socket) -> bool:
    """Whether bytes pass in both directions."""
    client.sendall(b"up")
    server.sendall(b"down")
    return receive(server, 2) == b"up" and receive(client, 4) == b"down"


# Forwarding.


def test_bytes_pass_both_ways_and_are_counted(target: Target, proxy: FaultProxy) -> None:
    before = time.monotonic()
    client, server = target.pair(proxy)

    assert talks(client, server)

    assert (proxy.bytes_up, proxy.bytes_down) == (2, 4)
    assert proxy.connections_accepted == proxy.connection_count == 1
    (connected_at,) = proxy.connect_times
    assert before <= connected_at <= time.monotonic()
    assert repr(proxy) == (
        f"<FaultProxy 127.0.0.1:{proxy.port} -> 127.0.0.1:{target.port}"
        " running, 1 connections, faults: none>"
    )


def test_the_end_of_file_passes_behind_the_last_byte(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    proxy.bandwidth = 100_000

    client.sendall(b"q" * 5000)
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 9999) == b"q" * 5000
    server.sendall(b"answer")
    server.close()

    assert receive(client, 9999) == b"answer"
    wait_until(lambda: proxy.connection_count == 0)


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_passes(target: Target, proxy: FaultProxy, who: str) -> None:
    client, server = target.pair(proxy)
    assert talks(client, server)
    breaks, suffers = (client, server) if who == "client" else (server, client)

    breaks.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    breaks.close()

    assert is_reset(suffers)
    wait_until(lambda: proxy.connection_count == 0)


def test_much_passes_unharmed_while_both_sides_send(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    up = bytes(range(256)) * 16384
    down = up[::-1]

    with ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(client.sendall, up), pool.submit(server.sendall, down)]
        received = pool.submit(receive, server, len(up))
        assert receive(client, len(down)) == down
        assert received.result(TIMEOUT) == up
        for future in sent:
            future.result(TIMEOUT)


def test_who_does_not_read_holds_the_sender_back(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    sent = 0
    client.settimeout(A_MOMENT)
    with contextlib.suppress(TimeoutError):
        while sent < 200_000_000:
            sent += client.send(b"x" * 65536)

    assert sent < 200_000_000
    assert receive(server, sent) == b"x" * sent


def test_many_connections_are_served_by_one_thread(target: Target, proxy: FaultProxy) -> None:
    before = threading.active_count()
    pairs = [target.pair(proxy) for _ in range(100)]

    assert all(talks(client, server) for client, server in pairs)

    assert threading.active_count() == before
    assert [t.name for t in threading.enumerate()].count("wsr-test-proxy") == 1
    assert proxy.connection_count == proxy.connections_accepted == 100
    assert proxy.connect_times == sorted(proxy.connect_times)


def test_without_a_server_the_client_is_reset(target: Target, proxy: FaultProxy) -> None:
    target.listener.close()

    with pytest.raises(ConnectionResetError):
        target.connect(proxy).recv(1)

    wait_until(lambda: proxy.connection_count == 0)


def test_a_name_with_several_addresses_is_tried_to_the_end(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()
    look_up = socket.getaddrinfo

    def with_a_dead_one(*args: Any, **kwargs: Any) -> list[Any]:
        found: list[Any] = look_up(*args, **kwargs)
        return [(*found[0][:4], dead), *found] if args[:1] == ("localhost",) else found

    monkeypatch.setattr(socket, "getaddrinfo", with_a_dead_one)
    with FaultProxy("localhost", target.port) as proxy:
        client = target.connect(proxy)
        client.sendall(b"early")
        server = target.accept()

        assert receive(server, 5) == b"early"
        assert talks(client, server)


# Faults that end connections.


def test_reset_all(target: Target, proxy: FaultProxy) -> None:
    pairs = [target.pair(proxy) for _ in range(3)]
    assert all(talks(*pair) for pair in pairs)

    assert proxy.reset_all() == 3

    assert proxy.connection_count == 0
    assert all(is_reset(client) and is_reset(server) for client, server in pairs)
    assert talks(*target.pair(proxy))


def test_close_all_is_no_reset_even_with_bytes_on_the_way(
    target: Target, proxy: FaultProxy
) -> None:
    client, server = target.pair(proxy)
    assert talks(client, server)
    proxy.latency = 60.0
    client.sendall(b"x" * 10_000)

    assert proxy.close_all() == 1

    assert proxy.connection_count == 0
    assert client.recv(1) == b""
    assert server.recv(1) == b""
    client.sendall(b"still sending")
    assert client.recv(1) == b""


def test_a_client_that_does_not_close_is_cut_in_the_end(
    target: Target, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsresilient.testing.relay._DRAIN_TIMEOUT", 0.05)
    client, _ = target.pair(proxy)
    proxy.close_all()

    def send_fails() -> bool:
        try:
            client.sendall(b"x")
        except OSError:
            return True
        return False

    wait_until(send_fails)


@pytest.mark.parametrize("fault", ["reset_after", "cut_after"])
def test_a_connection_ends_after_so_many_bytes(
    target: Target, proxy: FaultProxy, fault: str
) -> None:
    client, server = target.pair(proxy)
    assert talks(client, server)
    passed = proxy.bytes_down

    getattr(proxy, fault)(1000)
    server.sendall(b"x" * 999)
    assert receive(client, 999) == b"x" * 999
    server.sendall(b"yz")

    if fault == "reset_after":
        assert is_reset(client)
        assert is_reset(server)
    else:
        assert receive(client, 9) == b"y"
        assert server.recv(1) == b""
    assert proxy.bytes_down - passed == 1000
    # It strikes once.
    client, server = target.pair(proxy)
    server.sendall(b"x" * 2000)
    assert receive(client, 2000) == b"x" * 2000


def test_the_last_byte_is_enough_to_strike(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)

    proxy.cut_after(4)
    server.sendall(b"down")

    assert receive(client, 9) == b"down"


def test_each_connection_can_be_struck_until_that_is_taken_back(
    target: Target, proxy: FaultProxy
) -> None:
    proxy.cut_after(3, times=None)
    for _ in range(3):
        client, server = target.pair(proxy)
        server.sendall(b"abcdef")
        assert receive(client, 9) == b"abc"

    client, server = target.pair(proxy)
    proxy.cut_after(None)

    server.sendall(b"abcdef")
    assert receive(client, 6) == b"abcdef"


def test_a_fault_after_no_bytes_waits_for_the_first(target: Target, proxy: FaultProxy) -> None:
    proxy.reset_after(0)
    client, server = target.pair(proxy)
    client.sendall(b"question")
    assert receive(server, 8) == b"question"

    server.sendall(b"answer")

    assert is_reset(client)
    assert proxy.bytes_down == 0


def test_one_byte_can_be_corrupted(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)

    proxy.corrupt_after(2)
    server.sendall(b"abcde")

    assert receive(client, 5) == b"ab\x9cde"


# Faults that last.


def test_freeze_and_thaw(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    assert talks(client, server)

    proxy.freeze()
    client.sendall(b"up")
    server.sendall(b"down")
    late = target.connect(proxy)  # the system accepts
    late.sendall(b"hello")

    assert is_silent(client)
    assert is_silent(server)
    assert is_silent(late)
    assert proxy.connections_accepted == 1
    assert "faults: frozen>" in repr(proxy)

    proxy.thaw()

    assert receive(client, 4) == b"down"
    assert receive(server, 2) == b"up"
    assert receive(target.accept(), 5) == b"hello"


def test_a_frozen_connection_can_be_reset_and_closed(target: Target, proxy: FaultProxy) -> None:
    first = target.pair(proxy)
    second = target.pair(proxy)
    assert talks(*first)
    assert talks(*second)
    proxy.freeze()

    first[0].close()
    assert proxy.close_all() == 2
    assert second[0].recv(1) == b""

    proxy.thaw()
    third = target.pair(proxy)
    assert talks(*third)
    proxy.freeze()
    assert proxy.reset_all() == 1
    assert is_reset(third[0])


def test_refuse_and_accept(target: Target, proxy: FaultProxy) -> None:
    pair = target.pair(proxy)
    port = proxy.port

    for _ in range(3):
        proxy.refuse()
        proxy.refuse()
        assert talks(*pair)
        with pytest.raises(ConnectionRefusedError):
            target.connect(proxy)
        # Nobody else gets the port meanwhile.
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((proxy.host, port))

        proxy.accept()
        proxy.accept()
        assert proxy.port == port
        assert talks(*target.pair(proxy))


def test_accept_then_close(target: Target, proxy: FaultProxy) -> None:
    pair = target.pair(proxy)

    proxy.accept_then_close()
    client = target.connect(proxy)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")

    assert client.recv(1) == b""
    assert not target.is_asked()
    assert talks(*pair)
    proxy.accept_then_close(False)
    assert talks(*target.pair(proxy))


def test_stall_handshake(target: Target, proxy: FaultProxy) -> None:
    pair = target.pair(proxy)

    proxy.stall_handshake()
    client = target.connect(proxy)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")

    assert is_silent(client)
    assert not target.is_asked()
    assert talks(*pair)
    proxy.stall_handshake(False)
    assert talks(*target.pair(proxy))
    assert proxy.connection_count == 3
    client.close()
    wait_until(lambda: proxy.connection_count == 2)


def test_black_hole(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    untouched = target.pair(proxy)
    assert talks(client, server)
    assert talks(*untouched)

    proxy.black_hole()
    client.sendall(b"x" * 1_000_000)
    late = target.connect(proxy)
    late.sendall(b"hello")

    assert is_silent(server)
    assert is_silent(late)
    assert not target.is_asked()

    proxy.black_hole(False)

    assert is_reset(client)
    assert is_reset(server)
    assert talks(*untouched)
    assert talks(*target.pair(proxy))


def test_a_black_hole_forgets_a_connection_that_both_sides_closed(
    target: Target, proxy: FaultProxy
) -> None:
    client, server = target.pair(proxy)
    proxy.black_hole()

    client.close()
    server.close()

    wait_until(lambda: proxy.connection_count == 0)


# The pace.


def test_latency_holds_each_direction_back(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    proxy.latency = 0.1
    started = time.monotonic()

    assert talks(client, server)
    client.sendall(b"q")
    server.sendall(receive(server, 1))
    receive(client, 1)

    assert time.monotonic() - started >= 0.3


def test_bandwidth_holds_bytes_back(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    proxy.bandwidth = 50_000
    started = time.monotonic()

    server.sendall(b"x" * 10_000)
    assert receive(client, 10_000) == b"x" * 10_000

    assert time.monotonic() - started >= 0.15


def test_slices_drip(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    proxy.slice_size = 1
    proxy.slice_interval = 0.01
    started = time.monotonic()

    server.sendall(b"0123456789")
    pieces = [client.recv(100)]
    while sum(map(len, pieces)) < 10:
        pieces.append(client.recv(100))

    assert b"".join(pieces) == b"0123456789"
    assert time.monotonic() - started >= 0.09


def test_a_new_pace_works_at_once_on_what_waits(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    proxy.latency = 1000.0
    proxy.bandwidth = 0.001
    client.sendall(b"up")
    server.sendall(b"down")
    assert is_silent(client)

    proxy.heal()

    assert receive(client, 4) == b"down"
    assert receive(server, 2) == b"up"


def test_heal_ends_everything_that_lasts(target: Target, proxy: FaultProxy) -> None:
    pair = target.pair(proxy)
    proxy.freeze()
    proxy.refuse()
    proxy.stall_handshake()
    proxy.cut_after(1)
    proxy.latency = 1000.0

    proxy.heal()

    assert talks(*pair)
    assert talks(*target.pair(proxy))


# Life.


def test_stop_closes_everything_and_can_be_repeated(target: Target, proxy: FaultProxy) -> None:
    client, server = target.pair(proxy)
    proxy.freeze()

    proxy.stop()
    proxy.stop()

    assert client.recv(1) == b""
    assert server.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        target.connect(proxy)
    assert proxy.reset_all() == proxy.close_all() == proxy.connection_count == 0
    assert "stopped, 0 connections" in repr(proxy)


def test_it_starts_again_on_its_port_with_its_faults(target: Target, proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.refuse()
    proxy.stop()
    proxy.accept()
    proxy.refuse()

    with proxy.start():
        assert proxy.port == port
        with pytest.raises(ConnectionRefusedError):
            target.connect(proxy)
        proxy.accept()
        assert talks(*target.pair(proxy))
        with pytest.raises(ConfigurationError, match="wsr-test-proxy is already started"):
            proxy.start()
        assert talks(*target.pair(proxy))


def test_a_port_that_is_taken_is_an_error(target: Target) -> None:
    with pytest.raises(OSError, match="in use"):
        FaultProxy("127.0.0.1", 1, port=target.port).start()


def test_faults_from_many_threads(target: Target, proxy: FaultProxy) -> None:
    def switch(number: int) -> int:
        proxy.freeze()
        proxy.latency = number / 1000
        proxy.refuse()
        proxy.accept()
        proxy.thaw()
        return proxy.reset_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(switch, range(200))) == 0

    proxy.heal()
    assert talks(*target.pair(proxy))


def test_a_bug_of_the_proxy_is_logged_and_leaves_nothing(
    target: Target,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client, _ = target.pair(proxy)

    def fail(now: float) -> float | None:
        raise ZeroDivisionError(f"at {now}")

    monkeypatch.setattr(proxy._relay, "on_turn", fail)
    client.sendall(b"x")

    wait_until(lambda: "stopped" in repr(proxy))
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""
    assert [record.message for record in caplog.records] == ["wsr-test-proxy failed and ends"]
    assert proxy.connection_count == 0
