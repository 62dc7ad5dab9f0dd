"""Several addresses of one name (RFC 8305): side by side, so that a dead one hides no good one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import sockets_and_eventfds
from wsresilient import ConnectError, NameResolutionError, OpenTimeoutError, ReconnectPolicy

from .clients import SLOW_RETRY, quick, running, stop_in_time
from .servers import (
    LOCALHOST,
    PATIENCE,
    Peer,
    RawServer,
    free_port,
    raw_server,
    serve_nothing,
    wait_until,
)

NEVER = ReconnectPolicy(max_attempts=0)
URL = "ws://many.test:1"
V4, V6 = socket.AF_INET, socket.AF_INET6
Address = tuple[str, int]


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=V6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine speaks no IPv6")


class Resolver:
    """Gives the addresses of "many.test" that a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[Address] = []
        self._original = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def _resolve(self, host: str, port: Any, *args: Any, **options: Any) -> Any:
        if host != "many.test" or options.get("flags"):
            return self._original(host, port, *args, **options)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found: list[Any] = []
        for name, number in self.addresses:
            family = V6 if ":" in name else V4
            address = (name, number, 0, 0) if family == V6 else (name, number)
            found.append((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address))
        return found


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@contextlib.contextmanager
def black_hole() -> Iterator[Address]:
    """Listen where no connection is ever completed: the backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOCALHOST, 0), backlog=0))
        address = listener.getsockname()
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address


@contextlib.contextmanager
def ipv6_server() -> Iterator[Address]:
    """Serve on IPv6 what a :func:`raw_server` does on IPv4."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                peer = Peer(sock, 1)
                with contextlib.suppress(OSError, EOFError):
                    peer.accept()
                    peer.serve()
                sock.close()

    listener = socket.create_server(("::1", 0), family=V6)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield ("::1", listener.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)


def of(server: RawServer) -> Address:
    return (LOCALHOST, server.port)


def shown(address: Address) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


# A winner.


def test_refused_first_address_costs_nothing(resolver: Resolver) -> None:
    with raw_server(serve_nothing) as server:
        resolver.addresses = [(LOCALHOST, free_port()), (LOCALHOST, free_port()), of(server)]
        with running(URL) as (ws, seen):
            assert ws.get_stats()["address"] == shown(of(server))
            assert seen.errors == []
            assert ws.generation == 1


def test_black_holed_first_address_hides_no_good_second(resolver: Resolver) -> None:
    with raw_server(serve_nothing) as server, black_hole() as hole:
        resolver.addresses = [hole, of(server)]
        before = time.monotonic()
        with running(URL, open_timeout=PATIENCE) as (ws, seen):
            assert time.monotonic() - before < PATIENCE / 2
            assert ws.get_stats()["address"] == shown(of(server))
            assert seen.errors == []


def test_many_black_holes_hide_no_good_one(resolver: Resolver) -> None:
    with raw_server(serve_nothing) as server, black_hole() as one, black_hole() as other:
        resolver.addresses = [one, other, of(server)]
        with running(URL) as (ws, _):
            assert ws.get_stats()["address"] == shown(of(server))


@needs_ipv6
def test_ipv6_and_ipv4_are_tried_alike(resolver: Resolver) -> None:
    refused = [("::1", free_port()), (LOCALHOST, free_port())]
    with ipv6_server() as address:
        resolver.addresses = [*refused, address]
        with running(URL) as (ws, _):
            assert ws.get_stats()["address"] == shown(address)
    with raw_server(serve_nothing) as server:
        resolver.addresses = [*refused, of(server)]
        with running(URL) as (ws, _):
            assert ws.get_stats()["address"] == shown(of(server))


@needs_ipv6
def test_address_of_ipv6_may_stand_in_the_url() -> None:
    with ipv6_server() as address, running(f"ws://{shown(address)}/x") as (ws, _):
        assert ws.get_stats()["address"] == shown(address)


@needs_ipv6
def test_families_take_turns(resolver: Resolver) -> None:
    """Behind two dead addresses of one family the other family's comes second, not third."""
    with raw_server(serve_nothing) as server, black_hole() as one, black_hole() as other:
        resolver.addresses = [one, other, ("::1", free_port()), of(server)]
        with running(URL) as (ws, _):
            assert ws.get_stats()["address"] == shown(of(server))


def test_losers_are_closed(resolver: Resolver) -> None:
    with raw_server(serve_nothing) as server, black_hole() as hole:
        resolver.addresses = [of(server)]
        with running(URL):
            alone = sockets_and_eventfds().total()
        resolver.addresses = [hole, of(server)]
        with running(URL):
            wait_until(lambda: sockets_and_eventfds().total() == alone)


def test_address_is_known_while_it_is_connected_only(resolver: Resolver) -> None:
    with raw_server(serve_nothing) as server:
        resolver.addresses = [of(server)]
        ws = quick(URL)
        assert ws.get_stats()["address"] is None
        with ws:
            assert ws.wait_until_connected(PATIENCE)
            assert ws.get_stats()["address"] == shown(of(server))
        assert ws.get_stats()["address"] is None


# None.


def test_all_refused_are_named_each_with_its_cause(resolver: Resolver) -> None:
    resolver.addresses = [(LOCALHOST, free_port()), ("127.0.0.2", free_port())]
    with running(URL, connected=False, reconnect=NEVER) as (_, seen):
        error = seen.wait_for_errors(1)[0]
        assert type(error) is ConnectError
        for address in resolver.addresses:
            assert f"{shown(address)}: ConnectionRefusedError" in str(error)


def test_all_black_holed_end_with_the_open_timeout_and_are_named(resolver: Resolver) -> None:
    with black_hole() as one, black_hole() as other:
        resolver.addresses = [one, other]
        settings: dict[str, Any] = {"open_timeout": 0.5, "connected": False, "reconnect": NEVER}
        with running(URL, **settings) as (_, seen):
            error = seen.wait_for_errors(1)[0]
            assert isinstance(error, OpenTimeoutError)
            assert shown(one) in str(error)
            assert shown(other) in str(error)


def test_stop_ends_the_race(resolver: Resolver) -> None:
    with black_hole() as one, black_hole() as other:
        resolver.addresses = [one, other]
        with quick(URL) as ws:
            wait_until(lambda: ws.state == "connecting")
            stop_in_time(ws)


def test_name_without_an_address_is_tried_again(resolver: Resolver) -> None:
    with running(URL, connected=False) as (ws, seen):
        error = seen.wait_for_errors(2)[0]
        assert isinstance(error, NameResolutionError)
        assert "many.test" in str(error)
        with raw_server(serve_nothing) as server:
            resolver.addresses = [of(server)]
            assert ws.wait_until_connected(PATIENCE)
            assert ws.stop(PATIENCE)


def test_name_is_looked_up_anew_at_every_attempt(resolver: Resolver) -> None:
    with raw_server(lambda _: None) as first, raw_server(serve_nothing) as second:
        resolver.addresses = [of(first)]
        with running(URL, connected=False, reconnect=SLOW_RETRY) as (ws, seen):
            seen.wait_for_closes(1)
            wait_until(lambda: ws.state == "reconnecting")
            resolver.addresses = [of(second)]
            ws.reconnect()
            assert ws.wait_until_connected(PATIENCE)
            assert second.count == 1
