"""A WebSocket server that does nothing but send, as fast as the loopback takes it.

A benchmark of clients must not measure the server. So there is no WebSocket library here and no
work per message: the handshake is done by hand, all frames of a cycle are built beforehand, and
a megabyte of them goes out with each `sendall`. It runs in a process of its own, on a core of
its own where there are two.

The request says what is wanted: ``/?count=200000&size=120&payload=ascii`` sends that many messages
and a close frame, ``/?idle=1`` sends nothing and answers pings.

Run by itself it prints one line of JSON with its ports and ends when its standard input does, so it
never outlives the benchmark that started it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from payloads import CLOSE_NORMAL, build_cycle, frame_header

HOST = "127.0.0.1"
HANDSHAKE_TIMEOUT = 10.0
SEND_TIMEOUT = 300.0
CLOSE_TIMEOUT = 30.0
IDLE_TIMEOUT = 3600.0
MAX_REQUEST_BYTES = 16 * 1024

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN = 0x80
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA


def wait_for_request(connection: socket.socket) -> tuple[str, dict[str, str]]:
    """Read the request of a handshake: its target and its headers, names in lower case."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(4096)
        if not chunk or len(received) > MAX_REQUEST_BYTES:
            raise ConnectionError("no complete HTTP request")
        received += chunk
    request_line, *header_lines = received.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {}
    for line in header_lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return request_line.split(" ")[1], headers


def accept_handshake(connection: socket.socket) -> dict[str, str]:
    """Switch to WebSocket and return the query of the request."""
    target, headers = wait_for_request(connection)
    key = headers["sec-websocket-key"].encode()
    accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID).digest()).decode()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
    )
    return {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}


def take_client_frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take complete frames off the front of `buffer`: clients send only short, masked ones here."""
    while len(buffer) >= 6:
        length = buffer[1] & 0x7F
        if length > 125:
            raise ConnectionError("a client sent a long frame, which no benchmark asks for")
        if len(buffer) < 6 + length:
            return
        mask = bytes(buffer[2:6])
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(buffer[6 : 6 + length]))
        opcode = buffer[0] & 0x0F
        del buffer[: 6 + length]
        yield opcode, payload


def serve_until_close(connection: socket.socket, timeout: float) -> None:
    """Answer pings until the client sends a close frame or ends.

    Closing the socket with unread bytes in it would reset the connection, and a slow client would
    lose the messages that it has not read yet: so the client's close frame is waited for.
    """
    connection.settimeout(timeout)
    buffer = bytearray()
    while chunk := connection.recv(4096):
        buffer += chunk
        for opcode, payload in take_client_frames(buffer):
            if opcode == _CLOSE:
                return
            if opcode == _PING:
                connection.sendall(frame_header(_FIN | _PONG, len(payload)) + payload)


def flood(connection: socket.socket, count: int, size: int, alphabet: str) -> None:
    """Send `count` messages and a close frame."""
    cycle = build_cycle(size, alphabet)
    connection.settimeout(SEND_TIMEOUT)
    rounds, rest = divmod(count, len(cycle))
    wire = cycle.wire
    for _ in range(rounds):
        connection.sendall(wire)
    connection.sendall(wire[: cycle.offsets[rest]] + CLOSE_NORMAL)


def serve_connection(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    """Serve one client from its handshake to its end."""
    try:
        connection.settimeout(HANDSHAKE_TIMEOUT)
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        query = accept_handshake(connection)
        if "idle" in query:
            serve_until_close(connection, IDLE_TIMEOUT)
            connection.sendall(CLOSE_NORMAL)
            return
        size, alphabet = int(query["size"]), query.get("payload", "ascii")
        flood(connection, int(query["count"]), size, alphabet)
        serve_until_close(connection, CLOSE_TIMEOUT)
    except (OSError, LookupError, ValueError) as error:
        # A calibrating client leaves in the middle of the flood: that is no fault.
        if not isinstance(error, (ConnectionError, ssl.SSLError)):
            print(f"flood server: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        connection.close()


def accept_connections(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    """Give every connection a thread of its own."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(connection, context), daemon=True).start()


def listen(context: ssl.SSLContext | None) -> int:
    """Start to accept connections on a free port and return it."""
    listener = socket.create_server((HOST, 0), backlog=512)
    threading.Thread(target=accept_connections, args=(listener, context), daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--certificate", help="PEM file with key and certificate: serve TLS too")
    parser.add_argument("--cpu", type=int, help="run on this core only")
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    ports = {"plain": listen(None)}
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
        ports["tls"] = listen(context)
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
