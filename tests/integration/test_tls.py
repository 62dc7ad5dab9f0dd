"""TLS: verified by default, and the same promises as without."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest
import trustme

from wsresilient import CertificateError, ConnectionFailedError, TLSError

from .clients import SLOW_RETRY, running
from .servers import PATIENCE, TEXT, Peer, frame, raw_server, serve_nothing, wait_until


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_messages_go_both_ways(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    def behave(peer: Peer) -> None:
        peer.text(peer.read_until(TEXT).payload.decode())
        peer.serve()

    with (
        raw_server(behave, tls=server_side(authority)) as server,
        running(server.url, ssl_context=trusting) as (ws, seen),
    ):
        ws.send("through the tunnel" * 10_000)
        assert seen.wait_for_messages(1) == ["through the tunnel" * 10_000]
        assert ws.get_stats()["url"].startswith("wss://")


def test_unknown_authority_is_refused_at_once_and_for_good(authority: trustme.CA) -> None:
    with (
        raw_server(serve_nothing, tls=server_side(authority)) as server,
        running(server.url, connected=False) as (ws, seen),
    ):
        with pytest.raises(ConnectionFailedError, match="certificate"):
            ws.wait_until_connected(PATIENCE)
        assert ws.join(PATIENCE)
        assert isinstance(seen.errors[0], CertificateError)
        assert seen.errors[0].verify_code
        assert server.count == 1


def test_certificate_of_another_host_is_refused(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    with (
        raw_server(serve_nothing, tls=server_side(authority, "other.test")) as server,
        running(server.url, connected=False, ssl_context=trusting) as (ws, seen),
    ):
        with pytest.raises(ConnectionFailedError, match="localhost"):
            ws.wait_until_connected(PATIENCE)
        assert ws.join(PATIENCE)
        assert isinstance(seen.errors[0], CertificateError)


@pytest.mark.parametrize("count", [20, 200, 2_000])
def test_frames_in_the_packet_of_the_handshake_are_delivered_at_once(
    authority: trustme.CA, trusting: ssl.SSLContext, count: int
) -> None:
    def behave(peer: Peer) -> None:
        peer.accept(followed_by=b"".join(frame(TEXT, f"{n:050}") for n in range(count)))
        peer.serve()

    with (
        raw_server(behave, handshake=False, tls=server_side(authority)) as server,
        running(server.url, ssl_context=trusting) as (_, seen),
    ):
        assert seen.wait_for_messages(count) == [f"{n:050}" for n in range(count)]


def test_decrypted_frames_do_not_wait_for_on_open_to_return(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """What TLS has decrypted but nobody has read makes no socket readable."""

    def behave(peer: Peer) -> None:
        peer.accept(followed_by=b"".join(frame(TEXT, f"{n:050}") for n in range(200)))
        peer.serve()

    go_on = threading.Event()
    with (
        raw_server(behave, handshake=False, tls=server_side(authority)) as server,
        running(server.url, ssl_context=trusting, on_open=lambda _: go_on.wait(PATIENCE)) as (
            ws,
            _,
        ),
    ):
        try:
            wait_until(lambda: ws.get_stats()["message_count"] == 200, PATIENCE / 2)
        finally:
            go_on.set()


def test_server_without_tls_is_an_error_that_is_retried() -> None:
    def behave(peer: Peer) -> None:
        peer.sock.recv(10)
        peer.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with raw_server(behave, handshake=False) as server:
        url = server.url.replace("ws://", "wss://")
        with running(url, connected=False) as (ws, seen):
            assert isinstance(seen.wait_for_errors(2)[0], TLSError)
            assert not isinstance(seen.errors[0], CertificateError)
            assert ws.state != "failed"


def test_end_in_the_tls_handshake_is_retried(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    with raw_server(lambda peer: peer.sock.recv(10), handshake=False) as server:
        url = server.url.replace("ws://", "wss://")
        with running(url, connected=False, ssl_context=trusting) as (ws, seen):
            assert isinstance(seen.wait_for_errors(2)[0], TLSError)
            assert ws.state != "failed"


def test_half_a_record_at_the_end_is_an_end_like_any(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    def behave(peer: Peer) -> None:
        peer.text("whole")
        if peer.number > 1:
            peer.serve()
            return
        # The beginning of a record that claims 100 bytes, past the TLS layer, and then the end.
        raw = socket.socket(fileno=socket.dup(peer.sock.fileno()))
        raw.sendall(b"\x17\x03\x03\x00\x64half")
        raw.shutdown(socket.SHUT_RDWR)
        raw.close()

    with (
        raw_server(behave, tls=server_side(authority)) as server,
        running(server.url, ssl_context=trusting) as (_, seen),
    ):
        assert seen.wait_for_messages(2) == ["whole", "whole"]
        assert len(seen.errors) == 1


def test_garbage_instead_of_a_record_ends_the_connection_and_is_retried(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    def behave(peer: Peer) -> None:
        if peer.number == 1:
            raw = socket.socket(fileno=socket.dup(peer.sock.fileno()))
            raw.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            raw.close()
        peer.serve()

    with (
        raw_server(behave, tls=server_side(authority)) as server,
        running(server.url, ssl_context=trusting, connected=False, reconnect=SLOW_RETRY) as (
            ws,
            seen,
        ),
    ):
        seen.wait_for_errors(1)
        ws.reconnect()
        server.wait_for(2)
        assert ws.wait_until_connected(PATIENCE)
