"""Servers that behave badly on purpose, and a good one.

A :func:`raw_server` calls one function per connection with the bare socket (a :class:`Peer`), after
a handshake made by hand unless told otherwise. :func:`good_server` is the websockets library's.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from wsresilient.testing import wait_until

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "LOCALHOST",
    "PATIENCE",
    "PING",
    "PONG",
    "TEXT",
    "Behaviour",
    "Frame",
    "GoodServer",
    "Peer",
    "RawServer",
    "frame",
    "free_port",
    "good_server",
    "raw_server",
    "serve_nothing",
    "wait_until",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
LOCALHOST = "127.0.0.1"
#: Seconds that any condition of these tests may take on a busy machine.
PATIENCE = 30.0

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes | str = b"", *, fin: bool = True) -> bytes:
    """Build one frame as a server sends it: unmasked."""
    body = payload.encode() if isinstance(payload, str) else payload
    size = len(body)
    if size < 126:
        length = bytes([size])
    elif size < 65_536:
        length = b"\x7e" + struct.pack("!H", size)
    else:
        length = b"\x7f" + struct.pack("!Q", size)
    return bytes([(0x80 if fin else 0) | opcode]) + length + body


class Frame(NamedTuple):
    """One frame that a client sent, unmasked."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int | None:
        """The close code."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None


class Peer:
    """A server's end of one connection."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number  # of the connection to this server, from 1
        self.head = b""
        self.leaving = threading.Event()  # the server is being closed
        self._buffer = b""

    # The handshake.

    @property
    def target(self) -> str:
        """What the request line asked for."""
        return self.head.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers, names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(": ") for line in lines if line)
        return {name.lower(): value for name, _, value in pairs}

    def read_request(self) -> None:
        """Read the head of the handshake's request."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._receive()
        self.head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")

    def accept_answer(self, *extra: str) -> bytes:
        """Build the 101 that belongs to the request."""
        key = self.headers["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            *extra,
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def accept(self, *, followed_by: bytes = b"") -> None:
        """Make the handshake; ``followed_by`` goes out in the same piece."""
        self.read_request()
        self.sock.sendall(self.accept_answer() + followed_by)

    def refuse(self, status: str, *headers: str, body: str = "") -> None:
        """Answer the request with something else than 101."""
        self.read_request()
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    # Frames.

    def _receive(self) -> bytes:
        data = self.sock.recv(65_536)
        if not data:
            raise EOFError
        return data

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self._receive()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def read(self) -> Frame:
        """Read one frame; EOFError at the end of the stream."""
        first, second = self._take(2)
        assert second & 0x80, "a client must mask its frames"
        size = second & 0x7F
        if size == 126:
            size = struct.unpack("!H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self._take(8))[0]
        mask = self._take(4)
        body = self._take(size)
        unmasked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
        return Frame(first & 0x0F, unmasked)

    def read_until(self, opcode: int) -> Frame:
        """Read frames until one of this kind; pings are answered."""
        while True:
            got = self.read()
            if got.opcode == opcode:
                return got
            if got.opcode == PING:
                self.send(PONG, got.payload)

    def send(self, opcode: int, payload: bytes | str = b"", *, fin: bool = True) -> None:
        """Send one frame."""
        self.sock.sendall(frame(opcode, payload, fin=fin))

    def text(self, *texts: str) -> None:
        """Send text messages, all in one piece."""
        self.sock.sendall(b"".join(frame(TEXT, text) for text in texts))

    def serve(self) -> Frame:
        """Be a good server that says nothing, until the client closes; returns its close frame."""
        closing = self.read_until(CLOSE)
        self.send(CLOSE, closing.payload)
        return closing

    def close(self, code: int | None, reason: str = "") -> Frame:
        """Close properly; returns the client's answer."""
        body = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self.send(CLOSE, body)
        return self.read_until(CLOSE)

    def reset(self) -> None:
        """End with a reset instead of an end of file."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def cut(self) -> None:
        """End the connection from another thread, without a close frame."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def wait_until_gone(self) -> None:
        """Read and ignore until the client has ended the TCP connection."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65_536):
                pass

    def ignore(self) -> None:
        """Neither read nor answer, until the server is closed."""
        self.leaving.wait()


Behaviour = Callable[[Peer], object]


class RawServer:
    """A listener with a thread, and a thread for each connection."""

    def __init__(
        self,
        behave: Behaviour,
        *,
        handshake: bool = True,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self._behave = behave
        self._handshake = handshake
        self._tls = tls
        self._listener = socket.create_server((LOCALHOST, port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = (
            f"{'wss' if tls else 'ws'}://{LOCALHOST if tls is None else 'localhost'}:{self.port}"
        )
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._accept, name="raw-server")]
        self._threads[0].start()

    @property
    def count(self) -> int:
        """Connections that were accepted."""
        return len(self.peers)

    def wait_for(self, count: int) -> Peer:
        """Wait for so many connections; returns the last of them."""
        wait_until(lambda: self.count >= count, PATIENCE, f"{count} connections")
        return self.peers[count - 1]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(sock, len(self.peers) + 1)
            self.peers.append(peer)
            name = f"raw-server-{peer.number}"
            thread = threading.Thread(target=self._serve, args=(peer,), name=name)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: Peer) -> None:
        try:
            if self._tls is not None:
                peer.sock = self._tls.wrap_socket(peer.sock, server_side=True)
            if self._handshake:
                peer.accept()
            self._behave(peer)
        except (OSError, EOFError):
            pass  # the client left, or the server is being closed
        except BaseException as error:
            self.failures.append(error)
        finally:
            peer.sock.close()

    def close(self) -> None:
        """End as a killed process does: everything at once."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for peer in self.peers:
            peer.leaving.set()
            peer.cut()
        for thread in self._threads[1:]:
            thread.join(PATIENCE)


@contextlib.contextmanager
def raw_server(
    behave: Behaviour,
    *,
    handshake: bool = True,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[RawServer]:
    """Serve connections with a function; what it asserts in vain fails the test."""
    server = RawServer(behave, handshake=handshake, tls=tls, port=port)
    try:
        yield server
    finally:
        server.close()
    if server.failures:
        raise server.failures[0]


def serve_nothing(peer: Peer) -> None:
    """Be a good server without a message."""
    peer.serve()


class GoodServer:
    """The websockets library's server in a thread; echoes, and broadcasts what it is told."""

    def __init__(self, *, port: int = 0, **settings: Any) -> None:
        self.connections: list[ServerConnection] = []
        self.received: list[str | bytes] = []
        self._ended = threading.Semaphore(0)
        self._server = serve(self._handle, LOCALHOST, port, **settings)
        self.port: int = self._server.socket.getsockname()[1]
        self.url = f"ws://{LOCALHOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="good-server")
        self._thread.start()

    def _handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        try:
            for message in connection:
                self.received.append(message)
                connection.send(message)
        except ConnectionClosed:
            pass
        finally:
            connection.close()
            self._ended.release()

    def wait_for(self, count: int) -> ServerConnection:
        """Wait for so many connections; returns the last of them."""
        wait_until(lambda: len(self.connections) >= count, PATIENCE, f"{count} connections")
        return self.connections[count - 1]

    def close(self) -> None:
        """Close all connections properly (1001), then the listener; twice is once."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join(PATIENCE)
        for connection in self.connections:
            connection.close(1001)
        for _ in self.connections:
            self._ended.acquire(timeout=PATIENCE)


@contextlib.contextmanager
def good_server(*, port: int = 0, **settings: Any) -> Iterator[GoodServer]:
    """Serve with the websockets library."""
    server = GoodServer(port=port, **settings)
    try:
        yield server
    finally:
        server.close()


def free_port() -> int:
    """Find a port where nobody listens."""
    with socket.create_server((LOCALHOST, 0)) as listener:
        return int(listener.getsockname()[1])
