"""No answer of a server betrays a secret: not in a log, an error, a state, a repr, a number."""

from __future__ import annotations

import logging

import pytest

from wsresilient import ConnectionFailedError, ReconnectPolicy

from .clients import chain, running
from .servers import PATIENCE, Behaviour, Peer, raw_server

SECRET, HEADER_SECRET, COOKIE = "s3cr3t-query", "s3cr3t-header", "s3cr3t-cookie"


def echo_in_body(peer: Peer) -> None:
    peer.read_request()
    body = peer.head.decode()
    peer.sock.sendall(f"HTTP/1.1 403 No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def echo_in_location(peer: Peer) -> None:
    peer.read_request()
    peer.sock.sendall(f"HTTP/1.1 302 Found\r\nLocation: {peer.target}\r\n\r\n".encode())


def echo_in_headers(peer: Peer) -> None:
    peer.read_request()
    peer.sock.sendall(f"HTTP/1.1 404 {SECRET}\r\nX-You-Said: {peer.target}\r\n\r\n".encode())


def echo_in_wrong_accept(peer: Peer) -> None:
    peer.read_request()
    head = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer = f"{head}Sec-WebSocket-Accept: {SECRET}\r\nX-You-Said: {HEADER_SECRET}\r\n\r\n"
    peer.sock.sendall(answer.encode())


def echo_in_subprotocol(peer: Peer) -> None:
    peer.read_request()
    peer.sock.sendall(peer.accept_answer(f"Sec-WebSocket-Protocol: {SECRET}"))


def echo_in_extension(peer: Peer) -> None:
    peer.read_request()
    peer.sock.sendall(peer.accept_answer(f"Sec-WebSocket-Extensions: {SECRET}"))


def echo_the_request(peer: Peer) -> None:
    peer.read_request()
    peer.sock.sendall(peer.head + b"\r\n\r\n")


def echo_in_malformed_header(peer: Peer) -> None:
    peer.read_request()
    peer.sock.sendall(f"HTTP/1.1 101 Go\r\n{HEADER_SECRET} {COOKIE}\r\n\r\n".encode())


def echo_in_close_reason(peer: Peer) -> None:
    peer.accept()
    peer.close(4401, f"no such token {SECRET} {HEADER_SECRET}")


ECHOES = [
    echo_in_body,
    echo_in_location,
    echo_in_headers,
    echo_in_wrong_accept,
    echo_in_subprotocol,
    echo_in_extension,
    echo_the_request,
    echo_in_malformed_header,
    echo_in_close_reason,
]


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: echo.__name__)
def test_secrets_that_a_server_echoes_are_shown_nowhere(
    echo: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="websocket")
    policy = ReconnectPolicy(initial_delay=0.01, max_attempts=1)
    headers = {"Authorization": f"Bearer {HEADER_SECRET}", "Cookie": f"id={COOKIE}"}
    with raw_server(echo, handshake=False) as server:
        url = f"ws://user:{SECRET}-pw@127.0.0.1:{server.port}/x?token={SECRET}"
        with running(url, connected=False, headers=headers, reconnect=policy) as (ws, seen):
            assert ws.join(PATIENCE)
            shown = [caplog.text, repr(ws), str(ws.get_stats()), ws.last_error, ws.name]
            shown += [change.message for change in seen.states]
            with pytest.raises(ConnectionFailedError) as caught:
                ws.wait_until_connected(PATIENCE)
            for error in [caught.value, *seen.errors]:
                for link in chain(error):
                    shown += [str(link), repr(link), repr(vars(link))]
    for text in shown:
        for secret in (SECRET, HEADER_SECRET, COOKIE):
            assert secret not in text
